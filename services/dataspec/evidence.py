"""How far the text of each panel is to be believed: from OCR, from a VLM's answer, and from what the detector saw.

By geometry alone. "Verified" and "silent" are claims a model is trained on, so every doubt makes a panel "unverified"
with the reason; nothing here guesses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from services.dataspec.agreement import Comparison, compare
from services.dataspec.assignment import answers_by_panel, assign_lines, told
from shared.domain.dataspec import PanelEvidence, PieceOfText
from shared.domain.geometry import intersection
from shared.domain.schema import (
    Box,
    DetectedObject,
    Direction,
    PageExtraction,
    PageReading,
    PanelReading,
    TextLine,
)
from shared.domain.text import group_lines, join_lines

OWN = 0.5  # share of a line that lies in its panel, at least
FOREIGN = 0.25  # share that may lie in another panel
NESTED = 0.85  # a panel that holds this share of a smaller one is its host, no rival
SURE = 0.8  # confidence from which a line read by OCR alone is believed
TWICE = (
    0.25  # share of a line that another may cover: neighbours in tight lettering touch, one line read twice overlaps
)
READ = 0.3  # share of a text box that lines have to cover for it to count as read
SEEN = 0.5  # score from which a text box of the detector is believed


@dataclass(frozen=True, kw_only=True)
class PageEvidence:
    """A page's panels in their order, and what follows for the page.

    `leftovers` belong to no panel: lines as `TextLine`, lettering a VLM told without a place as `{"text": …}`.
    `reason` says why the page is not perfect, None when it is.
    """

    panels: list[PanelEvidence]
    leftovers: list[dict[str, Any]]
    equal_counts: bool | None
    reason: str | None

    @property
    def perfect(self) -> bool:
        """Whether every panel has its own verified text or is verified silent."""
        return self.reason is None


def page_evidence(
    extraction: PageExtraction | None,
    reading: PageReading | None,
    panels: Sequence[Box],
    *,
    direction: Direction,
    asked: Sequence[Box] | None = None,
    objects: Sequence[DetectedObject] = (),
) -> PageEvidence:
    """What is known about each panel's text.

    `asked` are the boxes the VLM was asked about where they are not `panels`; `objects` what the detector saw besides
    panels. Boxes are in page pixels.

    Raises:
        ValueError: the reading names a number beyond the boxes it was asked about.
    """
    lines, outside = assign_lines(extraction.lines if extraction else [], panels, direction=direction)
    answers = answers_by_panel(reading, panels if asked is None else asked, panels)
    everywhere = extraction is not None and extraction.whole_page
    unread = _unread(objects, extraction.lines if extraction else [])
    found = []
    for k, (own, answer) in enumerate(zip(lines, answers, strict=True)):
        doubt = _misplaced(own, k, panels) or _reached(lines, k, panels) or _unseen(unread, k, panels)
        found.append(_panel_evidence(own, answer, doubt, direction=direction, searched=everywhere))
    leftovers: list[dict[str, Any]] = [line.model_dump(mode="json") for line in outside]
    leftovers += [{"text": text} for text in _homeless(reading, answers)]
    return PageEvidence(
        panels=found,
        leftovers=leftovers,
        equal_counts=_equal_counts(reading, len(panels)),
        reason=_why_not_perfect(found, reading),
    )


def _panel_evidence(
    own: Sequence[TextLine], answer: PanelReading | None, doubt: str | None, *, direction: Direction, searched: bool
) -> PanelEvidence:
    blocks = group_lines(own, direction=direction)
    pieces = [
        PieceOfText(
            kind="other", text=join_lines(block, direction=direction), source="ocr", confidence=_sureness(block)
        )
        for block in blocks
    ]
    compared = None
    if answer is not None:
        doubt = _status_doubt(answer) or doubt
        if answer.status != "not_a_panel":
            compared = compare(pieces, answer.texts)
            pieces = compared.pieces
    reason = doubt or _text_doubt(own, pieces, compared, searched=searched)
    verdict = "unverified" if reason else "verified" if pieces else "silent"
    told_of = answer if answer is not None and answer.status != "not_a_panel" else None
    return PanelEvidence(
        literal=pieces,
        descriptive=told(told_of) if told_of else "",
        characters=told_of.characters if told_of else [],
        verdict=verdict,
        confidence=0.0 if reason else _confidence(own, compared),
        reason=reason,
    )


def _status_doubt(answer: PanelReading) -> str | None:
    return {
        "not_a_panel": "the VLM sees no panel in this box",
        "contains_several": "the VLM sees several panels in this box",
    }.get(answer.status)


def _text_doubt(
    own: Sequence[TextLine], pieces: Sequence[PieceOfText], compared: Comparison | None, *, searched: bool
) -> str | None:
    """Why what was read cannot be taken for the panel's text, or its silence for silence."""
    if compared is not None and compared.difference:
        return compared.difference
    if not pieces:
        return None if searched else "nobody has looked for text in the whole panel"
    unsure = [line for line in own if line.confidence < SURE]
    if compared is None and unsure:
        return f"OCR is not sure of {_quoted(unsure[0].text)}"
    return None


def _confidence(own: Sequence[TextLine], compared: Comparison | None) -> float:
    """Of a verdict: of the least sure line, or how well two readers agree; silence counts as one sure reader."""
    if compared is not None:
        return compared.similarity
    return min((line.confidence for line in own), default=SURE)


def _sureness(block: Sequence[TextLine]) -> float:
    letters = sum(len(line.text) for line in block)
    return round(sum(line.confidence * len(line.text) for line in block) / letters, 4)


def _share(box: Box, panel: Box) -> float:
    return intersection(box, panel) / box.area if box.area > 0 else 0.0


def _rival(box: Box, own: int, panels: Sequence[Box]) -> bool:
    """Whether a good part of `box` lies in a panel that is neither `own` nor a host of it."""
    return any(
        _share(box, panel) > FOREIGN and _share(panels[own], panel) < NESTED
        for k, panel in enumerate(panels)
        if k != own
    )


def _misplaced(own: Sequence[TextLine], k: int, panels: Sequence[Box]) -> str | None:
    for line in own:
        if _share(line.box, panels[k]) <= OWN:
            return f"{_quoted(line.text)} lies outside the panel it was given to"
        if _rival(line.box, k, panels):
            return f"{_quoted(line.text)} lies in two panels"
    for line, other in combinations(own, 2):
        if max(_share(line.box, other.box), _share(other.box, line.box)) > TWICE:
            return f"{_quoted(line.text)} and {_quoted(other.text)} were read over each other"
    return None


def _reached(lines: Sequence[Sequence[TextLine]], k: int, panels: Sequence[Box]) -> str | None:
    """A line in a panel without text that was given to another: it may be this one's."""
    if lines[k]:
        return None
    for other, owned in enumerate(lines):
        # What stands in an inset stands in its host as well.
        if max(_share(panels[other], panels[k]), _share(panels[k], panels[other])) < NESTED:
            for line in owned:
                if _share(line.box, panels[k]) > FOREIGN:
                    return f"{_quoted(line.text)} lies in two panels"
    return None


def _unread(objects: Sequence[DetectedObject], lines: Sequence[TextLine]) -> list[Box]:
    """Text boxes that the detector is sure of and in which nothing was read."""
    return [
        seen.box
        for seen in objects
        if seen.label == "text"
        and seen.score >= SEEN
        and seen.box.area > 0
        and sum(intersection(line.box, seen.box) for line in lines) < READ * seen.box.area
    ]


def _unseen(unread: Sequence[Box], k: int, panels: Sequence[Box]) -> str | None:
    """Lettering in the panel that OCR did not read; in nested panels it counts for the innermost."""
    for box in unread:
        holders = [i for i, panel in enumerate(panels) if _share(box, panel) > OWN]
        if k in holders and k == min(holders, key=lambda i: panels[i].area):
            return "the detector sees lettering that was not read"
    return None


def _homeless(reading: PageReading | None, answers: Sequence[PanelReading | None]) -> list[str]:
    """Texts a VLM told about boxes that are no panel."""
    if reading is None:
        return []
    kept = {answer.number for answer in answers if answer is not None and answer.status != "not_a_panel"}
    return [piece.text for answer in reading.panels if answer.number not in kept for piece in answer.texts]


def _equal_counts(reading: PageReading | None, panels: int) -> bool | None:
    if reading is None:
        return None
    ok = sum(answer.status == "ok" for answer in reading.panels)
    return ok + len(reading.missed) == panels and all(a.status != "contains_several" for a in reading.panels)


def _why_not_perfect(panels: Sequence[PanelEvidence], reading: PageReading | None) -> str | None:
    if not panels:
        return "the page has no panels"
    if reading is not None and reading.missed:
        return f"the VLM tells of {len(reading.missed)} more panels than were found"
    doubtful = [(k, panel) for k, panel in enumerate(panels, start=1) if panel.verdict == "unverified"]
    if not doubtful:
        return None
    first, panel = doubtful[0]
    return f"{len(doubtful)} of {len(panels)} panels are unverified; panel {first}: {panel.reason}"


def _quoted(text: str) -> str:
    return f"“{text[:39]}…”" if len(text) > 40 else f"“{text}”"
