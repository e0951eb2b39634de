"""Trains the starter encoder: picture and layout branches, self-supervised, on comic pages made on the fly.

    python -m services.training.starter_training --out services/search/weights --work .starter

A piece of each panel and the nearly whole panel, both as another scan, size or grey copy would show them and with the
layout known or not, must find each other among the panels of the batch; panels of one page share cast and colours.
Every batch is a pure function of seed and step, so the loop state is the weights and the optimiser's moments: a run
that was killed continues where its last state was written.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.training.augmentation import ViewSettings, view
from services.training.contrast import info_nce
from services.training.generators.made import MadePage
from services.training.generators.pages import make_page
from shared.domain.schema import Box
from shared.nn.encoder import Encoder, PanelInput, build_encoder, load_encoder, normalised, save_encoder
from shared.nn.encoder_config import EncoderConfig
from shared.nn.files import write_durably
from shared.nn.layout_features import LayoutFeatures

HELD_OUT = 900_000_000  # page seeds from here on are never trained on
PIECE = ViewSettings()
WHOLE = ViewSettings(area=(0.75, 1.0), aspect=(0.85, 1.18), grey=0.05)


@dataclass(frozen=True)
class Plan:
    """Everything that decides the result of a run."""

    seed: int = 0
    steps: int = 320
    panels: int = 128
    long_side: int = 768
    rate: float = 2e-3
    warm_up: int = 30
    decay: float = 0.05
    temperature: float = 0.08
    layout_known: float = 0.5
    layout_weight: float = 0.2


@dataclass(frozen=True)
class Batch:
    """Two views of N panels, a piece and the whole.

    `pixels` are two of (N, 3, S, S) uint8, `layouts` two of (N, F), `known` (whether the layout is) two of (N,) bool.
    """

    pixels: tuple[Tensor, Tensor]
    layouts: tuple[Tensor, Tensor]
    known: tuple[Tensor, Tensor]


def make_batch(plan: Plan, step: int, *, size: int) -> Batch:
    """The batch of a step: `plan.panels` panels from pages made for it, each page's panels together."""
    rng = np.random.default_rng((plan.seed, step))
    pixels: list[list[NDArray[np.uint8]]] = [[], []]
    layouts: list[list[NDArray[np.float32]]] = [[], []]
    for page, box, layout in _panels(rng, plan):
        for side, settings in enumerate((PIECE, WHOLE)):
            pixels[side].append(view(rng, page.image, box, size=size, settings=settings))
            layouts[side].append(_shaken(rng, layout).vector())
        if len(pixels[0]) == plan.panels:
            break
    known = rng.random((2, plan.panels)) < plan.layout_known
    return Batch(
        pixels=(_stacked(pixels[0]).permute(0, 3, 1, 2), _stacked(pixels[1]).permute(0, 3, 1, 2)),
        layouts=(_stacked(layouts[0]), _stacked(layouts[1])),
        known=(torch.from_numpy(known[0]), torch.from_numpy(known[1])),
    )


def loss_of(encoder: Encoder, batch: Batch, plan: Plan) -> Tensor:
    """The training loss of a batch.

    Fused views find each other, with the layout missing from half of them; layouts find their own shaken copies; and a
    layout finds its picture, which is not moved by it.
    """
    net, config = encoder.net, encoder.config.image
    assert config is not None
    everyone = torch.ones(plan.panels, dtype=torch.bool)
    pictures, layouts, fused = [], [], []
    for side in (0, 1):
        pixels = normalised(batch.pixels[side], config).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            pictures.append(net.branches["image"](pixels).float())
        layouts.append(net.branches["layout"](batch.layouts[side]))
        vectors = {"image": pictures[side], "layout": layouts[side]}
        fused.append(net.fusion(vectors, {"image": everyone, "layout": batch.known[side]}))
    found = info_nce(fused[0], fused[1], temperature=plan.temperature)
    steady = info_nce(layouts[0], layouts[1], temperature=plan.temperature)
    crossed = info_nce(layouts[0], pictures[1].detach(), temperature=plan.temperature)
    return found + plan.layout_weight * (steady + crossed)


def train(plan: Plan, *, work: Path, config: EncoderConfig | None = None, save_every: int = 50) -> Encoder:
    """Run the plan to its end, from the state in `work` if it has one of this very plan; the trained encoder."""
    encoder = build_encoder(config or EncoderConfig(), seed=plan.seed)
    net = encoder.net.train()
    net.fusion.requires_grad_(False)  # the layout says too much too easily: its gain stays small
    net.branches["image"].to(memory_format=torch.channels_last)
    trained = {name: value for name, value in net.named_parameters() if value.requires_grad}
    optimiser = torch.optim.AdamW(trained.values(), lr=plan.rate, weight_decay=plan.decay, betas=(0.9, 0.98))
    size = encoder.config.image.size if encoder.config.image else 0
    step = _resume(work, plan, encoder, optimiser)
    begun, first = time.monotonic(), step
    while step < plan.steps:
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * _schedule(step, plan)
        loss = loss_of(encoder, make_batch(plan, step, size=size), plan)
        if not bool(torch.isfinite(loss)):
            raise FloatingPointError(f"the loss of step {step} is not finite")
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimiser.step()
        step += 1
        if step % save_every == 0 or step == plan.steps:
            _save_state(work, plan, step, encoder, optimiser)
        if step % 10 == 0:
            pace = (time.monotonic() - begun) / (step - first)
            left = pace * (plan.steps - step)
            print(
                f"step {step}/{plan.steps} loss {loss.item():.3f} {pace:.2f} s/step {left / 60:.1f} min left",
                flush=True,
            )
    net.eval()
    return encoder


def held_out_recall(encoder: Encoder, *, panels: int = 256) -> dict[str, float]:
    """Recall@1 of views among fused panels, both from made pages that were never trained on."""
    plan = Plan(seed=HELD_OUT, panels=panels)
    rng = np.random.default_rng(HELD_OUT)
    gallery, queries, layouts = [], [], []
    for page, box, layout in _panels(rng, plan):
        pixels = np.asarray(page.image)
        crop = pixels[int(box.y) : math.ceil(box.bottom), int(box.x) : math.ceil(box.right)]
        gallery.append(PanelInput(crop=crop, layout=layout))
        queries.append(PanelInput(crop=view(rng, page.image, box, size=192, settings=PIECE)))
        layouts.append(PanelInput(layout=layout))
        if len(gallery) == panels:
            break
    fused = encoder.encode(gallery)
    own = np.arange(panels)
    return {
        name: float(((encoder.encode(kind) @ fused.T).argmax(1) == own).mean())
        for name, kind in (("view_recall_at_1", queries), ("layout_recall_at_1", layouts))
    }


def _panels(rng: np.random.Generator, plan: Plan) -> Iterator[tuple[MadePage, Box, LayoutFeatures]]:
    """Panels of freshly made pages, without end."""
    base = HELD_OUT if plan.seed == HELD_OUT else 0
    while True:
        page = make_page(base + int(rng.integers(HELD_OUT)), long_side=plan.long_side)
        boxes = [panel.box for panel in page.truth.panels if min(panel.box.w, panel.box.h) >= 16]
        for position, box in enumerate(boxes):
            yield page, box, LayoutFeatures(box, page.truth.width, page.truth.height, position, len(boxes))


def _shaken(rng: np.random.Generator, layout: LayoutFeatures) -> LayoutFeatures:
    """The same layout as another detector would measure it."""
    box = layout.box
    moved = rng.normal(0, 0.015, 2) * (layout.page_width, layout.page_height)
    scaled = np.exp(rng.normal(0, 0.04, 2))
    return replace(layout, box=Box(box.x + moved[0], box.y + moved[1], box.w * scaled[0], box.h * scaled[1]))


def _stacked(arrays: list[NDArray[np.uint8]] | list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def _schedule(step: int, plan: Plan) -> float:
    """Linear warm-up, then half a cosine down to a hundredth."""
    if step < plan.warm_up:
        return (step + 1) / plan.warm_up
    done = (step - plan.warm_up) / max(1, plan.steps - plan.warm_up)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2


def _save_state(work: Path, plan: Plan, step: int, encoder: Encoder, optimiser: torch.optim.AdamW) -> None:
    """Write the loop's state, whole or not at all."""
    work.mkdir(parents=True, exist_ok=True)
    tensors = {f"net.{name}": value.contiguous() for name, value in encoder.net.state_dict().items()}
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value.contiguous() for name, value in moments.items()}
    metadata = {"plan": _identity(plan, encoder), "step": str(step)}
    write_durably(work / "state.safetensors", safetensors.torch.save(tensors, metadata=metadata))


def _resume(work: Path, plan: Plan, encoder: Encoder, optimiser: torch.optim.AdamW) -> int:
    """Load the state in `work`; the step to go on with, 0 without a state. A state of another plan is an error."""
    path = work / "state.safetensors"
    if not path.exists():
        return 0
    with safetensors.safe_open(path, "pt") as file:
        about = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    if about["plan"] != _identity(plan, encoder):
        raise SystemExit(f"{path} belongs to another plan; give another --work folder or remove it")
    encoder.net.load_state_dict({name[4:]: value for name, value in tensors.items() if name.startswith("net.")})
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, number, moment = name.split(".")
            moments.setdefault(int(number), {})[moment] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    return int(about["step"])


def _identity(plan: Plan, encoder: Encoder) -> str:
    return json.dumps({"plan": asdict(plan), "config": encoder.config.model_dump(mode="json")}, sort_keys=True)


def main() -> None:
    """Train, save the checkpoint and say how well it finds made panels it never saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--work", type=Path, required=True, help="folder for the loop state; a later call continues it")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    plan = Plan(seed=arguments.seed, steps=arguments.steps)
    begun = time.monotonic()
    encoder = train(plan, work=arguments.work)
    figures = held_out_recall(encoder)
    save_encoder(arguments.out, encoder, about={"plan": asdict(plan), "held_out": figures})
    load_encoder(arguments.out)
    print(f"{json.dumps(figures)} in {time.monotonic() - begun:.0f} s, saved to {arguments.out}")


if __name__ == "__main__":
    main()
