"""What became of every file that was to be added: counted, reported in a file, told at the end."""

import csv
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TextIO

from services.amounts import amount
from services.following import FOLLOWED
from shared.domain.arrivals import location_of
from shared.errors import ComicsError

Kind = Literal["added", "already there", "duplicate", "rejected", "left out"]
KINDS: tuple[Kind, ...] = ("added", "already there", "duplicate", "rejected", "left out")
REMEMBERED = FOLLOWED + 1
FLUSH = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    `size`: its bytes that were sent; `remembered`: refused before, not sent again; `beside`: as lies beside any comics.
    """

    path: Path
    kind: Kind
    comic_id: int | None = None
    title: str = ""
    reason: str = ""
    size: int = 0
    remembered: bool = False
    beside: bool = False


class Tally:
    """Counts of all outcomes, safe to add to from several threads. Its size does not grow with their number.

    `report` is a CSV file of one line a file, written as it happens.
    """

    def __init__(self, report: Path | None = None) -> None:
        self.begun = time.monotonic()
        self.counts: Counter[Kind] = Counter()
        self.bytes_sent = 0
        self.remembered = 0
        self.comics: list[int] = []
        """Those that were added or there, the first `REMEMBERED`."""
        self.first_added: int | None = None
        self._lock = threading.Lock()
        self._report, self._file = report, _opened(report) if report else None
        self._flushed = self.begun
        self._write("location", "outcome", "comic", "reason")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def done(self) -> int:
        """Files that were comics, or should have been, and are done with."""
        return sum(self.counts.values()) - self.counts["left out"]

    @property
    def failed(self) -> bool:
        """Whether anything is missing in the library that should be there."""
        return self.counts["rejected"] > 0

    def add(self, outcome: Outcome) -> None:
        """Count and report one more."""
        with self._lock:
            self.counts[outcome.kind] += 1
            self.bytes_sent += outcome.size
            self.remembered += outcome.remembered
            if outcome.comic_id is not None:
                if len(self.comics) < REMEMBERED and outcome.comic_id not in self.comics:
                    self.comics.append(outcome.comic_id)
                if outcome.kind == "added":
                    self.first_added = min(self.first_added or outcome.comic_id, outcome.comic_id)
            self._write(location_of(outcome.path.absolute()), outcome.kind, outcome.comic_id, outcome.reason)

    def summary(self) -> list[str]:
        """What came of it all, in lines."""
        seconds = time.monotonic() - self.begun
        told = [f"{self.counts[kind]:,} {kind}" for kind in KINDS if self.counts[kind] or kind == "added"]
        lines = [f"{', '.join(told)}; {amount(self.bytes_sent)} sent in {seconds:,.1f} s"]
        if self.remembered:
            lines.append(
                f"{self.remembered:,} of the rejected were so before and have not changed: they were not sent again "
                "(--retry-rejected sends them)"
            )
        if self.counts["left out"] and self._report is None:
            lines.append("left out is what is no comic; `--report FILE.csv` names each")
        if self._report is not None:
            lines.append(f"every file with its outcome: {self._report}")
        return lines

    def _write(self, *cells: object) -> None:
        if self._file is None:
            return
        try:
            csv.writer(self._file).writerow(["" if cell is None else cell for cell in cells])
            if time.monotonic() > self._flushed + FLUSH:
                self._file.flush()
                self._flushed = time.monotonic()
        except OSError as error:
            raise _unwritable(self._report, error) from error


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path | None, error: OSError) -> ComicsError:
    return ComicsError(f"The report {path} cannot be written: {error.strerror}.")
