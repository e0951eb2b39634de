"""REST of duplicates: `/duplicates`, and what a person wishes about a page."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.ingestion.records.decisions import decide
from services.ingestion.records.duplicates import duplicates, open_groups
from services.ingestion.records.hiding import Change, settle_work, wish_page
from services.ingestion.views import pages_of
from shared.domain.answers import PageView
from shared.domain.duplicates import (
    DuplicateCounts,
    DuplicateDecision,
    DuplicateKind,
    DuplicateOutcome,
    DuplicateSlice,
    DuplicateState,
    PageChanges,
)
from shared.errors import NotFound
from shared.http.app import Configured, Database
from shared.store.db import row, unit_of_work
from shared.work.broker import wake

router = APIRouter()
Id = Annotated[int, Path(ge=1, description="id")]


@router.get("/duplicates", tags=["duplicates"], summary="Groups of what looks the same")
def list_duplicates(
    url: Database,
    kind: Annotated[DuplicateKind, Query(description="files of the same bytes, comics, or single pages")] = "comic",
    state: Annotated[DuplicateState | None, Query(description="left out: open and decided")] = None,
    after: Annotated[int, Query(ge=0, description="the `next` of the slice before")] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DuplicateSlice:
    """Groups of one kind, each with the one to keep and why; a slice may hold fewer or a few more than `limit`.

    `comic`: the same comic from another source. Issues that share advertisements, and a collected edition and an issue
    in it, are not; their near-identical pages are groups of the kind `page`. A page repeated in its own comic is none.
    """
    with unit_of_work(url) as connection:
        return duplicates(connection, kind, state=state, after=after, limit=limit)


@router.get("/duplicates/counts", tags=["duplicates"], summary="How many groups are to be decided about")
def count_duplicates(url: Database) -> DuplicateCounts:
    """Open groups of each kind; counting ends at a thousand of a kind."""
    with unit_of_work(url) as connection:
        return open_groups(connection)


@router.post("/duplicates/decisions", tags=["duplicates"], summary="Decide about duplicates")
def post_decision(decision: DuplicateDecision, url: Database, configured: Configured) -> DuplicateOutcome:
    """Keep one and hide others, call some distinct, or undo either. Remembered; nothing is deleted.

    Hidden pages are not worked on and not found; their jobs that nobody has begun are removed. Shown again, what they
    lack is planned again.
    """
    with unit_of_work(url) as connection:
        change = decide(connection, configured, decision)
    return _outcome(change)


@router.patch("/pages/{page_id}", tags=["comics"], summary="Hide a page, or show it")
def patch_page(page_id: Id, changes: PageChanges, url: Database, configured: Configured) -> PageView:
    """A page that a person hides stays hidden whatever is decided about duplicates."""
    with unit_of_work(url) as connection:
        place = row(connection, "SELECT comic_id, number FROM page WHERE id = :id FOR UPDATE", id=page_id)
        if place is None:
            raise NotFound(f"There is no page {page_id}; GET /comics/{{id}}/pages lists a comic's pages.")
        change = settle_work(connection, configured, wish_page(connection, page_id, hidden=changes.hidden))
        (page,) = pages_of(connection, place["comic_id"], after=place["number"] - 1, limit=1)
    wake(change.planned)
    return page


def _outcome(change: Change) -> DuplicateOutcome:
    wake(change.planned)
    return DuplicateOutcome(
        hidden_pages=len(change.hidden),
        shown_pages=len(change.shown),
        removed=change.removed,
        planned=change.planned,
    )
