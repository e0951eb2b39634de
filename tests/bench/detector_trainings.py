"""What every feature of the generator, and every idea of the training, is worth: small detectors trained without it.

Each is trained alike, on one core, from the same seed; two with everything on differ by their seed alone, and tell how
large a difference means nothing. A killed run goes on where it was: a finished training leaves one file of figures in
`build/detector-ablation`, one under way its state.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torchvision.models.detection import FasterRCNN

from services.training.detector_loop import DetectorTraining
from services.training.detector_scores import scores_of
from services.training.generators.features import ALL, NAMES, Features
from services.training.generators.material import Material
from shared.domain.schema import DetectedObject
from shared.domain.training import DetectorRunConfig
from shared.nn.detector import predict
from shared.nn.detector_config import DetectorConfig
from shared.nn.files import write_durably
from tests.bench.detector_sets import TRAINED_ON, TRUTH, EvalPage

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "detector-ablation"
GENERATORS = ROOT / "services" / "training" / "generators"
SEED, OTHER_SEED = 17, 18
PAGES, PIXELS = 8, 60_000
SMALL = DetectorConfig(
    backbone="resnet18_narrow",
    width=16,
    fpn_channels=48,
    box_head=128,
    pixels=PIXELS,
    anchor_sizes=((14, 28), (46, 64), (92, 120), (166, 220)),
)
TRUNK = SMALL.model_copy(update={"backbone": "efficientnet_lite0", "fpn_channels": 64})
AT_ONCE = 8
Made = tuple[FasterRCNN, DetectorConfig]


@dataclass(frozen=True)
class Variant:
    """One small training: what differs from the others."""

    name: str
    network: DetectorConfig
    features: Features = ALL
    real: bool = True
    config: dict[str, Any] = field(default_factory=dict)


def variants(of: str) -> Iterator[Variant]:
    """The trainings of an ablation of `features` or of `training`, those with everything first."""
    if of == "features":
        # Pieces of real pages are a feature of the generator here; whole real pages would hide what it lacks.
        yield Variant("everything", SMALL, config={"made": 1.0})
        yield Variant("everything, another seed", SMALL, config={"made": 1.0, "seed": OTHER_SEED})
        for name in NAMES:
            yield Variant(f"without {name}", SMALL, features=ALL.without(name), config={"made": 1.0})
    else:
        full = {"pretrained": "imagenet", "made": 0.8}
        yield Variant("trunk and everything", TRUNK, config=full)
        yield Variant("trunk and everything, another seed", TRUNK, config={**full, "seed": OTHER_SEED})
        yield Variant("trunk not pretrained", TRUNK, config={**full, "pretrained": None})
        yield Variant("no real pages", TRUNK, real=False, config={**full, "made": 1.0})
        yield Variant("real pages as pieces only", TRUNK, config={**full, "made": 1.0})
        yield Variant("real pages only whole", TRUNK, features=ALL.without("material"), config=full)
        yield Variant("no moving average", TRUNK, config={**full, "average": 0.0})


def ablate(of: str, pages: Sequence[EvalPage], *, steps: int, only: Sequence[str] = (), kept: Path = KEPT) -> None:
    """Trains what is not trained yet, and prints a line for each: F1 at its best floor and AP of panels at IoU 0.5.

    The figures are those of the network's own answers on the real pages, without any rule after it. `only` names some
    of the trainings; the first two, which tell the noise, are always there.
    """
    torch.set_num_threads(1)
    kept.mkdir(parents=True, exist_ok=True)
    material = _material()
    every = list(variants(of))
    chosen = every[:2] + [v for v in every[2:] if not only or any(name in v.name for name in only)]
    sets = ["all real pages", *dict.fromkeys(page.set for page in pages)]
    print(f"{steps} steps of {PAGES} pages at {PIXELS} pixels; panel F1 / AP at IoU 0.5, and F1 against everything")
    print(f"{'':36}" + "".join(f"{name:>22}" for name in sets))
    results: dict[str, dict[str, Any]] = {}
    for variant in chosen:
        file = kept / f"{variant.name.replace(', ', '-').replace(' ', '-')}-{steps}.json"
        if not file.is_file():
            state = file.with_suffix(".safetensors")
            result = {**_scores(_trained(variant, steps=steps, material=material, state=state), pages)}
            write_durably(file, json.dumps({**result, "generator": generator()}, indent=1).encode())
            state.unlink(missing_ok=True)
        results[variant.name] = json.loads(file.read_text())
        told = "".join(_cell(results[variant.name].get(name)) for name in sets)
        change = results[variant.name][sets[0]][0] - results[every[0].name][sets[0]][0]
        print(f"{variant.name:36}{told}  {change:+.3f}", flush=True)
    one, other = (results[variant.name][sets[0]] for variant in every[:2])
    print(f"noise: two seeds differ by {abs(one[0] - other[0]):.3f} in F1 and by {abs(one[1] - other[1]):.3f} in AP")
    old = [name for name, result in results.items() if result["generator"] != generator()]
    if old:
        print(f"made by another state of the generator than the present one: {', '.join(old)}")


def _cell(told: Sequence[float] | None) -> str:
    return f"{told[0]:.3f} / {told[1]:.3f}".rjust(22) if told else f"{'-':>22}"


def generator() -> str:
    """The generator's state: a hash of its modules."""
    parts = (file.read_bytes() for file in sorted(GENERATORS.glob("*.py")))
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def _material() -> Material | None:
    folder = Path(os.environ.get("COMIC_SAMPLES") or ROOT.parent / "shared" / "comics") / TRAINED_ON
    return Material.load(TRUTH / f"{TRAINED_ON}.json", folder) if folder.is_dir() else None


def _trained(variant: Variant, *, steps: int, material: Material | None, state: Path) -> Made:
    """The detector of a variant, from where a killed run left it in the file `state`."""
    told = {"seed": SEED, "rate": 1.5e-3, "average": 0.98, "smallest": 0.6, "largest": 1.2, **variant.config}
    config = DetectorRunConfig.model_validate(
        {
            "start": "scratch",
            "steps": steps,
            "steps_per_epoch": steps,
            "pages_per_batch": PAGES,
            "backbone": variant.network.backbone,
            "pixels": variant.network.pixels,
            **told,
        }
    )
    training = DetectorTraining(
        config,
        material=material if variant.real else None,
        workers=0,
        network=variant.network,
        features=variant.features,
    )
    if state.is_file():
        training.restore(state.read_bytes())
    made = training.run(
        report=lambda _: None, save=lambda held, _: write_durably(state, held), stop=lambda: False, save_every_s=30
    )
    assert made is not None
    return made


def _scores(made: Made, pages: Sequence[EvalPage]) -> dict[str, tuple[float, float]]:
    """Best F1 and AP of panels on all pages, and on those of every set that has some."""
    model, network = made
    found: list[list[DetectedObject]] = []
    for start in range(0, len(pages), AT_ONCE):
        found += predict(model, [page.load() for page in pages[start : start + AT_ONCE]], config=network)
    result = {}
    for name in ("all real pages", *dict.fromkeys(page.set for page in pages)):
        some = [k for k, page in enumerate(pages) if name in ("all real pages", page.set)]
        told = scores_of([pages[k].truth for k in some], [found[k] for k in some], prefix="on")
        if "on_panel_f1" in told:
            result[name] = (told["on_panel_f1"], told["on_panel_ap"])
    return result
