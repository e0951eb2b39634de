"""What makes a panel's text verified, its silence silent, and which doubts are said."""

import pytest

from services.dataspec.evidence import PageEvidence, page_evidence
from shared.domain.dataspec import PanelEvidence
from shared.domain.schema import (
    Box,
    DetectedObject,
    Direction,
    MissedPanel,
    PageExtraction,
    PageReading,
    PanelReading,
    TextLine,
)

LEFT, RIGHT = Box(40, 60, 300, 400), Box(360, 60, 300, 400)
HELLO = "Hello old friend of mine"
OTHERWISE = "OCR read otherwise (similarity 0.77)"
LONG = "Personally, I would have preferred to learn a few good attack spells"


def line(text: str, x: float = 60, y: float = 100, *, w: float = 200, sure: float = 0.95) -> TextLine:
    return TextLine(text=text, box=Box(x, y, w, 24), confidence=sure)


def told(number: int, *texts: str, status: str = "ok", who: str | None = "Ann", kind: str = "dialogue") -> PanelReading:
    return PanelReading.model_validate(
        {
            "number": number, "status": status, "description": "A girl.", "characters": ["Ann"],
            "texts": [{"kind": kind, "speaker": who, "text": text} for text in texts],
        }
    )  # fmt: skip


def lettering(x: float, y: float, *, score: float = 0.9) -> DetectedObject:
    return DetectedObject(label="text", box=Box(x, y, 100, 40), score=score)


def judge(
    *lines: TextLine,
    told: list[PanelReading] | None = None,
    missed: int = 0,
    objects: tuple[DetectedObject, ...] = (),
    read: bool = True,
    whole_page: bool = True,
    panels: tuple[Box, ...] = (LEFT, RIGHT),
) -> PageEvidence:
    reading = None
    if told is not None:
        reading = PageReading(summary="", panels=told, missed=[MissedPanel(description="x")] * missed)
    return page_evidence(
        PageExtraction(engine="ocr", model="test", lines=list(lines), whole_page=whole_page) if read else None,
        reading, panels, direction=Direction.LTR, objects=objects,
    )  # fmt: skip


def first(found: PageEvidence) -> PanelEvidence:
    return found.panels[0]


def test_sure_text_of_one_panel_is_verified_and_an_empty_panel_silent() -> None:
    found = judge(line(HELLO))
    assert [panel.verdict for panel in found.panels] == ["verified", "silent"]
    assert found.perfect
    assert found.reason is None
    assert found.equal_counts is None
    piece = first(found).literal[0]
    assert (piece.text, piece.kind, piece.source, piece.confidence) == (HELLO, "other", "ocr", 0.95)
    assert first(found).confidence == 0.95


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([line("above", 60, 45)], "lies outside the panel it was given to"),
        ([line("hatching", sure=0.7)], "OCR is not sure of “hatching”"),
        ([line("Episode 3: the Secre"), line("e Secret of it", 160, 100)], "were read over each other"),
    ],
)
def test_doubtful_lines_make_their_panel_unverified(lines: list[TextLine], reason: str) -> None:
    found = judge(*lines)
    doubtful = [panel for panel in found.panels if panel.verdict == "unverified"]
    assert len(doubtful) == 1
    assert reason in str(doubtful[0].reason)
    assert doubtful[0].literal
    assert not found.perfect
    assert "1 of 2 panels are unverified" in str(found.reason)


def test_of_two_panels_that_share_a_line_neither_is_verified_nor_silent() -> None:
    found = judge(line("across", 280, 100))
    assert ["lies in two panels" in str(panel.reason) for panel in found.panels] == [True, True]
    assert sorted(len(panel.literal) for panel in found.panels) == [0, 1]


def test_an_insets_text_verifies_the_inset_and_not_the_panel_around_it() -> None:
    found = judge(line(HELLO, 120, 120), panels=(Box(0, 0, 700, 900), Box(100, 100, 300, 150)))
    assert [(panel.verdict, panel.text) for panel in found.panels] == [("silent", ""), ("verified", HELLO)]


def test_lettering_that_the_detector_sees_and_nobody_read_is_no_silence() -> None:
    assert "lettering that was not read" in str(first(judge(objects=(lettering(60, 200),))).reason)
    assert "lettering that was not read" in str(first(judge(line(HELLO), objects=(lettering(60, 200),))).reason)
    assert first(judge(line(HELLO), objects=(lettering(60, 95),))).verdict == "verified"
    assert first(judge(objects=(lettering(60, 200, score=0.4),))).verdict == "silent"
    assert first(judge(objects=(lettering(500, 200),))).verdict == "silent"


def test_no_panel_is_silent_that_nobody_has_searched() -> None:
    for found in (judge(read=False), judge(whole_page=False)):
        assert [panel.verdict for panel in found.panels] == ["unverified"] * 2
        assert "nobody has looked" in str(first(found).reason)
    assert first(judge(line(HELLO), whole_page=False)).verdict == "verified"


def test_two_readers_that_agree_verify_and_tell_kind_and_speaker() -> None:
    found = judge(line("HELL0 old friend of mine", sure=0.7), told=[told(1, HELLO, kind="thought"), told(2)])
    assert [panel.verdict for panel in found.panels] == ["verified", "silent"]
    piece = first(found).literal[0]
    assert (piece.text, piece.kind, piece.speaker, piece.source) == (
        "HELL0 old friend of mine",
        "thought",
        "Ann",
        "ocr",
    )
    assert 0.9 < first(found).confidence < 1
    assert first(found).descriptive == "A girl.\nAnn"
    assert first(found).characters == ["Ann"]
    assert found.equal_counts is True


def test_balloons_keep_their_own_speakers() -> None:
    lines = [line("Where is the map?"), line("I left it at home", 60, 300)]
    answer = told(1, "Where is the map?").model_copy(
        update={"texts": [*told(1, "Where is the map?").texts, *told(1, "I left it at home", who="Bob").texts]}
    )
    found = first(judge(*lines, told=[answer, told(2)]))
    assert [(piece.text, piece.speaker) for piece in found.literal] == [
        ("Where is the map?", "Ann"),
        ("I left it at home", "Bob"),
    ]
    assert found.verdict == "verified"


def test_balloons_divided_differently_still_agree() -> None:
    lines = [line("Where is"), line("the map?", 60, 200)]
    assert first(judge(*lines, told=[told(1, "Where is the map?"), told(2)])).verdict == "verified"
    one = judge(line("Where is the map? At home."), told=[told(1, "Where is the map?", "At home."), told(2)])
    assert first(one).verdict == "verified"


@pytest.mark.parametrize(
    ("lines", "texts", "reason"),
    [
        ([], ["Wah!!"], "the VLM read “Wah!!”, OCR did not"),
        ([], ["?!"], "the VLM read “?!”, OCR did not"),
        ([line(HELLO)], [], f"OCR read “{HELLO}”, the VLM did not"),
        ([line(HELLO)], ["Quite another text here"], "the VLM read “Quite another text here”, OCR did not"),
        ([line(HELLO)], [HELLO, "And a second balloon"], "the VLM read “And a second balloon”, OCR did not"),
        ([line(HELLO), line("unheard words", 60, 300)], [HELLO], "OCR read “unheard words”, the VLM did not"),
        ([line(HELLO)], [f"{HELLO}, come in and sit"], f"the VLM read “{HELLO}, come in and s…”; {OTHERWISE}"),
        ([line(LONG)], [LONG, "Wah!"], "the VLM read “Wah!”, OCR did not"),
        ([line(LONG), line("GRR", 60, 300)], [LONG], "OCR read “GRR”, the VLM did not"),
    ],
)
def test_readers_that_differ_leave_the_panel_unverified(lines: list[TextLine], texts: list[str], reason: str) -> None:
    found = judge(*lines, told=[told(1, *texts), told(2)])
    assert first(found).verdict == "unverified"
    assert first(found).reason == reason
    assert first(found).confidence == 0


def test_what_only_the_vlm_read_is_kept_without_confidence() -> None:
    piece = first(judge(told=[told(1, "Wah!!"), told(2)])).literal[0]
    assert (piece.text, piece.source, piece.confidence, piece.speaker) == ("Wah!!", "vlm", 0.0, "Ann")


def test_what_only_the_vlm_read_stands_where_it_was_told() -> None:
    lines = [line(HELLO), line(LONG, 60, 300)]
    for told_texts in (
        ["Wah!", HELLO, LONG],
        [HELLO, "Wah!", LONG],
        [HELLO, LONG, "Wah!"],
        ["Wah!", HELLO, "Oh", LONG],
    ):
        found = first(judge(*lines, told=[told(1, *told_texts), told(2)]))
        assert [piece.text for piece in found.literal] == told_texts


def test_very_long_texts_are_compared_too_and_soon() -> None:
    """A page of credits as one panel: thirty thousand letters would take minutes letter by letter."""
    names = [f"{k * 7919 % 100_003} patron of number {k}" for k in range(1500)]
    read = judge(line(" ".join(names)), told=[told(1, " ".join(names)), told(2)])
    assert first(read).verdict == "verified"
    other = judge(line(" ".join(names)), told=[told(1, "x" + " letters nobody wrote" * 1500), told(2)])
    assert first(other).verdict == "unverified"


@pytest.mark.parametrize(("status", "reason"), [("not_a_panel", "no panel"), ("contains_several", "several panels")])
def test_boxes_that_the_vlm_calls_wrong_are_unverified(status: str, reason: str) -> None:
    found = judge(line(HELLO), told=[told(1, HELLO, status=status), told(2)])
    assert first(found).verdict == "unverified"
    assert reason in str(first(found).reason)
    assert found.equal_counts is False


def test_a_page_with_panels_that_were_missed_is_not_perfect() -> None:
    found = judge(line(HELLO), told=[told(1, HELLO), told(2)], missed=1)
    assert [panel.verdict for panel in found.panels] == ["verified", "silent"]
    assert not found.perfect
    assert found.equal_counts is False
    assert "1 more" in str(found.reason)


def test_a_page_without_panels_is_not_perfect_and_keeps_its_text_as_leftovers() -> None:
    found = judge(line("Credits"), panels=())
    assert found.reason == "the page has no panels"
    assert [left["text"] for left in found.leftovers] == ["Credits"]


def test_text_told_of_no_panel_is_left_over() -> None:
    found = judge(told=[told(1, "An advert", status="not_a_panel"), told(2)])
    assert found.leftovers == [{"text": "An advert"}]
    assert first(found).literal == []
