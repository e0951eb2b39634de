"""REST of learning: `/runs` train encoders and detectors, `/checkpoints` are what there is, `/promotions` put one into
service.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Body, Path, Query
from fastapi.concurrency import run_in_threadpool

from services.training.records.detector_runs import begin
from services.training.views import checkpoints_of, points_of, run_of, runs_of
from shared.domain.pipeline import STAGES
from shared.domain.training import (
    AnyRunRequest,
    CheckpointView,
    MetricPoint,
    PromotionView,
    RunEvent,
    RunRequest,
    RunView,
)
from shared.errors import Conflict, NotFound
from shared.http.app import Configured, Database, create_app, event_stream
from shared.store import checkpoints
from shared.store.db import row, unit_of_work
from shared.work import jobs, promotions
from shared.work.broker import wake

router = APIRouter()
Id = Annotated[int, Path(ge=1, description="id")]
EVENT_SECONDS = 0.5
ENDED = ("stopped", "done", "failed")


@router.post("/runs", tags=["runs"], status_code=202, summary="Train an encoder on a dataset, or a detector")
def start_run(order: Annotated[AnyRunRequest, Body()], url: Database, configured: Configured) -> RunView:
    """Queue a run; it starts from the model that is in use now, unless `config.start` is `scratch`.

    With `kind` "detector" it trains on pages whose panels people have corrected, as they are now, and on made ones.
    """
    with unit_of_work(url) as connection:
        made = begin(connection, configured, order) if order.kind == "detector" else _begun(connection, order)
        jobs.plan(connection, STAGES["train"], configured, subjects=[made])
        run = run_of(connection, made)
    wake({"train": 1})
    return run


def _begun(connection: sa.Connection, order: RunRequest) -> int:
    if row(connection, "SELECT FROM dataset WHERE id = :id", id=order.dataset_id) is None:
        raise NotFound(f"There is no dataset {order.dataset_id}; GET /datasets lists those there are.")
    made = row(
        connection,
        "INSERT INTO run (dataset_id, option, config, start_id) "
        "VALUES (:dataset, :option, CAST(:config AS jsonb), :start) RETURNING id",
        dataset=order.dataset_id,
        option=order.option,
        config=order.config.model_dump_json(),
        start=checkpoints.active(connection, "encoder")["id"] if order.config.start == "active" else None,
    )
    assert made is not None
    return int(made["id"])


@router.get("/runs", tags=["runs"], summary="Runs, newest first")
def list_runs(
    url: Database,
    before: Annotated[int | None, Query(ge=1, description="the id of the last run of the slice before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[RunView]:
    """Each with its state and its newest metrics."""
    with unit_of_work(url) as connection:
        return runs_of(connection, before=before, limit=limit)


@router.get("/runs/{run_id}", tags=["runs"], summary="One run")
def get_run(run_id: Id, url: Database) -> RunView:
    """Its state, how far it is, its newest metrics, and its checkpoint once it is done."""
    with unit_of_work(url) as connection:
        return run_of(connection, run_id)


@router.get("/runs/{run_id}/points", tags=["runs"], summary="A run's metrics")
def get_points(run_id: Id, url: Database, after: Annotated[int, Query(ge=0)] = 0) -> list[MetricPoint]:
    """Losses of the training pages, and after each epoch recalls on held-out comics beside chance."""
    with unit_of_work(url) as connection:
        run_of(connection, run_id)
        return points_of(connection, run_id, after=after)


@router.get("/runs/{run_id}/events", tags=["runs"], summary="A run's metrics as they come, as server-sent events")
def run_events(run_id: Id, url: Database, after: Annotated[int, Query(ge=0)] = 0) -> Any:
    """A `RunEvent` at every change, the points there are already first; until the run has ended."""
    with unit_of_work(url) as connection:
        run_of(connection, run_id)
    return event_stream(_events(url, run_id, after))


async def _events(url: str, run_id: int, after: int) -> AsyncIterator[dict[str, Any]]:
    def look(seen: int) -> RunEvent:
        with unit_of_work(url) as connection:
            # The state first: a run that has ended writes no further points.
            run = run_of(connection, run_id)
            return RunEvent(run=run, points=points_of(connection, run_id, after=seen))

    last: RunView | None = None
    while last is None or last.state not in ENDED:
        event = await run_in_threadpool(look, after)
        if event.points or event.run != last:
            last = event.run
            after = max((point.id for point in event.points), default=after)
            yield event.model_dump(mode="json")
        if event.run.state not in ENDED:
            await asyncio.sleep(EVENT_SECONDS)


@router.post("/runs/{run_id}/stop", tags=["runs"], status_code=202, summary="Stop a run after its current step")
def stop_run(run_id: Id, url: Database) -> RunView:
    """What it learnt so far is kept; it can be resumed."""
    with unit_of_work(url) as connection:
        run = run_of(connection, run_id)
        if run.state in ENDED:
            raise Conflict(f"Run {run_id} is {run.state} already.")
        row(connection, "UPDATE run SET stopping = true WHERE id = :id RETURNING id", id=run_id)
        jobs.withdraw(connection, STAGES["train"], run_id)  # when nobody has begun it, it has stopped already
        return run_of(connection, run_id)


@router.post("/runs/{run_id}/resume", tags=["runs"], status_code=202, summary="Go on with a stopped or failed run")
def resume_run(run_id: Id, url: Database, configured: Configured) -> RunView:
    """From its last saved state, along the same curve."""
    with unit_of_work(url) as connection:
        # Two at once must not both resume it.
        row(connection, "SELECT FROM run WHERE id = :id FOR UPDATE", id=run_id)
        run = run_of(connection, run_id)
        if run.state not in ("stopped", "failed"):
            raise Conflict(f"Run {run_id} is {run.state}; only a stopped or failed run can be resumed.")
        # A failed run's job is tried again, a stopped one's is done: it gets another.
        row(
            connection,
            "UPDATE run SET stopping = false, launches = launches + :more WHERE id = :id RETURNING id",
            id=run_id,
            more=int(run.state == "stopped"),
        )
        jobs.plan(connection, STAGES["train"], configured, subjects=[run_id], again=True)
        run = run_of(connection, run_id)
    wake({"train": 1})
    return run


@router.get("/checkpoints", tags=["checkpoints"], summary="Models there are")
def list_checkpoints(url: Database) -> list[CheckpointView]:
    """Detectors and encoders, newest first; of each kind one is active."""
    with unit_of_work(url) as connection:
        return checkpoints_of(connection)


@router.post("/checkpoints/rollback", tags=["checkpoints"], status_code=202, summary="Back to the model before")
def roll_back(url: Database, configured: Configured, kind: Literal["encoder", "detector"] = "encoder") -> PromotionView:
    """Promote the encoder, or detector, that the active one replaced: an encoder at once when it has vectors of
    everything.
    """
    with unit_of_work(url) as connection:
        due = promotions.roll_back(connection, configured, kind)
        promotion = promotions.promotions(connection)[0]
    wake(due)
    return promotion


@router.post("/checkpoints/{checkpoint_id}/promote", tags=["checkpoints"], status_code=202, summary="Use a model")
def promote(checkpoint_id: Id, url: Database, configured: Configured) -> PromotionView:
    """An encoder: make its vectors in the background, let the old ones serve until all are there, then switch at once.

    A detector that is better than the one in use, as its `verdict` says: switch, and detect the pages anew whose panels
    nobody has stated.
    """
    with unit_of_work(url) as connection:
        due = promotions.begin(connection, configured, checkpoint_id)
        promotion = promotions.promotions(connection)[0]
    wake(due)
    return promotion


@router.get("/promotions", tags=["promotions"], summary="Promotions, newest first")
def list_promotions(url: Database) -> list[PromotionView]:
    """How far each is; at most one is under way."""
    with unit_of_work(url) as connection:
        return promotions.promotions(connection)


@router.get("/promotions/{promotion_id}", tags=["promotions"], summary="One promotion")
def get_promotion(promotion_id: Id, url: Database) -> PromotionView:
    """How far it is."""
    with unit_of_work(url) as connection:
        return promotions.promotion_of(connection, promotion_id)


@router.post("/promotions/{promotion_id}/cancel", tags=["promotions"], summary="Give a promotion up")
def cancel_promotion(promotion_id: Id, url: Database) -> PromotionView:
    """The old encoder goes on serving; vectors made so far are kept for another time."""
    with unit_of_work(url) as connection:
        promotions.cancel(connection, promotion_id)
        return promotions.promotion_of(connection, promotion_id)


@router.post("/promotions/{promotion_id}/skip", tags=["promotions"], summary="Switch without the pages that failed")
def skip_failed(promotion_id: Id, url: Database, configured: Configured) -> PromotionView:
    """Those pages are not found until their jobs are tried again."""
    with unit_of_work(url) as connection:
        due = promotions.skip_failed(connection, configured, promotion_id)
        promotion = promotions.promotion_of(connection, promotion_id)
    wake(due)
    return promotion


app = create_app("training", [router])
