"""Duplicates: groups of what looks the same, a suggestion whom to keep, and what a person decides."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from shared.domain.schema import Contract

# bytes: one comic that lies in several places; comic: the same comic from another source; page: near-identical pages of
# otherwise different comics.
DuplicateKind = Literal["bytes", "comic", "page"]
DUPLICATE_KINDS: tuple[DuplicateKind, ...] = ("bytes", "comic", "page")
# open: somebody is to decide; decided: one is kept; distinct: two that a person called distinct.
DuplicateState = Literal["open", "decided", "distinct"]
Ids = Annotated[list[Annotated[int, Field(ge=1)]], Field(max_length=200)]


class Duplicate(BaseModel):
    """One of a group: a file (`bytes`), a comic or a page, by its id of that kind."""

    id: int
    comic_id: int
    title: str = Field(description="the comic's")
    file_name: str
    source: str = Field(description="where the user has the comic from")
    collection: str = Field(description="the shelf it stands on; empty when none was named")
    location: str | None = Field(None, description="machine:path of the file; files only")
    page_number: int | None = Field(None, description="pages only")
    image: str | None = Field(description="address of the page's image, or of the comic's first")
    width: int | None = Field(None, description="pixels of the page, or of a usual one of the comic")
    height: int | None = None
    pages: int | None = Field(None, description="comics only")
    unreadable: int = Field(0, description="pages of the comic that could not be read")
    size: int = Field(description="bytes of the comic's file")
    hidden: bool = Field(description="put aside: no stage works on it and it is not found")
    added_at: datetime


class DuplicateGroup(BaseModel):
    """What looks the same. Decided: each but one is hidden, and nobody new has joined since.

    Distinct: two that look the same, or were thought to, and that a person told apart.
    """

    id: str = Field(description="kind and lowest id (of distinct ones both ids); stays while that one stays",
                    examples=["comic-12"])  # fmt: skip
    kind: DuplicateKind
    state: DuplicateState
    score: float = Field(description="how sure the least sure pair is, 0 to 1")
    keep: int | None = Field(description="id of the one to keep: suggested, or kept by a decision; distinct: null")
    why: str = Field(description="why that one, or none, in words")
    count: int = Field(description="members in all")
    members: list[Duplicate] = Field(description="the one to keep, then those still shown, at most 200")


class DuplicateSlice(BaseModel):
    """A slice of the groups; ask again with `after=next` until it is null."""

    items: list[DuplicateGroup]
    next: int | None


class DuplicateCounts(BaseModel):
    """Open groups of each kind, up to a bound; `more`: of some kind there are more than were counted."""

    comic: int
    page: int
    bytes: int
    more: bool


class DuplicateDecision(Contract):
    """One of three: keep one and hide others; call some distinct; undo what was decided about some, among each other.

    One id alone can be undone when it is hidden: it is shown again. Nothing is deleted by any of them.
    """

    kind: DuplicateKind
    keep: int | None = Field(None, ge=1)
    hide: Ids = Field([])
    distinct: Ids = Field([])
    undo: Ids = Field([])

    @model_validator(mode="after")
    def _one_of_three(self) -> "DuplicateDecision":
        hiding = self.keep is not None or bool(self.hide)
        if hiding + bool(self.distinct) + bool(self.undo) != 1:
            raise ValueError("send `keep` with `hide`, or `distinct`, or `undo`")
        if hiding and (self.keep is None or not self.hide):
            raise ValueError("`keep` and `hide` go together: one to keep, the others to hide")
        if self.keep in self.hide:
            raise ValueError(f"{self.keep} cannot be kept and hidden at once")
        if self.kind == "bytes" and self.distinct:
            raise ValueError("files of the same bytes are the same; there is nothing to tell apart")
        if len(set(self.distinct)) == 1:
            raise ValueError("name two or more that are distinct")
        return self


class DuplicateOutcome(BaseModel):
    """What a decision changed: how many pages it hid or showed again, and jobs by stage it removed or planned."""

    hidden_pages: int = 0
    shown_pages: int = 0
    removed: dict[str, int] = {}
    planned: dict[str, int] = {}


class PageChanges(Contract):
    """A person's own wish about a page."""

    hidden: bool = Field(description="true: no stage works on it and it is not found; false: shown, whatever hid it")
