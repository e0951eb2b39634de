"""REST of comics on their way in: `POST /comics`."""

from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from services.ingestion.pages import require_readable
from services.ingestion.views import COMIC, comic_view
from shared.domain.answers import ComicView
from shared.domain.pipeline import STAGES
from shared.errors import Reject
from shared.files.formats import open_container
from shared.http.app import Configured, Database
from shared.http.uploads import UPLOAD_BODY, receive, sent_file
from shared.settings import Settings
from shared.store.blobs import put_blob_file, storage_of
from shared.store.db import row, unit_of_work
from shared.work import jobs
from shared.work.broker import wake

router = APIRouter()
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
