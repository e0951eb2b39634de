"""Area `core`: jobs a second, and queries over HTTP at 10,000 vectors."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from services.embedded import free_port
from services.processes import wait_until
from services.standalone import prepare
from shared.domain.answers import SearchFilters
from shared.domain.pipeline import STAGES
from shared.errors import ComicsError
from shared.http.client import Client
from shared.settings import Settings
from shared.store.blobs import storage_of
from shared.store.db import row, rows, unit_of_work
from shared.store.vectors import PANEL, write_segment
from shared.work.jobs import Claim
from shared.work.stages import Done, run_batch
from tests.equipment.rows import add_pages, execute, job_states, plan_stage
from tests.equipment.servers import fresh_settings, running_servers

JOBS = 2_000
VECTORS, QUERIES = 10_000, 300
SHELF = "every other comic"
Figure = tuple[str, float, str]


def figures() -> Iterator[Figure]:
    """All figures of the area."""
    with running_servers() as servers:
        home = Path(tempfile.mkdtemp(prefix="comics-bench-"))
        with fresh_settings(servers, home / "jobs") as configured:
            yield from jobs(configured)
        with fresh_settings(servers, home / "queries") as configured:
            yield from queries(configured)


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
        half = SearchFilters(collections=[SHELF])
        medians = {}
        for name, asked in (
            ("query", [{"panel_id": panel} for panel in panels[:QUERIES]]),
            ("words_query", [{"words": f"word{panel % 500}"} for panel in panels[:QUERIES]]),
            ("filtered_query", [{"panel_id": panel, "filters": half} for panel in panels[:QUERIES]]),
        ):
            taken = []
            for number, query in enumerate(asked):
                begun = time.perf_counter()
                answer = client.search(**query)
                if number >= 20:  # connections and caches are warm
                    taken.append((time.perf_counter() - begun) * 1000)
                assert len(answer.hits) == 20
            medians[name] = statistics.median(taken)
            yield f"{name}_p50_ms", medians[name], "ms"
            yield f"{name}_p95_ms", float(np.percentile(taken, 95)), "ms"
        yield "filtered_query_vs_query", medians["filtered_query"] / medians["query"], "ratio"


def _seed_vectors(configured: Settings) -> None:
    """200 comics of ten pages of five panels, with text and random unit vectors in segments of 500; half on a shelf."""
    url = str(configured.database_url)
    pages = [page for _ in range(VECTORS // 50) for page in add_pages(url, 10)]
    execute(url, "UPDATE comic SET collection = :shelf WHERE id % 2 = 0", shelf=SHELF)
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
        panels = rows(connection, "SELECT id FROM panel ORDER BY layout_id, id")
        ids = np.array([found["id"] for found in panels], np.int64)
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
        execute(
            url,
            "INSERT INTO embedding (page_id, checkpoint_id, segment_id, inputs) SELECT DISTINCT l.page_id, "
            "s.checkpoint_id, s.id, '' FROM panel n JOIN layout l ON l.id = n.layout_id, segment s "
            "WHERE n.id = ANY(:ids) AND s.key = :key",
            ids=chosen.tolist(),
            key=name,
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
