"""A run from its order to its checkpoint, through the API and the stage, on a real database and storage."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.standalone import prepare
from services.training import tasks
from services.training.api import app
from shared.domain.pipeline import STAGES
from shared.errors import Retry
from shared.nn.encoder import load_encoder
from shared.settings import Settings
from shared.store.blobs import storage_of
from shared.store.checkpoints import local_folder
from shared.store.db import row, unit_of_work
from shared.store.folder_storage import FolderStorage
from shared.work import jobs
from shared.work.stages import run_batch
from tests.equipment.datasets import add_dataset
from tests.equipment.rows import execute, job_states

TRAIN = STAGES["train"]
TINY = {"epochs": 2, "steps_per_epoch": 3, "pages_per_batch": 4, "start": "scratch", "size": 32}


@pytest.fixture
def api(configured: Settings) -> TestClient:
    prepare(configured)
    return TestClient(app)


def order(api: TestClient, dataset_id: int, **config: Any) -> dict[str, Any]:
    answer = api.post("/runs", json={"dataset_id": dataset_id, "option": "base", "config": {**TINY, **config}})
    assert answer.status_code == 202, answer.text
    run: dict[str, Any] = answer.json()
    return run


def test_a_run_ends_in_a_checkpoint_that_waits_to_be_promoted(configured: Settings, api: TestClient) -> None:
    run = order(api, add_dataset(configured, train=[0, 1], held_out=[2]))
    assert (run["state"], run["step"], run["checkpoint_id"]) == ("queued", 0, None)
    assert run_batch(TRAIN, tasks.train) == 1
    run = api.get(f"/runs/{run['id']}").json()
    assert (run["state"], run["step"], run["steps"], run["error"]) == ("done", 6, 6, None)
    points = api.get(f"/runs/{run['id']}/points").json()
    assert [point["step"] for point in points if point["kind"] == "held_out"] == [0, 3, 6]
    assert all("text_to_image_r10_chance" in point["values"] for point in points if point["kind"] == "held_out")
    assert all(point["values"]["loss"] > 0 for point in points if point["kind"] == "train")
    kept = next(found for found in api.get("/checkpoints").json() if found["id"] == run["checkpoint_id"])
    assert (kept["origin"], kept["active"], kept["run_id"]) == ("trained", False, run["id"])
    with unit_of_work(str(configured.database_url)) as connection:
        key = row(connection, "SELECT key FROM checkpoint WHERE id = :id", id=kept["id"])
    assert key is not None
    encoder = load_encoder(local_folder(storage_of(configured), key["key"]))
    assert {"image", "text", "layout"} <= set(encoder.modalities)
    assert list(storage_of(configured).list("runs")) == [], "the state is of no use any more"
    events = api.get(f"/runs/{run['id']}/events").text
    assert events.count("data: ") == 1, "a run that has ended says so once"


def test_a_run_that_is_told_to_stop_is_resumed_along_the_same_curve(
    configured: Settings, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = add_dataset(configured, train=[0, 1], held_out=[2])
    monkeypatch.setattr(tasks, "LOOK_SECONDS", 0.0)
    whole = order(api, dataset)
    run_batch(TRAIN, tasks.train)
    run = order(api, dataset)
    report = tasks._report

    def stop_at_the_fourth(row_: Any, metric: Any) -> None:
        report(row_, metric)
        if metric.step >= 3:
            execute(str(configured.database_url), "UPDATE run SET stopping = true WHERE id = :id", id=row_["id"])

    monkeypatch.setattr(tasks, "_report", stop_at_the_fourth)
    run_batch(TRAIN, tasks.train)
    stopped = api.get(f"/runs/{run['id']}").json()
    assert (stopped["state"], stopped["checkpoint_id"]) == ("stopped", None)
    assert 3 <= stopped["step"] < 6
    monkeypatch.setattr(tasks, "_report", report)
    assert api.post(f"/runs/{run['id']}/resume").status_code == 202
    assert api.post(f"/runs/{run['id']}/resume").status_code == 409
    run_batch(TRAIN, tasks.train)

    def held_out(run_id: int) -> list[dict[str, float]]:
        points = api.get(f"/runs/{run_id}/points").json()
        return [point["values"] for point in points if point["kind"] == "held_out"]

    assert api.get(f"/runs/{run['id']}").json()["state"] == "done"
    for first, second in zip(held_out(whole["id"]), held_out(run["id"]), strict=True):
        assert second == pytest.approx(first, abs=1e-6)


def test_training_that_goes_wrong_ends_in_an_error_and_no_checkpoint(configured: Settings, api: TestClient) -> None:
    run = order(api, add_dataset(configured, train=[0], held_out=[]), rate=1.0, weight_decay=0.0, temperature=1e-30)
    run_batch(TRAIN, tasks.train)
    failed = api.get(f"/runs/{run['id']}").json()
    assert failed["state"] == "failed"
    assert "not finite" in failed["error"]
    assert [kept["origin"] for kept in api.get("/checkpoints").json() if kept["kind"] == "encoder"] == ["shipped"]


@pytest.mark.parametrize("when", ["state", "checkpoint"])
def test_a_full_disk_is_said_and_tried_again_and_never_leaves_a_bad_checkpoint(
    configured: Settings, api: TestClient, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    run = order(api, add_dataset(configured, train=[0], held_out=[]))

    def full(*_: Any, **__: Any) -> bool:
        raise Retry("The disk is full; free some space, the work goes on by itself.")

    monkeypatch.setattr(FolderStorage, "put" if when == "state" else "put_folder", full)
    run_batch(TRAIN, tasks.train)
    waiting = api.get(f"/runs/{run['id']}").json()
    assert (waiting["state"], waiting["checkpoint_id"]) == ("queued", None)
    assert "disk is full" in waiting["error"]
    kept = list(storage_of(configured).list("runs"))
    assert bool(kept) == (when == "checkpoint"), "a finished run is not trained again because its result was not kept"
    monkeypatch.undo()
    execute(str(configured.database_url), "UPDATE job SET not_before = now()")
    run_batch(TRAIN, tasks.train)
    assert api.get(f"/runs/{run['id']}").json()["state"] == "done"


def test_a_dataset_that_memory_cannot_hold_is_refused_before_it_is_read(configured: Settings, api: TestClient) -> None:
    dataset = add_dataset(configured, train=[0], held_out=[])
    execute(str(configured.database_url), 'UPDATE dataset SET counts = \'{"panels": 4000000000, "pages": 1}\'')
    run = order(api, dataset)
    run_batch(TRAIN, tasks.train)
    failed = api.get(f"/runs/{run['id']}").json()
    assert failed["state"] == "failed"
    assert "GiB of memory" in failed["error"]


def test_pages_the_start_was_trained_on_are_not_measured_on(configured: Settings, api: TestClient) -> None:
    url = str(configured.database_url)
    first = order(api, add_dataset(configured, train=[0, 1], held_out=[2]))
    run_batch(TRAIN, tasks.train)
    execute(url, "UPDATE checkpoint SET active = (run_id IS NOT NULL) WHERE kind = 'encoder' AND active")
    execute(url, "UPDATE checkpoint SET active = true WHERE run_id = :run", run=first["id"])
    second = order(api, add_dataset(configured, train=[2], held_out=[0, 3]), start="active")
    third = order(api, add_dataset(configured, train=[3], held_out=[0, 1]), start="active")
    while run_batch(TRAIN, tasks.train):
        pass
    measured = [api.get(f"/runs/{run['id']}/points").json() for run in (first, second, third)]
    chances = [
        [point["values"]["crop_to_panel_r1_chance"] for point in points if point["kind"] == "held_out"][:1]
        for points in measured
    ]
    assert len(chances[0]) == len(chances[1]) == 1, "story 3 is left to measure on"
    assert chances[2] == [], "nothing is: both stories were trained on before"


def test_a_run_that_nobody_has_begun_stops_at_once_and_can_be_resumed(configured: Settings, api: TestClient) -> None:
    run = order(api, add_dataset(configured, train=[0], held_out=[]))
    assert api.post(f"/runs/{run['id']}/stop").json()["state"] == "stopped"
    assert run_batch(TRAIN, tasks.train) == 0
    assert api.post(f"/runs/{run['id']}/resume").json()["state"] == "queued"
    assert api.post(f"/runs/{run['id']}/stop").status_code == 202


def test_a_run_that_failed_and_was_resumed_is_trained_once(configured: Settings, api: TestClient) -> None:
    url = str(configured.database_url)
    run = order(api, add_dataset(configured, train=[0], held_out=[]))
    execute(url, "UPDATE job SET state = 'failed', error = 'somebody pulled the plug' WHERE stage = 'train'")
    assert api.get(f"/runs/{run['id']}").json()["state"] == "failed"
    assert api.post(f"/runs/{run['id']}/resume").status_code == 202
    assert job_states(url, "train") == {"queued": 1}
    run_batch(TRAIN, tasks.train)
    assert api.get(f"/runs/{run['id']}").json()["state"] == "done"
    with unit_of_work(url) as connection:
        assert jobs.retry(connection) == {}


def test_who_lost_a_run_does_not_touch_its_state(configured: Settings, api: TestClient) -> None:
    url = str(configured.database_url)
    order(api, add_dataset(configured, train=[0], held_out=[]))
    with unit_of_work(url) as connection:
        (claim,) = jobs.claim(connection, TRAIN, owner="slow", lease=60)
        jobs.disown_all(connection)
        jobs.claim(connection, TRAIN, owner="next", lease=60)
    with pytest.raises(jobs.Superseded):
        tasks._save(storage_of(configured), "runs/1/state", claim, {"id": 1}, b"old", 3)  # type: ignore[arg-type]
    assert list(storage_of(configured).list("runs")) == []


def test_the_wait_between_attempts_of_a_long_job_has_an_end(configured: Settings, api: TestClient) -> None:
    url = str(configured.database_url)
    order(api, add_dataset(configured, train=[0], held_out=[]))
    execute(url, "UPDATE job SET attempt = 70, max_attempts = 100 WHERE stage = 'train'")
    with unit_of_work(url) as connection:
        (claim,) = jobs.claim(connection, TRAIN, owner="me", lease=60)
        assert jobs.fail(connection, claim, RuntimeError("a bug")) == "queued"
        waits = row(connection, "SELECT not_before < now() + interval '11 minutes' AS soon FROM job")
    assert waits is not None
    assert waits["soon"]


def test_a_dataset_with_nothing_to_learn_from_is_refused_with_the_reason(configured: Settings, api: TestClient) -> None:
    run = order(api, add_dataset(configured, train=[], held_out=[3]))
    run_batch(TRAIN, tasks.train)
    failed = api.get(f"/runs/{run['id']}").json()
    assert failed["state"] == "failed"
    assert "no page with panels to train on" in failed["error"]
    assert api.post("/runs", json={"dataset_id": 999}).status_code == 404
    assert api.post("/runs", json={"dataset_id": 1, "config": {"epochs": 0}}).status_code == 422
    assert api.post("/runs", json={"dataset_id": 1, "option": "magic"}).status_code == 422


def test_a_run_may_be_killed_any_number_of_times_as_long_as_it_gets_on(configured: Settings, api: TestClient) -> None:
    url = str(configured.database_url)
    order(api, add_dataset(configured, train=[0], held_out=[]))
    for attempt in range(1, 8):
        with unit_of_work(url) as connection:
            (claim,) = jobs.claim(connection, TRAIN, owner=f"worker {attempt}", lease=60)
            assert claim.attempt == attempt
            jobs.progressed(connection, claim)
            jobs.disown_all(connection)
    for _ in range(TRAIN.max_attempts):
        with unit_of_work(url) as connection:
            jobs.claim(connection, TRAIN, owner="gets nowhere", lease=60)
            jobs.disown_all(connection)
    assert job_states(url, "train") == {"failed": 1}


def test_a_run_starts_from_the_encoder_in_use(configured: Settings, api: TestClient, tmp_path: Path) -> None:
    assert tmp_path.exists()
    run = order(api, add_dataset(configured, train=[0], held_out=[]), start="active", epochs=1, steps_per_epoch=1)
    run_batch(TRAIN, tasks.train)
    done = api.get(f"/runs/{run['id']}").json()
    kept = next(found for found in api.get("/checkpoints").json() if found["id"] == done["checkpoint_id"])
    shipped = next(found for found in api.get("/checkpoints").json() if found["active"] and found["kind"] == "encoder")
    assert kept["config"]["config"]["image"] == shipped["config"]["config"]["image"]
    assert shipped["config"]["config"]["text"] is None
    assert kept["config"]["config"]["text"] is not None
