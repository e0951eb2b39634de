"""Runs, their metrics and checkpoints as the API shows them: the queries behind the answers."""

from typing import Any, Literal

import sqlalchemy as sa

from shared.domain.training import CheckpointView, DetectorRunConfig, MetricPoint, RunConfig, RunView
from shared.errors import NotFound
from shared.store.db import Row, row, rows

# A run's state follows from its newest job and from whether it has a checkpoint: nothing is stored twice.
RUN = """
    SELECT r.*, j.state AS job_state, j.error, greatest(j.attempt - 1, 0) AS interruptions, k.id AS checkpoint_id,
           (SELECT m.epoch FROM run_metric m WHERE m.run_id = r.id ORDER BY m.step DESC, m.id DESC LIMIT 1) AS epoch,
           (SELECT m.values FROM run_metric m WHERE m.run_id = r.id AND m.kind = 'train'
            ORDER BY m.step DESC LIMIT 1) AS train,
           (SELECT m.values FROM run_metric m WHERE m.run_id = r.id AND m.kind = 'held_out'
            ORDER BY m.step DESC LIMIT 1) AS held_out
    FROM run r
    LEFT JOIN LATERAL (SELECT id FROM checkpoint c WHERE c.run_id = r.id ORDER BY c.id DESC LIMIT 1) k ON true
    LEFT JOIN LATERAL (SELECT state, error, attempt FROM job WHERE stage = 'train' AND subject_id = r.id
                       ORDER BY id DESC LIMIT 1) j ON true"""

CHECKPOINT = """
    SELECT k.*, CASE WHEN k.kind = 'encoder' THEN (SELECT count(*) FROM embedding e WHERE e.checkpoint_id = k.id) END
                AS embedded,
           CASE WHEN k.kind = 'encoder' THEN (SELECT count(*) FROM page p WHERE p.layout_id IS NOT NULL) END AS pages
    FROM checkpoint k"""

State = Literal["queued", "running", "stopped", "done", "failed"]
OF_JOB: dict[str | None, State] = {
    "queued": "queued", "blocked": "queued", "running": "running", "failed": "failed", "done": "stopped"
}  # fmt: skip


def run_view(found: Row) -> RunView:
    """A row of `RUN` as shown."""
    state: State = "done" if found["checkpoint_id"] is not None else OF_JOB.get(found["job_state"], "queued")
    told: dict[str, Any] = {
        name: found[name] for name in ("id", "kind", "dataset_id", "option", "step", "steps", "checkpoint_id")
    }
    return RunView(
        **told,
        config=(DetectorRunConfig if found["kind"] == "detector" else RunConfig).model_validate(found["config"]),
        state=state,
        error=found["error"] if state in ("failed", "queued") else None,
        stopping=found["stopping"] and state in ("queued", "running"),
        epoch=int(found["epoch"] or 0),
        interruptions=found["interruptions"] or 0,
        latest={**(found["train"] or {}), **(found["held_out"] or {})},
        created_at=found["created_at"],
    )


def run_of(connection: sa.Connection, run_id: int) -> RunView:
    """One run; NotFound names the id."""
    found = row(connection, f"{RUN} WHERE r.id = :id", id=run_id)
    if found is None:
        raise NotFound(f"There is no run {run_id}; GET /runs lists those there are.")
    return run_view(found)


def runs_of(connection: sa.Connection, *, before: int | None, limit: int) -> list[RunView]:
    """Runs, newest first."""
    found = rows(
        connection,
        f"{RUN} WHERE CAST(:before AS bigint) IS NULL OR r.id < :before ORDER BY r.id DESC LIMIT :limit",
        before=before,
        limit=limit,
    )
    return [run_view(one) for one in found]


def points_of(connection: sa.Connection, run_id: int, *, after: int = 0) -> list[MetricPoint]:
    """Metric points of a run with an id above `after`, in the order they were written."""
    found = rows(
        connection, "SELECT * FROM run_metric WHERE run_id = :id AND id > :after ORDER BY id", id=run_id, after=after
    )
    return [MetricPoint(**{name: point[name] for name in MetricPoint.model_fields}) for point in found]


def checkpoints_of(connection: sa.Connection) -> list[CheckpointView]:
    """All checkpoints, newest first."""
    found = rows(connection, f"{CHECKPOINT} ORDER BY k.id DESC")
    return [CheckpointView(**{name: kept[name] for name in CheckpointView.model_fields}) for kept in found]
