"""Extractions and costs as the API shows them: the queries behind the answers."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, Field

from shared.store.db import rows
from shared.store.shelves import ON_SHELF, require_shelves, shelf_parameters


class ExtractionView(BaseModel):
    """What was read on a page by one engine; `unreadable` says why there is no content."""

    id: int
    page_id: int
    active: bool
    engine: Literal["ocr", "vlm"]
    model: str
    source: Literal["model", "import", "person"]
    content: dict[str, Any] | None
    unreadable: str | None
    layout_id: int | None
    vlm_call_id: int | None
    job_id: int | None
    created_at: datetime


class BudgetView(BaseModel):
    """USD: the limit, what is spent for certain, and what open or lost calls may have cost at worst."""

    name: str
    limit_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal


class ModelCosts(BaseModel):
    """Calls to one model. `cost_usd` sums the known costs; `unknown` calls are not in it."""

    model: str
    calls: int
    answered: int
    failed: int
    lost: int = Field(description="sent, but we were killed before the answer came")
    unknown: int = Field(description="calls whose cost the server did not say")
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal


class Costs(BaseModel):
    """Where the money went."""

    budgets: list[BudgetView]
    models: list[ModelCosts]


def extractions_of(connection: sa.Connection, *, page_id: int) -> list[ExtractionView]:
    """All extractions of a page, active ones first, then newest first."""
    found = rows(
        connection,
        "SELECT e.*, (e.id IN (p.ocr_id, p.vlm_id)) IS TRUE AS active "
        "FROM extraction e JOIN page p ON p.id = e.page_id WHERE e.page_id = :page ORDER BY active DESC, e.id DESC",
        page=page_id,
    )
    return [ExtractionView(**{name: kept[name] for name in ExtractionView.model_fields}) for kept in found]


def costs_of(connection: sa.Connection) -> Costs:
    """Budgets and calls by model."""
    models = rows(
        connection,
        "SELECT coalesce(served_model, model) AS model, count(*) AS calls, "
        "count(*) FILTER (WHERE state = 'answered') AS answered, count(*) FILTER (WHERE state = 'failed') AS failed, "
        "count(*) FILTER (WHERE state IN ('open', 'lost')) AS lost, "
        "count(*) FILTER (WHERE state <> 'open' AND cost_usd IS NULL) AS unknown, "
        "coalesce(sum(prompt_tokens), 0) AS prompt_tokens, coalesce(sum(completion_tokens), 0) AS completion_tokens, "
        "coalesce(sum(cost_usd), 0) AS cost_usd FROM vlm_call GROUP BY 1 ORDER BY 1",
    )
    budgets = rows(connection, "SELECT name, limit_usd, spent_usd, held_usd FROM budget ORDER BY name")
    return Costs(
        budgets=[BudgetView(**dict(budget)) for budget in budgets],
        models=[ModelCosts(**dict(model)) for model in models],
    )


def pages_to_ask(
    connection: sa.Connection, *, comic_id: int | None, sources: Sequence[str] = (), collections: Sequence[str] = ()
) -> list[int]:
    """The pages that an explicit extraction of a comic, of shelves or of everything would ask about."""
    require_shelves(connection, sources=sources, collections=collections)
    found = rows(
        connection,
        "SELECT p.id FROM page p JOIN layout l ON l.id = p.layout_id JOIN comic c ON c.id = p.comic_id "
        "WHERE p.state = 'ok' AND p.hidden IS NULL AND l.kind <> 'none' "
        f"AND (CAST(:comic AS bigint) IS NULL OR p.comic_id = :comic) AND {ON_SHELF} ORDER BY p.id",
        comic=comic_id,
        **shelf_parameters(sources, collections),
    )
    return [page["id"] for page in found]
