"""What a person says about the panels of a page, and what that changes of the layout it replaces."""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, model_validator

from shared.domain.schema import Box, Contract, Direction, LayoutKind, NoPanelReason

MOST_PANELS, MOST_OBJECTS = 200, 1000
Author = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
StatedReason = Literal["text", "blank", "pictures"]
LayoutId = Annotated[int, Field(ge=1, lt=1 << 63)]


def _numbers(given: Any) -> Any:
    """Four finite numbers, and nothing that could be taken for one: a text, a truth value."""
    sides = given if isinstance(given, list | tuple) else ()
    right = [isinstance(side, int | float) and not isinstance(side, bool) and abs(side) < math.inf for side in sides]
    if len(right) != 4 or not all(right):
        raise ValueError("a box is four finite numbers, [x, y, w, h]")
    return given


DrawnBox = Annotated[Box, BeforeValidator(_numbers)]


class CorrectedObject(Contract):
    """A character, a text or a face that a person has seen."""

    label: Literal["character", "text", "face"]
    box: DrawnBox


class PanelCorrection(Contract):
    """All panels of a page as a person says they are; boxes `[x, y, w, h]` in pixels of the page as displayed."""

    panels: list[DrawnBox] = Field(max_length=MOST_PANELS, description="in reading order; empty: the page has none")
    reorder: bool = Field(False, description="let the machine put the panels into reading order")
    direction: Direction | None = Field(None, description="which way the page is read; left out: as before")
    kind: LayoutKind | None = Field(
        None, description="left out: as the panels say; a lone panel may be a splash or not"
    )
    reason: StatedReason | None = Field(None, description="why there is no panel, where there is none")
    objects: list[CorrectedObject] | None = Field(
        None, max_length=MOST_OBJECTS, description="characters, texts and faces; left out: as before"
    )
    author: Author | None = Field(None, description="who says so")
    based_on: LayoutId | None = Field(
        None, description="the layout that was looked at: refused where another person has corrected it meanwhile"
    )
    force: bool = Field(False, description="even then")

    @model_validator(mode="after")
    def _consistent(self) -> "PanelCorrection":
        if not self.panels and self.reason is None:
            raise ValueError("a page without panels needs a reason: text, blank or pictures")
        if self.panels and self.reason is not None:
            raise ValueError(f"the reason {self.reason} says that there is no panel, and there are {len(self.panels)}")
        if self.kind is not None and (self.kind == "none") != (not self.panels):
            raise ValueError(f"the kind {self.kind} contradicts the number of panels, {len(self.panels)}")
        if self.kind == "splash" and len(self.panels) != 1:
            raise ValueError(f"a splash is one panel, not {len(self.panels)}")
        return self


class PanelChange(BaseModel):
    """What became of one panel; positions are 0-based places in reading order, null where the panel is not there."""

    what: Literal["kept", "moved", "added", "removed"]
    before: int | None
    now: int | None
    box_before: Box | None
    box_now: Box | None
    reordered: bool = Field(False, description="read earlier or later among the panels that stayed")


class ObjectChanges(BaseModel):
    """How many characters, texts and faces stayed, came and went; those that were moved came and went."""

    kept: int
    added: int
    removed: int


class LayoutChanges(BaseModel):
    """What a person changed of the layout that was active before; pairs are before and now, null where equal."""

    panels: list[PanelChange]
    direction: tuple[Direction | None, Direction] | None = None
    kind: tuple[LayoutKind | None, LayoutKind] | None = None
    reason: tuple[NoPanelReason | None, NoPanelReason | None] | None = None
    objects: ObjectChanges | None = None
