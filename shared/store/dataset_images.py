"""Which images and comics datasets show: what keeps an image when its comic goes, and tells which comics have gone.

Recorded with the dataset. Datasets of versions that did not record are looked through before anything is freed.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from shared.errors import NotFound
from shared.store.db import Row, rows
from shared.store.storage import Storage

log = logging.getLogger(__name__)
PAGES = "pages.jsonl"
PIECE = 1 << 20
# In JSON a quotation mark inside a text stands behind a backslash, so no text of a page can look like this.
_NAMED = re.compile(rb'"(key|image_sha256)":"([0-9a-f]{64})"')
_LONGEST = 100  # bytes, more than a match has
LOST = "could not be read when their comic was deleted"
_ADD = {
    "dataset_image": "INSERT INTO dataset_image (dataset_id, image_sha256) SELECT :dataset, h "
    "FROM unnest(CAST(:hashes AS text[])) h ON CONFLICT DO NOTHING",
    "dataset_comic": "INSERT INTO dataset_comic (dataset_id, comic_sha256) SELECT :dataset, h "
    "FROM unnest(CAST(:hashes AS text[])) h ON CONFLICT DO NOTHING",
}


def record_images(connection: sa.Connection, dataset_id: int, pieces: Iterable[bytes], *, frozen: bool) -> None:
    """Record what a dataset shows, from the bytes of its `pages.jsonl`, and of a frozen one the comics it is made of.

    Of a new one in the transaction in which it appears, which then makes sure of `images_alone`.
    """
    for piece in pieces:
        found = _NAMED.findall(piece)
        named = {
            "dataset_image": {sha256.decode() for field, sha256 in found if field == b"image_sha256"},
            "dataset_comic": {sha256.decode() for field, sha256 in found if field == b"key" and frozen},
        }
        for table, hashes in named.items():
            if hashes:
                connection.execute(sa.text(_ADD[table]), {"dataset": dataset_id, "hashes": sorted(hashes)})


def images_alone(connection: sa.Connection, dataset_id: int) -> list[str]:
    """The images that a dataset shows and that nothing else refers to; the caller holds the lock of `claim_blobs`."""
    alone = rows(
        connection,
        "SELECT image_sha256 FROM dataset_image i WHERE dataset_id = :dataset "
        "AND NOT EXISTS (SELECT FROM page p WHERE p.image_sha256 = i.image_sha256) AND NOT EXISTS "
        "(SELECT FROM dataset_image o WHERE o.image_sha256 = i.image_sha256 AND o.dataset_id <> :dataset)",
        dataset=dataset_id,
    )
    return [str(image["image_sha256"]) for image in alone]


def record_missing(connection: sa.Connection, storage: Storage) -> int:
    """Record datasets that were made before anything was recorded; how many. Once before anything is freed."""
    unrecorded = rows(
        connection,
        "SELECT id, key, origin FROM dataset d "
        "WHERE NOT EXISTS (SELECT FROM dataset_image i WHERE i.dataset_id = d.id) ORDER BY id",
    )
    for dataset in unrecorded:
        pieces = overlapping(_stored(storage, f"{dataset['key']}/{PAGES}"))
        try:
            record_images(connection, dataset["id"], pieces, frozen=dataset["origin"] == "frozen")
        except NotFound:  # what it showed is unknown to everybody
            log.error("the pages of dataset %s are gone from the storage", dataset["id"])
    return len(unrecorded)


def note_lost(connection: sa.Connection, images: Sequence[str], *, comic: str) -> None:
    """Let the datasets that show these images say ever after that nobody has them any more."""
    connection.execute(
        sa.text(
            "UPDATE dataset d SET warnings = d.warnings || to_jsonb(l.images || CAST(:told AS text)) FROM "
            "(SELECT dataset_id, count(*) AS images FROM dataset_image WHERE image_sha256 = ANY(:lost) GROUP BY 1) l "
            "WHERE d.id = l.dataset_id"
        ),
        {"told": f" of its images {LOST}: {comic}.", "lost": list(images)},
    )


def with_deletions(connection: sa.Connection, found: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows of `dataset` with `deleted_comics`, how many of its comics are gone, told among the warnings.

    A comic that was added again is not gone.
    """
    gone = rows(
        connection,
        "SELECT m.dataset_id, count(*) AS comics FROM dataset_comic m LEFT JOIN comic c ON c.sha256 = m.comic_sha256 "
        "WHERE m.dataset_id = ANY(:ids) AND c.id IS NULL GROUP BY 1",
        ids=[dataset["id"] for dataset in found],
    )
    deleted = {dataset["dataset_id"]: dataset["comics"] for dataset in gone}
    return [
        {**dataset, "deleted_comics": deleted.get(dataset["id"], 0), "warnings": _told(dataset, deleted)}
        for dataset in found
    ]


def _told(dataset: Row, deleted: Mapping[int, int]) -> list[str]:
    count = deleted.get(dataset["id"], 0)
    if not count:
        return list(dataset["warnings"])
    what = "1 comic of it was" if count == 1 else f"{count:,} comics of it were"
    kept = "all other pages" if any(LOST in warning for warning in dataset["warnings"]) else "its pages"
    return [*dataset["warnings"], f"{what} deleted since; {kept} are kept."]


def overlapping(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of a file so that whatever is looked for lies whole in one of them, or in two."""
    rest = b""
    for piece in pieces:
        yield rest + piece
        rest = (rest + piece)[-_LONGEST:]


def _stored(storage: Storage, key: str) -> Iterator[bytes]:
    position = 0
    while piece := storage.get_range(key, start=position, length=PIECE):
        position += len(piece)
        yield piece
