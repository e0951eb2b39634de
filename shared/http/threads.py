"""Threads for calls that take long, apart from those of everybody else; only so many may wait for one."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

from shared.errors import Retry

T = TypeVar("T")


class Threads:
    """At most `count` calls at once in an event loop, so that however long they take, others are answered.

    `most` of them are there at any time, most of which wait; `what` names what they are about.
    """

    def __init__(self, count: int, *, most: int, name: str, what: str = "comics") -> None:
        self.count, self.most, self.what = count, most, what
        self._there = 0
        self._limiters: RunVar[CapacityLimiter] = RunVar(name)

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives. `Retry` when too many wait. Who is cancelled meanwhile still sees it to its end."""
        if self._there >= self.most:
            raise Retry(f"Too many {self.what} are being looked at already; send this one again.", after=5.0)
        limiter = self._limiters.get(None)
        if limiter is None:
            limiter = CapacityLimiter(self.count)
            self._limiters.set(limiter)
        self._there += 1
        try:
            return await to_thread.run_sync(work, limiter=limiter)
        finally:
            self._there -= 1
