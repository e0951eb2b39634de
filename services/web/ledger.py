"""Datasets, runs, models, promotions and money as the screens show them: the queries behind the tables and curves."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from shared.errors import NotFound
from shared.store.dataset_images import with_deletions
from shared.store.db import Row, row, rows

RUN = """
    SELECT r.*, d.name AS dataset_name, k.id AS checkpoint_id, k.active AS checkpoint_active, k.verdict,
           j.state AS job_state, j.error AS error,
           CASE WHEN k.id IS NOT NULL THEN 'done'
                WHEN j.state IN ('running', 'failed') THEN j.state
                WHEN j.state = 'done' THEN 'stopped' ELSE 'queued' END AS state
    FROM run r LEFT JOIN dataset d ON d.id = r.dataset_id
    LEFT JOIN LATERAL (SELECT state, error FROM job WHERE stage = 'train' AND subject_id = r.id
                       ORDER BY id DESC LIMIT 1) j ON true
    LEFT JOIN LATERAL (SELECT id, active, verdict FROM checkpoint WHERE run_id = r.id
                       ORDER BY id DESC LIMIT 1) k ON true"""


def datasets(connection: sa.Connection, *, limit: int = 100) -> list[dict[str, Any]]:
    """Datasets, the newest first."""
    found = rows(connection, "SELECT * FROM dataset ORDER BY id DESC LIMIT :limit", limit=limit)
    return with_deletions(connection, found)


def dataset_of(connection: sa.Connection, dataset_id: int) -> dict[str, Any]:
    """One dataset; NotFound names the id."""
    found = rows(connection, "SELECT * FROM dataset WHERE id = :id", id=dataset_id)
    if not found:
        raise NotFound(f"There is no dataset {dataset_id}.")
    return with_deletions(connection, found)[0]


def runs(connection: sa.Connection, *, dataset_id: int | None = None, limit: int = 100) -> Sequence[Row]:
    """Runs, the newest first, of one dataset or of all."""
    return rows(
        connection,
        f"{RUN} WHERE CAST(:dataset AS bigint) IS NULL OR r.dataset_id = :dataset ORDER BY r.id DESC LIMIT :limit",
        dataset=dataset_id,
        limit=limit,
    )


def run_of(connection: sa.Connection, run_id: int) -> Row:
    """One run; NotFound names the id."""
    found = row(connection, f"{RUN} WHERE r.id = :id", id=run_id)
    if found is None:
        raise NotFound(f"There is no run {run_id}.")
    return found


def measures_of(connection: sa.Connection, run_id: int) -> tuple[dict[str, float], dict[str, float]]:
    """The first and the newest held-out measures of a run; empty before there are any."""
    found = rows(
        connection,
        "(SELECT values FROM run_metric WHERE run_id = :run AND kind = 'held_out' ORDER BY step LIMIT 1) UNION ALL "
        "(SELECT values FROM run_metric WHERE run_id = :run AND kind = 'held_out' ORDER BY step DESC LIMIT 1)",
        run=run_id,
    )
    return (dict(found[0]["values"]), dict(found[-1]["values"])) if found else ({}, {})


def encoders(connection: sa.Connection) -> Sequence[Row]:
    """Encoder checkpoints, the active one first, then the newest, with how many pages have vectors of each."""
    return rows(
        connection,
        "SELECT k.id, k.kind, k.sha256, k.origin, k.active, k.run_id, k.config, k.created_at, "
        "(SELECT count(*) FROM embedding e WHERE e.checkpoint_id = k.id) AS embedded, "
        "(SELECT count(*) FROM page WHERE state = 'ok') AS pages "
        "FROM checkpoint k WHERE k.kind = 'encoder' ORDER BY k.active DESC, k.id DESC",
    )


def detectors(connection: sa.Connection) -> Sequence[Row]:
    """Detector checkpoints, the active one first."""
    return rows(
        connection,
        "SELECT id, kind, sha256, origin, active, run_id, verdict, config, created_at FROM checkpoint "
        "WHERE kind = 'detector' "
        "ORDER BY active DESC, id DESC",
    )


def budgets(connection: sa.Connection) -> Sequence[Row]:
    """USD by budget."""
    return rows(connection, "SELECT name, limit_usd, spent_usd, held_usd FROM budget ORDER BY name")


def costs_by_model(connection: sa.Connection) -> Sequence[Row]:
    """Calls by model; `cost_usd` sums the known costs and is NULL when not one is known."""
    return rows(
        connection,
        "SELECT coalesce(served_model, model) AS model, count(*) AS calls, "
        "count(*) FILTER (WHERE state = 'answered') AS answered, count(*) FILTER (WHERE state = 'failed') AS failed, "
        "count(*) FILTER (WHERE state IN ('open', 'lost')) AS lost, "
        "count(*) FILTER (WHERE state <> 'open' AND cost_usd IS NULL) AS unknown, "
        "sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, "
        "sum(cost_usd) AS cost_usd FROM vlm_call GROUP BY 1 ORDER BY 1",
    )
