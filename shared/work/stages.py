"""One batch of a stage, start to finish: claim, work, store, plan, wake. Services say only what "work" and "store" are.

A handler takes claims and yields outcomes as they come about. For each `Done` its `store` writes the outputs in the
same transaction that marks the jobs done and plans what follows. Nothing here holds a transaction while work goes on.
"""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from shared.domain.pipeline import STAGES, Stage
from shared.errors import NotFound
from shared.settings import Settings, settings
from shared.store.db import unit_of_work
from shared.work import jobs
from shared.work.broker import app, wake
from shared.work.jobs import Claim, Superseded

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """Work on these claims succeeded; `store` writes its outputs and must not commit."""

    claims: Sequence[Claim]
    store: Callable[[sa.Connection], None]


@dataclass(frozen=True)
class Failed:
    """Work on this claim failed with `error`; its siblings are not concerned."""

    claim: Claim
    error: Exception


def deleted(claim: Claim) -> Failed:
    """For a subject that went between the claim and the look at it; its siblings are worked on."""
    return Failed(claim, NotFound(f"The {STAGES[claim.stage].subject} {claim.subject_id} was deleted."))


Handler = Callable[[Sequence[Claim]], Iterable[Done | Failed]]


def database_url(configured: Settings | None = None) -> str:
    """The database of this process."""
    url = (configured or settings()).database_url
    if url is None:
        raise RuntimeError("DATABASE_URL is not set; `comics up` sets it for its children")
    return url


def stage(name: str) -> Callable[[Handler], Handler]:
    """Make a handler the work of a stage: registers the Celery task of that name."""
    data = STAGES[name]

    def register(handler: Handler) -> Handler:
        # The handler stays a plain function, so that tests and benchmarks can run it without a broker.
        @app.task(name=name, time_limit=data.limit)  # type: ignore[untyped-decorator]
        def woken() -> None:
            run_batch(data, handler)

        return handler

    return register


def run_batch(data: Stage, handler: Handler, *, owner: str | None = None) -> int:
    """Claim one batch, work it, store each outcome; how many jobs were claimed. Wakes again while work is due."""
    configured = settings()
    url = database_url(configured)
    owner = owner or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    with unit_of_work(url, durable=False) as connection:
        claims = jobs.claim(connection, data, owner=owner, lease=configured.lease)
    if not claims:
        return 0
    with heartbeat(url, claims, configured):
        _work(data, handler, claims, url, configured)
    # Always once more: either work is left, or the message finds nothing and costs one empty claim.
    wake({data.name: 1})
    return len(claims)


def _work(data: Stage, handler: Handler, claims: Sequence[Claim], url: str, configured: Settings) -> None:
    open_claims = {claim.job_id: claim for claim in claims}
    try:
        for outcome in handler(claims):
            ended = outcome.claims if isinstance(outcome, Done) else [outcome.claim]
            try:
                # The next outcome is seldom ready at once: let the following stages begin meanwhile.
                wake(_settle(data, outcome, url, configured))
            except Superseded as late:
                with unit_of_work(url, durable=False) as connection:
                    back = jobs.give_back(connection, ended)
                log.warning("a late write was refused: %s; %s others are queued again", late, back)
            except Exception as error:  # storing failed: these jobs only, their siblings may be worth money
                log.exception("storing %s failed for jobs %s", data.name, [claim.job_id for claim in ended])
                for claim in ended:
                    _fail(claim, error, url)
            for claim in ended:
                open_claims.pop(claim.job_id, None)
    except Exception as error:  # the edge of a task: whatever a handler did not expect becomes the jobs' error
        log.exception("%s failed for jobs %s", data.name, sorted(open_claims))
        for claim in open_claims.values():
            _fail(claim, error, url)
        return
    for claim in open_claims.values():
        _fail(claim, RuntimeError(f"{data.name} ended without an outcome for this job"), url)


def _settle(data: Stage, outcome: Done | Failed, url: str, configured: Settings) -> dict[str, int]:
    if isinstance(outcome, Failed):
        _fail(outcome.claim, outcome.error, url)
        return {}
    with unit_of_work(url, durable=False) as connection:
        jobs.finish(connection, outcome.claims)  # first: a zombie must not even try to write
        outcome.store(connection)
        jobs.unblock(connection, data, limit=data.batch)  # what was blocked for the same reason is allowed again
        return jobs.plan_following(connection, data, configured, outcome.claims)


def _fail(claim: Claim, error: Exception, url: str) -> None:
    try:
        with unit_of_work(url) as connection:
            state = jobs.fail(connection, claim, error)
        log.warning("%s job %s attempt %s: %s (%s)", claim.stage, claim.job_id, claim.attempt, state, error)
    except Superseded as late:
        log.warning("a late failure was refused: %s", late)


@contextmanager
def heartbeat(url: str, claims: Sequence[Claim], configured: Settings) -> Iterator[None]:
    """Renew the leases of `claims` from a thread of its own until the block ends."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(configured.heartbeat):
            try:
                with unit_of_work(url, durable=False) as connection:
                    jobs.renew(connection, claims, lease=configured.lease)
            except sa.exc.DBAPIError as error:  # the lease allows for two missed beats
                log.warning("heartbeat missed: %s", error)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
