"""Batches of pages for the panel detector: made ones, and real ones where the training was given some."""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.models.detection import FasterRCNN

from services.training.generators.features import ALL, Features
from services.training.generators.made import MadePage
from services.training.generators.material import Material, RealPage
from services.training.generators.pages import make_page
from shared.domain.schema import Box, DetectedObject, ObjectLabel
from shared.nn.detector import fitted_size, predict
from shared.nn.detector_config import DetectorConfig

Target = dict[str, Tensor]
Picture = tuple[Image.Image, list[DetectedObject]]  # a page with everything a detector should find on it
AT_ONCE = 8  # pages in memory while they are measured
SMALLEST = 3  # pixels; what is less to see is no object


class DetectorBatches(Dataset[tuple[Tensor, list[Target]]]):
    """Batch k of a seed: pages of one shape, so that nothing is padded; (B, 3, H, W) uint8 and the targets."""

    def __init__(
        self,
        *,
        seed: int,
        pages: int,
        config: DetectorConfig,
        material: Material | None = None,
        made: float = 1.0,
        scales: tuple[float, float] = (0.5, 1.25),
        features: Features = ALL,
    ) -> None:
        """`pages` a batch, of which the share `made` is made and the rest real; `scales` of the area at which the
        detector will see pages.
        """
        self.seed, self.pages, self.config = seed, pages, config
        self.material, self.made, self.scales, self.features = material, made, scales, features

    def __getitem__(self, step: int) -> tuple[Tensor, list[Target]]:
        rng = np.random.default_rng([self.seed, step])
        aspect = self._aspect(rng)
        area = int(self.config.pixels * float(rng.uniform(*self.scales)))
        shown = self.config.model_copy(update={"pixels": area})
        tall = 1000
        width, height = fitted_size(round(tall * aspect), tall, shown)
        pictures, targets = [], []
        for _ in range(self.pages):
            page = self._page(rng, aspect=aspect, long_side=600 if aspect > 0.5 else 900)
            picture, target = resized(page, width=width, height=height, config=self.config)
            pictures.append(picture)
            targets.append(target)
        return torch.stack(pictures), targets

    def _aspect(self, rng: np.random.Generator) -> float:
        """Width to height: mostly of book pages, at times of strips and spreads, at times of a real page."""
        odd = rng.random()
        book, strip, spread = rng.uniform(0.62, 0.8), rng.uniform(0.22, 0.5), rng.uniform(1.1, 1.6)
        if self.material is not None and rng.random() > self.made:
            real = self.material.pages[int(rng.integers(len(self.material.pages)))]
            return float(np.clip(real.width / real.height, 0.2, 3.0))
        return float(strip if odd < 0.06 else spread if odd < 0.11 else book)

    def _page(self, rng: np.random.Generator, *, aspect: float, long_side: int) -> MadePage:
        if self.material is not None and rng.random() > self.made:
            page = self.material.page(rng, long_side)
            if 0.75 < page.image.width / page.image.height / aspect < 1.33:
                return page
        seed = int(rng.integers(0, 2**48))
        return make_page(seed, long_side=long_side, aspect=aspect, features=self.features, material=self.material)


def resized(page: MadePage, *, width: int, height: int, config: DetectorConfig) -> tuple[Tensor, Target]:
    """A page as (3, height, width) uint8 and its truth in those pixels: boxes (n, 4) as corners, labels (n,)."""
    across, up = width / page.image.width, height / page.image.height
    pixels = np.asarray(page.image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0))
    boxes, labels = [], []
    for seen in [*page.truth.panels, *page.truth.objects]:
        b = seen.box
        if b.w * across >= SMALLEST and b.h * up >= SMALLEST:
            boxes.append([b.x * across, b.y * up, b.right * across, b.bottom * up])
            labels.append(config.labels.index(seen.label) + 1)
    target = {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1), target


def whole_page(page: RealPage, *, long_side: int) -> Picture:
    """An annotated page as it is, no side longer than `long_side`."""
    with Image.open(page.path) as file:
        file.draft("RGB", (long_side, long_side))
        image = file.convert("RGB")
    image.thumbnail((long_side, long_side))
    scale = image.width / page.width
    marks: list[tuple[ObjectLabel, Box]] = [*(("panel", box) for box in page.panels), *page.objects]
    return image, [DetectedObject(label=label, box=Box(*(v * scale for v in box)), score=1.0) for label, box in marks]


def looked_at(
    model: FasterRCNN, pages: Iterable[Picture], *, config: DetectorConfig
) -> tuple[list[list[DetectedObject]], list[list[DetectedObject]]]:
    """What there is to find and what a network finds, page by page; few pages are in memory at a time."""
    truth, found = list[list[DetectedObject]](), list[list[DetectedObject]]()
    rest = iter(pages)
    while some := list(islice(rest, AT_ONCE)):
        truth += [true for _, true in some]
        found += predict(model, [np.asarray(image) for image, _ in some], config=config)
    return truth, found


def truth_of(page: MadePage) -> list[DetectedObject]:
    """Everything a detector should find on a page."""
    return [*page.truth.panels, *page.truth.objects]


def fingerprint(material: Material | None) -> str:
    """Which real pages, with which truth: a sha256."""
    pages: Sequence[object] = [] if material is None else [(p.path.name, p.panels, p.objects) for p in material.pages]
    return hashlib.sha256(repr(pages).encode()).hexdigest()
