"""Where a panel stands on its page, as numbers a network can use."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain.schema import Box
from shared.errors import Reject

LAYOUT_FEATURES = 11


@dataclass(frozen=True)
class LayoutFeatures:
    """A panel's box (page pixels), its page's size in pixels, and its place among the page's panels.

    `position` counts from 0 in reading order, `count` is the number of panels on the page.
    """

    box: Box
    page_width: float
    page_height: float
    position: int
    count: int

    def vector(self) -> NDArray[np.float32]:
        """The (LAYOUT_FEATURES,) features, each within about -1 to 1.

        0-3: x, y, w, h in fractions of the page. 4, 5: centre x, y. 6: log of the panel's aspect w / h, over log 8.
        7: log of its share of the page's area, 1 for the whole page and -1 for a hundredth of it. 8: position in
        reading order, first to last; the middle when it is alone. 9: log of the number of panels, -1 for one and 1 for
        twelve. 10: log of the page's aspect, over log 4. Fractions are spread from 0..1 to -1..1; logs are clipped.
        Reject when a number is not finite or no panel of a page could have it.
        """
        x, y, w, h = (float(value) for value in self.box)
        sizes = (w, h, self.page_width, self.page_height)
        if not all(map(math.isfinite, (x, y, *sizes))) or min(sizes) <= 0 or not 0 <= self.position < self.count:
            raise Reject(f"A panel at {tuple(self.box)} as number {self.position + 1} of {self.count} is no panel.")
        x, w = x / self.page_width, w / self.page_width
        y, h = y / self.page_height, h / self.page_height
        fractions = [x, y, w, h, x + w / 2, y + h / 2]
        logs = [
            math.log(self.box.w / self.box.h) / math.log(8),
            1 + math.log(w * h) / math.log(10),
            2 * self.position / (self.count - 1) - 1 if self.count > 1 else 0.0,
            2 * math.log(self.count) / math.log(12) - 1,
            math.log(self.page_width / self.page_height) / math.log(4),
        ]
        return np.clip([*(2 * value - 1 for value in fractions), *logs], -1.5, 1.5).astype(np.float32)
