"""Text goes to the panel it is drawn in, and answers follow the boxes they were given about."""

import pytest

from services.dataspec.assignment import assign_lines
from services.dataspec.evidence import page_evidence
from shared.domain.schema import (
    Box,
    Direction,
    PageExtraction,
    PageReading,
    PanelReading,
    SpokenText,
    TextLine,
)

LTR = Direction.LTR
LEFT, RIGHT = Box(40, 60, 300, 400), Box(360, 60, 300, 400)


def line(text: str, x: float, y: float, w: float, h: float = 24) -> TextLine:
    return TextLine(text=text, box=Box(x, y, w, h), confidence=1.0)


def extraction(*lines: TextLine) -> PageExtraction:
    return PageExtraction(engine="ocr", model="test", lines=list(lines))


def answer(number: int, description: str, *, status: str = "ok", said: str = "", who: str = "") -> PanelReading:
    return PanelReading.model_validate(
        {
            "number": number,
            "status": status,
            "description": description,
            "characters": [who] if who else [],
            "texts": [SpokenText(kind="dialogue", speaker=None, text=said)] if said else [],
        }
    )


def reading(*answers: PanelReading) -> PageReading:
    return PageReading(summary="", panels=list(answers), missed=[])


def texts_of(owned: list[list[TextLine]]) -> list[list[str]]:
    return [[own.text for own in lines] for lines in owned]


def test_a_line_belongs_to_the_panel_that_holds_most_of_it() -> None:
    across = line("mostly right", 300, 100, 200)
    owned, left_over = assign_lines([across], [LEFT, RIGHT], direction=LTR)
    assert texts_of(owned) == [[], ["mostly right"]]
    assert left_over == []


def test_an_inset_keeps_its_text_from_the_panel_around_it() -> None:
    page, inset = Box(0, 0, 700, 900), Box(100, 100, 200, 150)
    inside, beside = line("inset", 120, 120, 80), line("page", 400, 600, 80)
    owned, _ = assign_lines([inside, beside], [page, inset], direction=LTR)
    assert texts_of(owned) == [["page"], ["inset"]]


def test_a_balloon_sticking_out_over_the_border_stays_whole() -> None:
    # As on the seventh page of ep17: the panel begins at y 56, its balloon at 22.
    panel = Box(40.7, 56.3, 910.7, 384.4)
    balloon = [line("… so there", 188, 2, 88), line("you", 200, 26, 40), line("are.", 190, 50, 73)]
    owned, left_over = assign_lines(balloon, [panel], direction=LTR)
    assert texts_of(owned) == [["… so there", "you", "are."]]
    assert left_over == []


def test_a_line_just_outside_goes_to_the_nearest_panel() -> None:
    owned, _ = assign_lines([line("near", 400, 470, 60)], [LEFT, RIGHT], direction=LTR)
    assert texts_of(owned) == [[], ["near"]]


def test_a_page_number_far_from_every_panel_belongs_to_none() -> None:
    owned, left_over = assign_lines([line("17", 340, 900, 20)], [LEFT, RIGHT], direction=LTR)
    assert texts_of(owned) == [[], []]
    assert [own.text for own in left_over] == ["17"]


def test_a_page_without_panels_keeps_all_its_lines_in_order() -> None:
    lines = [line("two", 50, 124, 60), line("one", 50, 100, 60)]
    owned, left_over = assign_lines(lines, [], direction=LTR)
    assert owned == []
    assert [own.text for own in left_over] == ["one", "two"]


def test_lines_of_a_panel_come_in_reading_order() -> None:
    lines = [line("left", 60, 100, 60), line("right", 220, 100, 60)]
    assert texts_of(assign_lines(lines, [LEFT], direction=Direction.RTL)[0]) == [["right", "left"]]


def judged(
    extraction: PageExtraction | None, reading: PageReading | None, panels: list[Box], asked: list[Box] | None = None
) -> list[tuple[str, str]]:
    """What is written in each panel and what is told about it."""
    found = page_evidence(extraction, reading, panels, direction=LTR, asked=asked)
    return [(panel.text, panel.descriptive) for panel in found.panels]


def test_literal_text_comes_from_ocr_and_description_from_the_vlm() -> None:
    told = reading(answer(1, "A girl waves.", said="HELO", who="Pepper"), answer(2, "A cat."))
    assert judged(extraction(line("Hello", 60, 100, 60)), told, [LEFT, RIGHT]) == [
        ("Hello", "A girl waves.\nPepper"), ("", "A cat."),
    ]  # fmt: skip


def test_lettering_that_only_the_vlm_saw_is_literal_text_too() -> None:
    assert judged(extraction(), reading(answer(1, "A beast.", said="Wah!!")), [LEFT]) == [("Wah!!", "A beast.")]
    both = extraction(line("HELLO THERE", 60, 100, 160))
    assert judged(both, reading(answer(1, "A beast.", said="KABOOM")), [LEFT]) == [("HELLO THERE\nKABOOM", "A beast.")]


def test_what_the_vlm_calls_no_panel_says_nothing() -> None:
    assert judged(None, reading(answer(1, "A logo.", status="not_a_panel", said="Ads")), [LEFT]) == [("", "")]


def test_nothing_read_is_no_text_for_every_panel() -> None:
    assert judged(None, None, [LEFT, RIGHT]) == [("", "")] * 2


def test_answers_follow_their_boxes_into_a_new_layout_and_not_their_numbers() -> None:
    new = [Box(0, 500, 700, 300), Box(362, 58, 297, 405), Box(38, 62, 300, 396)]
    told = judged(None, reading(answer(1, "left"), answer(2, "right")), new, [LEFT, RIGHT])
    assert [descriptive for _, descriptive in told] == ["", "right", "left"]


def test_one_answer_is_never_given_to_two_panels() -> None:
    halves = [Box(40, 60, 300, 210), Box(40, 60, 300, 400)]
    assert judged(None, reading(answer(1, "whole")), halves, [LEFT]) == [("", ""), ("", "whole")]


def test_a_reading_about_more_boxes_than_were_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="panel 2 of 1"):
        judged(None, reading(answer(1, "a"), answer(2, "b")), [LEFT])
