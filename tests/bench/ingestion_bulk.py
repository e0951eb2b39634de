"""Part `bulk` of the area `ingestion`: ten thousand small comics through `comics add`, and then all of them again.

The command and the API are processes of their own and speak HTTP; PostgreSQL and Redis are real; nothing works on the
comics meanwhile. BULK_FILES sets another number for a trial.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from services.processes import wait_until
from shared.settings import Settings
from shared.store.db import row, unit_of_work
from tests.equipment.api import ingestion_process
from tests.equipment.servers import fresh_settings, running_servers

ROOT = Path(__file__).resolve().parents[2]
FILES = int(os.environ.get("BULK_FILES", "10000"))
SERIES = 100  # comics in one folder
Figure = tuple[str, float, str]


def figures() -> Iterator[Figure]:
    """All figures of the part."""
    home = Path(tempfile.mkdtemp(prefix="comics-bench-"))
    try:
        make_library(home / "library", FILES)
        with running_servers() as servers, fresh_settings(servers, home / "data") as configured:
            yield from bulk(configured, home / "library")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def bulk(configured: Settings, library: Path) -> Iterator[Figure]:
    """Add the library, then add it again."""
    tenth = FILES // 10
    with ingestion_process() as (server, address):
        begun = time.perf_counter()
        client = adding(library, address)
        assert wait_until(lambda: arrived(configured) >= tenth or client.poll() is not None, seconds=600)
        early = peak_mb(client.pid), peak_mb(server.pid)
        ended = finished(client)
        first = time.perf_counter() - begun
        late = ended, peak_mb(server.pid)
        assert arrived(configured) == FILES
        begun = time.perf_counter()
        again = finished(adding(library, address))
        second = time.perf_counter() - begun
        assert arrived(configured) == FILES
    yield "bulk_files_per_s", FILES / first, "files/s"
    yield "bulk_peak_mb", sum(late), "MB"
    for who, at_tenth, at_end in zip(("client", "server"), early, late, strict=True):
        yield f"bulk_{who}_peak_mb_at_tenth", at_tenth, "MB"
        yield f"bulk_{who}_peak_mb", at_end, "MB"
        yield f"bulk_{who}_peak_growth", at_end / at_tenth, "ratio"
    yield "bulk_readd_client_peak_mb", again, "MB"
    yield "bulk_last_vs_first", span(configured, FILES - tenth, FILES) / span(configured, 0, tenth), "ratio"
    yield "bulk_readd_share", second / first, "ratio"


def make_library(library: Path, count: int) -> None:
    """Comics of one or two tiny pages, no two alike, in folders as of series."""
    chance = np.random.default_rng(4)
    for number in range(count):
        folder = library / f"Series {number // SERIES + 1}"
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / f"{folder.name} #{number % SERIES + 1}.cbz", "w") as archive:
            for page in range(1 + number % 2):
                picture = io.BytesIO()
                Image.fromarray(chance.integers(0, 256, (48, 32), np.uint8)).save(picture, "JPEG")
                archive.writestr(f"{page + 1}.jpg", picture.getvalue())


def adding(library: Path, address: str) -> subprocess.Popen[bytes]:
    """The command, as a person calls it."""
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", "add", str(library), "--recursive", "--no-wait"],
        cwd=ROOT,
        env={**os.environ, "COMICS_SERVER": address},
        stdout=subprocess.DEVNULL,
    )


def finished(client: subprocess.Popen[bytes]) -> float:
    """Wait for the command's end; its peak in megabytes."""
    peak = 0.0
    while client.poll() is None:
        peak = peak_mb(client.pid) or peak
        time.sleep(0.05)
    assert client.returncode == 0
    return peak


def peak_mb(pid: int) -> float:
    """Megabytes a process has had at most; 0 when it has ended."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024 if "VmHWM:" in status else 0.0


def arrived(configured: Settings) -> int:
    """How many comics there are."""
    with unit_of_work(str(configured.database_url)) as connection:
        found = row(connection, "SELECT count(*) AS n FROM comic")
    assert found is not None
    return int(found["n"])


def span(configured: Settings, start: int, stop: int) -> float:
    """Seconds in which comics `start` to `stop` arrived, by the database's clock."""
    with unit_of_work(str(configured.database_url)) as connection:
        found = row(
            connection,
            "SELECT extract(epoch FROM max(created_at) - min(created_at)) AS seconds FROM "
            "(SELECT created_at FROM comic ORDER BY id OFFSET :start LIMIT :count) c",
            start=start,
            count=stop - start,
        )
    assert found is not None
    return float(found["seconds"])
