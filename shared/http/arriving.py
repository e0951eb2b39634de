"""The client's calls that bring comics in."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from shared.domain.arrivals import Arrival, KnownAnswer, KnownFile, KnownRequest, Reference, Sending, Shelf, SourceFile
from shared.domain.packing import Stamp, pack_folder, stamp
from shared.domain.page_order import display_name
from shared.errors import ComicsError
from shared.http.connection import Connection, pieces

VERDICT = 900.0  # seconds a server may take over a comic that has arrived: it decodes a page of it


class ChangedMeanwhile(ComicsError):
    """A file changed while it was sent; the server kept nothing of it."""


class ArrivalCalls(Connection):
    """From local files to comics."""

    def add(
        self, path: Path, *, name: str | None = None, place: SourceFile | None = None, shelf: Shelf | None = None
    ) -> Arrival:
        """Send a comic: a file as it is, a folder of page images packed on the way. The comic, new or known.

        With `place` the server knows the file again. `ChangedMeanwhile` when it changes while it is read, OSError when
        it cannot be read.
        """
        folder = path.is_dir()
        sending = Sending(
            **(shelf or Shelf()).model_dump(),
            filename=display_name(name or (f"{path.resolve().name}.cbz" if folder else path.name)),
            location=place.location if place else None,
            mtime_ns=place.mtime_ns if place else None,
            file_size=place.size if place else None,
        )
        answer = self._send(
            "POST",
            "/comics",
            params=sending.model_dump(exclude_none=True),
            content=_whole(path, stamp(path), pack_folder(path) if folder else pieces(path)),
            headers={"Content-Type": "application/octet-stream"},
            timeout=httpx.Timeout(self._timeout, read=VERDICT),
        )
        return Arrival.model_validate(answer.json())

    def refer(self, reference: Reference) -> Arrival:
        """Have a comic taken in that stays where it is: the server reads it there."""
        answer = self._send("POST", "/comics/references", json=reference.model_dump(), timeout=self._patient)
        return Arrival.model_validate(answer.json())

    def known(self, files: Sequence[SourceFile], *, shelf: Shelf | None = None) -> list[KnownFile]:
        """What the server knows of these files, at most `arrivals.MOST_FILES`, in their order.

        Those that are comics are put where `shelf` says.
        """
        wanted = KnownRequest(files=list(files), shelf=shelf or Shelf())
        return KnownAnswer.model_validate(self._send("POST", "/comics/known", json=wanted.model_dump()).json()).files


def _whole(path: Path, before: Stamp, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes, unless the file is another one at their end: then the upload breaks off and nothing is kept."""
    yield from chunks
    if stamp(path) != before:
        raise ChangedMeanwhile(f"{path.name} changed while it was read.")
