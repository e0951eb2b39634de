"""The database engine and the unit of work, the only place of the product that commits."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
Row = sa.RowMapping


@cache
def engine(url: str) -> sa.Engine:
    """The pooled engine of this process for a `postgresql://` URL."""
    # A worker pins one connection for its heartbeat and one for its transaction; an API serves 40 threads.
    # Plans are made for the values at hand: one that was kept since a table was small reads the whole of it ever after.
    return sa.create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=10,
        max_overflow=30,
        pool_pre_ping=True,
        connect_args={
            "options": "-c timezone=UTC -c plan_cache_mode=force_custom_plan",
            "application_name": "comics",
        },
    )


@contextmanager
def unit_of_work(url: str, *, durable: bool = True) -> Iterator[sa.Connection]:
    """One transaction: committed when the block ends, rolled back when it raises.

    `durable=False` does not wait for the disk: if the database server itself crashes, the last fraction of a second is
    undone as a whole. Right for job bookkeeping, whose outputs are undone with it and made again; never for money or
    for anything a person was told is kept.
    """
    with engine(url).begin() as connection:
        if not durable:
            connection.execute(sa.text("SET LOCAL synchronous_commit = off"))
        yield connection


def rows(connection: sa.Connection, statement: sa.Executable | str, **parameters: Any) -> Sequence[Row]:
    """All rows of a statement as mappings; a string is SQL text with `:name` parameters."""
    executable = sa.text(statement) if isinstance(statement, str) else statement
    return connection.execute(executable, parameters).mappings().all()


def row(connection: sa.Connection, statement: sa.Executable | str, **parameters: Any) -> Row | None:
    """The first row of a statement, or None."""
    executable = sa.text(statement) if isinstance(statement, str) else statement
    return connection.execute(executable, parameters).mappings().first()


def migrate(url: str) -> None:
    """Bring the database to the newest revision; several processes may call it at once."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    with engine(url).connect() as connection:
        # Session lock: two containers that start together must not both create the tables.
        connection.execute(sa.text("SELECT pg_advisory_lock(20261122)"))
        try:
            command.upgrade(config, "head")
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(20261122)"))
