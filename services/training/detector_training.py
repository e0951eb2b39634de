"""Trains the panel detector on made pages, from nothing: `python -m services.training.detector_training --out DIR`.

Step k always sees the same pages and the same random numbers, and the loop's state is saved every `--save-every` steps
in one atomic file, so that a run that was killed at any moment goes on along the same curve when it is started again.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.models.detection import FasterRCNN

from services.training.generators.pages import make_page
from shared.nn.detector import DetectorConfig, build_detector, fitted_size, save_detector
from shared.nn.files import write_durably

Target = dict[str, Tensor]
STATE = "state.safetensors"


class MadeBatches(Dataset[tuple[Tensor, list[Target]]]):
    """Batch k of a seed: pages of one shape, so that nothing is padded; (B, 3, H, W) uint8 and the targets."""

    def __init__(self, *, seed: int, batch: int, config: DetectorConfig, small_steps: int) -> None:
        self.seed, self.batch, self.config, self.small_steps = seed, batch, config, small_steps

    def __getitem__(self, step: int) -> tuple[Tensor, list[Target]]:
        rng = np.random.default_rng([self.seed, step])
        odd = rng.random()
        aspect = float(rng.uniform(0.62, 0.8))
        if odd < 0.06:
            aspect = float(rng.uniform(0.22, 0.5))
        elif odd < 0.11:
            aspect = float(rng.uniform(1.1, 1.6))
        # Most is learned from small pages at half the cost; full-size pages then teach small lettering and faces.
        low, high = (0.35, 0.7) if step < self.small_steps else (0.55, 1.05)
        pixels = self.config.pixels * float(rng.uniform(low, high))
        images, targets = [], []
        for page_seed in rng.integers(0, 2**48, self.batch):
            page = make_page(int(page_seed), long_side=600 if aspect > 0.5 else 900, aspect=aspect)
            size = fitted_size(page.image.width, page.image.height, int(pixels))
            across, up = size[0] / page.image.width, size[1] / page.image.height
            pixel_array = np.asarray(page.image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
            images.append(torch.from_numpy(pixel_array.copy()).permute(2, 0, 1))
            boxes, labels = [], []
            for seen in [*page.truth.panels, *page.truth.objects]:
                b = seen.box
                if b.w * across >= 3 and b.h * up >= 3:
                    boxes.append([b.x * across, b.y * up, b.right * across, b.bottom * up])
                    labels.append(self.config.labels.index(seen.label) + 1)
            targets.append(
                {
                    "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
                    "labels": torch.tensor(labels, dtype=torch.int64),
                }
            )
        return torch.stack(images), targets


def learning_rate(step: int, *, steps: int | None, peak: float, warm: int) -> float:
    """Linear warm-up, then a cosine down to a hundredth of the peak; flat while `steps` is not known."""
    if step < warm:
        return peak * (step + 1) / warm
    if steps is None:
        return peak
    share = min(1.0, (step - warm) / max(1, steps - warm))
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def save_state(
    path: Path, *, model: FasterRCNN, average: FasterRCNN, optimiser: torch.optim.AdamW, facts: dict[str, int | None]
) -> None:
    """Model, moving average, optimiser and step in one safetensors file, replaced atomically."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for index, slots in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in slots.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    cloned = {k: v.detach().clone().contiguous() for k, v in tensors.items()}
    write_durably(path, save(cloned, metadata={"facts": json.dumps(facts)}))


def load_state(
    path: Path, *, model: FasterRCNN, average: FasterRCNN, optimiser: torch.optim.AdamW
) -> dict[str, int | None]:
    """Puts a saved state back into place and returns its facts (seed, step, steps)."""
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimiser": {}}
    with safe_open(path, framework="pt") as file:
        facts: dict[str, int | None] = json.loads(file.metadata()["facts"])
        for key in file.keys():  # noqa: SIM118 - the file object is no mapping
            group, _, name = key.partition(".")
            groups[group][name] = file.get_tensor(key)
    model.load_state_dict(groups["model"])
    average.load_state_dict(groups["average"])
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in groups["optimiser"].items():
        index, _, name = key.partition(".")
        slots.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})
    return facts


@torch.no_grad()
def follow(average: FasterRCNN, model: FasterRCNN, *, decay: float) -> None:
    """Moves the average's weights towards the model's; counters and running statistics move alike."""
    current = model.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(current[name], 1.0 - decay)
        else:
            value.copy_(current[name])


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line of the training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for detector.safetensors and config.json")
    parser.add_argument("--state", type=Path, default=Path("build/detector-training"), help="folder for loop state")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=40.0, help="length, turned into steps at the measured pace")
    length.add_argument("--steps", type=int, help="length in steps")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--decay", type=float, default=0.998, help="of the moving average of the weights")
    parser.add_argument("--save-every", type=int, default=100, help="steps between saved states")
    parser.add_argument("--keep-every", type=int, default=0, help="steps between kept weight files; 0 keeps none")
    parser.add_argument("--small-steps", type=int, default=900, help="first steps, which see smaller pages")
    parser.add_argument("--workers", type=int, default=1, help="processes that make pages")
    parser.add_argument("--config", type=Path, help="a DetectorConfig as JSON; the shipped design when absent")
    return parser.parse_args(arguments)


def train(arguments: argparse.Namespace) -> None:
    """Runs the whole training, or the rest of an interrupted one."""
    # Model
    config = DetectorConfig()
    if arguments.config:
        config = DetectorConfig.model_validate_json(arguments.config.read_bytes())
    torch.manual_seed(arguments.seed)
    model = build_detector(config).to(memory_format=torch.channels_last)
    average = build_detector(config)
    average.load_state_dict(model.state_dict())
    model.train()

    # Optimiser
    optimiser = torch.optim.AdamW(model.parameters(), lr=arguments.rate, weight_decay=0.01)
    state = arguments.state / STATE
    facts: dict[str, int | None] = {"seed": arguments.seed, "step": 0, "steps": arguments.steps}
    if state.exists():
        facts = load_state(state, model=model, average=average, optimiser=optimiser)
        if facts["seed"] != arguments.seed:
            raise SystemExit(f"{state} belongs to seed {facts['seed']}; choose another --state folder")
        print(f"going on at step {facts['step']}", flush=True)
    first, steps = facts["step"] or 0, arguments.steps or facts["steps"]

    # Data
    batches = MadeBatches(seed=arguments.seed, batch=arguments.batch, config=config, small_steps=arguments.small_steps)
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=range(first, steps or 10**9),
        num_workers=arguments.workers,
        prefetch_factor=4 if arguments.workers else None,
    )

    # Loop
    settle, warm = 60, 150
    began = time.monotonic()
    recent: dict[str, float] = {}
    stream: Iterator[tuple[Tensor, list[Target]]] = iter(loader)
    for step, (pictures, targets) in enumerate(stream, start=first):
        if steps is None and step - first == settle:
            pace = (time.monotonic() - began) / settle
            steps = step + int(arguments.minutes * 60 / pace)
        torch.manual_seed(arguments.seed * 1_000_003 + step)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps=steps, peak=arguments.rate, warm=warm)
        images = [picture.float() / 255.0 for picture in pictures]
        with torch.autocast("cpu", torch.bfloat16):
            losses = model(images, targets)
            loss: Tensor = torch.stack([value.float() for value in losses.values()]).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        follow(average, model, decay=min(arguments.decay, (step + 1) / (step + 10)))
        done = step + 1
        for name, value in {"loss": loss, **losses}.items():
            recent[name] = 0.95 * recent.get(name, value.item()) + 0.05 * value.item()
        if done % 20 == 0:
            elapsed = time.monotonic() - began
            pages = (done - first) * arguments.batch / elapsed
            left = f"{(steps - done) * arguments.batch / pages / 60:.1f} min" if steps else "?"
            parts = " ".join(f"{name.removeprefix('loss_')} {value:.3f}" for name, value in recent.items())
            print(f"step {done}/{steps or '?'} {parts} · {pages:.1f} pages/s · {left} left", flush=True)
        if done % arguments.save_every == 0 or done == steps:
            facts = {"seed": arguments.seed, "step": done, "steps": steps}
            save_state(state, model=model, average=average, optimiser=optimiser, facts=facts)
        if arguments.keep_every and done % arguments.keep_every == 0:
            save_detector(arguments.state / f"weights-{done:06d}", average, config)
        if steps is not None and done >= steps:
            break
    save_detector(arguments.out, average, config)
    print(f"wrote {arguments.out}", flush=True)


if __name__ == "__main__":
    train(parse())
