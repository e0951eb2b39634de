"""Stage *align*: the active layout's panels get their text, from OCR and VLM, by geometry."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from services.dataspec.assignment import panel_texts
from shared.domain.schema import Box, Direction, PageExtraction, PageReading
from shared.domain.text import normalise
from shared.store.db import Row, row, rows, unit_of_work
from shared.work.jobs import Claim
from shared.work.stages import Done, database_url, stage

INPUT = """
    SELECT p.id, p.layout_id, p.ocr_id, p.vlm_id, l.direction, o.content AS ocr, v.content AS vlm,
           (SELECT json_agg(json_build_array(n.id, n.x, n.y, n.w, n.h) ORDER BY n.position)
            FROM panel n WHERE n.layout_id = l.id) AS panels,
           (SELECT json_agg(json_build_array(n.x, n.y, n.w, n.h) ORDER BY n.position)
            FROM panel n WHERE n.layout_id = v.layout_id) AS asked
    FROM page p JOIN layout l ON l.id = p.layout_id
    LEFT JOIN extraction o ON o.id = p.ocr_id LEFT JOIN extraction v ON v.id = p.vlm_id
    WHERE p.id = ANY(:ids)"""

UPSERT = """
    INSERT INTO panel_text (panel_id, literal, descriptive, normalised, ocr_id, vlm_id, job_id)
    VALUES (:panel_id, :literal, :descriptive, :normalised, :ocr_id, :vlm_id, :job_id)
    ON CONFLICT (panel_id) DO UPDATE SET literal = EXCLUDED.literal, descriptive = EXCLUDED.descriptive,
        normalised = EXCLUDED.normalised, ocr_id = EXCLUDED.ocr_id, vlm_id = EXCLUDED.vlm_id,
        job_id = EXCLUDED.job_id"""


@stage("align")
def align(claims: Sequence[Claim]) -> Iterator[Done]:
    """Assign and join text page by page; cheap, so that every new layout or reading simply does it again."""
    with unit_of_work(database_url()) as connection:
        pages = {page["id"]: page for page in rows(connection, INPUT, ids=[claim.subject_id for claim in claims])}
    for claim in claims:
        page = pages[claim.subject_id]
        panels, asked = page["panels"] or [], page["asked"] or []
        # Without the layout it was asked about, nobody knows which panels the answers mean.
        reading = PageReading.model_validate(page["vlm"]) if page["vlm"] and asked else None
        texts = panel_texts(
            PageExtraction.model_validate(page["ocr"]) if page["ocr"] else None,
            reading,
            [Box(*panel[1:]) for panel in panels],
            direction=Direction(page["direction"]),
            # The VLM may have been asked about an earlier layout: its answers follow the boxes, never the numbers.
            asked=[Box(*box) for box in asked],
        )
        written = [
            {
                "panel_id": panel[0],
                "literal": text.literal,
                "descriptive": text.descriptive,
                "normalised": normalise(f"{text.literal}\n{text.descriptive}"),
                "ocr_id": page["ocr_id"],
                "vlm_id": page["vlm_id"],
                "job_id": claim.job_id,
            }
            for panel, text in zip(panels, texts, strict=True)
        ]

        yield Done([claim], partial(store_texts, claim, page, written))


def store_texts(claim: Claim, read: Row, written: list[dict[str, Any]], connection: sa.Connection) -> None:
    """Write the texts, unless the page got another layout or reading since it was read: then a newer job writes.

    A job that wrote nothing gives its fingerprint up, so that the same inputs, active again one day, are aligned.
    """
    now = row(connection, "SELECT layout_id, ocr_id, vlm_id FROM page WHERE id = :id FOR UPDATE", id=claim.subject_id)
    if now is None or any(now[name] != read[name] for name in ("layout_id", "ocr_id", "vlm_id")):
        connection.execute(
            sa.text("UPDATE job SET fingerprint = concat(fingerprint, ' overtaken ', id) WHERE id = :id"),
            {"id": claim.job_id},
        )
    elif written:
        connection.execute(sa.text(UPSERT), written)
