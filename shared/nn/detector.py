"""The panel detector: torchvision's Faster R-CNN with FPN, narrowed so that its weights stay small.

Source: Ren et al. 2015 (Faster R-CNN), Lin et al. 2017 (FPN); the narrow ResNet is torchvision's with fewer channels.
Classes are `OBJECT_LABELS`; a label's index is its position + 1, 0 is background.
"""

import json
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn_v2
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.ops import MultiScaleRoIAlign, batched_nms
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from shared.domain.schema import OBJECT_LABELS, Box, DetectedObject
from shared.errors import Reject
from shared.nn.files import write_durably

WEIGHTS = "detector.safetensors"
CONFIG = "config.json"
STRIDE = 32
LONGEST = 1600


class DetectorConfig(BaseModel):
    """Everything needed to build the network again; stored beside the weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: Literal["resnet18_narrow", "resnet50_fpn_v2"] = "resnet18_narrow"
    width: int = Field(default=32, ge=4, le=64, description="channels of the narrow ResNet's first stage")
    fpn_channels: int = Field(default=64, ge=8, le=256)
    box_head: int = Field(default=256, ge=16, le=1024)
    pixels: int = Field(default=184_000, ge=10_000, le=2_000_000, description="area of the resized page")
    anchor_sizes: tuple[tuple[int, ...], ...] = ((24, 48), (80, 112), (160, 208), (288, 384))
    anchor_ratios: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    labels: tuple[str, ...] = OBJECT_LABELS


class _NarrowResNet(ResNet):  # type: ignore[misc]  # torchvision is untyped
    """ResNet-18 whose stages have width, 2 × width, 4 × width and 8 × width channels."""

    def __init__(self, width: int) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2])
        self.inplanes = width
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = self._make_layer(BasicBlock, width, 2)
        self.layer2 = self._make_layer(BasicBlock, width * 2, 2, stride=2)
        self.layer3 = self._make_layer(BasicBlock, width * 4, 2, stride=2)
        self.layer4 = self._make_layer(BasicBlock, width * 8, 2, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def build_detector(config: DetectorConfig) -> FasterRCNN:
    """An untrained network in training mode; it takes lists of (3, H, W) float images in 0..1, already resized."""
    classes = len(config.labels) + 1
    if config.backbone == "resnet50_fpn_v2":
        return _unresized(
            fasterrcnn_resnet50_fpn_v2(
                weights=None, weights_backbone=None, num_classes=classes, trainable_backbone_layers=5
            )
        )
    channels = [config.width * 2, config.width * 4, config.width * 8]
    backbone = BackboneWithFPN(
        _NarrowResNet(config.width),
        return_layers={"layer2": "0", "layer3": "1", "layer4": "2"},
        in_channels_list=channels,
        out_channels=config.fpn_channels,
        extra_blocks=LastLevelMaxPool(),
    )
    model = FasterRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(config.anchor_sizes, (config.anchor_ratios,) * len(config.anchor_sizes)),
        # A box of 128 px has 8 cells at stride 16, so that one sample a bin is enough; two cost a quarter of training.
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2"], output_size=7, sampling_ratio=1, canonical_scale=128),
        box_head=_BoxHead(config.fpn_channels, config.box_head),
        box_predictor=_BoxPredictor(config.box_head, classes),
        rpn_pre_nms_top_n_train=500,
        rpn_post_nms_top_n_train=250,
        rpn_pre_nms_top_n_test=500,
        rpn_post_nms_top_n_test=250,
        rpn_batch_size_per_image=256,
        box_batch_size_per_image=256,
        box_positive_fraction=0.4,
        box_score_thresh=0.05,
        box_nms_thresh=0.5,
        box_detections_per_img=100,
    )
    return _unresized(model)


class _AsGiven(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision is untyped
    """Normalises and batches, never resizes: torchvision's own `_skip_resize` is ignored outside of training."""

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        return image, target


def _unresized(model: FasterRCNN) -> FasterRCNN:
    own = model.transform
    model.transform = _AsGiven(min(own.min_size), own.max_size, own.image_mean, own.image_std)
    return model


class _BoxHead(nn.Module):
    """Two linear layers over the pooled features."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(channels * 49, width)
        self.fc7 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.fc7(functional.relu(self.fc6(x.flatten(start_dim=1)))))


class _BoxPredictor(nn.Module):
    """Class scores and per-class box corrections."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(width, classes)
        self.bbox_pred = nn.Linear(width, classes * 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Losses and box decoding run in full precision, also under autocast.
        return self.cls_score(x).float(), self.bbox_pred(x).float()


def fitted_size(width: int, height: int, pixels: int) -> tuple[int, int]:
    """Width and height of a page resized to about `pixels` in area, aspect kept, no side over `LONGEST`."""
    scale = min(math.sqrt(pixels / (width * height)), LONGEST / max(width, height))
    return max(STRIDE, round(width * scale)), max(STRIDE, round(height * scale))


def as_tensor(image: NDArray[np.uint8], pixels: int) -> Tensor:
    """An RGB page (H, W, 3) as a resized (3, h, w) float tensor in 0..1."""
    height, width = image.shape[:2]
    w, h = fitted_size(width, height, pixels)
    whole = torch.from_numpy(np.array(image, np.uint8, order="C")).permute(2, 0, 1)[None]
    if (w, h) != (width, height):
        whole = functional.interpolate(whole, size=(h, w), mode="bilinear", antialias=True, align_corners=False)
    return whole[0].float() / 255.0


@torch.inference_mode()
def predict(
    model: FasterRCNN,
    images: list[NDArray[np.uint8]],
    *,
    config: DetectorConfig,
    mirror: bool = False,
    batch: int = 8,
    floor: float = 0.05,
) -> list[list[DetectedObject]]:
    """Detected objects of each RGB page (H, W, 3), boxes in that page's pixels, best score first.

    `mirror` also looks at the mirrored page and averages the two answers; `floor` drops weaker scores.
    """
    model.eval()
    device = next(model.parameters()).device
    # Only pages that become equally large share a batch: padding would let a page's answer depend on its neighbours.
    groups: dict[tuple[int, int], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(fitted_size(image.shape[1], image.shape[0], config.pixels), []).append(index)
    found: list[list[DetectedObject]] = [[] for _ in images]
    for members in groups.values():
        for start in range(0, len(members), batch):
            part = members[start : start + batch]
            tensors = [as_tensor(images[index], config.pixels).to(device) for index in part]
            outputs = model(tensors)
            if mirror:
                flipped = model([t.flip(-1) for t in tensors])
                outputs = [_averaged(a, b, t.shape[-1]) for a, b, t in zip(outputs, flipped, tensors, strict=True)]
            for index, tensor, output in zip(part, tensors, outputs, strict=True):
                seen = (tensor.shape[-2], tensor.shape[-1])
                found[index] = _objects(output, images[index].shape, seen, config, floor)
    return found


def _averaged(plain: dict[str, Tensor], flipped: dict[str, Tensor], width: int) -> dict[str, Tensor]:
    """Two views of one page as one: matched boxes are averaged, a box seen in one view only keeps half its score."""
    boxes = flipped["boxes"].clone()
    boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    both = torch.cat([plain["boxes"], boxes])
    labels = torch.cat([plain["labels"], flipped["labels"]])
    scores = torch.cat([plain["scores"], flipped["scores"]])
    view = torch.cat([torch.zeros(len(plain["scores"])), torch.ones(len(flipped["scores"]))])
    kept = batched_nms(both, scores, labels, 0.5)
    out_boxes, out_scores = [], []
    for k in kept.tolist():
        other = torch.nonzero((view != view[k]) & (labels == labels[k])).flatten()
        overlap = _overlaps(both[k], both[other])
        if len(other) and float(overlap.max()) >= 0.5:
            mate = other[int(overlap.argmax())]
            weight = torch.stack([scores[k], scores[mate]])
            out_boxes.append((torch.stack([both[k], both[mate]]) * weight[:, None]).sum(0) / weight.sum())
            out_scores.append(weight.mean())
        else:
            out_boxes.append(both[k])
            out_scores.append(scores[k] / 2)
    if not out_boxes:
        return {"boxes": both[:0], "labels": labels[:0], "scores": scores[:0]}
    return {"boxes": torch.stack(out_boxes), "labels": labels[kept], "scores": torch.stack(out_scores)}


def _overlaps(box: Tensor, others: Tensor) -> Tensor:
    low, high = torch.maximum(box[:2], others[:, :2]), torch.minimum(box[2:], others[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(-1) - shared
    return shared / area.clamp(min=1e-6)


def _objects(
    output: dict[str, Tensor],
    page: tuple[int, ...],
    seen: tuple[int, int],
    config: DetectorConfig,
    floor: float,
) -> list[DetectedObject]:
    up, across = page[0] / seen[0], page[1] / seen[1]
    made = []
    for box, label, score in zip(
        output["boxes"].tolist(), output["labels"].tolist(), output["scores"].tolist(), strict=True
    ):
        if score < floor:
            continue
        x0, y0, x1, y1 = box[0] * across, box[1] * up, box[2] * across, box[3] * up
        name: Any = config.labels[label - 1]
        made.append(DetectedObject(label=name, box=Box(x0, y0, x1 - x0, y1 - y0), score=min(1.0, score)))
    return sorted(made, key=lambda o: -o.score)


def save_detector(folder: Path, model: FasterRCNN, config: DetectorConfig) -> None:
    """Writes `detector.safetensors` (fp16) and `config.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }
    write_durably(folder / WEIGHTS, save(state))
    write_durably(folder / CONFIG, (json.dumps(config.model_dump(), indent=1) + "\n").encode())


def load_detector(folder: Path) -> tuple[FasterRCNN, DetectorConfig]:
    """The network of a folder, ready to predict, and its configuration.

    Raises `Reject` when a file is missing, damaged or does not belong to the other.
    """
    try:
        config = DetectorConfig.model_validate_json((folder / CONFIG).read_bytes())
        state = load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise Reject(
            f"the detector's {Path(error.filename or WEIGHTS).name} is missing: run `make train-detector`"
        ) from error
    except (ValidationError, SafetensorError) as error:
        raise Reject(f"the detector's {CONFIG} or {WEIGHTS} is damaged: run `make train-detector`") from error
    model = build_detector(config)
    widened = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    try:
        model.load_state_dict(widened)
    except RuntimeError as error:
        raise Reject(f"{WEIGHTS} does not belong to {CONFIG}: run `make train-detector`") from error
    return model.eval(), config
