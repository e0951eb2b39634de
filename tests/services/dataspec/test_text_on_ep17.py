"""The literal text of true panels on a real comic: found where there is any, and right to a few letters in 100."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.dataspec.evidence import page_evidence
from services.extraction.ocr import OcrReader
from shared.domain.schema import Box, Direction, PageExtraction, PageReading, PanelReading, SpokenText
from tests.equipment.lettering import distance, plain

pytestmark = pytest.mark.timeout(420)  # twelve seconds of work, on a machine that may be busy with other things


@dataclass(frozen=True)
class Panel:
    """What a panel says and what was read there; letters and digits only, case folded."""

    name: str
    said: str
    read: str
    verdict: str


@dataclass(frozen=True)
class Page:
    """A story page: its true panels in reading order, and what OCR read on the whole of it."""

    name: str
    true: list[dict[str, Any]]
    extraction: PageExtraction

    @property
    def boxes(self) -> list[Box]:
        return [Box(*panel["bbox"]) for panel in self.true]

    def said(self, k: int) -> list[str]:
        """The true texts of a panel."""
        return [spoken["text"] for spoken in self.true[k]["dialogue"]]


@pytest.fixture(scope="module")
def pages(samples: Path) -> list[Page]:
    """The seven story pages."""
    folder = samples / "pepper-carrot-ep17"
    truth = json.loads((folder / "ground_truth_coco.json").read_text())
    reader, found = OcrReader(threads=1), []
    for page in truth["images"]:
        true = [panel for panel in truth["annotations"] if panel["image_id"] == page["id"]]
        if not true:
            continue
        with Image.open(folder / page["file_name"]) as image:
            extraction = reader.read_page(np.asarray(image.convert("RGB")))
        found.append(Page(page["file_name"], true, extraction))
    return found


@pytest.fixture(scope="module")
def panels(pages: list[Page]) -> list[Panel]:
    """Every true panel, read by OCR over the whole page."""
    found = []
    for page in pages:
        evidence = page_evidence(page.extraction, None, page.boxes, direction=Direction.LTR).panels
        for k, judged in enumerate(evidence):
            name = f"{page.name} panel {page.true[k]['reading_order']}"
            found.append(Panel(name, plain(" ".join(page.said(k))), plain(judged.text), judged.verdict))
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


def test_most_panels_are_judged_and_rightly(panels: list[Panel]) -> None:
    """What is called silent is, and what is called verified is the text but for a letter or so."""
    assert [panel.name for panel in panels if panel.verdict == "silent" and panel.said] == []
    verified = [panel for panel in panels if panel.verdict == "verified"]
    assert [panel.name for panel in verified if distance(panel.said, panel.read) > max(1, len(panel.said) // 10)] == []
    assert len([panel for panel in panels if panel.verdict != "unverified"]) >= 24


def told(page: Page, *, shift: int) -> PageReading:
    """A VLM's answer with the true texts, each moved on by `shift` panels."""
    count, answers = len(page.true), []
    for k in range(count):
        texts = [SpokenText(kind="dialogue", speaker=None, text=text) for text in page.said((k + shift) % count)]
        answers.append(PanelReading(number=k + 1, status="ok", description="", characters=[], texts=texts))
    return PageReading(summary="", panels=answers, missed=[])


def test_texts_told_of_the_next_panel_are_never_verified(pages: list[Page]) -> None:
    right = wrong = 0
    for page in pages:
        for shift in (0, 1):
            evidence = page_evidence(
                page.extraction, told(page, shift=shift), page.boxes, direction=Direction.LTR
            ).panels
            for k, judged in enumerate(evidence):
                if page.said(k) and judged.verdict != "unverified":
                    same = page.said(k) == page.said((k + shift) % len(evidence))
                    right, wrong = right + same, wrong + (not same)
    assert wrong == 0
    assert right >= 13
