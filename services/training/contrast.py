"""The contrastive loss: each row's partner found among all partners."""

import torch
from torch import Tensor
from torch.nn import functional


def info_nce(first: Tensor, second: Tensor, *, temperature: float, alike: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE of unit vectors (N, D) and their partners (N, D), row i belonging to row i; a scalar.

    The mean of two cross-entropies: the partner of each row among all of `second`, and of each of `second` among
    `first`. log N is what guessing costs. `alike` (N, N) bool marks pairs of different rows that are as good as
    partners; they are no wrong answers and left out. Source: van den Oord et al. 2018, Representation Learning with
    Contrastive Predictive Coding; symmetric as in Radford et al. 2021.

    >>> float(info_nce(torch.eye(4), torch.eye(4), temperature=0.05)) < 1e-6
    True
    """
    logits = first @ second.T / temperature
    if alike is not None:
        logits = logits.masked_fill(alike, -torch.inf)
    rows = torch.arange(len(first), device=first.device)
    return (functional.cross_entropy(logits, rows) + functional.cross_entropy(logits.T, rows)) / 2
