"""REST of what training reads: `/alignment`, the text of a page's panels, and `/datasets`, frozen sets of pages."""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from services.dataspec.datasets import lines_of, pieces_of, slice_of
from services.dataspec.folders import OldFolder, packed
from services.dataspec.library import freeze, keep
from services.dataspec.specs import parse_line
from services.dataspec.views import aligned_panels, dataset_of, dataset_views, datasets_of
from services.dataspec.zips import OpenedZip, zip_pieces
from shared.domain.dataspec import DatasetSlice, DataSpec, PieceOfText, Split, Verdict
from shared.domain.schema import Box, PanelText
from shared.domain.training import DatasetRequest, DatasetView
from shared.errors import NotFound, Reject
from shared.http.app import Configured, Database, create_app
from shared.http.uploads import UPLOAD_BODY, receive, sent_file
from shared.store.blobs import put_blob, storage_of
from shared.store.db import row, unit_of_work
from shared.store.page_images import page_image

router = APIRouter()
Id = Annotated[int, Path(ge=1, description="id")]
Limit = Annotated[int, Query(ge=1, le=500)]


class AlignedPanel(PanelText):
    """A panel of the active layout with its text; `verdict` is null while it has not been aligned."""

    panel_id: int
    position: int
    box: Box
    pieces: list[PieceOfText]
    characters: list[str]
    verdict: Verdict | None
    confidence: float
    reason: str | None = Field(description="why the panel is unverified")


class AlignedPage(BaseModel):
    """A page with the text of its panels; `aligned` is false while the text is still being read."""

    page_id: int
    layout_id: int | None
    ocr_id: int | None
    vlm_id: int | None
    aligned: bool
    perfect: bool = Field(description="every panel has its own verified text or is verified silent")
    equal_counts: bool | None = Field(description="the VLM told of as many panels as there are; null without a VLM")
    reason: str | None = Field(description="why the page is not perfect")
    leftovers: list[dict[str, Any]] = Field(description="texts that belong to no panel")
    panels: list[AlignedPanel]


@router.get("/alignment/{page_id}", tags=["alignment"], summary="The text of a page's panels")
def get_alignment(page_id: Id, url: Database) -> AlignedPage:
    """Panels of the active layout in reading order: what is written in them, told about them, and how sure that is."""
    with unit_of_work(url) as connection:
        page = row(
            connection,
            "SELECT p.id AS page_id, p.layout_id, p.ocr_id, p.vlm_id, a.perfect, a.equal_counts, a.reason, a.leftovers "
            "FROM page p LEFT JOIN alignment a ON a.page_id = p.id AND a.layout_id = p.layout_id "
            "AND a.ocr_id IS NOT DISTINCT FROM p.ocr_id AND a.vlm_id IS NOT DISTINCT FROM p.vlm_id WHERE p.id = :id",
            id=page_id,
        )
        if page is None:
            raise NotFound(f"There is no page {page_id}.")
        found = aligned_panels(connection, page["layout_id"])
    panels = [
        AlignedPanel(
            panel_id=panel["id"],
            position=panel["position"],
            box=Box(panel["x"], panel["y"], panel["w"], panel["h"]),
            literal=panel["literal"] or "",
            descriptive=panel["descriptive"] or "",
            pieces=panel["pieces"] or [],
            characters=panel["characters"] or [],
            verdict=panel["verdict"],
            confidence=panel["confidence"] or 0.0,
            reason=panel["reason"],
        )
        for panel in found
    ]
    plain = {name: page[name] for name in ("page_id", "layout_id", "ocr_id", "vlm_id", "equal_counts", "reason")}
    return AlignedPage(
        **plain,
        aligned=page["perfect"] is not None,
        perfect=bool(page["perfect"]),
        leftovers=page["leftovers"] or [],
        panels=panels,
    )


@router.post("/datasets", tags=["datasets"], status_code=201, summary="Freeze the pages that qualify now")
def add_dataset(wanted: DatasetRequest, response: Response, url: Database, configured: Configured) -> DatasetView:
    """An immutable dataset; 201 when it is new, 200 and the one there is when the same pages have the same split."""
    view, new = freeze(url, storage_of(configured), wanted)
    if not new:
        response.status_code = 200
    return view


@router.post(
    "/datasets/import", tags=["datasets"], status_code=201, openapi_extra=UPLOAD_BODY, summary="Import a v0.3 folder"
)
async def import_dataset(
    request: Request,
    response: Response,
    url: Database,
    configured: Configured,
    filename: Annotated[str | None, Query(description="the file's name when the body is the bare file")] = None,
    name: Annotated[str, Query(max_length=200)] = "",
    seed: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    held_out: Annotated[float, Query(ge=0, lt=1, description="used when no lists come with it")] = 0.2,
) -> DatasetView:
    """A zip of DataSpec v0.3 files and their images becomes a dataset; no comics are made.

    What is doubtful or had to be left out stands in the dataset's warnings, with the file and the reason.
    """
    storage = storage_of(configured)
    try:
        sent, chunks = await sent_file(request, filename=filename)
        with storage.scratch_file() as draft:
            await receive(chunks, draft, limit=configured.upload_limit, name=sent)

            def take() -> tuple[DatasetView, bool]:
                with OpenedZip(draft, name=sent) as archive:
                    folder = OldFolder(archive)
                    folder.scan()
                    kept = keep(
                        url, storage, folder.pages(lambda sha256, data: put_blob(storage, sha256, data)),
                        name=name or sent, request={"file": sent, "seed": seed, "held_out": held_out}, share=held_out,
                        seed=seed, given=folder.splits, said=folder.found.listed,
                    )  # fmt: skip
                if kept is None:
                    raise Reject(f"{sent} holds no page that can be used: {folder.found.refused[0]}.")
                return kept

            view, new = await run_in_threadpool(take)
    except ClientDisconnect as cut:
        raise Reject("The upload was cut off; nothing was kept, send it again.") from cut
    if not new:
        response.status_code = 200
    return view


@router.get("/datasets", tags=["datasets"], summary="List datasets")
def list_datasets(
    url: Database,
    before: Annotated[int | None, Query(ge=1, description="the last id of the slice before")] = None,
    limit: Limit = 100,
) -> list[DatasetView]:
    """Datasets, newest first."""
    with unit_of_work(url) as connection:
        return dataset_views(connection, datasets_of(connection, before=before, limit=limit))


@router.get("/datasets/schema", tags=["datasets"], summary="The JSON schema of a DataSpec")
def get_schema() -> dict[str, Any]:
    """DataSpec 1.0, as published in `docs/dataspec-1.0.schema.json`."""
    return DataSpec.model_json_schema()


@router.get("/datasets/{dataset_id}", tags=["datasets"], summary="One dataset")
def get_dataset(dataset_id: Id, url: Database) -> DatasetView:
    """What it holds and what to know before training on it."""
    with unit_of_work(url) as connection:
        return dataset_views(connection, [dataset_of(connection, dataset_id)])[0]


@router.get("/datasets/{dataset_id}/card", tags=["datasets"], summary="Its data card", response_model=None)
def get_card(
    dataset_id: Id,
    url: Database,
    configured: Configured,
    format: Annotated[Literal["json", "markdown"], Query()] = "json",
) -> dict[str, Any] | PlainTextResponse:
    """Counts and distributions, per comic and over all, with the warnings."""
    key = _key(url, dataset_id)
    if format == "markdown":
        text = storage_of(configured).get(f"{key}/card.md").decode()
        return PlainTextResponse(text, media_type="text/markdown; charset=utf-8")
    card: dict[str, Any] = json.loads(storage_of(configured).get(f"{key}/card.json"))
    return card


@router.get("/datasets/{dataset_id}/pages", tags=["datasets"], summary="Its pages as DataSpecs")
def list_dataset_pages(
    dataset_id: Id,
    url: Database,
    configured: Configured,
    split: Annotated[Split | None, Query()] = None,
    after: Annotated[int, Query(ge=0, description="the `next` of the slice before")] = 0,
    limit: Limit = 100,
) -> DatasetSlice:
    """Pages by comic key and page number, of one split or of both."""
    items, following = slice_of(storage_of(configured), _key(url, dataset_id), split=split, after=after, limit=limit)
    return DatasetSlice(items=items, next=following)


@router.get("/datasets/{dataset_id}/export", tags=["datasets"], response_class=Response, summary="All of it as a file")
def export_dataset(
    dataset_id: Id,
    url: Database,
    configured: Configured,
    format: Annotated[Literal["jsonl", "v0.3"], Query(description="lines of JSON, or a zip with images")] = "jsonl",
) -> StreamingResponse:
    """`jsonl`: a line `{"split", "page"}` a page. `v0.3`: the research format as a zip, for `/datasets/import`."""
    key, storage = _key(url, dataset_id), storage_of(configured)
    if format == "jsonl":
        headers = {"Content-Disposition": f'attachment; filename="dataset-{dataset_id}.jsonl"'}
        return StreamingResponse(pieces_of(storage, key), media_type="application/x-ndjson", headers=headers)
    lines = (parse_line(line) for _, line in lines_of(storage, key))
    files = packed(lines, lambda sha256: page_image(configured, sha256))
    headers = {"Content-Disposition": f'attachment; filename="dataset-{dataset_id}.zip"'}
    return StreamingResponse(zip_pieces(files), media_type="application/zip", headers=headers)


def _key(url: str, dataset_id: int) -> str:
    with unit_of_work(url) as connection:
        return str(dataset_of(connection, dataset_id)["key"])


app = create_app("dataspec", [router])
