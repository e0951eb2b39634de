"""REST of models: `/checkpoints`, those there are and which of each kind is active."""

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from shared.http.app import Database, create_app
from shared.store.db import rows, unit_of_work

router = APIRouter()


class CheckpointView(BaseModel):
    """One stored checkpoint."""

    id: int
    kind: Literal["detector", "encoder"]
    sha256: str
    origin: Literal["shipped", "configured", "trained"]
    active: bool
    config: dict[str, Any]
    created_at: datetime


@router.get("/checkpoints", tags=["checkpoints"], summary="Models there are")
def list_checkpoints(url: Database) -> list[CheckpointView]:
    """Detectors and encoders, newest first; of each kind one is active."""
    with unit_of_work(url) as connection:
        found = rows(connection, "SELECT * FROM checkpoint ORDER BY id DESC")
    return [CheckpointView(**{name: kept[name] for name in CheckpointView.model_fields}) for kept in found]


app = create_app("training", [router])
