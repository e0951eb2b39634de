"""The encoder a run begins with: the one to go on from with what it lacks added, or a new one."""

from pathlib import Path

import torch

from shared.domain.training import RunConfig
from shared.errors import Reject
from shared.nn import backbones
from shared.nn.encoder import Encoder, build_encoder
from shared.nn.encoder_config import EncoderConfig, ImageConfig, SequenceConfig, TextConfig


def beginning(
    config: RunConfig, *, start: Encoder | None, reads: bool, network: EncoderConfig | None
) -> tuple[Encoder, frozenset[str]]:
    """The encoder, on the CPU, and the names of its network's parameters that were not trained before.

    A text branch is only added when the corpus `reads`: one that never saw a word would be noise. Reject when the
    encoder cannot see pictures, or its backbone cannot see them at this size.
    """
    if start is None:
        made = network or new_network(config, reads=reads)
        encoder = build_encoder(made, seed=config.seed)
        fresh = frozenset(name for name, _ in encoder.net.named_parameters() if ".backbone." not in name)
    else:
        made = continued(start.config, config, reads=reads)
        encoder, fresh = _grown(start, made, config)
    image = encoder.config.image
    if image is None:
        raise Reject("The encoder has no picture branch; train one with start = scratch.")
    try:
        with torch.inference_mode():
            encoder.net.branches["image"](torch.zeros((1, 3, image.size, image.size)))
    except (RuntimeError, ValueError) as error:
        name = Path(image.backbone).name if image.backbone else "The picture branch"
        raise Reject(f"{name} cannot see pictures of {image.size} × {image.size}; set `size` to its own.") from error
    return encoder, fresh


def new_network(config: RunConfig, *, reads: bool) -> EncoderConfig:
    """The network of a run that starts anew. Reject for a size that our own picture branch cannot halve."""
    if config.image_backbone is None and config.size % 32:
        raise Reject(f"Pictures of {config.size} × {config.size} cannot be halved five times; take a multiple of 32.")
    image = ImageConfig(size=config.size)
    if config.size < 96:
        image = ImageConfig(size=config.size, widths=(24, 48, 96, 192), blocks=(1, 1, 2))
    if config.image_backbone is not None:
        mean, std = backbones.picture_statistics(config.image_backbone)
        image = ImageConfig(size=config.size, mean=mean, std=std, backbone=config.image_backbone)
    return EncoderConfig(
        image=image,
        text=TextConfig(backbone=config.text_backbone) if reads else None,
        sequence=SequenceConfig(),
        gates=True,
    )


def continued(old: EncoderConfig, config: RunConfig, *, reads: bool) -> EncoderConfig:
    """An encoder's configuration with the parts added that training wants. Reject when it reads in another way."""
    text = old.text
    if text is not None and config.text_backbone not in (None, text.backbone):
        raise Reject("The encoder to go on from reads already; start from scratch to give it another text model.")
    if text is None and reads:
        text = TextConfig(backbone=config.text_backbone)
    return old.model_copy(update={"text": text, "sequence": old.sequence or SequenceConfig(), "gates": True})


def _grown(start: Encoder, made: EncoderConfig, config: RunConfig) -> tuple[Encoder, frozenset[str]]:
    # Backbones that `start` has are taken from it: the folder or hub they came from may be gone.
    encoder = build_encoder(made, seed=config.seed, like=start)
    missing, unexpected = encoder.net.load_state_dict(start.net.state_dict(), strict=False)
    added = ("branches.text.", "fusion.log_gains.text", "fusion.gates.", "sequence.")
    if unexpected or any(not name.startswith(added) for name in missing):
        raise Reject("The encoder to go on from does not fit its configuration.")
    return encoder, frozenset(name for name in missing if ".backbone." not in name)
