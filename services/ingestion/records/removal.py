"""A comic goes: its rows and vectors in one transaction, then the bytes that nobody else uses.

    write segments without its pages  ->  one transaction: jobs, vectors, rows  ->  old segments' files, blobs

Killed anywhere, it is there as before or gone, and what lies around is garbage. In the transaction the comic, its pages
and its jobs are locked, so that no worker is writing; one that comes later finds its job gone, and its write is
refused. To wait for workers while holding locks that they want would end in a deadlock: who meets one lets go of
everything and begins again.
"""

import logging
import time
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from services.ingestion.records.hiding import release
from shared.domain.removal import RemovedComic
from shared.errors import Conflict, NotFound, Reject, Retry
from shared.settings import Settings
from shared.store.blobs import blob_key, free_blobs, lock_references, put_blob, storage_of
from shared.store.cache import cache_of
from shared.store.dataset_images import note_lost, record_missing
from shared.store.db import Row, row, rows, unit_of_work
from shared.store.page_images import page_image
from shared.store.segments import Outdated, Replacement, forget_new, forget_old, replace, replacements
from shared.work.broker import wake

log = logging.getLogger(__name__)
PATIENCE = 20.0  # seconds until somebody who asked is told to try again
PAUSE = 0.05
IN_THE_WAY = {"55P03", "40P01"}  # PostgreSQL's: a lock was not to be had in time, a deadlock

# Of a comic whose original stays where it is: images that datasets show and that only the original has.
SHOWN = """
    SELECT DISTINCT p.image_sha256 AS sha256 FROM page p JOIN comic c ON c.id = p.comic_id
    WHERE c.id = :comic AND c.reference IS NOT NULL
      AND EXISTS (SELECT FROM dataset_image i WHERE i.image_sha256 = p.image_sha256)
      AND NOT EXISTS (SELECT FROM page o WHERE o.image_sha256 = p.image_sha256 AND o.comic_id <> c.id)"""


def remove(configured: Settings, comic_id: int, *, force: bool = False) -> RemovedComic:
    """Delete a comic with everything that is only its own; what went. Whoever's original it was keeps it.

    Errors: NotFound names the id; Retry when workers kept it busy for 20 seconds; Conflict where datasets would lose
    images, for they show some that only an original has which cannot be read: `force` lets them go.
    """
    url, storage = str(configured.database_url), storage_of(configured)
    with unit_of_work(url) as connection:
        record_missing(connection, storage)
    until = time.monotonic() + PATIENCE
    while True:
        shown, lost = _keep_for_datasets(configured, comic_id, force=force)
        with unit_of_work(url) as connection:
            page_ids = _page_ids(connection, comic_id)
            made = replacements(connection, storage, page_ids)
        try:
            with unit_of_work(url) as connection:
                connection.execute(sa.text("SET LOCAL lock_timeout = '200ms'"))
                released = release(connection, configured, comic_id)
                comic, images, panels = _taken_out(connection, comic_id, page_ids, made, shown, lost)
            break
        except (Outdated, sa.exc.OperationalError) as error:
            if isinstance(error, sa.exc.OperationalError) and getattr(error.orig, "sqlstate", None) not in IN_THE_WAY:
                raise  # perhaps it was committed: then the new segments are in the books
            forget_new(storage, made)
            if time.monotonic() > until:
                raise Retry(f"Comic {comic_id} is being worked on; delete it again in a moment.") from error
            time.sleep(PAUSE)
        except NotFound:
            forget_new(storage, made)
            raise
    wake(released.planned)
    forget_old(storage, made)
    freed, left = free_blobs(url, storage, [comic["sha256"], *images])
    cache_of(configured).drop(images)  # those that others use are drawn again
    return RemovedComic(
        id=comic_id, title=comic["title"], pages=len(page_ids), panels=panels, vectors=sum(one.gone for one in made),
        blobs=freed.count, bytes=freed.bytes, left=left,
    )  # fmt: skip


def _page_ids(connection: sa.Connection, comic_id: int) -> list[int]:
    found = rows(connection, "SELECT id FROM page WHERE comic_id = :comic ORDER BY id", comic=comic_id)
    return [page["id"] for page in found]


def _taken_out(
    connection: sa.Connection,
    comic_id: int,
    page_ids: Sequence[int],
    made: Sequence[Replacement],
    known: Collection[str],
    lost: Collection[str],
) -> tuple[Row, list[str], int]:
    """Everything of the comic out of the books: its row, the images of its pages, how many panels it had."""
    comic = row(connection, "SELECT title, sha256, reference FROM comic WHERE id = :id FOR UPDATE", id=comic_id)
    if comic is None:
        raise NotFound(f"There is no comic {comic_id}; GET /comics lists those there are.")
    if comic["reference"] is not None:  # a dataset that is being made may rely on the original
        lock_references(connection)
    pages = rows(
        connection, "SELECT id, image_sha256 FROM page WHERE comic_id = :id ORDER BY id FOR UPDATE", id=comic_id
    )
    shown = {image["sha256"] for image in rows(connection, SHOWN, comic=comic_id)}
    if [page["id"] for page in pages] != list(page_ids) or not shown <= set(known):
        raise Outdated
    rows(connection, "SELECT id FROM job WHERE comic_id = :id ORDER BY id FOR UPDATE", id=comic_id)
    panels = row(
        connection,
        "SELECT count(*) AS n FROM page p JOIN panel n ON n.layout_id = p.layout_id WHERE p.comic_id = :id",
        id=comic_id,
    )
    assert panels is not None
    if lost:
        note_lost(connection, sorted(lost), comic=f"comic {comic_id}, {comic['title']!r}")
    replace(connection, made, page_ids)
    # What the VLM was paid stays in the ledger; its calls forget the page.
    connection.execute(sa.text("DELETE FROM job WHERE comic_id = :id"), {"id": comic_id})
    connection.execute(sa.text("DELETE FROM comic WHERE id = :id"), {"id": comic_id})
    images = sorted({page["image_sha256"] for page in pages if page["image_sha256"]})
    return comic, images, panels["n"]


def _keep_for_datasets(configured: Settings, comic_id: int, *, force: bool) -> tuple[set[str], set[str]]:
    """Copy what datasets show of a comic that is read in place, while somebody knows where it is.

    Which images they are, and those of them that nobody has any more; there are none of these without `force`.
    """
    storage = storage_of(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        shown = {str(image["sha256"]) for image in rows(connection, SHOWN, comic=comic_id)}
    lost: dict[str, Reject] = {}
    for sha256 in sorted(shown):
        if not storage.exists(blob_key(sha256)):
            try:
                put_blob(storage, sha256, page_image(configured, sha256))
            except Reject as error:  # its disk is unplugged, or it has gone, or is another
                lost[sha256] = error
    if lost and not force:
        raise _losing(configured, comic_id, lost)
    return shown, set(lost)


def _losing(configured: Settings, comic_id: int, lost: Mapping[str, Reject]) -> Conflict:
    with unit_of_work(str(configured.database_url)) as connection:
        found = rows(
            connection,
            "SELECT id, name FROM dataset d WHERE EXISTS "
            "(SELECT FROM dataset_image i WHERE i.dataset_id = d.id AND i.image_sha256 = ANY(:lost)) ORDER BY id",
            lost=list(lost),
        )
    named = ", ".join(f"{one['id']} {one['name']!r}" if one["name"] else str(one["id"]) for one in found[:10])
    images = "1 image" if len(lost) == 1 else f"{len(lost)} images"
    return Conflict(
        f"Comic {comic_id} stays: {'dataset' if len(found) == 1 else 'datasets'} {named} would lose {images}, which "
        f"only its original has. {next(iter(lost.values()))} Connect the disk it is on and delete it again, or let "
        f"{'it' if len(lost) == 1 else 'them'} go for good: `comics remove --force`, DELETE with `?force=true`."
    )
