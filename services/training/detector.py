"""Trains the panel detector on made pages and on annotated ones: `python -m services.training.detector --out DIR`.

It goes on where it was when it is started again, however it ended. What it prints are the losses since the last line
and, after each epoch, scores on made pages that are kept aside and on the annotated ones given with `--held-out`.
"""

import argparse
import time
from pathlib import Path

from pydantic import ValidationError

from services.training.detector_loop import DetectorTraining
from services.training.generators.features import ALL, Features
from services.training.generators.material import Material
from services.training.loop import MetricRow
from shared.domain.training import DetectorRunConfig
from shared.errors import Reject
from shared.nn.detector import load_detector, save_detector
from shared.nn.detector_config import DetectorConfig
from shared.nn.device import pick_device
from shared.nn.files import write_durably

STATE = "state.safetensors"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line of the training; every field of DetectorRunConfig is an option."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for detector.safetensors and config.json")
    parser.add_argument("--state", type=Path, default=Path("build/detector-training"), help="folder for the state")
    parser.add_argument("--from", dest="start_folder", type=Path, help="folder of a detector to go on from")
    parser.add_argument("--network", type=Path, help="a DetectorConfig as JSON, for a network of another shape")
    parser.add_argument(
        "--coco", action="append", default=[], metavar="JSON=FOLDER", help="annotated pages to train on"
    )
    parser.add_argument("--held-out", action="append", default=[], metavar="JSON=FOLDER", help="and to measure on")
    parser.add_argument("--without", action="append", default=[], help="a feature of the generator to leave out")
    parser.add_argument("--workers", type=int, default=1, help="processes that make pages")
    parser.add_argument("--device", default="auto")
    for name, field in DetectorRunConfig.model_fields.items():
        if name != "start":
            parser.add_argument(f"--{name.replace('_', '-')}", help=f"{field.description or ''} ({field.default})")
    return parser.parse_args(arguments)


def annotated(pairs: list[str]) -> Material | None:
    """The pages of `JSON=FOLDER` arguments together; Reject names what cannot be read."""
    pages = []
    for pair in pairs:
        coco, _, folder = pair.partition("=")
        try:
            pages += Material.load(Path(coco), Path(folder)).pages
        except (OSError, ValueError) as error:
            raise Reject(f"{pair}: {error}") from error
    return Material(pages) if pages else None


def train(arguments: argparse.Namespace) -> None:
    """Runs the whole training, or the rest of an interrupted one."""
    given = {name: getattr(arguments, name, None) for name in DetectorRunConfig.model_fields}
    told = {name: value for name, value in given.items() if value is not None}
    start = load_detector(arguments.start_folder) if arguments.start_folder else None
    config = DetectorRunConfig.model_validate({**told, "start": "active" if start else "scratch"})
    network = DetectorConfig.model_validate_json(arguments.network.read_bytes()) if arguments.network else None
    features: Features = ALL
    for name in arguments.without:
        features = features.without(name)
    training = DetectorTraining(
        config,
        start=start,
        material=annotated(arguments.coco),
        held_out=annotated(arguments.held_out),
        device=pick_device(arguments.device),
        workers=arguments.workers,
        network=network,
        features=features,
    )
    state = arguments.state / STATE
    if state.exists():
        training.restore(state.read_bytes())
        print(f"going on at step {training.step}", flush=True)
    arguments.state.mkdir(parents=True, exist_ok=True)
    began, first = time.monotonic(), training.step

    def report(row: MetricRow) -> None:
        pace = (row.step - first) / (time.monotonic() - began)
        left = f" · {(training.steps - row.step) / pace / 60:.0f} min left" if pace > 0 else ""
        values = " ".join(f"{name.removeprefix('loss_')} {value:.3f}" for name, value in row.values.items())
        print(f"{row.kind} {row.step}/{training.steps} {values}{left}", flush=True)

    made = training.run(report=report, save=lambda kept, _: write_durably(state, kept), stop=lambda: False)
    assert made is not None
    save_detector(arguments.out, *made)
    print(f"wrote {arguments.out}", flush=True)


if __name__ == "__main__":
    try:
        train(parse())
    except (Reject, ValidationError, ValueError) as error:
        raise SystemExit(str(error)) from error
