"""What comics of many like pages cost to compare, and that their copies are still found."""

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from services.ingestion import comparison
from services.ingestion.comparison import PARTNERS, Matches, SeenComic, SeenPage, Surroundings, matches
from shared.domain.likeness import likeness
from shared.domain.marks import FAR

SKETCH = 972  # bytes


def comic(id_: int, phashes: Sequence[int], sketches: Sequence[bytes]) -> SeenComic:
    """A comic of these marks."""
    marks = zip(phashes, sketches, strict=True)
    return SeenComic(
        id_, None, [SeenPage(1000 * id_ + n, id_, n, phash, sketch) for n, (phash, sketch) in enumerate(marks)]
    )


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs of sketches were laid over one another, each time."""
    counts: list[int] = []

    def counted(pairs: Sequence[tuple[bytes, bytes]]) -> NDArray[np.float64]:
        counts.append(len(pairs))
        return likeness(pairs)

    monkeypatch.setattr(comparison, "likeness", counted)
    return counts


def compared(left: SeenComic, right: SeenComic) -> Matches:
    return matches(Surroundings(left, {}, []), {}, [right])


def test_a_page_among_many_like_ones_is_laid_over_the_nearest_only(looked: list[int]) -> None:
    rng, count = np.random.default_rng(4), 32
    # Each page of one template has its own two signs; its copy differs in one more, another page in five.
    signs = [3 << 2 * k if k < 30 else 5 << k for k in range(count)]
    drawn = rng.integers(0, 256, (count, SKETCH), np.uint8)
    copied = np.where(rng.random((count, SKETCH)) < 0.02, drawn ^ 17, drawn)
    left = comic(1, signs, [page.tobytes() for page in drawn])
    right = comic(2, [sign ^ 1 << 61 for sign in signs], [page.tobytes() for page in copied])
    assert max((one ^ other ^ 1 << 61).bit_count() for one in signs for other in signs) <= FAR, "all are near"
    there, back = compared(left, right), compared(right, left)
    assert there.comics == {2: (1.0, count)}
    assert back.comics == {1: (1.0, count)}, "both come to the same"
    assert max(looked) <= 2 * PARTNERS * count < count * count


def test_copies_of_one_picture_are_told_by_their_equal_marks(looked: list[int]) -> None:
    same = [bytes(range(243)) * 4] * 600
    left, right = (comic(id_, [77] * len(same), same) for id_ in (1, 2))
    tracemalloc.start()
    found = compared(left, right)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.comics == {2: (1.0, 600)}
    assert sum(looked) == 0
    assert peak < 32 << 20
