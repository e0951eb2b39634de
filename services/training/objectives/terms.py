"""What an objective is: named losses of a batch, with their weights."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from services.training.contrast import info_nce
from services.training.seen import Seen

Terms = dict[str, tuple[float, Tensor]]
"""By name: the weight of a loss and the loss."""


@dataclass(frozen=True)
class Objective:
    """`losses` of a batch; `spoiled`: it needs the noisy view and a teacher; `neighbours`: a page with two panels."""

    losses: Callable[[Seen], Terms]
    spoiled: bool = False
    neighbours: bool = False


def contrast(terms: Terms, name: str, weight: float, pair: tuple[Tensor, Tensor], seen: Seen, alike: Tensor) -> None:
    """Adds InfoNCE of a pair, unless no row has a wrong answer to be told from: then there is nothing to learn."""
    if len(alike) - int(alike.sum(1).max() if len(alike) else 0) > 1:
        terms[name] = weight, info_nce(*pair, temperature=seen.temperature, alike=alike)
