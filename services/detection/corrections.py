"""What a person says about a page's panels becomes a layout, and what it changes of the one before is told apart."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from shared.domain.corrections import LayoutChanges, ObjectChanges, PanelChange, PanelCorrection
from shared.domain.geometry import as_array, clip, iou_matrix
from shared.domain.panel_contents import assign, speakers
from shared.domain.reading_order import layout_kind, reading_order
from shared.domain.schema import Box, DetectedObject, Direction, PagePanels
from shared.errors import Reject

# Pixels: what a box may stick out of the page, by how much two panels differ at least, the smallest side.
OUTSIDE, DISTINCT, SMALLEST = 2.0, 0.5, 1.0
# A panel was kept if none of its edges went further than this, in pixels; it is another if it overlaps by less (IoU).
STILL, SAME_PANEL = 1.0, 0.3
DIGITS = 2  # of pixels that are kept, so that what was read can be sent again and is the same


def corrected(
    said: PanelCorrection, *, width: int, height: int, direction: Direction, before: PagePanels | None
) -> PagePanels:
    """The layout that a person means; `before` is the one it replaces, `direction` how the page is read if nobody says.

    Everything a person draws is certain; objects that are kept, or sent as they were, keep their scores and go to the
    new panels. `Reject`
    names the panel or object that cannot be.
    """
    boxes = [
        _placed(box, f"Panel {number}", width=width, height=height) for number, box in enumerate(said.panels, start=1)
    ]
    _distinct(boxes)
    way = said.direction or (before.direction if before is not None else direction)
    if said.reorder:
        boxes = [boxes[k] for k in reading_order(boxes, direction=way, width=width, height=height)]
    if said.objects is not None:
        scores = {_told(seen): seen.score for seen in before.objects} if before is not None else {}
        drawn = [
            DetectedObject(
                label=seen.label,
                box=_placed(seen.box, f"The {seen.label} at place {place}", width=width, height=height),
                score=1.0,
            )
            for place, seen in enumerate(said.objects)
        ]
        objects = [seen.model_copy(update={"score": scores.get(_told(seen), 1.0)}) for seen in drawn]
    else:
        objects = list(before.objects) if before is not None else []
    return PagePanels(
        width=width,
        height=height,
        kind=said.kind or layout_kind(boxes, width=width, height=height),
        reason=said.reason,
        direction=way,
        panels=[DetectedObject(label="panel", box=box, score=1.0) for box in boxes],
        objects=_with_hosts(objects, boxes),
    )


def _with_hosts(objects: Sequence[DetectedObject], panels: Sequence[Box]) -> list[DetectedObject]:
    """Objects with the panel each belongs to, and texts with who says them."""
    spoken = speakers(panels, objects)
    return [
        seen.model_copy(update={"panel": panel, "speaker": spoken.get(k)})
        for k, (seen, panel) in enumerate(zip(objects, assign(panels, objects), strict=True))
    ]


def same(a: PagePanels, b: PagePanels) -> bool:
    """Whether two layouts say the same, scores aside."""

    def told(layout: PagePanels) -> tuple[object, ...]:
        panels = [_rounded(panel.box) for panel in layout.panels]
        objects = [_told(seen) for seen in layout.objects]
        return layout.kind, layout.reason, layout.direction, panels, objects

    return told(a) == told(b)


def changes(before: PagePanels | None, now: PagePanels) -> LayoutChanges:
    """What became of every panel: those of now in reading order, then those that were removed."""
    old = [panel.box for panel in before.panels] if before is not None else []
    new = [panel.box for panel in now.panels]
    pairs = _matched(old, new)
    stayed = _in_order([pairs[k] for k in sorted(pairs)])
    told = []
    for k, box in enumerate(new):
        if k not in pairs:
            told.append(PanelChange(what="added", before=None, now=k, box_before=None, box_now=box))
            continue
        was = old[pairs[k]]
        still = max(abs(a - b) for a, b in zip(_edges(was), _edges(box), strict=True)) <= STILL
        told.append(
            PanelChange(
                what="kept" if still else "moved",
                before=pairs[k],
                now=k,
                box_before=was,
                box_now=box,
                reordered=pairs[k] not in stayed,
            )
        )
    gone = sorted(set(range(len(old))) - set(pairs.values()))
    told += [PanelChange(what="removed", before=k, now=None, box_before=old[k], box_now=None) for k in gone]
    way, kind, reason = (before.direction, before.kind, before.reason) if before is not None else (None, None, None)
    return LayoutChanges(
        panels=told,
        direction=(way, now.direction) if way != now.direction else None,
        kind=(kind, now.kind) if kind != now.kind else None,
        reason=(reason, now.reason) if reason != now.reason else None,
        objects=_object_changes(before.objects if before is not None else [], now.objects),
    )


def _placed(box: Box, what: str, *, width: int, height: int) -> Box:
    """The box inside the page, to a hundredth of a pixel."""
    shown = f"{what}, [{', '.join(f'{side:g}' for side in box)}],"
    if box.w <= 0 or box.h <= 0:
        raise Reject(f"{shown} has no area: width and height must be above 0.")
    out = max(-box.x, -box.y, box.right - width, box.bottom - height)
    if out > OUTSIDE:
        raise Reject(f"{shown} reaches {out:g} pixels out of the page, which is {width} × {height}.")
    inside = _rounded(clip(box, width, height))
    if inside.w < SMALLEST or inside.h < SMALLEST:
        raise Reject(f"{shown} is smaller than a pixel on the page.")
    return inside


def _distinct(boxes: Sequence[Box]) -> None:
    for b, box in enumerate(boxes):
        for a in range(b):
            if max(abs(one - other) for one, other in zip(boxes[a], box, strict=True)) < DISTINCT:
                raise Reject(f"Panels {a + 1} and {b + 1} are the same box; send each panel once.")


def _rounded(box: Box) -> Box:
    return Box(*(round(side, DIGITS) for side in box))


def _told(seen: DetectedObject) -> tuple[str, Box]:
    return seen.label, _rounded(seen.box)


def _edges(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.right, box.bottom


def _matched(old: Sequence[Box], new: Sequence[Box]) -> dict[int, int]:
    """New panels and the old ones they were, the surest pairs first."""
    overlap = iou_matrix(as_array(new), as_array(old))
    pairs: dict[int, int] = {}
    while overlap.size and overlap.max() >= SAME_PANEL:
        k, was = (int(place) for place in np.unravel_index(overlap.argmax(), overlap.shape))
        pairs[k] = was
        overlap[k, :] = overlap[:, was] = 0.0
    return pairs


def _in_order(places: Sequence[int]) -> set[int]:
    """The most of these distinct numbers that stand in rising order: what was not reordered."""
    tails: list[int] = []
    chains: dict[int, tuple[int, ...]] = {}
    for place in places:
        length = bisect_left(tails, place)
        chains[place] = (*(chains[tails[length - 1]] if length else ()), place)
        tails[length : length + 1] = [place]
    return set(chains[tails[-1]]) if tails else set()


def _object_changes(before: Sequence[DetectedObject], now: Sequence[DetectedObject]) -> ObjectChanges | None:
    old, new = {_told(seen) for seen in before}, {_told(seen) for seen in now}
    if old == new:
        return None
    return ObjectChanges(kept=len(old & new), added=len(new - old), removed=len(old - new))
