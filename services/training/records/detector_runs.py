"""Runs that train detectors: begun with the corrections of the moment, ended with a verdict beside the one in use."""

import errno
import json
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import sqlalchemy as sa

from services.training.corrections import CorrectedPage, written
from services.training.generators.material import Material
from services.training.records.corrections import freeze, frozen
from services.training.run_folders import run_folder
from shared.domain.training import DetectorRunConfig, DetectorRunRequest, DetectorVerdict
from shared.errors import NotFound, Reject, Retry
from shared.settings import Settings
from shared.store import checkpoints
from shared.store.blobs import storage_of
from shared.store.db import Row, row, unit_of_work
from shared.store.page_images import page_image
from shared.work.stages import database_url

if TYPE_CHECKING:
    from services.training.detector_verdicts import Detector

FULL = (errno.ENOSPC, errno.EDQUOT)
WORKERS = max(1, min(4, (os.cpu_count() or 1) - 1))  # that make pages beside the one that trains
NOTES = {
    "comic": "of comics that were kept aside",
    "page": "that were kept aside, of comics it was trained on (correct pages of another comic for a better measure),",
}
KNOWN = "; a detector before it was trained on some of them"


def begin(connection: sa.Connection, configured: Settings, order: DetectorRunRequest) -> int:
    """Insert a run with the pages that are corrected now; its id. `Conflict` when they are too few."""
    active = checkpoints.active(connection, "detector")["id"]
    made = row(
        connection,
        "INSERT INTO run (kind, config, start_id) VALUES ('detector', CAST(:config AS jsonb), :start) RETURNING id",
        config=order.config.model_dump_json(),
        start=active if order.config.start == "active" else None,
    )
    assert made is not None
    # Also a detector from scratch is measured beside the one in use: what that one knows by heart is no fair measure.
    freeze(connection, storage_of(configured), made["id"], include_imports=order.include_imports, beside=active)
    return int(made["id"])


@contextmanager
def detector_trainee(run: Row, configured: Settings) -> Iterator["DetectorTrainee"]:
    """A run's training, with its pictures on the disk meanwhile."""
    allow_children()
    with run_folder() as folder:
        yield DetectorTrainee(run, configured, folder)


def allow_children() -> None:
    """Let this process start others: Celery's may not, and those that make pages end by themselves when it is gone."""
    multiprocessing.current_process().daemon = False


class DetectorTrainee:
    """What the stage trains of a detector's run, and what becomes of the result."""

    def __init__(self, run: Row, configured: Settings, folder: Path) -> None:
        """Writes the run's pages into the folder, which must stay. Reject when they cannot be trained on."""
        from services.training.detector_loop import DetectorTraining
        from shared.nn.detector import load_detector
        from shared.nn.device import pick_device

        self.run, self.configured, self.storage = run, configured, storage_of(configured)
        self.device = pick_device(configured.device)
        self.pages = frozen(self.storage, run["id"])
        self.folder = folder
        start = None
        if run["start_key"] is not None:
            start = load_detector(checkpoints.local_folder(self.storage, run["start_key"]))
        material, self.held_out = (self._material(side) for side in ("train", "held_out"))
        self.training = DetectorTraining(
            DetectorRunConfig.model_validate(run["config"]),
            start=start,
            material=material,
            held_out=self.held_out,
            device=self.device,
            workers=WORKERS,
        )

    def keep(self, made: "Detector") -> tuple[checkpoints.Kept, DetectorVerdict | None]:
        """Put the trained detector into the storage, and measure it beside the one in use."""
        from services.training.detector_verdicts import calibrate, verdict
        from shared.nn.detector import load_detector, save_detector

        with TemporaryDirectory() as folder:
            save_detector(Path(folder), *calibrate(made, self.training.made_aside()))
            # With whose it is, two runs that come to the same weights are two checkpoints.
            about = {"run": self.run["id"], "config": self.run["config"]}
            (Path(folder) / "about.json").write_text(json.dumps(about, sort_keys=True))
            kept = checkpoints.keep(self.storage, "detector", Path(folder))
            new = load_detector(Path(folder))  # as it will serve: in half precision
        new[0].to(self.device)
        with unit_of_work(database_url()) as connection:
            active = checkpoints.active(connection, "detector")
        found = verdict(
            new,
            self.held_out,
            active=checkpoints.local_folder(self.storage, active["key"]),
            beside=active["id"],
            note=NOTES[self.pages.by],
            device=self.device,
        )
        if self.pages.seen:
            found = found.model_copy(update={"why": found.why.removesuffix(".") + KNOWN + "."})
        return kept, found

    def _material(self, side: str) -> Material:
        folder = self.folder / side
        folder.mkdir()
        pages: list[CorrectedPage] = getattr(self.pages, side)
        try:
            file = written(pages, folder, partial(_picture, self.configured))
        except NotFound as error:
            raise Reject(f"A page that this run was begun with was removed: {error} Begin another run.") from error
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise Retry("The disk for temporary files is full; a run keeps its pictures there.", after=60.0) from error
        try:
            return Material.load(file, folder)
        except ValueError as error:
            raise Reject(f"The corrected pages cannot be trained on: {error}.") from error


def _picture(configured: Settings, page: CorrectedPage) -> bytes:
    return page_image(configured, page.image_sha256)
