"""The training of a panel detector, top to bottom: network, pages, optimiser, steps, measures, state.

A run is a pure function of its pages and its configuration. Step k always sees the same pages and the same random
numbers, and the state holds all else: a run that was killed goes on along the same curve.
"""

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models.detection import FasterRCNN

from services.training.detector_pages import (
    DetectorBatches,
    Picture,
    Target,
    fingerprint,
    looked_at,
    truth_of,
    whole_page,
)
from services.training.detector_scores import scores_of
from services.training.generators.features import ALL, Features
from services.training.generators.material import Material
from services.training.generators.pages import make_page
from services.training.loop import MetricRow, follow, schedule
from services.training.run_state import pack, require_finite, unpack
from shared.domain.training import DetectorRunConfig
from shared.errors import Reject
from shared.nn.detector_config import DetectorConfig
from shared.nn.detector_nets import build_detector
from shared.nn.device import fast_in_half
from shared.nn.efficientnet_lite import EfficientNetLite

REPORT_EVERY = 20
LONGEST_STEP = 5.0  # norm of the gradient; one that is not finite makes no step
MOST_LOST = 5  # steps in a row
MADE_PAGES = 24  # that are measured after each epoch, the same in every run
MADE_SEED = 2**50  # beyond all seeds that training draws
REAL_SIDE = 900
READY = {"resnet18_narrow": (), "efficientnet_lite0": ("imagenet", "DEFAULT")}  # weights of our own trunks, by name


class DetectorTraining:
    """One run. Reject when it cannot be trained in this way, with the reason."""

    def __init__(
        self,
        config: DetectorRunConfig,
        *,
        start: tuple[FasterRCNN, DetectorConfig] | None = None,
        material: Material | None = None,
        held_out: Material | None = None,
        device: str = "cpu",
        workers: int = 1,
        network: DetectorConfig | None = None,
        features: Features = ALL,
    ) -> None:
        """`start` is the detector to go on from; None builds a new one, of `network` if that is given.

        `material` are annotated pages to train on, `held_out` others to measure on; `workers` processes make pages.
        """
        self.config, self.device, self.workers = config, torch.device(device), workers
        self.held_out = held_out

        # the network
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model, self.network = start or _built(config, network)
        self.network = self.network.model_copy(update={"calibration": {}})
        self.model.to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model).requires_grad_(False)

        # the pages
        self.batches = DetectorBatches(
            seed=config.seed,
            pages=config.pages_per_batch,
            config=self.network,
            material=material,
            made=config.made,
            scales=(config.smallest, config.largest),
            features=features,
        )
        self.step, self.steps, self.lost = 0, config.steps, 0

        # the optimiser
        trunk, rest = _parts(self.model, config)
        self.frozen = [m for m in _trunk(self.model).modules() if isinstance(m, nn.BatchNorm2d)] if trunk else []
        groups = [{"params": rest, "share": 1.0}, {"params": trunk, "share": config.backbone_rate}]
        groups = [group for group in groups if group["params"]]
        self.optimiser = torch.optim.AdamW(groups, lr=config.rate, weight_decay=config.weight_decay)
        self.half = config.precision == "bfloat16" and fast_in_half(device)
        parts = [config.model_dump(mode="json"), fingerprint(material), self.network.model_dump(mode="json")]
        self.identity = hashlib.sha256(json.dumps([*parts, repr(features)]).encode()).hexdigest()
        self.sums: dict[str, float] = {}
        self.counts: dict[str, float] = {}
        self._made: list[Picture] = []

    def restore(self, state: bytes) -> None:
        """Go on from what `state` gave. Reject when it belongs to another run, or is damaged."""
        facts = unpack(state, identity=self.identity, model=self.model, teacher=self.average, optimiser=self.optimiser)
        self.step, self.sums, self.counts = facts.step, facts.sums, facts.counts

    def state(self) -> bytes:
        """Everything the run needs to go on: weights, their average, moments, step. Reject when one is not finite."""
        require_finite(self.average, step=self.step)
        require_finite(self.model, step=self.step)
        return pack(
            identity=self.identity,
            step=self.step,
            sums=self.sums,
            counts=self.counts,
            model=self.model,
            teacher=self.average,
            optimiser=self.optimiser,
        )

    def run(
        self,
        *,
        report: Callable[[MetricRow], None],
        save: Callable[[bytes, int], None],
        stop: Callable[[], bool],
        save_every_s: float = 60.0,
    ) -> tuple[FasterRCNN, DetectorConfig] | None:
        """Train to the end; the average of the weights on the CPU, or None when it was stopped, after saving."""
        saved = time.monotonic()
        if self.step == 0:
            self._measure(report)
        loader = DataLoader(
            self.batches,
            batch_size=None,
            sampler=range(self.step, self.steps),
            num_workers=self.workers,
            prefetch_factor=4 if self.workers else None,
        )
        for pictures, targets in loader:
            if stop():
                save(self.state(), self.step)
                return None
            try:
                self._step(pictures, targets)
            except torch.OutOfMemoryError as error:
                raise Reject(
                    f"{len(targets)} pages a batch need more memory than the GPU has; set fewer, or fewer pixels."
                ) from error
            self.step += 1
            if self.step % REPORT_EVERY == 0 or self.step == self.steps:
                self._report(report)
            epoch_ends = self.step % self.config.steps_per_epoch == 0 or self.step == self.steps
            if epoch_ends:
                self._measure(report)
            if epoch_ends or time.monotonic() - saved > save_every_s:
                save(self.state(), self.step)
                saved = time.monotonic()
        return self.average.to("cpu").eval(), self.network

    def _step(self, pictures: Tensor, targets: Sequence[Target]) -> None:
        """One step: a batch's losses, their gradient, a move of the weights, the average behind them."""
        self.model.train()
        for module in self.frozen:
            module.eval()
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate * group["share"] * schedule(self.step, self.steps)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.config.seed * 1_000_003 + self.step)  # the proposals that are sampled
            images = [picture.to(self.device).float() / 255.0 for picture in pictures]
            on_device = [{name: value.to(self.device) for name, value in target.items()} for target in targets]
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                losses = self.model(images, on_device)
                loss = torch.stack([value.float() for value in losses.values()]).sum()
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), LONGEST_STEP))
        if not (math.isfinite(norm) and math.isfinite(float(loss.detach()))):
            self.lost += 1
            if self.lost > MOST_LOST:
                raise Reject(f"The loss is not finite at step {self.step}; lower the rate.")
            return
        self.lost = 0
        self.optimiser.step()
        self._count("gradient", norm)
        follow(self.average, self.model, kept=min(self.config.average, (self.step + 1) / (self.step + 10)))
        for name, value in {"loss": loss, **losses}.items():
            self._count(name, float(value.detach()))

    def _count(self, name: str, value: float) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + value
        self.counts[name] = self.counts.get(name, 0.0) + 1

    def _report(self, report: Callable[[MetricRow], None]) -> None:
        values = {name: total / self.counts[name] for name, total in self.sums.items()}
        values["rate"] = self.config.rate * schedule(self.step - 1, self.steps)
        self.sums, self.counts = {}, {}
        report(MetricRow(self.step, self.step / self.config.steps_per_epoch, "train", values))

    def made_aside(self) -> list[Picture]:
        """Made pages that no training sees, the same in every run."""
        if not self._made:
            made = (make_page(MADE_SEED + k, long_side=REAL_SIDE) for k in range(MADE_PAGES))
            self._made = [(page.image, truth_of(page)) for page in made]
        return self._made

    def _measure(self, report: Callable[[MetricRow], None]) -> None:
        """Scores on made pages no training sees, and on the real ones kept aside."""
        values = self._scores(self.made_aside(), prefix="made")
        if self.held_out is not None:
            real = (whole_page(page, long_side=REAL_SIDE) for page in self.held_out.pages)
            values |= self._scores(real, prefix="real")
        report(MetricRow(self.step, self.step / self.config.steps_per_epoch, "held_out", values))

    def _scores(self, pages: Iterable[Picture], *, prefix: str) -> dict[str, float]:
        truth, found = looked_at(self.average, pages, config=self.network)
        return scores_of(truth, found, prefix=prefix)


def _built(config: DetectorRunConfig, network: DetectorConfig | None) -> tuple[FasterRCNN, DetectorConfig]:
    try:
        network = network or DetectorConfig(backbone=config.backbone, pixels=config.pixels)
    except ValidationError as error:
        raise Reject(f"A new detector cannot be built: {error.errors()[0]['msg']}.") from error
    named = config.pretrained
    file = Path(named) if named and Path(named).is_file() else None
    try:
        if named is not None and file is None and named not in READY.get(network.backbone, (named,)):
            raise KeyError(named)
        model = build_detector(network, pretrained=None if file else named)
    except (KeyError, ValueError, OSError) as error:  # torchvision's: it knows no such name, or cannot download
        raise Reject(
            f"There are no weights {Path(named or '').name} of {network.backbone}; name a file of them, or DEFAULT for "
            "the best that are ready, where there are some."
        ) from error
    if file is not None:
        try:
            state = load_file(file)
            _trunk(model).load_state_dict({k: v for k, v in state.items() if k in _trunk(model).state_dict()})
        except (SafetensorError, RuntimeError) as error:
            raise Reject(f"{file.name} holds no weights of {network.backbone}") from error
    return model, network


def _trunk(model: FasterRCNN) -> nn.Module:
    trunk: nn.Module = model.backbone.body
    return trunk


def _parts(model: FasterRCNN, config: DetectorRunConfig) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters of a pretrained trunk, and all others; frozen ones are in neither."""
    trunk = _trunk(model)
    if isinstance(trunk, EfficientNetLite):
        trunk.freeze(config.frozen_blocks)
    pretrained = config.start == "active" or config.pretrained is not None
    if not pretrained:
        return [], [value for value in model.parameters() if value.requires_grad]
    if config.backbone_rate == 0:
        trunk.requires_grad_(False)
    own = {id(value) for value in trunk.parameters()}
    moving = [value for value in model.parameters() if value.requires_grad]
    return [v for v in moving if id(v) in own], [v for v in moving if id(v) not in own]
