"""What a run trains on: pages with their panels cut out, shrunk once, and their text joined as the search joins it.

A page without panels (text, credits, an advertisement) is left out: no objective says anything about it. Page numbers
stay those of the comic, so that the pages before and after it are not taken for neighbours.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.training.generators.stories import make_story
from shared.domain.dataspec import DataSpec
from shared.domain.pictures import crop, decode
from shared.domain.schema import Box, Direction
from shared.errors import NotFound, Reject
from shared.nn.layout_features import LayoutFeatures

Picture = NDArray[np.uint8]
DETAIL = 1.5  # how much finer than the network's pictures they are kept, for views that show a part


@dataclass(frozen=True, eq=False)
class CorpusPanel:
    """One panel: `crop` (S', S', 3) uint8 RGB, squeezed to a square as the encoder does; `text` None when silent."""

    crop: Picture
    layout: LayoutFeatures
    text: str | None


@dataclass(frozen=True, eq=False)
class CorpusPage:
    """One page: its comic, its 0-based number in it, its panels in reading order, `thumb` (S', S', 3) of the whole."""

    comic: str
    number: int
    panels: tuple[CorpusPanel, ...]
    thumb: Picture
    direction: Direction = Direction.LTR


@dataclass(frozen=True, eq=False)
class Corpus:
    """Pages, those of a comic side by side in their order; every page has a panel."""

    pages: tuple[CorpusPage, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Identifies pictures, places, texts and order."""
        mark = hashlib.sha256()
        for page in self.pages:
            mark.update(repr((page.comic, page.number, page.direction, len(page.panels))).encode())
            mark.update(page.thumb.tobytes())
            for panel in page.panels:
                mark.update(panel.crop.tobytes() + panel.layout.vector().tobytes() + repr(panel.text).encode())
        return mark.hexdigest()

    @property
    def texts(self) -> int:
        """Number of panels with text."""
        return sum(panel.text is not None for page in self.pages for panel in page.panels)

    def __add__(self, other: "Corpus") -> "Corpus":
        return Corpus((*self.pages, *other.pages))


def corpus_of_specs(specs: Iterable[DataSpec], picture_of: Callable[[str], bytes], *, size: int) -> Corpus:
    """The pages of DataSpecs, for a network that sees pictures of `size`; `picture_of` gives the bytes of a sha256.

    Reject, naming the page, for an image that cannot be read or is not as large as its DataSpec says.
    """
    pages = []
    for spec in sorted(specs, key=lambda spec: (spec.comic.key, spec.number)):
        if not spec.panels:
            continue
        name = f"page {spec.number + 1} of {spec.comic.title}"
        try:
            picture = decode(picture_of(spec.image_sha256), name=name)
        except NotFound as error:
            raise Reject(f"The image of {name} is no longer kept; freeze a new dataset.") from error
        texts = ["\n".join(part for part in (panel.text, panel.descriptive) if part.strip()) for panel in spec.panels]
        # Boxes are in the DataSpec's pixels; a copy of the page at another size shows the same panels.
        across, down = picture.shape[1] / spec.width, picture.shape[0] / spec.height
        boxes = [Box(b.x * across, b.y * down, b.w * across, b.h * down) for b in (p.box for p in spec.panels)]
        pages.append(
            _page(spec.comic.key, spec.number, picture, boxes=boxes, texts=texts, direction=spec.direction, size=size)
        )
    return Corpus(tuple(pages))


def corpus_of_stories(seeds: Iterable[int], *, size: int) -> Corpus:
    """The pages of made stories, one comic a seed, for a network that sees pictures of `size`."""
    pages = []
    for seed in seeds:
        story = make_story(seed)
        for number, made in enumerate(page for page in story.pages if page.panels):
            texts = ["\n".join([*(text.text for text in panel.texts), panel.description]) for panel in made.panels]
            boxes = [panel.box for panel in made.panels]
            pages.append(
                _page(
                    f"made story {seed}", number, np.asarray(made.image), boxes=boxes, texts=texts,
                    direction=made.truth.direction, size=size,
                )
            )  # fmt: skip
    return Corpus(tuple(pages))


def _page(
    comic: str, number: int, picture: Picture, *, boxes: list[Box], texts: list[str], direction: Direction, size: int
) -> CorpusPage:
    height, width = picture.shape[:2]
    return CorpusPage(
        comic=comic,
        number=number,
        panels=tuple(
            CorpusPanel(
                _shrunk(crop(picture, box), size),
                LayoutFeatures(box, width, height, position, len(boxes)),
                text if text.strip() else None,
            )
            for position, (box, text) in enumerate(zip(boxes, texts, strict=True))
        ),
        thumb=_shrunk(picture, size),
        direction=direction,
    )


def picture_bytes(size: int) -> int:
    """Memory that one picture takes, at most, for a network that sees pictures of `size`."""
    return 3 * round(DETAIL * size) ** 2


def _shrunk(picture: Picture, size: int) -> Picture:
    side = max(8, min(round(DETAIL * size), max(picture.shape[:2])))
    image = Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.array(image)
