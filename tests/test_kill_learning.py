"""SIGKILL while learning: of a run three times, and of everything in the middle of a promotion."""

import os
import signal
import time
from pathlib import Path

import pytest

from services.processes import wait_until
from services.training.generators.stories import make_story
from shared.domain.training import DatasetRequest, MetricPoint, RunConfig, RunRequest
from shared.http.client import Client
from tests.equipment.installation import Installation, kill_everything, running, start, wait_for_end

CONFIG = RunConfig(epochs=4, steps_per_epoch=6, pages_per_batch=4, start="scratch", size=32, stories=5)
# Reading would be most of the time and none of the point; a short lease lets a killed worker's run be taken up soon.
ENVIRONMENT = {"READ": "off", "COMICS_LEASE": "3", "COMICS_HEARTBEAT": "1", "COMICS_SWEEP": "1"}


def story_folder(folder: Path) -> Path:
    folder.mkdir()
    for number, page in enumerate(make_story(77, pages=4).pages):
        page.image.save(folder / f"{number}.png")
    return folder


def kill_trainer(installation: Installation) -> None:
    """SIGKILL of the worker of the queue `train` and of its children, who share its session."""
    os.killpg(installation.children()["worker-train"], signal.SIGKILL)


def trained(
    client: Client, installation: Installation, dataset_id: int, *, kills: tuple[int, ...]
) -> list[MetricPoint]:
    """Train to the end, killing the trainer when the run has come to each of these steps; its metrics."""
    run = client.train(RunRequest(dataset_id=dataset_id, option="context-denoise", config=CONFIG))
    for number, step in enumerate(kills, start=1):
        assert wait_until(lambda: client.run(run.id).step >= step, seconds=120), client.run(run.id)  # noqa: B023
        assert client.run(run.id).state == "running", "the kill must come while it trains"
        kill_trainer(installation)
        assert wait_until(lambda: client.run(run.id).interruptions >= number, seconds=120)  # noqa: B023
    assert wait_until(lambda: client.run(run.id).state in ("done", "failed"), seconds=180)
    ended = client.run(run.id)
    assert (ended.state, ended.step, ended.interruptions) == ("done", 24, len(kills)), ended
    return client.run_points(run.id)


@pytest.mark.timeout(900)
def test_a_run_and_a_promotion_outlive_their_workers(home: Path, tmp_path: Path) -> None:
    first = start(home, ENVIRONMENT)
    with first.client() as client:
        comic = client.add(story_folder(tmp_path / "story"))
        wait_for_end(client, comic.id)
        dataset = client.freeze(DatasetRequest(quality="any"))
        undisturbed = trained(client, first, dataset.id, kills=())
        disturbed = trained(client, first, dataset.id, kills=(4, 10, 16))
        measured = [
            [point.values for point in points if point.kind == "held_out"] for points in (undisturbed, disturbed)
        ]
        assert len(measured[0]) == CONFIG.epochs + 1
        assert len(measured[1]) == CONFIG.epochs + 1
        for one, other in zip(*measured, strict=True):
            assert other == pytest.approx(one, abs=1e-5)

        panel = next(panel for page in client.pages(comic.id) for panel in client.panels(page.id))
        before = [hit.score for hit in client.search(panel_id=panel.id).hits]
        gpu = first.children()["worker-gpu"]
        os.killpg(gpu, signal.SIGSTOP)  # hangs in the middle of the promotion
        made = client.runs()[0].checkpoint_id
        assert made is not None
        promotion = client.promote(made)
        time.sleep(1.0)
        assert client.promotion(promotion.id).state == "embedding"
        assert [hit.score for hit in client.search(panel_id=panel.id).hits] == before, "the old vectors serve"
    kill_everything(first)
    with running(home, ENVIRONMENT) as second, second.client() as client:
        assert wait_until(lambda: client.promotion(promotion.id).state == "done", seconds=120)
        after = [hit.score for hit in client.search(panel_id=panel.id).hits]
        assert len(after) == len(before)
        assert after != before
