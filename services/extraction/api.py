"""REST of what was read: `/extractions`, `/vlm`, `/costs`."""

from decimal import Decimal
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.extraction.tasks import engine_of
from services.extraction.views import Costs, ExtractionView, costs_of, extractions_of, pages_to_ask
from shared.domain.pipeline import STAGES
from shared.errors import Blocked, Conflict, NotFound
from shared.http.app import Configured, Database, create_app
from shared.store.db import row, rows, unit_of_work
from shared.work import jobs
from shared.work.broker import wake

router = APIRouter()
USUAL_PROMPT = "x" * 3_000  # as long as the question about a page of six panels
LOCAL = {"127.0.0.1", "localhost", "::1"}


class Engine(BaseModel):
    """The configured VLM engine; the key is never shown."""

    configured: bool
    model: str | None
    budget_usd: Decimal | None
    external: bool = Field(description="whether page images leave this machine")


class Estimate(BaseModel):
    """What asking would cost at worst; `usd` is null when prices are not known."""

    pages: int
    usd: Decimal | None


class ExtractionOrder(BaseModel):
    """Ask the VLM about pages that were asked about before: a new prompt, a new model. It costs money again."""

    comic_id: int | None = Field(None, description="one comic; all when left out")
    sources: list[str] = Field([], max_length=1000, description="only from these; all when empty")
    collections: list[str] = Field([], max_length=1000, description="only of these; all when empty")
    pages: int = Field(description="the page count of the estimate that was agreed to", examples=[8])


@router.get("/extractions", tags=["extractions"], summary="Everything read on a page, the active ones first")
def list_extractions(url: Database, page_id: Annotated[int, Query(ge=1)]) -> list[ExtractionView]:
    """Lines with boxes from OCR, panels with text from a VLM; or why there is nothing."""
    with unit_of_work(url) as connection:
        if row(connection, "SELECT id FROM page WHERE id = :id", id=page_id) is None:
            raise NotFound(f"There is no page {page_id}.")
        return extractions_of(connection, page_id=page_id)


@router.get("/vlm", tags=["vlm"], summary="The configured VLM engine")
def get_engine(configured: Configured) -> Engine:
    """Which model would be asked, and with what budget."""
    return Engine(
        configured=configured.vlm_configured,
        model=configured.vlm_model,
        budget_usd=configured.vlm_budget,
        external=bool(configured.vlm_url) and urlsplit(str(configured.vlm_url)).hostname not in LOCAL,
    )


@router.get("/vlm/estimate", tags=["vlm"], summary="What asking about pages would cost at worst")
def get_estimate(
    url: Database,
    configured: Configured,
    comic_id: Annotated[int | None, Query(ge=1)] = None,
    source: Annotated[list[str] | None, Query(max_length=100, description="only from these sources")] = None,
    collection: Annotated[list[str] | None, Query(max_length=100, description="only of these collections")] = None,
) -> Estimate:
    """As the dearest earlier call to this model, else, with prices configured, as its worst case; null without both."""
    with unit_of_work(url) as connection:
        pages = len(pages_to_ask(connection, comic_id=comic_id, sources=source or (), collections=collection or ()))
        known = rows(
            connection,
            "SELECT max(cost_usd) AS most FROM vlm_call WHERE model = :model AND cost_usd IS NOT NULL",
            model=configured.vlm_model,
        )[0]["most"]
    if known is None and configured.vlm_configured and configured.vlm_completion_price is not None:
        engine = engine_of(configured)
        known = engine.worst_case(USUAL_PROMPT, max_tokens=engine.max_tokens)
    return Estimate(pages=pages, usd=known * pages if known is not None else None)


@router.post("/extractions", tags=["extractions"], status_code=202, summary="Ask the VLM anew, after an estimate")
def order_extractions(order: ExtractionOrder, url: Database, configured: Configured) -> dict[str, int]:
    """Plan the paid stage again for pages it was planned for before; how many jobs were planned."""
    if not configured.vlm_configured:
        raise Blocked("No VLM is configured: set COMICS_VLM_URL, COMICS_VLM_MODEL and COMICS_VLM_BUDGET.")
    with unit_of_work(url) as connection:
        pages = pages_to_ask(connection, comic_id=order.comic_id, sources=order.sources, collections=order.collections)
        if len(pages) != order.pages:
            raise Conflict(
                f"It would be {len(pages)} pages, not {order.pages}; ask GET /vlm/estimate again and agree to that."
            )
        planned = jobs.plan(connection, STAGES["extract"], configured, subjects=pages, anew=True)
    wake({"extract": planned})
    return {"planned": planned}


@router.get("/costs", tags=["costs"], summary="Where the money went")
def get_costs(url: Database) -> Costs:
    """Budgets, and calls by model with their known costs."""
    with unit_of_work(url) as connection:
        return costs_of(connection)


app = create_app("extraction", [router])
