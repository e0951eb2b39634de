import numpy as np
import pytest
from numpy.typing import NDArray

from services.detection.edges import REDUCED, outlines, reduced, snapped
from shared.domain.schema import Box

Picture = NDArray[np.uint8]
TRUE = Box(60, 80, 300, 220)


def art(rng: np.random.Generator, width: int, height: int) -> Picture:
    """Something drawn: coloured blotches of no regular shape."""
    y, x = np.mgrid[:height, :width] / 9.0
    waves = sum(np.sin(a * x + b * y + c) for a, b, c in rng.uniform(-1, 1, (6, 3)) * (1, 1, 9))
    drawn: Picture = (128 + 40 * np.sign(np.sin(2 * np.asarray(waves)))[..., None] * rng.uniform(0.6, 1, 3)).astype(
        np.uint8
    )
    return drawn


@pytest.fixture
def page() -> Picture:
    """White paper with one framed panel, `TRUE` with its frame of three pixels."""
    rng = np.random.default_rng(3)
    sheet = np.full((700, 500, 3), 255, np.uint8)
    sheet[80:300, 60:360] = 20
    sheet[83:297, 63:357] = art(rng, 294, 214)
    return sheet


def test_sides_near_a_frame_come_to_lie_on_it(page: Picture) -> None:
    assert np.allclose(snapped(page, [Box(65, 75, 290, 230)])[0], TRUE, atol=1.0)


def test_a_box_that_lies_right_stays(page: Picture) -> None:
    assert np.allclose(snapped(page, [TRUE])[0], TRUE, atol=1.0)


def test_sides_without_an_edge_nearby_stay(page: Picture) -> None:
    inner = Box(110, 130, 150, 100)
    assert all(abs(a - b) <= 12 for a, b in zip(snapped(page, [inner])[0], inner, strict=True))
    noise = np.random.default_rng(4).normal(128, 6, (400, 400, 3)).astype(np.uint8)
    assert snapped(noise, [Box(100, 100, 150, 120)])[0] == Box(100, 100, 150, 120)


def test_a_neighbour_over_the_gutter_does_not_attract(page: Picture) -> None:
    page[80:300, 366:480] = 40
    assert np.allclose(snapped(page, [Box(60, 80, 302, 220)])[0], TRUE, atol=1.0)


def test_the_frame_of_a_neighbour_does_not_attract_either(page: Picture) -> None:
    page[80:300, 369:480] = art(np.random.default_rng(13), 111, 220)
    page[80:300, 369:372] = 20
    assert np.allclose(snapped(page, [Box(60, 80, 306, 220)])[0], TRUE, atol=1.0)


def test_a_bleeding_panel_ends_at_the_page() -> None:
    sheet = art(np.random.default_rng(5), 500, 700)
    sheet[400:] = 255
    bleeding = snapped(sheet, [Box(5, 4, 491, 394)])[0]
    assert np.allclose(bleeding, (0, 0, 500, 400), atol=1.0)


def test_a_panel_beside_a_narrow_margin_does_not_bleed() -> None:
    sheet = np.full((700, 500, 3), 255, np.uint8)
    sheet[8:400, 8:492] = art(np.random.default_rng(6), 484, 392)
    assert np.allclose(snapped(sheet, [Box(5, 5, 490, 397)])[0], (8, 8, 484, 392), atol=1.0)


def test_a_framed_box_shows_every_side_and_a_part_of_the_drawing_does_not(page: Picture) -> None:
    assert outlines(page, [TRUE])[0] > 0.95
    assert outlines(page, [Box(60, 80, 170, 220)])[0] < 0.7
    assert outlines(page, [Box(20, 340, 400, 300)])[0] < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (10_000, 1), (30, 20_000), (2, 3), (4000, 3000)])
def test_a_page_of_any_shape_is_made_small(shape: tuple[int, int]) -> None:
    small = reduced(np.zeros((*shape, 3), np.uint8))
    assert min(small.shape[:2]) >= 1
    assert small.shape[0] * small.shape[1] <= REDUCED * 1.05
