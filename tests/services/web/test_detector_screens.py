"""Runs that train detectors, and the detectors they make, as the screens show them."""

import pytest
from fastapi.testclient import TestClient

from services.web.api import app
from shared.domain.training import DetectorRunConfig, DetectorVerdict
from shared.settings import Settings
from shared.store.db import row, unit_of_work
from tests.equipment.rows import execute


@pytest.fixture
def client(configured: Settings) -> TestClient:
    assert configured.database_url
    return TestClient(app, follow_redirects=False)


def add_detector(url: str, name: str, *, run: int | None = None, better: bool | None = None) -> int:
    verdict = None
    if better is not None:
        figures = {"f1": 0.875, "pages_right": 0.5, "panel_ap": 0.9}
        verdict = DetectorVerdict(
            better=better, held_out_pages=8, beside=1, old=figures, new={**figures, "f1": 0.9375}, why="so it is"
        ).model_dump_json()
    with unit_of_work(url) as connection:
        made = row(
            connection,
            "INSERT INTO checkpoint (kind, sha256, key, config, origin, active, run_id, verdict) VALUES ('detector', "
            ":name, :name, '{}', :origin, :active, :run, CAST(:verdict AS jsonb)) RETURNING id",
            name=name, origin="shipped" if run is None else "trained", active=run is None, run=run, verdict=verdict,
        )  # fmt: skip
    assert made is not None
    return int(made["id"])


def add_run(url: str) -> int:
    with unit_of_work(url) as connection:
        made = row(
            connection,
            "INSERT INTO run (kind, config, step, steps) VALUES ('detector', CAST(:config AS jsonb), 9, 12) "
            "RETURNING id",
            config=DetectorRunConfig(steps=12).model_dump_json(),
        )
    assert made is not None
    execute(
        url,
        "INSERT INTO run_metric (run_id, step, epoch, kind, values) "
        """VALUES (:run, 0, 0, 'held_out', '{"real_panel_f1": 0.5, "real_panel_ap": 0.25}')""",
        run=made["id"],
    )
    return int(made["id"])


@pytest.mark.parametrize(("better", "word"), [(True, "Better than detector 1"), (False, "Not better than detector 1")])
def test_a_trained_detector_is_offered_with_its_figures_when_it_is_better(
    configured: Settings, client: TestClient, better: bool, word: str
) -> None:
    url = str(configured.database_url)
    add_detector(url, "old")
    run = add_run(url)
    made = add_detector(url, "new", run=run, better=better)
    for address in ("/ui/training", f"/ui/runs/{run}"):
        page = client.get(address).text
        assert word in page
        assert "F1 87.5 % → 93.8 %" in page
        assert "on 8 corrected pages" in page
        assert (f'data-post="/checkpoints/{made}/promote"' in page) == better
        assert "corrected panels" in page
        assert "/ui/datasets/None" not in page


def test_a_detectors_run_shows_what_it_measures(configured: Settings, client: TestClient) -> None:
    page = client.get(f"/ui/runs/{add_run(str(configured.database_url))}").text
    assert "panel detector" in page
    assert "12 steps" in page
    assert "Panels on corrected pages, F1" in page
    assert "By chance" not in page
