"""The contracts that cross a border: between stages, over HTTP, into files.

Boxes are `[x, y, w, h]` floats in pixels of the page as displayed (EXIF orientation applied), origin top left.
Money is `Decimal` USD; an unknown cost is None, never 0.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Box(NamedTuple):
    """A rectangle, `[x, y, w, h]` in page pixels; written as a JSON array of four numbers."""

    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        """x of the right edge."""
        return self.x + self.w

    @property
    def bottom(self) -> float:
        """y of the lower edge."""
        return self.y + self.h

    @property
    def area(self) -> float:
        """Area in square pixels; 0 for a degenerate box."""
        return max(0.0, self.w) * max(0.0, self.h)


class Direction(StrEnum):
    """Which way a page is read."""

    LTR = "ltr"
    RTL = "rtl"


Score = Annotated[float, Field(ge=0.0, le=1.0)]
ObjectLabel = Literal["panel", "character", "text", "face"]
LayoutKind = Literal["panels", "splash", "none"]
NoPanelReason = Literal["blank", "text", "pictures", "nothing_seen"]
TextKind = Literal["dialogue", "thought", "narration", "sound", "other"]
OBJECT_LABELS: tuple[ObjectLabel, ...] = ("panel", "character", "text", "face")


class Contract(BaseModel):
    """Base of every contract: unknown fields are errors, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DetectedObject(Contract):
    """One box a detector saw, with its real score.

    On a layout's other objects `panel` is the position of the panel it belongs to, and `speaker` the index, among the
    layout's objects, of the character or face that says a text; None where there is none.
    """

    label: ObjectLabel
    box: Box
    score: Score
    panel: int | None = Field(None, ge=0)
    speaker: int | None = Field(None, ge=0)


class PagePanels(Contract):
    """One layout of a page: panels in reading order and the other objects seen.

    `kind`: "panels" has at least one panel that is not the whole page, "splash" exactly one full-page panel,
    "none" no panel at all, with its `reason`: a "blank" page, a page of "text", single "pictures" without a sequence
    (vignettes, logos, advertisements), or "nothing_seen": there is something, and no panel was recognised in it.
    """

    width: int = Field(gt=0)
    height: int = Field(gt=0)
    kind: LayoutKind
    reason: NoPanelReason | None = None
    direction: Direction
    panels: list[DetectedObject]
    objects: list[DetectedObject] = []


class TextLine(Contract):
    """One line of literal text with its box and the reader's confidence."""

    text: str
    box: Box
    confidence: Score


class PageExtraction(Contract):
    """What an OCR engine read on a page, lines in the engine's order; of the `whole_page`, or only of some boxes.

    The first lines may be what the comic's own file states: then `stated` has for each the part of the page in which
    its text is lettered.
    """

    engine: str
    model: str
    lines: list[TextLine]
    whole_page: bool = True
    stated: list[Box] = []


class SpokenText(Contract):
    """One piece of literal text that a VLM attributes to a panel."""

    kind: TextKind
    speaker: str | None
    text: str


class PanelReading(Contract):
    """A VLM's answer about one numbered panel; `number` starts at 1 in the order the panels were given."""

    number: int = Field(ge=1)
    status: Literal["ok", "not_a_panel", "contains_several"]
    description: str
    characters: list[str]
    texts: list[SpokenText]


class MissedPanel(Contract):
    """A panel the VLM says was not among the given ones; it is described, never located, by the VLM."""

    description: str


class PageReading(Contract):
    """A VLM's validated answer about a page; every given panel answers, in order."""

    summary: str
    panels: list[PanelReading]
    missed: list[MissedPanel]


class Usage(Contract):
    """What one VLM call used; None where the server did not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: Decimal | None = None


class PanelText(Contract):
    """The text of one panel: what is written in it (`literal`) and what is told about it (`descriptive`)."""

    literal: str = ""
    descriptive: str = ""
