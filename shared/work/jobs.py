"""The queue of record: plan, claim, finish, fail and sweep rows of the `job` table.

A job moves `queued → running → done | failed | blocked`. Every function here takes an open connection and commits
nothing; `shared.work.stages` draws the transactions. Times are the database's own (`now()`), never a worker's clock.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from shared.domain.pipeline import STAGES, Stage
from shared.errors import Blocked, ComicsError, Reject, Retry
from shared.settings import Settings
from shared.store.db import rows
from shared.work.inputs import configuration_of, inputs_of

DUE = """attempt < max_attempts AND ((state = 'queued' AND not_before <= now())
         OR (state = 'running' AND lease_until < now()))"""
OURS = "id = ANY(:ids) AND state = 'running' AND owner = :owner AND concat(id, ':', attempt) = ANY(:held)"
GONE = "comic_id IS NOT NULL AND NOT EXISTS (SELECT FROM comic c WHERE c.id = job.comic_id)"
BACKOFF = 5.0  # seconds before the second attempt, doubled for each further one
LONGEST = 600.0  # seconds between two attempts; a long job that gets on may have had many
PROBE = 60.0  # seconds before a blocked job is tried again, to see whether it is allowed meanwhile


class Superseded(Exception):
    """The job was claimed by somebody else meanwhile: this write must not happen. No failure, hence no ComicsError."""


@dataclass(frozen=True)
class Claim:
    """One job in this worker's hands; `attempt` is the number of this attempt, from 1."""

    job_id: int
    stage: str
    subject_id: int
    comic_id: int | None
    attempt: int
    max_attempts: int
    fingerprint: str
    owner: str


def plan(
    connection: sa.Connection,
    stage: Stage,
    configured: Settings,
    *,
    subjects: Sequence[int] | None = None,
    anew: bool = False,
    again: bool = False,
) -> int:
    """Insert every job of a stage whose inputs exist and whose fingerprint is new; the number inserted.

    `subjects` limits the look to these ids. `anew` allows a paid stage to be planned for pages it was planned for
    before (a new prompt, a new model): only an explicit command says so. `again` also queues jobs that failed.
    """
    # Pages that lack their vectors although the job is done have lost them; other stages' outputs are kept for good.
    ended = [state for state, meant in (("done", stage.name in ("embed", "reembed")), ("failed", again)) if meant]
    conflict = "NOTHING"
    if ended:
        conflict = (
            "UPDATE SET state = 'queued', attempt = 0, not_before = now(), error = NULL, finished_at = NULL "
            f"WHERE job.state = ANY(ARRAY{ended})"
        )
    base = hashlib.sha256(f"{stage.name}|{stage.version}|{configuration_of(stage, configured)}".encode()).hexdigest()
    statement = f"""
        INSERT INTO job (stage, subject_id, comic_id, fingerprint, max_attempts)
        SELECT :stage, i.subject_id, i.comic_id,
               encode(sha256(convert_to(:base || '|' || i.inputs, 'UTF8')), 'hex'), :max_attempts
        FROM ({inputs_of(stage, configured)}) i
        ORDER BY i.comic_id, i.subject_id
        ON CONFLICT (stage, subject_id, fingerprint) DO {conflict}"""
    bound = {
        "stage": stage.name,
        "base": base,
        "max_attempts": stage.max_attempts,
        "subjects": list(subjects) if subjects is not None else None,
        "reading": configured.read != "off",
        "paying": configured.vlm_configured,
        "anew": anew,
    }
    text = sa.text(statement)
    return connection.execute(text, {name: bound[name] for name in text.compile().params}).rowcount


def plan_following(
    connection: sa.Connection, stage: Stage, configured: Settings, claims: Sequence[Claim]
) -> dict[str, int]:
    """Plan what follows finished claims; how many jobs each following stage got, stages without any left out.

    Two stages that a third one waits for cannot both finish unseen by each other: each has just written its part into
    the page's row (its active layout, its active reading), whose lock makes the later one wait and then see the other.
    """
    subjects = {stage.subject: list({claim.subject_id for claim in claims})}
    if stage.subject == "comic":
        found = rows(connection, "SELECT id FROM page WHERE comic_id = ANY(:ids) ORDER BY id", ids=subjects["comic"])
        subjects["page"] = [row["id"] for row in found]
    following = [STAGES[name] for name in stage.follows]
    if stage.name == "detect" and configured.read == "boxes":
        following.append(STAGES["read"])
    planned = {after.name: plan(connection, after, configured, subjects=subjects[after.subject]) for after in following}
    return {name: count for name, count in planned.items() if count}


def claim(connection: sa.Connection, stage: Stage, *, owner: str, lease: float) -> list[Claim]:
    """Take the oldest due jobs of a stage: up to a batch of first attempts, or one later attempt alone.

    A page that kills its worker is thereby alone from its second attempt on and cannot use up its siblings' attempts.
    """
    # The index on due jobs gives the order. A table that has just got its first 100,000 rows has no statistics yet, and
    # the planner would rather sort them all for every claim (36 ms instead of 0.3).
    connection.execute(
        sa.text("SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true)")
    )
    first = rows(
        connection,
        f"SELECT id, attempt FROM job WHERE stage = :stage AND {DUE} ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
        stage=stage.name,
    )
    if not first:
        return []
    ids = [first[0]["id"]]
    if first[0]["attempt"] == 0 and stage.batch > 1:
        siblings = rows(
            connection,
            f"SELECT id FROM job WHERE stage = :stage AND attempt = 0 AND id > :first AND {DUE} "
            "ORDER BY id LIMIT :count FOR UPDATE SKIP LOCKED",
            stage=stage.name,
            first=ids[0],
            count=stage.batch - 1,
        )
        ids += [row["id"] for row in siblings]
    claimed = rows(
        connection,
        "UPDATE job SET state = 'running', owner = :owner, attempt = attempt + 1, started_at = now(), "
        "lease_until = now() + make_interval(secs => :lease) WHERE id = ANY(:ids) "
        "RETURNING id, subject_id, comic_id, attempt, max_attempts, fingerprint",
        owner=owner,
        lease=lease,
        ids=ids,
    )
    return [
        Claim(
            job_id=row["id"],
            stage=stage.name,
            subject_id=row["subject_id"],
            comic_id=row["comic_id"],
            attempt=row["attempt"],
            max_attempts=row["max_attempts"],
            fingerprint=row["fingerprint"],
            owner=owner,
        )
        for row in sorted(claimed, key=lambda row: int(row["id"]))
    ]


def renew(connection: sa.Connection, claims: Sequence[Claim], *, lease: float) -> int:
    """Prolong the leases of claims still ours; how many there were."""
    return connection.execute(
        sa.text(
            "UPDATE job SET lease_until = now() + make_interval(secs => :lease) "
            "WHERE id = ANY(:ids) AND owner = :owner AND state = 'running'"
        ),
        {"lease": lease, "ids": [claim.job_id for claim in claims], "owner": claims[0].owner},
    ).rowcount


def finish(connection: sa.Connection, claims: Sequence[Claim]) -> None:
    """Mark claims done; `Superseded` when any of them is no longer ours, so that the outputs roll back with it."""
    _leave(connection, claims, "state = 'done', error = NULL, finished_at = now()")


def progressed(connection: sa.Connection, claim: Claim) -> None:
    """Give a long job its attempts back before it keeps some of its work: what counts is dying without progress.

    `Superseded` when the claim is no longer ours, so that nothing is written over the work of its new owner.
    """
    more = STAGES[claim.stage].max_attempts
    _while_ours(connection, [claim], "max_attempts = greatest(max_attempts, attempt + :more)", more=more)


def withdraw(connection: sa.Connection, stage: Stage, subject_id: int) -> int:
    """Call jobs of a subject done that nobody has begun; how many."""
    statement = (
        "UPDATE job SET state = 'done', finished_at = now() WHERE stage = :stage AND subject_id = :subject "
        "AND state IN ('queued', 'blocked')"
    )
    return connection.execute(sa.text(statement), {"stage": stage.name, "subject": subject_id}).rowcount


def give_back(connection: sa.Connection, claims: Sequence[Claim]) -> int:
    """Queue those of these claims again that are still ours, the attempt not counted; how many.

    For work that was refused because of others in the same batch: of a comic that was deleted, say.
    """
    statement = "UPDATE job SET state = 'queued', attempt = attempt - 1, owner = NULL, lease_until = NULL WHERE "
    return connection.execute(sa.text(statement + OURS), _held(claims)).rowcount


def fail(connection: sa.Connection, claim: Claim, error: Exception) -> str:
    """Record a failed attempt and say where the job went: `failed`, `queued` (again, later), `blocked`, or `gone`.

    A `Reject` ends the job, `Blocked` gives the attempt back, everything else is tried again until the last attempt.
    Only our own errors are public; of any other its kind is kept, and the log has the rest under the job's number.
    A job that was planned while its comic was being deleted goes after it.
    """
    if connection.execute(sa.text(f"DELETE FROM job WHERE id = :id AND {GONE}"), {"id": claim.job_id}).rowcount:
        return "gone"
    public = str(error)
    if not isinstance(error, ComicsError):
        public = f"An unexpected {type(error).__name__}; the worker's log tells more under job {claim.job_id}."
    wait = min(BACKOFF * 2 ** min(claim.attempt - 1, 20), LONGEST)
    if isinstance(error, Blocked):
        state, wait = "blocked", PROBE
        change = "state = 'blocked', attempt = attempt - 1, error = :error, "
        change += "not_before = now() + make_interval(secs => :wait)"
    elif isinstance(error, Reject) or claim.attempt >= claim.max_attempts:
        state, change = "failed", "state = 'failed', error = :error, finished_at = now()"
    else:
        state = "queued"
        change = "state = 'queued', error = :error, not_before = now() + make_interval(secs => :wait)"
        wait = error.after if isinstance(error, Retry) else wait
    _leave(connection, [claim], change, error=public[:2000], wait=wait)
    return state


def sweep_exhausted(connection: sa.Connection) -> list[Claim]:
    """Mark jobs `failed` whose last attempt's worker died; they are returned so that their stage can say so."""
    found = rows(
        connection,
        "WITH dead AS (SELECT id, owner AS last_owner FROM job WHERE state = 'running' AND lease_until < now() "
        "AND attempt >= max_attempts ORDER BY id FOR UPDATE SKIP LOCKED) "
        "UPDATE job SET state = 'failed', owner = NULL, lease_until = NULL, finished_at = now(), "
        "error = concat('The worker died or hung in attempt ', attempt, ' of ', max_attempts, "
        "coalesce('; before that: ' || error, '')) FROM dead WHERE job.id = dead.id "
        "RETURNING job.id, stage, subject_id, comic_id, attempt, max_attempts, fingerprint, last_owner",
    )
    return [
        Claim(
            row["id"], row["stage"], row["subject_id"], row["comic_id"], row["attempt"], row["max_attempts"],
            row["fingerprint"], row["last_owner"],
        )
        for row in found
    ]  # fmt: skip


def unblock(connection: sa.Connection, stage: Stage, *, limit: int, probing: bool = False) -> int:
    """Queue the oldest blocked jobs of a stage again; how many.

    `probing` takes some only when none of the stage was blocked lately: one finds out whether it is allowed meanwhile.
    When it is, its end pulls the next batch, and so on.
    """
    waited = ""
    if probing:
        waited = "AND NOT EXISTS (SELECT FROM job WHERE stage = :stage AND state = 'blocked' AND not_before > now())"
    statement = (
        "UPDATE job SET state = 'queued', not_before = now() WHERE id IN "
        f"(SELECT id FROM job WHERE stage = :stage AND state = 'blocked' {waited} ORDER BY id LIMIT :limit "
        "FOR UPDATE SKIP LOCKED)"
    )
    return connection.execute(sa.text(statement), {"stage": stage.name, "limit": limit}).rowcount


def retry(connection: sa.Connection, *, job_id: int | None = None, comic_id: int | None = None) -> dict[str, int]:
    """Queue failed and blocked jobs again with fresh attempts (the Retry button); how many of each stage."""
    found = rows(
        connection,
        "UPDATE job SET state = 'queued', attempt = 0, not_before = now(), finished_at = NULL "
        "WHERE state IN ('failed', 'blocked') "
        "AND (CAST(:job AS bigint) IS NULL OR id = :job) AND (CAST(:comic AS bigint) IS NULL OR comic_id = :comic) "
        "RETURNING stage",
        job=job_id,
        comic=comic_id,
    )
    return dict(Counter(row["stage"] for row in found))


def disown_all(connection: sa.Connection) -> int:
    """Queue every running job again, its attempt kept: a standalone start knows that no worker can be alive."""
    return connection.execute(
        sa.text(
            "UPDATE job SET state = CASE WHEN attempt >= max_attempts THEN 'failed' ELSE 'queued' END, "
            "error = CASE WHEN attempt >= max_attempts THEN 'The worker died in the last attempt' ELSE error END, "
            "owner = NULL, lease_until = NULL WHERE state = 'running'"
        )
    ).rowcount


def counts(connection: sa.Connection, comic_id: int | None = None) -> dict[str, dict[str, int]]:
    """Jobs by stage and state, of one comic or of everything; what there is none of is absent."""
    found = rows(
        connection,
        "SELECT stage, state, count(*) AS n FROM job "
        "WHERE CAST(:comic AS bigint) IS NULL OR comic_id = :comic GROUP BY stage, state",
        comic=comic_id,
    )
    counted: dict[str, dict[str, int]] = {}
    for row in found:
        counted.setdefault(row["stage"], {})[row["state"]] = row["n"]
    return counted


def due(connection: sa.Connection) -> dict[str, int]:
    """How many jobs of each stage could be claimed now; stages without any are absent."""
    found = rows(connection, f"SELECT stage, count(*) AS n FROM job WHERE {DUE} GROUP BY stage")
    return {row["stage"]: row["n"] for row in found}


def _leave(connection: sa.Connection, claims: Sequence[Claim], change: str, **parameters: object) -> None:
    _while_ours(connection, claims, f"{change}, owner = NULL, lease_until = NULL", **parameters)


def _while_ours(connection: sa.Connection, claims: Sequence[Claim], change: str, **parameters: object) -> None:
    text = sa.text(f"UPDATE job SET {change} WHERE {OURS}")
    bound = {**_held(claims), **parameters}
    changed = connection.execute(text, {name: bound[name] for name in text.compile().params}).rowcount
    if changed != len(claims):
        raise Superseded(f"{len(claims) - changed} of {len(claims)} {claims[0].stage} jobs are not ours any more")


def _held(claims: Sequence[Claim]) -> dict[str, object]:
    """The parameters of `OURS`."""
    held = [f"{claim.job_id}:{claim.attempt}" for claim in claims]
    return {"ids": [claim.job_id for claim in claims], "owner": claims[0].owner, "held": held}
