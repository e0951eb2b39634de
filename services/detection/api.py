"""REST of layouts and panels: `/layouts`, `/panels`, and `/detect` for a picture that is kept nowhere."""

import io
from typing import Annotated, Literal

from fastapi import APIRouter, File, Path, Query, Response, UploadFile
from PIL import Image

from services.detection.tasks import loaded
from services.detection.views import layouts_of, panel_of, provenance_of
from shared.domain.answers import LayoutView, PanelView, Provenance
from shared.domain.pictures import MOST_BYTES, crop, decode, decode_sent
from shared.domain.schema import Direction, PagePanels
from shared.errors import NotFound
from shared.http.app import Configured, Database, create_app
from shared.store import checkpoints
from shared.store.blobs import get_blob, storage_of
from shared.store.db import row, unit_of_work

router = APIRouter()
Id = Annotated[int, Path(ge=1, description="id")]


@router.get("/layouts", tags=["layouts"], summary="All layouts of a page, the active one first")
def list_layouts(url: Database, page_id: Annotated[int, Query(ge=1)]) -> list[LayoutView]:
    """Nothing is thrown away: inactive layouts are there, tied to the job that made them."""
    with unit_of_work(url) as connection:
        if row(connection, "SELECT id FROM page WHERE id = :id", id=page_id) is None:
            raise NotFound(f"There is no page {page_id}.")
        return layouts_of(connection, page_id=page_id)


@router.get("/layouts/{layout_id}", tags=["layouts"], summary="One layout")
def get_layout(layout_id: Id, url: Database) -> LayoutView:
    """Panels in reading order and the other objects seen."""
    with unit_of_work(url) as connection:
        found = layouts_of(connection, layout_id=layout_id)
    if not found:
        raise NotFound(f"There is no layout {layout_id}.")
    return found[0]


@router.get("/panels/{panel_id}", tags=["panels"], summary="One panel with its text")
def get_panel(panel_id: Id, url: Database) -> PanelView:
    """Box in page pixels, text, address of its picture."""
    with unit_of_work(url) as connection:
        return panel_of(connection, panel_id)


@router.get("/panels/{panel_id}/provenance", tags=["panels"], summary="Why this panel carries this text")
def get_provenance(panel_id: Id, url: Database) -> Provenance:
    """From which file, model and job the panel and its text come, and what they cost."""
    with unit_of_work(url) as connection:
        return provenance_of(connection, panel_id)


@router.get("/panels/{panel_id}/image", tags=["panels"], response_class=Response, summary="A panel's picture")
def get_panel_image(
    panel_id: Id,
    url: Database,
    configured: Configured,
    side: Annotated[int | None, Query(ge=16, le=4096, description="longest side in pixels")] = None,
) -> Response:
    """The panel cut out of its page, as displayed, as WebP."""
    with unit_of_work(url) as connection:
        panel = panel_of(connection, panel_id)
        page = row(connection, "SELECT image_sha256, name FROM page WHERE id = :id", id=panel.page_id)
    assert page is not None
    picture = Image.fromarray(crop(decode(get_blob(storage_of(configured), page["image_sha256"])), panel.box))
    if side is not None:
        picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=88, method=2)
    headers = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(buffer.getvalue(), media_type="image/webp", headers=headers)


@router.post("/detect", tags=["detect"], summary="Panels of a picture that is kept nowhere")
def detect(
    url: Database,
    configured: Configured,
    file: Annotated[UploadFile, File(description="one page image")],
    direction: Literal["ltr", "rtl", "auto"] = "auto",
) -> PagePanels:
    """Panels in reading order and the other objects seen, with real scores."""
    data = file.file.read(MOST_BYTES + 1)
    with unit_of_work(url) as connection:
        checkpoint = checkpoints.active(connection, "detector")
    image = decode_sent(data, name=file.filename or "the picture")
    way: Direction | Literal["auto"] = "auto" if direction == "auto" else Direction(direction)
    return loaded(checkpoint["key"], configured.device).detect([image], direction=way)[0]


app = create_app("detection", [router])
