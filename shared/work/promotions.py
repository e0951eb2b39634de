"""Promotions: an encoder takes over the queries once everything that can be found has vectors of it.

One at a time. Its vectors are made by the stage *reembed* while the old ones serve; the switch happens in one
transaction as soon as nothing is missing: the stage looks when no page waits any more, the sweep looks now and then.
The replaced encoder keeps its vectors, so a rollback is a promotion of it that has little or nothing to do. A detector
takes over at once, if it is better; see `detector_promotions`.
"""

import sqlalchemy as sa

from shared.domain.pipeline import STAGES
from shared.domain.training import PromotionView
from shared.errors import Conflict, NotFound
from shared.settings import Settings
from shared.store import checkpoints
from shared.store.db import Row, row, rows
from shared.work import jobs
from shared.work.detector_promotions import look_at_outdated, switch_detector
from shared.work.inputs import VECTOR_INPUTS

# Pages that can be found now and could not be found, as they are now, afterwards. Hidden pages cannot be found.
MISSING = f"""
    FROM embedding old JOIN page p ON p.id = old.page_id JOIN checkpoint k ON k.id = :target
    WHERE old.checkpoint_id = :previous AND p.state = 'ok' AND p.hidden IS NULL AND p.layout_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM embedding e WHERE e.page_id = p.id AND e.checkpoint_id = k.id
                      AND e.inputs = {VECTOR_INPUTS})"""
# Of those, the ones that nobody works on: something about them failed, the vectors or what comes before them.
FAILED = """
    NOT EXISTS (SELECT FROM job j WHERE j.subject_id = p.id AND j.state IN ('queued', 'running')
                AND j.stage IN ('detect', 'read', 'extract', 'align', 'reembed'))"""
SHOWN = """
    SELECT count(*) FROM embedding e JOIN page p ON p.id = e.page_id AND p.hidden IS NULL
    WHERE e.checkpoint_id = :previous"""
PROMOTION = "SELECT m.*, k.kind FROM promotion m JOIN checkpoint k ON k.id = m.checkpoint_id"
LOCK = "promotions"  # everything that decides about promotions is done under this one lock, taken before all others


def begin(connection: sa.Connection, configured: Settings, checkpoint_id: int, *, back: bool = False) -> dict[str, int]:
    """Promote an encoder: plan what it has to embed, or switch at once; the jobs to wake workers for.

    A promotion that is under way is given up for it. A detector is switched to. `back`: it undoes an earlier one.
    Errors: NotFound; Conflict for the model that serves already, or that is being promoted, and for a detector that is
    not better than the one in use.
    """
    _lock(connection)
    target = row(connection, "SELECT * FROM checkpoint WHERE id = :id", id=checkpoint_id)
    if target is None:
        raise NotFound(f"There is no checkpoint {checkpoint_id}; GET /checkpoints lists those there are.")
    if target["kind"] == "detector":
        return switch_detector(connection, configured, target, back=back)
    open_one = _open(connection)
    if open_one is not None and open_one["checkpoint_id"] == checkpoint_id:
        raise Conflict(f"Checkpoint {checkpoint_id} is being promoted already.")
    if target["active"]:
        raise Conflict(f"Checkpoint {checkpoint_id} serves queries already.")
    if open_one is not None:
        cancel(connection, open_one["id"])
    previous = checkpoints.active(connection, "encoder")
    connection.execute(
        sa.text("INSERT INTO promotion (checkpoint_id, previous_id, back) VALUES (:target, :previous, :back)"),
        {"target": checkpoint_id, "previous": previous["id"], "back": back},
    )
    planned = jobs.plan(connection, STAGES["reembed"], configured, again=True)
    return {"reembed": planned, **_advance(connection, configured)}


def adopt(connection: sa.Connection, configured: Settings, kind: checkpoints.Kind, checkpoint_id: int) -> None:
    """Let a shipped or configured model take over at a start; a trained encoder that was promoted stays.

    An encoder takes over by promotion when there is something to find, anything else at once. Pages that an earlier
    detector laid out stay as they are until `look_again`.
    """
    active = checkpoints.active(connection, kind)
    if active["id"] == checkpoint_id or active["origin"] == "trained":
        return
    if kind == "encoder" and row(
        connection, "SELECT FROM embedding WHERE checkpoint_id = :id LIMIT 1", id=active["id"]
    ):
        open_one = _open(connection)
        if open_one is None or open_one["checkpoint_id"] != checkpoint_id:
            begin(connection, configured, checkpoint_id)
    else:
        _lock(connection)
        checkpoints.activate(connection, kind, checkpoint_id)


def look_again(connection: sa.Connection, configured: Settings) -> dict[str, int]:
    """Let the detector in use look at all pages that show panels of an earlier one; the jobs to wake workers for."""
    _lock(connection)
    return look_at_outdated(connection, configured)


def roll_back(connection: sa.Connection, configured: Settings, kind: checkpoints.Kind = "encoder") -> dict[str, int]:
    """Promote the model that the present one was promoted over; as `begin`. NotFound when there was none."""
    _lock(connection)
    last = row(
        connection,
        "SELECT m.previous_id FROM promotion m JOIN checkpoint k ON k.id = m.checkpoint_id AND k.active "
        "WHERE k.kind = :kind AND m.state = 'done' AND NOT m.back AND m.previous_id IS NOT NULL "
        "ORDER BY m.id DESC LIMIT 1",
        kind=kind,
    )
    if last is None:
        raise NotFound(f"The active {kind} replaced no other; GET /checkpoints lists those that can be promoted.")
    return begin(connection, configured, last["previous_id"], back=True)


def cancel(connection: sa.Connection, promotion_id: int) -> None:
    """Give a promotion up; vectors it made are kept. Errors: NotFound; Conflict when it has ended."""
    _lock(connection)
    _of(connection, promotion_id)
    changed = connection.execute(
        sa.text("UPDATE promotion SET state = 'cancelled', finished_at = now() WHERE id = :id AND state = 'embedding'"),
        {"id": promotion_id},
    ).rowcount
    if not changed:
        raise Conflict(f"Promotion {promotion_id} has ended already.")
    connection.execute(sa.text("DELETE FROM job WHERE stage = 'reembed' AND state IN ('queued', 'blocked', 'failed')"))


def skip_failed(connection: sa.Connection, configured: Settings, promotion_id: int) -> dict[str, int]:
    """Let a promotion switch without the pages that failed; as `begin`. NotFound; Conflict when it has ended."""
    _lock(connection)
    if _of(connection, promotion_id)["state"] != "embedding":
        raise Conflict(f"Promotion {promotion_id} has ended already.")
    connection.execute(sa.text("UPDATE promotion SET skipping = true WHERE id = :id"), {"id": promotion_id})
    return _advance(connection, configured)


def advance(connection: sa.Connection, configured: Settings) -> dict[str, int]:
    """Switch to the encoder that is being promoted if nothing is missing; the jobs to wake workers for.

    Nothing is done while somebody else decides: a caller that holds locks of its own must not wait for them.
    """
    free = row(connection, "SELECT pg_try_advisory_xact_lock(hashtext(:name)) AS mine", name=LOCK)
    return _advance(connection, configured) if free is not None and free["mine"] else {}


def advance_when_idle(connection: sa.Connection, configured: Settings) -> None:
    """`advance` for the stage itself: only when no page waits, for looking whether any is missing reads them all."""
    waiting = "SELECT FROM job WHERE stage = 'reembed' AND state IN ('queued', 'running') LIMIT 1"
    if row(connection, waiting) is None:
        advance(connection, configured)


def _advance(connection: sa.Connection, configured: Settings) -> dict[str, int]:
    promotion = _open(connection)
    if promotion is None:
        return {}
    bound = {"previous": promotion["previous_id"], "target": promotion["checkpoint_id"]}
    waits = f"AND NOT ({FAILED})" if promotion["skipping"] else ""
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
    found = rows(connection, f"{PROMOTION} ORDER BY m.id DESC LIMIT 100")
    return [_view(connection, promotion) for promotion in found]


def under_way(connection: sa.Connection) -> list[PromotionView]:
    """The promotion that is under way, if one is."""
    return [_view(connection, found) for found in rows(connection, f"{PROMOTION} WHERE m.state = 'embedding'")]


def promotion_of(connection: sa.Connection, promotion_id: int) -> PromotionView:
    """One promotion; NotFound names the id."""
    return _view(connection, _of(connection, promotion_id))


def _of(connection: sa.Connection, promotion_id: int) -> Row:
    found = row(connection, f"{PROMOTION} WHERE m.id = :id", id=promotion_id)
    if found is None:
        raise NotFound(f"There is no promotion {promotion_id}; GET /promotions lists those there are.")
    return found


def _lock(connection: sa.Connection) -> None:
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": LOCK})


def _open(connection: sa.Connection) -> Row | None:
    return row(connection, "SELECT * FROM promotion WHERE state = 'embedding'")


def _view(connection: sa.Connection, promotion: Row) -> PromotionView:
    bound = {"previous": promotion["previous_id"], "target": promotion["checkpoint_id"]}
    shown = {name: promotion[name] for name in PromotionView.model_fields if name in promotion}
    if promotion["state"] != "embedding":
        made = _count(connection, "SELECT count(*) FROM embedding WHERE checkpoint_id = :target", bound)
        return PromotionView(**shown, embedded=made, total=made, failed=0)
    total = _count(connection, SHOWN, bound)
    waiting = "SELECT count(*) FROM job WHERE stage = 'reembed' AND state IN ('queued', 'running')"
    missing, failed = _count(connection, waiting, {}), 0
    if missing == 0:  # only then is it worth reading all pages
        missing = _count(connection, f"SELECT count(*) {MISSING}", bound)
        failed = _count(connection, f"SELECT count(*) {MISSING} AND {FAILED}", bound)
    return PromotionView(**shown, embedded=max(0, total - missing), total=total, failed=failed)


def _count(connection: sa.Connection, statement: str, bound: dict[str, int | None]) -> int:
    return int(connection.execute(sa.text(statement), bound).scalar_one())
