"""From what the detector saw on a page to the page's layout: which boxes are panels, in which order they are read.

Scores are taken for probabilities; `Detector.see` calibrates them. Where the page's picture is at hand its pixels are
asked as well; without it boxes are chosen by score and fit alone, and keep the sides that the detector gave them.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from services.detection.edges import Picture
from services.detection.evidence import hole_gains, picture_gains, score_gains
from services.detection.greedy import one_by_one
from services.detection.looks import Look, look_at
from services.detection.pageless import are_vignettes, is_text_page, reason_for_none
from services.detection.rules import Rules
from services.detection.selection import best_set
from shared.domain.geometry import clip, iou
from shared.domain.panel_contents import assign, speakers
from shared.domain.reading_order import layout_kind, reading_order
from shared.domain.schema import Box, DetectedObject, Direction, ObjectLabel, PagePanels
from shared.nn.calibration import log_odds

FLOORS: dict[ObjectLabel, float] = {"panel": 0.5, "character": 0.5, "text": 0.5, "face": 0.5}
# Below this probability nothing that the picture shows makes a box a panel.
LEAST = 0.08
# A page whose best full-page box is this likely is one picture, where nothing smaller was found.
SPLASH_FLOOR = 0.3
SAME = {"panel": 0.5, "character": 0.6, "text": 0.4, "face": 0.4}
SMALLEST_PANEL = 0.006
VERTICAL = 1.25
OTHERS: tuple[ObjectLabel, ...] = ("character", "text", "face")
ALL = Rules()


def arrange(
    found: Sequence[DetectedObject],
    *,
    width: int,
    height: int,
    direction: Direction,
    image: Picture | Look | None = None,
    rules: Rules = ALL,
) -> PagePanels:
    """The layout of a page of `width` × `height` pixels from detections in any order.

    `image` is the page as RGB, perhaps made smaller, or the look taken at it already. A page without panels says why.
    """
    # Sorted, so that of equally likely boxes the same one wins in whatever order they come.
    found = sorted(found, key=lambda o: (-o.score, o.label, o.box))
    clipped = [o.model_copy(update={"box": clip(o.box, width, height)}) for o in found]
    look = look_at(image, width=width, height=height) if isinstance(image, np.ndarray) else image
    objects = [
        o
        for label in OTHERS
        for o in distinct(o for o in clipped if o.label == label and o.score >= FLOORS[o.label] and o.box.area > 0)
    ]
    candidates = [
        o for o in clipped if o.label == "panel" and o.score >= LEAST and o.box.area >= SMALLEST_PANEL * width * height
    ]
    panels = _panels(candidates, look, width=width, height=height, rules=rules)
    if rules.pageless and _no_sequence(panels, clipped, look, width=width, height=height):
        panels = []
    if rules.snap and look is not None:
        moved = look.snapped([o.box for o in panels])
        panels = [o.model_copy(update={"box": box}) for o, box in zip(panels, moved, strict=True)]
    boxes = [o.box for o in panels]
    order = reading_order(boxes, direction=direction, width=width, height=height)
    panels, boxes = [panels[k] for k in order], [boxes[k] for k in order]
    return PagePanels(
        width=width,
        height=height,
        kind=layout_kind(boxes, width=width, height=height),
        reason=None
        if panels
        else reason_for_none(clipped, width=width, height=height, drawn=look.drawn if look else None),
        direction=direction,
        panels=panels,
        objects=_placed(objects, boxes),
    )


def _panels(
    candidates: list[DetectedObject], look: Look | None, *, width: int, height: int, rules: Rules
) -> list[DetectedObject]:
    boxes, scores = [o.box for o in candidates], [o.score for o in candidates]
    gains = score_gains(scores, rules)
    if look is not None:
        gains += picture_gains(boxes, look, rules)
    if rules.jointly:
        chosen = best_set(boxes, gains.tolist())
        if rules.holes and look is not None:
            filled = gains + hole_gains(boxes, chosen, look)
            chosen = best_set(boxes, filled.tolist())
    else:
        chosen = one_by_one(boxes, scores, threshold=rules.threshold)
    if not chosen:
        whole = [k for k, box in enumerate(boxes) if layout_kind([box], width=width, height=height) == "splash"]
        likely = [k for k in whole if gains[k] >= float(log_odds(SPLASH_FLOOR) - log_odds(rules.threshold))]
        chosen = sorted(likely, key=lambda k: -gains[k])[:1]
    return [candidates[k] for k in chosen]


def _no_sequence(
    panels: list[DetectedObject], found: list[DetectedObject], look: Look | None, *, width: int, height: int
) -> bool:
    """Whether what was taken for panels is a page of lettering, or single pictures on paper."""
    if is_text_page(panels, found, width=width, height=height):
        return True
    boxes = [o.box for o in panels]
    return look is not None and are_vignettes(boxes, look.outlines, width=width, height=height)


def _placed(objects: list[DetectedObject], panels: list[Box]) -> list[DetectedObject]:
    """The objects with the panel that each belongs to and the speaker of every text that somebody says."""
    said = speakers(panels, objects)
    return [
        o.model_copy(update={"panel": panel, "speaker": said.get(k)})
        for k, (o, panel) in enumerate(zip(objects, assign(panels, objects), strict=True))
    ]


def distinct(objects: Iterable[DetectedObject]) -> list[DetectedObject]:
    """Objects of one label, best first, without those that repeat a better one."""
    kept: list[DetectedObject] = []
    for o in sorted(objects, key=lambda o: -o.score):
        if all(iou(o.box, other.box) < SAME[o.label] for other in kept):
            kept.append(o)
    return kept


def guess_direction(pages: Iterable[Sequence[DetectedObject]]) -> Direction:
    """Reading direction from the pages alone: right to left where most lettering is vertical, else left to right."""
    texts: list[Box] = [
        o.box for page in pages for o in page if o.label == "text" and o.score >= FLOORS["text"] and o.box.area > 0
    ]
    vertical = sum(1 for box in texts if box.h > VERTICAL * box.w)
    return Direction.RTL if len(texts) >= 3 and vertical > 0.55 * len(texts) else Direction.LTR
