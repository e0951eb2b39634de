"""REST of finding: `/search` and `/embeddings`."""

import json
from functools import cache
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from services.search.library import Library, forget_damaged
from services.search.queries import search
from shared.domain.answers import EmbeddingStatus, SearchAnswer, SearchRequest
from shared.domain.pictures import Picture
from shared.domain.pipeline import STAGES
from shared.errors import Reject
from shared.http.app import Configured, Database, create_app
from shared.http.sent_pictures import sent_picture
from shared.settings import Settings
from shared.store.db import row, unit_of_work
from shared.store.vectors import PAGE, PANEL
from shared.work import jobs
from shared.work.broker import wake

router = APIRouter()
ENOUGH = 1_500_000  # pixels of a query; an encoder looks at a twentieth of them
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": SearchRequest.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "words": {"type": "string"},
                        "filters": {"type": "string", "description": "JSON, as in the other form"},
                        "limit": {"type": "integer"},
                    },
                }
            },
        },
    }
}


@cache
def library_of(configured: Settings) -> Library:
    """The library of this process."""
    return Library(configured)


@router.post("/search", tags=["search"], openapi_extra=BODY, summary="Find panels or pages")
async def post_search(request: Request, url: Database, configured: Configured) -> SearchAnswer:
    """By panel, by words, by a picture, or by words with one of the others.

    JSON: `{"panel_id": 12}`, `{"words": "map and compass"}`, with `limit` and `filters`: `{"collections": ["2000AD"]}`.
    A picture comes as a form: `curl -F image=@panel.jpg`, with `words`, `filters` (JSON) and `limit` as further fields.
    """
    wanted, image = await _read(request, configured)

    def answer() -> SearchAnswer:
        with unit_of_work(url) as connection:
            return search(
                connection,
                library_of(configured),
                panel_id=wanted.panel_id,
                image=image,
                words=wanted.words,
                filters=wanted.filters,
                limit=wanted.limit,
            )

    return await run_in_threadpool(answer)


@router.get("/embeddings", tags=["search"], summary="What the index holds")
def get_embeddings(url: Database, configured: Configured) -> EmbeddingStatus:
    """Stored segments and rows, and how much of it the index of this process has loaded."""
    library = library_of(configured)
    with unit_of_work(url) as connection:
        space = library.space(connection)
        stored = row(
            connection,
            "SELECT count(*) AS segments, coalesce(sum(rows), 0) AS rows FROM segment WHERE checkpoint_id = :id",
            id=space.checkpoint_id,
        )
    assert stored is not None
    return EmbeddingStatus(
        checkpoint_id=space.checkpoint_id,
        segments=stored["segments"],
        rows=stored["rows"],
        panels_indexed=space.index.count(PANEL),
        damaged_segments=len(space.damaged),
        pages_indexed=space.index.count(PAGE),
    )


@router.post("/embeddings/missing", tags=["search"], status_code=202, summary="Make vectors that are missing")
def embed_missing(url: Database, configured: Configured) -> dict[str, int]:
    """Embed every page that lacks vectors of the active encoder or whose vectors cannot be read; jobs by stage."""
    library = library_of(configured)
    with unit_of_work(url) as connection:
        forget_damaged(connection, library.space(connection))
        planned = {
            name: jobs.plan(connection, STAGES[name], configured, again=True) for name in ("align", "embed", "reembed")
        }
    wake(planned)
    return planned


async def _read(request: Request, configured: Settings) -> tuple[SearchRequest, Picture | None]:
    """The query of a request, JSON or form, and its picture."""
    image: Picture | None = None
    try:
        if request.headers.get("content-type", "").startswith("multipart/"):
            async with request.form(max_files=1, max_fields=8) as form:
                fields: dict[str, Any] = {name: value for name, value in form.items() if isinstance(value, str)}
                if "filters" in fields:
                    fields["filters"] = json.loads(fields["filters"])
                file = form.get("image")
                if isinstance(file, UploadFile):
                    image = await sent_picture(configured, file, enough=ENOUGH)
        else:
            fields = json.loads(await request.body())
        return SearchRequest.model_validate(fields), image
    except ValidationError as error:
        first = error.errors()[0]
        raise Reject(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    except ValueError as error:
        raise Reject("The body is neither JSON nor a form; see /docs for examples.") from error


app = create_app("search", [router])
