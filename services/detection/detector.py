"""The detector as the rest of the service sees it: pictures in, page layouts out."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from services.detection.layouts import arrange, guess_direction
from services.detection.pages_ahead import Page, Ready, ahead, batches, made_ready
from shared.domain.pictures import Reduced
from shared.domain.schema import DetectedObject, Direction, PagePanels
from shared.domain.turning import turned
from shared.errors import Reject
from shared.nn.calibration import calibrated
from shared.nn.detector import load_detector, predict_shown, predict_tensors
from shared.nn.serving import half_of, pages_at_once, ready

WEIGHTS = Path(__file__).parent / "weights"
MOST_THREADS = 4  # that decode for one GPU
Wanted = Direction | Literal["auto"]


class Detector:
    """One loaded network; thread-safe as long as one thread predicts at a time."""

    def __init__(self, folder: Path = WEIGHTS, *, device: str = "cpu", pixels: int | None = None) -> None:
        """Loads the weights of `folder` onto a torch device; raises `Reject` when they are missing or damaged.

        `pixels` shows pages to the network at another area than its configuration says.
        """
        model, config = load_detector(folder)
        self.config = config if pixels is None else config.model_copy(update={"pixels": pixels})
        self.device = torch.device(device)
        self._model = ready(model, device)
        self._half, self.batch = half_of(device), pages_at_once(device, self.config)
        # A GPU eats pages faster than one thread decodes them, a processor core does not.
        self._threads = 1 if device == "cpu" else max(1, min(MOST_THREADS, (os.cpu_count() or 2) - 1))

    def see(
        self, images: Sequence[NDArray[np.uint8]], *, mirror: bool = False, cuts: bool = True
    ) -> list[list[DetectedObject]]:
        """Detections of RGB pages (H, W, 3), boxes in page pixels, scores as probabilities, best first.

        What recursive `cuts` of a page leave is judged by the network beside what it proposes itself.
        """
        return self._seen([self._ready(image, cuts=cuts) for image in images], mirror=mirror)

    def detect(self, images: Sequence[NDArray[np.uint8]], *, direction: Wanted = "auto") -> list[PagePanels]:
        """Layouts of the pages of one comic; "auto" decides one direction for all of them together."""
        return self._in_order(self._arranged([self._ready(image) for image in images]), direction)

    def detect_reduced(self, image: Reduced, *, direction: Wanted = "auto") -> PagePanels:
        """The layout of one page that was perhaps made smaller, in pixels of the whole page."""
        return self._in_order(self._arranged([made_ready(image, self.config)]), direction)[0]

    def detect_ahead(self, pages: Iterable[Page]) -> Iterator[PagePanels | Reject]:
        """Layouts of any number of pages, read from left to right, in order; or why a page cannot be decoded.

        The next pages are decoded and made smaller meanwhile; only a few are in memory, one of them at most large.
        """
        coming = ahead(pages, self.config, most=2 * self.batch + self._threads, threads=self._threads)
        for part in batches(coming, most=self.batch):
            found = iter(self._arranged([page for page in part if isinstance(page, Ready)]))
            yield from (page if isinstance(page, Reject) else next(found) for page in part)

    @torch.inference_mode()
    def forward(self, batches: Iterable[torch.Tensor]) -> None:
        """What the network alone does with pages (B, 3, h, w) in 0..1 on its device: the floor for all around it."""
        for batch in batches:
            predict_tensors(self._model, list(batch), half=self._half)

    def _ready(self, image: NDArray[np.uint8], *, cuts: bool = True) -> Ready:
        return made_ready(Reduced(image, image.shape[1], image.shape[0]), self.config, cuts=cuts)

    def _seen(self, pages: Sequence[Ready], *, mirror: bool = False) -> list[list[DetectedObject]]:
        shown = [page.shown for page in pages]
        found = predict_shown(self._model, shown, config=self.config, mirror=mirror, batch=self.batch, half=self._half)
        return [calibrated(objects, self.config.calibration) for objects in found]

    def _arranged(self, pages: Sequence[Ready]) -> list[PagePanels]:
        return [
            arrange(found, width=at.width, height=at.height, direction=Direction.LTR, image=at)
            for found, at in zip(self._seen(pages), (page.look for page in pages), strict=True)
        ]

    def _in_order(self, pages: list[PagePanels], direction: Wanted) -> list[PagePanels]:
        way = guess_direction(page.objects for page in pages) if direction == "auto" else direction
        return [turned(page, way) for page in pages]
