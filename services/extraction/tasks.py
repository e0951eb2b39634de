"""Stages *read* (OCR, free) and *extract* (VLM, paid)."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from services.extraction.ocr import OcrReader
from shared.domain.pictures import decode
from shared.domain.schema import Box, DetectedObject, PageExtraction
from shared.errors import Reject
from shared.settings import settings
from shared.store.active import activate
from shared.store.blobs import get_blob, storage_of
from shared.store.db import row, rows, unit_of_work
from shared.work.jobs import Claim
from shared.work.stages import Done, Failed, database_url, stage


@cache
def reader() -> OcrReader:
    """The OCR engine of this process; its networks load at the first page."""
    return OcrReader(threads=1)  # the queue runs a process for each core


@stage("read")
def read(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
    """Read page by page, so that each is finished as soon as it is."""
    configured = settings()
    storage = storage_of(configured)
    with unit_of_work(database_url()) as connection:
        found = rows(
            connection,
            "SELECT p.id, p.image_sha256, p.name, l.objects FROM page p LEFT JOIN layout l ON l.id = p.layout_id "
            "WHERE p.id = ANY(:ids)",
            ids=[claim.subject_id for claim in claims],
        )
    pages = {page["id"]: page for page in found}
    for claim in claims:
        page = pages[claim.subject_id]
        try:
            image = decode(get_blob(storage, page["image_sha256"]), name=page["name"])
        except Reject as error:
            yield Failed(claim, error)
            continue
        boxes = text_boxes(page["objects"] or [])
        extraction = reader().read_page(image, read="boxes" if configured.read == "boxes" else "full", boxes=boxes)

        def store(connection: sa.Connection, claim: Claim = claim, extraction: PageExtraction = extraction) -> None:
            made = row(
                connection,
                "INSERT INTO extraction (page_id, engine, model, source, content, job_id) "
                "VALUES (:page, 'ocr', :model, 'model', CAST(:content AS jsonb), :job) RETURNING id",
                page=claim.subject_id,
                model=extraction.model,
                content=extraction.model_dump_json(),
                job=claim.job_id,
            )
            assert made is not None
            activate(connection, claim.subject_id, "ocr_id", made["id"])

        yield Done([claim], store)


def text_boxes(objects: Sequence[Any]) -> list[Box]:
    """Boxes of the text that a detector saw, from a layout's stored objects."""
    seen = [DetectedObject.model_validate(found) for found in objects]
    return [found.box for found in seen if found.label == "text"]
