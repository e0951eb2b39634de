"""Corrected pages out of the database, and the ones a run was begun with."""

from collections.abc import Iterator
from contextlib import suppress

import sqlalchemy as sa

from services.training.corrections import CorrectedPage, Corrections, divided
from shared.domain.schema import Box, DetectedObject
from shared.errors import NotFound
from shared.store.db import rows
from shared.store.matches import same_comics
from shared.store.storage import Storage

SURE = 0.5  # of a machine's objects that stand in a corrected layout
PAGES = """
    SELECT p.id, c.sha256, p.image_sha256, p.width, p.height, l.source, l.direction, l.objects,
           coalesce((SELECT json_agg(json_build_array(n.x, n.y, n.w, n.h) ORDER BY n.position)
                     FROM panel n WHERE n.layout_id = l.id), '[]') AS panels,
           CASE WHEN l.source = 'import' AND l.objects = '[]' THEN coalesce((
                SELECT m.objects FROM layout m WHERE m.page_id = p.id AND m.source = 'model'
                ORDER BY m.id DESC LIMIT 1), '[]') END AS guessed
    FROM page p JOIN layout l ON l.id = p.layout_id JOIN comic c ON c.id = p.comic_id
    WHERE p.state = 'ok' AND p.hidden IS NULL AND l.source = ANY(:sources)
    ORDER BY c.sha256 COLLATE "C", p.number"""
# Runs whose detectors the one in use goes back to.
LINE = """
    WITH RECURSIVE line AS (
        SELECT k.run_id FROM checkpoint k WHERE k.id = :detector
        UNION SELECT k.run_id FROM line l JOIN run r ON r.id = l.run_id JOIN checkpoint k ON k.id = r.start_id)
    SELECT run_id FROM line WHERE run_id IS NOT NULL"""


def freeze(connection: sa.Connection, storage: Storage, run_id: int, *, include_imports: bool, beside: int) -> None:
    """Keep the pages as they are corrected now for a run. `Conflict` says what to do when there are too few.

    `beside` is the checkpoint in use, which the run's is to be measured beside.
    """
    sources = ["person", "import"] if include_imports else ["person"]
    pages = [_page(found) for found in rows(connection, PAGES, sources=sources)]
    seen = set(_seen(connection, storage, beside))
    made = divided(pages, same=same_comics(connection), seen=seen)
    storage.put(key_of(run_id), made.model_dump_json().encode())


def frozen(storage: Storage, run_id: int) -> Corrections:
    """The pages a run was begun with; NotFound when they are gone."""
    return Corrections.model_validate_json(storage.get(key_of(run_id)))


def key_of(run_id: int) -> str:
    """Where the pages of a run are kept. They stay: what a detector has learnt from is never new to it."""
    return f"runs/{run_id}/pages.json"


def _page(found: sa.RowMapping) -> CorrectedPage:
    # A file states panels and nothing else: what the machine saw beside them must not count as nothing.
    objects = [DetectedObject.model_validate(seen) for seen in found["guessed"] or found["objects"]]
    return CorrectedPage(
        page_id=found["id"],
        comic=found["sha256"],
        image_sha256=found["image_sha256"],
        source=found["source"],
        width=found["width"],
        height=found["height"],
        direction=found["direction"],
        panels=[Box(*box) for box in found["panels"]],
        objects=[(seen.label, seen.box) for seen in objects if seen.score >= SURE and seen.label != "panel"],
    )


def _seen(connection: sa.Connection, storage: Storage, detector_id: int) -> Iterator[str]:
    for found in rows(connection, LINE, detector=detector_id):
        with suppress(NotFound):
            yield from (page.image_sha256 for page in frozen(storage, found["run_id"]).train)
