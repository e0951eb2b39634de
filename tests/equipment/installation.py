"""A whole installation as a user starts it: `comics up` in a process of its own, in a data folder of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.processes import start_time, wait_until
from shared.http.client import Client

ROOT = Path(__file__).resolve().parents[2]
FREE_PORTS = {"COMICS_PORT": "0", "COMICS_FLOWER_PORT": "0"}


@dataclass
class Installation:
    """A started one: its process, addresses and data folder."""

    process: subprocess.Popen[bytes]
    home: Path
    api: str
    flower: str

    def client(self) -> Client:
        """A client of its API."""
        return Client(self.api)

    def children(self) -> dict[str, int]:
        """Process ids of its children by name, as the data folder notes them."""
        noted = json.loads((self.home / "run" / "processes.json").read_text())
        return {entry["name"]: int(entry["pid"]) for entry in noted}


@contextmanager
def data_folder() -> Iterator[Path]:
    """A folder for an installation: started as root, PostgreSQL's own user may not enter pytest's temporary folders."""
    folder = Path(tempfile.mkdtemp(prefix="comics-test-"))
    folder.chmod(0o755)
    try:
        yield folder / "data"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(home: Path, environment: Mapping[str, str] | None = None, *, seconds: float = 120) -> Installation:
    """Start `comics up` on a data folder and wait until it says where it listens."""
    home.mkdir(parents=True, exist_ok=True)
    log = home / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "up"],
            cwd=ROOT,
            env={**_plain(), "COMICS_HOME": str(home), **FREE_PORTS, **(environment or {})},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    said = re.compile(r"API\s+(\S+).*Flower\s+(\S+)", re.DOTALL)
    if not wait_until(lambda: bool(said.search(log.read_text())) or process.poll() is not None, seconds=seconds):
        process.kill()
    found = said.search(log.read_text())
    assert found is not None, f"comics up did not start:\n{log.read_text()}"
    return Installation(process, home, found[1], found[2])


def stop(installation: Installation, *, seconds: float = 60) -> int:
    """Ctrl-C; the exit status."""
    installation.process.send_signal(signal.SIGINT)
    return installation.process.wait(timeout=seconds)


@contextmanager
def running(home: Path, environment: Mapping[str, str] | None = None) -> Iterator[Installation]:
    """Started, and stopped at the end."""
    installation = start(home, environment)
    try:
        yield installation
    finally:
        if installation.process.poll() is None:
            stop(installation)


def kill_everything(installation: Installation) -> None:
    """SIGKILL the parent and every process of the installation, as a power cut would."""
    victims = processes_of(installation.home)
    os.kill(installation.process.pid, signal.SIGKILL)
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    installation.process.wait()
    wait_until(lambda: not processes_of(installation.home), seconds=10)


def processes_of(home: Path) -> list[int]:
    """Every living process that has the data folder in its environment or command line."""
    mark, found = os.fsencode(home), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            about = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if mark in about and start_time(int(entry.name)) is not None:
            found.append(int(entry.name))
    return found


def wait_for_end(client: Client, comic_id: int, *, seconds: float = 180) -> None:
    """Wait until a comic has nothing left to do."""
    deadline = time.monotonic() + seconds
    while not (progress := client.progress(comic_id)).finished or progress.total <= 1:
        assert time.monotonic() < deadline, f"comic {comic_id} did not end: {progress}"
        time.sleep(0.3)


def _plain() -> dict[str, str]:
    """Our environment without what would name other servers."""
    return {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
