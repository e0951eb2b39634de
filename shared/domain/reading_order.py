"""Reading order of the panels of a page, and what kind of layout a set of panels is.

Source: recursive XY-cut (Nagy and Seth 1984), rows before columns, with the preferences that Cohn measured in readers
("Navigating Comics", Frontiers in Psychology 4, 2013): a tall panel beside a stack blocks the row (columns are read),
slightly staggered rows stay rows, clearly staggered ones with a straight gutter between them are read as columns,
overlapping panels are read where their larger part lies. Cuts may slant where boxes overlap as those of slanted frames
do. Insets follow their host; those that fill the top of a page's ground are met before it. The two pages of a spread
are read one after the other, and strips of equal panels with wide gaps between them downwards. Everything is thought
out from left to right; a page read from right to left is mirrored first, so that both directions hold by construction.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from shared.domain.geometry import intersection
from shared.domain.page_cuts import CLEAN, Span, around_all, cleanest_cut, in_common, merged
from shared.domain.schema import Box, Direction, LayoutKind

# Rows may be cut through a panel by this share of its area: beside a column with other rows, where they are staggered,
# where nothing else divides them.
UNLIKE, STAGGERED, LARGEST = 0.08, 0.17, 0.45
# A single panel as high as this share of its surroundings is a column that blocks the rows beside it.
BLOCKING = 0.75
# A panel of this share inside one larger by this factor is its inset.
INSIDE, LARGER = 0.85, 1.3
# On a picture so high on the page, insets over this share of its width near its top are met before it, if this much of
# its height stays free.
GROUND, FILLED, NEAR, FREE = 0.6, 0.7, 0.15, 0.25
# What is trimmed off panels before the rows of a column are counted.
TRIMMED = 0.1
# Panels taller than this by their width are a strip of rows, however they overlap.
TALL = 2.2
# Two pages side by side: how wide at least, how far from the middle their gap may be, both shares.
SPREAD, MIDDLE, FOLD = 1.15, 0.06, 0.01
# Gutters within this share of the height of each other run on. Of many panels in two clean columns, rows that have one
# gutter in common by so many that they have not met by chance.
ALIKE, MANY, CHANCE = 0.01, 6, 3
# Columns of so many panels, most of them equal, with wider gaps between the columns than within them, are strips.
STRIP, EQUAL, MOST, WIDER, APART = 3, 0.25, 0.7, 1.5, 0.03


def reading_order(
    boxes: Sequence[Box], *, direction: Direction, width: float | None = None, height: float | None = None
) -> list[int]:
    """Indices of `boxes` in reading order: a permutation, the same for the same boxes in whatever order they come.

    `width` and `height` of the page tell two pages side by side from one better than the panels alone do.
    """
    across = width if width is not None else max((box.right for box in boxes), default=0.0)
    if direction is Direction.RTL:
        boxes = [Box(across - box.right, box.y, box.w, box.h) for box in boxes]
    # Sorting by geometry first makes the answer independent of the order of the input.
    members = sorted(range(len(boxes)), key=lambda k: (boxes[k].y, boxes[k].x, boxes[k].w, boxes[k].h, k))
    hosts = _hosts(boxes, members)
    order: list[int] = []
    for side in _sides(boxes, [k for k in members if k not in hosts], width=width, height=height):
        order += _ordered(boxes, side)
    return _with_insets(boxes, order, hosts, high=around_all(boxes).h if boxes else 0.0)


def layout_kind(panels: Sequence[Box], *, width: float, height: float) -> LayoutKind:
    """ "none" without panels, "splash" for a single one that fills the page (margins allowed), else "panels"."""
    if not panels:
        return "none"
    only = panels[0]
    if len(panels) == 1 and only.w >= 0.75 * width and only.h >= 0.75 * height:
        return "splash"
    return "panels"


def _hosts(boxes: Sequence[Box], members: list[int]) -> dict[int, int]:
    """For every inset the smallest larger panel that it lies in."""
    found: dict[int, int] = {}
    for k in members:
        around = [
            h
            for h in members
            if boxes[h].area > boxes[k].area * LARGER and intersection(boxes[h], boxes[k]) >= INSIDE * boxes[k].area > 0
        ]
        if around:
            found[k] = min(around, key=lambda h: boxes[h].area)
    return found


def _with_insets(boxes: Sequence[Box], order: list[int], hosts: dict[int, int], *, high: float) -> list[int]:
    full: list[int] = []
    for k in order:
        own = _ordered(boxes, [inset for inset, host in hosts.items() if host == k])
        early = _met_first(boxes[k], boxes, own) if boxes[k].h >= GROUND * high else set()
        before, after = [i for i in own if i in early], [i for i in own if i not in early]
        full += [*_with_insets(boxes, before, hosts, high=high), k, *_with_insets(boxes, after, hosts, high=high)]
    return full


def _met_first(host: Box, boxes: Sequence[Box], insets: list[int]) -> set[int]:
    """The insets above the largest free band of their host, when they fill its top."""
    covered = merged((boxes[k].y, boxes[k].bottom) for k in insets)
    free, at = max((low - high, high) for high, low in _between(host.y, covered, host.bottom))
    above = [k for k in insets if boxes[k].bottom <= at]
    if free < FREE * host.h or not above or min(boxes[k].y for k in above) > host.y + NEAR * host.h:
        return set()
    filled = sum(high - low for low, high in merged((boxes[k].x, boxes[k].right) for k in above))
    return set(above) if filled >= FILLED * host.w else set()


def _between(start: float, spans: Sequence[Span], end: float) -> list[Span]:
    """What lies free before, between and after merged spans."""
    edges = [start, *(edge for span in spans for edge in span), end]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _sides(boxes: Sequence[Box], members: list[int], *, width: float | None, height: float | None) -> list[list[int]]:
    """The pages of a spread, the first one first; all panels together where it is one page.

    A spread is wide, nothing crosses its middle, and its halves have rows of their own or a wider gap between them
    than between any neighbours: else it is one wide page of rows.
    """
    if len(members) < 2:
        return [members]
    around = around_all(boxes[k] for k in members)
    wide, high = width or around.w, height or around.h
    middle = width / 2 if width else around.x + around.w / 2
    left = [k for k in members if boxes[k].x + boxes[k].w / 2 < middle]
    right = [k for k in members if k not in left]
    if wide < SPREAD * high or not left or not right:
        return [members]
    ends, begins = max(boxes[k].right for k in left), min(boxes[k].x for k in right)
    if ends - begins > CLEAN * wide / 2 or abs((ends + begins) / 2 - middle) > MIDDLE * wide:
        return [members]
    if any(around_all(boxes[k] for k in half).h < BLOCKING * around.h for half in (left, right)):
        return [members]
    beside = _gaps(boxes, left) + _gaps(boxes, right)
    above = [b[0] - a[1] for half in (left, right) for a, b in pairwise(_tiers(boxes, half))]
    usual = max(beside or above, default=0.0)
    if begins - ends > max(WIDER * usual, FOLD * wide):
        return [left, right]
    _, single = _seams(boxes, left, right, within=ALIKE * high)
    return [left, right] if single else [members]


def _gaps(boxes: Sequence[Box], members: Sequence[int]) -> list[float]:
    """Gaps between panels that stand beside each other."""
    found: list[float] = []
    for a in members:
        beside = [boxes[b].x for b in members if in_common(boxes[a], boxes[b])[1] > 0 and boxes[b].x >= boxes[a].right]
        if beside:
            found.append(min(beside) - boxes[a].right)
    return found


def _ordered(boxes: Sequence[Box], members: list[int]) -> list[int]:
    """The order of panels none of which is another's inset."""
    if len(members) <= 1:
        return list(members)
    parts = _strips(boxes, members) or _halves(boxes, members)
    return [k for part in parts for k in _ordered(boxes, part)]


def _seams(boxes: Sequence[Box], left: list[int], right: list[int], *, within: float) -> tuple[int, int]:
    """How many gutters between the rows of two columns run on from one into the other, and how many do not."""
    seams = [[(a[1], b[0]) for a, b in pairwise(_tiers(boxes, part))] for part in (left, right)]
    shared = sum(any(a[0] - within <= b[1] and b[0] - within <= a[1] for b in seams[1]) for a in seams[0])
    return shared, max(0, len(seams[0]) + len(seams[1]) - 2 * shared)


def _halves(boxes: Sequence[Box], members: list[int]) -> tuple[list[int], list[int]]:
    """What is read first of several panels, and the rest."""
    own = {k: boxes[k] for k in members}
    around = around_all(own.values())
    rows = cleanest_cut(own)
    if rows.crossing <= CLEAN and len(members) < MANY:
        return rows.before, rows.after
    # Columns are rows of the page turned over its diagonal.
    columns = cleanest_cut({k: Box(box.y, box.x, box.h, box.w) for k, box in own.items()})
    shared, single = _seams(boxes, columns.before, columns.after, within=ALIKE * around.h)
    sides = (columns.before, columns.after)
    high = [bool(part) and around_all(boxes[k] for k in part).h >= BLOCKING * around.h for part in sides]
    if rows.crossing <= CLEAN:
        chance = all(high) and columns.crossing <= CLEAN and single > CHANCE * shared
        return sides if chance else (rows.before, rows.after)
    blocked = any(len(part) == 1 and tall for part, tall in zip(sides, high, strict=True))
    unlike = len(_tiers(boxes, columns.before)) != len(_tiers(boxes, columns.after))
    bearable = CLEAN if blocked else LARGEST if around.h > TALL * around.w else UNLIKE if unlike else STAGGERED
    if rows.crossing <= min(bearable + columns.crossing, LARGEST):
        return rows.before, rows.after
    if columns.crossing <= LARGEST:
        return sides
    start = min(members, key=lambda k: (boxes[k].x + boxes[k].y, boxes[k].y))
    return [start], [k for k in members if k != start]


def _tiers(boxes: Sequence[Box], members: Iterable[int]) -> list[Span]:
    """The rows of a column, as spans of the page's height that panels fill."""
    return merged((boxes[k].y + boxes[k].h * TRIMMED, boxes[k].bottom - boxes[k].h * TRIMMED) for k in members)


def _strips(boxes: Sequence[Box], members: list[int]) -> list[list[int]]:
    """Columns of equal panels with wide gaps between them, as strips of four stand side by side; none for others."""
    across = merged((boxes[k].x, boxes[k].right) for k in members)
    columns = [[k for k in members if low <= boxes[k].x <= high] for low, high in across]
    tiers = [_tiers(boxes, column) for column in columns]
    rows = max(map(len, tiers))
    if (
        len(columns) < 2
        or rows < STRIP
        or any(len(t) != len(c) or rows - len(t) > 1 for t, c in zip(tiers, columns, strict=True))
    ):
        return []
    wide, high = (median(side) for side in zip(*((boxes[k].w, boxes[k].h) for k in members), strict=True))
    equal = [k for k in members if abs(boxes[k].w - wide) <= EQUAL * wide and abs(boxes[k].h - high) <= EQUAL * high]
    beside = min(b[0] - a[1] for a, b in pairwise(across))
    above = median(boxes[b].y - boxes[a].bottom for column in columns for a, b in pairwise(column))
    if len(equal) < MOST * len(members) or beside < max(WIDER * above, APART * (across[-1][1] - across[0][0])):
        return []
    return columns
