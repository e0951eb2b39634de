from pathlib import Path

import pytest

from services.detection.detector import WEIGHTS as FOLDER
from services.detection.panel_files import detect_folder
from shared.domain.schema import Box, Direction
from tests.bench.detection_truth import matches, read_truth, score_panels

# Of the 29 true panels at least, of the found ones at most.
MATCHED, FALSE = 28, 1
Truth = dict[str, list[Box]]


@pytest.fixture(scope="module")
def truth(samples: Path) -> Truth:
    return read_truth(samples / "pepper-carrot-ep17" / "ground_truth_coco.json")


@pytest.fixture(scope="module")
def found(samples: Path) -> Truth:
    detected = detect_folder(samples / "pepper-carrot-ep17", direction="auto")
    assert detected.unread == {}
    return detected.panels


def test_nearly_all_true_panels_are_found_and_hardly_any_false_one(truth: Truth, found: Truth) -> None:
    score = score_panels(truth, found)
    assert score.true == 29
    assert score.matched >= MATCHED
    assert score.false <= FALSE


def test_a_page_of_credits_has_no_panel(found: Truth) -> None:
    assert found["page8.jpg"] == []


def test_panels_are_read_in_the_true_order(truth: Truth, found: Truth) -> None:
    for name, true in truth.items():
        order = [k for _, k in sorted(matches(true, found[name]))]
        assert order == sorted(order), name


def test_right_to_left_reverses_the_rows(samples: Path, found: Truth) -> None:
    backwards = detect_folder(samples / "pepper-carrot-ep17", direction=Direction.RTL).panels
    assert {name: set(boxes) for name, boxes in backwards.items()} == {n: set(b) for n, b in found.items()}
    assert backwards != found


def test_the_shipped_weights_are_small() -> None:
    files = {f.name: f.stat().st_size for f in FOLDER.iterdir() if f.is_file()}
    assert sum(files.values()) <= 12_000_000
    assert set(files) == {"detector.safetensors", "config.json"}
