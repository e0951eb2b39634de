"""Bytes by their sha256: comic files as they came and page images verbatim. The same bytes are kept once.

Bytes are written before the row that refers to them, and freed after it: between the two, somebody else may free what
this one found already there. Hence whoever refers to blobs calls `claim_blobs` in the same transaction, and nobody
deletes a blob but `free_blobs`.
"""

from collections.abc import Collection
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from shared.errors import Reject, Retry
from shared.settings import Settings
from shared.store.db import rows
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


_REFERENCES = 20261123  # the lock of "which blobs are referred to": shared to refer, alone to free


def claim_blobs(connection: sa.Connection, storage: Storage, hashes: Collection[str]) -> None:
    """Call before writing rows that refer to these blobs: they are there, and stay until the transaction ends.

    `Retry` when one was freed meanwhile: write it again.
    """
    connection.execute(sa.text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": _REFERENCES})
    if any(not storage.exists(blob_key(sha256)) for sha256 in hashes):
        raise Retry("Bytes that were kept already have been removed meanwhile; they are written again.", after=0.0)


def free_blobs(connection: sa.Connection, storage: Storage, hashes: Collection[str]) -> int:
    """Delete those of these blobs that no comic, page or dataset refers to; how many.

    Call in a transaction of its own, once the rows that referred to them are gone for good; a few hundred at a time,
    for nobody can add anything meanwhile.
    """
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _REFERENCES})
    found = rows(
        connection,
        "SELECT h FROM unnest(CAST(:hashes AS text[])) h WHERE NOT EXISTS (SELECT FROM comic WHERE sha256 = h) "
        "AND NOT EXISTS (SELECT FROM page WHERE image_sha256 = h) "
        "AND NOT EXISTS (SELECT FROM dataset_image WHERE image_sha256 = h)",
        hashes=list(hashes),
    )
    freed = [sha256 for sha256 in (str(one["h"]) for one in found) if storage.exists(blob_key(sha256))]
    for sha256 in freed:
        storage.delete(blob_key(sha256))
    return len(freed)
