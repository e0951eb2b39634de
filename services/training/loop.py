"""The training of an encoder, top to bottom: network, batches, optimiser, schedule, steps, measures, state.

A run is a pure function of its corpus, its option and its RunConfig. Each step draws from (seed, step) alone, and the
state holds all else: a run that was killed goes on along the same curve, on the same machine to the last bit.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from services.training.batches import Batch, Batches, ahead
from services.training.corpus import Corpus
from services.training.evaluation import evaluate
from services.training.heads import TrainingNet
from services.training.objectives import OBJECTIVES
from services.training.run_state import identity, pack, require_finite, unpack
from services.training.seen import Seen
from services.training.start import beginning
from shared.domain.training import Option, RunConfig
from shared.errors import Reject
from shared.nn.device import fast_in_half
from shared.nn.encoder import Encoder
from shared.nn.encoder_config import EncoderConfig

REPORT_EVERY = 10  # steps; fewer in short epochs
SAVING = 20  # as long as the last one took, until the state is kept again
TEACHER = 0.99  # how much of the teacher stays in a step, once it has begun
THREADS = 4  # that make batches while a GPU computes
LOADED = 0.3  # share of the rate for parts of ours that were trained before
BETAS = 0.9, 0.98


@dataclass(frozen=True)
class MetricRow:
    """Measures at a step; see MetricPoint."""

    step: int
    epoch: float
    kind: Literal["train", "held_out"]
    values: dict[str, float]


class Training:
    """One run. Reject when the corpus cannot be trained on in this way, with the reason."""

    def __init__(
        self,
        config: RunConfig,
        option: Option,
        train: Corpus,
        held_out: Corpus,
        *,
        start: Encoder | None,
        device: str = "cpu",
        network: EncoderConfig | None = None,
    ) -> None:
        """`start` is the encoder to go on from; None builds a new one, of `network` if that is given."""
        objective = OBJECTIVES[option]
        if not train.pages:
            raise Reject("There is no page with panels to train on; choose more comics or allow unread panels.")
        if objective.neighbours and all(len(page.panels) < 2 for page in train.pages):
            raise Reject(f"The option {option} hides a panel among others, and no page has two; train with base.")
        if objective.neighbours and len(train.pages) < 2:
            raise Reject(f"The option {option} finds a hidden panel among those of other pages; choose more pages.")
        if sum(len(page.panels) for page in train.pages) < 2:
            raise Reject("One panel alone cannot be told from others; choose more pages.")
        self.config, self.option, self.objective = config, option, objective
        self.held_out = held_out
        self.device = torch.device(device)

        # the network
        reads = train.texts > 1
        self.encoder, fresh = beginning(config, start=start, reads=reads, network=network)
        image = self.encoder.config.image
        assert image is not None
        if config.recompute:
            self.encoder.net.recompute()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = TrainingNet(self.encoder.net, dimensions=self.encoder.config.dimensions)
        self.encoder.to(device)
        self.model.to(self.device)
        self.teacher = copy.deepcopy(self.encoder.net).requires_grad_(False).eval() if objective.spoiled else None

        # the batches
        self.batches = Batches(
            train,
            seed=config.seed,
            pages=config.pages_per_batch,
            size=image.size,
            words=reads and "text" in self.encoder.modalities,
            spoiled=objective.spoiled,
        )
        self.steps_per_epoch = config.steps_per_epoch or self.batches.steps_of_a_pass
        self.steps = config.epochs * self.steps_per_epoch
        self.step = 0

        # the optimiser
        self.optimiser = torch.optim.AdamW(
            _groups(self.model, config, fresh), lr=config.rate, betas=BETAS, weight_decay=config.weight_decay
        )
        self.trained = [value for group in self.optimiser.param_groups for value in group["params"]]
        self.half = config.precision == "bfloat16" and fast_in_half(device)
        self.identity = identity(config, option, train, held_out, self.encoder.config)
        self.sums: dict[str, float] = {}  # of losses since the last report
        self.counts: dict[str, float] = {}

    def restore(self, state: bytes) -> None:
        """Go on from what `state` gave. Reject when it belongs to another run, or is damaged."""
        facts = unpack(state, identity=self.identity, model=self.model, teacher=self.teacher, optimiser=self.optimiser)
        self.step, self.sums, self.counts = facts.step, facts.sums, facts.counts

    def state(self) -> bytes:
        """Everything the run needs to go on: weights, teacher, moments, step. Reject when a weight is not finite."""
        require_finite(self.model, step=self.step)
        return pack(
            identity=self.identity,
            step=self.step,
            sums=self.sums,
            counts=self.counts,
            model=self.model,
            teacher=self.teacher,
            optimiser=self.optimiser,
        )

    def run(
        self,
        *,
        report: Callable[[MetricRow], None],
        save: Callable[[bytes, int], None],
        stop: Callable[[], bool],
        save_every_s: float = 30.0,
    ) -> Encoder | None:
        """Train to the end; the trained encoder on the CPU, or None when it was stopped, after saving.

        After `restore` rows of steps behind the restored one are reported again, with the same values.
        """
        every = min(REPORT_EVERY, max(1, self.steps_per_epoch // 4))
        saved, cost = time.monotonic(), 0.0
        if self.step == 0:
            self._measure(report)
        threads = 0 if self.device.type == "cpu" else THREADS
        for batch in ahead(self.batches, range(self.step, self.steps), threads=threads):
            if stop():
                save(self.state(), self.step)
                return None
            try:
                self._step(batch)
            except torch.OutOfMemoryError as error:
                raise Reject(
                    f"{len(batch.counts)} pages a batch need more memory than the GPU has; set fewer, or recompute."
                ) from error
            self.step += 1
            if self.step % every == 0 or self.step == self.steps:
                self._report(report)
            epoch_ends = self.step % self.steps_per_epoch == 0
            if epoch_ends:
                self._measure(report)
            # A large state takes long to keep: at most a twentieth of the time goes into it.
            waited = time.monotonic() - saved
            if waited > max(SAVING * cost, 0.0 if epoch_ends else save_every_s):
                begun = time.monotonic()
                save(self.state(), self.step)
                saved = time.monotonic()
                cost = saved - begun
        self.model.eval()
        return self.encoder.to("cpu")

    def _step(self, batch: Batch) -> None:
        """One step: a batch's losses, their gradient, a move of the weights, the teacher behind them."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.config.seed * 1_000_003 + self.step)  # dropout of pretrained models
            _training_mode(self.model)
            seen = Seen(
                batch,
                model=self.model,
                encoder=self.encoder,
                teacher=self.teacher,
                device=self.device,
                half=self.half,
                temperature=self.config.temperature,
            )
            terms = self.objective.losses(seen)
            total = torch.zeros((), device=self.device)
            for name, (weight, loss) in terms.items():
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise Reject(f"The loss {name} is not finite at step {self.step}; lower the rate.")
                total = total + weight * loss
                self._count(name, value)
            if not terms:
                return
            self._count("loss", float(total.detach()))
            self.optimiser.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.trained, 1.0))
        if not math.isfinite(norm):
            raise Reject(f"The gradient is not finite at step {self.step}; lower the rate.")
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate * group["share"] * schedule(self.step, self.steps)
        self.optimiser.step()
        if self.teacher is not None:
            follow(self.teacher, self.encoder.net, kept=min(TEACHER, (1 + self.step) / (10 + self.step)))

    def _count(self, name: str, value: float) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + value
        self.counts[name] = self.counts.get(name, 0.0) + 1

    def _report(self, report: Callable[[MetricRow], None]) -> None:
        values = {name: total / self.counts[name] for name, total in self.sums.items()}
        values["rate"] = self.config.rate * schedule(self.step - 1, self.steps)
        self.sums, self.counts = {}, {}
        report(MetricRow(self.step, self.step / self.steps_per_epoch, "train", values))

    def _measure(self, report: Callable[[MetricRow], None]) -> None:
        self.model.eval()
        values = evaluate(self.encoder, self.model, self.held_out)
        if values:
            report(MetricRow(self.step, self.step / self.steps_per_epoch, "held_out", values))


def schedule(step: int, steps: int) -> float:
    """Share of the rate at a step: a linear warm-up over a tenth of them, then a cosine down to a hundredth."""
    warm = max(1, min(200, steps // 10))
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, *, kept: float) -> None:
    """Moves the teacher's weights towards the student's, of which it keeps the share `kept` of its own."""
    current = student.state_dict()
    for name, value in teacher.state_dict().items():
        if value.is_floating_point():
            value.lerp_(current[name], 1 - kept)
        else:
            value.copy_(current[name])


def _training_mode(model: nn.Module) -> None:
    """Training mode but for batch normalisation: a panel's vector never depends on its neighbours in the batch."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _groups(model: TrainingNet, config: RunConfig, fresh: frozenset[str]) -> list[dict[str, object]]:
    """Parameters by share of the rate and by whether they decay; frozen ones are in none.

    `fresh` names the encoder's parameters that were not trained before.
    """
    groups: dict[tuple[float, bool], list[Tensor]] = {}
    for name, value in model.named_parameters():
        own = name.removeprefix("encoder.")
        share = 1.0
        if ".backbone." in name:
            share = config.backbone_rate
        elif name.startswith("encoder.") and own not in fresh:
            share = LOADED
        if share == 0:
            value.requires_grad_(False)
            continue
        decays = value.ndim > 1 and "table" not in name
        groups.setdefault((share, decays), []).append(value)
    return [
        {"params": values, "share": share, **({} if decays else {"weight_decay": 0.0})}
        for (share, decays), values in groups.items()
    ]
