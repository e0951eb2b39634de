"""What counts as an answer about a page: whole, about exactly what was asked, and nothing that only looks like it."""

import json
from typing import Any

import pytest

from services.extraction.readings import InvalidReading, validate


def panel(number: object, **changes: object) -> dict[str, Any]:
    told = {"number": number, "status": "ok", "description": f"panel {number}", "characters": [], "texts": []}
    return told | changes


def document(*panels: dict[str, Any], **changes: object) -> str:
    return json.dumps({"summary": "A page.", "panels": list(panels), "missed": []} | changes)


def test_answers_are_put_in_the_order_of_the_panels() -> None:
    reading = validate(document(panel(3), panel(1), panel(2)), panels=3)
    assert [answer.description for answer in reading.panels] == ["panel 1", "panel 2", "panel 3"]


def test_a_page_without_panels_is_answered_by_its_summary() -> None:
    assert validate(document(), panels=0).summary == "A page."


@pytest.mark.parametrize("fenced", ["```json\n{}\n```", "```\n{}\n```", "  ```json\n{}```\n"])
def test_a_markdown_fence_is_taken_off(fenced: str) -> None:
    assert validate(fenced.replace("{}", document(panel(1))), panels=1).panels[0].number == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "JSON"),
        ("I cannot help with that.", "JSON"),
        ("null", "object"),
        ("[" * 100_000, "recursion"),
        (document(panel(1))[:-9], "JSON"),
        (document(panel(1)) + " Hope this helps!", "JSON"),
        ("Sure!\n```json\n" + document(panel(1)) + "\n```", "JSON"),
        (document(panel(1), panel(2))[:-1] + ",}", "JSON"),
        (document(panel(1), confidence=1), "confidence: Extra"),
        (document(panel(1, box=[1, 2, 3, 4])), "panels.0.box: Extra"),
        (document(panel(1), missed=None), "missed"),
        (document(panel(1, status="fine")), "panels.0.status"),
        (document(panel(1, description=None)), "panels.0.description"),
        (document(panel("1")), "panels.0.number"),
        (document(panel(1.0)), "panels.0.number"),
        (document(panel(True)), "panels.0.number"),
        (document(panel(0)), "panels.0.number"),
        (document(panel(1, texts=[{"kind": "shout", "speaker": None, "text": "A"}])), "panels.0.texts.0.kind"),
        (document(panel(1)), r"\[1\] where 1 to 2"),
        (document(panel(1), panel(1)), r"\[1, 1\] where 1 to 2"),
        (document(panel(1), panel(3)), r"\[1, 3\] where 1 to 2"),
        (document(panel(1), panel(2), panel(3)), r"\[1, 2, 3\] where 1 to 2"),
        (document(), r"\[\] where 1 to 2"),
    ],
)
def test_anything_else_is_no_answer_and_says_why(content: str, reason: str) -> None:
    with pytest.raises(InvalidReading, match=reason):
        validate(content, panels=2)


def test_a_reason_is_short_and_shows_nothing_a_column_could_not_hold() -> None:
    for content in (
        document(panel(1), **{"k\x00ey" * 1_000: 1}),
        document(*(panel(10**40 + number) for number in range(500))),
        '{"summary": "\ud800"}',
    ):
        with pytest.raises(InvalidReading) as refused:
            validate(content, panels=1)
        assert len(str(refused.value)) <= 300
        assert "\x00" not in str(refused.value)
        str(refused.value).encode()


def test_text_from_models_carries_no_control_characters_into_the_database() -> None:
    said = {"kind": "sound", "speaker": "B\x07ird", "text": "BO\x00OM\n\tBOOM \x1b[31m"}
    told = panel(1, description="a\x00b", characters=["P\x00epper"], texts=[said])
    reading = validate(document(told, missed=[{"description": "\x9fx"}], summary="s\x00"), panels=1)
    assert "\x00" not in reading.model_dump_json() + repr(reading)
    assert reading.panels[0].texts[0].text == "BO" + "OM\n\tBOOM [31m"
    assert (reading.summary, reading.panels[0].characters, reading.missed[0].description) == ("s", ["Pepper"], "x")
