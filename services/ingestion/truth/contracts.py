"""A page's truth as the contracts every stage reads: a layout, and a reading with lines where texts stand."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from services.ingestion.truth.pages import PageTruth, TruthText
from shared.domain.reading_order import layout_kind, reading_order
from shared.domain.schema import Box, DetectedObject, Direction, PageExtraction, PagePanels, TextLine

# Letters are about half as wide as a line is high; so many lines a text has in its area.
LETTER = 0.5
MOST_LINES = 40
# Share of its strip of the panel that a text without a place of its own takes, so that neighbours stay apart.
SEAT_WIDTH, SEAT_HEIGHT = 0.9, 0.4
UPRIGHT = 1.5
# Scripts written without spaces.
UNSPACED = re.compile("[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
# Share of the page around which several stated panels lie, from which they are taken for all of it.
MOST = 1 / 3


def is_layout(truth: PageTruth, *, width: int, height: int) -> bool:
    """Whether the stated panels are plausibly all that the page has, so that they may stand for its layout.

    Books name single parts of a page too, to be looked at or tapped on, and a detector would find more panels than
    that. So a lone panel must be a splash, and several must lie around a third of the page at least.
    """
    if len(truth.panels) < 2:
        return layout_kind(truth.panels, width=width, height=height) == "splash"
    left, top = min(box.x for box in truth.panels), min(box.y for box in truth.panels)
    right, bottom = max(box.right for box in truth.panels), max(box.bottom for box in truth.panels)
    return (right - left) * (bottom - top) >= MOST * width * height


def layout_of(truth: PageTruth, *, width: int, height: int, direction: Direction) -> PagePanels:
    """Panels in the stated order, and the places of texts as objects; everything is certain."""
    return PagePanels(
        width=width,
        height=height,
        kind=layout_kind(truth.panels, width=width, height=height),
        direction=direction,
        panels=[DetectedObject(label="panel", box=box, score=1.0) for box in truth.panels],
        objects=[DetectedObject(label="text", box=text.box, score=1.0) for text in truth.texts if text.box],
    )


def reading_of(truth: PageTruth) -> PageExtraction | None:
    """The stated texts as lines; None when the file states none, so that somebody else may read.

    A text that only belongs to a panel is seated in it, below the one before: its lines lie in the right panel in the
    right order, and say nothing about where it is lettered. A file need not state all words of a page, so that no
    silence follows.
    """
    lines = [(line, place) for text, box, place in _seated(truth) for line in _lines(text.text, box)]
    if not lines:
        return None
    return PageExtraction(
        engine="import",
        model=truth.form,
        lines=[line for line, _ in lines],
        whole_page=False,
        stated=[place for _, place in lines],
    )


def direction_of_panels(pages: Iterable[Sequence[Box]]) -> Direction | None:
    """Which way the stated orders run, where they tell: panels side by side are there in one order or the other."""
    votes = 0
    for panels in pages:
        given = list(range(len(panels)))
        votes += reading_order(panels, direction=Direction.RTL) == given
        votes -= reading_order(panels, direction=Direction.LTR) == given
    if votes == 0:
        return None
    return Direction.RTL if votes > 0 else Direction.LTR


def _seated(truth: PageTruth) -> list[tuple[TruthText, Box, Box]]:
    """Every text that has words, with its box, and the part of the page in which it is lettered: that box, or the panel
    in which it has a seat."""
    told = [text for text in truth.texts if text.text]
    guests = Counter(text.panel for text in told if text.box is None)
    seated: Counter[int] = Counter()
    placed = []
    for text in told:
        if text.box is not None:
            placed.append((text, text.box, text.box))
        elif text.panel is not None:
            panel, k = truth.panels[text.panel], seated[text.panel]
            seated[text.panel] += 1
            strip = panel.h / guests[text.panel]
            w, h = SEAT_WIDTH * panel.w, SEAT_HEIGHT * strip
            seat = Box(panel.x + (panel.w - w) / 2, panel.y + k * strip + (strip - h) / 2, w, h)
            placed.append((text, seat, panel))
    return placed


def _lines(text: str, box: Box) -> list[TextLine]:
    """A text broken into the lines it would have in its area; upright text of unspaced scripts is one column."""
    words = text.split()
    if UNSPACED.search(text) or box.h >= UPRIGHT * box.w * max(1, len(words)):
        return [TextLine(text=" ".join(words), box=box, confidence=1.0)]
    wanted = round(math.sqrt(LETTER * len(text) * box.h / box.w))
    count = max(1, min(wanted, len(words), MOST_LINES))
    longest, rows = len(text) / count, [""]
    for word in words:
        if rows[-1] and len(rows) < count and len(rows[-1]) + len(word) / 2 > longest:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    step = box.h / len(rows)
    return [
        TextLine(text=row, box=Box(box.x, box.y + k * step, box.w, step), confidence=1.0) for k, row in enumerate(rows)
    ]
