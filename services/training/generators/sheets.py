"""A page while it is made: its picture, the truth about it, and the lettering that stands outside of panels."""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from services.training.generators.artwork import Colour
from services.training.generators.lettering import lettering, sentence, write
from services.training.generators.styles import Style
from shared.domain.geometry import clip
from shared.domain.reading_order import layout_kind
from shared.domain.schema import Box, DetectedObject, ObjectLabel, PagePanels


@dataclass(frozen=True)
class MadePage:
    """A page with its truth; `texts[k]` holds the words lettered in panel k, in the order they were placed."""

    image: Image.Image
    truth: PagePanels
    texts: list[list[str]]


@dataclass
class Sheet:
    """A page being drawn: the picture, what stands on it and where lettering already is."""

    image: Image.Image
    style: Style
    panels: list[Box] = field(default_factory=list)
    texts: list[list[str]] = field(default_factory=list)
    objects: list[tuple[ObjectLabel, Box]] = field(default_factory=list)
    taken: list[Box] = field(default_factory=list)

    def add(self, label: ObjectLabel, box: Box, *, within: Box | None = None) -> None:
        """Records an object, clipped to the page and to `within`; dropped when little of it is left to see."""
        page = clip(box, self.image.width, self.image.height)
        if within is not None:
            left, top = max(page.x, within.x), max(page.y, within.y)
            right, bottom = min(page.right, within.right), min(page.bottom, within.bottom)
            page = Box(left, top, max(0.0, right - left), max(0.0, bottom - top))
        least = 0.4 if label == "face" else 0.12
        if page.w >= 4 and page.h >= 4 and page.area >= least * box.area:
            self.objects.append((label, page))

    def finished(self) -> MadePage:
        """The page with its truth as a contract."""
        kind = layout_kind(self.panels, width=self.image.width, height=self.image.height)
        truth = PagePanels(
            width=self.image.width,
            height=self.image.height,
            kind=kind,
            direction=self.style.direction,
            panels=[DetectedObject(label="panel", box=box, score=1.0) for box in self.panels],
            objects=[DetectedObject(label=label, box=box, score=1.0) for label, box in self.objects],
        )
        return MadePage(self.image, truth, self.texts)


def union(boxes: list[Box]) -> Box:
    x, y = min(b.x for b in boxes), min(b.y for b in boxes)
    return Box(x, y, max(b.right for b in boxes) - x, max(b.bottom for b in boxes) - y)


def cut(box: Box, within: Box) -> Box:
    x, y = min(max(box.x, within.x), within.right), min(max(box.y, within.y), within.bottom)
    return Box(x, y, max(0.0, min(box.right, within.right) - x), max(0.0, min(box.bottom, within.bottom) - y))


def contrast(sheet: Sheet) -> Colour:
    return (0, 0, 0) if sum(sheet.style.paper) > 380 else (245, 245, 240)


def heading(rng: np.random.Generator, sheet: Sheet, box: Box) -> None:
    size = max(10, int(min(box.h * 0.4, box.w * 0.1)))
    piece = lettering(rng, " ".join(sentence(rng).split()[-3:]), size=size, letters=16)
    if piece.width < box.w * 1.05 and piece.height < box.h * 1.1:
        centre = (box.x + box.w * float(rng.uniform(0.4, 0.6)), box.y + box.h / 2)
        sheet.add("text", write(rng, sheet.image, piece, centre=centre, ink=contrast(sheet)))


def paragraph(rng: np.random.Generator, sheet: Sheet, box: Box) -> None:
    size = max(6, int(sheet.image.width * float(rng.uniform(0.014, 0.035))))
    letters = max(6, int(box.w / (size * 0.6)))
    longest = max(1, int(box.h / (size * 1.2)))
    text = " ".join(sentence(rng) for _ in range(int(rng.integers(1, 14))))
    piece = lettering(
        rng,
        " ".join(text.split()[: longest * letters // 7 + 1]),
        size=size,
        letters=letters,
        invented=sheet.style.invented,
    )
    if piece.width > box.w * 1.1 or piece.height > box.h * 1.1:
        return
    centre = (box.x + box.w / 2, box.y + piece.height / 2)
    sheet.add("text", write(rng, sheet.image, piece, centre=centre, ink=contrast(sheet)))


def margin_words(rng: np.random.Generator, sheet: Sheet, frame: Box) -> None:
    """Page numbers and small print outside the panels."""
    if frame.bottom < sheet.image.height - 9 and rng.random() < 0.4:
        long = rng.random() < 0.3 and not sheet.style.vertical
        size = max(6, int(sheet.image.width * 0.018))
        piece = lettering(rng, sentence(rng) if long else str(int(rng.integers(1, 300))), size=size, letters=90)
        x = sheet.image.width * float(rng.choice([0.12, 0.5, 0.88] if not long else [0.5]))
        centre = (x, (frame.bottom + sheet.image.height) / 2)
        sheet.add("text", write(rng, sheet.image, piece, centre=centre, ink=contrast(sheet)))
