"""Manners of drawing: everything a made page's look depends on, drawn once per page so that its panels agree."""

import io
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from services.training.generators.artwork import Colour, colour
from services.training.generators.textures import palette
from shared.domain.schema import Direction

BACKGROUNDS = ("texture", "flat", "paper", "night", "scene")


@dataclass(frozen=True)
class Style:
    """Lengths are shares of the page width; chances are 0..1; `margins` and `bleeds` are left, top, right, bottom."""

    aspect: float
    direction: Direction
    grey: bool
    paper: Colour
    textured_paper: bool
    margins: tuple[float, float, float, float]
    bleeds: tuple[bool, bool, bool, bool]
    gutter: float
    row_gutter: float
    slant: float
    slanted: float
    regular: float
    wobble: float
    rounded: float
    border: Colour
    border_width: float
    ink_width: float
    backgrounds: tuple[float, ...]
    tints: tuple[NDArray[np.float32], ...]
    tinted: float
    open_panels: float
    insets: float
    pop_outs: float
    letter: float
    vertical: bool
    invented: bool
    talk: float
    crossing: float
    effects: float
    dark_balloons: float
    tidy: bool = False

    def panels(self, rng: np.random.Generator, *, tall: float) -> int:
        """How many panels a page of this height to width ratio gets."""
        if tall > 1.9:
            return int(rng.integers(3, 10))
        return int(rng.choice(np.arange(1, 13), p=np.array([2, 4, 9, 12, 14, 14, 12, 10, 8, 6, 5, 4]) / 100))

    def background(self, rng: np.random.Generator) -> str:
        """The kind of background of one panel."""
        return str(rng.choice(BACKGROUNDS, p=np.array(self.backgrounds) / sum(self.backgrounds)))

    def border_line(self, rng: np.random.Generator, width: int) -> int:
        """Thickness of a panel's frame in pixels; 0 for none."""
        return int(self.border_width * width + float(rng.random()) * 0.5 + 0.5) if self.border_width else 0

    def ink_line(self, rng: np.random.Generator, width: int) -> int:
        """Thickness of a figure's outline in pixels."""
        return max(1, int(self.ink_width * width * float(rng.uniform(0.7, 1.4))))

    def balloons(self, rng: np.random.Generator) -> int:
        """How many pieces of speech one panel tries to hold."""
        if self.tidy:
            return int(rng.integers(1, 3))
        return int(rng.poisson(self.talk))

    def balloon(self, rng: np.random.Generator, *, spoken: bool) -> str:
        """The shape of one balloon."""
        if self.tidy:
            return str(rng.choice(["oval", "round"])) if spoken else "caption"
        if not spoken and rng.random() < 0.6:
            return "caption" if rng.random() < 0.8 else "plain"
        return str(
            rng.choice(["oval", "round", "spiked", "cloud", "caption", "plain"], p=[0.4, 0.2, 0.1, 0.1, 0.13, 0.07])
        )

    def balloon_colours(self, rng: np.random.Generator, *, caption: bool) -> tuple[Colour, Colour]:
        """Fill and ink of one balloon."""
        if self.tidy:
            return (255, 255, 255), (0, 0, 0)
        if rng.random() < self.dark_balloons:
            return ((10, 10, 14) if self.grey else colour(rng, 0, 70)), (250, 250, 250)
        if not self.grey and rng.random() < (0.5 if caption else 0.1):
            return colour(rng, 180, 256), (0, 0, 0)
        return (255, 255, 255), (0, 0, 0)

    def closed(self) -> "Style":
        """The same manner with framed panels only."""
        return replace(self, open_panels=0.0, rounded=0.0)


def invent(rng: np.random.Generator, *, direction: Direction | None) -> Style:
    """A manner of drawing: black and white manga, black and white album, or colour."""
    manga = rng.random() < 0.3
    grey = manga or rng.random() < 0.08
    aspect = float(rng.uniform(0.62, 0.8))
    odd = rng.random()
    if odd < 0.05:
        aspect = float(rng.uniform(0.22, 0.5))
    elif odd < 0.1:
        aspect = float(rng.uniform(1.1, 1.6))
    if direction is None:
        rtl = rng.random() < (0.75 if manga else 0.15)
        direction = Direction.RTL if rtl else Direction.LTR
    paper, textured = _paper(rng, grey=grey)
    border: Colour = (0, 0, 0) if sum(paper) > 200 or rng.random() < 0.15 else (255, 255, 255)
    if not grey and rng.random() < 0.12:
        border = colour(rng)
    border_width = float(rng.uniform(0.001, 0.009))
    gutter = float(
        rng.choice(
            [0.0, rng.uniform(0.002, 0.007), rng.uniform(0.008, 0.025), rng.uniform(0.025, 0.055)],
            p=[0.06, 0.12, 0.67, 0.15],
        )
    )
    if gutter > 0.007 and rng.random() < 0.3:
        border_width = 0.0
    margin = float(rng.choice([0.0, rng.uniform(0.005, 0.03), rng.uniform(0.03, 0.09)], p=[0.07, 0.33, 0.6]))
    margins = tuple(float(margin * v) for v in rng.uniform(0.7, 1.6, 4))
    bleeds = tuple(bool(b) for b in rng.random(4) < 0.5) if rng.random() < (0.4 if manga else 0.12) else (False,) * 4
    open_chance = 0.0
    if max(sum(paper), 0) > 600 and rng.random() < 0.28:
        open_chance = float(rng.uniform(0.1, 0.4))
    hand = rng.random()
    if grey:
        backgrounds = tuple(float(v) for v in rng.dirichlet([0.8, 0.15, 1.2, 0.3, 1.0]))
    else:
        backgrounds = tuple(float(v) for v in rng.dirichlet([1.8, 0.35, 0.12, 0.35, 1.4]))
    tints = tuple(palette(rng, colours=int(rng.integers(1, 4))))
    return Style(
        aspect=aspect,
        direction=direction,
        grey=grey,
        paper=paper,
        textured_paper=textured,
        margins=(margins[0], margins[1], margins[2], margins[3]),
        bleeds=(bleeds[0], bleeds[1], bleeds[2], bleeds[3]),
        gutter=gutter,
        row_gutter=float(rng.uniform(0.8, 2.2)) if manga else float(rng.uniform(0.8, 1.3)),
        slant=float(rng.uniform(0.03, 0.28)),
        slanted=float(rng.choice([0.0, 0.2, 0.7], p=[0.62, 0.23, 0.15])),
        regular=float(rng.uniform(0.1, 0.7)),
        wobble=float(rng.uniform(0.0005, 0.004)) if hand < 0.22 else 0.0,
        rounded=float(rng.uniform(0.01, 0.05)) if hand > 0.95 else 0.0,
        border=border,
        border_width=border_width,
        ink_width=float(rng.uniform(0.001, 0.005)),
        backgrounds=backgrounds,
        tints=tints,
        tinted=float(rng.choice([0.0, 0.4, 1.0])),
        open_panels=open_chance,
        insets=0.16,
        pop_outs=0.22,
        letter=float(rng.uniform(0.014, 0.03)),
        vertical=manga and bool(rng.random() < 0.6),
        invented=bool(rng.random() < 0.2),
        talk=float(rng.uniform(0.2, 1.9)),
        crossing=float(rng.choice([0.0, 0.1, 0.4])),
        effects=0.12,
        dark_balloons=float(rng.choice([0.02, 0.3], p=[0.85, 0.15])),
    )


def readable(rng: np.random.Generator) -> Style:
    """The manner of the demonstration comic: framed colour panels and clear lettering in white balloons."""
    base = invent(rng, direction=Direction.LTR)
    return replace(
        base, grey=False, paper=(255, 255, 255), textured_paper=False, border=(0, 0, 0), border_width=0.003, wobble=0.0,
        rounded=0.0, backgrounds=(0.4, 0.2, 0.0, 0.1, 0.3), tinted=0.6, open_panels=0.0, letter=0.024, vertical=False,
        invented=False, talk=1.6, effects=0.0, tidy=True,
    )  # fmt: skip


def _paper(rng: np.random.Generator, *, grey: bool) -> tuple[Colour, bool]:
    kind = rng.random()
    if kind < 0.62:
        v = int(rng.integers(244, 256))
        return (v, v, v), False
    if kind < 0.72:
        return (int(rng.integers(235, 255)), int(rng.integers(220, 245)), int(rng.integers(185, 225))), False
    if kind < 0.87:
        v = int(rng.integers(0, 22))
        return (v, v, v), False
    if grey:
        v = int(rng.integers(90, 235))
        return (v, v, v), False
    return colour(rng), bool(rng.random() < 0.4)


def aged(rng: np.random.Generator, image: Image.Image, style: Style) -> Image.Image:
    """What printing, scanning and saving do to a page."""
    if style.grey and rng.random() < 0.85:
        image = image.convert("L").convert("RGB")
    if rng.random() < 0.35:
        image = ImageEnhance.Contrast(image).enhance(float(rng.uniform(0.6, 1.3)))
    if rng.random() < 0.3:
        image = ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.6, 1.15)))
    if not style.grey and rng.random() < 0.25:
        image = ImageEnhance.Color(image).enhance(float(rng.uniform(0.2, 1.4)))
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.1))))
    if rng.random() < 0.2:
        grain = rng.normal(0, float(rng.uniform(2, 9)), (image.height, image.width, 1))
        image = Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))
    if rng.random() < 0.12:
        saved = io.BytesIO()
        image.save(saved, "JPEG", quality=int(rng.integers(25, 80)))
        image = Image.open(saved).convert("RGB")
    return image
