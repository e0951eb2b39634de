"""REST of layouts and panels: `/layouts`, `/panels`, and `/detect` for a picture that is kept nowhere."""

from typing import Annotated, Literal

from fastapi import APIRouter, File, Path, Query, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool

from services.detection.routes import corrections, exchange, outdated
from services.detection.tasks import loaded
from services.detection.views import layouts_of, panel_of, provenance_of
from shared.domain.addresses import panel_version
from shared.domain.answers import LayoutView, PanelView, Provenance
from shared.domain.schema import Direction, PagePanels
from shared.errors import NotFound
from shared.http.app import Configured, Database, create_app
from shared.http.pictures import ASK_AGAIN, FOREVER, Format, PageImage, Width, picture_answer
from shared.http.sent_pictures import sent_reduced
from shared.http.threads import Threads
from shared.store import checkpoints
from shared.store.db import row, unit_of_work

router = APIRouter()
router.include_router(exchange.router)  # before `/layouts/{layout_id}`
router.include_router(outdated.router)  # likewise
Id = Annotated[int, Path(ge=1, description="id")]
MOST_PIXELS = 40_000_000  # of a picture to detect: A4 at 600 dots per inch
ENOUGH = 1_500_000  # of them, to four times as many, are kept while a picture waits for its turn
# One model, which uses all cores it may: one picture at a time, and only so many wait.
looking = Threads(1, most=16, name="detecting", what="pictures")


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


@router.head("/panels/{panel_id}/image", include_in_schema=False)
@router.get("/panels/{panel_id}/image", tags=["panels"], response_class=Response, summary="A panel's picture")
async def get_panel_image(
    panel_id: Id,
    request: Request,
    url: Database,
    configured: Configured,
    width: Width = None,
    format: Format = None,
    v: Annotated[str, Query(description="as panels name it in their addresses")] = "",
) -> Response:
    """The panel cut out of its page, as displayed, as WebP, drawn at a width or as large as it is.

    Under the address that a panel names itself browsers may keep it for ever, else they ask if it is still good.
    """
    panel, page = await run_in_threadpool(_panel_and_page, url, panel_id)
    kept = FOREVER if v == panel_version(page.sha256, panel.box) else ASK_AGAIN
    return await picture_answer(request, configured, page, box=panel.box, width=width, form=format, kept=kept)


def _panel_and_page(url: str, panel_id: int) -> tuple[PanelView, PageImage]:
    with unit_of_work(url) as connection:
        panel = panel_of(connection, panel_id)
        page = row(
            connection,
            "SELECT image_sha256, media_type, width, height, name, error FROM page WHERE id = :id",
            id=panel.page_id,
        )
    assert page is not None
    return panel, PageImage.of(page)


@router.post("/detect", tags=["detect"], summary="Panels of a picture that is kept nowhere")
async def detect(
    url: Database,
    configured: Configured,
    file: Annotated[UploadFile, File(description="one page image")],
    direction: Literal["ltr", "rtl", "auto"] = "auto",
) -> PagePanels:
    """Panels in reading order and the other objects seen, with real scores; boxes in pixels of the picture.

    Objects name their panel by its place in `panels`, texts their speaker by its place in `objects`; without panels
    `reason` says why. Too many pictures at once are refused with 503 and the time after which to try again.
    """
    image = await sent_reduced(configured, file, most_pixels=MOST_PIXELS, enough=ENOUGH)
    way: Direction | Literal["auto"] = "auto" if direction == "auto" else Direction(direction)

    def detected() -> PagePanels:
        with unit_of_work(url) as connection:
            checkpoint = checkpoints.active(connection, "detector")
        return loaded(checkpoint["key"], configured.device).detect_reduced(image, direction=way)

    return await looking.run(detected)


router.include_router(corrections.router)

app = create_app("detection", [router])
