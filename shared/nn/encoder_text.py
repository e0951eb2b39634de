"""A text branch of ours that needs no pretrained model: words, their parts and their neighbours, hashed into a table.

Source: Bojanowski et al. 2017, Enriching Word Vectors with Subword Information; the hash is crc32, so that a word has
the same row on every machine and in every process. Texts are folded as full-text search folds them (`normalise`), so
case and accents do not matter, and Chinese, Japanese and Korean come apart into characters and pairs.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn import functional

from shared.domain.text import normalise

GRAMS = (3, 4, 5)
PAIR_WEIGHT = 0.5  # of two words that follow each other, against 1 for a word and 1 for all of its parts


class HashTextBranch(nn.Module):
    """A table of vectors for hashed units of text, their weighted mean, and an MLP beside a straight projection."""

    def __init__(self, *, buckets: int, width: int, dimensions: int) -> None:
        super().__init__()
        self.table = nn.Embedding(buckets, width)
        nn.init.normal_(self.table.weight, std=width**-0.5)
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 2 * width)
        self.outer = nn.Linear(2 * width, dimensions)
        self.project = nn.Linear(width, dimensions, bias=False)

    def forward(self, units: Tensor, weights: Tensor) -> Tensor:
        """Rows of the table and their weights (0 for padding), both (N, T) → unit vectors (N, dimensions)."""
        total = functional.embedding_bag(units, self.table.weight, mode="sum", per_sample_weights=weights)
        mean = self.norm(total / weights.sum(1, keepdim=True).clamp(min=1e-6))
        return functional.normalize(self.outer(functional.gelu(self.inner(mean))) + self.project(mean), dim=1)


def hashed(texts: Sequence[str], *, buckets: int, words: int) -> tuple[Tensor, Tensor]:
    """The units of texts as rows of a table of `buckets`, int64, and their weights; both (N, T), padded with 0.

    Of each text the first `words` words count. A text of nothing but signs ("…", "?!") is one word of its own.
    """
    found = [_units(text, words) for text in texts]
    length = max(map(len, found), default=0)
    rows, weights = torch.zeros(len(texts), length, dtype=torch.int64), torch.zeros(len(texts), length)
    for number, units in enumerate(found):
        rows[number, : len(units)] = torch.tensor([mark % buckets for mark, _ in units])
        weights[number, : len(units)] = torch.tensor([weight for _, weight in units])
    return rows, weights


Unit = tuple[int, float]


def _units(text: str, limit: int) -> list[Unit]:
    """What a text is made of: the hash and the weight of each unit."""
    tokens = text.split()
    words = [word for token in tokens for word in _folded(token)][:limit] or ["".join(tokens)]
    units = [unit for word in words for unit in _parts(word)]
    return units + [(crc32(f"p {first} {second}".encode()), PAIR_WEIGHT) for first, second in pairwise(words)]


@lru_cache(maxsize=1 << 16)
def _folded(token: str) -> tuple[str, ...]:
    """The words in a piece of text without spaces."""
    return tuple(normalise(token).split())


@lru_cache(maxsize=1 << 16)
def _parts(word: str) -> tuple[Unit, ...]:
    """A word and its parts; what stands before them keeps a word apart from the same part of another."""
    marked = f"<{word}>"
    grams = [marked[start : start + size] for size in GRAMS for start in range(len(marked) - size + 1)]
    return (crc32(f"w {word}".encode()), 1.0), *((crc32(f"g {gram}".encode()), 1.0 / len(grams)) for gram in grams)
