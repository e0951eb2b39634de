"""What an encoder is made of, and the manifest of its checkpoint; plain data, free of torch."""

from typing import Any, Literal

from pydantic import Field

from shared.domain.schema import Contract

Modality = Literal["image", "text", "layout"]


class ImageConfig(Contract):
    """The picture branch: a small network of ours, or a transformers vision model by hub name or folder."""

    size: int = Field(default=128, ge=32, le=1024)
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)
    widths: tuple[int, ...] = (24, 48, 96, 192, 288)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    backbone: str | None = None


class LayoutConfig(Contract):
    """The layout branch."""

    width: int = Field(default=128, ge=1)


class TextConfig(Contract):
    """The text branch: a transformers text model by hub name or folder, or None for our own table of hashed words.

    `max_tokens` limits tokens, or words for our own; `buckets` and `width` are the size of our table.
    """

    backbone: str | None
    max_tokens: int = Field(default=256, ge=8)
    buckets: int = Field(default=16_384, ge=64, le=1 << 22)
    width: int = Field(default=128, ge=8)


class SequenceConfig(Contract):
    """The page network, which sees a page's panels in reading order."""

    layers: int = Field(default=2, ge=1, le=24)
    heads: int = Field(default=4, ge=1)
    width: int = Field(default=256, ge=8)


class EncoderConfig(Contract):
    """What an encoder is made of; a branch that is None is not there. `gains` weigh the modalities when fused.

    With `gates` each modality's weight also depends on what it says and on whether the others agree.
    """

    dimensions: int = Field(default=384, ge=8)
    image: ImageConfig | None = ImageConfig()
    layout: LayoutConfig | None = LayoutConfig()
    text: TextConfig | None = None
    sequence: SequenceConfig | None = None
    gates: bool = False
    gains: dict[Modality, float] = Field(default={"image": 1.0, "text": 0.7, "layout": 0.2})


class Manifest(Contract):
    """`config.json` of a checkpoint; `about` says how it was made. Its own hash identifies the checkpoint."""

    format: Literal[1] = 1
    config: EncoderConfig
    backbones: dict[Modality, dict[str, Any]] = Field(default={})
    weights_sha256: str
    about: dict[str, Any] = Field(default={})
