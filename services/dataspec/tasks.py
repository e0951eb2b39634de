"""Stage *align*: the active layout's panels get their text, from OCR and VLM, by geometry, and its verdict."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from services.dataspec.evidence import PageEvidence, page_evidence
from shared.domain.dataspec import PanelEvidence
from shared.domain.pipeline import STAGES
from shared.domain.schema import Box, DetectedObject, Direction, PageExtraction, PageReading
from shared.domain.text import normalise
from shared.settings import settings
from shared.store.db import Row, row, rows, unit_of_work
from shared.work import jobs
from shared.work.jobs import Claim
from shared.work.stages import Done, Failed, database_url, deleted, stage

INPUT = """
    SELECT p.id, p.layout_id, p.ocr_id, p.vlm_id, l.direction, l.objects, o.content AS ocr, v.content AS vlm,
           (SELECT json_agg(json_build_array(n.id, n.x, n.y, n.w, n.h) ORDER BY n.position)
            FROM panel n WHERE n.layout_id = l.id) AS panels,
           (SELECT json_agg(json_build_array(n.x, n.y, n.w, n.h) ORDER BY n.position)
            FROM panel n WHERE n.layout_id = v.layout_id) AS asked
    FROM page p JOIN layout l ON l.id = p.layout_id
    LEFT JOIN extraction o ON o.id = p.ocr_id LEFT JOIN extraction v ON v.id = p.vlm_id
    WHERE p.id = ANY(:ids)"""

TEXT_COLUMNS = (
    "literal", "descriptive", "normalised", "pieces", "characters", "verdict", "confidence", "reason",
    "ocr_id", "vlm_id", "job_id",
)  # fmt: skip
PAGE_COLUMNS = ("layout_id", "ocr_id", "vlm_id", "perfect", "equal_counts", "leftovers", "reason", "job_id")


def _upsert(table: str, key: str, columns: Sequence[str]) -> sa.TextClause:
    values = ", ".join(f":{name}" for name in columns)
    changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns)
    return sa.text(
        f"INSERT INTO {table} ({key}, {', '.join(columns)}) VALUES (:{key}, {values}) "
        f"ON CONFLICT ({key}) DO UPDATE SET {changes}"
    )


@stage("align")
def align(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
    """Assign, judge and join text page by page; cheap, so that every new layout or reading simply does it again."""
    with unit_of_work(database_url()) as connection:
        pages = {page["id"]: page for page in rows(connection, INPUT, ids=[claim.subject_id for claim in claims])}
    for claim in claims:
        if claim.subject_id not in pages:
            yield deleted(claim)
            continue
        page = pages[claim.subject_id]
        panels, asked = page["panels"] or [], page["asked"] or []
        boxes = [Box(*panel[1:]) for panel in panels]
        direction = Direction(page["direction"])
        extraction = PageExtraction.model_validate(page["ocr"]) if page["ocr"] else None
        # Without the layout it was asked about, nobody knows which panels the answers mean.
        reading = PageReading.model_validate(page["vlm"]) if page["vlm"] and asked else None
        # The VLM may have been asked about an earlier layout: its answers follow the boxes, never the numbers.
        about = [Box(*box) for box in asked]
        evidence = page_evidence(
            extraction,
            reading,
            boxes,
            direction=direction,
            asked=about,
            objects=[DetectedObject.model_validate(seen) for seen in page["objects"]],
        )
        trace = {"ocr_id": page["ocr_id"], "vlm_id": page["vlm_id"], "job_id": claim.job_id}
        written = [
            {"panel_id": panel[0], **trace, **text_row(found)}
            for panel, found in zip(panels, evidence.panels, strict=True)
        ]
        judged = {"page_id": page["id"], "layout_id": page["layout_id"], **trace, **page_row(evidence)}
        yield Done([claim], partial(store_texts, claim, page, judged, written))


def text_row(found: PanelEvidence) -> dict[str, Any]:
    """A panel's text and evidence as columns of `panel_text`; `literal` is its pieces, as a DataSpec has them."""
    return {
        "literal": found.text,
        "descriptive": found.descriptive,
        "normalised": normalise(f"{found.text}\n{found.descriptive}"),
        "pieces": json.dumps([piece.model_dump(mode="json") for piece in found.literal]),
        "characters": json.dumps(found.characters),
        "verdict": found.verdict,
        "confidence": found.confidence,
        "reason": found.reason,
    }


def page_row(evidence: PageEvidence) -> dict[str, Any]:
    """What follows for a page as columns of `alignment`."""
    return {
        "perfect": evidence.perfect,
        "equal_counts": evidence.equal_counts,
        "leftovers": json.dumps(evidence.leftovers),
        "reason": evidence.reason,
    }


def store_texts(
    claim: Claim, read: Row, judged: dict[str, Any], written: list[dict[str, Any]], connection: sa.Connection
) -> None:
    """Write texts and verdicts, unless the page got another layout or reading since: then a newer job writes.

    A job that wrote nothing gives its fingerprint up, so that the same inputs, active again one day, are aligned. They
    may be by now: whoever made them so while it ran has relied on it.
    """
    now = row(connection, "SELECT layout_id, ocr_id, vlm_id FROM page WHERE id = :id FOR UPDATE", id=claim.subject_id)
    if now is None or any(now[name] != read[name] for name in ("layout_id", "ocr_id", "vlm_id")):
        connection.execute(
            sa.text("UPDATE job SET fingerprint = concat(fingerprint, ' overtaken ', id) WHERE id = :id"),
            {"id": claim.job_id},
        )
        jobs.plan(connection, STAGES["align"], settings(), subjects=[claim.subject_id])
        return
    connection.execute(_upsert("alignment", "page_id", PAGE_COLUMNS), judged)
    if written:
        connection.execute(_upsert("panel_text", "panel_id", TEXT_COLUMNS), written)
