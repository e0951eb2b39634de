"""Outlines of made panels: rectangles and their rounded, elliptic, jagged and hand-drawn relatives, all polygons."""

from collections.abc import Sequence

import numpy as np

from shared.domain.schema import Box

Point = tuple[float, float]
Polygon = list[Point]


def bounds(polygon: Sequence[Point]) -> Box:
    """Bounding box of a polygon."""
    xs, ys = [p[0] for p in polygon], [p[1] for p in polygon]
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def rectangle(box: Box) -> Polygon:
    """The four corners, clockwise from the top left."""
    return [(box.x, box.y), (box.right, box.y), (box.right, box.bottom), (box.x, box.bottom)]


def ellipse(box: Box, *, corners: int = 48) -> Polygon:
    """The ellipse that fills a box, as a polygon."""
    turns = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    x, y = box.x + box.w / 2, box.y + box.h / 2
    return [(float(x + box.w / 2 * np.cos(t)), float(y + box.h / 2 * np.sin(t))) for t in turns]


def rounded(box: Box, *, radius: float) -> Polygon:
    """A rectangle whose corners are quarter circles, each of seven points."""
    radius = min(radius, box.w / 2, box.h / 2)
    made: Polygon = []
    for k, (x, y) in enumerate(rectangle(box)):
        centre_x = x + radius * (1 if k in (0, 3) else -1)
        centre_y = y + radius * (1 if k in (0, 1) else -1)
        for t in np.linspace(np.pi * (1 + k / 2), np.pi * (1.5 + k / 2), 7):
            made.append((float(centre_x + radius * np.cos(t)), float(centre_y + radius * np.sin(t))))
    return made


def jagged(rng: np.random.Generator, polygon: Polygon, *, step: float, depth: float) -> Polygon:
    """The polygon with teeth of about `step` pixels along its sides, at most `depth` pixels inwards."""
    middle = np.mean(np.array(polygon), axis=0)
    made: Polygon = []
    for k, start in enumerate(polygon):
        end = polygon[(k + 1) % len(polygon)]
        length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
        teeth = max(2, round(length / step))
        for n in range(teeth):
            t = n / teeth
            x, y = start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])
            pull = depth * float(rng.uniform(0.5, 1.0)) * (n % 2) / max(1.0, float(np.hypot(*(middle - (x, y)))))
            made.append((x + float(middle[0] - x) * pull, y + float(middle[1] - y) * pull))
    return made


def jitter(rng: np.random.Generator, polygon: Polygon, *, amount: float) -> Polygon:
    """The polygon with hand-drawn inaccuracy of up to about `amount` pixels at each corner."""
    moves = rng.normal(0, amount, (len(polygon), 2))
    return [(x + float(a), y + float(b)) for (x, y), (a, b) in zip(polygon, moves, strict=True)]


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
