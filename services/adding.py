"""Whole libraries on their way in: ask what is known, send the rest over a few connections, hold nothing for long."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from services.outcomes import Kind, Outcome
from services.sending import Sender, Stopped
from services.shelves import Shelves
from shared.domain.arrivals import KnownFile, SourceFile, location_of
from shared.domain.walk import ComicSource, Found

if TYPE_CHECKING:
    from shared.http.client import Client

ASKED = 500  # files in one question
WAITING = 500  # that may stand before the connections: as many as one answer can bring
BREATH = 0.2  # seconds between looks at whether the senders still live
FAREWELL = 5.0  # seconds for what is being sent when somebody stops it

Report = Callable[[Outcome], None]


def add_all(
    client: "Client",
    found: Iterable[Found | None],
    *,
    sender: Sender,
    shelves: Shelves,
    report: Report,
    stop: threading.Event,
    connections: int,
    trust: bool = True,
    retry_rejected: bool = False,
) -> None:
    """Add everything that is found, lazily; None among it says that nothing more comes for a while.

    `trust`: what the server knows by its unchanged place, size and time is not read. `report` is called from several
    threads. Raises what ends it all: `Unreachable`, `ApiError`; KeyboardInterrupt leaves it tidy.
    """
    with _Senders(connections, sender.send, report, stop) as senders:
        for batch in _batches(found, report):
            if not trust:
                for source in batch:
                    senders.put(source)
                continue
            for source, known in zip(batch, _known(client, sender, shelves, batch), strict=True):
                if known.comic_id is not None:
                    report(Outcome(source.path, "already there", known.comic_id))
                elif known.error is not None and not retry_rejected:
                    report(Outcome(source.path, "rejected", reason=known.error, remembered=True))
                else:
                    senders.put(source)
        senders.finish()


def _batches(found: Iterable[Found | None], report: Report) -> Iterator[list[ComicSource]]:
    """Comics in lots; what is none is reported in passing."""
    batch: list[ComicSource] = []
    for one in found:
        if isinstance(one, ComicSource):
            batch.append(one)
        elif one is not None:
            kind: Kind = "rejected" if one.wanted else "left out"
            report(Outcome(one.path, kind, reason=one.reason, beside=one.beside))
        if batch and (one is None or len(batch) == ASKED):
            yield batch
            batch = []
    if batch:
        yield batch


def _known(client: "Client", sender: Sender, shelves: Shelves, batch: Sequence[ComicSource]) -> list[KnownFile]:
    files = [
        SourceFile(location=location_of(source.path), size=source.stamp.size, mtime_ns=source.stamp.mtime_ns)
        for source in batch
    ]
    return sender.patiently(lambda: client.known(files, shelf=shelves.said))


class _Senders:
    """Threads that send one comic after the other; daemons, so that a hanging connection holds nobody up for ever."""

    def __init__(
        self, count: int, send: Callable[[ComicSource], Outcome], report: Report, stop: threading.Event
    ) -> None:
        self._send, self._report, self._stop = send, report, stop
        self._waiting: queue.Queue[ComicSource | None] = queue.Queue(WAITING)
        self._failure: BaseException | None = None
        self._threads = [threading.Thread(target=self._work, name="sender", daemon=True) for _ in range(count)]

    def __enter__(self) -> "_Senders":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            return
        self._stop.set()
        with suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        for _ in self._threads:
            self._waiting.put(None)
        until = time.monotonic() + FAREWELL
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def put(self, source: ComicSource | None) -> None:
        """Hand one over, waiting while all are busy; raises what a sender died of."""
        while True:
            if self._failure is not None:
                raise self._failure
            try:
                self._waiting.put(source, timeout=BREATH)
            except queue.Full:
                continue
            return

    def finish(self) -> None:
        """Wait until everything has been sent."""
        for _ in self._threads:
            self.put(None)
        for thread in self._threads:
            while thread.is_alive():
                thread.join(BREATH)
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while (source := self._waiting.get()) is not None and not self._stop.is_set():
                self._report(self._send(source))
        except Stopped:
            return
        except BaseException as error:  # a thread's end is told to the one who waits for it
            self._failure = error
            self._stop.set()
