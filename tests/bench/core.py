"""Area `core`: ingestion against a bare loop, jobs a second, and queries over HTTP at 10,000 vectors."""

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from services.embedded import free_port
from services.ingestion.tasks import ingest
from services.processes import wait_until
from services.standalone import prepare
from services.training.generators.pages import make_comic
from shared.domain.pipeline import STAGES
from shared.errors import ComicsError
from shared.http.client import Client
from shared.settings import Settings
from shared.store.blobs import put_blob_file, storage_of
from shared.store.db import row, rows, unit_of_work
from shared.store.vectors import PANEL, write_segment
from shared.work.jobs import Claim
from shared.work.stages import Done, run_batch
from tests.equipment.rows import add_pages, execute, job_states, plan_stage
from tests.equipment.servers import fresh_settings, running_servers

SAMPLES = Path(os.environ.get("COMIC_SAMPLES") or Path(__file__).resolve().parents[3] / "shared" / "comics")
ROUNDS = 5
JOBS = 2_000
VECTORS, QUERIES = 10_000, 300
Figure = tuple[str, float, str]


def figures() -> Iterator[Figure]:
    """All figures of the area."""
    with running_servers() as servers:
        home = Path(tempfile.mkdtemp(prefix="comics-bench-"))
        with fresh_settings(servers, home / "ingest") as configured:
            yield from ingestion(configured)
        with fresh_settings(servers, home / "jobs") as configured:
            yield from jobs(configured)
        with fresh_settings(servers, home / "queries") as configured:
            yield from queries(configured)


def ingestion(configured: Settings) -> Iterator[Figure]:
    """Pages a second of the whole stage *ingest* over those of a bare loop, both on one and the same core."""
    archive = _archive(configured.home)
    core = {min(os.sched_getaffinity(0))}
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, core)  # threads that start from here on inherit it
    try:
        ratios, rates = [], []
        for number in range(ROUNDS + 1):
            floor = _bare_loop(archive)
            ours = _ingest(configured, archive, number)
            if number:  # the first round warms both
                ratios.append(ours / floor)
                rates.append(ours)
    finally:
        os.sched_setaffinity(0, everything)
    yield "ingest_pages_per_s", statistics.median(rates), "pages/s"
    yield "ingest_vs_floor", statistics.median(ratios), "ratio"


def _archive(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bench.cbz"
    pages = sorted(SAMPLES.glob("*/*.jpg"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, page in enumerate(pages):
            archive.write(page, f"{number:03}.jpg")
        if not pages:
            for number, made in enumerate(make_comic(1, pages=24)):
                buffer = io.BytesIO()
                made.image.convert("RGB").save(buffer, "JPEG", quality=92)
                archive.writestr(f"{number:03}.jpg", buffer.getvalue())
    return path


def _bare_loop(path: Path) -> float:
    """Pages a second of reading, hashing and decoding at an eighth of the size."""
    begun = time.perf_counter()
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for name in names:
            data = archive.read(name)
            sha256(data).hexdigest()
            with Image.open(io.BytesIO(data)) as image:
                image.draft("RGB", (image.width // 8, image.height // 8))
                image.load()
    return len(names) / (time.perf_counter() - begun)


def _ingest(configured: Settings, path: Path, number: int) -> float:
    """Pages a second of the stage: claim, open, check, store blobs and rows, finish, plan what follows."""
    url, storage = str(configured.database_url), storage_of(configured)
    storage.delete_folder("blobs")  # or the second round would find every page kept already
    digest = sha256(path.read_bytes() + bytes([number])).hexdigest()
    put_blob_file(storage, digest, path)
    execute(
        url,
        "INSERT INTO comic (sha256, file_name, title, size, media_type) VALUES (:sha, 'b.cbz', 'b', 1, 'x')",
        sha=digest,
    )
    plan_stage(configured, "ingest")
    begun = time.perf_counter()
    assert run_batch(STAGES["ingest"], ingest) == 1
    taken = time.perf_counter() - begun
    with unit_of_work(url) as connection:
        found = row(connection, "SELECT page_count FROM comic WHERE sha256 = :sha", sha=digest)
    assert found is not None
    return float(found["page_count"]) / taken


def jobs(configured: Settings) -> Iterator[Figure]:
    """Jobs a second through plan, claim and finish, each finished in its own transaction by one worker."""
    url = str(configured.database_url)
    add_pages(url, JOBS)

    def empty(claims: Sequence[Claim]) -> Iterator[Done]:
        for claim in claims:
            yield Done([claim], lambda _: None)

    begun = time.perf_counter()
    assert plan_stage(configured, "read") == JOBS
    while run_batch(STAGES["read"], empty):
        pass
    taken = time.perf_counter() - begun
    assert job_states(url, "read") == {"done": JOBS}
    yield "jobs_per_s", JOBS / taken, "jobs/s"


def queries(configured: Settings) -> Iterator[Figure]:
    """Milliseconds of `POST /search` by panel and by words over HTTP, one after another."""
    url = str(configured.database_url)
    prepare(configured)
    _seed_vectors(configured)
    with _served() as client:
        with unit_of_work(url) as connection:
            panels = [found["id"] for found in rows(connection, "SELECT id FROM panel ORDER BY md5(id::text)")]
        assert client.embeddings().rows == VECTORS
        for name, asked in (
            ("query", [{"panel_id": panel} for panel in panels[:QUERIES]]),
            ("words_query", [{"words": f"word{panel % 500}"} for panel in panels[:QUERIES]]),
        ):
            taken = []
            for number, query in enumerate(asked):
                begun = time.perf_counter()
                answer = client.search(**query)
                if number >= 20:  # connections and caches are warm
                    taken.append((time.perf_counter() - begun) * 1000)
                assert len(answer.hits) == 20
            yield f"{name}_p50_ms", statistics.median(taken), "ms"
            yield f"{name}_p95_ms", float(np.percentile(taken, 95)), "ms"


def _seed_vectors(configured: Settings) -> None:
    """2,000 pages of five panels each, with text and random unit vectors in segments of 500."""
    url = str(configured.database_url)
    pages = add_pages(url, VECTORS // 5)
    execute(
        url,
        "WITH made AS (INSERT INTO layout (page_id, source, kind, direction, objects) "
        "SELECT id, 'model', 'panels', 'ltr', '[]' FROM page WHERE id = ANY(:pages) RETURNING id, page_id), "
        "active AS (UPDATE page SET layout_id = made.id FROM made WHERE page.id = made.page_id) "
        "INSERT INTO panel (layout_id, position, x, y, w, h, score) "
        "SELECT id, n, 0, n * 20, 100, 20, 1 FROM made, generate_series(0, 4) n",
        pages=pages,
    )
    execute(
        url,
        "INSERT INTO panel_text (panel_id, literal, descriptive, normalised) "
        "SELECT id, t, '', t FROM (SELECT id, 'panel word' || (id % 500) AS t FROM panel) p",
    )
    chance = np.random.default_rng(1)
    with unit_of_work(url) as connection:
        ids = np.array([found["id"] for found in rows(connection, "SELECT id FROM panel ORDER BY id")], np.int64)
        checkpoint = row(connection, "SELECT id FROM checkpoint WHERE kind = 'encoder' AND active")
    assert checkpoint is not None
    for start in range(0, VECTORS, 500):
        chosen = ids[start : start + 500]
        vectors = chance.normal(size=(len(chosen), 384)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        name = f"bench-{start}"
        kinds = np.full(len(chosen), PANEL, np.uint8)
        write_segment(storage_of(configured), name, ids=chosen, kinds=kinds, vectors=vectors, meta={})
        execute(
            url,
            "INSERT INTO segment (checkpoint_id, key, rows) VALUES (:checkpoint, :key, :rows)",
            checkpoint=checkpoint["id"],
            key=name,
            rows=len(chosen),
        )


@contextmanager
def _served() -> Iterator[Client]:
    """The search service alone, as its container runs it."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "services.search.api:app", "--port", str(port), "--log-level", "error"]
    process = subprocess.Popen([*command, "--no-access-log"], cwd=Path(__file__).resolve().parents[2])
    try:
        with Client(f"http://127.0.0.1:{port}") as client:

            def answers() -> bool:
                try:
                    client.embeddings()
                except ComicsError:
                    return False
                return True

            assert wait_until(answers, seconds=60), "the search service did not start"
            yield client
    finally:
        process.terminate()
        process.wait(timeout=20)
