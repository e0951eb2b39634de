"""The shipped weights on a few pages of every comic that no training saw; `make eval-detector` tells of all of them."""

from pathlib import Path

import pytest

from services.detection.detector import Detector
from tests.bench.detection_truth import PanelScore
from tests.bench.detector_eval import laid_out, see
from tests.bench.detector_measures import TIGHT, Measured, average_precision
from tests.bench.detector_sets import real_pages

PAGES = {
    "pepper-carrot-ep03": ("001.jpg", "004.jpg", "009.jpg"),
    "page-blanche": ("PageBlanche_Page_001.jpg", "PageBlanche_Page_006.jpg"),
    "torinome-vertical": ("001.jpg", "007.jpg"),
}
# A little below what the shipped weights reach.
FOUND, FOUND_TIGHT, EXACT, ORDER = 0.95, 0.9, 5, 0.98
FOUND_IN_STRIPS = 0.3
TEXT, CHARACTER, FACE = 0.5, 0.35, 0.45


@pytest.fixture(scope="module")
def measured(samples: Path) -> list[Measured]:
    pages = [page for page in real_pages(samples) if page.name in PAGES.get(page.set, ())]
    assert len(pages) == sum(map(len, PAGES.values()))
    return laid_out(pages, see(Detector(), pages))


def leaves(measured: list[Measured]) -> list[Measured]:
    return [m for m in measured if m.page.set != "torinome-vertical"]


def test_panels_of_western_pages_are_found_in_their_order(measured: list[Measured]) -> None:
    loose = sum((m.panels() for m in leaves(measured)), PanelScore())
    tight = sum((m.panels(TIGHT) for m in leaves(measured)), PanelScore())
    assert loose.f1 >= FOUND
    assert tight.f1 >= FOUND_TIGHT
    assert loose.exact >= EXACT
    assert loose.order >= ORDER


def test_credits_have_no_panel_and_a_cover_is_one(measured: list[Measured]) -> None:
    kinds = {m.page.name: m.layout.kind for m in leaves(measured)}
    assert kinds["001.jpg"] == "splash"
    assert kinds["009.jpg"] == kinds["PageBlanche_Page_001.jpg"] == "none"


def test_panels_of_manga_strips_are_found(measured: list[Measured]) -> None:
    strips = [m for m in measured if m.page.set == "torinome-vertical"]
    assert sum((m.panels() for m in strips), PanelScore()).f1 >= FOUND_IN_STRIPS


def test_texts_characters_and_faces_are_found(measured: list[Measured]) -> None:
    truth, seen = [m.page.truth for m in leaves(measured)], [m.seen for m in leaves(measured)]
    assert average_precision(truth, seen, label="text").loose >= TEXT
    assert average_precision(truth, seen, label="character").loose >= CHARACTER
    assert average_precision(truth, seen, label="face").loose >= FACE
