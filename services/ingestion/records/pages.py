"""Pages as rows, with what they look like."""

import json
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from services.ingestion.reading import ReadPage
from services.ingestion.records.resizing import pages_before, settle_images
from shared.domain.metadata import PageLabel
from shared.store.db import row, rows
from shared.work.hidden import withdraw_pages

# What a person or a decision about duplicates hid stays hidden, and what a person shows stays shown, whatever the file
# says about it. Pages that a hidden comic did not have before are hidden with it.
UPSERT = """
    INSERT INTO page (comic_id, number, name, state, error, image_sha256, media_type, width, height, shape, label,
                      hidden)
    SELECT :comic, number, name, CASE WHEN error IS NULL THEN 'ok' ELSE 'unreadable' END, error, image_sha256,
           media_type, width, height, shape, label, coalesce(hidden, :aside)
    FROM jsonb_to_recordset(CAST(:pages AS jsonb)) AS p(
        number int, name text, error text, image_sha256 text, media_type text, width int, height int, shape text,
        label text, hidden text)
    ON CONFLICT (comic_id, number) DO UPDATE SET
        name = EXCLUDED.name, state = EXCLUDED.state, error = EXCLUDED.error, image_sha256 = EXCLUDED.image_sha256,
        media_type = EXCLUDED.media_type, width = EXCLUDED.width, height = EXCLUDED.height, shape = EXCLUDED.shape,
        label = EXCLUDED.label,
        hidden = CASE WHEN page.wanted OR page.hidden IN ('duplicate', 'person') THEN page.hidden
                      ELSE EXCLUDED.hidden END
    RETURNING id, number, hidden"""
MARK = """
    INSERT INTO page_mark (page_id, phash, sketch, bands)
    SELECT page_id, phash, decode(sketch, 'hex'), ARRAY(SELECT jsonb_array_elements_text(bands)::int)
    FROM jsonb_to_recordset(CAST(:marks AS jsonb)) AS m(page_id bigint, phash bigint, sketch text, bands jsonb)
    ON CONFLICT (page_id) DO UPDATE SET phash = EXCLUDED.phash, sketch = EXCLUDED.sketch, bands = EXCLUDED.bands"""


def store_pages(
    connection: sa.Connection,
    comic_id: int,
    pages: Sequence[ReadPage],
    *,
    shapes: Sequence[str | None],
    labels: dict[int, PageLabel],
    deleted: Collection[int],
) -> dict[int, int]:
    """Write all pages of a comic, in order, with their marks; the id of each number.

    Pages that the comic had before and has no longer go, with everything that hangs on them. What was made for another
    image of a page does not stay active as it is (`settle_images`), nor work that nobody has begun on a hidden page.
    """
    comic = row(connection, "SELECT hidden FROM comic WHERE id = :id FOR NO KEY UPDATE", id=comic_id)
    before = pages_before(connection, comic_id)
    told = [
        _columns(page) | {
            "shape": shape, "label": labels.get(page.number), "hidden": "deleted" if page.number in deleted else None
        }
        for page, shape in zip(pages, shapes, strict=True)
    ]  # fmt: skip
    aside = "duplicate" if comic is not None and comic["hidden"] else None
    found = rows(connection, UPSERT, comic=comic_id, pages=json.dumps(told), aside=aside)
    ids = {int(one["number"]): int(one["id"]) for one in found}
    settle_images(connection, before, pages)
    withdraw_pages(connection, [one["id"] for one in found if one["hidden"] is not None])
    connection.execute(
        sa.text("DELETE FROM page WHERE comic_id = :comic AND number >= :count"),
        {"comic": comic_id, "count": len(pages)},
    )
    marks = [
        {"page_id": ids[page.number], "phash": page.mark.phash, "sketch": page.mark.sketch.hex(),
         "bands": page.mark.bands}
        for page in pages
        if page.mark is not None
    ]  # fmt: skip
    connection.execute(
        sa.text("DELETE FROM page_mark WHERE page_id = ANY(:ids) AND NOT page_id = ANY(:marked)"),
        {"ids": list(ids.values()), "marked": [mark["page_id"] for mark in marks]},
    )
    connection.execute(sa.text(MARK), {"marks": json.dumps(marks)})
    connection.execute(
        sa.text("UPDATE comic SET page_count = :count WHERE id = :comic"), {"count": len(pages), "comic": comic_id}
    )
    return ids


def _columns(page: ReadPage) -> dict[str, Any]:
    image = page.image
    return {
        "number": page.number,
        "name": page.name,
        "error": page.error,
        "image_sha256": image.sha256 if image else None,
        "media_type": image.media_type if image else None,
        "width": image.width if image else None,
        "height": image.height if image else None,
    }
