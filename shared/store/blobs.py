"""Bytes by their sha256: comic files as they came and page images verbatim. The same bytes are kept once.

Bytes are written before the row that refers to them, and freed after it: between the two, somebody else may free what
this one found already there. Hence whoever refers to blobs calls `claim_blobs` in the same transaction, and nobody
deletes a blob but `free_blobs`, whose caller has seen to it that what datasets show is recorded (`record_missing`).
"""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from shared.errors import Blocked, Reject, Retry
from shared.settings import Settings
from shared.store.db import rows, unit_of_work
from shared.store.storage import Held, Storage, open_storage

log = logging.getLogger(__name__)


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


def put_blob_files(storage: Storage, files: Mapping[str, Path]) -> None:
    """The same for many, by their hashes, faster than one by one."""
    storage.put_files({blob_key(sha256): source for sha256, source in files.items()})


def get_blob(storage: Storage, sha256: str) -> bytes:
    """The bytes; NotFound when they are not kept."""
    return storage.get(blob_key(sha256))


SLICE = 200  # blobs freed at once; nobody can add anything meanwhile
PATIENCE = "200ms"  # for those who refer to blobs to end; nobody can begin to meanwhile
PAUSES = (0.0, 0.2, 0.5, 1.0)  # seconds before each try
TIMED_OUT = "55P03"  # PostgreSQL's: the lock was not to be had in time
_REFERENCES = 20261123  # the lock of "which blobs are referred to": shared to refer, alone to free


def claim_blobs(connection: sa.Connection, storage: Storage, hashes: Collection[str]) -> None:
    """Call before writing rows that refer to these blobs: they are there, and stay until the transaction ends.

    `Retry` when one was freed meanwhile: write it again.
    """
    connection.execute(sa.text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": _REFERENCES})
    keys = {blob_key(sha256) for sha256 in hashes}
    if keys - storage.sizes(keys).keys():
        raise Retry("Bytes that were kept already have been removed meanwhile; they are written again.", after=0.0)


def unreferenced(connection: sa.Connection, hashes: Collection[str]) -> set[str]:
    """Those of these blobs that no comic, page or dataset refers to."""
    found = rows(
        connection,
        "SELECT h FROM unnest(CAST(:hashes AS text[])) h WHERE NOT EXISTS (SELECT FROM comic WHERE sha256 = h) "
        "AND NOT EXISTS (SELECT FROM page WHERE image_sha256 = h) "
        "AND NOT EXISTS (SELECT FROM dataset_image WHERE image_sha256 = h)",
        hashes=list(hashes),
    )
    return {str(one["h"]) for one in found}


def lock_references(connection: sa.Connection) -> None:
    """Until the transaction ends nobody begins to refer to a blob, or finds that a page's image has gone."""
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _REFERENCES})


def free_blobs(url: str, storage: Storage, hashes: Sequence[str]) -> tuple[Held, bool]:
    """Delete those of these blobs that no comic, page or dataset refers to: how many, their bytes, and whether some had
    to be left for another time.

    Call once the rows that referred to them are gone for good.
    """
    count, size = 0, 0
    for start in range(0, len(hashes), SLICE):
        try:
            freed = _slice_freed(url, storage, hashes[start : start + SLICE])
        except (Retry, Blocked) as error:
            log.warning("not everything was freed: %s", error)
            return Held(count, size), True
        count, size = count + freed.count, size + freed.bytes
    return Held(count, size), False


def _slice_freed(url: str, storage: Storage, hashes: Sequence[str]) -> Held:
    """Whoever waits for the lock alone keeps everybody from beginning to refer: hence several short waits."""
    for pause in PAUSES:
        time.sleep(pause)
        try:
            with unit_of_work(url) as connection:
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
                lock_references(connection)
                sizes = storage.sizes({blob_key(sha256) for sha256 in unreferenced(connection, hashes)})
                storage.delete_all(sizes)
                return Held(len(sizes), sum(sizes.values()))
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != TIMED_OUT:
                raise
    raise Retry("Comics are being stored all the time; what nobody needs is freed later.")
