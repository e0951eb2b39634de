"""DataSpec 1.0: a page with its panels and their text, the contract between reading pages and training on them.

One JSON object a page. `docs/dataspec-1.0.schema.json` is its published JSON schema. A DataSpec stands alone: it names
its comic and its image by the sha256 of their bytes, never by a row of some database or a path of some machine. A
dataset is a file of lines, `{"split": …, "page": DataSpec}`, sorted by comic key and page number.
"""

from typing import Literal

from pydantic import Field

from shared.domain.schema import Box, Contract, Direction, LayoutKind, Score, TextKind

VERSION: Literal["1.0"] = "1.0"
TextSource = Literal["ocr", "vlm", "import", "person"]
Verdict = Literal["verified", "silent", "unverified"]
Split = Literal["train", "held_out"]
SPLITS: tuple[Split, ...] = ("train", "held_out")


class PieceOfText(Contract):
    """One piece of literal text of a panel, in reading order; `kind` "other" where nobody said which it is."""

    kind: TextKind
    text: str
    source: TextSource
    confidence: Score
    speaker: str | None = None


class PanelEvidence(Contract):
    """What is written in a panel and what is told about it, and how far that is to be believed.

    `verdict`: "verified" when the text is surely this panel's own, "silent" when surely nothing is written in it,
    "unverified" otherwise, with the `reason`.
    """

    literal: list[PieceOfText] = Field(default=[])
    descriptive: str = ""
    characters: list[str] = Field(default=[])
    verdict: Verdict = "unverified"
    confidence: Score = 0.0
    reason: str | None = None

    @property
    def text(self) -> str:
        """The literal text, a piece a line."""
        return "\n".join(piece.text for piece in self.literal)


class SpecPanel(PanelEvidence):
    """One panel: where it stands, in reading order, with its text."""

    box: Box
    score: Score = 1.0


class SpecComic(Contract):
    """The comic a page comes from; `key` tells comics apart (sha256 of the file, or a name where there was none)."""

    key: str
    title: str
    file_name: str = ""


class SpecProvenance(Contract):
    """Who made what: model names and checkpoint hashes, None where nobody did or nobody knows."""

    layout: Literal["model", "import", "person"] = "model"
    detector: str | None = None
    ocr: str | None = None
    vlm: str | None = None


class DataSpec(Contract):
    """A page. `panels` are in reading order; boxes are `[x, y, w, h]` in pixels of the page as displayed.

    `perfect`: every panel has its own verified text or is verified silent. `equal_counts` is the older rule: as many
    panels were told about as were detected; None when nobody told.
    """

    version: Literal["1.0"] = VERSION
    comic: SpecComic
    number: int = Field(ge=0, description="0-based place of the page in its comic")
    name: str = ""
    image_sha256: str
    media_type: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    direction: Direction = Direction.LTR
    kind: LayoutKind
    panels: list[SpecPanel]
    perfect: bool
    equal_counts: bool | None = None
    provenance: SpecProvenance = SpecProvenance()


class DatasetLine(Contract):
    """One line of a dataset's `pages.jsonl`: a page and the side of the split it is on."""

    split: Split
    page: DataSpec


class DatasetSlice(Contract):
    """Some pages of a dataset; ask again with `after=next` until it is null."""

    items: list[DatasetLine]
    next: int | None
