"""REST of comics and their pages: `/comics`."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.ingestion.views import COMIC, comic_of, comic_view, pages_of
from shared.domain.answers import ComicPage, ComicView, PagePage
from shared.http.app import Database
from shared.store.db import rows, unit_of_work

router = APIRouter()
Id = Annotated[int, Path(ge=1, description="id")]
Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("/comics", tags=["comics"], summary="List comics")
def list_comics(
    url: Database,
    after: Annotated[int, Query(ge=0, description="the `next` of the slice before")] = 0,
    limit: Limit = 100,
    title: Annotated[str, Query(description="part of the title")] = "",
) -> ComicPage:
    """Comics in the order they were added."""
    with unit_of_work(url) as connection:
        found = rows(
            connection,
            f"{COMIC} WHERE c.id > :after AND position(lower(:title) IN lower(c.title)) > 0 ORDER BY c.id LIMIT :limit",
            after=after,
            title=title,
            limit=limit + 1,
        )
    items = [comic_view(found_row) for found_row in found[:limit]]
    return ComicPage(items=items, next=items[-1].id if len(found) > limit else None)


@router.get("/comics/{comic_id}", tags=["comics"], summary="One comic")
def get_comic(comic_id: Id, url: Database) -> ComicView:
    """One comic with its state."""
    with unit_of_work(url) as connection:
        return comic_of(connection, comic_id)


@router.get("/comics/{comic_id}/pages", tags=["comics"], summary="Pages of a comic")
def list_pages(
    comic_id: Id,
    url: Database,
    after: Annotated[int, Query(ge=-1, description="the `next` of the slice before")] = -1,
    limit: Limit = 100,
) -> PagePage:
    """Pages in the file's order; an unreadable page is there and says why."""
    with unit_of_work(url) as connection:
        comic_of(connection, comic_id)
        items = pages_of(connection, comic_id, after=after, limit=limit + 1)
    following = items[limit - 1].number if len(items) > limit else None
    return PagePage(items=items[:limit], next=following)
