"""What a person sees while a library is added: lines, and below them one that moves."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from services.outcomes import KINDS, Outcome, Tally
from services.sending import Sender
from shared.domain.page_order import display_name
from shared.domain.walk import ComicSource, Found

CLEAR = "\r\x1b[K"
TICK, LOG = 0.2, 30.0  # seconds between two pictures on a terminal, two lines in a log
SHOWN = 20  # lines of each kind; more are only counted
WINDOW = 30.0  # seconds whose rate is shown


class Total:
    """How many comics there are, counted by a walk of its own ahead of the senders; grows until it is `known`."""

    def __init__(self, walk: Callable[[], Iterable[Found]], stop: threading.Event) -> None:
        self.files, self.known = 0, False
        self._walk, self._stop = walk, stop
        threading.Thread(target=self._count, name="total", daemon=True).start()

    def _count(self) -> None:
        for one in self._walk():
            self.files += isinstance(one, ComicSource) or one.wanted
            if self._stop.is_set():
                return
        self.known = True


class Display:
    """Shows outcomes and progress; a log instead of a terminal gets a line now and then."""

    def __init__(self, tally: Tally, total: Total, sender: Sender) -> None:
        self._tally, self._total, self._sender = tally, total, sender
        self._moving = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._shown = dict.fromkeys(KINDS, 0)
        self._rates: deque[tuple[float, int, int]] = deque([(time.monotonic(), 0, 0)])
        self._told: str | None = None
        self._logged = tally.begun
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="display", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._moving:
            self._write(CLEAR)

    def outcome(self, outcome: Outcome) -> None:
        """Count one, and show it while there are few of its kind; what lies beside any comics is only counted."""
        self._tally.add(outcome)
        if outcome.beside:
            return
        with self._lock:
            self._shown[outcome.kind] += 1
            shown = self._shown[outcome.kind]
        stream = sys.stderr if outcome.kind in ("left out", "rejected") else sys.stdout
        if shown <= SHOWN:
            self._line(_line(outcome), stream)
        elif shown == SHOWN + 1:
            self._line(f"… what else is {outcome.kind} is only counted", stream)

    def _line(self, text: str, stream: object) -> None:
        with self._lock:
            if self._moving:
                sys.stderr.write(CLEAR)
                sys.stderr.flush()
            print(text, file=stream, flush=True)  # type: ignore[call-overload]

    def _tick(self) -> None:
        while not self._ended.wait(TICK if self._moving else 1.0):
            now = time.monotonic()
            if self._sender.waiting != self._told:
                self._told = self._sender.waiting
                if self._told:
                    self._line(f"waiting: {self._told}", sys.stderr)
            self._rates.append((now, self._tally.done, self._tally.bytes_sent))
            while self._rates[0][0] < now - WINDOW and len(self._rates) > 2:
                self._rates.popleft()
            if self._moving:
                self._write(CLEAR + self.line())
            elif now > self._logged + LOG:
                self._logged = now
                self._line(self.line(), sys.stderr)

    def line(self, *, width: int = 24) -> str:
        """One line: bar, files done of all, files and megabytes a second, time to go, outcomes."""
        (since, before, bytes_before), (now, done, sent) = self._rates[0], self._rates[-1]
        total = max(self._total.files, done)
        filled = width * done // total if total and self._total.known else 0
        seconds = max(now - since, 1e-9)
        rate = (done - before) / seconds
        left = f"{_clock((total - done) / rate)} left" if rate > 0 and self._total.known else ""
        counts = " ".join(f"{kind}:{self._tally.counts[kind]:,}" for kind in KINDS if self._tally.counts[kind])
        return (
            f"[{'█' * filled}{'·' * (width - filled)}] {done:,}/{total:,}{'' if self._total.known else '+'} files "
            f"{rate:,.1f}/s {(sent - bytes_before) / seconds / 1e6:,.1f} MB/s {left} {counts}"
        )

    def _write(self, text: str) -> None:
        with self._lock:
            sys.stderr.write(text)
            sys.stderr.flush()


def _line(outcome: Outcome) -> str:
    match outcome.kind:
        case "added":
            return f"comic {outcome.comic_id}: {outcome.title}"
        case "duplicate" | "already there":
            shown = outcome.title or display_name(outcome.path.name)
            return f"comic {outcome.comic_id}: {shown} ({outcome.kind}{outcome.reason and ': '}{outcome.reason})"
        case "left out":
            return f"skipped {_spelled(outcome.path)}: {outcome.reason}"
        case "rejected":
            return f"comics: {_spelled(outcome.path)}: {outcome.reason}"


def _spelled(path: Path) -> str:
    """A path of any bytes, such as no terminal could print."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
