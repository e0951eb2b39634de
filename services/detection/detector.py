"""The detector as the rest of the service sees it: pictures in, page layouts out."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.detection.layouts import arrange, guess_direction
from shared.domain.schema import DetectedObject, Direction, PagePanels
from shared.nn.detector import load_detector, predict

WEIGHTS = Path(__file__).parent / "weights"
Wanted = Direction | Literal["auto"]


class Detector:
    """One loaded network; thread-safe as long as one thread predicts at a time."""

    def __init__(self, folder: Path = WEIGHTS, *, device: str = "cpu") -> None:
        """Loads the weights of `folder` onto a torch device; raises `Reject` when they are missing or damaged."""
        self._model, self._config = load_detector(folder)
        self._model.to(device)

    def see(self, images: list[NDArray[np.uint8]], *, mirror: bool = False) -> list[list[DetectedObject]]:
        """Raw detections of RGB pages (H, W, 3), boxes in page pixels, best score first."""
        return predict(self._model, images, config=self._config, mirror=mirror)

    def detect(self, images: list[NDArray[np.uint8]], *, direction: Wanted = "auto") -> list[PagePanels]:
        """Layouts of the pages of one comic; "auto" decides one direction for all of them together."""
        seen = self.see(images)
        way = guess_direction(seen) if direction == "auto" else direction
        return [
            arrange(found, width=image.shape[1], height=image.shape[0], direction=way)
            for found, image in zip(seen, images, strict=True)
        ]
