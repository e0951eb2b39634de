"""What happens to the work on pages that somebody hides, and on pages that are shown again.

No stage is planned for a hidden page (`shared.work.inputs`). Jobs that nobody has begun are removed, not called done:
otherwise the page would lack what they make for ever, once it is shown again. What is running may finish.
"""

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from shared.domain.pipeline import STAGES
from shared.settings import Settings
from shared.store.db import rows
from shared.work import jobs

PAGE_STAGES = [stage for stage in STAGES.values() if stage.subject == "page"]


def withdraw_pages(connection: sa.Connection, page_ids: Sequence[int]) -> dict[str, int]:
    """Remove jobs of these pages that are neither running nor done; how many of each stage."""
    found = rows(
        connection,
        "DELETE FROM job WHERE stage = ANY(:stages) AND subject_id = ANY(:pages) "
        "AND state IN ('queued', 'blocked', 'failed') RETURNING stage",
        stages=[stage.name for stage in PAGE_STAGES],
        pages=list(page_ids),
    )
    return dict(Counter(job["stage"] for job in found))


def plan_pages(connection: sa.Connection, configured: Settings, page_ids: Sequence[int]) -> dict[str, int]:
    """Plan everything these pages lack; jobs of each stage, to wake workers for."""
    planned = {stage.name: jobs.plan(connection, stage, configured, subjects=page_ids) for stage in PAGE_STAGES}
    return {name: count for name, count in planned.items() if count}
