"""What can be seen of every panel once all are laid on the page: the exact boxes of the truth."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from services.training.generators.ageing import Skew
from services.training.generators.frames import draw_frame, draw_keyline
from services.training.generators.layouts import Cell, Frame
from shared.domain.schema import Box


def owners(size: tuple[int, int], cells: Sequence[Cell], order: Sequence[int]) -> Image.Image:
    """A map of the page, mode "L", whose pixel is k + 1 where cell k is seen and 0 where none is.

    Cells are laid down in `order`, each with its keyline and its frame, exactly as they are painted.
    """
    page = Image.new("L", size)
    for k in order:
        cell = cells[k]
        if cell.frame is not None and cell.frame.keyline > 0:
            draw_keyline(page, cell, ground=0)
        ImageDraw.Draw(page).polygon(cell.polygon, fill=k + 1)
        draw_frame(page, cell, ink=k + 1)
    return page


def seen_box(page: Image.Image, k: int) -> Box | None:
    """The box around what is seen of cell k on a map of owners; None when nothing is."""
    found = page.point([255 if v == k + 1 else 0 for v in range(256)]).getbbox()
    if found is None:
        return None
    left, top, right, bottom = found
    return Box(left, top, right - left, bottom - top)


def shares_seen(page: Image.Image, cells: Sequence[Cell]) -> list[float]:
    """For every cell the share of its box that it owns on the map."""
    counts = page.histogram()
    return [counts[k + 1] / max(1.0, cell.box.area) for k, cell in enumerate(cells)]


def stands_out(image: Image.Image, page: Image.Image, cell: Cell, k: int) -> float:
    """Share of a cell's own outline along which the picture changes, 0..1: an outline nobody can see scores 0.

    Rim pixels of the page and stretches covered by other panels do not count.
    """
    pixels, owner = np.asarray(image).astype(np.int16), np.asarray(page)
    height, width = owner.shape
    corners = np.array(cell.polygon)
    ends = np.roll(corners, -1, axis=0)
    middle = corners.mean(axis=0)
    steps = np.linspace(0.03, 0.97, max(8, 160 // len(corners)))[:, None, None]
    points = (corners + steps * (ends - corners)).reshape(-1, 2)
    outward = points - middle
    outward /= np.maximum(np.hypot(*outward.T), 1e-6)[:, None]
    inner, outer = (points - 3 * outward).astype(int), (points + 3 * outward).astype(int)
    on_page = np.all((outer >= 0) & (outer < (width, height)) & (inner >= 0) & (inner < (width, height)), axis=1)
    inner, outer = inner[on_page], outer[on_page]
    own = owner[inner[:, 1], inner[:, 0]] == k + 1
    if not own.any():
        return 1.0
    inner, outer = inner[own], outer[own]
    change = np.abs(pixels[inner[:, 1], inner[:, 0]] - pixels[outer[:, 1], outer[:, 0]]).max(axis=1)
    return float((change > 24).mean())


def hairline(cell: Cell, *, ink: tuple[int, int, int], line: float) -> Cell:
    """The same cell with a thin frame, for one that could not be told from its surroundings."""
    return Cell(cell.polygon, inset=cell.inset, frame=Frame(line, ink), open=cell.open, layer=cell.layer)


def skewed(page: Image.Image, skew: Skew | None) -> Image.Image:
    """The map of owners on a scan that lies askew."""
    return page if skew is None else skew.applied(page, fill=0, smooth=False)
