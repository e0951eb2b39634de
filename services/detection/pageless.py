"""Pages without panels, and why: nothing on them, lettering, single pictures, or something nobody recognised."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.detection.edges import Picture
from shared.domain.geometry import Array, intersection
from shared.domain.reading_order import layout_kind
from shared.domain.schema import Box, DetectedObject, NoPanelReason

# A pixel is drawn on when it differs so much from the paper; a page is blank below this share of them.
DRAWN, BLANK = 28, 0.0005
# Parts of the page's outer rows and columns that scanners and cutters spoil.
RIM = 0.02
# Lettering over this share of a full-page panel makes it a page of text.
LETTERING, LETTER = 0.25, 0.5
# A full-page panel less likely than this must hold more figures than lettering; so unlikely texts count there.
SURE, SEEN = 0.85, 0.25
# So few boxes, over less of the page than this, none with an outline shown so far, are no sequence of panels.
FEW, SPARSE, FRAMED = 3, 0.3, 0.7
# Pages so much higher than wide are strips, whose panels stand far apart and often without frames.
STRIP = 2.0
# Unlikely panels, and characters, that are single pictures on a page without panels.
LIKELY, PICTURE = 0.2, 0.3
# A page drawn on to these shares, between paper, carries pictures even where no object was recognised.
VIGNETTES = (0.003, 0.6)
# Pixels of the reduced page are told apart in blocks of so many a side: noise is drawn on everywhere, pictures are not.
BLOCK = 16

Mask = NDArray[np.bool_]


def is_text_page(panels: Sequence[DetectedObject], found: Sequence[DetectedObject], *, width: int, height: int) -> bool:
    """A full-page panel mostly covered by lettering is a page of text on decorated paper, no picture.

    One that is unlikely itself is no picture either where more of the page is lettering than figures: credits on a
    drawn scroll, a page of letters with a vignette. Real splashes are hardly ever unlikely.
    """
    if layout_kind([o.box for o in panels], width=width, height=height) != "splash":
        return False
    lettering = sum(intersection(o.box, panels[0].box) for o in found if o.label == "text" and o.score >= SEEN)
    figures = sum(o.box.area for o in found if o.label == "character" and o.score >= PICTURE)
    if panels[0].score < SURE and lettering > figures:
        return True
    sure = sum(intersection(o.box, panels[0].box) for o in found if o.label == "text" and o.score >= LETTER)
    return sure >= LETTERING * panels[0].box.area


def are_vignettes(panels: Sequence[Box], shown: Callable[[Sequence[Box]], Array], *, width: int, height: int) -> bool:
    """Whether boxes are single pictures or letters on paper, as on title pages: little of the page, and none framed.

    `shown` tells how much of each one's least shown side the picture shows.
    """
    if not 0 < len(panels) <= FEW or height > STRIP * width:
        return False
    return sum(box.area for box in panels) < SPARSE * width * height and bool((shown(panels) < FRAMED).all())


def reason_for_none(found: Sequence[DetectedObject], *, width: int, height: int, drawn: Mask | None) -> NoPanelReason:
    """Why a page has no panels, from all that was seen on it and, where its picture is at hand, what is drawn on."""
    if drawn is not None and drawn.mean() < BLANK:
        return "blank"
    lettering = sum(o.box.area for o in found if o.label == "text" and o.score >= PICTURE)
    pictured = max(
        (
            o.box.area
            for o in found
            if (o.label in ("character", "face") and o.score >= PICTURE)
            or (o.label == "panel" and o.score >= LIKELY and o.box.area < 0.6 * width * height)
        ),
        default=0.0,
    )
    if lettering > pictured:
        return "text"
    if pictured > 0:
        return "pictures"
    if drawn is not None and VIGNETTES[0] <= _blocks(drawn) <= VIGNETTES[1]:
        return "pictures"
    return "nothing_seen"


def drawing(page: Picture) -> Mask:
    """Which pixels of a page differ from its paper, (h, w); the outermost ones, which scanners spoil, never do."""
    height, width = page.shape[:2]
    y, x = int(RIM * height), int(RIM * width)
    midst = page[y : height - y, x : width - x]
    edges = np.concatenate([midst[0], midst[-1], midst[:, 0], midst[:, -1]])
    paper = np.median(edges, axis=0).astype(int)
    drawn = np.zeros((height, width), np.bool_)
    for channel, level in enumerate(paper.tolist()):
        low, high = max(0, level - DRAWN), min(255, level + DRAWN)
        values = midst[:, :, channel]
        drawn[y : height - y, x : width - x] |= (values < low) | (values > high)
    return drawn


def _blocks(drawn: Mask) -> float:
    """Share of the blocks of a page that are drawn on."""
    height, width = (side - side % BLOCK for side in drawn.shape)
    if not height or not width:
        return 1.0
    blocks = drawn[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return float(blocks.any(axis=(1, 3)).mean())
