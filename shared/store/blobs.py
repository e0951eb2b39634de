"""Bytes by their sha256: comic files as they came and page images verbatim. The same bytes are kept once."""

from functools import cache
from pathlib import Path

from shared.errors import Reject
from shared.settings import Settings
from shared.store.storage import Storage, open_storage


@cache
def _opened(url: str) -> Storage:
    return open_storage(url)


def storage_of(configured: Settings) -> Storage:
    """The place this installation keeps bytes, vectors and checkpoints in."""
    return _opened(configured.storage_url or str(configured.home / "storage"))


def blob_key(sha256: str) -> str:
    """Key of a blob; two levels of folders keep directories small at a million pages."""
    if len(sha256) != 64 or not all(sign in "0123456789abcdef" for sign in sha256):
        raise Reject(f"{sha256[:80]!r} is no sha256")
    return f"blobs/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def put_blob(storage: Storage, sha256: str, data: bytes) -> None:
    """Keep bytes whose hash the caller has computed; nothing is written when they are there already."""
    key = blob_key(sha256)
    if not storage.exists(key):
        storage.put_if_absent(key, data)


def put_blob_file(storage: Storage, sha256: str, source: Path) -> None:
    """The same for a file; one from `storage.scratch_file()` is moved."""
    key = blob_key(sha256)
    if not storage.exists(key):
        storage.put_file(key, source)


def get_blob(storage: Storage, sha256: str) -> bytes:
    """The bytes; NotFound when they are not kept."""
    return storage.get(blob_key(sha256))
