"""The state of a run as bytes: safetensors, with whose it is and where it stands in the metadata."""

import hashlib
import json
from dataclasses import dataclass

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from services.training.corpus import Corpus
from shared.domain.training import Option, RunConfig
from shared.errors import Reject
from shared.nn.encoder_config import EncoderConfig

FORMAT = 1


@dataclass(frozen=True)
class Facts:
    """Where a run stands: steps done, and sums and counts of losses since the last report."""

    step: int
    sums: dict[str, float]
    counts: dict[str, float]


def identity(config: RunConfig, option: Option, train: Corpus, held_out: Corpus, network: EncoderConfig) -> str:
    """Whose state it is: a hash of everything that decides the run but the weights it began with."""
    parts = {
        "format": FORMAT,
        "config": config.model_dump(mode="json"),
        "option": option,
        "train": train.fingerprint,
        "held_out": held_out.fingerprint,
        "network": network.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def require_finite(model: nn.Module, *, step: int) -> None:
    """Reject when a weight is not finite: what is trained on from there is lost."""
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise Reject(f"The weight {name} is not finite at step {step}; lower the rate.")


def pack(
    *,
    identity: str,
    step: int,
    sums: dict[str, float],
    counts: dict[str, float],
    model: nn.Module,
    teacher: nn.Module | None,
    optimiser: torch.optim.Optimizer,
) -> bytes:
    """A run's state as bytes."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    if teacher is not None:
        tensors |= {f"teacher.{name}": value for name, value in teacher.state_dict().items()}
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in moments.items()}
    facts = {"identity": identity, "step": step, "sums": sums, "counts": counts}
    cloned = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    return safetensors.torch.save(cloned, metadata={"facts": json.dumps(facts)})


def unpack(
    state: bytes, *, identity: str, model: nn.Module, teacher: nn.Module | None, optimiser: torch.optim.Optimizer
) -> Facts:
    """Puts a state back into place. Reject, with nothing changed, when it is damaged or of another run."""
    try:
        length = int.from_bytes(state[:8], "little")
        facts = json.loads(json.loads(state[8 : 8 + length])["__metadata__"]["facts"])
        tensors = safetensors.torch.load(state)
    except (ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise Reject("The state of the run is damaged; start the run anew.") from error
    if facts["identity"] != identity:
        raise Reject("The state belongs to another run: its dataset, option, settings or network are not this one's.")
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "teacher": {}, "optimiser": {}}
    for key, value in tensors.items():
        group, _, name = key.partition(".")
        groups[group][name] = value
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in groups["optimiser"].items():
        number, _, name = key.partition(".")
        moments.setdefault(int(number), {})[name] = value
    model.load_state_dict(groups["model"])
    if teacher is not None:
        teacher.load_state_dict(groups["teacher"])
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    return Facts(int(facts["step"]), facts["sums"], facts["counts"])
