"""REST of alignment: `/alignment`, the text of a page's panels in reading order."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from shared.domain.schema import Box, PanelText
from shared.errors import NotFound
from shared.http.app import Database, create_app
from shared.store.db import row, rows, unit_of_work

router = APIRouter()


class AlignedPanel(PanelText):
    """A panel of the active layout with its text."""

    panel_id: int
    position: int
    box: Box


class AlignedPage(BaseModel):
    """A page with the text of its panels; `aligned` is false while the text is still being read."""

    page_id: int
    layout_id: int | None
    ocr_id: int | None
    vlm_id: int | None
    aligned: bool
    panels: list[AlignedPanel]


@router.get("/alignment/{page_id}", tags=["alignment"], summary="The text of a page's panels")
def get_alignment(page_id: Annotated[int, Path(ge=1)], url: Database) -> AlignedPage:
    """Panels of the active layout in reading order with what is written in them and told about them."""
    with unit_of_work(url) as connection:
        page = row(connection, "SELECT id, layout_id, ocr_id, vlm_id FROM page WHERE id = :id", id=page_id)
        if page is None:
            raise NotFound(f"There is no page {page_id}.")
        found = rows(
            connection,
            "SELECT n.*, t.literal, t.descriptive FROM panel n LEFT JOIN panel_text t ON t.panel_id = n.id "
            "WHERE n.layout_id = :layout ORDER BY n.position",
            layout=page["layout_id"],
        )
    panels = [
        AlignedPanel(
            panel_id=panel["id"],
            position=panel["position"],
            box=Box(panel["x"], panel["y"], panel["w"], panel["h"]),
            literal=panel["literal"] or "",
            descriptive=panel["descriptive"] or "",
        )
        for panel in found
    ]
    return AlignedPage(
        page_id=page["id"],
        layout_id=page["layout_id"],
        ocr_id=page["ocr_id"],
        vlm_id=page["vlm_id"],
        aligned=page["layout_id"] is not None and all(panel["literal"] is not None for panel in found),
        panels=panels,
    )


app = create_app("dataspec", [router])
