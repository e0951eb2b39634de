"""What came of an import of panels."""

from typing import Literal

from pydantic import BaseModel, Field

# `added`, `unchanged` and `outranked` are matched to a page; the others are not taken in.
Status = Literal["added", "unchanged", "outranked", "ambiguous", "orphaned", "refused"]
STATUSES: tuple[Status, ...] = ("added", "unchanged", "outranked", "ambiguous", "orphaned", "refused")


class ImportExample(BaseModel):
    """An image of the file, the page it is, and why it was not taken in."""

    image: str
    page_id: int | None = None
    reason: str | None = None


class PanelImport(BaseModel):
    """What came of the images of a file, by status, with a few examples of each."""

    file: str
    dry_run: bool = Field(description="nothing was stored")
    images: int
    matched: int = Field(description="images that are a page; told below as added, unchanged, outranked or refused")
    by: dict[str, int] = Field(description="how they were matched: mapping, content, look or path")
    comics: int = Field(description="comics with a page that was matched")
    counts: dict[Status, int] = Field(
        description="added: a new layout, in force; unchanged: it was there; outranked: stored, but a person's layout "
        "stays; ambiguous: several pages; orphaned: no page; refused: says why"
    )
    left_out: dict[str, int] = Field(description="parts of the file that could not be used, by reason")
    examples: dict[Status, list[ImportExample]]
