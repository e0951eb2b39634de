"""A real PostgreSQL and Redis for the test run, and a fresh database for each test that asks for one."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from services.embedded import start_postgres, start_redis
from services.processes import Nursery
from shared.settings import Settings, read_settings, settings
from shared.store.db import engine, migrate
from shared.work.broker import app


@dataclass(frozen=True)
class Servers:
    """Addresses of the servers, and a database that is migrated and empty, to copy from."""

    database_url: str
    redis_url: str
    template: str


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Start both servers in a temporary folder; stop and remove them."""
    home = Path(tempfile.mkdtemp(prefix="comics-tests-"))
    home.chmod(0o755)
    try:
        with Nursery(home / "run") as nursery:
            database_url, redis_url = start_postgres(nursery, home), start_redis(nursery, home)
            template = database_url.replace("/comics?", "/template_comics?")
            with psycopg.connect(database_url, autocommit=True) as connection:
                connection.execute("CREATE DATABASE template_comics")
            migrate(template)
            engine(template).dispose()  # PostgreSQL copies only databases that nobody is connected to
            yield Servers(database_url, redis_url, "template_comics")
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def fresh_settings(servers: Servers, home: Path, **more: str) -> Iterator[Settings]:
    """Settings over a new database, an emptied Redis and `home`; also what `settings()` answers meanwhile."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {servers.template}")
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushall()
    url = servers.database_url.replace("/comics?", f"/{name}?")
    environment = {
        "DATABASE_URL": url,
        "REDIS_URL": servers.redis_url,
        "COMICS_HOME": str(home),
        "COMICS_PORT": "0",
        "COMICS_FLOWER_PORT": "0",
        **more,
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    settings.cache_clear()
    app.conf.broker_url = servers.redis_url  # collecting tests touches tasks, and Celery reads its settings then
    try:
        yield read_settings(os.environ)
    finally:
        for variable, value in before.items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value
        settings.cache_clear()
        engine(url).dispose()
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
