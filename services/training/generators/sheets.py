"""A page while it is made: its picture, the truth about it, and the lettering that stands outside of panels."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from services.training.generators.artwork import Colour
from services.training.generators.features import ALL, Features
from services.training.generators.fonts import BODY, LOUD
from services.training.generators.lettering import Hand, Lettering, invent_hand, lettering, sentence, signs, write
from services.training.generators.made import MadePage, Mark, MarkKind
from services.training.generators.material import Material, Piece
from services.training.generators.styles import Style
from shared.domain.geometry import clip, intersection, iou
from shared.domain.reading_order import layout_kind
from shared.domain.schema import Box, DetectedObject, ObjectLabel, PagePanels


@dataclass(eq=False)
class Draft:
    """Something on a page that is being drawn.

    `box` is the detector's: what is seen of a figure, or the letters; `outline` is the mark's: a balloon's own. `whole`
    is the box before clipping, `home` the outline of the panel it belongs to.
    """

    label: ObjectLabel
    kind: MarkKind
    box: Box
    outline: Box
    whole: Box
    home: Box | None = None
    speaker: "Draft | None" = None
    text: str = ""


@dataclass
class Sheet:
    """A page being drawn: the picture, what stands on it and where lettering already is."""

    image: Image.Image
    style: Style
    panels: list[Box] = field(default_factory=list)
    texts: list[list[str]] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    taken: list[Box] = field(default_factory=list)
    features: Features = ALL
    material: Material | None = None
    hand: Hand | None = None

    @property
    def objects(self) -> list[tuple[ObjectLabel, Box]]:
        """What a detector is to find besides panels."""
        return [(draft.label, draft.box) for draft in self.drafts]

    def add(self, label: ObjectLabel, box: Box, *, within: Box | None = None) -> Draft | None:
        """Records an object, clipped to the page and to `within`; dropped (None) when little of it is left to see."""
        part = clip(box, self.image.width, self.image.height)
        if within is not None:
            part = cut(part, within)
        least = 0.4 if label == "face" else 0.12
        if part.w < 4 or part.h < 4 or part.area < least * box.area or label == "panel":
            return None
        draft = Draft(label, "lettering" if label == "text" else label, part, part, box, home=within)
        self.drafts.append(draft)
        return draft

    def add_spoken(
        self,
        kind: MarkKind,
        *,
        words: Box,
        outline: Box,
        text: str,
        home: Box | None = None,
        speaker: Box | None = None,
    ) -> None:
        """Records lettering: its words, its outline, the panel it belongs to and who says it.

        `speaker` is the unclipped box of the character drawn.
        """
        said = self.add("text", words)
        if said is None:
            return
        said.kind, said.home, said.text = kind, home, text
        said.outline = clip(outline, self.image.width, self.image.height)
        if speaker is not None:
            said.speaker = next((d for d in self.drafts if d.label == "character" and d.whole == speaker), None)

    def cover(self, box: Box, *, most: float | None = None) -> None:
        """Forgets what can hardly be seen once something opaque lies on `box`: what it hides by more than `most`."""
        share = {"face": 0.55, "character": 0.9, "text": 0.5}
        self.drafts = [
            draft
            for draft in self.drafts
            if intersection(draft.box, box) <= (most or share[draft.label]) * draft.box.area
        ]

    def move(self, moved: Callable[[Box], Box]) -> None:
        """Takes everything but the panels to where a scan that lies askew puts it."""
        width, height = self.image.size
        for draft in self.drafts:
            draft.box = clip(moved(draft.box), width, height)
            draft.outline = clip(moved(draft.outline), width, height)
            draft.home = None if draft.home is None else clip(moved(draft.home), width, height)
        self.drafts = [draft for draft in self.drafts if min(draft.box.w, draft.box.h) >= 4]

    def real(self, rng: np.random.Generator, *, width: int, height: int) -> Piece | None:
        """A piece of real drawn pages for a panel of this size, by chance, where there is material."""
        if self.material is None or not self.features.material or rng.random() >= self.style.material:
            return None
        return self.material.piece(rng, width, height, grey=self.style.grey)

    def add_real(self, piece: Piece, *, left: float, top: float, within: Box, behind: list[Box]) -> None:
        """Records what is seen on a piece whose corner lies at (left, top), but for what `behind` boxes mostly hide."""
        for label, part in piece.objects:
            box = Box(part.x + left, part.y + top, part.w, part.h)
            if all(intersection(box, front) < 0.5 * box.area for front in behind):
                self.add(label, box, within=within)
                if label == "text":
                    self.taken.append(box)

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
        return MadePage(self.image, truth, self.texts, self._marks(), self.style.manner)

    def _marks(self) -> list[Mark]:
        place = {id(draft): k for k, draft in enumerate(self.drafts)}
        return [
            Mark(draft.kind, draft.outline, self._panel(draft), place.get(id(draft.speaker)), draft.text)
            for draft in self.drafts
        ]

    def _panel(self, draft: Draft) -> int | None:
        """The panel that is the draft's home, or else the smallest one that holds most of it."""
        if draft.home is not None and self.panels:
            best = max(range(len(self.panels)), key=lambda k: iou(draft.home or draft.box, self.panels[k]))
            if intersection(draft.home, self.panels[best]) > 0.5 * self.panels[best].area:
                return best
        area = draft.outline.area
        holding = [k for k, panel in enumerate(self.panels) if intersection(panel, draft.outline) > 0.5 * area]
        return min(holding, key=lambda k: self.panels[k].area) if holding else None


def union(boxes: list[Box]) -> Box:
    x, y = min(b.x for b in boxes), min(b.y for b in boxes)
    return Box(x, y, max(b.right for b in boxes) - x, max(b.bottom for b in boxes) - y)


def cut(box: Box, within: Box) -> Box:
    x, y = min(max(box.x, within.x), within.right), min(max(box.y, within.y), within.bottom)
    return Box(x, y, max(0.0, min(box.right, within.right) - x), max(0.0, min(box.bottom, within.bottom) - y))


def contrast(sheet: Sheet) -> Colour:
    return (0, 0, 0) if sum(sheet.style.paper) > 380 else (245, 245, 240)


def hand_of(rng: np.random.Generator, sheet: Sheet) -> Hand:
    """The hand in which the page's speech is lettered, chosen when the first of it is."""
    if sheet.hand is None:
        sheet.hand = invent_hand(rng, vertical=sheet.style.vertical, foreign=sheet.style.invented)
    return sheet.hand


def _letter(
    rng: np.random.Generator, sheet: Sheet, piece: Lettering, *, centre: tuple[float, float], align: str = "middle"
) -> None:
    box = write(rng, sheet.image, piece, centre=centre, ink=contrast(sheet), align=align)
    sheet.add_spoken("lettering", words=box, outline=box, text=piece.text)


def heading(rng: np.random.Generator, sheet: Sheet, box: Box) -> None:
    """A title in the box; nothing where it would not fit."""
    size = max(10, int(min(box.h * 0.4, box.w * 0.1)))
    text = " ".join(sentence(rng).split()[-3:])
    if sheet.style.tidy:
        piece = lettering(rng, text, size=size, letters=16)
    elif sheet.style.vertical and rng.random() < 0.7:
        hand = replace(hand_of(rng, sheet), vertical=False)
        piece = signs(rng, hand, size=size, widest=box.w, tallest=box.h, count=1)
    else:
        hand = Hand(
            LOUD[int(rng.integers(len(LOUD)))], upper=bool(rng.random() < 0.7), slant=float(rng.choice([0, 0.2]))
        )
        piece = lettering(rng, text, size=size, letters=16, hand=hand)
    if piece.width < box.w * 1.05 and piece.height < box.h * 1.1:
        centre = (box.x + box.w * float(rng.uniform(0.4, 0.6)), box.y + box.h / 2)
        _letter(rng, sheet, piece, centre=centre)


def paragraph(rng: np.random.Generator, sheet: Sheet, box: Box) -> None:
    """Body text from the top of the box; nothing where it would not fit."""
    size = max(6, int(sheet.image.width * float(rng.uniform(0.014, 0.035))))
    hand = invent_hand(
        rng, vertical=sheet.style.vertical and rng.random() < 0.8, foreign=sheet.style.invented, body=True
    )
    if hand.script != "latin":
        count = max(1, int((box.w if hand.vertical else box.h) / (size * hand.spacing) * float(rng.uniform(0.2, 1))))
        piece = signs(rng, hand, size=size, widest=box.w, tallest=box.h, count=count)
    else:
        letters = max(6, int(box.w / (size * 0.55)))
        longest = max(1, int(box.h / (size * hand.spacing)))
        text = " ".join(sentence(rng) for _ in range(int(rng.integers(1, 14))))
        text = " ".join(text.split()[: longest * letters // 7 + 1])
        piece = lettering(rng, text, size=size, letters=letters, hand=hand)
    if piece.width > box.w * 1.1 or piece.height > box.h * 1.1:
        return
    align = "left" if rng.random() < 0.5 else "middle"
    centre = (box.x + (piece.width / 2 if align == "left" else box.w / 2), box.y + piece.height / 2)
    _letter(rng, sheet, piece, centre=centre, align=align)


def margin_words(rng: np.random.Generator, sheet: Sheet, frame: Box) -> None:
    """Page numbers and small print outside the panels."""
    if frame.bottom < sheet.image.height - 9 and rng.random() < 0.4:
        long = rng.random() < 0.3 and not sheet.style.vertical
        size = max(6, int(sheet.image.width * 0.018))
        text = sentence(rng) if long else str(int(rng.integers(1, 300)))
        hand = Hand(BODY[int(rng.integers(len(BODY)))], upper=False)
        piece = lettering(rng, text, size=size, letters=90, hand=hand)
        x = sheet.image.width * float(rng.choice([0.12, 0.5, 0.88] if not long else [0.5]))
        _letter(rng, sheet, piece, centre=(x, (frame.bottom + sheet.image.height) / 2))
