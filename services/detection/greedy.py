"""Panels one box after the other, likelier ones first: the plain way, against which the joint choice is measured."""

from collections.abc import Sequence
from statistics import fmean

from shared.domain.geometry import intersection, iou
from shared.domain.schema import Box

SAME = 0.5
COVERED = 0.75
# Panels overlap a little (slants, figures breaking out) or lie on another as insets; in between is a misread edge.
SCRAP, INSET, INSET_FLOOR = 0.5, 0.88, 0.7


def one_by_one(boxes: Sequence[Box], scores: Sequence[float], *, threshold: float) -> list[int]:
    """Indices of the panels: every likely box that no likelier one, group or member speaks against."""
    kept: list[int] = []
    for k in sorted(range(len(boxes)), key=lambda k: -scores[k]):
        if scores[k] >= threshold and all(iou(boxes[k], boxes[other]) < SAME for other in kept):
            kept.append(k)
    return sorted(_without_scraps(boxes, scores, _without_groups(boxes, scores, kept)))


def _without_groups(boxes: Sequence[Box], scores: Sequence[float], panels: list[int]) -> list[int]:
    """Settles boxes around several other boxes: either the group is a panel or its members are, the likelier stays.

    An inset is no member of a group: it leaves most of its host uncovered.
    """
    kept = list(panels)
    for whole in sorted(panels, key=lambda k: -boxes[k].area):
        if whole not in kept:
            continue
        parts = [k for k in kept if k != whole and intersection(boxes[k], boxes[whole]) >= 0.85 * boxes[k].area]
        if not parts or sum(boxes[k].area for k in parts) < COVERED * boxes[whole].area:
            continue
        if len(parts) > 1 and fmean(scores[k] for k in parts) >= scores[whole] * 0.8:
            kept.remove(whole)
        else:
            kept = [k for k in kept if k not in parts]
    return kept


def _without_scraps(boxes: Sequence[Box], scores: Sequence[float], panels: list[int]) -> list[int]:
    """Drops boxes that lie half on a likelier panel, which no panel does, and unlikely ones wholly inside of one."""
    kept: list[int] = []
    for k in sorted(panels, key=lambda k: -scores[k]):
        larger = [other for other in kept if boxes[other].area > boxes[k].area]
        covered = max((intersection(boxes[k], boxes[other]) / boxes[k].area for other in larger), default=0.0)
        if covered < SCRAP or (covered >= INSET and scores[k] >= INSET_FLOOR):
            kept.append(k)
    return kept
