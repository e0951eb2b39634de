"""Stage *train*: a run from its dataset to a checkpoint, resumed from its last state however often it is killed."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from services.training.corpus import Corpus, corpus_of_specs, corpus_of_stories, picture_bytes
from shared.domain.dataspec import DatasetLine, DataSpec
from shared.domain.training import RunConfig
from shared.errors import NotFound, Reject
from shared.settings import settings
from shared.store import checkpoints
from shared.store.blobs import storage_of
from shared.store.db import Row, row, rows, unit_of_work
from shared.store.page_images import page_image
from shared.store.storage import Storage
from shared.work import jobs
from shared.work.jobs import Claim
from shared.work.stages import Done, database_url, stage

if TYPE_CHECKING:
    from services.training.loop import MetricRow, Training

MOST_MEMORY = 0.6  # share of the machine that a run's pictures may take
LOOK_SECONDS = 1.0  # between looks whether somebody told the run to stop
RUN = """
    SELECT r.*, d.key AS dataset_key, d.fingerprint, d.counts, k.key AS start_key,
           EXISTS (SELECT FROM checkpoint c WHERE c.run_id = r.id) AS made
    FROM run r JOIN dataset d ON d.id = r.dataset_id LEFT JOIN checkpoint k ON k.id = r.start_id WHERE r.id = :id"""


# Datasets that the encoder a run starts from, or one before it, was trained on.
SEEN = """
    WITH RECURSIVE line AS (
        SELECT k.run_id FROM checkpoint k WHERE k.id = :start
        UNION SELECT k.run_id FROM line l JOIN run r ON r.id = l.run_id JOIN checkpoint k ON k.id = r.start_id)
    SELECT DISTINCT d.key FROM line l JOIN run r ON r.id = l.run_id JOIN dataset d ON d.id = r.dataset_id"""


@stage("train")
def train(claims: Sequence[Claim]) -> Iterator[Done]:
    """Train one run to its end, or until it is told to stop."""
    # Here, for it brings torch, which the process that hands out work does not need.
    from shared.nn.encoder import save_encoder

    configured = settings()
    storage = storage_of(configured)
    for claim in claims:
        with unit_of_work(database_url()) as connection:
            run = row(connection, RUN, id=claim.subject_id)
        if run is None or run["stopping"] or run["made"]:
            yield Done([claim], _nothing)
            continue
        training = _prepared(run, storage, device=configured.device)
        state = f"runs/{run['id']}/state.safetensors"
        with suppress(NotFound):  # a first attempt, or one that died before it had kept anything
            training.restore(storage.get(state))
        _write("UPDATE run SET steps = :steps, step = :step WHERE id = :id", run, training.step, steps=training.steps)
        encoder = training.run(
            report=partial(_report, run), save=partial(_save, storage, state, claim, run), stop=_told_to_stop(run)
        )
        if encoder is None:
            yield Done([claim], _nothing)
            continue
        with tempfile.TemporaryDirectory() as folder:
            about = {"run": run["id"], "dataset": run["fingerprint"], "option": run["option"], "config": run["config"]}
            save_encoder(Path(folder), encoder, about=about)
            kept = checkpoints.keep(storage, "encoder", Path(folder))
        yield Done([claim], partial(_register, kept, run))
        with unit_of_work(database_url()) as connection:
            ended = row(connection, RUN, id=run["id"])
        if ended is None or ended["made"]:  # else storing failed, and the next attempt goes on from here
            storage.delete(state)


def _prepared(run: Row, storage: Storage, *, device: str) -> "Training":
    from services.training.loop import Training
    from shared.nn.device import pick_device
    from shared.nn.encoder import load_encoder

    config = RunConfig.model_validate(run["config"])
    start = None
    if run["start_key"] is not None:
        start = load_encoder(checkpoints.local_folder(storage, run["start_key"]))
    size = start.config.image.size if start is not None and start.config.image is not None else config.size
    _require_memory(run["counts"], size)
    sides: dict[str, Corpus] = {}
    seen = _seen(run, storage)
    for split in ("train", "held_out"):
        pages = _pages(storage, run["dataset_key"], split)
        if split == "held_out":  # what it was trained on before would measure its memory
            pages = (page for page in pages if page.image_sha256 not in seen)
        sides[split] = corpus_of_specs(pages, partial(page_image, settings()), size=size)
    if config.stories:
        # Every fifth is kept for measuring, so that there is something to measure on when the library is one comic.
        numbers = range(config.stories)
        made = {"train": [n for n in numbers if n % 5], "held_out": [n for n in numbers if n % 5 == 0]}
        for split, seeds in made.items():
            sides[split] += corpus_of_stories(seeds, size=size)
    return Training(config, run["option"], sides["train"], sides["held_out"], start=start, device=pick_device(device))


def _require_memory(counts: dict[str, int], size: int) -> None:
    """Refuse what would be killed for its memory hours later: a run keeps all its pictures, of panels and of pages."""
    wanted = (counts.get("panels", 0) + counts.get("pages", 0)) * picture_bytes(size)
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if wanted > MOST_MEMORY * there:
        raise Reject(
            f"The pictures of this dataset need {wanted / 2**30:.0f} GiB of memory and the machine has "
            f"{there / 2**30:.0f}; choose fewer comics, or a smaller size."
        )


def _seen(run: Row, storage: Storage) -> set[str]:
    """Images of the pages that the encoder this run starts from has been trained on."""
    with unit_of_work(database_url()) as connection:
        keys = [found["key"] for found in rows(connection, SEEN, start=run["start_id"])]
    return {page.image_sha256 for key in keys for page in _pages(storage, key, "train")}


def _pages(storage: Storage, key: str, split: str) -> Iterator[DataSpec]:
    for text in storage.get(f"{key}/pages.jsonl").splitlines():
        line = DatasetLine.model_validate_json(text)
        if line.split == split:
            yield line.page


def _told_to_stop(run: Row) -> Callable[[], bool]:
    """A look at the run's row, at most once a second."""
    looked, told = 0.0, False

    def look() -> bool:
        nonlocal looked, told
        if time.monotonic() - looked > LOOK_SECONDS:
            with unit_of_work(database_url(), durable=False) as connection:
                found = row(connection, "SELECT stopping FROM run WHERE id = :id", id=run["id"])
            looked, told = time.monotonic(), found is None or found["stopping"]
        return told

    return look


def _report(run: Row, metric: "MetricRow") -> None:
    # A run that was taken up again comes by points it has written before; they are the same.
    _write(
        "WITH moved AS (UPDATE run SET step = :step WHERE id = :id) "
        "INSERT INTO run_metric (run_id, step, epoch, kind, values) "
        "VALUES (:id, :step, :epoch, :kind, CAST(:values AS jsonb)) ON CONFLICT (run_id, kind, step) DO NOTHING",
        run,
        metric.step,
        epoch=metric.epoch,
        kind=metric.kind,
        values=json.dumps(metric.values),
    )


def _save(storage: Storage, key: str, claim: Claim, run: Row, state: bytes, step: int) -> None:
    with unit_of_work(database_url(), durable=False) as connection:
        jobs.progressed(connection, claim)  # first: who lost the run must not touch its state
    storage.put(key, state)
    _write("UPDATE run SET step = :step WHERE id = :id", run, step)


def _write(statement: str, run: Row, step: int, **values: Any) -> None:
    with unit_of_work(database_url(), durable=False) as connection:
        connection.execute(sa.text(statement), {"id": run["id"], "step": step, **values})


def _register(kept: checkpoints.Kept, run: Row, connection: sa.Connection) -> None:
    checkpoints.register(connection, kept, origin="trained", run_id=run["id"])
    connection.execute(sa.text("UPDATE run SET step = steps WHERE id = :id"), {"id": run["id"]})


def _nothing(_: sa.Connection) -> None:
    """A run that was stopped leaves its state and its metrics, and no checkpoint."""
