"""Guarantees that need real worker processes: SIGKILL, SIGSTOP, a poison page, a flushed Redis."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from services.processes import wait_until
from shared.settings import Settings
from shared.store.db import row, unit_of_work
from shared.work.broker import wake
from shared.work.sweeper import sweep
from tests.equipment.rows import add_pages, job_states, plan_stage

READER = Path(__file__).parents[2] / "equipment" / "reader_worker.py"


@contextmanager
def reader(
    notes: Path, seconds: float, poison: int | None = None, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process of the *read* stage; killed with its pool at the end."""
    command = [sys.executable, str(READER), str(notes), str(seconds), *([] if poison is None else [str(poison)])]
    log = notes.with_suffix(".log").open("ab")
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=log, stderr=log, start_new_session=True
    )
    try:
        yield process
    finally:
        log.close()
        kill_session(process)


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a worker and its pool children at once."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(timeout=10)


def lines(notes: Path) -> list[list[str]]:
    return [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []


def begun(notes: Path) -> Counter[str]:
    """How often each page was begun."""
    return Counter(line[0] for line in lines(notes) if line[2] != "done")


def finished(notes: Path) -> set[str]:
    return {line[0] for line in lines(notes) if line[2] == "done"}


def wait_for(ready: Callable[[], bool], *, seconds: float, sweeping: float | None = None) -> None:
    """Wait for `ready`, sweeping meanwhile as beat would."""
    swept = time.monotonic()

    def check() -> bool:
        nonlocal swept
        if sweeping is not None and time.monotonic() - swept >= sweeping:
            sweep()
            swept = time.monotonic()
        return ready()

    assert wait_until(check, seconds=seconds), "timed out"


@pytest.mark.timeout(180)
def test_sigkill_and_a_flushed_redis_lose_nothing_and_repeat_only_unfinished_pages(
    configured: Settings, tmp_path: Path
) -> None:
    """With the product's own lease and sweep: everything is done within 90 s of the kill."""
    url, notes = str(configured.database_url), tmp_path / "notes"
    add_pages(url, 24)
    plan_stage(configured, "read")
    with reader(notes, 0.25) as victim:
        wake({"read": 24})
        wait_for(lambda: len(finished(notes)) >= 4, seconds=40)
        kill_session(victim)
        with redis.Redis.from_url(str(configured.redis_url)) as client:
            client.flushall()
    killed_at = time.monotonic()
    done_before = finished(notes)
    states = job_states(url, "read")
    assert states["running"] >= 1, "the kill came while pages were claimed"
    with reader(notes, 0.05):
        wait_for(
            lambda: job_states(url, "read") == {"done": 24},
            seconds=90 - (time.monotonic() - killed_at),
            sweeping=configured.sweep,
        )
    repeated = {page for page, count in begun(notes).items() if count > 1}
    assert not repeated & done_before, "a finished page was worked again"
    assert len(finished(notes)) == 24
    assert all(count <= 2 for count in begun(notes).values())


@pytest.mark.timeout(120)
def test_a_poison_page_fails_with_its_error_while_all_its_siblings_finish(configured: Settings, tmp_path: Path) -> None:
    url, notes = str(configured.database_url), tmp_path / "notes"
    pages = add_pages(url, 8)
    poison = pages[1]
    plan_stage(configured, "read")
    with reader(notes, 0.05, poison, COMICS_LEASE="2", COMICS_HEARTBEAT="0.5"):
        wake({"read": 8})
        wait_for(lambda: job_states(url, "read") == {"done": 7, "failed": 1}, seconds=90, sweeping=1)
    assert begun(notes)[str(poison)] == 3
    with unit_of_work(url) as connection:
        job = row(connection, "SELECT subject_id, attempt, error FROM job WHERE state = 'failed'")
    assert job is not None
    assert (job["subject_id"], job["attempt"]) == (poison, 3)
    assert "attempt 3 of 3" in job["error"]
    # Its batch mates lost one attempt with it at most: from the second on it was alone.
    assert all(count <= 2 for page, count in begun(notes).items() if page != str(poison))


@pytest.mark.timeout(120)
def test_a_stopped_and_continued_worker_cannot_write_what_another_has_taken_over(
    configured: Settings, tmp_path: Path
) -> None:
    url, slow, quick = str(configured.database_url), tmp_path / "slow", tmp_path / "quick"
    add_pages(url, 1)
    plan_stage(configured, "read")
    lease = {"COMICS_LEASE": "2", "COMICS_HEARTBEAT": "0.5"}
    with reader(slow, 3.0, None, **lease) as zombie:
        wake({"read": 1})
        wait_for(lambda: bool(begun(slow)), seconds=40)
        os.killpg(zombie.pid, signal.SIGSTOP)
        time.sleep(2.5)
        with reader(quick, 0.0, None, **lease):
            wait_for(lambda: job_states(url, "read") == {"done": 1}, seconds=40, sweeping=1)
        os.killpg(zombie.pid, signal.SIGCONT)
        wait_for(lambda: bool(finished(slow)), seconds=20)
    assert "a late write was refused" in slow.with_suffix(".log").read_text()
    with unit_of_work(url) as connection:
        job = row(connection, "SELECT state, attempt FROM job")
    assert job is not None
    assert (job["state"], job["attempt"]) == ("done", 2)


@pytest.mark.timeout(60)
def test_a_heartbeat_keeps_long_work_ours(configured: Settings, tmp_path: Path) -> None:
    url, notes = str(configured.database_url), tmp_path / "notes"
    add_pages(url, 1)
    plan_stage(configured, "read")
    with reader(notes, 4.0, None, COMICS_LEASE="1.5", COMICS_HEARTBEAT="0.4"):
        wake({"read": 1})
        wait_for(lambda: job_states(url, "read") == {"done": 1}, seconds=40, sweeping=0.5)
    assert begun(notes) == {line[0]: 1 for line in lines(notes)}
