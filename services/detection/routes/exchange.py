"""REST of panels in other people's formats: `/layouts/import` and `/layouts/export`."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from services.detection.exchange.mapping import read_mapping
from services.detection.records.exports import exported
from services.detection.records.imports import import_panels
from shared.domain.panel_exchange import PanelImport
from shared.errors import Reject
from shared.http.app import Configured, Database
from shared.http.uploads import multipart_file, receive
from shared.store.blobs import storage_of
from shared.work.broker import wake

router = APIRouter()
LARGEST = 8 << 30  # bytes of a file of panels; seven million annotations are 1.5 GB
LARGEST_MAPPING = 128 << 20  # a third of a million rows are 50 MB
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "mapping": {"type": "string", "description": "CSV or JSON, before the file: image_id, page_id"},
                        "file": {"type": "string", "format": "binary"},
                    },
                }
            }
        },
    }
}


@router.post("/layouts/import", tags=["layouts"], openapi_extra=BODY, summary="Import panels from a file")
async def add_panels(
    request: Request,
    url: Database,
    configured: Configured,
    dry_run: Annotated[bool, Query(description="only tell what would come of it")] = False,
) -> PanelImport:
    """COCO, Kumiko's JSON, or a list of the research code's files of pages; each image becomes its page's layout.

    Images are pages by the mapping, by the `sha256` of their bytes, or by a path that ends with comic and page; never
    by a bare name. A person's layout stays in force. The answer comes when all is done; sending the same twice adds
    nothing.
    """
    try:
        form = await multipart_file(
            request.stream(), request.headers.get("content-type", ""), field_bytes=LARGEST_MAPPING
        )
        with storage_of(configured).scratch_file() as draft:
            await receive(form.chunks, draft, limit=LARGEST, name=form.name)

            def take() -> PanelImport:
                told = read_mapping(form.fields["mapping"]) if "mapping" in form.fields else {}
                return import_panels(
                    url, configured, draft, name=form.name, mapping=told, dry_run=dry_run, wake=wake
                )  # fmt: skip

            return await run_in_threadpool(take)
    except ClientDisconnect as cut:
        raise Reject("The upload was cut off; nothing was kept, send it again.") from cut


@router.get("/layouts/export", tags=["layouts"], response_class=Response, summary="Active layouts as a file")
def export_panels(
    url: Database,
    comic: Annotated[list[int], Query(description="only of these comics")] = [],  # noqa: B006
    format: Literal["coco"] = "coco",
) -> StreamingResponse:
    """COCO with categories 1 panel, 2 character, 4 text and 7 face, real scores and the panels' reading order."""
    headers = {"Content-Disposition": f'attachment; filename="panels.{format}.json"'}
    return StreamingResponse(exported(url, comic), media_type="application/json", headers=headers)
