from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageChops

from services.training.generators.features import ALL, Features
from services.training.generators.fonts import SPOKEN, characters
from services.training.generators.layouts import Cell, rectangle
from services.training.generators.lettering import Hand, invent_hand, lettering, signs, write
from services.training.generators.made import MadePage
from services.training.generators.pages import make_page
from services.training.generators.sheets import Draft, Sheet
from services.training.generators.speech import speak
from services.training.generators.styles import invent
from shared.domain.geometry import intersection
from shared.domain.schema import Box, Direction

CELL = Box(60, 70, 400, 420)


def said(seed: int, features: Features = ALL, *, times: int = 3) -> tuple[Sheet, Image.Image]:
    """A grey sheet with one empty panel after somebody has spoken in it, and the same before."""
    rng = np.random.default_rng(seed)
    style = invent(rng, direction=Direction.LTR, features=features)
    sheet = Sheet(Image.new("RGB", (520, 560), (128, 128, 128)), style, features=features)
    sheet.panels.append(CELL)
    before = sheet.image.copy()
    for _ in range(times):
        speak(rng, sheet, Cell(rectangle(CELL)), [], [])
    return sheet, before


@pytest.mark.parametrize("name", sorted(set(SPOKEN)))
def test_the_box_of_lettering_is_that_of_its_ink(name: str) -> None:
    for hand in (Hand(name, upper=False), Hand(name, upper=True, slant=0.25, jitter=0.08)):
        page = Image.new("RGB", (400, 200), "white")
        rng = np.random.default_rng(4)
        piece = lettering(rng, "Where is my quiet lantern?", size=17, letters=12, hand=hand)
        box = write(rng, page, piece, centre=(200, 100), ink=(0, 0, 0))
        assert ImageChops.invert(page).getbbox() == (box.x, box.y, box.right, box.bottom)


def test_columns_hold_real_signs_and_fit_where_they_are_put() -> None:
    rng = np.random.default_rng(1)
    for seed in range(20):
        hand = invent_hand(np.random.default_rng(seed), vertical=True, foreign=False)
        piece = signs(rng, hand, size=12, widest=80, tallest=100)
        assert hand.vertical
        assert piece.width <= 80
        assert piece.height <= 100
    text = characters(rng, script="japanese", count=200)
    assert any("ぁ" <= sign <= "ん" for sign in text)
    assert any("一" <= sign <= "龥" for sign in text)


def test_lettering_covers_no_other_lettering_and_lies_in_its_balloon() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(30):
        sheet, before = said(seed)
        words = [box for label, box in sheet.objects if label == "text"]
        for k, one in enumerate(words):
            assert all(intersection(one, other) == 0 for other in words[k + 1 :])
            drawn = ImageChops.difference(before, sheet.image).crop((one.x, one.y, one.right, one.bottom))
            assert drawn.getbbox() is not None
        for draft in sheet.drafts:
            kinds[draft.kind] += 1
            assert intersection(draft.box, draft.outline) > 0.97 * draft.box.area
    assert set(kinds) == {"balloon", "caption", "sound", "lettering"}


def test_nothing_crosses_the_frame_where_nothing_may_break_out() -> None:
    def crossing(features: Features) -> int:
        drafts = [draft for seed in range(30) for draft in said(seed, features)[0].drafts]
        assert len(drafts) > 40
        return sum(intersection(draft.outline, CELL) < 0.95 * draft.outline.area for draft in drafts)

    assert crossing(ALL) > 2
    assert crossing(ALL.without("breaking_out")) == 0


def test_sounds_and_large_boxes_of_text_can_be_turned_off() -> None:
    def drafts(features: Features) -> list[Draft]:
        return [draft for seed in range(150) for draft in said(seed, features, times=1)[0].drafts]

    def large(found: list[Draft]) -> int:
        return sum(draft.kind != "sound" and draft.outline.area > CELL.area / 6 for draft in found)

    everything = drafts(ALL)
    assert any(draft.kind == "sound" for draft in everything)
    assert not any(draft.kind == "sound" for draft in drafts(ALL.without("sounds")))
    assert large(everything) > 1.5 * large(drafts(ALL.without("boxes_of_text")))


def test_marks_name_panel_and_speaker() -> None:
    def balloons(page: MadePage) -> list[tuple[int | None, int | None]]:
        return [(mark.panel, mark.speaker) for mark in page.marks if mark.kind == "balloon"]

    spoken = 0
    for seed in range(20):
        page = make_page(seed, long_side=320, features=ALL.without("ageing"))
        shown = Counter({"character": "character", "face": "face"}.get(mark.kind, "text") for mark in page.marks)
        assert shown == Counter(o.label for o in page.truth.objects)
        for mark in page.marks:
            assert mark.panel is None or mark.panel < len(page.truth.panels)
        for panel, speaker in balloons(page):
            if speaker is not None:
                assert page.marks[speaker].kind == "character"
                spoken += page.marks[speaker].panel == panel
    assert spoken > 8
