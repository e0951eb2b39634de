"""Stage *train*: a run from its pages to a checkpoint, resumed from its last state however often it is killed."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from services.training.corpus import Corpus, corpus_of_specs, corpus_of_stories, picture_bytes
from services.training.records.detector_runs import DetectorTrainee, detector_trainee
from shared.domain.dataspec import DatasetLine, DataSpec
from shared.domain.training import DetectorVerdict, RunConfig
from shared.errors import NotFound, Reject
from shared.settings import Settings, settings
from shared.store import checkpoints
from shared.store.blobs import storage_of
from shared.store.db import Row, row, rows, unit_of_work
from shared.store.page_images import page_image
from shared.store.storage import Storage
from shared.work import jobs
from shared.work.jobs import Claim
from shared.work.stages import Done, database_url, stage

if TYPE_CHECKING:
    from services.training.detector_loop import DetectorTraining
    from services.training.loop import MetricRow, Training
    from shared.nn.encoder import Encoder

Result = tuple[checkpoints.Kept, DetectorVerdict | None]
MOST_MEMORY = 0.6  # share of the machine that a run's pictures may take
LOOK_SECONDS = 1.0  # between looks whether somebody told the run to stop
RUN = """
    SELECT r.*, d.key AS dataset_key, d.fingerprint, d.counts, k.key AS start_key,
           EXISTS (SELECT FROM checkpoint c WHERE c.run_id = r.id) AS made
    FROM run r LEFT JOIN dataset d ON d.id = r.dataset_id LEFT JOIN checkpoint k ON k.id = r.start_id
    WHERE r.id = :id"""
# Datasets that the encoder a run starts from, or one before it, was trained on.
SEEN = """
    WITH RECURSIVE line AS (
        SELECT k.run_id FROM checkpoint k WHERE k.id = :start
        UNION SELECT k.run_id FROM line l JOIN run r ON r.id = l.run_id JOIN checkpoint k ON k.id = r.start_id)
    SELECT DISTINCT d.key FROM line l JOIN run r ON r.id = l.run_id JOIN dataset d ON d.id = r.dataset_id"""


@stage("train")
def train(claims: Sequence[Claim]) -> Iterator[Done]:
    """Train one run to its end, or until it is told to stop."""
    configured = settings()
    storage = storage_of(configured)
    for claim in claims:
        with unit_of_work(database_url()) as connection:
            run = row(connection, RUN, id=claim.subject_id)
        if run is None or run["stopping"] or run["made"]:
            yield Done([claim], _nothing)
            continue
        prepared = detector_trainee if run["kind"] == "detector" else encoder_trainee
        with prepared(run, configured) as trainee:
            kept = _trained(trainee, run, claim, storage)
        yield Done([claim], partial(_register, *kept, run) if kept is not None else _nothing)
        with unit_of_work(database_url()) as connection:
            ended = row(connection, RUN, id=run["id"])
        if kept is not None and (ended is None or ended["made"]):  # else the next attempt goes on from here
            storage.delete(_state_of(run))


def _trained(trainee: "EncoderTrainee | DetectorTrainee", run: Row, claim: Claim, storage: Storage) -> Result | None:
    """A run from where it was to its end; None when it was told to stop."""
    training: Training | DetectorTraining = trainee.training
    state = _state_of(run)
    with suppress(NotFound):  # a first attempt, or one that died before it had kept anything
        training.restore(storage.get(state))
    _write("UPDATE run SET steps = :steps, step = :step WHERE id = :id", run, training.step, steps=training.steps)
    made: Any = training.run(
        report=partial(_report, run), save=partial(_save, storage, state, claim, run), stop=_told_to_stop(run)
    )
    return None if made is None else trainee.keep(made)


@contextmanager
def encoder_trainee(run: Row, configured: Settings) -> Iterator["EncoderTrainee"]:
    """A run's training; its pictures are in memory."""
    yield EncoderTrainee(run, configured)


class EncoderTrainee:
    """What the stage trains of an encoder's run, and what becomes of the result."""

    def __init__(self, run: Row, configured: Settings) -> None:
        self.run, self.storage = run, storage_of(configured)
        self.training = _prepared(run, self.storage, device=configured.device)

    def keep(self, made: "Encoder") -> Result:
        """Put the trained encoder into the storage."""
        from shared.nn.encoder import save_encoder

        about = {name: self.run[name] for name in ("option", "config")}
        with tempfile.TemporaryDirectory() as folder:
            save_encoder(Path(folder), made, about={"run": self.run["id"], "dataset": self.run["fingerprint"], **about})
            return checkpoints.keep(self.storage, "encoder", Path(folder)), None


def _prepared(run: Row, storage: Storage, *, device: str) -> "Training":
    # Here, for it brings torch, which the process that hands out work does not need.
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


def _register(kept: checkpoints.Kept, verdict: DetectorVerdict | None, run: Row, connection: sa.Connection) -> None:
    made = checkpoints.register(connection, kept, origin="trained", run_id=run["id"])
    if verdict is not None:
        connection.execute(
            sa.text("UPDATE checkpoint SET verdict = CAST(:verdict AS jsonb) WHERE id = :id"),
            {"id": made, "verdict": verdict.model_dump_json()},
        )
    connection.execute(sa.text("UPDATE run SET step = steps WHERE id = :id"), {"id": run["id"]})


def _state_of(run: Row) -> str:
    return f"runs/{run['id']}/state.safetensors"


def _nothing(_: sa.Connection) -> None:
    """A run that was stopped leaves its state and its metrics, and no checkpoint."""
