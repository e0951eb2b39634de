"""What is needed to build a panel detector again: stored beside its weights as `config.json`."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.domain.schema import OBJECT_LABELS, ObjectLabel
from shared.errors import Reject

CONFIG = "config.json"
OWN_BACKBONES = ("resnet18_narrow", "efficientnet_lite0")
WHOLE_NETWORKS = ("fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2")


class Calibration(BaseModel):
    """Score as probability: 1 / (1 + exp(-(slope · logit(score) + offset))), Platt 1999, fitted per class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slope: float = Field(default=1.0, gt=0)
    offset: float = 0.0


class DetectorConfig(BaseModel):
    """A network and the way pages are shown to it.

    `backbone` is one of ours (`resnet18_narrow`, `efficientnet_lite0`), a whole network of torchvision
    (`fasterrcnn_resnet50_fpn`, `fasterrcnn_resnet50_fpn_v2`) or any classifier of torchvision by name (`resnet50`,
    `convnext_tiny`, …), over which a feature pyramid is built. `resize` is "aspect" (area `pixels`, shape kept) or
    "square" (1024 × 1024, as the CoMix weights expect).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str = "resnet18_narrow"
    width: int = Field(default=32, ge=4, le=64, description="channels of the narrow ResNet's first stage")
    fpn_channels: int = Field(default=64, ge=8, le=256)
    box_head: int = Field(default=256, ge=16, le=1024)
    resize: Literal["aspect", "square"] = "aspect"
    pixels: int = Field(default=184_000, ge=10_000, le=2_000_000, description="area of the resized page")
    anchor_sizes: tuple[tuple[int, ...], ...] = ((24, 48), (80, 112), (160, 208), (288, 384))
    anchor_ratios: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    labels: tuple[ObjectLabel, ...] = OBJECT_LABELS
    calibration: dict[ObjectLabel, Calibration] = {}

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name in OWN_BACKBONES or name in WHOLE_NETWORKS:
            return name
        from torchvision.models import list_models  # here: a configuration is read where no torch is

        if name in list_models():
            return name
        raise ValueError(f"there is no backbone {name}: name one of torchvision's classifiers or {OWN_BACKBONES}")


# The network of the CoMix project's weights, and of the research code that this project succeeds.
COMIX = DetectorConfig(backbone="fasterrcnn_resnet50_fpn", resize="square", pixels=1024 * 1024)


def read_config(folder: Path) -> DetectorConfig:
    """The configuration of a folder of weights; raises `Reject` when it is missing or damaged."""
    try:
        return DetectorConfig.model_validate_json((folder / CONFIG).read_bytes())
    except FileNotFoundError as error:
        raise Reject(f"the detector's {CONFIG} is missing: run `make train-detector`") from error
    except ValidationError as error:
        raise Reject(f"the detector's {CONFIG} is damaged: run `make train-detector`") from error


def written(config: DetectorConfig) -> bytes:
    """The configuration as it is stored."""
    return (json.dumps(config.model_dump(mode="json"), indent=1) + "\n").encode()
