"""The books of paid calls: reserved before each request, completed after it, each in a transaction of its own.

The budget row is the lock: whoever reserves holds it, so that two workers cannot both spend the last cent. A call's
worst case stays held until its real cost is known; a cost nobody tells stays NULL and its worst case stays held.
"""

from decimal import Decimal

import sqlalchemy as sa

from services.extraction.vlm import VlmReply
from shared.errors import Blocked
from shared.store.db import Row, row, rows, unit_of_work

BUDGET = "default"


def set_limit(connection: sa.Connection, limit: Decimal) -> None:
    """Make `limit` USD the budget; what is spent and held stays."""
    connection.execute(
        sa.text(
            "INSERT INTO budget (name, limit_usd) VALUES (:name, :limit) "
            "ON CONFLICT (name) DO UPDATE SET limit_usd = EXCLUDED.limit_usd"
        ),
        {"name": BUDGET, "limit": limit},
    )


def reserve(
    url: str,
    *,
    request_id: str,
    page_id: int,
    layout_id: int,
    job_id: int,
    fingerprint: str,
    model: str,
    worst_case: Decimal,
) -> int:
    """Write down a call that is about to be made, its worst case held; the call's id.

    Errors: Blocked when the budget does not allow it; then nothing is written and nothing must be sent.
    """
    with unit_of_work(url) as connection:
        budget = row(connection, "SELECT * FROM budget WHERE name = :name FOR UPDATE", name=BUDGET)
        if budget is None:
            raise Blocked("No budget is set for the VLM; set COMICS_VLM_BUDGET.")
        left = budget["limit_usd"] - budget["spent_usd"] - budget["held_usd"]
        if worst_case > left:
            raise Blocked(
                f"The VLM budget of {budget['limit_usd'].normalize():f} USD leaves {left.normalize():f}, and a call "
                f"may cost {worst_case.normalize():f}; raise COMICS_VLM_BUDGET to go on."
            )
        _move(connection, held=worst_case)
        made = row(
            connection,
            "INSERT INTO vlm_call (request_id, budget, page_id, layout_id, job_id, fingerprint, model, reserved_usd) "
            "VALUES (:request_id, :budget, :page_id, :layout_id, :job_id, :fingerprint, :model, :worst) RETURNING id",
            request_id=request_id,
            budget=BUDGET,
            page_id=page_id,
            layout_id=layout_id,
            job_id=job_id,
            fingerprint=fingerprint,
            model=model,
            worst=worst_case,
        )
    assert made is not None
    return int(made["id"])


def complete(url: str, call_id: int, reply: VlmReply, *, usable: bool, reason: str | None) -> None:
    """Write down what came of a call: raw body, real cost. Also for one that was given up as lost meanwhile."""
    cost = reply.usage.cost
    if cost is None and reply.status is not None and (400 <= reply.status < 500 or reply.status == 503):
        cost = Decimal(0)  # refused at the door: nothing was generated, nothing is billed
    with unit_of_work(url) as connection:
        row(connection, "SELECT name FROM budget WHERE name = :name FOR UPDATE", name=BUDGET)
        call = row(connection, "SELECT reserved_usd, state FROM vlm_call WHERE id = :id FOR UPDATE", id=call_id)
        if call is None or call["state"] not in ("open", "lost"):
            return
        if cost is not None:
            _move(connection, held=-call["reserved_usd"], spent=cost)
        connection.execute(
            sa.text(
                "UPDATE vlm_call SET state = :state, completed_at = now(), outcome = :outcome, body = :body, "
                "http_status = :status, served_model = :model, provider = :provider, generation_id = :generation, "
                "prompt_tokens = :prompt, completion_tokens = :completion, cost_usd = :cost WHERE id = :id"
            ),
            {
                "state": "answered" if usable else "failed",
                "outcome": reason or reply.reason or reply.outcome,
                "body": reply.body,
                "status": reply.status,
                "model": reply.model,
                "provider": reply.provider,
                "generation": reply.generation_id,
                "prompt": reply.usage.prompt_tokens,
                "completion": reply.usage.completion_tokens,
                "cost": cost,
                "id": call_id,
            },
        )


def answered(connection: sa.Connection, *, page_id: int, fingerprint: str, job_id: int) -> Row | None:
    """The newest usable answer that an earlier attempt of this job got to the same question; None when there is none.

    Of this job only: who explicitly orders a page to be asked anew gets a new job, and wants a new answer.
    """
    return row(
        connection,
        "SELECT id, layout_id, body, http_status FROM vlm_call WHERE page_id = :page AND fingerprint = :fingerprint "
        "AND job_id = :job AND state = 'answered' ORDER BY id DESC LIMIT 1",
        page=page_id,
        fingerprint=fingerprint,
        job=job_id,
    )


def give_up_open(connection: sa.Connection, *, page_id: int, fingerprint: str) -> int:
    """Mark a page's open calls lost: their worker died. What they may have cost stays held. How many there were."""
    found = rows(
        connection,
        "UPDATE vlm_call SET state = 'lost', completed_at = now() WHERE page_id = :page AND fingerprint = :fingerprint "
        "AND state = 'open' RETURNING id",
        page=page_id,
        fingerprint=fingerprint,
    )
    return len(found)


def _move(connection: sa.Connection, *, held: Decimal, spent: Decimal = Decimal(0)) -> None:
    connection.execute(
        sa.text("UPDATE budget SET held_usd = held_usd + :held, spent_usd = spent_usd + :spent WHERE name = :name"),
        {"held": held, "spent": spent, "name": BUDGET},
    )
