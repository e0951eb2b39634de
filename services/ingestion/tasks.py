"""Stages *ingest*, a comic's file becomes pages whose images lie in the blobs or stay where the original is, and
*compare*, its pages meet those that look like them."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from services.ingestion.comparison import SeenComic, confirmed, matches, promising
from services.ingestion.describing import Description
from services.ingestion.pages import nothing_readable
from services.ingestion.reading import Reading, ReadPage, animations, description, survey
from services.ingestion.records.comparison import seen_comics, store_matches, surroundings
from services.ingestion.records.describing import store_description
from services.ingestion.records.pages import store_pages
from services.ingestion.shapes import page_shapes
from shared.errors import NotFound
from shared.files.children import children_of
from shared.files.originals import Stamp, require_unchanged
from shared.settings import settings
from shared.store.blobs import blob_key, claim_blobs, put_blob_files, storage_of
from shared.store.db import Row, row, unit_of_work
from shared.store.page_images import limits_of
from shared.store.storage import Storage
from shared.work.jobs import Claim
from shared.work.stages import Done, database_url, stage

PIECE = 8 << 20  # bytes copied at once from a bucket
WRITERS = 4  # that keep pages meanwhile: a durable write waits for the disk, not for the processor


@stage("ingest")
def ingest(claims: Sequence[Claim]) -> Iterator[Done]:
    """Read every page once: check it, keep its bytes, note its size and looks or why it is unreadable."""
    storage = storage_of(settings())
    for claim in claims:
        comic, siblings = _comic(claim)
        with original(storage, comic) as path:
            pages, said = _read(storage, path, comic, siblings=siblings)
        yield Done([claim], _stored(storage, comic, pages, said))


def _comic(claim: Claim) -> tuple[Row, int]:
    """The comic of a claim, and how many comics are read on this machine just now, itself among them."""
    with unit_of_work(database_url()) as connection:
        comic = row(
            connection,
            "SELECT id, sha256, file_name, size, reference, reference_mtime_ns FROM comic WHERE id = :id",
            id=claim.subject_id,
        )
        running = row(
            connection,
            "SELECT count(*) AS n FROM job WHERE stage = :stage AND state = 'running' AND starts_with(owner, :machine)",
            stage=claim.stage,
            machine=f"{claim.owner.partition(':')[0]}:",
        )
    if comic is None:
        raise NotFound(f"comic {claim.subject_id} was deleted")
    return comic, running["n"] if running else 1


def _read(storage: Storage, path: Path, comic: Row, *, siblings: int) -> tuple[list[ReadPage], Description]:
    """Read a file on its share of the cores and keep the images; its pages in order, and what it says about itself."""
    children, limits, name = children_of(settings()), limits_of(settings()), comic["file_name"]
    with storage.scratch_folder() as folder, ThreadPoolExecutor(WRITERS, thread_name_prefix="blob") as writers:
        reading = Reading(
            path=path, name=name, limits=limits, children=children, folder=folder,
            parts=max(1, children.count // max(1, siblings)), referenced=comic["reference"] is not None,
        )  # fmt: skip
        found = survey(path, name=name, limits=limits, children=children)
        writing: list[Future[None]] = []
        pages = reading.pages(found, keep=lambda files: writing.append(writers.submit(put_blob_files, storage, files)))
        for written in writing:
            written.result()
    if all(page.image is None for page in pages):
        raise nothing_readable(name, len(pages), next((page.error for page in pages), None))
    said = description(path, name=name, sizes=_sizes(pages), limits=limits, children=children)
    for record in said.records:
        if record.origin == "file name":
            record.warnings.extend(animations(pages))
    return pages, said


def _sizes(pages: Sequence[ReadPage]) -> list[tuple[int, int] | None]:
    return [(page.image.width, page.image.height) if page.image else None for page in pages]


def _stored(
    storage: Storage, comic: Row, pages: Sequence[ReadPage], said: Description
) -> Callable[[sa.Connection], None]:
    shapes = page_shapes(_sizes(pages), spreads=said.spreads)
    kept = {page.image.sha256 for page in pages if page.image is not None and page.file is not None}

    def store(connection: sa.Connection) -> None:
        claim_blobs(connection, storage, kept)
        ids = store_pages(connection, comic["id"], pages, shapes=shapes, labels=said.labels, deleted=said.deleted)
        store_description(connection, comic["id"], said, ids)

    return store


@contextmanager
def original(storage: Storage, comic: Row) -> Iterator[Path]:
    """A comic's file: in the storage's own folder, a copy that is removed at the end, or the user's.

    The user's is what was added, before and after: `NotFound` or `Conflict` otherwise.
    """
    if comic["reference"] is not None:
        path, stamp = Path(comic["reference"]), Stamp(comic["size"], comic["reference_mtime_ns"])
        require_unchanged(path, name=comic["file_name"], stamp=stamp)
        yield path
        require_unchanged(path, name=comic["file_name"], stamp=stamp)
        return
    key = blob_key(comic["sha256"])
    own = storage.local_path(key)
    if own is not None:
        yield own
        return
    with storage.scratch_file() as copy:
        size = storage.size(key)
        with copy.open("wb") as file:
            for start in range(0, size, PIECE):
                file.write(storage.get_range(key, start=start, length=PIECE))
        yield copy


@stage("compare")
def compare(claims: Sequence[Claim]) -> Iterator[Done]:
    """Find what looks like each comic or its pages: bands give candidates, sketches decide.

    Marks are there before a comparison is planned, so of two comics that are compared at once each finds the other.
    """
    for claim in claims:
        with unit_of_work(database_url()) as connection:
            seen = surroundings(connection, claim.subject_id)
        alike = confirmed(seen)
        found = matches(seen, alike, _comics(promising(seen, alike)))
        yield Done([claim], partial(store_matches, comic_id=claim.subject_id, found=found))


def _comics(ids: Sequence[int]) -> Iterator[SeenComic]:
    """One comic in memory at a time."""
    for comic_id in ids:
        with unit_of_work(database_url()) as connection:
            found = seen_comics(connection, [comic_id])
        yield from found
