"""Joining two rankings of the same things into one."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
DAMPING = 60  # Cormack, Clarke and Buettcher 2009: how slowly the weight falls with the rank


def fuse(rankings: Sequence[Sequence[Key]], weights: Sequence[float] = ()) -> list[tuple[Key, float]]:
    """Reciprocal rank fusion: best first, scores scaled so that first place in every ranking is 1.

    `weights` say how much each ranking counts; all the same when left out. Of two rankings, one of less than half the
    weight of the other only orders what the other leaves equal or does not know (down to its sixtieth place).
    """
    scores: dict[Key, float] = {}
    weights = weights or [1.0] * len(rankings)
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, key in enumerate(ranking):
            scores[key] = scores.get(key, 0.0) + weight / sum(weights) * (DAMPING + 1) / (DAMPING + 1 + rank)
    return sorted(scores.items(), key=lambda item: -item[1])
