"""Rows to start a test from, and questions tests ask about jobs."""

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from shared.domain.pipeline import STAGES
from shared.settings import Settings
from shared.store.db import row, rows, unit_of_work
from shared.work import jobs


def add_pages(url: str, count: int, *, title: str = "made for a test") -> list[int]:
    """A comic of `count` readable pages; the page ids."""
    with unit_of_work(url) as connection:
        comic = row(
            connection,
            "INSERT INTO comic (sha256, file_name, title, size, media_type, page_count) "
            "VALUES (md5(random()::text), :title, :title, 1, 'application/zip', :count) RETURNING id",
            title=title,
            count=count,
        )
        assert comic is not None
        found = rows(
            connection,
            "INSERT INTO page (comic_id, number, name, image_sha256, media_type, width, height) "
            "SELECT :comic, n, n || '.jpg', md5(random()::text), 'image/jpeg', 100, 150 "
            "FROM generate_series(0, :count - 1) n RETURNING id",
            comic=comic["id"],
            count=count,
        )
    return sorted(found_row["id"] for found_row in found)


def plan_stage(configured: Settings, stage: str, subjects: Sequence[int] | None = None) -> int:
    """Plan a stage in its own transaction."""
    with unit_of_work(str(configured.database_url)) as connection:
        return jobs.plan(connection, STAGES[stage], configured, subjects=subjects)


def job_states(url: str, stage: str) -> Counter[str]:
    """How many jobs of a stage are in which state."""
    with unit_of_work(url) as connection:
        found = rows(
            connection, "SELECT state, count(*) AS n FROM job WHERE stage = :stage GROUP BY state", stage=stage
        )
    return Counter({found_row["state"]: found_row["n"] for found_row in found})


def execute(url: str, statement: str, **parameters: object) -> None:
    """Run one statement in its own transaction."""
    with unit_of_work(url) as connection:
        connection.execute(sa.text(statement), parameters)
