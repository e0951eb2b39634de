"""Comics, pages and progress as the API shows them: the queries behind the answers."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from shared.domain.addresses import page_address
from shared.domain.answers import ComicState, ComicView, JobView, PageView, Progress, StageCounts
from shared.domain.pipeline import STAGES
from shared.errors import NotFound
from shared.store.db import Row, row, rows
from shared.store.shelves import ON_SHELF, shelf_parameters
from shared.work import jobs

# A comic's state follows from its ingest job: nothing is stored twice. `details`, which may be long, is not shown.
COMIC = """
    SELECT c.id, c.title, c.file_name, c.sha256, c.size, c.media_type, c.direction, c.series, c.number, c.volume,
           c.year, c.language, c.publisher, c.source, c.collection, c.origins, c.hidden, c.page_count, c.created_at,
           c.reference IS NOT NULL AS referenced, j.state AS job_state, j.error AS job_error,
           (SELECT count(*) FROM page p WHERE p.comic_id = c.id AND p.state = 'unreadable') AS unreadable
    FROM comic c
    LEFT JOIN LATERAL (SELECT state, error FROM job WHERE stage = 'ingest' AND subject_id = c.id
                       ORDER BY id DESC LIMIT 1) j ON true"""


def comic_view(found: Row) -> ComicView:
    """A row of `COMIC` as shown."""
    state: ComicState = "waiting"
    if found["job_state"] == "failed":
        state = "failed"
    elif found["page_count"] is not None:
        state = "ready"
    shown = {name: found[name] for name in ComicView.model_fields if name not in ("state", "error")}
    return ComicView(**shown, state=state, error=found["job_error"] if state == "failed" else None)


def comic_of(connection: sa.Connection, comic_id: int) -> ComicView:
    """One comic; NotFound names the id."""
    found = row(connection, f"{COMIC} WHERE c.id = :id", id=comic_id)
    if found is None:
        raise NotFound(f"There is no comic {comic_id}; GET /comics lists those there are.")
    return comic_view(found)


def pages_of(connection: sa.Connection, comic_id: int, *, after: int, limit: int) -> list[PageView]:
    """Pages of a comic in order, those with a number above `after`."""
    found = rows(
        connection,
        "SELECT p.*, l.kind AS layout_kind, "
        "CASE WHEN l.id IS NOT NULL THEN (SELECT count(*) FROM panel WHERE layout_id = l.id) END AS panel_count "
        "FROM page p LEFT JOIN layout l ON l.id = p.layout_id "
        "WHERE p.comic_id = :comic AND p.number > :after ORDER BY p.number LIMIT :limit",
        comic=comic_id,
        after=after,
        limit=limit,
    )
    return [page_view(found_row) for found_row in found]


def page_view(found: Row) -> PageView:
    """A page's row as shown."""
    address = page_address(found["image_sha256"]) if found["state"] == "ok" else None
    return PageView(image=address, **{name: found[name] for name in PageView.model_fields if name != "image"})


def progress_of(connection: sa.Connection, comic_id: int | None = None) -> Progress:
    """Job counts of one comic, or of everything, in pipeline order."""
    counts = jobs.counts(connection, comic_id)
    stages = {name: StageCounts(**counts[name]) for name in STAGES if name in counts}
    total = sum(sum(states.values()) for states in counts.values())
    open_ = sum(states.get("queued", 0) + states.get("running", 0) for states in counts.values())
    failed = sum(states.get("failed", 0) for states in counts.values())
    return Progress(stages=stages, total=total, ended=total - open_, failed=failed, finished=open_ == 0)


def failures_of(
    connection: sa.Connection,
    *,
    state: str,
    comic_id: int | None,
    sources: Sequence[str] | None,
    collections: Sequence[str] | None,
    before: int | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Jobs in one state, newest first; where shelves are named, of comics on them."""
    shelved = f"AND EXISTS (SELECT FROM comic c WHERE c.id = job.comic_id AND {ON_SHELF}) "
    found = rows(
        connection,
        "SELECT * FROM job WHERE state = :state AND (CAST(:comic AS bigint) IS NULL OR comic_id = :comic) "
        f"{shelved if sources or collections else ''}"
        "AND (CAST(:before AS bigint) IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit",
        state=state,
        comic=comic_id,
        **(shelf_parameters(sources, collections) if sources or collections else {}),
        before=before,
        limit=limit,
    )
    return [{name: found_row[name] for name in JobView.model_fields} for found_row in found]
