"""When two comics are one comic from two sources: most of their pages are near-identical, and in the same order.

Covers aside, and credit pages that one source added or removed. Issues that share their advertisements are two comics,
and so are a collected edition and an issue in it: hiding either would hide something (their pages are still shown as
near-identical pages). Pages without content count for nothing; a page that is repeated counts once.
"""

from bisect import bisect_left
from collections.abc import Iterable

PART = 0.6  # of the pages besides one cover, in both comics


def shared_pages(pairs: Iterable[tuple[int, int]]) -> int:
    """How many pages two comics share in order: the longest row of pairs of page numbers that rises in both."""
    ends: list[int] = []
    for _, number in sorted(set(pairs), key=lambda pair: (pair[0], -pair[1])):
        place = bisect_left(ends, number)
        ends[place : place + 1] = [number]
    return len(ends)


def required(pages: int) -> int:
    """How many of a comic's pages with content another one must share, to be the same comic."""
    return pages if pages <= 2 else max(2, -int(-(pages - 1) * PART // 1))


def sameness(shared: int, *, left: int, right: int) -> float | None:
    """How sure it is that comics of `left` and `right` pages are one, 0 to 1, when they share so many; None: two."""
    if not shared or shared < max(required(left), required(right)):
        return None
    return min(1.0, shared / max(left, right))
