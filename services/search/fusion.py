"""Joining two rankings of the same things into one."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
DAMPING = 60  # Cormack, Clarke and Buettcher 2009: how slowly the weight falls with the rank


def fuse(rankings: Sequence[Sequence[Key]]) -> list[tuple[Key, float]]:
    """Reciprocal rank fusion: best first, scores scaled so that first place in every ranking is 1."""
    scores: dict[Key, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking):
            scores[key] = scores.get(key, 0.0) + _weight(rank) / len(rankings)
    return sorted(scores.items(), key=lambda item: -item[1])


def _weight(rank: int) -> float:
    return (DAMPING + 1) / (DAMPING + 1 + rank)
