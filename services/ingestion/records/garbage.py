"""What nobody needs: found, counted and freed, while everything else goes on.

Young things are left alone, for somebody may be about to refer to them; blobs are looked at a folder of theirs at a
time, so that a million of them take no memory. Nothing here decides what is needed: blobs are freed by `free_blobs`
alone, and a segment exists when the books say so.
"""

from collections.abc import Iterator

import sqlalchemy as sa

from shared.domain.pipeline import STAGES
from shared.domain.removal import Garbage, Leftovers
from shared.settings import Settings
from shared.store.blobs import free_blobs, storage_of, unreferenced
from shared.store.cache import cache_of
from shared.store.dataset_images import record_missing
from shared.store.db import rows, unit_of_work
from shared.store.segments import orphans, remove_orphans, unused
from shared.store.storage import Held, Storage
from shared.store.vectors import delete_segment
from shared.work.jobs import GONE

# Seconds in which whoever wrote something refers to it, or is dead: no comic is read for longer.
YOUNG = STAGES["ingest"].limit + 3600.0
ASKED = 5000  # blobs asked about at once
FOLDERS = [f"blobs/{number:02x}" for number in range(256)]
FORGOTTEN = "comic_id IS NULL AND seen_at < now() - interval '90 days'"

# The comics that jobs name, one look into the index for each, and of them those that are gone.
GONE_COMICS = """
    WITH RECURSIVE named AS (
        SELECT min(comic_id) AS id FROM job
        UNION ALL SELECT (SELECT min(comic_id) FROM job WHERE comic_id > n.id) FROM named n WHERE n.id IS NOT NULL)
    SELECT id FROM named WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM comic c WHERE c.id = named.id)"""


def garbage(configured: Settings, *, free: bool = False, young: float = YOUNG) -> Garbage:
    """What nobody needs; with `free` it is gone afterwards. What is younger than `young` seconds does not count."""
    url, storage = str(configured.database_url), storage_of(configured)
    with unit_of_work(url) as connection:
        record_missing(connection, storage)
    blobs, left = collect_blobs(url, storage, free=free, young=young)
    return Garbage(
        freed=free,
        left=left,
        blobs=blobs,
        segments=_segments(url, storage, free=free, young=young),
        scratch=_scratch(storage, free=free, young=young),
        cache=_cache(url, configured, free=free),
        jobs=_jobs(url, free=free),
        source_files=_source_files(url, free=free),
        checkpoints=_checkpoints(url, storage),
        runs=_runs(url, storage),
    )


def collect_blobs(url: str, storage: Storage, *, free: bool, young: float) -> tuple[Leftovers, bool]:
    """Blobs that nothing refers to; with `free` they are gone, and whether some had to be left."""
    count, size = 0, 0
    for orphaned in _orphaned_blobs(url, storage, young):
        held, left = Held(len(orphaned), sum(orphaned.values())), False
        if free:
            held, left = free_blobs(url, storage, list(orphaned))
        count, size = count + held.count, size + held.bytes
        if left:
            return Leftovers(count=count, bytes=size), True
    return Leftovers(count=count, bytes=size), False


def _orphaned_blobs(url: str, storage: Storage, young: float) -> Iterator[dict[str, int]]:
    """Blobs that nothing refers to, with their sizes, some at a time."""
    for folder in FOLDERS:
        entries = [entry for entry in storage.entries(folder) if entry.age >= young]
        old = {entry.key.rsplit("/", 1)[1]: entry.size for entry in entries}
        hashes = list(old)
        for start in range(0, len(hashes), ASKED):
            with unit_of_work(url) as connection:
                found = unreferenced(connection, hashes[start : start + ASKED])
            if found:
                yield {sha256: old[sha256] for sha256 in found}


def _segments(url: str, storage: Storage, *, free: bool, young: float) -> Leftovers:
    with unit_of_work(url) as connection:
        outdated = rows(
            connection, "SELECT id, key FROM segment WHERE id = ANY(:ids)", ids=unused(connection, older_than_s=young)
        )
        sizes = [sum(entry.size for entry in storage.entries(f"segments/{one['key']}")) for one in outdated]
        if free:
            connection.execute(
                sa.text("DELETE FROM segment WHERE id = ANY(:ids)"), {"ids": [one["id"] for one in outdated]}
            )
    for one in outdated if free else ():
        delete_segment(storage, one["key"])
    with unit_of_work(url) as connection:
        if free:
            found = remove_orphans(connection, storage, older_than_s=young)
            return Leftovers(count=len(sizes) + found.count, bytes=sum(sizes) + found.bytes)
        lost = list(orphans(connection, storage, older_than_s=young))
    return Leftovers(count=len(sizes) + len(lost), bytes=sum(sizes) + sum(orphan.bytes for orphan in lost))


def _scratch(storage: Storage, *, free: bool, young: float) -> Leftovers:
    held = storage.scratch(older_than_s=young)
    if free:
        storage.sweep_scratch(older_than_s=young)
    return Leftovers(count=held.count, bytes=held.bytes)


def _cache(url: str, configured: Settings, *, free: bool) -> Leftovers:
    """Pictures of images that nothing refers to any more, and what is over the limit."""
    cache, count, size = cache_of(configured), 0, 0
    excess = cache.excess()
    for sizes in cache.names():
        with unit_of_work(url) as connection:
            gone = unreferenced(connection, list(sizes))
        count, size = count + sum(len(sizes[name]) for name in gone), size + sum(sum(sizes[name]) for name in gone)
        if free:
            cache.drop(gone)
    if free and excess > size:
        count += cache.evict()
    return Leftovers(count=count, bytes=max(size, excess))


def _jobs(url: str, *, free: bool) -> Leftovers:
    with unit_of_work(url) as connection:
        comics = [comic["id"] for comic in rows(connection, GONE_COMICS)]
        return Leftovers(count=_dropped(connection, "job", f"comic_id = ANY(:comics) AND {GONE}", free, comics=comics))


def _source_files(url: str, *, free: bool) -> Leftovers:
    with unit_of_work(url) as connection:
        return Leftovers(count=_dropped(connection, "source_file", FORGOTTEN, free))


def _dropped(connection: sa.Connection, table: str, which: str, free: bool, **parameters: object) -> int:
    """How many rows there are of this kind; with `free` there are none afterwards."""
    if free:
        return connection.execute(sa.text(f"DELETE FROM {table} WHERE {which}"), parameters).rowcount
    return int(connection.execute(sa.text(f"SELECT count(*) FROM {table} WHERE {which}"), parameters).scalar_one())


def _checkpoints(url: str, storage: Storage) -> Leftovers:
    sizes = _sizes_by_folder(storage, "checkpoints")
    with unit_of_work(url) as connection:
        known = {str(one["key"]) for one in rows(connection, "SELECT key FROM checkpoint")}
    return _together({name: size for name, size in sizes.items() if f"checkpoints/{name}" not in known})


def _runs(url: str, storage: Storage) -> Leftovers:
    sizes = _sizes_by_folder(storage, "runs")
    with unit_of_work(url) as connection:
        going = rows(
            connection,
            "SELECT subject_id AS id FROM job WHERE stage = 'train' AND state IN ('queued', 'running', 'blocked') "
            # What detectors have learnt from is kept with them.
            "UNION SELECT run_id FROM checkpoint WHERE kind = 'detector' AND run_id IS NOT NULL",
        )
    return _together({name: size for name, size in sizes.items() if name not in {str(run["id"]) for run in going}})


def _sizes_by_folder(storage: Storage, top: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for entry in storage.entries(top):
        name = entry.key.split("/")[1]
        sizes[name] = sizes.get(name, 0) + entry.size
    return sizes


def _together(sizes: dict[str, int]) -> Leftovers:
    return Leftovers(count=len(sizes), bytes=sum(sizes.values()))
