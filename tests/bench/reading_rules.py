"""Published rules for the reading order of panels, plainly implemented, to compare our own with.

Every rule takes boxes of a page read from left to right (a page read from right to left is mirrored first) and returns
their indices in reading order.
"""

from collections.abc import Callable, Sequence
from functools import cmp_to_key
from itertools import pairwise, permutations
from math import hypot

from shared.domain.geometry import intersection
from shared.domain.schema import Box

Rule = Callable[[Sequence[Box]], list[int]]
Members = list[int]
Span = tuple[float, float]


def sorted_by_corner(boxes: Sequence[Box]) -> Members:
    """By (y, x) of the upper left corner."""
    return sorted(range(len(boxes)), key=lambda k: (boxes[k].y, boxes[k].x))


def grouped_in_rows(boxes: Sequence[Box], *, tolerance: float = 0.5) -> Members:
    """Rows of panels whose top is less than half the first one's height below its top, each from left to right."""
    rows: list[Members] = []
    for k in sorted_by_corner(boxes):
        if rows and boxes[k].y - boxes[rows[-1][0]].y < tolerance * boxes[rows[-1][0]].h:
            rows[-1].append(k)
        else:
            rows.append([k])
    return [k for row in rows for k in sorted(row, key=lambda k: boxes[k].x)]


def kumiko(boxes: Sequence[Box]) -> Members:
    """Kumiko's comparison of two panels: above, else left of, with a tenth of a panel's side as tolerance."""

    def before(a: Box, b: Box) -> bool:
        if b.y >= a.bottom - a.h / 10 and b.y >= a.y - a.h / 10:
            return True
        if a.y >= b.bottom - a.h / 10 and a.y >= b.y - a.h / 10:
            return False
        if b.x >= a.right - a.w / 10 and b.x >= a.x - a.w / 10:
            return True
        return not (a.x >= b.right - a.w / 10 and a.x >= b.x - a.w / 10)

    def compare(i: int, j: int) -> int:
        return -1 if before(boxes[i], boxes[j]) else 1

    return sorted(range(len(boxes)), key=cmp_to_key(compare))


def xy_cut(boxes: Sequence[Box]) -> Members:
    """Nagy and Seth 1984: the widest empty band over the whole width or height divides, again and again."""

    def divided(members: Members) -> Members:
        found = [
            (gap, rows, at) for rows in (True, False) for gap, at in _empty_bands([boxes[k] for k in members], rows)
        ]
        if not found:
            return sorted(members, key=lambda k: (boxes[k].y, boxes[k].x))
        _, rows, at = max(found)
        before = [k for k in members if (boxes[k].bottom if rows else boxes[k].right) <= at]
        return divided(before) + divided([k for k in members if k not in before])

    return divided(list(range(len(boxes))))


def recursive_division(boxes: Sequence[Box]) -> Members:
    """Kovanen and Aizawa 2015, after Tanaka et al. 2007: pages of a spread, then rows, then columns, again and again.

    Boxes are drawn in by a twentieth, as slanted frames need; what no line divides is sorted by its distance from the
    starting corner.
    """
    small = [_eroded(box, 0.05) for box in boxes]

    def divided(members: Members) -> Members:
        for rows in (True, False):
            bands = _empty_bands([small[k] for k in members], rows)
            if bands:
                at = bands[0][1]
                before = [k for k in members if (small[k].bottom if rows else small[k].right) <= at]
                return divided(before) + divided([k for k in members if k not in before])
        return sorted(members, key=lambda k: (boxes[k].x + boxes[k].y, boxes[k].y))

    if not boxes:
        return []
    left, right = min(box.x for box in boxes), max(box.right for box in boxes)
    high = max(box.bottom for box in boxes) - min(box.y for box in boxes)
    middle = (left + right) / 2
    first = [k for k, box in enumerate(small) if box.right <= middle]
    second = [k for k, box in enumerate(small) if box.x >= middle]
    if right - left > 1.2 * high and first and second and len(first) + len(second) == len(boxes):
        return divided(first) + divided(second)
    return divided(list(range(len(boxes))))


def _empty_bands(boxes: Sequence[Box], rows: bool) -> list[tuple[float, float]]:
    """Width and far edge of every band that no box enters."""
    spans = sorted((box.y, box.bottom) if rows else (box.x, box.right) for box in boxes)
    bands: list[tuple[float, float]] = []
    end = spans[0][1]
    for low, high in spans[1:]:
        if low >= end:
            bands.append((low - end, low))
        end = max(end, high)
    return bands


def _eroded(box: Box, share: float) -> Box:
    return Box(box.x + box.w * share, box.y + box.h * share, box.w * (1 - 2 * share), box.h * (1 - 2 * share))


def magi(boxes: Sequence[Box]) -> Members:
    """Sachdeva and Zisserman 2024: a directed edge between any two panels, cycles broken at their longest edge.

    Above or beside decides where it is clear; panels on the rising diagonal are told apart by cuts through what lies
    between them; overlapping ones are drawn in until they no longer do.
    """
    small = [_eroded(box, 0.05) for box in boxes]
    after: dict[int, set[int]] = {k: set() for k in range(len(boxes))}
    for a in range(len(boxes)):
        for b in range(a + 1, len(boxes)):
            first, second = (a, b) if _leads(a, b, small) else (b, a)
            after[first].add(second)
    while cycle := _cycle(after):
        a, b = max(pairwise([*cycle, cycle[0]]), key=lambda edge: _distance(small[edge[0]], small[edge[1]]))
        after[a].discard(b)
    order: Members = []
    while len(order) < len(boxes):
        free = [
            k for k in after if k not in order and not any(k in after[other] for other in after if other not in order)
        ]
        order.append(free[0])
    return order


def _leads(a: int, b: int, boxes: Sequence[Box]) -> bool:
    one, other = boxes[a], boxes[b]
    if max(abs(one.x + one.w / 2 - other.x - other.w / 2), abs(one.y + one.h / 2 - other.y - other.h / 2)) < 1e-6:
        return one.area >= other.area
    for _ in range(400):
        above, below = one.bottom < other.y, other.bottom < one.y
        left, right = one.right < other.x, other.right < one.x
        if (above or left) and not (right or below):
            return True
        if (below or right) and not (left or above):
            return False
        if above or below:
            return _cut_leads(a, b, boxes)
        one, other = _eroded(one, 0.05), _eroded(other, 0.05)
    return a < b


def _cut_leads(a: int, b: int, boxes: Sequence[Box]) -> bool:
    for _ in range(400):
        x, y = min(boxes[a].x, boxes[b].x), min(boxes[a].y, boxes[b].y)
        right, bottom = max(boxes[a].right, boxes[b].right), max(boxes[a].bottom, boxes[b].bottom)
        near = [box for box in boxes if intersection(box, Box(x, y, right - x, bottom - y)) > 0]
        for rows in (True, False):
            ends = [at for _, at in _empty_bands(near, rows)]
            places = [sum((box.y if rows else box.x) >= at for at in ends) for box in (boxes[a], boxes[b])]
            if places[0] != places[1]:
                return places[0] < places[1]
        boxes = [_eroded(box, 0.05) for box in boxes]
    return a < b


def _cycle(after: dict[int, set[int]]) -> Members:
    """A cycle of three panels, which every tournament that has a cycle has; else what a search finds, empty if none."""
    for a, b, c in permutations(after, 3):
        if b in after[a] and c in after[b] and a in after[c]:
            return [a, b, c]
    done: set[int] = set()

    def search(k: int, path: Members) -> Members:
        if k in path:
            return path[path.index(k) :]
        if k in done:
            return []
        for follower in after[k]:
            if found := search(follower, [*path, k]):
                return found
        done.add(k)
        return []

    return next((found for k in after if (found := search(k, []))), [])


def _distance(a: Box, b: Box) -> float:
    return hypot(max(0.0, a.x - b.right, b.x - a.right), max(0.0, a.y - b.bottom, b.y - a.bottom))


def tolerance_sweep(boxes: Sequence[Box]) -> Members:
    """Our own first rule: at growing tolerance the cleanest row cut, else the cleanest column cut; insets follow."""
    members = sorted(range(len(boxes)), key=lambda k: boxes[k])
    hosts: dict[int, int] = {}
    for k in members:
        around = [
            h
            for h in members
            if boxes[h].area > boxes[k].area * 1.3 and intersection(boxes[h], boxes[k]) >= 0.85 * boxes[k].area > 0
        ]
        if around:
            hosts[k] = min(around, key=lambda h: boxes[h].area)

    def with_insets(order: Members) -> Members:
        full: Members = []
        for k in order:
            full += [k, *with_insets(_swept(boxes, [inset for inset, host in hosts.items() if host == k]))]
        return full

    return with_insets(_swept(boxes, [k for k in members if k not in hosts]))


def _swept(boxes: Sequence[Box], members: Members) -> Members:
    if len(members) <= 1:
        return members
    for tolerance in (0.15, 0.3, 0.45):
        for rows in (True, False):
            spans = {k: (boxes[k].y, boxes[k].bottom) if rows else (boxes[k].x, boxes[k].right) for k in members}
            first = _first_half(spans, tolerance)
            if first:
                return _swept(boxes, first) + _swept(boxes, [k for k in members if k not in first])
    start = min(members, key=lambda k: (boxes[k].x + boxes[k].y, boxes[k].y))
    return [start, *_swept(boxes, [k for k in members if k != start])]


def _first_half(spans: dict[int, Span], tolerance: float) -> Members:
    edges = sorted({edge for span in spans.values() for edge in span})
    best: tuple[float, Members] = (1.0, [])
    for start, end in pairwise(edges):
        at = (start + end) / 2
        first = [k for k, span in spans.items() if sum(span) / 2 <= at]
        crossing = max(
            (min(at - low, high - at) / (high - low) if low < at < high else 0.0) for low, high in spans.values()
        )
        if 0 < len(first) < len(spans) and crossing <= tolerance and crossing < best[0] - 1e-9:
            best = crossing, first
    return best[1]


RULES: dict[str, Rule] = {
    "(y, x) sort": sorted_by_corner,
    "row grouping": grouped_in_rows,
    "Kumiko": kumiko,
    "XY-cut": xy_cut,
    "recursive division": recursive_division,
    "Magi": magi,
    "our first": tolerance_sweep,
}
