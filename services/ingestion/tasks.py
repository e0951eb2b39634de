"""Stage *ingest*: a comic's file becomes pages whose images lie in the blobs."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.ingestion.pages import Page, read_pages
from shared.errors import NotFound
from shared.files.formats import open_container
from shared.settings import settings
from shared.store.blobs import blob_key, put_blob, storage_of
from shared.store.db import row, unit_of_work
from shared.store.storage import Storage
from shared.work.jobs import Claim
from shared.work.stages import Done, database_url, stage

PIECE = 8 << 20  # bytes copied at once from a bucket
WRITERS = 4  # pages written at once: a durable write waits for the disk, not for the processor


@stage("ingest")
def ingest(claims: Sequence[Claim]) -> Iterator[Done]:
    """Read every page once: check it, keep its bytes, note its size or why it is unreadable."""
    storage = storage_of(settings())
    for claim in claims:
        with unit_of_work(database_url()) as connection:
            comic = row(connection, "SELECT sha256, file_name FROM comic WHERE id = :id", id=claim.subject_id)
        if comic is None:
            raise NotFound(f"comic {claim.subject_id} was deleted")
        pages: list[dict[str, Any]] = []
        with (
            on_disk(storage, blob_key(comic["sha256"])) as path,
            open_container(path, name=comic["file_name"]) as container,
            ThreadPoolExecutor(WRITERS, thread_name_prefix="blob") as writers,
        ):
            writing: deque[Future[None]] = deque()
            for page in read_pages(container):
                if page.image is not None:
                    writing.append(writers.submit(put_blob, storage, page.image.sha256, page.image.data))
                pages.append(page_row(claim.subject_id, page))
                while len(writing) > WRITERS:
                    writing.popleft().result()
            for written in writing:
                written.result()

        def store(connection: sa.Connection, comic_id: int = claim.subject_id, pages: Any = pages) -> None:
            connection.execute(sa.text(UPSERT), pages)
            connection.execute(
                sa.text("UPDATE comic SET page_count = :count WHERE id = :id"), {"count": len(pages), "id": comic_id}
            )

        yield Done([claim], store)


UPSERT = """
    INSERT INTO page (comic_id, number, name, state, error, image_sha256, media_type, width, height)
    VALUES (:comic_id, :number, :name, :state, :error, :image_sha256, :media_type, :width, :height)
    ON CONFLICT (comic_id, number) DO UPDATE SET
        name = EXCLUDED.name, state = EXCLUDED.state, error = EXCLUDED.error, image_sha256 = EXCLUDED.image_sha256,
        media_type = EXCLUDED.media_type, width = EXCLUDED.width, height = EXCLUDED.height"""


def page_row(comic_id: int, page: Page) -> dict[str, Any]:
    """A page as the columns of its row, its bytes left out."""
    image = page.image
    return {
        "comic_id": comic_id,
        "number": page.number,
        "name": page.name,
        "state": "ok" if image else "unreadable",
        "error": page.error,
        "image_sha256": image.sha256 if image else None,
        "media_type": image.media_type if image else None,
        "width": image.width if image else None,
        "height": image.height if image else None,
    }


@contextmanager
def on_disk(storage: Storage, key: str) -> Iterator[Path]:
    """A stored object as a file: the folder's own, or a copy that is removed at the end."""
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
