"""REST of comics: `/comics`, `/images`, and how far the work is: `/status`, `/jobs`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from services.ingestion.formats import open_container
from services.ingestion.pages import require_readable
from services.ingestion.views import COMIC, comic_of, comic_view, failures_of, pages_of, progress_of
from shared.domain.answers import ComicPage, ComicView, JobPage, JobView, PagePage, Progress
from shared.domain.pipeline import STAGES
from shared.errors import NotFound, Reject
from shared.http.app import Configured, Database, create_app, event_stream
from shared.http.uploads import UPLOAD_BODY, receive, sent_file
from shared.settings import Settings
from shared.store.blobs import get_blob, put_blob_file, storage_of
from shared.store.db import row, rows, unit_of_work
from shared.work import jobs
from shared.work.broker import wake

router = APIRouter()
Id = Annotated[int, Path(ge=1, description="id")]
Limit = Annotated[int, Query(ge=1, le=500)]
EVENT_SECONDS = 0.5
PDF = "application/pdf"


@router.post("/comics", tags=["comics"], status_code=202, openapi_extra=UPLOAD_BODY, summary="Add a comic")
async def add_comic(
    request: Request,
    response: Response,
    url: Database,
    configured: Configured,
    filename: Annotated[str | None, Query(description="the file's name when the body is the bare file")] = None,
) -> ComicView:
    """Stream a comic in, as a form (`curl -F file=@comic.cbz`) or as the bare body with `?filename=`.

    The file is checked before anything is kept; 202 and the new comic, or 200 and the one that has the same bytes.
    """
    storage = storage_of(configured)
    try:
        name, chunks = await sent_file(request, filename=filename)
        with storage.scratch_file() as draft:
            received = await receive(chunks, draft, limit=configured.upload_limit, name=name)

            def keep() -> tuple[ComicView, bool]:
                with open_container(draft, name=name) as container:
                    media_type = container.media_type
                    if media_type != PDF:  # drawing a stranger's PDF may take for ever: the worker's job, with a limit
                        require_readable(container)
                put_blob_file(storage, received.sha256, draft)
                return _insert(url, configured, received.sha256, name, received.size, media_type)

            comic, new = await run_in_threadpool(keep)
    except ClientDisconnect as cut:
        raise Reject("The upload was cut off; nothing was kept, send it again.") from cut
    if new:
        await run_in_threadpool(wake, {"ingest": 1})
    else:
        response.status_code = 200
    return comic


def _insert(
    url: str, configured: Settings, sha256: str, name: str, size: int, media_type: str
) -> tuple[ComicView, bool]:
    with unit_of_work(url) as connection:
        inserted = row(
            connection,
            "INSERT INTO comic (sha256, file_name, title, size, media_type) "
            "VALUES (:sha256, :name, :title, :size, :media_type) ON CONFLICT (sha256) DO NOTHING RETURNING id",
            sha256=sha256,
            name=name,
            title=PurePosixPath(name).stem.replace("_", " ").strip() or name,
            size=size,
            media_type=media_type,
        )
        if inserted is not None:
            jobs.plan(connection, STAGES["ingest"], configured, subjects=[inserted["id"]])
        found = row(connection, f"{COMIC} WHERE c.sha256 = :sha256", sha256=sha256)
        assert found is not None
        return comic_view(found), inserted is not None


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


@router.get("/images/{page_id}", tags=["images"], response_class=Response, summary="A page's image, verbatim")
def get_image(page_id: Id, url: Database, configured: Configured) -> Response:
    """The bytes as they came; EXIF orientation is in them."""
    with unit_of_work(url) as connection:
        page = row(connection, "SELECT image_sha256, media_type, error FROM page WHERE id = :id", id=page_id)
    if page is None:
        raise NotFound(f"There is no page {page_id}.")
    if page["image_sha256"] is None:
        raise NotFound(f"Page {page_id} has no image: {page['error']}")
    data = get_blob(storage_of(configured), page["image_sha256"])
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable",
        "ETag": f'"{page["image_sha256"]}"',
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type=page["media_type"], headers=headers)


@router.get("/status", tags=["work"], summary="How far everything is")
def get_status(url: Database) -> Progress:
    """Jobs of all comics by stage and state."""
    with unit_of_work(url) as connection:
        return progress_of(connection)


@router.get("/status/events", tags=["work"], summary="The same as server-sent events")
def status_events(url: Database) -> Any:
    """One event at every change, until nothing is queued or running."""
    return event_stream(_progress_events(url, None))


@router.get("/comics/{comic_id}/progress", tags=["comics"], summary="How far one comic is")
def get_progress(comic_id: Id, url: Database) -> Progress:
    """Jobs of one comic by stage and state."""
    with unit_of_work(url) as connection:
        comic_of(connection, comic_id)
        return progress_of(connection, comic_id)


@router.get("/comics/{comic_id}/events", tags=["comics"], summary="The same as server-sent events")
def comic_events(comic_id: Id, url: Database) -> Any:
    """One event at every change, until nothing is queued or running."""
    with unit_of_work(url) as connection:
        comic_of(connection, comic_id)
    return event_stream(_progress_events(url, comic_id))


async def _progress_events(url: str, comic_id: int | None) -> AsyncIterator[dict[str, Any]]:
    def look() -> Progress:
        with unit_of_work(url) as connection:
            return progress_of(connection, comic_id)

    last: Progress | None = None
    while last is None or not last.finished:
        seen = await run_in_threadpool(look)
        if seen != last:
            last = seen
            yield seen.model_dump()
        if not seen.finished:
            await asyncio.sleep(EVENT_SECONDS)


@router.get("/jobs", tags=["work"], summary="Jobs that failed, wait or run")
def list_jobs(
    url: Database,
    state: Literal["failed", "blocked", "running", "queued", "done"] = "failed",
    comic_id: Annotated[int | None, Query(ge=1)] = None,
    before: Annotated[int | None, Query(ge=1, description="the `next` of the slice before")] = None,
    limit: Limit = 100,
) -> JobPage:
    """Jobs in one state, newest first, each with its error."""
    with unit_of_work(url) as connection:
        found = failures_of(connection, state=state, comic_id=comic_id, before=before, limit=limit + 1)
    items = [JobView(**found_row) for found_row in found[:limit]]
    return JobPage(items=items, next=items[-1].id if len(found) > limit else None)


@router.post("/jobs/{job_id}/retry", tags=["work"], summary="Try a failed job again")
def retry_job(job_id: Id, url: Database) -> dict[str, int]:
    """Queue a failed job with fresh attempts; how many jobs of which stage were queued."""
    with unit_of_work(url) as connection:
        queued = jobs.retry(connection, job_id=job_id)
    if not queued:
        raise NotFound(f"There is no failed or blocked job {job_id}; GET /jobs lists those there are.")
    wake(queued)
    return queued


@router.post("/comics/{comic_id}/retry", tags=["comics"], summary="Try all failed jobs of a comic again")
def retry_comic(comic_id: Id, url: Database) -> dict[str, int]:
    """Queue every failed job of a comic with fresh attempts."""
    with unit_of_work(url) as connection:
        comic_of(connection, comic_id)
        queued = jobs.retry(connection, comic_id=comic_id)
    wake(queued)
    return queued


app = create_app("ingestion", [router])
