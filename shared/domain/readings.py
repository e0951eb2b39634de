"""Readings of a page brought together: what the comic's own file states of its words, and what OCR read on it."""

import unicodedata
from collections import defaultdict

from shared.domain.geometry import intersection
from shared.domain.schema import Box, PageExtraction, TextLine

RUN = 3  # letters that are looked for together; shorter runs occur by chance
SAID = 0.5  # share of a line's runs that stand in a stated text, from which the line is that text
INSIDE = 0.5  # share of a line that lies where a stated text is lettered


def beside(stated: PageExtraction, read: PageExtraction) -> PageExtraction:
    """The stated lines of the one, and the lines of the other that OCR read, but for those that say the same again.

    A file may state only some of a page's words, so that a line of OCR gives way only where it lies in the place of a
    stated text and most of its letters stand in that. How much of the page was searched is what OCR says.
    """
    said: defaultdict[Box, str] = defaultdict(str)
    for line, place in zip(stated.lines, stated.stated, strict=False):
        said[place] += letters(line.text)
    texts = {place: (text, _runs(text)) for place, text in said.items()}
    others = [
        line
        for line in read.lines[len(read.stated) :]
        if not any(_repeats(line, place, *text) for place, text in texts.items())
    ]
    return read.model_copy(update={"lines": [*stated.lines[: len(stated.stated)], *others], "stated": stated.stated})


def letters(text: str) -> str:
    """Letters and digits of `text`, folded: what two readers of one balloon should share; of "?!" the signs."""
    folded = "".join(unicodedata.normalize("NFKC", text).casefold().split())
    return "".join(sign for sign in folded if sign.isalnum()) or folded


def _repeats(line: TextLine, place: Box, text: str, runs: frozenset[str]) -> bool:
    if intersection(line.box, place) < INSIDE * line.box.area:
        return False
    own = letters(line.text)
    if len(own) < RUN:
        return own in text
    found = [own[k : k + RUN] in runs for k in range(len(own) - RUN + 1)]
    return sum(found) >= SAID * len(found)


def _runs(text: str) -> frozenset[str]:
    return frozenset(text[k : k + RUN] for k in range(len(text) - RUN + 1))
