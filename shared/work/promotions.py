"""Promotions: an encoder takes over the queries once everything that can be found has vectors of it.

One at a time. Its vectors are made by the stage *reembed* while the old ones serve; `advance` switches in one
transaction as soon as nothing is missing, and whoever might have brought that about calls it: the stage, the sweep, the
API. The replaced encoder keeps its vectors, so a rollback is a promotion of it that has little or nothing to do.
"""

import sqlalchemy as sa

from shared.domain.pipeline import STAGES
from shared.domain.training import PromotionView
from shared.errors import Conflict, NotFound, Reject
from shared.settings import Settings
from shared.store import checkpoints
from shared.store.db import Row, row, rows
from shared.work import jobs
from shared.work.inputs import VECTOR_INPUTS

# Pages that can be found now and could not be found, as they are now, afterwards.
MISSING = f"""
    FROM embedding old JOIN page p ON p.id = old.page_id JOIN checkpoint k ON k.id = :target
    WHERE old.checkpoint_id = :previous AND p.state = 'ok' AND p.layout_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM embedding e WHERE e.page_id = p.id AND e.checkpoint_id = k.id
                      AND e.inputs = {VECTOR_INPUTS})"""
FAILED = """
    (SELECT state FROM job j WHERE j.stage = 'reembed' AND j.subject_id = p.id ORDER BY j.id DESC LIMIT 1) = 'failed'"""


def begin(connection: sa.Connection, configured: Settings, checkpoint_id: int) -> dict[str, int]:
    """Promote an encoder: plan what it has to embed, or switch at once; the jobs to wake workers for.

    A promotion that is under way is given up for it. Errors: NotFound; Reject for a detector; Conflict for the encoder
    that serves already, or that is being promoted.
    """
    target = row(connection, "SELECT * FROM checkpoint WHERE id = :id FOR UPDATE", id=checkpoint_id)
    if target is None:
        raise NotFound(f"There is no checkpoint {checkpoint_id}; GET /checkpoints lists those there are.")
    if target["kind"] != "encoder":
        raise Reject(f"Checkpoint {checkpoint_id} is a {target['kind']}; only encoders can be promoted.")
    under_way = _open(connection)
    if under_way is not None and under_way["checkpoint_id"] == checkpoint_id:
        raise Conflict(f"Checkpoint {checkpoint_id} is being promoted already.")
    if target["active"]:
        raise Conflict(f"Checkpoint {checkpoint_id} serves queries already.")
    if under_way is not None:
        cancel(connection, under_way["id"])
    previous = checkpoints.active(connection, "encoder")
    connection.execute(
        sa.text("INSERT INTO promotion (checkpoint_id, previous_id) VALUES (:target, :previous)"),
        {"target": checkpoint_id, "previous": previous["id"]},
    )
    planned = jobs.plan(connection, STAGES["reembed"], configured, again=True)
    return {"reembed": planned, **advance(connection, configured)}


def adopt(connection: sa.Connection, configured: Settings, kind: checkpoints.Kind, checkpoint_id: int) -> None:
    """Let a shipped or configured model take over at a start; a trained encoder that was promoted stays.

    An encoder takes over by promotion when there is something to find, anything else at once.
    """
    active = checkpoints.active(connection, kind)
    if active["id"] == checkpoint_id or active["origin"] == "trained":
        return
    if kind == "encoder" and row(
        connection, "SELECT FROM embedding WHERE checkpoint_id = :id LIMIT 1", id=active["id"]
    ):
        under_way = _open(connection)
        if under_way is None or under_way["checkpoint_id"] != checkpoint_id:
            begin(connection, configured, checkpoint_id)
    else:
        checkpoints.activate(connection, kind, checkpoint_id)


def roll_back(connection: sa.Connection, configured: Settings) -> dict[str, int]:
    """Promote the encoder that the present one replaced; as `begin`. NotFound when there was none."""
    last = row(
        connection,
        "SELECT m.previous_id FROM promotion m JOIN checkpoint k ON k.id = m.checkpoint_id AND k.active "
        "WHERE m.state = 'done' AND m.previous_id IS NOT NULL ORDER BY m.id DESC LIMIT 1",
    )
    if last is None:
        raise NotFound("The active encoder replaced no other; GET /checkpoints lists those that can be promoted.")
    return begin(connection, configured, last["previous_id"])


def cancel(connection: sa.Connection, promotion_id: int) -> None:
    """Give a promotion up; vectors it made are kept. Errors: NotFound; Conflict when it has ended."""
    _of(connection, promotion_id)
    changed = connection.execute(
        sa.text("UPDATE promotion SET state = 'cancelled', finished_at = now() WHERE id = :id AND state = 'embedding'"),
        {"id": promotion_id},
    ).rowcount
    if not changed:
        raise Conflict(f"Promotion {promotion_id} has ended already.")
    connection.execute(sa.text("DELETE FROM job WHERE stage = 'reembed' AND state IN ('queued', 'blocked', 'failed')"))


def skip_failed(connection: sa.Connection, configured: Settings, promotion_id: int) -> dict[str, int]:
    """Let a promotion switch without the pages that failed; as `begin`."""
    _of(connection, promotion_id)
    connection.execute(sa.text("UPDATE promotion SET skipping = true WHERE id = :id"), {"id": promotion_id})
    return advance(connection, configured)


def advance(connection: sa.Connection, configured: Settings) -> dict[str, int]:
    """Switch to the encoder that is being promoted if nothing is missing; the jobs to wake workers for.

    Whoever comes at the same time waits for the promotion's row and then finds it ended.
    """
    promotion = _open(connection)
    if promotion is None:
        return {}
    bound = {"previous": promotion["previous_id"], "target": promotion["checkpoint_id"]}
    waits = f"AND NOT coalesce({FAILED}, false)" if promotion["skipping"] else ""
    if row(connection, f"SELECT {MISSING} {waits} LIMIT 1", **bound) is not None:
        return {}
    checkpoints.activate(connection, "encoder", promotion["checkpoint_id"])
    connection.execute(
        sa.text("UPDATE promotion SET state = 'done', finished_at = now() WHERE id = :id"), {"id": promotion["id"]}
    )
    # Pages that came meanwhile and had vectors of neither.
    return {"embed": jobs.plan(connection, STAGES["embed"], configured)}


def promotions(connection: sa.Connection) -> list[PromotionView]:
    """All promotions, newest first."""
    found = rows(connection, "SELECT * FROM promotion ORDER BY id DESC LIMIT 100")
    return [_view(connection, promotion) for promotion in found]


def promotion_of(connection: sa.Connection, promotion_id: int) -> PromotionView:
    """One promotion; NotFound names the id."""
    return _view(connection, _of(connection, promotion_id))


def _of(connection: sa.Connection, promotion_id: int) -> Row:
    found = row(connection, "SELECT * FROM promotion WHERE id = :id", id=promotion_id)
    if found is None:
        raise NotFound(f"There is no promotion {promotion_id}; GET /promotions lists those there are.")
    return found


def _open(connection: sa.Connection) -> Row | None:
    return row(connection, "SELECT * FROM promotion WHERE state = 'embedding' FOR UPDATE")


def _view(connection: sa.Connection, promotion: Row) -> PromotionView:
    bound = {"previous": promotion["previous_id"], "target": promotion["checkpoint_id"]}
    missing = failed = 0
    if promotion["state"] == "embedding":
        counted = row(
            connection, f"SELECT count(*) AS missing, count(*) FILTER (WHERE {FAILED}) AS failed {MISSING}", **bound
        )
        assert counted is not None
        missing, failed = counted["missing"], counted["failed"]
    made = row(
        connection,
        "SELECT count(*) AS n FROM embedding WHERE checkpoint_id = :target",
        target=promotion["checkpoint_id"],
    )
    assert made is not None
    shown = {name: promotion[name] for name in PromotionView.model_fields if name in promotion}
    return PromotionView(**shown, embedded=made["n"], total=made["n"] + missing, failed=failed)
