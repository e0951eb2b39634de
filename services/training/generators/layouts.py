"""Where the panels of a made page stand: recursive cuts of the page into convex polygons, in reading order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.training.generators.artwork import Colour
from services.training.generators.outlines import Point, Polygon, bounds, half, rectangle
from shared.domain.schema import Box, Direction

__all__ = ["Cell", "Cuts", "Frame", "Point", "Polygon", "bleed", "bounds", "divide", "half", "rectangle", "slices"]


@dataclass(frozen=True)
class Frame:
    """The line around one panel, in pixels; `missing` names the sides left out, of "t", "r", "b" and "l".

    Around a panel laid over others the page's `ground` may show as a keyline; a double line has it in its middle.
    """

    line: float
    ink: Colour = (0, 0, 0)
    double: bool = False
    missing: str = ""
    keyline: float = 0.0
    ground: Colour = (255, 255, 255)


@dataclass(frozen=True)
class Cell:
    """One panel's outline in page pixels; `inset` lies on top of another panel.

    `frame` and `open` are None where the page's manner decides about them. Higher layers are painted later.
    """

    polygon: Polygon
    inset: bool = False
    frame: Frame | None = None
    open: bool | None = None
    layer: int = 0

    @property
    def box(self) -> Box:
        """Bounding box of the outline."""
        return bounds(self.polygon)


@dataclass(frozen=True)
class Cuts:
    """How a page is cut: gutters in pixels, `slant` the largest slope of a cut, chance that a cut is slanted.

    `parallel` is the chance that all cuts of one row share a slope; `across` the chance that a tall page or panel is
    cut into rows first.
    """

    gutter_x: float
    gutter_y: float
    slant: float
    slanted: float
    regular: float
    direction: Direction
    parallel: float = 0.0
    across: float = 0.93


def _shares(rng: np.random.Generator, parts: int, regular: float) -> list[float]:
    if rng.random() < regular:
        return [1 / parts] * parts
    raw = rng.uniform(0.45, 1.7, parts)
    return [float(v) for v in raw / raw.sum()]


def slices(rng: np.random.Generator, polygon: Polygon, *, parts: int, rows: bool, cuts: Cuts) -> list[Polygon]:
    """Cuts a polygon into `parts` rows (top to bottom) or columns (left to right)."""
    box = bounds(polygon)
    start, length = (box.y, box.h) if rows else (box.x, box.w)
    gutter = cuts.gutter_y if rows else cuts.gutter_x
    made: list[Polygon] = []
    rest = polygon
    done = 0.0
    # Long cuts keep to a small slope, or they would run through their neighbours.
    most = cuts.slant * min(1.0, 1.2 * length / parts / max(1.0, box.w if rows else box.h))
    shared = float(rng.uniform(-most, most)) if rng.random() < cuts.parallel else None
    for share in _shares(rng, parts, cuts.regular)[:-1]:
        done += share
        slope = 0.0
        if rng.random() < cuts.slanted:
            slope = float(rng.uniform(-most, most)) if shared is None else shared
        at = start + done * length
        middle = box.x + box.w / 2 if rows else box.y + box.h / 2
        # A cut is the line `along = at + slope * (across - middle)`.
        normal = (-slope, 1.0) if rows else (1.0, -slope)
        offset = at - slope * middle
        stretch = float(np.hypot(1.0, slope))
        made.append(half(rest, normal=normal, offset=offset - gutter / 2 * stretch))
        rest = half(rest, normal=(-normal[0], -normal[1]), offset=-(offset + gutter / 2 * stretch))
    return [*made, rest]


def _allot(rng: np.random.Generator, total: int, parts: int, *, evenly: bool) -> list[int]:
    if evenly:
        return [total // parts + (k < total % parts) for k in range(parts)]
    counts = [1] * parts
    for _ in range(total - parts):
        counts[int(rng.integers(parts))] += 1
    return counts


def divide(rng: np.random.Generator, polygon: Polygon, *, panels: int, cuts: Cuts, depth: int = 0) -> list[Polygon]:
    """Cuts a polygon into `panels` pieces, returned in reading order; fewer when pieces would become slivers."""
    box = bounds(polygon)
    if panels <= 1 or min(box.w, box.h) < 24:
        return [polygon]
    tall = box.h > box.w * 0.9
    rows = rng.random() < ((cuts.across if depth == 0 else 0.8) if tall else 0.1)
    room = (box.h if rows else box.w) / (box.w if rows else box.h)
    most = max(2, min(panels, int(room * (5 if rows else 3)) + 1, 6 if rows else 5))
    parts = int(rng.integers(2, most + 1))
    if depth == 0 and rows:
        parts = max(parts, min(panels, 2 + (panels > 4)))
    pieces = slices(rng, polygon, parts=parts, rows=rows, cuts=cuts)
    counts = _allot(rng, panels, parts, evenly=cuts.regular >= 1.0)
    if not rows and cuts.direction is Direction.RTL:
        pieces.reverse()
    found: list[Polygon] = []
    for piece, count in zip(pieces, counts, strict=True):
        if len(piece) < 3:
            continue
        found += divide(rng, piece, panels=count, cuts=cuts, depth=depth + 1)
    return found


def bleed(cells: list[Polygon], *, frame: Box, width: float, height: float, sides: Sequence[bool]) -> list[Polygon]:
    """Pulls the outer edges of the frame out to the page's rim on the chosen sides (left, top, right, bottom)."""

    def moved(p: Point) -> Point:
        x, y = p
        if sides[0] and x <= frame.x + 1:
            x = 0.0
        if sides[2] and x >= frame.right - 1:
            x = width
        if sides[1] and y <= frame.y + 1:
            y = 0.0
        if sides[3] and y >= frame.bottom - 1:
            y = height
        return x, y

    return [[moved(p) for p in cell] for cell in cells]
