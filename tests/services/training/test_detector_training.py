import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from services.training.detector_training import STATE, learning_rate, parse, train
from shared.nn.detector import WEIGHTS

TINY = {"width": 4, "fpn_channels": 8, "box_head": 16, "pixels": 12_000}


def options(folder: Path, *more: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    config = folder / "tiny.json"
    config.write_text(json.dumps(TINY))
    return [
        "--out", str(folder / "out"), "--state", str(folder / "state"), "--config", str(config), "--batch", "2",
        "--workers", "0", "--save-every", "1", "--small-steps", "0", "--steps", "6", *more,
    ]  # fmt: skip


def test_a_killed_run_goes_on_along_the_same_curve(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    train(parse(options(tmp_path / "whole")))
    command = [sys.executable, "-m", "services.training.detector_training", *options(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    state = tmp_path / "killed" / "state" / STATE
    deadline = time.monotonic() + 90
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.exists()
    assert not (tmp_path / "killed" / "out").exists()
    train(parse(options(tmp_path / "killed")))
    whole, killed = (load_file(tmp_path / name / "out" / WEIGHTS) for name in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    for name, value in whole.items():
        assert torch.equal(value, killed[name]), name


def test_a_finished_run_started_again_only_writes_its_weights(tmp_path: Path) -> None:
    train(parse(options(tmp_path)))
    first = (tmp_path / "out" / WEIGHTS).read_bytes()
    (tmp_path / "out" / WEIGHTS).unlink()
    train(parse(options(tmp_path)))
    assert (tmp_path / "out" / WEIGHTS).read_bytes() == first


def test_the_learning_rate_warms_up_and_then_only_falls() -> None:
    rates = [learning_rate(step, steps=100, peak=1.0, warm=10) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[9] == 1.0
    assert rates[-1] < 0.02
