"""Pictures kept for reading again, in a folder of bounded size: what was used last stays.

Nothing here is needed: anybody may delete any of it at any time, and what is damaged counts as absent. Several
processes may share the folder; each counts only what it has written itself, so the limit may be passed by a sixteenth
for each of them.
"""

import errno
import logging
import os
import re
import threading
import time
import zlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

from shared.settings import Settings

log = logging.getLogger(__name__)

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,150}")
_CHECK = 4  # bytes of a checksum before the data: the folder is not fsynced, and a power cut leaves half files
_SHARE = 16  # the folder is looked through when a sixteenth of the limit was written
_ROOM = 0.9  # of the limit is what stays after that
_ABANDONED = 3600.0  # seconds after which an unfinished file is nobody's


class FileCache:
    """At most about `limit` bytes under keys of letters, digits, `.`, `_` and `-`; 0 keeps nothing.

    Safe to share between threads and processes. `get` and `put` never fail on account of the folder.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._lock = threading.Lock()
        self._written = limit  # the first one who writes looks through the folder

    def get(self, key: str) -> bytes | None:
        """The bytes under `key`, or None."""
        path = self._path(key)
        try:
            kept = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        data = kept[_CHECK:]
        if len(kept) < _CHECK or zlib.crc32(data) != int.from_bytes(kept[:_CHECK]):
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        return data

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`, replacing what was there; what is over a sixteenth of the limit is not kept."""
        path = self._path(key)
        if len(data) * _SHARE > self._limit:
            return
        draft = path.with_name(f".{uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(zlib.crc32(data).to_bytes(_CHECK))
                file.write(data)
            draft.replace(path)
        except OSError as error:
            log.warning("a picture was not cached: %s", errno.errorcode.get(error.errno or 0, error))
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            return
        with self._lock:
            self._written += len(data)
            if due := self._written * _SHARE > self._limit:
                self._written = 0
        if due:
            self.evict()

    def names(self) -> Iterator[dict[str, list[int]]]:
        """What comes before the first `-` of keys, with the sizes of all files of that; some at a time."""
        for folder, _, keys in os.walk(self._folder):
            sizes: dict[str, list[int]] = {}
            for key in keys:
                with suppress(OSError):
                    size = (Path(folder) / key).stat().st_size
                    if not key.startswith("."):
                        sizes.setdefault(_name(key), []).append(size)
            if sizes:
                yield sizes

    def drop(self, names: Collection[str]) -> int:
        """Remove everything under these names, as `names` tells them; how many files."""
        gone, removed = set(names), 0
        for folder in {self._path(name).parent for name in gone}:
            for path in folder.glob("[!.]*"):
                if _name(path.name) in gone:
                    with suppress(OSError):
                        path.unlink()
                        removed += 1
        return removed

    def excess(self) -> int:
        """Bytes over the limit."""
        return max(0, sum(size for _, size, _ in self._files()) - self._limit)

    def evict(self) -> int:
        """Remove what was not used for longest until there is room again; how many files."""
        found = sorted(self._files())
        total, removed = sum(size for _, size, _ in found), 0
        for _, size, path in found if total > self._limit * _ROOM else ():
            with suppress(OSError):  # what may not be removed stays, and others go in its place
                path.unlink()
                removed += 1
                total -= size
            if total <= self._limit * _ROOM:
                break
        return removed

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When it was used, its size, and where it is, of every file; what a killed writer left is removed."""
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = Path(folder) / name
                try:
                    about = path.stat()
                    if name.startswith(".") and about.st_mtime < time.time() - _ABANDONED:
                        path.unlink()
                        continue
                except OSError:
                    continue
                yield about.st_mtime, about.st_size, path

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key[:80]!r} is no key of the cache")
        return self._folder / key[:2] / key


def _name(key: str) -> str:
    return key.partition("-")[0]


@cache
def _opened(folder: Path, limit: int) -> FileCache:
    return FileCache(folder, limit=limit)


def cache_of(configured: Settings) -> FileCache:
    """The cache of this installation: on this machine's disk, also where the storage is a bucket."""
    return _opened(configured.home / "cache", configured.cache_limit)
