"""REST of how far the work is: `/status`, `/jobs`, and the progress of a comic."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from fastapi.concurrency import run_in_threadpool

from services.ingestion.routes.comics import Collections, Sources
from services.ingestion.views import comic_of, failures_of, progress_of
from shared.domain.answers import JobPage, JobView, Progress
from shared.errors import NotFound
from shared.http.app import Database, event_stream
from shared.store.db import unit_of_work
from shared.work import jobs
from shared.work.broker import wake

router = APIRouter()
Id = Annotated[int, Path(ge=1, description="id")]
Limit = Annotated[int, Query(ge=1, le=500)]
EVENT_SECONDS = 0.5


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
    source: Sources = None,
    collection: Collections = None,
    before: Annotated[int | None, Query(ge=1, description="the `next` of the slice before")] = None,
    limit: Limit = 100,
) -> JobPage:
    """Jobs in one state, newest first, each with its error."""
    with unit_of_work(url) as connection:
        found = failures_of(
            connection, state=state, comic_id=comic_id, sources=source, collections=collection,
            before=before, limit=limit + 1,
        )  # fmt: skip
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
