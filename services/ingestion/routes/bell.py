"""A bell that tells the workers of one stage about new jobs without costing every request a round trip to Redis."""

import asyncio
from functools import partial

from shared.work.broker import wake

PAUSE = 0.25  # seconds between two rings; what comes meanwhile is told together


class Bell:
    """One stage's. Rings at once for the first job, then at most every `PAUSE` seconds; rings come from an event loop.

    A ring that is lost, as when the process ends, costs a sweep.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._due = 0
        self._last = -PAUSE
        self._loop: asyncio.AbstractEventLoop | None = None  # in which the next ring is due; None: none is

    def ring(self) -> None:
        """One more job is there."""
        self._due += 1
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            loop.call_at(max(loop.time(), self._last + PAUSE), self._tell)

    def _tell(self) -> None:
        loop, due = asyncio.get_running_loop(), self._due
        self._due, self._loop, self._last = 0, None, loop.time()
        loop.run_in_executor(None, partial(wake, {self._stage: due}))
