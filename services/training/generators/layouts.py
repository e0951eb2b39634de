"""Where the panels of a made page stand: recursive cuts of the page into convex polygons, in reading order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.domain.schema import Box, Direction

Point = tuple[float, float]
Polygon = list[Point]


@dataclass(frozen=True)
class Cell:
    """One panel's outline in page pixels; `inset` lies on top of another panel."""

    polygon: Polygon
    inset: bool = False

    @property
    def box(self) -> Box:
        """Bounding box of the outline."""
        return bounds(self.polygon)


def bounds(polygon: Sequence[Point]) -> Box:
    """Bounding box of a polygon."""
    xs, ys = [p[0] for p in polygon], [p[1] for p in polygon]
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def rectangle(box: Box) -> Polygon:
    """The four corners, clockwise from the top left."""
    return [(box.x, box.y), (box.right, box.y), (box.right, box.bottom), (box.x, box.bottom)]


def half(polygon: Polygon, *, normal: Point, offset: float) -> Polygon:
    """The part of a convex polygon where `normal · p <= offset`."""
    kept: Polygon = []
    for k, p in enumerate(polygon):
        q = polygon[(k + 1) % len(polygon)]
        a = normal[0] * p[0] + normal[1] * p[1] - offset
        b = normal[0] * q[0] + normal[1] * q[1] - offset
        if a <= 0:
            kept.append(p)
        if (a < 0 < b) or (b < 0 < a):
            t = a / (a - b)
            kept.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
    return kept


@dataclass(frozen=True)
class Cuts:
    """How a page is cut: gutters in pixels, `slant` the largest slope of a cut, chance that a cut is slanted."""

    gutter_x: float
    gutter_y: float
    slant: float
    slanted: float
    regular: float
    direction: Direction


def _shares(rng: np.random.Generator, parts: int, regular: float) -> list[float]:
    if rng.random() < regular:
        return [1 / parts] * parts
    raw = rng.uniform(0.55, 1.5, parts)
    return [float(v) for v in raw / raw.sum()]


def _slices(rng: np.random.Generator, polygon: Polygon, *, parts: int, rows: bool, cuts: Cuts) -> list[Polygon]:
    """Cuts a polygon into `parts` rows (top to bottom) or columns (left to right)."""
    box = bounds(polygon)
    start, length = (box.y, box.h) if rows else (box.x, box.w)
    gutter = cuts.gutter_y if rows else cuts.gutter_x
    made: list[Polygon] = []
    rest = polygon
    done = 0.0
    for share in _shares(rng, parts, cuts.regular)[:-1]:
        done += share
        slope = float(rng.uniform(-cuts.slant, cuts.slant)) if rng.random() < cuts.slanted else 0.0
        at = start + done * length
        middle = box.x + box.w / 2 if rows else box.y + box.h / 2
        # A cut is the line `along = at + slope * (across - middle)`.
        normal = (-slope, 1.0) if rows else (1.0, -slope)
        offset = at - slope * middle
        stretch = float(np.hypot(1.0, slope))
        made.append(half(rest, normal=normal, offset=offset - gutter / 2 * stretch))
        rest = half(rest, normal=(-normal[0], -normal[1]), offset=-(offset + gutter / 2 * stretch))
    return [*made, rest]


def _allot(rng: np.random.Generator, total: int, parts: int) -> list[int]:
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
    rows = rng.random() < ((0.93 if depth == 0 else 0.8) if tall else 0.1)
    room = (box.h if rows else box.w) / (box.w if rows else box.h)
    most = max(2, min(panels, int(room * (5 if rows else 3)) + 1, 6 if rows else 5))
    parts = int(rng.integers(2, most + 1))
    if depth == 0 and rows:
        parts = max(parts, min(panels, 2 + (panels > 4)))
    pieces = _slices(rng, polygon, parts=parts, rows=rows, cuts=cuts)
    counts = _allot(rng, panels, parts)
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


def insets(rng: np.random.Generator, host: Box, *, count: int) -> list[Polygon]:
    """Small rectangles on top of a large panel, stacked along one of its edges or scattered in a column."""
    w, h = host.w * float(rng.uniform(0.2, 0.42)), host.h * float(rng.uniform(0.15, 0.3))
    x = host.x + (float(rng.uniform(0.02, 0.1)) if rng.random() < 0.5 else float(rng.uniform(0.5, 0.56))) * host.w
    gap = h * float(rng.uniform(0.08, 0.4))
    top = host.y + host.h * float(rng.uniform(0.03, max(0.04, 0.95 - count * (h + gap) / host.h)))
    made = []
    for k in range(count):
        y = top + k * (h + gap)
        if y + h < host.bottom - 2:
            made.append(rectangle(Box(x + float(rng.uniform(0, 0.05)) * host.w, y, w, h)))
    return made


def jitter(rng: np.random.Generator, polygon: Polygon, *, amount: float) -> Polygon:
    """The polygon with hand-drawn inaccuracy of up to `amount` pixels at each corner."""
    return [
        (x + float(a), y + float(b)) for (x, y), (a, b) in zip(polygon, rng.normal(0, amount, (99, 2)), strict=False)
    ]
