"""One comic on its way to the server, with patience for everything that passes: a restart, a full disk, a busy file."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from services.outcomes import Outcome
from services.shelves import Shelves
from shared.domain.arrivals import Arrival, Reference, SourceFile, location_of
from shared.domain.packing import Stamp, pack_folder, stamp
from shared.domain.walk import ComicSource
from shared.errors import Reject
from shared.http.arriving import ChangedMeanwhile
from shared.http.connection import ApiError, Unreachable, pieces

if TYPE_CHECKING:
    from shared.http.client import Client

Result = TypeVar("Result")
PASSING = frozenset((429, 502, 503, 504))
# What would be refused for every other comic too: the token is wrong, the server's storage denies access.
HOPELESS = frozenset((401, 402, 403, 405))
CHANGED = 409  # the server saw an original change while it read it
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between two tries
PATIENCE = 900.0  # seconds of trying after the first failure
SETTLING = 1.0  # seconds a file that changed while it was read is left alone


class Stopped(Exception):
    """Somebody wants no more of it. No failure, hence no ComicsError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How comics are sent. `reference`: they stay where they are; `rehash`: what is known is told by its bytes."""

    reference: bool = False
    rehash: bool = False
    patience: float = PATIENCE


class Sender:
    """Sends comics over one client; for several threads. `waiting` says what it waits for, None while all is well."""

    def __init__(self, client: "Client", shelves: Shelves, manner: Manner, stop: threading.Event) -> None:
        self._client, self._shelves, self._manner, self._stop = client, shelves, manner, stop
        self.waiting: str | None = None

    def send(self, source: ComicSource) -> Outcome:
        """Send one comic; whatever is wrong with it is an outcome.

        Raises `Unreachable` when patience is at an end, `ApiError` for what concerns every comic, `Stopped`.
        """
        try:
            try:
                return self._send(source)
            except ChangedMeanwhile:
                self._pause(SETTLING)
                return self._send(source)
        except ChangedMeanwhile:
            return _rejected(source, "changed while it was read, twice; add it again when it is whole")
        except FileNotFoundError:
            return _rejected(source, "vanished before it was read")
        except PermissionError:
            return _rejected(source, "may not be read: permission denied")
        except OSError as error:
            return _rejected(source, f"cannot be read: {error.strerror or 'the disk fails'}")
        except ValueError as error:  # its name or its time is like none that anybody thought of
            return _rejected(source, f"cannot be sent: {str(error).partition(chr(10))[0]}")
        except Reject as error:
            return _rejected(source, str(error))
        except ApiError as error:
            if error.http_status in HOPELESS:
                raise
            return _rejected(source, str(error))

    def patiently(self, call: Callable[[], Result]) -> Result:
        """A call to the server, again and again while it is away or cannot."""
        until, pause = None, FIRST_PAUSE
        while True:
            try:
                result = call()
            except (ApiError, Unreachable) as error:
                passing = isinstance(error, Unreachable) or error.http_status in PASSING
                until = until or time.monotonic() + self._manner.patience
                if not passing or time.monotonic() + pause > until:
                    raise
                self.waiting = f"{str(error).rstrip('.')}; trying again"
                self._pause(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self.waiting = None
                return result

    def _send(self, source: ComicSource) -> Outcome:
        now = stamp(source.path)
        place = SourceFile(location=location_of(source.path), size=now.size, mtime_ns=now.mtime_ns)
        if self._manner.reference:
            comic = self._refer(source, place)
        else:
            if self._manner.rehash:
                known = self._by_bytes(source, place, now)
                if known is not None:
                    self.patiently(lambda: self._shelves.describe(self._client, source, known))
                    return Outcome(source.path, "already there", known, reason="same bytes as before")
            shelf = self._shelves.shelf_of(source)
            comic = self.patiently(lambda: self._client.add(source.path, name=source.name, place=place, shelf=shelf))
        if comic.new:
            self.patiently(lambda: self._shelves.describe(self._client, source, comic.id))
        return _arrived(source, comic, size=0 if self._manner.reference else now.size)

    def _refer(self, source: ComicSource, place: SourceFile) -> Arrival:
        if any("\ud800" <= sign <= "\udfff" for sign in str(source.path)):
            raise Reject("lies under a name that is no UTF-8; rename it, or add it without --reference")
        reference = Reference(
            path=str(source.path),
            name=source.name,
            location=place.location,
            mtime_ns=place.mtime_ns,
            file_size=place.size,
            **self._shelves.shelf_of(source).model_dump(),
        )
        try:
            return self.patiently(lambda: self._client.refer(reference))
        except ApiError as error:
            if error.http_status == CHANGED:
                raise ChangedMeanwhile(str(error)) from error
            raise

    def _by_bytes(self, source: ComicSource, place: SourceFile, before: Stamp) -> int | None:
        """The comic that has a file's bytes, if the server knows one."""
        digest = sha256()
        for piece in pack_folder(source.path) if source.kind == "folder" else pieces(source.path):
            if self._stop.is_set():
                raise Stopped
            digest.update(piece)
        if stamp(source.path) != before:
            raise ChangedMeanwhile(f"{source.name} changed while it was read.")
        asked = place.model_copy(update={"sha256": digest.hexdigest()})
        shelf = self._shelves.said
        return self.patiently(lambda: self._client.known([asked], shelf=shelf))[0].comic_id

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped


def _arrived(source: ComicSource, comic: Arrival, *, size: int) -> Outcome:
    if comic.new:
        return Outcome(source.path, "added", comic.id, comic.title, size=size)
    if comic.same_as is not None and not _gone(comic.same_as):
        return Outcome(source.path, "duplicate", comic.id, comic.title, f"same bytes as {comic.same_as}", size=size)
    return Outcome(source.path, "already there", comic.id, comic.title, "same bytes as before", size=size)


def _gone(location: str) -> bool:
    """Whether a place on this machine holds nothing any more: then its file was moved, and is no duplicate."""
    path = Path(location.partition(":")[2])
    return location_of(path) == location and not path.exists()


def _rejected(source: ComicSource, reason: str) -> Outcome:
    return Outcome(source.path, "rejected", reason=reason)
