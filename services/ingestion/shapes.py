"""Shapes of pages that are no plain pages: strips to be scrolled, and double pages; told by the comic's own sizes."""

from collections.abc import Sequence
from statistics import median
from typing import Literal

Size = tuple[int, int]
Shape = Literal["strip", "spread"]

STRIP = 2.2  # height over width: no printed page is as tall
# Pages of a scroll differ in length and share their width; its title page may look like a plain page.
MOSTLY, SAME_WIDTH = 0.5, 0.02
# A spread is about two of the comic's pages side by side, and not drawn smaller than one.
TWICE = (1.6, 2.5)
WIDER = 1.3
SAME_HEIGHT = 0.15


def page_shapes(sizes: Sequence[Size | None], *, spreads: set[int]) -> list[Shape | None]:
    """The shape of each page from the sizes (width, height) of all, None for a plain or unreadable one.

    `spreads` are pages that the comic's metadata calls double pages; a page that is taller than wide is none, whatever
    is said about it.
    """
    known = [size for size in sizes if size is not None]
    scroll_width = _scroll_width(known)
    plain = [(w, h) for w, h in known if w <= h < STRIP * w]
    shapes: list[Shape | None] = []
    for number, size in enumerate(sizes):
        if size is None:
            shapes.append(None)
        elif _is_strip(size, scroll_width):
            shapes.append("strip")
        elif size[0] > size[1] and (number in spreads or _is_spread(size, plain, of=len(known))):
            shapes.append("spread")
        else:
            shapes.append(None)
    return shapes


def _scroll_width(known: Sequence[Size]) -> float | None:
    """The common width of a comic that is mostly strips; None for any other."""
    strips = [w for w, h in known if h >= STRIP * w]
    return median(strips) if strips and len(strips) > MOSTLY * len(known) else None


def _is_strip(size: Size, scroll_width: float | None) -> bool:
    w, h = size
    if h >= STRIP * w:
        return True
    return scroll_width is not None and abs(w - scroll_width) <= SAME_WIDTH * scroll_width


def _is_spread(size: Size, plain: Sequence[Size], *, of: int) -> bool:
    """Whether a landscape page is two of the comic's upright ones.

    Where upright pages are few, as in a comic scanned by double pages, it must also be as high as they are: a comic of
    landscape pages with an upright cover has no spreads.
    """
    if not plain:
        return False
    w, h = size
    width, height = median(w for w, _ in plain), median(h for _, h in plain)
    shape = (w / h) / (width / height)
    if not TWICE[0] <= shape <= TWICE[1] or w < WIDER * width:
        return False
    return 2 * len(plain) > of or abs(h - height) <= SAME_HEIGHT * height
