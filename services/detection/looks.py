"""A page's picture made ready for questions, once for all who ask: reduced, cut, and told apart from its paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from services.detection.cuts import Cutting, cut_boxes, prepared
from services.detection.edges import Picture, outlines, reduced, snapped
from services.detection.pageless import Mask, drawing
from shared.domain.geometry import Array, stretched
from shared.domain.schema import Box


@dataclass(frozen=True)
class Look:
    """A page of `width` × `height` pixels, seen; boxes are the page's. What is asked for is worked out once.

    `image` is as large as edges are looked for in it, at most the page itself; `page` is what it is reduced to.
    """

    width: int
    height: int
    image: Picture
    page: Picture

    @cached_property
    def cutting(self) -> Cutting:
        """The page prepared for cutting."""
        return prepared(self.page, width=self.width, height=self.height)

    @cached_property
    def cuts(self) -> list[Box]:
        """What recursive cuts leave of it."""
        return cut_boxes(self.cutting)

    @cached_property
    def drawn(self) -> Mask:
        """Which pixels of the reduced page differ from its paper."""
        return drawing(self.page)

    def drawn_share(self, box: Box) -> float:
        """Which share of a box differs from the paper."""
        small = self._on(self.page, box)
        part = self.drawn[int(small.y) : int(small.bottom) + 1, int(small.x) : int(small.right) + 1]
        return float(part.mean()) if part.size else 0.0

    def outlines(self, boxes: Sequence[Box]) -> Array:
        """How much of its least shown side every box has in the picture, (N,) 0..1."""
        return outlines(self.page, [self._on(self.page, box) for box in boxes])

    def snapped(self, boxes: Sequence[Box]) -> list[Box]:
        """The boxes with their sides on the gutters and lines next to them."""
        height, width = self.image.shape[:2]
        if (width, height) == (self.width, self.height):
            return snapped(self.image, boxes)
        across, down = self.width / width, self.height / height
        there = snapped(self.image, [self._on(self.image, box) for box in boxes])
        return [stretched(box, across=across, down=down) for box in there]

    def _on(self, picture: Picture, box: Box) -> Box:
        height, width = picture.shape[:2]
        return stretched(box, across=width / self.width, down=height / self.height)


def look_at(image: Picture, *, width: int | None = None, height: int | None = None) -> Look:
    """The look of a page from its picture, RGB (h, w, 3), which may be smaller than the page if its size is given."""
    return Look(width or image.shape[1], height or image.shape[0], image, reduced(image))
