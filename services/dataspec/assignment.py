"""Which panel a line of text, or a VLM's answer, belongs to: by geometry alone."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from shared.domain.geometry import as_array, intersection, iou_matrix
from shared.domain.schema import (
    Box,
    Direction,
    PageReading,
    PanelReading,
    TextLine,
)
from shared.domain.text import group_lines

REACH = 1.0  # how far outside a panel a line may lie and still be its own, in units of the line's thickness
SAME_PANEL = 0.5  # boxes that overlap (IoU) by more are one panel in two layouts


def assign_lines(
    lines: Sequence[TextLine], panels: Sequence[Box], *, direction: Direction
) -> tuple[list[list[TextLine]], list[TextLine]]:
    """Lines of a page by panel, and those that belong to none, both in reading order.

    A line goes to the panel that contains most of it, of nested ones to the innermost; a line outside every panel
    goes with the rest of its balloon, else to a panel within a line's thickness (balloons stick out of their panels).
    Boxes are `[x, y, w, h]` in the same pixels. The result has one list per panel, in the panels' order.
    """
    owned: list[list[TextLine]] = [[] for _ in panels]
    unassigned: list[TextLine] = []
    for block in group_lines(lines, direction=direction):
        owners = [_containing(line.box, panels) for line in block]
        for line, owner in zip(block, owners, strict=True):
            if owner is None:
                owner = _of_balloon(line, block, owners)
            if owner is None:
                owner = _nearest(line.box, panels)
            (unassigned if owner is None else owned[owner]).append(line)
    return [list(chain.from_iterable(group_lines(own, direction=direction))) for own in owned], unassigned


def _containing(box: Box, panels: Sequence[Box]) -> int | None:
    """The panel holding most of `box`; of those that hold about as much, the smallest."""
    shares = [intersection(box, panel) / box.area if box.area > 0 else 0.0 for panel in panels]
    most = max(shares, default=0.0)
    if most <= 0:
        return None
    return min((i for i, share in enumerate(shares) if share >= 0.8 * most), key=lambda i: panels[i].area)


def _of_balloon(line: TextLine, block: Sequence[TextLine], owners: Sequence[int | None]) -> int | None:
    """The panel of the assigned line of the same balloon that is nearest to `line`."""
    known = [
        (_gap(line.box, other.box), owner) for other, owner in zip(block, owners, strict=True) if owner is not None
    ]
    return min(known)[1] if known else None


def _nearest(box: Box, panels: Sequence[Box]) -> int | None:
    gap, panel = min(((_gap(box, panel), i) for i, panel in enumerate(panels)), default=(0.0, None))
    return panel if gap <= REACH * min(box.w, box.h) else None


def _gap(a: Box, b: Box) -> float:
    """Pixels between the nearest edges of two boxes; 0 when they touch."""
    dx = max(a.x - b.right, b.x - a.right, 0.0)
    dy = max(a.y - b.bottom, b.y - a.bottom, 0.0)
    return float((dx**2 + dy**2) ** 0.5)


def answers_by_panel(
    reading: PageReading | None, asked: Sequence[Box], panels: Sequence[Box]
) -> list[PanelReading | None]:
    """For each panel the answer about it, by box: the best overlapping pairs first, each box once.

    `asked` are the boxes of the answers' numbers; an answer about a box that is no panel of this layout (IoU below one
    half) is not carried over. Raises `ValueError` when a number lies beyond them.
    """
    answers: list[PanelReading | None] = [None] * len(panels)
    if reading is None:
        return answers
    by_number = {answer.number: answer for answer in reading.panels}
    if by_number and max(by_number) > len(asked):
        raise ValueError(f"the reading names panel {max(by_number)} of {len(asked)}")
    overlap = iou_matrix(as_array(asked), as_array(panels))
    pairs = sorted(zip(*np.nonzero(overlap >= SAME_PANEL), strict=True), key=lambda pair: -overlap[pair])
    free = set(range(len(asked)))
    for box, panel in pairs:
        if box in free and answers[panel] is None:
            free.discard(box)
            answers[panel] = by_number.get(box + 1)
    return answers


def told(answer: PanelReading) -> str:
    """What an answer tells about its panel: the description, and the characters it does not name."""
    description = answer.description.strip()
    unnamed = [name for name in answer.characters if name.strip() and name.casefold() not in description.casefold()]
    return "\n".join(part for part in (description, ", ".join(unnamed)) if part)
