"""What a file of panels states about images, whatever its format; and what that comes to on a page of ours."""

import math
from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, get_args

from services.detection.layouts import FLOORS, distinct
from shared.domain.corrections import MOST_OBJECTS, MOST_PANELS
from shared.domain.geometry import clip, stretched
from shared.domain.panel_contents import assign, speakers
from shared.domain.reading_order import layout_kind, reading_order
from shared.domain.schema import (
    OBJECT_LABELS,
    Box,
    DetectedObject,
    Direction,
    LayoutKind,
    NoPanelReason,
    ObjectLabel,
    PagePanels,
)
from shared.errors import Reject

OUTSIDE = 2.0  # pixels of its image that a box may stick out of it
STRETCH = 0.02  # by how much the shapes of two sizes of one picture may differ
LARGEST = 1e6  # pixels of a side
FLAWS = ("has no usable box", "has no usable score")


@dataclass(frozen=True, kw_only=True, slots=True)
class StatedImage:
    """An image of a file: its id there as text, the path it had, and what is said of it as a whole."""

    key: str
    path: str
    width: float | None = None
    height: float | None = None
    sha256: str | None = None
    direction: Direction | None = None
    kind: LayoutKind | None = None
    reason: NoPanelReason | None = None
    error: str | None = None


@dataclass(slots=True)
class StatedObjects:
    """What is seen on an image, as numbers: label, x, y, w, h, score and place in reading order (-1: none is said)."""

    numbers: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, label: ObjectLabel, box: Box, score: float, place: int = -1) -> None:
        """One more object."""
        self.numbers.extend((OBJECT_LABELS.index(label), *box, score, place))

    def __iter__(self) -> Iterator[tuple[DetectedObject, int]]:
        for k in range(0, len(self.numbers), 7):
            label, *sides, score, place = self.numbers[k : k + 7]
            yield DetectedObject(label=OBJECT_LABELS[int(label)], box=Box(*sides), score=score), int(place)


class StatedFile(Protocol):
    """A file of panels, read twice: who is in it, then what is seen on those that matter.

    `left_out` counts what could not be used, by reason, once `objects` has been asked.
    """

    left_out: Counter[str]

    def images(self) -> Iterator[StatedImage]:
        """Every image of the file. `Reject` when the file is not of its format, or is damaged."""
        ...

    def objects(self, wanted: Collection[str]) -> Mapping[str, StatedObjects]:
        """What is seen on these images, by their ids; one on which nothing is seen may be left out."""
        ...


def layout_of(image: StatedImage, seen: StatedObjects, *, width: int, height: int, direction: Direction) -> PagePanels:
    """The layout that is stated for a page of `width` × `height` pixels; `Reject` says why there is none.

    The order is the file's where it gives every panel a place of its own, else ours. Boxes of the same picture in
    another size are stretched.
    """
    across, down = _scale(image, width=width, height=height)
    panels: list[tuple[DetectedObject, int]] = []
    others: list[DetectedObject] = []
    for seen_object, place in seen:
        whole = stretched(seen_object.box, across=across, down=down)
        _require_inside(whole, seen_object, width=width, height=height)
        box = clip(whole, width, height)
        if box.area <= 0 or (place < 0 and seen_object.score < FLOORS[seen_object.label]):
            continue
        here = seen_object.model_copy(update={"box": box})
        if seen_object.label == "panel":
            panels.append((here, place))
        else:
            others.append(here)
    if len(panels) > MOST_PANELS or len(others) > MOST_OBJECTS:
        raise Reject(f"it has {len(panels)} panels and {len(others)} other objects; no page has so many")
    if not panels and image.kind != "none":
        raise Reject("it states no panel, and does not say that the page has none")
    places = [place for _, place in panels]
    ordered = len(set(places)) == len(places) and min(places, default=0) >= 0
    if ordered:
        panels.sort(key=lambda one: one[1])
        chosen = [panel for panel, _ in panels]
    else:
        chosen = distinct(panel for panel, _ in panels)
        order = reading_order([o.box for o in chosen], direction=direction, width=width, height=height)
        chosen = [chosen[k] for k in order]
    boxes = [o.box for o in chosen]
    said = speakers(boxes, others)
    kind = layout_kind(boxes, width=width, height=height)
    if image.kind is not None and (image.kind == "none") == (not boxes) and (image.kind != "splash" or len(boxes) == 1):
        kind = image.kind
    return PagePanels(
        width=width,
        height=height,
        kind=kind,
        reason=(image.reason or "nothing_seen") if not boxes else None,
        direction=direction,
        panels=chosen,
        objects=[
            o.model_copy(update={"panel": panel, "speaker": said.get(k)})
            for k, (o, panel) in enumerate(zip(others, assign(boxes, others), strict=True))
        ],
    )


def _scale(image: StatedImage, *, width: int, height: int) -> tuple[float, float]:
    if image.width is None or image.height is None:
        return 1.0, 1.0
    across, down = width / image.width, height / image.height
    if abs(across / down - 1) <= STRETCH:
        return across, down
    turned = "turned since" if abs(width / image.height * image.width / height - 1) <= STRETCH else "another picture"
    raise Reject(f"its page is {width} × {height}, its image was {image.width:g} × {image.height:g}: {turned}")


def _require_inside(box: Box, seen: DetectedObject, *, width: int, height: int) -> None:
    out = max(-box.x, -box.y, box.right - width, box.bottom - height)
    if out > OUTSIDE * max(1.0, box.w / seen.box.w, box.h / seen.box.h):
        shown = ", ".join(f"{side:g}" for side in seen.box)
        raise Reject(f"its {seen.label} [{shown}] is not on the page, which is {width} × {height}")


def box_of(given: Any) -> Box | None:
    """Four finite numbers with an area as a box, else None."""
    if not isinstance(given, list) or len(given) != 4 or not all(_is_number(side) for side in given):
        return None
    box = Box(*(float(side) for side in given))
    return box if box.w > 0 and box.h > 0 and max(abs(side) for side in box) < LARGEST else None


def score_of(given: Any) -> float | None:
    """A score between 0 and 1, else None."""
    return float(given) if _is_number(given) and 0 <= given <= 1 else None


def side_of(given: Any) -> float | None:
    """A width or a height, else None."""
    return float(given) if _is_number(given) and 0 < given < LARGEST else None


def direction_of(given: Any) -> Direction | None:
    """A direction, else None."""
    return Direction(given) if isinstance(given, str) and given in tuple(Direction) else None


def one_of(given: Any, kind: Any) -> Any:
    """The value where it is one of a Literal's, else None."""
    return given if isinstance(given, str) and given in get_args(kind) else None


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
