"""Reading order of the panels of a page, and what kind of layout a set of panels is.

Source: recursive XY-cut (Nagy and Seth 1984), rows before columns, with tolerance for slants and overlaps. Insets
follow their host. Where no cut separates the panels (a pinwheel), the one nearest the starting corner is read first.
"""

from collections.abc import Sequence
from itertools import pairwise

from shared.domain.geometry import intersection
from shared.domain.schema import Box, Direction, LayoutKind

# Largest share of a panel's side that may reach over a cut. Rows are tried before columns at each level, so that a row
# of slanted panels stays a row, and clearly staggered columns stay columns.
TOLERANCES = (0.15, 0.3, 0.45)
INSIDE = 0.85


def reading_order(boxes: Sequence[Box], *, direction: Direction) -> list[int]:
    """Indices of `boxes` in reading order: a permutation, the same for the same boxes in whatever order they come."""
    # Sorting by geometry first makes the answer independent of the order of the input.
    members = sorted(range(len(boxes)), key=lambda k: (boxes[k].y, boxes[k].x, boxes[k].w, boxes[k].h, k))
    hosts = _hosts(boxes, members)
    order = _ordered(boxes, [k for k in members if k not in hosts], direction)
    return _with_insets(boxes, order, hosts, direction)


def _hosts(boxes: Sequence[Box], members: list[int]) -> dict[int, int]:
    """For every inset the smallest larger panel that it lies in."""
    found: dict[int, int] = {}
    for k in members:
        around = [
            h
            for h in members
            if boxes[h].area > boxes[k].area * 1.3 and intersection(boxes[h], boxes[k]) >= INSIDE * boxes[k].area > 0
        ]
        if around:
            found[k] = min(around, key=lambda h: boxes[h].area)
    return found


def _with_insets(boxes: Sequence[Box], order: list[int], hosts: dict[int, int], direction: Direction) -> list[int]:
    full: list[int] = []
    for k in order:
        full.append(k)
        own = [inset for inset, host in hosts.items() if host == k]
        if own:
            full += _with_insets(boxes, _ordered(boxes, own, direction), hosts, direction)
    return full


def _ordered(boxes: Sequence[Box], members: list[int], direction: Direction) -> list[int]:
    if len(members) <= 1:
        return list(members)
    for tolerance in TOLERANCES:
        for rows in (True, False):
            first, second = _cut(boxes, members, rows=rows, tolerance=tolerance)
            if first and second:
                if not rows and direction is Direction.RTL:
                    first, second = second, first
                return _ordered(boxes, first, direction) + _ordered(boxes, second, direction)
    start = min(members, key=lambda k: _from_corner(boxes[k], direction))
    return [start, *_ordered(boxes, [k for k in members if k != start], direction)]


def _from_corner(box: Box, direction: Direction) -> tuple[float, float]:
    """How far a panel's starting corner is from the page's: the smaller, the earlier it is read."""
    across = box.x if direction is Direction.LTR else -box.right
    return box.y + across, box.y


def _cut(boxes: Sequence[Box], members: list[int], *, rows: bool, tolerance: float) -> tuple[list[int], list[int]]:
    """The cleanest cut of `members` into two groups, upper and lower or left and right; empty when there is none."""
    spans = {k: (boxes[k].y, boxes[k].bottom) if rows else (boxes[k].x, boxes[k].right) for k in members}
    edges = sorted({edge for span in spans.values() for edge in span})
    best: tuple[float, float] | None = None
    for low, high in pairwise(edges):
        at = (low + high) / 2
        if not any(sum(spans[k]) / 2 <= at for k in members) or all(sum(spans[k]) / 2 <= at for k in members):
            continue
        crossing = max(_crossing(spans[k], at) for k in members)
        if crossing <= tolerance and (best is None or crossing < best[0] - 1e-9):
            best = crossing, at
    if best is None:
        return [], []
    before = [k for k in members if sum(spans[k]) / 2 <= best[1]]
    return before, [k for k in members if k not in before]


def _crossing(span: tuple[float, float], at: float) -> float:
    """Share of a span that lies on the far side of a cut, 0 to .5."""
    low, high = span
    if not low < at < high:
        return 0.0
    return min(at - low, high - at) / (high - low)


def layout_kind(panels: Sequence[Box], *, width: float, height: float) -> LayoutKind:
    """ "none" without panels, "splash" for a single one that fills the page (margins allowed), else "panels"."""
    if not panels:
        return "none"
    only = panels[0]
    if len(panels) == 1 and only.w >= 0.75 * width and only.h >= 0.75 * height:
        return "splash"
    return "panels"
