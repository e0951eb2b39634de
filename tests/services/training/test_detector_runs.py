"""A detector's run from its order to its verdict and its promotion, on a real database and storage."""

import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import billiard
import pytest
import torch
from fastapi.testclient import TestClient
from safetensors.torch import load

from services.standalone import prepare
from services.training import detector_loop, tasks
from services.training.api import app
from services.training.records import detector_runs
from services.training.records.corrections import frozen, key_of
from services.training.run_folders import run_folder
from shared.domain.pipeline import STAGES
from shared.nn.detector import save_detector
from shared.nn.detector_config import DetectorConfig
from shared.nn.detector_nets import build_detector
from shared.settings import Settings
from shared.store import checkpoints
from shared.store.blobs import blob_key, storage_of
from shared.store.db import row, unit_of_work
from shared.work.stages import run_batch
from tests.equipment.drawn_pages import add_drawn_comic
from tests.equipment.rows import execute, job_states

TRAIN = STAGES["train"]
TINY = DetectorConfig(width=4, fpn_channels=8, box_head=16, pixels=12_000)
# Real pages only: making pages takes longer than these networks need to learn from them.
QUICK = {"steps": 4, "steps_per_epoch": 2, "pages_per_batch": 2, "made": 0.0, "precision": "float32"}


@pytest.fixture
def api(configured: Settings, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(detector_loop, "MADE_PAGES", 0)
    monkeypatch.setattr(detector_runs, "WORKERS", 0)
    prepare(configured)
    return TestClient(app)


@pytest.fixture
def tiny(configured: Settings, api: TestClient, tmp_path: Path) -> int:
    """A network that has learnt nothing is in use; its checkpoint id."""
    assert api is not None
    with torch.random.fork_rng():
        torch.manual_seed(3)
        save_detector(tmp_path / "tiny", build_detector(TINY), TINY)
    kept = checkpoints.keep(storage_of(configured), "detector", tmp_path / "tiny")
    with unit_of_work(str(configured.database_url)) as connection:
        made = checkpoints.register(connection, kept, origin="configured")
        checkpoints.activate(connection, "detector", made)
    return made


def order(api: TestClient, **config: Any) -> dict[str, Any]:
    answer = api.post("/runs", json={"kind": "detector", "source": "corrections", "config": {**QUICK, **config}})
    assert answer.status_code == 202, answer.text
    run: dict[str, Any] = answer.json()
    return run


def checkpoint_of(api: TestClient, run: dict[str, Any]) -> dict[str, Any]:
    found = api.get(f"/runs/{run['id']}").json()
    assert (found["state"], found["error"]) == ("done", None)
    kept: dict[str, Any] = next(k for k in api.get("/checkpoints").json() if k["id"] == found["checkpoint_id"])
    return kept


def weights_of(configured: Settings, checkpoint_id: int) -> dict[str, torch.Tensor]:
    with unit_of_work(str(configured.database_url)) as connection:
        found = row(connection, "SELECT key FROM checkpoint WHERE id = :id", id=checkpoint_id)
    assert found is not None
    return load(storage_of(configured).get(f"{found['key']}/detector.safetensors"))


def test_a_run_that_learns_nothing_ends_in_a_verdict_that_keeps_it_out_of_service(
    configured: Settings, api: TestClient, tiny: int
) -> None:
    add_drawn_comic(configured, [1, 2])
    add_drawn_comic(configured, [3, 4])
    run = order(api)
    assert (run["kind"], run["state"], run["dataset_id"], run["option"]) == ("detector", "queued", None, None)
    assert run["config"]["steps"] == 4
    assert run_batch(TRAIN, tasks.train) == 1
    points = api.get(f"/runs/{run['id']}/points").json()
    assert [point["step"] for point in points if point["kind"] == "held_out"] == [0, 2, 4]
    assert all("real_panel_f1" in point["values"] for point in points if point["kind"] == "held_out")
    assert all(point["values"]["loss"] > 0 for point in points if point["kind"] == "train")
    made = checkpoint_of(api, run)
    verdict = made["verdict"]
    assert (verdict["better"], verdict["held_out_pages"], verdict["beside"]) == (False, 2, tiny)
    assert verdict["new"]["f1"] <= verdict["old"]["f1"]
    assert "of comics that were kept aside" in verdict["why"]
    assert list(storage_of(configured).list("runs")) == [key_of(run["id"])], "what it learnt from stays on record"
    refused = api.post(f"/checkpoints/{made['id']}/promote")
    assert refused.status_code == 409
    assert verdict["why"] in refused.json()["detail"]
    assert api.get("/promotions").json() == []


def test_a_better_detector_takes_over_and_can_be_rolled_back(configured: Settings, api: TestClient, tiny: int) -> None:
    with unit_of_work(str(configured.database_url)) as connection:
        shipped = row(connection, "SELECT id FROM checkpoint WHERE kind = 'detector' AND origin = 'shipped'")
        assert shipped is not None
        checkpoints.activate(connection, "detector", shipped["id"])
    corrected = add_drawn_comic(configured, [1, 2])
    guessed = add_drawn_comic(configured, [3, 4], source="model")
    run = order(api, steps=1, rate=1e-6, pages_per_batch=1)
    with unit_of_work(str(configured.database_url)) as connection:
        checkpoints.activate(connection, "detector", tiny)  # what it must beat is what is in use when it ends
    run_batch(TRAIN, tasks.train)
    made = checkpoint_of(api, run)
    assert made["verdict"]["better"], made["verdict"]
    assert "of comics it was trained on" in made["verdict"]["why"]
    promotion = api.post(f"/checkpoints/{made['id']}/promote").json()
    assert (promotion["kind"], promotion["state"], promotion["previous_id"]) == ("detector", "done", tiny)
    url = str(configured.database_url)
    assert job_states(url, "detect") == {"queued": len(guessed)}
    assert api.post(f"/checkpoints/{made['id']}/promote").status_code == 409
    assert api.post("/checkpoints/rollback").status_code == 404, "no encoder was promoted"
    back = api.post("/checkpoints/rollback", params={"kind": "detector"}).json()
    assert (back["checkpoint_id"], back["previous_id"]) == (tiny, made["id"])
    assert len(corrected) == 2


def test_a_run_goes_on_with_the_pages_it_was_begun_with_along_the_same_curve(
    configured: Settings, api: TestClient, tiny: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(configured.database_url)
    add_drawn_comic(configured, [1, 2, 3])
    monkeypatch.setattr(tasks, "LOOK_SECONDS", 0.0)
    whole, halted = order(api), order(api)
    run_batch(TRAIN, tasks.train)
    report = tasks._report

    def stop_after_the_first_epoch(run: Any, metric: Any) -> None:
        report(run, metric)
        if metric.step >= 2:
            execute(url, "UPDATE run SET stopping = true WHERE id = :id", id=run["id"])

    monkeypatch.setattr(tasks, "_report", stop_after_the_first_epoch)
    run_batch(TRAIN, tasks.train)
    assert api.get(f"/runs/{halted['id']}").json()["state"] == "stopped"
    monkeypatch.setattr(tasks, "_report", report)
    before = frozen(storage_of(configured), halted["id"])
    execute(url, "UPDATE panel SET w = w / 2")
    add_drawn_comic(configured, [4, 5])
    assert api.post(f"/runs/{halted['id']}/resume").status_code == 202
    run_batch(TRAIN, tasks.train)
    assert frozen(storage_of(configured), halted["id"]) == before
    one, other = (weights_of(configured, checkpoint_of(api, run)["id"]) for run in (whole, halted))
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
    assert tiny


def test_without_corrections_a_run_is_refused_unless_the_panels_of_files_are_taken(
    configured: Settings, api: TestClient
) -> None:
    add_drawn_comic(configured, [1, 2], source="import")
    add_drawn_comic(configured, [3, 4], source="model")
    body = {"kind": "detector", "config": QUICK}
    refused = api.post("/runs", json=body)
    assert refused.status_code == 409
    assert "Correct the panels" in refused.json()["detail"]
    assert api.get("/runs").json() == []
    taken = api.post("/runs", json={**body, "include_imports": True})
    assert taken.status_code == 202
    pages = frozen(storage_of(configured), taken.json()["id"])
    assert {page.source for page in [*pages.train, *pages.held_out]} == {"import"}


def test_a_network_that_cannot_be_built_ends_its_run_with_the_reason(configured: Settings, api: TestClient) -> None:
    add_drawn_comic(configured, [1, 2])
    told = {"backbone": "vgg99"}, {"backbone": "resnet18", "pretrained": "BEST"}, {"pretrained": "/here/weights.pth"}
    runs = [order(api, start="scratch", **one)["id"] for one in told]
    for run, says in zip(runs, ("no backbone vgg99", "no weights BEST of resnet18", "no weights weights"), strict=True):
        run_batch(TRAIN, tasks.train)
        found = api.get(f"/runs/{run}").json()
        assert found["state"] == "failed"
        assert says in found["error"]
        assert "/here" not in found["error"]


def test_a_page_that_was_removed_meanwhile_ends_the_run_with_what_to_do(configured: Settings, api: TestClient) -> None:
    add_drawn_comic(configured, [1, 2])
    run, storage = order(api), storage_of(configured)
    storage.delete(blob_key(frozen(storage, run["id"]).train[0].image_sha256))
    run_batch(TRAIN, tasks.train)
    found = api.get(f"/runs/{run['id']}").json()
    assert found["state"] == "failed"
    assert "Begin another run" in found["error"]


def holds(ready: Connection) -> None:
    with run_folder() as folder:
        (folder / "page.jpg").write_bytes(b"large")
        ready.send(str(folder))
        time.sleep(60)


def test_the_pictures_of_a_killed_run_go_when_the_next_one_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=holds, args=(there,))
    process.start()
    left = Path(here.recv())
    with run_folder() as own:
        assert left.exists(), "its run lives"
        process.kill()
        process.join()
        with run_folder():
            assert not left.exists()
            assert own.exists()
    assert list(tmp_path.iterdir()) == []


def parent() -> None:
    detector_runs.allow_children()
    child = multiprocessing.Process(target=int)
    child.start()
    child.join()


def test_a_worker_of_celery_may_have_others_make_pages() -> None:
    worker = billiard.get_context("fork").Process(target=parent, daemon=True)
    worker.start()
    worker.join()
    assert worker.exitcode == 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"kind": "oracle"}, "oracle"),
        ({"kind": "detector", "dataset_id": 1}, "dataset_id"),
        ({"kind": "detector", "config": {"epochs": 3}}, "epochs"),
        ({"kind": "detector", "source": "dreams"}, "source"),
        ({"dataset_id": 1, "include_imports": True}, "include_imports"),
    ],
)
def test_an_order_that_cannot_be_meant_is_refused(api: TestClient, body: dict[str, Any], says: str) -> None:
    answer = api.post("/runs", json=body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
