"""Panels by recursive cuts: where bands of paper, ink or one colour run all through a part of the page, it is divided.

Source: recursive XY-cut (Nagy and Seth 1984) on the page's own pixels. Cuts know nothing of drawing: a flat sky is a
band, too, and a figure in the gutter hides one. They are proposals for the detector's box head and evidence for boxes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.detection.edges import Picture, reduced
from shared.domain.schema import Box

# A line is a band's when its grey levels spread no more, or when nearly all of it is the paper of the page's rim.
SPREAD, PAPER, NEARLY = 7.0, 20, 0.96
# Parts narrower or smaller than these shares of the page are no panels; deeper than this no page is divided.
NARROWEST, SMALLEST, DEEPEST, MOST = 0.05, 0.01, 7, 60

# Squares of a line of 8,000 pixels, which no reduced page exceeds, sum up to less than 2**31.
Sums = NDArray[np.int32]


@dataclass(frozen=True)
class Bands:
    """Running sums along the lines of a page, (lines, pixels + 1), that tell any part of any line flat at once."""

    grey: Sums
    squares: Sums
    paper: Sums

    def free(self, start: int, end: int, low: int, high: int) -> NDArray[np.bool_]:
        """Which of the lines `start` to `end` are a band between the pixels `low` and `high`."""
        count = max(1, high - low)
        mean, square, paper = (
            (sums[start:end, high] - sums[start:end, low]) / count for sums in (self.grey, self.squares, self.paper)
        )
        bands: NDArray[np.bool_] = (square - mean**2 <= SPREAD**2) | (paper >= NEARLY)
        return bands


@dataclass(frozen=True)
class Cutting:
    """A page prepared for cutting: its rows, its columns, and how many pixels of the page one of its own stands for."""

    rows: Bands
    columns: Bands
    across: float
    down: float


def proposed(image: Picture) -> list[Box]:
    """What recursive cuts of a page (H, W, 3) leave, in its pixels."""
    return cut_boxes(prepared(reduced(image), width=image.shape[1], height=image.shape[0]))


def prepared(page: Picture, *, width: int, height: int) -> Cutting:
    """Sums of a reduced page (h, w, 3) of a page of `width` × `height` pixels."""
    grey = np.asarray(Image.fromarray(page).convert("L")).astype(np.int32)
    paper = np.abs(grey - rim_grey(grey)) <= PAPER
    down, across = height / grey.shape[0], width / grey.shape[1]
    layers = (grey, grey * grey, paper)
    rows = Bands(*(_running(layer, axis=1) for layer in layers))
    columns = Bands(*(_running(layer, axis=0).T for layer in layers))
    return Cutting(rows, columns, across=across, down=down)


def rim_grey(grey: NDArray[np.int32]) -> int:
    """The commonest grey level at the page's rim: its paper, where the page has margins."""
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return int(np.bincount(rim >> 3, minlength=32).argmax()) * 8 + 4


def _running(values: NDArray[Any], *, axis: int) -> Sums:
    """Sums of everything before each place along an axis, one longer than the values; exact, being integers."""
    shape = [n + (k == axis) for k, n in enumerate(values.shape)]
    sums = np.zeros(shape, np.int32)
    np.cumsum(values, axis=axis, out=sums[:, 1:] if axis else sums[1:])
    return sums


def cut_boxes(cutting: Cutting) -> list[Box]:
    """Every part that some cuts leave, in page pixels, large ones first; none for a page without bands."""
    high, wide = len(cutting.rows.grey), len(cutting.columns.grey)
    found: dict[tuple[int, int, int, int], None] = {}
    parts = [(0, high, 0, wide)]
    for _ in range(DEEPEST):
        parts = [piece for part in parts for piece in _divided(cutting, part)]
        parts = [p for p in parts if p not in found and _large(p, high, wide)][:MOST]
        found.update(dict.fromkeys(parts))
    return [
        Box(left * cutting.across, top * cutting.down, (right - left) * cutting.across, (bottom - top) * cutting.down)
        for top, bottom, left, right in list(found)[:MOST]
    ]


def crossed(cutting: Cutting, box: Box) -> bool:
    """Whether a band runs through the midst of a box from side to side, frame included, so that it is several."""
    top, bottom = (round(v / cutting.down) for v in (box.y, box.bottom))
    left, right = (round(v / cutting.across) for v in (box.x, box.right))
    for bands, low, high, start, end in (
        (cutting.rows, left, right, top, bottom),
        (cutting.columns, top, bottom, left, right),
    ):
        margin = max(2, (end - start) // 8)
        if end - start <= 2 * margin + 4 or high - low < 8:
            continue
        free = bands.free(start, end, low, high)
        if free[margin:-margin].any() and not free.mean() > 0.5:
            return True
    return False


def _large(part: tuple[int, int, int, int], high: int, wide: int) -> bool:
    top, bottom, left, right = part
    h, w = bottom - top, right - left
    return h >= NARROWEST * min(high, wide) and w >= NARROWEST * wide and h * w >= SMALLEST * high * wide


def _divided(cutting: Cutting, part: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
    """The pieces of a part between its horizontal bands, or else between its vertical ones, without rims."""
    top, bottom, left, right = part
    rows = _runs(cutting.rows.free(top, bottom, left, right), top)
    if rows != [(top, bottom)]:
        return [(a, b, left, right) for a, b in rows]
    return [(top, bottom, a, b) for a, b in _runs(cutting.columns.free(left, right, top, bottom), left)]


def _runs(free: NDArray[np.bool_], first: int) -> list[tuple[int, int]]:
    """Stretches of lines that are no bands."""
    change = np.flatnonzero(np.diff(np.concatenate([[True], free, [True]]).astype(np.int8)))
    return [(first + int(a), first + int(b)) for a, b in zip(change[::2], change[1::2], strict=True)]
