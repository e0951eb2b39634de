"""Pages decoded and made smaller by threads while somebody works on the pages before them.

What is kept of a page is small; the whole of it exists while it is decoded only, and pages share a room for that:
however many threads there are, no more is in it than the largest page, or a few small ones.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from services.detection.looks import Look, look_at
from shared.domain.pictures import Reduced, decode_reduced, image_pixels
from shared.errors import Reject
from shared.nn.detector import Shown, shown
from shared.nn.detector_config import DetectorConfig

# Pixels of a page that edges are looked for in: to the pixel, up to four times as many to two.
ENOUGH = 1_500_000
# Pixels that are decoded at once; a page with more is worked alone.
ROOM = 12_000_000
T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """A page to be: its name in messages and where its bytes come from, which may raise `Reject`."""

    name: str
    content: Callable[[], bytes]


@dataclass(frozen=True)
class Ready:
    """What the network and the rules behind it need of a page."""

    shown: Shown
    look: Look


class Room:
    """Space for so much at once; whoever needs more waits until it is empty, and has it alone."""

    def __init__(self, space: int) -> None:
        self._space, self._free = space, space
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, wanted: int) -> Iterator[None]:
        """Waits until there is space, and gives it back afterwards."""
        wanted = min(wanted, self._space)
        with self._changed:
            self._changed.wait_for(lambda: wanted <= self._free)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()


def readied(page: Page, config: DetectorConfig, room: Room) -> Ready:
    """A page decoded and made smaller; raises `Reject` when it cannot be."""
    content = page.content()
    with room.taken(image_pixels(content)):
        picture = decode_reduced(content, name=page.name, enough=ENOUGH)
    ready = made_ready(picture, config)
    _ = ready.look.drawn  # asked for later: here it costs the network's thread nothing
    return ready


def made_ready(page: Reduced, config: DetectorConfig, *, cuts: bool = True) -> Ready:
    """The same of a page that is decoded; what recursive `cuts` leave is proposed to the network."""
    picture, width, height = page
    look = look_at(picture, width=width, height=height)
    proposals = look.cuts if cuts else ()
    return Ready(shown(picture, config, width=width, height=height, proposals=proposals), look)


def ahead(
    pages: Iterable[Page], config: DetectorConfig, *, most: int, threads: int
) -> Generator[Ready | Reject, None, None]:
    """Every page in order, or why it cannot be decoded; at most `most` are ready or on their way."""
    waiting, room = iter(pages), Room(ROOM)
    begun: deque[Future[Ready]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="pages-ahead") as pool:
        try:
            while True:
                begun.extend(pool.submit(readied, page, config, room) for page in islice(waiting, most - len(begun)))
                if not begun:
                    return
                try:
                    yield begun.popleft().result()
                except Reject as error:
                    yield error
        finally:  # somebody who stops asking waits for no page
            for future in begun:
                future.cancel()


def batches(found: Iterable[T], *, most: int) -> Iterator[list[T]]:
    """Up to `most` of them at a time, in order."""
    them = iter(found)
    while part := list(islice(them, most)):
        yield part
