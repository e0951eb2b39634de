"""The composition root: every service in one application, and everything one machine needs around it.

`up` starts PostgreSQL and Redis (unless their URLs are given), migrates, starts a worker for each queue, beat, Flower
and the API, and stops them all when told to. State lives in the data folder alone, so that after a kill -9 of any or
all of it the next start goes on where the last one ended.
"""

import fcntl
import os
import signal
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.error import URLError

from fastapi import FastAPI

from services.detector_commands import offered
from services.embedded import free_port, start_postgres, start_redis
from services.extraction import ledger
from services.processes import Child, Nursery, wait_until
from shared.domain.pipeline import QUEUES, STAGES
from shared.errors import ComicsError, Conflict
from shared.http.app import create_app
from shared.settings import Settings, unconfigured
from shared.store import checkpoints
from shared.store.blobs import storage_of
from shared.store.db import engine, migrate, unit_of_work
from shared.store.segments import remove_orphans
from shared.work import jobs, promotions
from shared.work.detector_promotions import outdated

SERVICES = ("ingestion", "detection", "extraction", "dataspec", "training", "search", "web")
HERE = Path(__file__).resolve().parent
SHIPPED: dict[checkpoints.Kind, Path] = {
    "detector": HERE / "detection" / "weights",
    "encoder": HERE / "search" / "weights",
}
EVERY = 1 << 31
WATCH = 2.0  # seconds between looks at the children
SCRATCH_AGE = 3600.0  # seconds after which an unfinished upload cannot still be running


def create_standalone() -> FastAPI:
    """Every router in one application, for `uvicorn --factory`."""
    return create_app("standalone", [import_module(f"services.{name}.api").router for name in SERVICES])


@dataclass(frozen=True)
class Addresses:
    """Where a started installation listens, and the function that keeps its processes alive."""

    api: str
    flower: str
    database_url: str
    redis_url: str
    watch: Callable[[], list[str]]


def prepare(configured: Settings, *, say: Callable[[str], None] = lambda _: None) -> dict[str, int]:
    """Migrate, register the shipped or configured checkpoints, and plan what is missing; the jobs planned by stage.

    `say` is told what a person may want to do about it.
    """
    url = str(configured.database_url)
    migrate(url)
    storage = storage_of(configured)
    storage.sweep_scratch(older_than_s=SCRATCH_AGE)
    folders = {"detector": configured.detector, "encoder": _encoder_folder(configured)}
    kept = [checkpoints.keep(storage, kind, folders[kind] or shipped) for kind, shipped in SHIPPED.items()]
    with unit_of_work(url) as connection:
        for one in kept:
            made = checkpoints.register(connection, one, origin="configured" if folders[one.kind] else "shipped")
            promotions.adopt(connection, configured, one.kind, made)
        if configured.vlm_budget is not None:
            ledger.set_limit(connection, configured.vlm_budget)
        for stage in STAGES.values():  # whoever starts anew may have granted what they waited for
            jobs.unblock(connection, stage, limit=EVERY)
    planned = {}
    for stage in STAGES.values():
        with unit_of_work(url) as connection:
            planned[stage.name] = jobs.plan(connection, stage, configured)
    with unit_of_work(url) as connection:
        old = outdated(connection)
    if old:
        say(offered(old))
    return planned


def _encoder_folder(configured: Settings) -> Path | None:
    """The configured encoder, if any: a folder of its own, or the shipped one with the configured text model."""
    if configured.text_model is None or configured.encoder is not None:
        return configured.encoder
    from services.search.text_branch import text_branch_folder  # loads torch; only those who configured a text model

    return text_branch_folder(SHIPPED["encoder"], configured.home / "models", text_model=configured.text_model)


@contextmanager
def up(given: Settings, *, say: Callable[[str], None] = lambda _: None) -> Iterator[Addresses]:
    """Everything, running; stopped when the block ends. `say` is told each step.

    Errors: Conflict when the data folder is in use by another start.
    """
    home = given.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(_only_one(home))
        nursery = stack.enter_context(Nursery(home / "run"))
        say("starting PostgreSQL and Redis" if given.database_url is None else "connecting")
        database_url = given.database_url or start_postgres(nursery, home)
        redis_url = given.redis_url or start_redis(nursery, home)
        configured = given.model_copy(update={"database_url": database_url, "redis_url": redis_url, "home": home})
        say("migrating")
        prepare(configured, say=say)
        alone = given.database_url is None and given.storage_url is None
        if alone:  # nobody else can be working on this data: what is unfinished was left by the dead
            storage_of(configured).sweep_scratch(older_than_s=0.0)
            with unit_of_work(database_url) as connection:
                jobs.disown_all(connection)
                remove_orphans(connection, storage_of(configured), older_than_s=0.0)
        stack.callback(engine(database_url).dispose)
        environment = {**_threads(), **unconfigured(os.environ), **configured.environment(), "PYTHONUNBUFFERED": "1"}
        say("starting workers")
        api_port = configured.port or free_port()
        flower_port = configured.flower_port or free_port()
        _start_children(nursery, configured, environment, api_port, flower_port)
        api, flower = f"http://{configured.host}:{api_port}", f"http://127.0.0.1:{flower_port}"
        _wait_for(nursery, f"{api}/health", "api")
        _wait_for(nursery, f"{flower}/healthcheck", "flower")
        yield Addresses(api, flower, database_url, redis_url, nursery.revive)
        say("stopping")


def run(configured: Settings, *, say: Callable[[str], None]) -> None:
    """`comics up`: everything, until Ctrl-C or SIGTERM."""
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    with up(configured, say=say) as addresses:
        say(f"open     {addresses.api}")
        say(f"API      {addresses.api}  (documentation at {addresses.api}/docs)")
        say(f"Flower   {addresses.flower}")
        say(f"data     {configured.home}")
        say("Ctrl-C stops everything; work goes on at the next start.")
        while not told.wait(WATCH):
            for name in addresses.watch():
                say(f"{name} had died and was started again; logs/{name}.log says why")


def _threads() -> dict[str, str]:
    """How many cores a child's numeric libraries may use, unless the environment says: it shares them with siblings.

    Waiting threads sleep: spinning ones take from the others what these wait for (a training step took 15 times as long
    beside a busy reader).
    """
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 2) // 2)), "OMP_WAIT_POLICY": "PASSIVE"}


def _start_children(
    nursery: Nursery, configured: Settings, environment: dict[str, str], api_port: int, flower_port: int
) -> None:
    logs = configured.home / "logs"
    python = sys.executable
    celery = [python, "-m", "celery", "-A", "shared.work.broker"]
    for queue in QUEUES:
        nursery.start(
            f"worker-{queue}",
            [python, "-m", "services.cli", "worker", queue],
            log=logs / f"worker-{queue}.log",
            environment=environment,
            stop_signal=signal.SIGQUIT,  # soft shutdown: ten seconds to finish, then the message goes back
        )
    nursery.start(
        "beat", [*celery, "beat", "-l", "WARNING", "--pidfile="], log=logs / "beat.log", environment=environment
    )
    nursery.start(
        "flower",
        # Whoever reaches Flower controls the workers, and it asks nobody for a token: this machine only.
        [*celery, "flower", "--address=127.0.0.1", f"--port={flower_port}"],
        log=logs / "flower.log",
        environment={**environment, "FLOWER_UNAUTHENTICATED_API": "true"},
    )
    nursery.start(
        "api",
        [python, "-m", "uvicorn", "services.standalone:create_standalone", "--factory", "--host", configured.host,
         "--port", str(api_port), "--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "5"],
        log=logs / "api.log",
        environment={**environment, "COMICS_FLOWER_PORT": str(flower_port)},  # the browser shows the way there
    )  # fmt: skip


def _wait_for(nursery: Nursery, address: str, name: str) -> None:
    child: Child = next(child for child in nursery.children if child.name == name)

    def answers() -> bool:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return True
        except (URLError, OSError):
            return False

    if not wait_until(lambda: answers() or child.process.poll() is not None, seconds=90, every=0.1) or not answers():
        raise ComicsError(f"{name} did not start at {address}; logs/{name}.log in the data folder says why")


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """A lock that the kernel lets go of when its holder dies."""
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(f"Another `comics up` uses the data folder {home}; stop it, or set COMICS_HOME.") from error
        yield
