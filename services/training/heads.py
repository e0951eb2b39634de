"""What is trained: the encoder's network and two heads that only the training uses, as one module.

The heads ask for what a reader knows from content alone. They stay in the run's state; queries never need them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from shared.nn.encoder_net import EncoderNet

FORWARD, SWAPPED, UNRELATED = 0, 1, 2


class ReadingPath(nn.Module):
    """Which panel of a page is read after which: s(a, b) = q(a) · k(b), and e(a) for "none, a is the last".

    It is given vectors without any place in them, so it cannot know the order but from content. The scores of a set of
    panels do not depend on the order in which they are given.
    """

    def __init__(self, dimensions: int, *, width: int = 96) -> None:
        super().__init__()
        self.inner = nn.Linear(dimensions, 2 * width)
        self.query, self.key = nn.Linear(2 * width, width), nn.Linear(2 * width, width)
        self.end = nn.Linear(2 * width, 1)
        self.spread, self.scale = dimensions**0.5, width**-0.5

    def forward(self, panels: Tensor, there: Tensor) -> Tensor:
        """Panels (P, L, D) and which there are, (P, L) bool → scores (P, L, L + 1), the last column for the end."""
        inner = functional.gelu(self.inner(panels * self.spread))
        scores = self.query(inner) @ self.key(inner).transpose(1, 2) * self.scale
        itself = torch.eye(panels.shape[1], dtype=torch.bool, device=panels.device)
        scores = scores.masked_fill(itself | ~there[:, None, :], -torch.inf)
        return torch.cat([scores, self.end(inner)], 2)


class PageOrder(nn.Module):
    """Whether a page follows another one, comes before it, or neither, from their vectors made of their panels."""

    def __init__(self, dimensions: int, *, width: int = 128) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(4 * dimensions, width), nn.Linear(width, 3)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Unit vectors of pages, (K, D) each → logits (K, 3) of `FORWARD`, `SWAPPED`, `UNRELATED`."""
        # Scaled, because products of unit vectors' numbers are tiny.
        scale = first.shape[1] ** 0.5
        seen = torch.cat([first, second, first - second, first * second * scale], 1) * scale
        logits: Tensor = self.outer(functional.gelu(self.inner(seen)))
        return logits


class TrainingNet(nn.Module):
    """The encoder's network and the heads."""

    def __init__(self, encoder: EncoderNet, *, dimensions: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.reading_path = ReadingPath(dimensions)
        self.page_order = PageOrder(dimensions)
