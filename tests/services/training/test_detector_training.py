"""Training by hand: killed at any time it goes on exactly where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from services.training import detector, detector_loop
from services.training.corrections import CorrectedPage, written
from shared.domain.schema import Direction
from shared.errors import Reject
from shared.nn.detector import WEIGHTS
from tests.equipment.drawn_pages import HEIGHT, WIDTH, drawn_page

TINY = {"width": 4, "fpn_channels": 8, "box_head": 16, "pixels": 12_000}
# No page is made for measuring: that takes longer than to train a network this small.
PROGRAM = (
    "import sys, torch; torch.set_num_threads(1); from services.training import detector, detector_loop; "
    "detector_loop.MADE_PAGES = 0; detector.train(detector.parse(sys.argv[1:]))"
)


@pytest.fixture(autouse=True)
def _no_made_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_loop, "MADE_PAGES", 0)


def options(folder: Path, *more: str) -> list[str]:
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    pages = [
        CorrectedPage(
            page_id=seed, comic="drawn", image_sha256=str(seed), source="person", width=WIDTH, height=HEIGHT,
            direction=Direction.LTR, panels=drawn_page(seed)[1], objects=[],
        )
        for seed in range(2)
    ]  # fmt: skip
    coco = written(pages, pictures, lambda page: drawn_page(page.page_id)[0])
    network = folder / "tiny.json"
    network.write_text(json.dumps(TINY))
    return [
        "--out", str(folder / "out"), "--state", str(folder / "state"), "--network", str(network),
        "--coco", f"{coco}={pictures}", "--made", "0", "--pages-per-batch", "2", "--workers", "0", "--device", "cpu",
        "--precision", "float32", "--steps-per-epoch", "1", "--steps", "12", *more,
    ]  # fmt: skip


def train(folder: Path, *more: str) -> None:
    detector.train(detector.parse(options(folder, *more)))


def test_a_killed_run_goes_on_along_the_same_curve(tmp_path: Path) -> None:
    train(tmp_path / "whole")
    command = [sys.executable, "-c", PROGRAM, *options(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    state = tmp_path / "killed" / "state" / detector.STATE
    deadline = time.monotonic() + 90
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.exists()
    assert not (tmp_path / "killed" / "out").exists(), "the kill must come while it trains"
    train(tmp_path / "killed")
    whole, killed = (load_file(tmp_path / name / "out" / WEIGHTS) for name in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    for name, value in whole.items():
        assert torch.equal(value, killed[name]), name


def test_a_finished_run_started_again_only_writes_its_weights(tmp_path: Path) -> None:
    train(tmp_path, "--steps", "2")
    first = (tmp_path / "out" / WEIGHTS).read_bytes()
    (tmp_path / "out" / WEIGHTS).unlink()
    train(tmp_path, "--steps", "2")
    assert (tmp_path / "out" / WEIGHTS).read_bytes() == first


def test_a_state_of_another_run_is_refused(tmp_path: Path) -> None:
    train(tmp_path, "--steps", "1")
    with pytest.raises(Reject, match="belongs to another run"):
        train(tmp_path, "--steps", "1", "--seed", "18")


def test_a_page_with_a_name_that_is_not_there_is_said(tmp_path: Path) -> None:
    given = options(tmp_path)
    (tmp_path / "pictures" / "1.jpg").unlink()
    with pytest.raises(Reject, match=r"1\.jpg"):
        detector.train(detector.parse(given))
