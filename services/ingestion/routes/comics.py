"""REST of comics and their pages: `/comics`."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from services.ingestion.views import COMIC, comic_of, comic_view, pages_of
from shared.domain.answers import ComicPage, ComicView, Facet, Facets, PagePage
from shared.http.app import Database
from shared.store.db import rows, unit_of_work
from shared.store.shelves import ON_SHELF, shelf_names, shelf_parameters

router = APIRouter()
Id = Annotated[int, Path(ge=1, description="id")]
Limit = Annotated[int, Query(ge=1, le=500)]
Sources = Annotated[list[str] | None, Query(max_length=100, description="only from these sources; exact names")]
Collections = Annotated[list[str] | None, Query(max_length=100, description="only of these collections; exact names")]
LISTED = f"""
    {COMIC} WHERE c.id > :after AND position(lower(:title) IN lower(c.title)) > 0 AND {ON_SHELF}
    AND (CAST(:series AS text) IS NULL OR c.series = :series)
    AND (CAST(:hidden AS boolean) IS NULL OR c.hidden = :hidden) ORDER BY c.id LIMIT :limit"""


@router.get("/comics", tags=["comics"], summary="List comics")
def list_comics(
    url: Database,
    after: Annotated[int, Query(ge=0, description="the `next` of the slice before")] = 0,
    limit: Limit = 100,
    title: Annotated[str, Query(description="part of the title")] = "",
    source: Sources = None,
    collection: Collections = None,
    series: Annotated[str | None, Query(description="the series' exact name")] = None,
    hidden: Annotated[Literal["true", "false", "all"], Query(description="comics somebody put aside")] = "all",
) -> ComicPage:
    """Comics in the order they were added; hidden ones are among them and say so.

    A source, collection or series that no comic has gives an empty list.
    """
    with unit_of_work(url) as connection:
        found = rows(
            connection,
            LISTED,
            after=after,
            title=title,
            series=series,
            hidden=None if hidden == "all" else hidden == "true",
            limit=limit + 1,
            **shelf_parameters(source, collection),
        )
    items = [comic_view(found_row) for found_row in found[:limit]]
    return ComicPage(items=items, next=items[-1].id if len(found) > limit else None)


@router.get("/comics/facets", tags=["comics"], summary="The sources and collections there are")
def get_facets(url: Database, source: Sources = None, collection: Collections = None) -> Facets:
    """What there is to filter by, with how many comics, the most first.

    With `source`, collections are counted among the comics from there; with `collection`, sources likewise.
    """
    with unit_of_work(url) as connection:
        sources = shelf_names(connection, "source", collections=collection)
        collections = shelf_names(connection, "collection", sources=source)
    return Facets(sources=[Facet(**one) for one in sources], collections=[Facet(**one) for one in collections])


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
