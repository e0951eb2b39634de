import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.domain.schema import Box, DetectedObject, Direction, PagePanels
from shared.errors import Reject
from tests.bench.detection_truth import PanelScore, score_page
from tests.bench.detector_measures import Measured, figures
from tests.bench.detector_overlays import write_failures
from tests.bench.detector_sets import FIRST_SEED, annotated, made_pages

ROW = [Box(10 + 100 * k, 10, 90, 180) for k in range(4)]


def test_a_missed_panel_counts_against_the_order_of_all_its_pairs() -> None:
    assert score_page(ROW, ROW).order == 1.0
    assert score_page(ROW, ROW[1:]).order == 3 / 6
    assert score_page(ROW, [ROW[1], ROW[0], *ROW[2:]]).order == 5 / 6
    assert score_page(ROW, ROW[::-1]).order == 0.0


def test_counts_of_pages_add_up() -> None:
    total = score_page(ROW, ROW[:3]) + score_page([], ROW[:1]) + score_page([], [])
    assert total == PanelScore(matched=3, true=4, found=4, exact=1, ordered=3, pages=3, pairs=6, pairs_right=3)
    assert (total.precision, total.recall, total.f1) == (0.75, 0.75, 0.75)


def folder_of_one_page(at: Path) -> Path:
    """A COCO file about one picture of 420 × 200 with four panels and no other class."""
    Image.new("RGB", (420, 200), "white").save(at / "one.png")
    coco = {
        "images": [{"id": "a", "file_name": "one.png", "width": 420, "height": 200}],
        "categories": [{"id": 9, "name": "Panel"}, {"id": 2, "name": "character"}],
        "annotations": [
            {"id": k, "image_id": "a", "category_id": 9, "bbox": list(box), "reading_order": 4 - k}
            for k, box in enumerate(ROW)
        ],
    }
    (at / "truth.json").write_text(json.dumps(coco))
    return at / "truth.json"


def test_a_coco_folder_is_read_in_its_reading_order_and_only_what_it_annotates_is_measured(tmp_path: Path) -> None:
    (page,) = annotated(folder_of_one_page(tmp_path), tmp_path, name="mine")
    assert page.panels == ROW[::-1]
    assert page.labels == {"panel"}
    found = [DetectedObject(label="panel", box=box, score=0.9) for box in ROW[:2]]
    face = DetectedObject(label="face", box=ROW[0], score=0.9)
    layout = PagePanels(width=420, height=200, kind="panels", direction=Direction.LTR, panels=found)
    measured = Measured(page, [*found, face], layout)
    told = figures([measured])
    assert (told.loose.recall, told.loose.precision, told.loose.order) == (0.5, 1.0, 0.0)
    assert told.precision["panel"].loose == pytest.approx(0.5, abs=0.01)
    assert np.isnan(told.precision["face"].loose)
    assert write_failures([measured], tmp_path / "out") == 1
    colours = {colour for _, colour in Image.open(tmp_path / "out" / "mine" / "one.png").getcolors(100_000) or []}
    assert {(0, 150, 40), (225, 20, 20)} <= colours


def test_a_picture_of_another_size_than_annotated_is_refused_by_name(tmp_path: Path) -> None:
    coco = folder_of_one_page(tmp_path)
    Image.new("RGB", (840, 400)).save(tmp_path / "one.png")
    (page,) = annotated(coco, tmp_path, name="mine")
    with pytest.raises(Reject, match=r"one\.png is 840 × 400 pixels, not 420 × 200"):
        page.load()


def test_made_pages_of_a_class_are_what_their_class_says() -> None:
    pages = made_pages(1, first=FIRST_SEED + 2, classes=("manga", "no panels"), long_side=240)
    assert [page.kind for page in pages] == ["manga", "no panels"]
    assert [len(page.panels) > 0 for page in pages] == [True, False]
    colour = np.ptp(pages[0].load().astype(int), axis=2)
    assert float(colour.mean()) < 12
