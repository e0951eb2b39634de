import numpy as np
import pytest

from services.detection.cuts import crossed, cut_boxes, prepared, proposed
from services.detection.edges import reduced
from shared.domain.geometry import iou
from shared.domain.schema import Box
from tests.services.detection.test_edges import Picture, art

CELLS = [Box(40, 40, 200, 180), Box(260, 40, 200, 180), Box(40, 240, 130, 200), Box(190, 240, 270, 200)]
WHITE, BLACK, GREEN = (255, 255, 255), (0, 0, 0), (60, 140, 70)


def page_of(cells: list[Box], *, paper: tuple[int, int, int], width: int = 500, height: int = 480) -> Picture:
    rng = np.random.default_rng(8)
    sheet = np.full((height, width, 3), paper, np.uint8)
    for cell in cells:
        x, y, w, h = (round(v) for v in cell)
        sheet[y : y + h, x : x + w] = art(rng, w, h)
    return sheet


@pytest.mark.parametrize("paper", [WHITE, BLACK, GREEN])
def test_every_cell_of_a_broken_grid_is_proposed(paper: tuple[int, int, int]) -> None:
    found = proposed(page_of(CELLS, paper=paper))
    assert all(max(iou(cell, box) for box in found) > 0.93 for cell in CELLS)


def test_a_figure_that_reaches_into_the_gutter_does_not_hide_it() -> None:
    sheet = page_of(CELLS, paper=WHITE)
    sheet[215:245, 100:112] = 90
    assert max(iou(CELLS[1], box) for box in proposed(sheet)) > 0.9


def test_a_page_without_bands_is_proposed_whole_at_most() -> None:
    noise = np.random.default_rng(9).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    assert proposed(noise) in ([], [Box(0, 0, 200, 300)])
    assert proposed(np.full((300, 200, 3), 255, np.uint8)) == []


def test_a_gutter_crosses_a_group_and_no_panel() -> None:
    sheet = page_of(CELLS, paper=WHITE)
    cutting = prepared(reduced(sheet), width=500, height=480)
    assert crossed(cutting, Box(40, 40, 420, 180))
    assert crossed(cutting, Box(40, 40, 420, 400))
    assert not any(crossed(cutting, cell) for cell in CELLS)


@pytest.mark.parametrize("shape", [(1, 1), (10_000, 1), (30, 20_000), (3, 2)])
def test_odd_shapes_are_cut_without_complaint(shape: tuple[int, int]) -> None:
    sheet = np.random.default_rng(10).integers(0, 256, (*shape, 3), dtype=np.uint8)
    boxes = cut_boxes(prepared(reduced(sheet), width=shape[1], height=shape[0]))
    assert all(box.right <= shape[1] + 1e-6 and box.bottom <= shape[0] + 1e-6 for box in boxes)
