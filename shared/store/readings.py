"""Readings as rows: what OCR read on a page, together with what the comic's own file states of its words."""

import sqlalchemy as sa

from shared.domain.readings import beside
from shared.domain.schema import PageExtraction
from shared.store.active import Source, activate
from shared.store.db import row


def add_reading(
    connection: sa.Connection, page_id: int, found: PageExtraction, *, source: Source, job_id: int | None = None
) -> int:
    """Store a reading of literal text; its id."""
    made = row(
        connection,
        "INSERT INTO extraction (page_id, engine, model, source, content, job_id) "
        "VALUES (:page, 'ocr', :model, :source, CAST(:content AS jsonb), :job) RETURNING id",
        page=page_id,
        model=found.model,
        source=source,
        content=found.model_dump_json(),
        job=job_id,
    )
    assert made is not None
    return int(made["id"])


def store_read(connection: sa.Connection, page_id: int, found: PageExtraction, *, job_id: int | None = None) -> None:
    """Make what OCR read active; beside words that the file states, in a reading of both."""
    activate(connection, page_id, "ocr_id", add_reading(connection, page_id, found, source="model", job_id=job_id))
    stated = row(
        connection,
        "SELECT e.content FROM page p JOIN extraction e ON e.id = p.ocr_id "
        "WHERE p.id = :page AND e.source = 'import' AND e.content IS NOT NULL",
        page=page_id,
    )
    if stated is not None:
        both = beside(PageExtraction.model_validate(stated["content"]), found)
        made = add_reading(connection, page_id, both, source="import", job_id=job_id)
        activate(connection, page_id, "ocr_id", made, source="import")
