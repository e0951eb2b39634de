"""Which panel the characters, faces and texts of a page belong to, and who speaks which text.

Geometry alone, from boxes: what lies on an inset belongs to it and not to the panel below, what hangs between two
panels to the one that holds its middle. A text is spoken by the nearest face, or by the head of a character whose face
is not seen; a caption at the edge of its panel, with nobody near, by none.
"""

from collections.abc import Iterator, Sequence
from math import hypot

from shared.domain.geometry import intersection
from shared.domain.schema import Box, DetectedObject

# A panel is an inset of another when this share of it lies there, and has an object of which it holds nearly as much.
INSET, AS_GOOD = 0.5, 0.9
# A text that reaches into a panel with less than this share of it floats beside it.
TOUCHED = 0.1
# A face belongs to a character that holds this share of it.
WORN = 0.6
# Text outside all panels belongs to the nearest within this many of its own heights.
FLOATING = 1.0
# How far from its text a speaker may stand, in diagonals of the panel: from anywhere, from the panel's edge, and
# in another panel where nobody is in its own; an edge is as near as this share of the panel's height.
REACH, EDGE_REACH, OTHER_REACH, EDGE = 0.6, 0.4, 0.12, 0.04
# Tails point down more often than up: a speaker above the text is so much farther away.
UPWARDS = 1.6


def assign(panels: Sequence[Box], objects: Sequence[DetectedObject]) -> list[int | None]:
    """For every object the index of the panel it belongs to, None for what stands outside of all.

    A character belongs where its largest share is, a face where its character does, a text where its middle is.
    """
    places: list[int | None] = [None] * len(objects)
    for k, o in enumerate(objects):
        places[k] = _text_panel(panels, o.box) if o.label == "text" else _largest_share(panels, o.box)
    for k, o in enumerate(objects):
        wearer = _wearer(objects, k) if o.label == "face" else None
        at = places[wearer] if wearer is not None else None
        if at is not None and intersection(panels[at], o.box) >= o.box.area / 2:
            places[k] = at
    return places


def speakers(panels: Sequence[Box], objects: Sequence[DetectedObject]) -> dict[int, int]:
    """For texts that somebody plausibly speaks, by index, the index of the speaking face, or character without one."""
    places = assign(panels, objects)
    heads = dict(_heads(objects))
    found: dict[int, int] = {}
    for k, o in enumerate(objects):
        if o.label != "text":
            continue
        at = places[k]
        ground = panels[at] if at is not None else o.box
        across = hypot(ground.w, ground.h)
        reach = across * (EDGE_REACH if at is None or _at_edge(o.box, ground) else REACH)
        here = [h for h in heads if places[h] == at]
        near = [h for h in here or heads if _distance(o.box, heads[h]) <= (reach if here else across * OTHER_REACH)]
        if near:
            found[k] = min(near, key=lambda h: (_distance(o.box, heads[h]), _between_middles(o.box, heads[h])))
    return found


def _largest_share(panels: Sequence[Box], box: Box, *, among: Sequence[int] | None = None) -> int | None:
    """The panel that holds most of a box, or the smallest panel within that one that holds nearly as much."""
    shares = {k: intersection(panels[k], box) for k in (range(len(panels)) if among is None else among)}
    most = max(shares.values(), default=0.0)
    if most <= 0:
        return None
    best = max(shares, key=lambda k: (shares[k], -panels[k].area))
    insets = [
        k
        for k in shares
        if shares[k] >= AS_GOOD * most and intersection(panels[k], panels[best]) >= INSET * panels[k].area
    ]
    return min(insets, key=lambda k: panels[k].area)


def _text_panel(panels: Sequence[Box], box: Box) -> int | None:
    x, y = box.x + box.w / 2, box.y + box.h / 2
    middle = [k for k, p in enumerate(panels) if p.x <= x <= p.right and p.y <= y <= p.bottom]
    at = _largest_share(panels, box, among=middle or None)
    if at is not None and intersection(panels[at], box) >= TOUCHED * box.area:
        return at
    near = [k for k, panel in enumerate(panels) if _apart(panel, box) <= FLOATING * box.h]
    return min(near, key=lambda k: (_apart(panels[k], box), k)) if near else None


def _wearer(objects: Sequence[DetectedObject], face: int) -> int | None:
    """The smallest character that a face lies on."""
    box = objects[face].box
    around = [
        k for k, o in enumerate(objects) if o.label == "character" and intersection(o.box, box) >= WORN * box.area > 0
    ]
    return min(around, key=lambda k: objects[k].box.area) if around else None


def _heads(objects: Sequence[DetectedObject]) -> Iterator[tuple[int, Box]]:
    """Who could speak: every face, and the upper half of every character without one."""
    seen = {_wearer(objects, k) for k, o in enumerate(objects) if o.label == "face"}
    for k, o in enumerate(objects):
        if o.label == "face":
            yield k, o.box
        elif o.label == "character" and k not in seen:
            yield k, Box(o.box.x, o.box.y, o.box.w, o.box.h / 2)


def _distance(text: Box, head: Box) -> float:
    """From the lower edge of a text to a head; dearer where the head is above that edge."""
    across = max(0.0, head.x - text.right, text.x - head.right)
    down = max(0.0, head.y - text.bottom)
    up = max(0.0, text.y - head.bottom)
    return hypot(across, down + up * UPWARDS)


def _between_middles(a: Box, b: Box) -> float:
    return hypot(a.x + a.w / 2 - b.x - b.w / 2, a.y + a.h / 2 - b.y - b.h / 2)


def _apart(a: Box, b: Box) -> float:
    return hypot(max(0.0, a.x - b.right, b.x - a.right), max(0.0, a.y - b.bottom, b.y - a.bottom))


def _at_edge(text: Box, panel: Box) -> bool:
    """Whether a text stands at the upper or lower edge of its panel, as captions do."""
    near = EDGE * panel.h
    return text.y - panel.y <= near or panel.bottom - text.bottom <= near
