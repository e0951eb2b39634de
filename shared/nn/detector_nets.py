"""Networks of the panel detector: torchvision's Faster R-CNN with FPN over a trunk of the user's choice.

Source: Ren et al. 2015 (Faster R-CNN), Lin et al. 2017 (FPN); the narrow ResNet is torchvision's with fewer channels.
"""

from functools import partial
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from shared.errors import Reject
from shared.nn.detector_config import COMIX, WHOLE_NETWORKS, DetectorConfig
from shared.nn.efficientnet_lite import MEAN, STD, EfficientNetLite

STRIDES = (8, 16, 32)
PROBE = 128  # side in pixels of the picture that tells a trunk's strides


def build_detector(config: DetectorConfig, *, pretrained: str | None = None) -> FasterRCNN:
    """A network in training mode; it takes lists of (3, H, W) float images in 0..1, already resized.

    That of the CoMix weights goes on as it was trained: its own transform makes 800 × 800 of the 1024 × 1024 given.
    `pretrained` names ready weights of torchvision for the trunk ("DEFAULT" for its best); they are downloaded.
    Raises `Reject` when a trunk has no features at strides 8, 16 and 32.
    """
    classes = len(config.labels) + 1
    if config.backbone == COMIX.backbone and config.resize == COMIX.resize:
        return _as_comix(classes, pretrained)
    if config.backbone in WHOLE_NETWORKS:
        build = getattr(torchvision.models.detection, config.backbone)
        layers = {"trainable_backbone_layers": 5} if pretrained is None else {}
        return _unresized(build(weights=None, weights_backbone=pretrained, num_classes=classes, **layers))
    trunk, channels = _trunk(config, pretrained)
    own = isinstance(trunk, EfficientNetLite)
    model = FasterRCNN(
        _Pyramid(trunk, channels, config.fpn_channels),
        image_mean=MEAN if own else None,
        image_std=STD if own else None,
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
        box_batch_size_per_image=128,
        box_positive_fraction=0.4,
        box_score_thresh=0.05,
        box_nms_thresh=0.5,
        box_detections_per_img=100,
    )
    return _unresized(model)


class NarrowResNet(ResNet):  # type: ignore[misc]  # torchvision is untyped
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


def _trunk(config: DetectorConfig, pretrained: str | None) -> tuple[nn.Module, list[int]]:
    """A module that answers with features by name, fine to coarse, and their channels."""
    if config.backbone == "efficientnet_lite0":
        own = EfficientNetLite(STRIDES)
        if pretrained is not None:
            own.load_imagenet()
        return own, own.channels
    if config.backbone == "resnet18_narrow":
        w = config.width
        layers = {"layer2": "0", "layer3": "1", "layer4": "2"}
        return IntermediateLayerGetter(NarrowResNet(w), layers), [2 * w, 4 * w, 8 * w]
    classifier = torchvision.models.get_model(config.backbone, weights=pretrained)
    for part in ("features", "trunk_output"):
        if isinstance(getattr(classifier, part, None), nn.Sequential):
            stem = [classifier.stem] if part == "trunk_output" else []
            return _by_stride(nn.Sequential(*stem, *getattr(classifier, part)), config.backbone)
    head = ("avgpool", "fc")
    return _by_stride(
        nn.Sequential(*(child for name, child in classifier.named_children() if name not in head)), config.backbone
    )


def _by_stride(body: nn.Sequential, name: str) -> tuple[nn.Module, list[int]]:
    """The last features at each wanted stride, told by sending one empty picture through."""
    last: dict[int, tuple[str, int]] = {}
    x = torch.zeros(1, 3, PROBE, PROBE)
    body.eval()
    with torch.inference_mode():
        for child_name, child in body.named_children():
            try:
                x = child(x)
            except RuntimeError as error:
                raise Reject(f"{name} cannot carry a detector: it is no plain row of layers") from error
            if x.ndim == 4 and x.shape[2] == x.shape[3]:
                last[PROBE // x.shape[2]] = (child_name, x.shape[1])
    if any(stride not in last for stride in STRIDES):
        raise Reject(f"{name} cannot carry a detector: it has no features at strides {STRIDES}")
    layers = {last[stride][0]: str(n) for n, stride in enumerate(STRIDES)}
    return IntermediateLayerGetter(body.train(), layers), [last[stride][1] for stride in STRIDES]


class _Pyramid(nn.Module):
    """A trunk and the feature pyramid over it."""

    def __init__(self, trunk: nn.Module, channels: list[int], out_channels: int) -> None:
        super().__init__()
        self.body = trunk
        self.fpn = FeaturePyramidNetwork(channels, out_channels, extra_blocks=LastLevelMaxPool())
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.fpn(self.body(x))
        return found


class _AsGiven(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision is untyped
    """Normalises and batches, never resizes: torchvision's own `_skip_resize` is ignored outside of training."""

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        return image, target


def _as_comix(classes: int, pretrained: str | None) -> FasterRCNN:
    """The network of CoMix's detector, fine-tuned from torchvision's COCO weights: normalisations frozen, epsilon 0."""
    frozen = partial(FrozenBatchNorm2d, eps=0.0)
    trunk = resnet_fpn_backbone(
        backbone_name="resnet50", weights=pretrained, norm_layer=frozen, trainable_layers=3 if pretrained else 5
    )
    return FasterRCNN(trunk, num_classes=classes)


def _unresized(model: Any) -> FasterRCNN:
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
