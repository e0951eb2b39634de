"""Weights of somebody else's detector, made into a folder of ours: the one place where a pickled file is opened."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from shared.errors import Reject
from shared.nn.detector import save_detector
from shared.nn.detector_config import COMIX, DetectorConfig
from shared.nn.detector_nets import build_detector

Profile = Literal["comix"]
PROFILES: dict[Profile, DetectorConfig] = {"comix": COMIX}
WRAPPERS = ("model_state_dict", "state_dict", "model")
# What older torchvisions called the same tensors.
RENAMED = (
    (re.compile(r"(fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)"), r"\1.0.\2"),
    (re.compile(r"(rpn\.head\.conv)\.(weight|bias)"), r"\1.0.0.\2"),
)


def import_detector(file: Path, out: Path, *, profile: Profile = "comix") -> int:
    """Write the weights of a `.pth` file as safetensors and `config.json` into `out`; the number of parameters.

    A plain state dict, or one under "model_state_dict"; "module." before the names, as of a wrapped model, is left out.
    Nothing in the file is executed. `Reject` says what is wrong with it, and names the tensor.
    """
    config = PROFILES[profile]
    state = _state(file)
    with torch.device("meta"):  # shapes are enough to judge by
        model = build_detector(config)
    expected = model.state_dict()
    missing = sorted(set(expected) - set(state))
    if missing:
        raise Reject(f"{file.name} has no tensor {missing[0]} ({len(missing)} are missing); is it for {profile}?")
    unknown = sorted(set(state) - set(expected))
    if unknown:
        raise Reject(f"{file.name} has a tensor {unknown[0]} that {profile} has no place for ({len(unknown)} in all)")
    for name, own in expected.items():
        if state[name].shape != own.shape:
            raise Reject(f"{file.name}: {name} is {_sides(state[name])}; {profile} takes {_sides(own)}")
        if not torch.isfinite(state[name].float()).all():
            raise Reject(f"{file.name}: {name} holds numbers that are none")
    model.load_state_dict(state, assign=True)
    try:
        save_detector(out, model, config, exact=True)
    except OSError as error:
        raise Reject(f"{out.name} cannot be written: {error.strerror}") from error
    return sum(value.numel() for value in model.parameters())


def _state(file: Path) -> dict[str, Tensor]:
    """The tensors of a file by the names that torchvision gives them today."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise Reject(f"{file.name} cannot be read: {error.strerror or 'it is damaged'}") from error
    except pickle.UnpicklingError as error:
        raise Reject(
            f"{file.name} holds more than tensors, or is no file of weights; save its model's state_dict() alone"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Reject(f"{file.name} is no file of weights, or is damaged") from error
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not content:
        raise Reject(f"{file.name} holds no state dict; save its model's state_dict()")
    state: dict[str, Tensor] = {}
    for given, value in content.items():
        if not isinstance(given, str) or not isinstance(value, Tensor):
            raise Reject(f"{file.name}: {str(given)[:80]} is no tensor; save its model's state_dict() alone")
        name = given.removeprefix("module.")
        if name.endswith(".num_batches_tracked"):  # of normalisations that were still counting; ours are frozen
            continue
        for old, new in RENAMED:
            name = old.sub(new, name)
        if name in state:
            raise Reject(f"{file.name} has the tensor {name} twice")
        state[name] = value
    return state


def _sides(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "a single number"
