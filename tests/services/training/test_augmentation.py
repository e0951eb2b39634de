"""Views are the panel seen otherwise: reproducible, unmirrored, and still more like it than like any other."""

import numpy as np
import pytest
from PIL import Image

from services.training.augmentation import ViewSettings, view
from shared.domain.schema import Box

QUIET = ViewSettings(area=(1, 1), aspect=(1, 1), loose=0, small=0, blur=0, jpeg=0, colours=0, grey=0, rotate=0)


@pytest.fixture(scope="module")
def page() -> Image.Image:
    """Left half red, right half blue, with a white top quarter; on a 200 × 100 page."""
    image = Image.new("RGB", (200, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    image.paste("white", (0, 0, 200, 25))
    return image


def test_a_view_is_a_function_of_its_generator(page: Image.Image) -> None:
    box = Box(20, 10, 160, 80)
    for seed in range(20):
        one, two = (view(np.random.default_rng(seed), page, box, size=64, settings=ViewSettings()) for _ in range(2))
        assert np.array_equal(one, two)
        assert (one.shape, str(one.dtype)) == ((64, 64, 3), "uint8")


def test_without_any_chance_a_view_is_the_panel_itself(page: Image.Image) -> None:
    seen = view(np.random.default_rng(0), page, Box(50, 0, 100, 100), size=100, settings=QUIET)
    assert np.array_equal(seen, np.asarray(page.crop((50, 0, 150, 100))))


def test_views_are_never_mirrored(page: Image.Image) -> None:
    settings = ViewSettings(area=(0.7, 1.0), grey=0)
    for seed in range(100):
        seen = view(np.random.default_rng(seed), page, Box(0, 0, 200, 100), size=32, settings=settings).astype(int)
        left, right = seen[20:30, 3:8].mean((0, 1)), seen[20:30, -8:-3].mean((0, 1))
        assert left[0] - left[2] > right[0] - right[2]


def test_pieces_stay_inside_the_panel(page: Image.Image) -> None:
    settings = ViewSettings(**{**vars(QUIET), "area": (0.2, 0.9), "aspect": (0.5, 2.0)})
    for seed in range(100):
        seen = view(np.random.default_rng(seed), page, Box(100, 25, 100, 75), size=16, settings=settings)
        assert (np.abs(seen.astype(int) - [0, 0, 255]) < 64).all()  # the outermost pixels may blend by a fraction


def test_a_panel_at_the_edge_of_a_tiny_page_has_views() -> None:
    tiny = Image.new("RGB", (5, 4), "green")
    for seed in range(50):
        seen = view(np.random.default_rng(seed), tiny, Box(3, 0, 2, 4), size=16, settings=ViewSettings())
        assert seen.shape == (16, 16, 3)
