"""The literal text of true panels on a real comic: found where there is any, and right to a few letters in 100."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.dataspec.assignment import panel_texts
from services.extraction.ocr import OcrReader
from shared.domain.schema import Box, Direction
from tests.equipment.lettering import distance, plain

pytestmark = pytest.mark.timeout(420)  # twelve seconds of work, on a machine that may be busy with other things


@dataclass(frozen=True)
class Panel:
    """What a panel says and what was read there; letters and digits only, case folded."""

    name: str
    said: str
    read: str


@pytest.fixture(scope="module")
def panels(samples: Path) -> list[Panel]:
    """Every true panel of the seven story pages, read by OCR over the whole page."""
    folder = samples / "pepper-carrot-ep17"
    truth = json.loads((folder / "ground_truth_coco.json").read_text())
    reader, found = OcrReader(threads=1), []
    for page in truth["images"]:
        true = [panel for panel in truth["annotations"] if panel["image_id"] == page["id"]]
        if not true:
            continue
        with Image.open(folder / page["file_name"]) as image:
            extraction = reader.read_page(np.asarray(image.convert("RGB")))
        boxes = [Box(*panel["bbox"]) for panel in true]
        texts = panel_texts(extraction, None, boxes, direction=Direction.LTR)
        for panel, text in zip(true, texts, strict=True):
            said = plain(" ".join(spoken["text"] for spoken in panel["dialogue"]))
            found.append(Panel(f"{page['file_name']} panel {panel['reading_order']}", said, plain(text.literal)))
    assert len(found) == 29
    return found


def test_text_is_found_on_every_panel_that_has_any(panels: list[Panel]) -> None:
    speaking = [panel for panel in panels if panel.said]
    assert len(speaking) == 17
    assert [panel.name for panel in speaking if not panel.read] == []


def test_text_is_found_on_at_most_two_silent_panels(panels: list[Panel]) -> None:
    assert len([panel for panel in panels if not panel.said and panel.read]) <= 2


def test_at_most_six_letters_in_a_hundred_are_wrong(panels: list[Panel]) -> None:
    speaking = [panel for panel in panels if panel.said]
    wrong = sum(distance(panel.said, panel.read) for panel in speaking)
    assert wrong / sum(len(panel.said) for panel in speaking) <= 0.06


@pytest.mark.parametrize(
    ("said", "alike"), [("woosh", "sh"), ("crrash", "ash"), ("groo", "roo"), ("brrooooooo", "oooo"), ("ohno", "ohno")]
)
def test_hand_drawn_sounds_are_seen(panels: list[Panel], said: str, alike: str) -> None:
    assert any(alike in panel.read for panel in panels if panel.said.startswith(said) or panel.said.endswith(said))
