"""`comics up` as a user lives with it: killed, started again, killed altogether."""

import os
import signal
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from services.processes import wait_until
from tests.equipment.installation import kill_everything, processes_of, start, stop

pytestmark = pytest.mark.timeout(300)


def test_ctrl_c_stops_everything_and_the_folder_may_be_deep(home: Path) -> None:
    home = home.joinpath(*["a-rather-long-folder-name"] * 6)
    installation = start(home)
    assert {
        "postgres",
        "redis",
        "beat",
        "flower",
        "api",
        "worker-cpu",
        "worker-io",
        "worker-gpu",
        "worker-train",
    } == set(installation.children())
    assert httpx.get(f"{installation.api}/health/ready").json()["status"] == "ready"
    assert stop(installation) == 0
    assert processes_of(home) == []


def test_after_kill_9_of_the_parent_alone_nothing_is_orphaned_and_the_next_start_goes_on(home: Path) -> None:
    first = start(home)
    postgres = first.children()["postgres"]
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    assert wait_until(lambda: not processes_of(home), seconds=40), f"orphans: {processes_of(home)}"
    second = start(home)
    try:
        assert second.children()["postgres"] != postgres
        servers = [pid for pid in processes_of(home) if _is_postmaster(pid)]
        assert servers == [second.children()["postgres"]]
        assert httpx.get(f"{second.api}/health/ready").status_code == 200
    finally:
        stop(second)


def test_a_second_start_on_the_same_folder_is_refused_and_harms_nothing(home: Path) -> None:
    installation = start(home)
    try:
        with pytest.raises(AssertionError, match="Another `comics up` uses the data folder"):
            start_beside(home)
        assert httpx.get(f"{installation.api}/health/ready").status_code == 200
    finally:
        stop(installation)


def start_beside(home: Path) -> None:
    """A second start whose log does not overwrite the first one's."""
    kept = (home / "up.log").read_text()
    try:
        start(home)
    finally:
        (home / "up.log").write_text(kept)


def test_after_kill_9_of_everything_the_data_is_there(home: Path) -> None:
    first = start(home)
    with psycopg.connect(_database(home)) as connection:
        connection.execute("INSERT INTO budget (name, limit_usd) VALUES ('kept', 1)")
    kill_everything(first)
    time.sleep(0.2)
    second = start(home)
    try:
        with psycopg.connect(_database(home)) as connection:
            assert connection.execute("SELECT limit_usd FROM budget WHERE name = 'kept'").fetchone() == (1,)
    finally:
        stop(second)
    assert processes_of(home) == []


def _database(home: Path) -> str:
    sockets = (home / "postgres" / "postmaster.pid").read_text().splitlines()[4]
    return f"postgresql://postgres@/comics?host={sockets}"


def _is_postmaster(pid: int) -> bool:
    return b"/bin/postgres\0-D" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_child_that_dies_is_started_again_and_beat_finds_work_nobody_was_woken_for(home: Path) -> None:
    installation = start(home)
    try:
        worker = installation.children()["worker-cpu"]
        os.killpg(worker, signal.SIGKILL)
        assert wait_until(lambda: installation.children().get("worker-cpu", worker) != worker, seconds=30)
        with psycopg.connect(_database(home)) as connection:
            # A comic whose file is gone: its job can only fail, but for that somebody has to take it.
            connection.execute(
                "WITH c AS (INSERT INTO comic (sha256, file_name, title, size, media_type) "
                "VALUES (repeat('0', 64), 'gone.cbz', 'gone', 1, 'application/zip') RETURNING id) "
                "INSERT INTO job (stage, subject_id, comic_id, fingerprint, max_attempts) "
                "SELECT 'ingest', id, id, 'x', 3 FROM c"
            )
        with installation.client() as client:
            assert wait_until(lambda: client.status().failed == 1, seconds=60)
            comic = next(client.comics())
        assert comic.state == "failed"
        assert comic.error
        assert str(home) not in comic.error
    finally:
        stop(installation)
