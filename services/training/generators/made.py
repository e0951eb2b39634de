"""What a made page is: its picture and the whole truth about it."""

from dataclasses import dataclass, field
from typing import Literal

from PIL import Image

from shared.domain.schema import Box, PagePanels

MarkKind = Literal["character", "face", "balloon", "caption", "sound", "lettering"]


@dataclass(frozen=True)
class Mark:
    """One thing drawn on a made page, more exactly named than the detector's classes allow.

    `panel` is an index into the truth's panels; `speaker` the index of the mark of the character that says this.
    A balloon's box is its outline, that of all other lettering the letters' own.
    """

    kind: MarkKind
    box: Box
    panel: int | None = None
    speaker: int | None = None
    text: str = ""


@dataclass(frozen=True)
class MadePage:
    """A page with its truth; `texts[k]` holds the words lettered in panel k, in the order they were placed.

    `manner` is the tradition it is drawn in, one of `styles.Manner`; "" for a real page.
    """

    image: Image.Image
    truth: PagePanels
    texts: list[list[str]]
    marks: list[Mark] = field(default_factory=list)
    manner: str = ""
