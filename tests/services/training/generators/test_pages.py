import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from services.training.generators.pages import make_comic, make_page
from shared.domain.reading_order import reading_order
from shared.domain.schema import Direction

SEEDS = range(60)


def test_a_seed_always_makes_the_same_page() -> None:
    for seed in (3, 44):
        first, second = make_page(seed), make_page(seed)
        assert np.array_equal(np.asarray(first.image), np.asarray(second.image))
        assert first.truth == second.truth
        assert first.texts == second.texts


def test_seeds_differ() -> None:
    assert make_page(1).truth != make_page(2).truth


def test_truth_lies_on_the_page_and_every_kind_and_class_occurs() -> None:
    kinds: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    directions: Counter[str] = Counter()
    for seed in SEEDS:
        page = make_page(seed)
        truth = page.truth
        assert page.image.size == (truth.width, truth.height)
        assert len(page.texts) == len(truth.panels)
        for o in [*truth.panels, *truth.objects]:
            assert o.box.w > 0
            assert o.box.h > 0
            assert o.box.x >= 0
            assert o.box.y >= 0
            assert o.box.right <= truth.width + 1e-6
            assert o.box.bottom <= truth.height + 1e-6
            labels[o.label] += 1
        assert (truth.kind == "none") == (not truth.panels)
        kinds[truth.kind] += 1
        directions[truth.direction] += 1
    assert set(kinds) == {"panels", "splash", "none"}
    assert set(labels) == {"panel", "character", "text", "face"}
    assert set(directions) == {"ltr", "rtl"}


@pytest.mark.parametrize("direction", list(Direction))
def test_the_direction_can_be_chosen(direction: Direction) -> None:
    assert {make_page(seed, direction=direction).truth.direction for seed in range(8)} == {direction}


def test_a_made_comic_has_a_splash_then_panels_in_reading_order_with_words() -> None:
    comic = make_comic(5, pages=4)
    assert [page.truth.kind for page in comic] == ["splash", "panels", "panels", "panels"]
    for page in comic:
        order = reading_order([o.box for o in page.truth.panels], direction=page.truth.direction)
        assert order == list(range(len(order)))
    words = [text for page in comic for panel in page.texts for text in panel]
    assert len(words) >= 8
    assert all(text.isascii() for text in words)


def test_making_pages_loads_no_torch() -> None:
    code = "import sys, services.training.generators.pages as p; p.make_page(1); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
