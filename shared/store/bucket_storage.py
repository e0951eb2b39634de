"""Storage in an S3-compatible bucket, or in memory with the same client (obstore)."""

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import MemoryStore, ObjectStore, S3Store

from shared.errors import Blocked, NotFound, Reject, Retry
from shared.store.storage import Entry, Held, Storage, check_key

_first_process: int | None = None
_CALLS = 16  # at once, where many keys are asked about: each waits for the bucket, not for us


class BucketStorage(Storage):
    """Keys are objects of `store`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, key: str, data: bytes) -> None:
        with _translated(key):
            obstore.put(self._store, key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        with _translated(key):
            try:
                obstore.put(self._store, key, data, mode="create")
            except AlreadyExistsError:
                return False
            return True

    def put_file(self, key: str, source: Path) -> bool:
        if self.exists(key):
            return False
        with _translated(key):
            # Large files go up in parts, which cannot be conditional; keys of files are hashes of their contents,
            # so two writers racing here write the same bytes.
            obstore.put(self._store, key, source)
            return True

    def put_files(self, files: Mapping[str, Path]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self.put_file, files.keys(), files.values()))

    def put_folder(self, prefix: str, files: Mapping[str, bytes]) -> bool:
        # The first name is the claim: of two writers one gets past it, and what a dead writer left stays refused.
        return all(self.put_if_absent(f"{prefix}/{name}", data) for name, data in files.items())

    def get(self, key: str) -> bytes:
        with _translated(key):
            return bytes(obstore.get(self._store, key).bytes())

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        length = min(length, self.size(key) - start)
        if length <= 0:
            return b""
        with _translated(key):
            return bytes(obstore.get_range(self._store, key, start=start, length=length))

    def size(self, key: str) -> int:
        with _translated(key):
            return int(obstore.head(self._store, key)["size"])

    def list(self, prefix: str = "") -> Iterator[str]:
        with _translated(prefix or "all"):
            for batch in obstore.list(self._store, prefix or None):
                yield from (entry["path"] for entry in batch)

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        with _translated(prefix or "all"):
            for batch in obstore.list(self._store, prefix or None):
                now = datetime.now(UTC)
                for entry in batch:
                    yield Entry(entry["path"], entry["size"], (now - entry["last_modified"]).total_seconds())

    def sizes(self, keys: Collection[str]) -> dict[str, int]:
        def size(key: str) -> tuple[str, int | None]:
            try:
                return key, self.size(key)
            except NotFound:
                return key, None

        with ThreadPoolExecutor(_CALLS) as pool:
            return {key: length for key, length in pool.map(size, keys) if length is not None}

    def delete_all(self, keys: Collection[str]) -> None:
        with ThreadPoolExecutor(_CALLS) as pool:
            list(pool.map(self.delete, keys))

    def delete(self, key: str) -> None:
        with _translated(key):
            try:
                obstore.delete(self._store, key)
            except (NotFoundError, FileNotFoundError):
                return

    def delete_folder(self, prefix: str) -> None:
        check_key(prefix)
        for key in sorted(self.list(prefix), key=lambda key: key.count("/")):
            self.delete(key)

    def local_path(self, key: str) -> Path | None:
        check_key(key)
        return None

    @contextmanager
    def scratch_file(self) -> Iterator[Path]:
        path = Path(tempfile.gettempdir()) / f"{uuid4().hex}.part"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    def scratch(self, *, older_than_s: float) -> Held:  # noqa: ARG002 - unfinished uploads are the bucket's to expire
        return Held(0, 0)

    def sweep_scratch(self, *, older_than_s: float) -> int:  # noqa: ARG002 - likewise
        return 0


def open_bucket(url: str, options: Mapping[str, str]) -> BucketStorage:
    """The bucket of an `s3://bucket/prefix` URL, or a new empty one for `memory://`; Reject on unusable settings."""
    if url.startswith("memory:"):
        return BucketStorage(MemoryStore())
    try:
        store = S3Store.from_url(
            url,
            config=dict(options),  # type: ignore[arg-type]
            client_options={"connect_timeout": "10s", "timeout": "60s", "allow_http": True},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
        )
    except BaseError as error:
        raise Reject("The S3 settings are not usable; check the storage URL and its options.") from error
    return BucketStorage(store)


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """Check the key and speak our errors instead of the client's, whose texts name endpoints."""
    global _first_process
    check_key(key)
    if _first_process not in {None, os.getpid()}:
        # The client's threads did not come through the fork: a call would wait forever.
        raise RuntimeError("a bucket was used before this process was forked; open it in the worker itself")
    _first_process = os.getpid()
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise NotFound(f"Nothing is stored under {key}.") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise Blocked(f"The bucket refuses access to {key}; check its credentials.") from error
    except BaseError as error:
        raise Retry(f"The bucket did not answer for {key}.", after=10) from error
