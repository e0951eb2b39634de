"""Comics with layouts and text in a database, for tests of datasets."""

from collections.abc import Sequence
from hashlib import sha256

from services.dataspec import tasks
from shared.domain.pipeline import STAGES
from shared.settings import Settings
from shared.store.blobs import put_blob, storage_of
from shared.store.db import row, rows, unit_of_work
from shared.work.stages import run_batch
from tests.equipment.hostile_files import picture
from tests.equipment.rows import execute, plan_stage

SIZE = (96, 64)


def add_comic(
    configured: Settings, title: str, *, pages: int = 3, words: str = "Hello", pictures: Sequence[int] | None = None
) -> int:
    """A comic whose pages have two panels, with `words` in the first one, aligned; its id.

    `pictures` are the seeds of the page images; by default no two comics share one.
    """
    url, storage = str(configured.database_url), storage_of(configured)
    key = sha256(title.encode()).hexdigest()
    seeds = pictures or [int(key[:6], 16) + number for number in range(pages)]
    with unit_of_work(url) as connection:
        comic = row(
            connection,
            "INSERT INTO comic (sha256, file_name, title, size, media_type, page_count) "
            "VALUES (:key, :title, :title, 1, 'application/zip', :count) RETURNING id",
            key=key,
            title=title,
            count=len(seeds),
        )
        assert comic is not None
    for number, seed in enumerate(seeds):
        data = picture(*SIZE, seed=seed)
        digest = sha256(data).hexdigest()
        put_blob(storage, digest, data)
        _add_page(url, comic["id"], number, digest, words)
    plan_stage(configured, "align")
    while run_batch(STAGES["align"], tasks.align):
        pass
    return int(comic["id"])


def _add_page(url: str, comic: int, number: int, image: str, words: str) -> None:
    line = f'{{"text": "{words}", "box": [5.5, 10, 30, 10], "confidence": 0.95}}'
    lines = line if words else ""
    execute(
        url,
        "WITH p AS (INSERT INTO page (comic_id, number, name, image_sha256, media_type, width, height) "
        "  VALUES (:comic, :number, :number || '.jpg', :image, 'image/jpeg', :w, :h) RETURNING id), "
        "l AS (INSERT INTO layout (page_id, source, kind, direction, objects) "
        "  SELECT id, 'model', 'panels', 'ltr', '[]' FROM p RETURNING id, page_id), "
        "n AS (INSERT INTO panel (layout_id, position, x, y, w, h, score) "
        "  SELECT l.id, n, n * 48.25, 0.5, 47.5, 60, 0.875 FROM l, generate_series(0, 1) n) "
        "INSERT INTO extraction (page_id, engine, model, source, content) "
        "SELECT id, 'ocr', 'reader 1', 'model', CAST(:content AS jsonb) FROM p",
        comic=comic,
        number=number,
        image=image,
        w=SIZE[0],
        h=SIZE[1],
        content=f'{{"engine": "ocr", "model": "reader 1", "lines": [{lines}]}}',
    )
    execute(
        url,
        "UPDATE page p SET layout_id = (SELECT id FROM layout WHERE page_id = p.id), "
        "ocr_id = (SELECT id FROM extraction WHERE page_id = p.id) WHERE comic_id = :comic AND layout_id IS NULL",
        comic=comic,
    )


def comic_keys(configured: Settings) -> list[str]:
    """Keys of all comics."""
    with unit_of_work(str(configured.database_url)) as connection:
        return [found["sha256"] for found in rows(connection, "SELECT sha256 FROM comic ORDER BY sha256")]
