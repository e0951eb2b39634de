"""Storage in a folder of this machine (or of a file system that several share), in plain files.

Plain system calls rather than object_store's local store, which replaces files atomically but never fsyncs, and whose
threads do not survive the fork of a worker pool. A write goes to a scratch file on the same file system, is fsynced,
gets its name, and the directory is fsynced; so a crash at any moment leaves the old state or the new one.
"""

import errno
import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from shared.errors import Blocked, Conflict, NotFound, Reject, Retry
from shared.store.storage import Entry, Held, Storage, check_key

_SCRATCH = ".scratch"  # a dot name: no key reaches it and listings leave it out
_FULL = {errno.ENOSPC, errno.EDQUOT}


class FolderStorage(Storage):
    """Keys are files below `root`, which is created when missing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._scratch = root / _SCRATCH
        try:
            _make_folder(self._scratch)
        except OSError as error:
            raise Reject(f"The storage folder {root.name} cannot be created; check its permissions.") from error

    def put(self, key: str, data: bytes) -> None:
        with self._written(key, data) as path:
            self._publish(path, key, replace=True)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        with self._written(key, data) as path:
            return self._publish(path, key, replace=False)

    def put_file(self, key: str, source: Path) -> bool:
        check_key(key)
        with _translated(key):
            if self._scratch in source.parents:
                return self._publish(source, key, replace=False)
            with self.scratch_file() as path:
                shutil.copyfile(source, path)
                return self._publish(path, key, replace=False)

    def put_files(self, files: Mapping[str, Path]) -> None:
        moved: dict[str, str] = {}
        for key, source in files.items():
            target = os.fspath(self._path(key))
            if self._scratch not in source.parents:
                self.put_file(key, source)
            elif not os.path.exists(target):
                moved[target] = os.fspath(source)
        folders = {os.path.dirname(target) for target in moved}
        with _translated("several files"):
            for source_path in moved.values():
                _sync(source_path)
            _make_folders(folders)
            for target, source_path in moved.items():
                with suppress(FileExistsError):
                    os.link(source_path, target)
            for folder in folders:
                _sync(folder)

    def put_folder(self, prefix: str, files: Mapping[str, bytes]) -> bool:
        target, staged = self._path(prefix), self._scratch / uuid4().hex
        with _translated(prefix):
            staged.mkdir()
            try:
                for name, data in files.items():
                    check_key(name)
                    path = staged / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
                with ThreadPoolExecutor(8) as pool:  # on a busy disk, syncs made together share its journal's commits
                    list(pool.map(_sync, [staged, *staged.rglob("*")]))
                _make_folder(target.parent)
                staged.rename(target)  # refuses when the target is a folder with anything in it
                _sync(target.parent)
            except OSError as error:
                if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                    return False
                raise
            finally:
                shutil.rmtree(staged, ignore_errors=True)
        return True

    def get(self, key: str) -> bytes:
        with _translated(key, reading=True):
            return self._path(key).read_bytes()

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        with _translated(key, reading=True), self._path(key).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def size(self, key: str) -> int:
        path = self._path(key)
        with _translated(key, reading=True):
            if not path.is_file():
                raise FileNotFoundError(key)
            return path.stat().st_size

    def list(self, prefix: str = "") -> Iterator[str]:
        top = self._path(prefix) if prefix else self._root
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if not name.startswith(".")]
            base = Path(folder).relative_to(self._root)
            yield from ((base / name).as_posix() for name in files if not name.startswith("."))

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        now = time.time()
        for key in self.list(prefix):
            try:
                about = (self._root / key).stat()
            except FileNotFoundError:
                continue
            yield Entry(key, about.st_size, now - about.st_mtime)

    def sizes(self, keys: Collection[str]) -> dict[str, int]:
        found = {}
        for key in keys:
            try:
                found[key] = self.size(key)
            except NotFound:
                continue
        return found

    def delete(self, key: str) -> None:
        self.delete_all([key])

    def delete_all(self, keys: Collection[str]) -> None:
        touched = set()
        for key in keys:
            path = self._path(key)
            with _translated(key):
                try:
                    path.unlink()
                except (FileNotFoundError, NotADirectoryError):
                    continue
            touched.add(path.parent)
        if touched:
            with ThreadPoolExecutor(min(8, len(touched))) as pool:
                list(pool.map(_sync, touched))

    def delete_folder(self, prefix: str) -> None:
        folder, doomed = self._path(prefix), self._scratch / uuid4().hex
        with _translated(prefix):
            try:
                folder.rename(doomed)
            except FileNotFoundError:
                return
            _sync(folder.parent)
            shutil.rmtree(doomed)

    def local_path(self, key: str) -> Path | None:
        return self._path(key)

    @contextmanager
    def scratch_file(self) -> Iterator[Path]:
        path = self._scratch / f"{uuid4().hex}.part"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        folder = self._scratch / uuid4().hex
        with _translated("what is being read"):
            folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def scratch(self, *, older_than_s: float) -> Held:
        sizes = []
        for entry in self._unfinished(older_than_s):
            files = entry.rglob("*") if entry.is_dir() else [entry]
            with suppress(FileNotFoundError):  # its writer has finished it after all
                sizes.append(sum(file.stat().st_size for file in files))
        return Held(len(sizes), sum(sizes))

    def sweep_scratch(self, *, older_than_s: float) -> int:
        removed = 0
        for entry in self._unfinished(older_than_s):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
            removed += 1
        return removed

    def _unfinished(self, older_than_s: float) -> Iterator[Path]:
        for entry in self._scratch.iterdir():
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime <= time.time() - older_than_s:
                    yield entry

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._root / key

    @contextmanager
    def _written(self, key: str, data: bytes) -> Iterator[Path]:
        check_key(key)
        with _translated(key), self.scratch_file() as path:
            path.write_bytes(data)
            yield path

    def _publish(self, path: Path, key: str, *, replace: bool) -> bool:
        target = self._root / key
        _sync(path)
        _make_folder(target.parent)
        if replace:
            path.replace(target)
        else:
            try:
                os.link(path, target)  # unlike rename, refuses to replace
            except FileExistsError:
                return False
        _sync(target.parent)
        return True


@contextmanager
def _translated(what: str, *, reading: bool = False) -> Iterator[None]:
    """Speak our errors instead of the system's, whose texts carry paths."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"Nothing is stored under {what}.") from error
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        if reading:
            raise NotFound(f"Nothing is stored under {what}.") from error
        raise Conflict(f"{what} is already both a folder and a key; choose another key.") from error
    except PermissionError as error:
        raise Blocked(f"The storage folder refuses access to {what}; check its permissions.") from error
    except OSError as error:
        if error.errno in _FULL:
            raise Retry(f"No space left to store {what}; free some disk space.", after=60) from error
        raise


def _make_folder(folder: Path) -> None:
    """mkdir -p whose new entries survive a power cut."""
    _make_folders({os.fspath(folder)})


def _make_folders(folders: Collection[str]) -> None:
    """The same for many, each of which may be missing with those above it."""
    missing: set[str] = set()
    for folder in folders:
        while folder not in missing and not os.path.isdir(folder):
            missing.add(folder)
            folder = os.path.dirname(folder)
    for path in sorted(missing):
        with suppress(FileExistsError):
            os.mkdir(path)
    for parent in {os.path.dirname(path) for path in missing}:
        _sync(parent)


def _sync(path: str | Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
