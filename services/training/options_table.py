"""Compares the four options on made stories: `python -m services.training.options_table`, or `make eval-training`.

Every option trains the same small network from nothing on the same stories, with the same steps, for several seeds, and
is measured on stories of other seeds. The table gives mean ± spread (standard deviation over the seeds) beside chance,
then says whether each option does what it is for; the exit code is 1 when one does not. With `--out` every finished run
is kept there, and a later call only does what is missing.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from services.training.corpus import Corpus, corpus_of_stories
from services.training.loop import MetricRow, Training
from shared.domain.training import OPTIONS, Option, RunConfig
from shared.nn.encoder_config import EncoderConfig, ImageConfig, LayoutConfig, SequenceConfig, TextConfig
from shared.nn.files import write_durably

HELD_OUT = 1_000_000  # story seeds from here on are never trained on
SIZE, PAGES = 64, 8
NETWORK = EncoderConfig(
    dimensions=128,
    image=ImageConfig(size=SIZE, widths=(16, 32, 64, 96), blocks=(1, 1, 1)),
    layout=LayoutConfig(width=64),
    text=TextConfig(backbone=None, buckets=4096, width=64),
    sequence=SequenceConfig(layers=2, heads=4, width=128),
    gates=True,
)
SPOILED = ("noisy_r1", "noisy_r10", "noisy_no_text_r1", "noisy_no_text_r10", "noisy_no_picture_r1",
           "noisy_no_picture_r10")  # fmt: skip
HIDDEN = ("masked_panel_r1", "masked_panel_r10")
SPREADS = 5.0  # by how many spreads chance must be beaten

Cells = dict[str, dict[str, float]]


def settings(*, seed: int, steps: int) -> RunConfig:
    """How every cell of the table trains; measured before and after only."""
    return RunConfig(
        seed=seed, epochs=1, steps_per_epoch=steps, pages_per_batch=PAGES, start="scratch", size=SIZE,
        precision="float32",
    )  # fmt: skip


def cell(option: Option, config: RunConfig, train: Corpus, held_out: Corpus) -> dict[str, float]:
    """The measures at the end of one run."""
    rows: list[MetricRow] = []
    training = Training(config, option, train, held_out, start=None, network=NETWORK)
    training.run(report=rows.append, save=lambda _state, _step: None, stop=lambda: False, save_every_s=1e9)
    return [row for row in rows if row.kind == "held_out"][-1].values


def verdicts(cells: Cells, seeds: int) -> list[tuple[bool, str]]:
    """Whether each option does what it is for, in sentences."""
    found: list[tuple[bool, str]] = []
    for option in OPTIONS:
        failed = []
        for name in measured(cells):
            mean, spread = summary(cells, option, name, seeds)
            if mean - cells[f"{option}/0"][f"{name}_chance"] <= SPREADS * spread:
                failed.append(name)
        told = f"all but {', '.join(failed)}" if failed else "every measure"
        found.append((not failed, f"{option} beats chance by {SPREADS:g} spreads on {told}"))
    for better, names in (("denoise", SPOILED), ("context", HIDDEN)):
        for name in names:
            (mean, spread), (base, other) = (summary(cells, option, name, seeds) for option in (better, "base"))
            found.append(
                (
                    mean > base,
                    f"{better} against base on {name}: {mean - base:+.3f} (spreads {spread:.3f}, {other:.3f})",
                )
            )
    return found


def measured(cells: Cells) -> list[str]:
    """Names of the measures that have a chance beside them."""
    values = next(iter(cells.values()))
    return [name for name in values if f"{name}_chance" in values]


def summary(cells: Cells, option: str, name: str, seeds: int) -> tuple[float, float]:
    """Mean and spread of a measure over the seeds."""
    values = [cells[f"{option}/{seed}"][name] for seed in range(seeds)]
    return fmean(values), stdev(values) if len(values) > 1 else 0.0


def table(cells: Cells, seeds: int) -> str:
    """The table as text."""
    lines = [f"{'':28}{'chance':>8}" + "".join(f"{option:>17}" for option in OPTIONS)]
    for name in (name for name in cells["base/0"] if not name.endswith("_chance")):
        chance = cells["base/0"].get(f"{name}_chance")
        line = f"{name:28}" + (f"{chance:8.3f}" if chance is not None else " " * 8)
        for option in OPTIONS:
            mean, spread = summary(cells, option, name, seeds)
            line += f"{mean:10.3f} ±{spread:5.3f}"
        lines.append(line)
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing, print the table and the verdicts; 0 when all of them hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--stories", type=int, default=160, help="made comics of four pages to train on")
    parser.add_argument("--held-out", type=int, default=24, help="made comics to measure on")
    parser.add_argument("--epochs", type=int, default=4, help="times each page is seen")
    parser.add_argument("--out", type=Path, help="JSON file of finished runs, to go on from")
    plan = parser.parse_args(arguments)
    torch.set_num_threads(1)  # a network this small is slower on several
    steps = plan.epochs * plan.stories * 4 // PAGES
    about: dict[str, Any] = {
        "stories": plan.stories,
        "held_out": plan.held_out,
        "network": NETWORK.model_dump(mode="json"),
        "config": settings(seed=0, steps=steps).model_dump(mode="json"),
    }
    cells: Cells = {}
    if plan.out:
        plan.out.parent.mkdir(parents=True, exist_ok=True)
    if plan.out and plan.out.exists():
        kept = json.loads(plan.out.read_text())
        if kept["about"] != about:
            print(f"{plan.out} is of other settings; give another --out or remove it", file=sys.stderr)
            return 2
        cells = kept["cells"]
    begun = time.monotonic()
    train = corpus_of_stories(range(plan.stories), size=SIZE)
    held_out = corpus_of_stories(range(HELD_OUT, HELD_OUT + plan.held_out), size=SIZE)
    print(f"{len(train.pages)} pages to train on, {len(held_out.pages)} held out, {time.monotonic() - begun:.0f} s")
    for seed in range(plan.seeds):
        for option in OPTIONS:
            key = f"{option}/{seed}"
            if key in cells:
                continue
            begun = time.monotonic()
            cells[key] = cell(option, settings(seed=seed, steps=steps), train, held_out)
            if plan.out:
                write_durably(plan.out, json.dumps({"about": about, "cells": cells}, indent=1).encode())
            print(f"{option}, seed {seed}: {time.monotonic() - begun:.0f} s", flush=True)
    print(table(cells, plan.seeds))
    answers = verdicts(cells, plan.seeds)
    for holds, sentence in answers:
        print(f"{'holds' if holds else 'FAILS'}  {sentence}")
    return 0 if all(holds for holds, _ in answers) else 1


if __name__ == "__main__":
    sys.exit(main())
