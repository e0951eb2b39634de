"""From what the detector saw on a page to the page's layout: which boxes are panels, in which order they are read."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from shared.domain.geometry import clip, intersection, iou
from shared.domain.reading_order import layout_kind, reading_order
from shared.domain.schema import Box, DetectedObject, Direction, ObjectLabel, PagePanels

FLOORS: dict[ObjectLabel, float] = {"panel": 0.6, "character": 0.5, "text": 0.5, "face": 0.5}
# A page whose best full-page box is this likely is one picture, where nothing smaller was found.
SPLASH_FLOOR = 0.3
SAME = {"panel": 0.5, "character": 0.6, "text": 0.4, "face": 0.4}
SMALLEST_PANEL = 0.006
COVERED = 0.75
# Panels overlap a little (slants, figures breaking out) or lie on another as insets; in between is a misread edge.
SCRAP, INSET, INSET_FLOOR = 0.5, 0.88, 0.7
TEXT_PAGE = 0.25
VERTICAL = 1.25


def arrange(found: Sequence[DetectedObject], *, width: int, height: int, direction: Direction) -> PagePanels:
    """The layout of a page of `width` × `height` pixels from raw detections in any order."""
    clipped = [o.model_copy(update={"box": clip(o.box, width, height)}) for o in found]
    candidates = [o for o in clipped if o.label == "panel" and o.box.area >= SMALLEST_PANEL * width * height]
    panels = _without_scraps(_without_groups(distinct(o for o in candidates if o.score >= FLOORS["panel"])))
    if not panels:
        whole = [o for o in candidates if layout_kind([o.box], width=width, height=height) == "splash"]
        panels = [o for o in whole if o.score >= SPLASH_FLOOR][:1]
    objects = [
        o
        for label in ("character", "text", "face")
        for o in distinct(o for o in clipped if o.label == label and o.score >= FLOORS[o.label] and o.box.area > 0)
    ]
    if _is_text_page(panels, [o.box for o in objects if o.label == "text"], width=width, height=height):
        panels = []
    order = reading_order([o.box for o in panels], direction=direction)
    return PagePanels(
        width=width,
        height=height,
        kind=layout_kind([o.box for o in panels], width=width, height=height),
        direction=direction,
        panels=[panels[k] for k in order],
        objects=objects,
    )


def _without_scraps(panels: list[DetectedObject]) -> list[DetectedObject]:
    """Drops boxes that lie half on a likelier panel, which no panel does, and unlikely ones wholly inside of one."""
    kept: list[DetectedObject] = []
    for o in sorted(panels, key=lambda o: -o.score):
        shares = [intersection(o.box, other.box) / o.box.area for other in kept if other.box.area > o.box.area]
        covered = max(shares, default=0.0)
        if covered < SCRAP or (covered >= INSET and o.score >= INSET_FLOOR):
            kept.append(o)
    return kept


def distinct(objects: Iterable[DetectedObject]) -> list[DetectedObject]:
    """Objects of one label, best first, without those that repeat a better one."""
    kept: list[DetectedObject] = []
    for o in sorted(objects, key=lambda o: -o.score):
        if all(iou(o.box, other.box) < SAME[o.label] for other in kept):
            kept.append(o)
    return kept


def _without_groups(panels: list[DetectedObject]) -> list[DetectedObject]:
    """Settles boxes around several other boxes: either the group is a panel or its members are, the likelier stays.

    An inset is no member of a group: it leaves most of its host uncovered.
    """
    kept = sorted(panels, key=lambda o: o.box.area)
    for whole in sorted(panels, key=lambda o: -o.box.area):
        if whole not in kept:
            continue
        parts = [o for o in kept if o is not whole and intersection(o.box, whole.box) >= 0.85 * o.box.area]
        if not parts or sum(o.box.area for o in parts) < COVERED * whole.box.area:
            continue
        if len(parts) > 1 and fmean(o.score for o in parts) >= whole.score * 0.8:
            kept = [o for o in kept if o is not whole]
        else:
            kept = [o for o in kept if o not in parts]
    return kept


def _is_text_page(panels: list[DetectedObject], texts: list[Box], *, width: int, height: int) -> bool:
    """A full-page panel that is mostly covered by lettering is a page of text on decorated paper, no picture."""
    if layout_kind([o.box for o in panels], width=width, height=height) != "splash":
        return False
    return sum(intersection(text, panels[0].box) for text in texts) >= TEXT_PAGE * panels[0].box.area


def guess_direction(pages: Iterable[Sequence[DetectedObject]]) -> Direction:
    """Reading direction from the pages alone: right to left where most lettering is vertical, else left to right."""
    texts: list[Box] = [
        o.box for page in pages for o in page if o.label == "text" and o.score >= FLOORS["text"] and o.box.area > 0
    ]
    vertical = sum(1 for box in texts if box.h > VERTICAL * box.w)
    return Direction.RTL if len(texts) >= 3 and vertical > 0.55 * len(texts) else Direction.LTR
