"""Pictures and images for whoever asks: drawn in children, a few at once, kept in the cache; only so many may wait."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Generic, TypeVar

from shared.errors import Reject, Retry
from shared.files.children import ChildDied, ChildLost, ChildOutOfMemory, children_of
from shared.files.renditions import Rendition, request_for
from shared.settings import Settings
from shared.store.cache import cache_of
from shared.store.page_images import page_image

DRAW = "shared.files.renditions:drawn_in_child"
MOST_WAITING = 256  # pictures; a screen full of covers asks for all of them at once
READERS = 16
REMEMBERED = 1000  # pictures that took a child down: no other is sent after them
FORGIVEN = 300.0  # seconds after which one is tried again; a machine that had too little to spare may have more then
T = TypeVar("T")


class Queue(Generic[T]):
    """Work, a few at a time and once for all who ask at once; safe to share between threads and event loops.

    Threads of its own, so that a hundred waiting pictures keep no other request from being answered.
    """

    def __init__(self, threads: int, *, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._open: dict[str, Future[T]] = {}

    def __len__(self) -> int:
        """How much waits or is being done."""
        return len(self._open)

    async def done(self, key: str, work: Callable[[], T]) -> T:
        """What `work` gives, or what it gives to somebody who asked under this key before. Retry when too many wait."""
        # Shielded: one who goes away must not cancel it for the others.
        return await asyncio.shield(asyncio.wrap_future(self._begun(key, work)))

    def _begun(self, key: str, work: Callable[[], T]) -> Future[T]:
        with self._lock:
            begun = self._open.get(key)
            if begun is not None:
                return begun
            if len(self._open) >= MOST_WAITING:
                raise Retry("Too many pictures are waiting already; ask for this one again.", after=2.0)
            begun = self._open[key] = self._pool.submit(work)
        begun.add_done_callback(lambda _: self._open.pop(key))
        return begun


class Drawing:
    """The pictures of one installation."""

    def __init__(self, configured: Settings) -> None:
        self._configured, self._children = configured, children_of(configured)
        self.drawers: Queue[bytes] = Queue(self._children.count, name="drawing")
        self.readers: Queue[bytes] = Queue(READERS, name="reading")
        self._undrawable: dict[str, tuple[str, float]] = {}

    async def image(self, sha256: str) -> bytes:
        """A page's image, verbatim; raises what `page_image` raises, and Retry when too many wait."""
        return await self.readers.done(sha256, lambda: page_image(self._configured, sha256))

    async def picture(self, wanted: Rendition, *, image: tuple[int, int], name: str) -> bytes:
        """The file of a picture of an image of (width, height) pixels, drawn now or kept from before.

        Raises what `page_image` raises; Reject when it cannot be drawn; Retry when too many wait already.
        """
        reason, until = self._undrawable.get(wanted.key, ("", 0.0))
        if time.monotonic() < until:
            raise Reject(reason)
        return await self.drawers.done(wanted.key, lambda: self._made(wanted, image, name))

    def _made(self, wanted: Rendition, image: tuple[int, int], name: str) -> bytes:
        kept = cache_of(self._configured)
        known = kept.get(wanted.key)
        if known is not None:
            return known
        content = page_image(self._configured, wanted.sha256)
        try:
            [answer] = self._children.call(DRAW, request_for(wanted, image=image, name=name), content)
        except ChildLost as error:
            reason = f"{name} cannot be drawn: it {error}."
            if isinstance(error, ChildDied | ChildOutOfMemory):  # what is too slow may only have had a slow moment
                self._remember(wanted.key, reason)
            raise Reject(reason) from error
        kept.put(wanted.key, answer.data)
        return answer.data

    def _remember(self, key: str, reason: str) -> None:
        if len(self._undrawable) >= REMEMBERED:
            self._undrawable.clear()
        self._undrawable[key] = (reason, time.monotonic() + FORGIVEN)


@cache
def drawing_of(configured: Settings) -> Drawing:
    """The drawing of this process."""
    return Drawing(configured)
