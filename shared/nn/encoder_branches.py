"""The parts of the encoder: one branch per modality, each a unit vector in one space, and their presence-masked sum."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from shared.errors import Reject


class Block(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut; `stride` 2 halves the map."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.GroupNorm(8, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.GroupNorm(8, outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.AvgPool2d(stride), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, H, W) → (N, outputs, H / stride, W / stride)."""
        inner = functional.relu(self.first_norm(self.first(maps)))
        return functional.relu(self.shortcut(maps) + self.second_norm(self.second(inner)))


class ConvBranch(nn.Module):
    """A small residual network whose vector sums up the picture at several depths.

    Early maps are averaged for palette and texture, the last one is also kept as a coarse grid for composition: what is
    where. Group normalisation rather than batch normalisation, so a picture never depends on its neighbours.
    """

    def __init__(self, *, widths: tuple[int, ...], blocks: tuple[int, ...], size: int, dimensions: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.GroupNorm(8, widths[0]), nn.ReLU())
        self.stages = nn.ModuleList(
            nn.Sequential(
                Block(inputs, outputs, stride=2), *(Block(outputs, outputs, stride=1) for _ in range(count - 1))
            )
            for inputs, outputs, count in zip(widths, widths[1:], blocks, strict=False)
        )
        cells = (size // 2 ** len(widths)) ** 2
        self.reduce = nn.Conv2d(widths[-1], 64, 1)
        self.norm = nn.LayerNorm(sum(widths[2:]) + 64 * cells)
        self.project = nn.Linear(sum(widths[2:]) + 64 * cells, dimensions)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (N, 3, size, size) → unit vectors (N, dimensions)."""
        maps = self.stem(pixels)
        pooled = []
        for depth, stage in enumerate(self.stages):
            maps = stage(maps)
            if depth > 0:
                pooled.append(maps.mean((2, 3)))
        pooled.append(self.reduce(maps).flatten(1))
        return functional.normalize(self.project(self.norm(torch.cat(pooled, 1).float())), dim=1)


class BackboneBranch(nn.Module):
    """A transformers vision model, pooled by its own pooler or else by the mean of its patches, and projected."""

    def __init__(self, backbone: nn.Module, *, width: int, dimensions: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.project = _projection(width, dimensions)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (N, 3, S, S) → unit vectors (N, dimensions)."""
        output: Any = self.backbone(pixel_values=pixels)
        pooled = getattr(output, "pooler_output", None)
        if pooled is None:
            pooled = output.last_hidden_state.flatten(2).mean(2 if output.last_hidden_state.ndim == 4 else 1)
        return functional.normalize(self.project(pooled.flatten(1)), dim=1)


class LayoutBranch(nn.Module):
    """An MLP over the layout features of `LayoutFeatures.vector`."""

    def __init__(self, *, features: int, width: int, dimensions: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, dimensions)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, features) → unit vectors (N, dimensions)."""
        return functional.normalize(self.layers(features), dim=1)


class TextBranch(nn.Module):
    """A transformers text model, averaged over its tokens, and projected.

    The projection starts orthogonal: before any training, texts are as similar as the text model alone says.
    """

    def __init__(self, backbone: nn.Module, *, width: int, dimensions: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.project = _projection(width, dimensions)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Token ids and their attention mask, both (N, T) → unit vectors (N, dimensions)."""
        states = self.backbone(input_ids=tokens, attention_mask=mask).last_hidden_state
        weights = mask[..., None].to(states.dtype)
        pooled = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return functional.normalize(self.project(pooled), dim=1)


class Gate(nn.Module):
    """How far a modality's vector is trusted, 0 to 2, from itself and its agreement with the others; 1 untrained."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.own, self.agreement = nn.Linear(dimensions, 1), nn.Parameter(torch.zeros(()))
        nn.init.zeros_(self.own.weight)
        nn.init.zeros_(self.own.bias)

    def forward(self, vector: Tensor, others: Tensor) -> Tensor:
        """Unit vectors (N, D) and the sum of the other present ones (N, D), zero where there is none → (N, 1)."""
        agreement = self.agreement * (vector * others).sum(1, keepdim=True)
        return 2 * torch.sigmoid(self.own(vector) + agreement)


class Fusion(nn.Module):
    """The sum of the present modalities' vectors, each times its gain (and its gate, if gated), as a unit vector.

    An absent modality has exactly no influence, so a panel known by its picture alone lies where its picture does; and
    as the picture's gain is the largest, that is next to the same panel with everything known.
    """

    def __init__(self, gains: dict[str, float], *, gated: int | None = None) -> None:
        """`gated` is the number of dimensions when the modalities have gates."""
        super().__init__()
        self.log_gains = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(math.log(gain))) for name, gain in gains.items()}
        )
        self.gates = nn.ModuleDict({name: Gate(gated) for name in gains} if gated else {})

    def forward(self, vectors: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        """Unit vectors (N, D) by modality and whether they are present (N,) bool → unit vectors (N, D).

        Rows of `vectors` that are not present may hold anything finite. Reject when a row has no modality at all.
        """
        seen = torch.stack([present[name] for name in vectors]).any(0)
        if not bool(seen.all()):
            raise Reject("A panel without picture, text and layout has no vector.")
        parts = {
            name: torch.where(present[name][:, None], self.log_gains[name].exp() * vector, torch.zeros_like(vector))
            for name, vector in vectors.items()
        }
        if self.gates:
            everything = torch.stack(list(parts.values())).sum(0)
            parts = {name: part * self.gates[name](vectors[name], everything - part) for name, part in parts.items()}
        total = sum(parts.values())
        assert isinstance(total, Tensor)
        return functional.normalize(total, dim=1)


def _projection(width: int, dimensions: int) -> nn.Linear:
    layer = nn.Linear(width, dimensions, bias=False)
    nn.init.orthogonal_(layer.weight)
    return layer
