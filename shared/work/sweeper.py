"""The sweep: what makes lost messages, dead workers and passing blocks harmless. Beat runs it, in its own process.

Sent as a message it would wait in a queue behind the very work it is to revive, and expire there.
"""

import logging
from typing import Any

import celery.beat
import sqlalchemy as sa

from shared.domain.pipeline import STAGES
from shared.settings import settings
from shared.store.db import rows, unit_of_work
from shared.work import jobs, promotions
from shared.work.broker import wake
from shared.work.stages import database_url

log = logging.getLogger(__name__)


def sweep() -> None:
    """Fail exhausted jobs, let one blocked job of each stage try again, switch a promotion whose time has come,
    and top up the wake-ups."""
    with unit_of_work(database_url()) as connection:
        for dead in jobs.sweep_exhausted(connection):
            log.error("%s job %s failed: its worker died in attempt %s", dead.stage, dead.job_id, dead.attempt)
        affordable = rows(connection, "SELECT FROM budget WHERE limit_usd > spent_usd + held_usd")
        for stage in STAGES.values():
            if affordable or not stage.paid:
                jobs.unblock(connection, stage, limit=1, probing=True)
        promotions.advance(connection, settings())
        due = jobs.due(connection)
    wake(due)


class Sweeper(celery.beat.Scheduler):  # type: ignore[misc]
    """A beat scheduler whose one entry is the sweep."""

    def apply_entry(self, entry: Any, producer: Any = None) -> None:  # noqa: ARG002
        """Run the sweep now; a database that is away for a moment is met again at the next one."""
        try:
            sweep()
        except sa.exc.DBAPIError as error:
            log.warning("sweep missed: %s", error)
