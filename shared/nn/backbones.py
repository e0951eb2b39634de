"""Transformers models as backbones: found by hub name or folder once, rebuilt from their own configuration afterwards.

transformers is imported on first use: only the roles that configure a backbone install it. Hub code is never run and
weights are only read as safetensors.
"""

import json
from pathlib import Path
from typing import Any

from torch import nn

from shared.errors import Reject

RawConfig = dict[str, Any]
Colours = tuple[float, float, float]


def pretrained(source: str, *, vision: bool) -> nn.Module:
    """The model at a hub name or in a folder, with its weights; of a picture-and-text model the side asked for."""
    from transformers import AutoModel

    try:
        model = AutoModel.from_pretrained(source, use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise Reject(
            f"The model {Path(source).name} cannot be loaded; give a transformers name or a folder with config.json "
            "and model.safetensors."
        ) from error
    return _side(model, vision=vision)


def picture_statistics(source: str) -> tuple[Colours, Colours]:
    """Mean and deviation that the vision model at a hub name or in a folder takes out of its pictures.

    0.5 and 0.5 where its preprocessor does not say. Another model's would shift all of its inputs.
    """
    from transformers.utils import cached_file

    try:
        path = cached_file(source, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
        told = json.loads(Path(path).read_text()) if path else {}
    except (OSError, ValueError) as error:
        raise Reject(f"The preprocessor of {Path(source).name} cannot be read; give a folder that has it.") from error
    mean, std = (told.get(name) or [0.5, 0.5, 0.5] for name in ("image_mean", "image_std"))
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def from_raw_config(raw: RawConfig, *, vision: bool) -> nn.Module:
    """A model of this configuration (as `raw_config` gave it), its weights to be loaded by the caller."""
    from transformers import AutoConfig, AutoModel

    settings = dict(raw)
    try:
        model = AutoModel.from_config(AutoConfig.for_model(settings.pop("model_type"), **settings))
    except (KeyError, ValueError, TypeError) as error:
        raise Reject("The checkpoint's backbone is of a kind that this transformers version does not know.") from error
    return _side(model, vision=vision)


def raw_config(backbone: nn.Module) -> RawConfig:
    """The configuration of a backbone as JSON, without where it came from."""
    config: Any = backbone.config
    raw: RawConfig = config.to_diff_dict()
    return {**{key: value for key, value in raw.items() if key != "_name_or_path"}, "model_type": config.model_type}


def hidden_size(backbone: nn.Module) -> int:
    """Width of the backbone's output vectors."""
    config: Any = backbone.config
    width = getattr(config, "hidden_size", None) or config.hidden_sizes[-1]
    return int(width)


def tokenizer(source: str) -> Any:
    """The tokenizer at a hub name or in a folder."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise Reject(
            f"The tokenizer of {Path(source).name} cannot be loaded; its folder needs tokenizer.json."
        ) from error


def _side(model: Any, *, vision: bool) -> nn.Module:
    side = getattr(model, "vision_model" if vision else "text_model", model)
    assert isinstance(side, nn.Module)
    return side
