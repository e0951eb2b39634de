"""A place that keeps bytes under keys: a folder, an S3-compatible bucket, or memory (for tests).

A key is `part/part/…`, each part of letters, digits, `.`, `_` and `-`, never starting with a dot, so no key can leave
the place and file names equal keys on every system. Every write is all or nothing; in a folder it is also on disk
(files and directories fsynced) before the call returns.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from shared.errors import NotFound, Reject

_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


class Entry(NamedTuple):
    """What a listing says of a key: bytes, and seconds since it was written."""

    key: str
    size: int
    age: float


@dataclass(frozen=True)
class Held:
    """Things and their bytes together."""

    count: int
    bytes: int


class Storage(ABC):
    """A place opened by `open_storage`.

    Errors: Reject for a malformed key, NotFound for one that is not there, Blocked when access is refused, Retry for a
    passing fault (no answer, a full disk). Safe to share between threads; several processes may use one place: the
    last `put` of a key wins, exactly one `put_if_absent` of a key does. A place may be carried through a fork only
    while nothing but folders was used before it.
    """

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`, replacing what was there."""

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Keep `data` under `key` unless something is there; whether it was written."""

    @abstractmethod
    def put_file(self, key: str, source: Path) -> bool:
        """Keep the contents of a local file under `key` unless something is there; whether it was written.

        A file from `scratch_file` or in a `scratch_folder` is moved, any other is copied and left alone. Memory use
        does not grow with the size.
        """

    @abstractmethod
    def put_files(self, files: Mapping[str, Path]) -> None:
        """`put_file` for many keys, faster than one by one. When it raises, some of them may be kept."""

    @abstractmethod
    def put_folder(self, prefix: str, files: Mapping[str, bytes]) -> bool:
        """Keep several files under `prefix/` as one; False, with nothing replaced, when something is there.

        In a folder they appear together or not at all. In a bucket they are written in the order given, so a reader
        that asks for the last name first never takes half of a write for a whole one.
        """

    @abstractmethod
    def get(self, key: str) -> bytes:
        """The bytes under `key`; NotFound when there are none."""

    @abstractmethod
    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        """`length` bytes from `start` on, fewer at the end of the object; NotFound when there is none."""

    @abstractmethod
    def size(self, key: str) -> int:
        """Length in bytes of what is under `key`; NotFound when there is nothing."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[str]:
        """Every key below the folder `prefix` ("" for all), in no promised order."""

    @abstractmethod
    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """The same with sizes and ages; what goes meanwhile may be missing."""

    @abstractmethod
    def sizes(self, keys: Collection[str]) -> dict[str, int]:
        """Lengths of those of these keys that are there."""

    @abstractmethod
    def delete_all(self, keys: Collection[str]) -> None:
        """Forget many keys, faster than one by one."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Forget `key`; nothing happens when it is not there, so that a repeated clean-up is harmless."""

    @abstractmethod
    def delete_folder(self, prefix: str) -> None:
        """Forget every key below `prefix/`: in a folder all at once, in a bucket the shallowest first."""

    @abstractmethod
    def local_path(self, key: str) -> Path | None:
        """Where `key` would lie on this machine's disk, for readers that want a file; None when it is no folder.

        Not checked to exist; only for reading.
        """

    @abstractmethod
    def scratch_file(self) -> AbstractContextManager[Path]:
        """A path that nothing lists, for bytes that arrive in pieces before `put_file`; removed at the end."""

    @abstractmethod
    def scratch_folder(self) -> AbstractContextManager[Path]:
        """An empty folder that nothing lists, for many such files; removed at the end with all that is left in it."""

    @abstractmethod
    def scratch(self, *, older_than_s: float) -> Held:
        """What killed writers left unfinished longer than `older_than_s` seconds ago: entries and their bytes."""

    @abstractmethod
    def sweep_scratch(self, *, older_than_s: float) -> int:
        """Remove it; how many entries."""

    def exists(self, key: str) -> bool:
        """Whether something is kept under `key`."""
        try:
            self.size(key)
        except NotFound:
            return False
        return True


def open_storage(url: str, *, options: Mapping[str, str] | None = None) -> Storage:
    """Open the place that `url` names; a folder is created when missing.

    `url`: a plain path or `file://…` for a folder, `s3://bucket/prefix` for an S3-compatible store, `memory://` for a
    store that lives as long as the object. `options` are obstore's S3 settings (`endpoint`, `region`,
    `access_key_id`, …); what they leave out comes from the usual AWS variables. Reject on anything else.
    """
    # Imported on demand: most processes work on a folder and need no object store client.
    scheme = urlsplit(url).scheme
    if scheme in {"memory", "s3"}:
        from shared.store.bucket_storage import open_bucket

        return open_bucket(url, options or {})
    if scheme in {"", "file"}:
        from shared.store.folder_storage import FolderStorage

        return FolderStorage(Path(unquote(urlsplit(url).path) if scheme else url).expanduser().absolute())
    raise Reject(f"A storage URL of kind {scheme}:// is not known; use a folder path, file:// or s3://.")


def check_key(key: str) -> None:
    """Reject a key that is not `part/part/…`."""
    if len(key) > 900 or not all(_PART.fullmatch(part) for part in key.split("/")):
        raise Reject(f"{key[:80]!r} is not a storage key; use letters, digits, '.', '_', '-' and '/' between parts.")
