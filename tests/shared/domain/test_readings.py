"""What the file states and what OCR read, together: no word is lost, and none stands there twice."""

import pytest

from shared.domain.readings import beside
from shared.domain.schema import Box, PageExtraction, TextLine

PLACE = Box(0, 0, 300, 200)
STATED = PageExtraction(
    engine="import",
    model="acbf",
    lines=[
        TextLine(text="Hello, dear", box=Box(0, 0, 300, 100), confidence=1.0),
        TextLine(text="Ann!", box=Box(0, 100, 300, 100), confidence=1.0),
    ],
    whole_page=False,
    stated=[PLACE, PLACE],
)


def read(text: str, *, x: float = 20) -> PageExtraction:
    line = TextLine(text=text, box=Box(x, 150, 100, 20), confidence=0.9)
    return PageExtraction(engine="ocr", model="m", lines=[line])


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (read("HELL0 DEAR"), False),
        (read("dear Ann"), False),
        (read("Hello, dear", x=400), True),  # the same words elsewhere are other ones
        (read("KRAAK"), True),
        (read("no"), True),
    ],
)
def test_a_line_gives_way_only_to_its_own_words_in_their_place(line: PageExtraction, kept: bool) -> None:
    both = beside(STATED, line)
    assert both.lines == [*STATED.lines, *(line.lines if kept else [])]
    assert (both.whole_page, both.engine, both.model) == (True, "ocr", "m")
    assert beside(both, line) == beside(STATED, both) == both, "read or stated again, nothing changes"
