"""Which panels a made page has: one of many architectures, in true reading order."""

from dataclasses import dataclass, field

import numpy as np

from services.training.generators import formats, manga, overlays
from services.training.generators.features import Features
from services.training.generators.layouts import Cell, Cuts, Polygon, bleed, divide
from services.training.generators.outlines import rectangle
from services.training.generators.styles import Style
from shared.domain.schema import Box


@dataclass(frozen=True)
class Arrangement:
    """Panels in reading order and, in strips for scrolling, the gaps between them where words may float."""

    cells: list[Cell]
    gaps: list[Box] = field(default_factory=list)


def arrange(rng: np.random.Generator, frame: Box, *, page: Box, style: Style, features: Features) -> Arrangement:
    """The panels of a page of this manner within `frame`; some may reach the rim of the page."""
    cuts = _cuts(rng, style, page)
    wide = page.w > page.h * 1.05
    if features.formats and style.manner == "webtoon":
        cells, gaps = formats.webtoon(rng, frame, page, cuts=cuts)
        return Arrangement(cells, gaps)
    if features.formats and style.manner == "strip":
        tall = frame.h > 1.1 * frame.w
        made = formats.four_panels if tall and (rng.random() < 0.55 or frame.h > 2 * frame.w) else formats.strips
        return Arrangement(made(rng, frame, cuts=cuts))
    if features.formats and wide and rng.random() < 0.65:
        cells = []
        if rng.random() < 0.2:
            top = frame.h * float(rng.uniform(0.25, 0.5))
            cells.append(Cell(rectangle(Box(frame.x, frame.y, frame.w, top - cuts.gutter_y))))
            frame = Box(frame.x, frame.y + top, frame.w, frame.h - top)
        for half in formats.halves(rng, frame, direction=style.direction):
            cells += _leaf(rng, half, page=page, style=style, features=features, cuts=cuts)
        return Arrangement(_overlaid(rng, cells, page=page, style=style))
    cells = _leaf(rng, frame, page=page, style=style, features=features, cuts=cuts)
    return Arrangement(_overlaid(rng, cells, page=page, style=style))


def _cuts(rng: np.random.Generator, style: Style, page: Box) -> Cuts:
    unit = min(page.w, page.h)
    return Cuts(
        gutter_x=style.gutter * unit,
        gutter_y=style.gutter * unit * style.row_gutter,
        slant=style.slant,
        slanted=style.slanted,
        regular=style.regular,
        direction=style.direction,
        parallel=style.parallel,
        across=0.93 if rng.random() < 0.9 else 0.5,
    )


def _leaf(
    rng: np.random.Generator, frame: Box, *, page: Box, style: Style, features: Features, cuts: Cuts
) -> list[Cell]:
    """One page, or one half of a spread."""
    count = style.panels(rng, tall=frame.h / frame.w)
    if page.w > page.h * 1.05:
        count = min(count, 8)
    if features.insets and style.manner == "american":
        draw = rng.random()
        if draw < 0.1:
            return overlays.splash_with_rows(rng, frame, page, panels=count, direction=style.direction)
        if draw < 0.16:
            return overlays.cascade(rng, frame, panels=count, direction=style.direction)
    shapes: list[Polygon]
    if features.manga and style.manner == "manga" and rng.random() < 0.75:
        shapes = manga.manga_page(rng, frame, panels=count, cuts=cuts, irregular=features.irregular)
    else:
        shapes = divide(rng, rectangle(frame), panels=count, cuts=cuts)
    if features.irregular and style.gutter > 0 and rng.random() < (0.14 if style.manner == "manga" else 0.05):
        shapes = manga.emptied(rng, shapes)
    if features.bleeds and style.gutter > 0:
        if style.manner == "manga" and rng.random() < 0.3:
            shapes = manga.bled(rng, shapes, frame=frame, width=int(page.w), height=int(page.h))
        elif any(style.bleeds):
            shapes = bleed(shapes, frame=frame, width=page.w, height=page.h, sides=style.bleeds)
    return [Cell(shape) for shape in shapes if len(shape) >= 3]


def _overlaid(rng: np.random.Generator, cells: list[Cell], *, page: Box, style: Style) -> list[Cell]:
    if rng.random() < style.overlaps and len(cells) > 1:
        cells = overlays.grown(rng, cells, page=page) if rng.random() < 0.6 else overlays.bridged(rng, cells, page=page)
    if rng.random() < style.insets and cells and not any(cell.inset for cell in cells):
        cells = overlays.with_insets(rng, cells, page=page, direction=style.direction)
    return cells
