"""Checkpoints of encoders: folders of `config.json` (a Manifest), `encoder.safetensors` and perhaps `tokenizer/`."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from pydantic import ValidationError

from shared.errors import Reject
from shared.nn import backbones
from shared.nn.encoder_config import EncoderConfig, Manifest
from shared.nn.encoder_net import EncoderNet, build_net
from shared.nn.files import write_durably

WEIGHTS_FILE, CONFIG_FILE, TOKENIZER_FOLDER = "encoder.safetensors", "config.json", "tokenizer"


def write_checkpoint(
    folder: Path, net: EncoderNet, *, config: EncoderConfig, tokenizer: Any, about: Mapping[str, Any]
) -> Manifest:
    """Write a checkpoint into `folder`, replacing one that is there; a reader meets the old, the new or an error.

    Reject, with nothing written, when a weight is not finite in float16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().half().cpu().contiguous() for name, value in net.state_dict().items()}
    for name, value in weights.items():
        if not bool(torch.isfinite(value).all()):
            raise Reject(f"The weight {name} is not finite in float16; the training went wrong, nothing was saved.")
    data = safetensors.torch.save(weights)
    manifest = Manifest(
        config=config,
        backbones={
            name: backbones.raw_config(branch.backbone)  # type: ignore[arg-type]
            for name, branch in net.branches.items()
            if hasattr(branch, "backbone")
        },
        weights_sha256=hashlib.sha256(data).hexdigest(),
        about=dict(about),
    )
    if tokenizer is not None:
        tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
    write_durably(folder / WEIGHTS_FILE, data)
    write_durably(folder / CONFIG_FILE, (json.dumps(manifest.model_dump(mode="json"), indent=2) + "\n").encode())
    return manifest


def read_checkpoint(folder: Path) -> tuple[EncoderNet, EncoderConfig, Any, str]:
    """Network in float32, configuration, tokenizer (None without a text model) and fingerprint of a checkpoint folder.

    Reject, naming the folder, when the checkpoint is incomplete, damaged, or of another version.
    """
    manifest, fingerprint = _manifest(folder)
    config = manifest.config
    try:
        data = (folder / WEIGHTS_FILE).read_bytes()
    except OSError as error:
        raise Reject(f"The checkpoint {folder.name} has no {WEIGHTS_FILE}; save or copy it again.") from error
    if hashlib.sha256(data).hexdigest() != manifest.weights_sha256:
        raise Reject(f"{WEIGHTS_FILE} of the checkpoint {folder.name} is not the one it was saved with; copy it again.")
    found = {name: backbones.from_raw_config(raw, vision=name == "image") for name, raw in manifest.backbones.items()}
    net = build_net(config, found)
    try:
        net.load_state_dict(safetensors.torch.load(data), strict=True)
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise Reject(f"The weights of the checkpoint {folder.name} do not fit its {CONFIG_FILE}.") from error
    reads = config.text is not None and config.text.backbone is not None
    return net, config, backbones.tokenizer(str(folder / TOKENIZER_FOLDER)) if reads else None, fingerprint


def checkpoint_fingerprint(folder: Path) -> str:
    """What identifies the checkpoint in a folder: the hash of its manifest, which holds the hash of its weights."""
    return _manifest(folder)[1]


def _manifest(folder: Path) -> tuple[Manifest, str]:
    try:
        raw = (folder / CONFIG_FILE).read_bytes()
        return Manifest.model_validate_json(raw), hashlib.sha256(raw).hexdigest()
    except OSError as error:
        raise Reject(f"There is no checkpoint in the folder {folder.name}; it needs {CONFIG_FILE}.") from error
    except ValidationError as error:
        raise Reject(f"{CONFIG_FILE} of the checkpoint {folder.name} is damaged or of another version.") from error
