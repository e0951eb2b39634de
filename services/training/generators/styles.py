"""Manners of drawing: everything a made page's look depends on, drawn once per page so that its panels agree."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from services.training.generators.artists import Artist, invent_artist
from services.training.generators.artwork import Colour, colour
from services.training.generators.features import ALL, Features
from shared.domain.schema import Direction

Manner = Literal["manga", "album", "american", "strip", "webtoon"]
Ground = Literal["plain", "texture", "gradient", "faded", "picture"]


@dataclass(frozen=True)
class Style:
    """Lengths are shares of the page width; chances are 0..1; `margins` and `bleeds` are left, top, right, bottom.

    `ground` says what the gutters show. `row_gutter` is the height of a gutter between rows as a multiple of `gutter`,
    `divider` the thickness in pixels of a line drawn where there is no gutter at all.
    """

    manner: Manner
    aspect: float
    direction: Direction
    grey: bool
    paper: Colour
    ground: Ground
    margins: tuple[float, float, float, float]
    bleeds: tuple[bool, bool, bool, bool]
    gutter: float
    row_gutter: float
    divider: int
    slant: float
    slanted: float
    parallel: float
    regular: float
    wobble: float
    rounded: float
    odd_frames: float
    missing_sides: float
    double: bool
    border: Colour
    border_width: float
    open_panels: float
    insets: float
    overlaps: float
    pop_outs: float
    letter: float
    vertical: bool
    invented: bool
    talk: float
    crossing: float
    effects: float
    dark_balloons: float
    tidy: bool = False
    material: float = 0.35
    artist: Artist = field(default_factory=Artist)

    def panels(self, rng: np.random.Generator, *, tall: float) -> int:
        """How many panels a page of this height to width ratio gets."""
        if tall > 1.9:
            return int(rng.integers(3, 10))
        counts = np.arange(1, 15)
        shares = {
            "manga": [1, 5, 10, 16, 19, 18, 12, 8, 4, 3, 1, 1, 1, 0],
            "american": [2, 10, 16, 20, 18, 13, 8, 5, 3, 2, 0, 0, 0, 0],
        }.get(self.manner, [1, 4, 7, 9, 11, 13, 13, 11, 10, 7, 5, 4, 2, 2])
        return int(rng.choice(counts, p=np.array(shares) / sum(shares)))

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


def invent(
    rng: np.random.Generator, *, direction: Direction | None, aspect: float | None = None, features: Features = ALL
) -> Style:
    """A manner of drawing. `direction` and `aspect` (width / height), where given, bind it."""
    aspect = aspect or _aspect(rng, features)
    manner = _manner(rng, aspect, features)
    grey = manner == "manga" or rng.random() < {"strip": 0.5, "webtoon": 0.2, "american": 0.05}.get(manner, 0.12)
    if direction is None:
        eastern = {"manga": 0.8, "strip": 0.25, "webtoon": 0.2}.get(manner, 0.06)
        direction = Direction.RTL if rng.random() < eastern else Direction.LTR
    paper, ground = _paper(rng, manner, grey=grey)
    dark = sum(paper) < 380
    border: Colour = (0, 0, 0) if not dark or rng.random() < 0.25 else (255, 255, 255)
    if not grey and rng.random() < 0.1:
        border = colour(rng)
    border_width, gutter, divider, margin = _lines(rng, manner, features)
    if max(abs(a - b) for a, b in zip(border, paper, strict=True)) < 60:
        border_width = 0.0  # a line nobody sees is no frame
    margins = tuple(float(margin * v) for v in rng.uniform(0.7, 1.6, 4))
    if rng.random() < 0.3:  # one uneven side: the binding, or the room for a title
        side = int(rng.integers(4))
        margins = tuple(min(m * 2.2, 0.13) if k == side else m for k, m in enumerate(margins))
    bleeding = {"manga": 0.5, "american": 0.35, "album": 0.1}.get(manner, 0.0)
    bleeds = tuple(bool(b) for b in rng.random(4) < 0.55) if rng.random() < bleeding else (False,) * 4
    if margin == 0.0 or not features.bleeds:
        bleeds = (False,) * 4
    open_chance = 0.0
    if ground == "plain" and gutter > 0 and rng.random() < {"manga": 0.4, "webtoon": 0.55}.get(manner, 0.2):
        # On some pages nothing at all is framed: drawings stand free on white or black ground.
        open_chance = 1.0 if rng.random() < {"webtoon": 0.4}.get(manner, 0.08) else float(rng.uniform(0.08, 0.4))
    slanting = {"manga": 0.45, "american": 0.3}.get(manner, 0.14)
    hand = rng.random()
    return Style(
        manner=manner,
        aspect=aspect,
        direction=direction,
        grey=grey,
        paper=paper,
        ground=ground,
        margins=(margins[0], margins[1], margins[2], margins[3]),
        bleeds=(bleeds[0], bleeds[1], bleeds[2], bleeds[3]),
        gutter=gutter,
        row_gutter=float(rng.uniform(1.3, 3.0)) if manner == "manga" else float(rng.uniform(0.8, 1.3)),
        divider=divider,
        slant=float(rng.uniform(0.03, 0.3)),
        slanted=float(rng.choice([0.15, 0.6])) if features.slants and rng.random() < slanting else 0.0,
        parallel=float(rng.random() < 0.4),
        regular=float(rng.uniform(0.1, 0.7)) if features.irregular else 1.0,
        wobble=float(rng.uniform(0.0005, 0.004)) if hand < 0.18 and manner != "manga" else 0.0,
        rounded=float(rng.uniform(0.01, 0.05)) if hand > 0.95 and features.slants else 0.0,
        odd_frames=0.12 if features.slants else 0.0,
        missing_sides=0.06,
        double=border_width > 0.004 and bool(rng.random() < 0.08),
        border=border,
        border_width=border_width,
        artist=invent_artist(rng, grey=grey, manga=manner == "manga", line_art=features.line_art),
        open_panels=open_chance if features.open_panels else 0.0,
        insets={"american": 0.45, "manga": 0.18, "album": 0.12}.get(manner, 0.03) if features.insets else 0.0,
        overlaps={"american": 0.3, "manga": 0.14, "album": 0.04}.get(manner, 0.02) if features.insets else 0.0,
        pop_outs={"manga": 0.3, "american": 0.3}.get(manner, 0.15) if features.breaking_out else 0.0,
        letter=float(rng.uniform(0.014, 0.03)),
        vertical=grey and manner in ("manga", "strip", "webtoon") and bool(rng.random() < 0.65),
        invented=bool(rng.random() < 0.2),
        talk=float(rng.uniform(0.2, 2.4)),
        crossing=float(rng.choice([0.0, 0.1, 0.4])) if features.breaking_out else 0.0,
        effects=float(rng.uniform(0.05, 0.35)) if manner == "manga" else 0.12,
        dark_balloons=float(rng.choice([0.02, 0.3], p=[0.85, 0.15])),
    )


def readable(rng: np.random.Generator) -> Style:
    """The manner of the demonstration comic: framed colour panels and clear lettering in white balloons."""
    base = invent(rng, direction=Direction.LTR, aspect=0.7)
    return replace(
        base, manner="album", artist=invent_artist(rng, grey=False, manga=False), grey=False, paper=(255, 255, 255),
        ground="plain", border=(0, 0, 0), border_width=0.003, double=False, wobble=0.0, rounded=0.0, open_panels=0.0,
        letter=0.024, vertical=False, invented=False, talk=1.6, effects=0.0, tidy=True,
    )  # fmt: skip


def _aspect(rng: np.random.Generator, features: Features) -> float:
    odd = rng.random()
    if features.formats and odd < 0.05:
        return float(rng.uniform(0.22, 0.5))
    if features.formats and odd < 0.11:
        return float(rng.uniform(1.1, 1.6))
    return float(rng.uniform(0.62, 0.8))


def _manner(rng: np.random.Generator, aspect: float, features: Features) -> Manner:
    names: list[Manner] = ["manga", "album", "american", "strip", "webtoon"]
    if aspect < 0.5:
        shares = [0.03, 0.05, 0.02, 0.2, 0.7]
    elif aspect > 1.05:
        shares = [0.33, 0.25, 0.12, 0.3, 0.0]
    else:
        shares = [0.4, 0.36, 0.17, 0.07, 0.0]
    if not features.formats:
        shares[3] = shares[4] = 0.0
    if not features.manga:
        shares[0] = 0.0
    return names[int(rng.choice(5, p=np.array(shares) / sum(shares)))]


def _lines(rng: np.random.Generator, manner: Manner, features: Features) -> tuple[float, float, int, float]:
    """Width of frames, width of gutters, pixels of a dividing line, and the margin."""
    margin = float(rng.choice([0.0, rng.uniform(0.005, 0.03), rng.uniform(0.03, 0.09)], p=[0.07, 0.33, 0.6]))
    if not features.bleeds:
        margin = max(0.01, margin)
    kind = rng.random()
    hairlines = {"manga": 0.14, "american": 0.2, "album": 0.08}.get(manner, 0.0)
    if features.hairlines and kind < hairlines:
        if features.bleeds and rng.random() < 0.6:
            margin = 0.0
        if rng.random() < 0.5:
            return 0.0, float(rng.uniform(0.002, 0.007)), 0, margin
        return 0.0, 0.0, int(rng.choice([0, 1, 2, 3], p=[0.3, 0.25, 0.25, 0.2])), margin
    gutter = {
        "manga": float(rng.uniform(0.008, 0.024)),
        "american": float(rng.uniform(0.007, 0.02)),
        "strip": float(rng.uniform(0.008, 0.04)),
    }.get(manner, float(rng.choice([rng.uniform(0.008, 0.026), rng.uniform(0.026, 0.05)], p=[0.85, 0.15])))
    width = float(rng.uniform(0.001, 0.007))
    if rng.random() < 0.06:
        width = float(rng.uniform(0.008, 0.016))
    elif rng.random() < {"manga": 0.08, "strip": 0.05, "webtoon": 0.6}.get(manner, 0.33):
        width = 0.0
    # Frames so thick that they touch would leave open where a panel ends.
    return width, max(gutter, 1.6 * width), 0, margin


def _paper(rng: np.random.Generator, manner: Manner, *, grey: bool) -> tuple[Colour, Ground]:
    kind = rng.random()
    whites = {"manga": 0.78, "american": 0.45, "strip": 0.75}.get(manner, 0.64)
    blacks = {"manga": 0.1, "american": 0.32, "webtoon": 0.25}.get(manner, 0.1)
    if kind < whites:
        v = int(rng.integers(244, 256))
        paper: Colour = (v, v, v)
    elif kind < whites + blacks:
        v = int(rng.integers(0, 22))
        paper = (v, v, v)
    elif grey:
        v = int(rng.integers(90, 240))
        paper = (v, v, v)
    elif rng.random() < 0.5:
        paper = (int(rng.integers(235, 255)), int(rng.integers(220, 245)), int(rng.integers(185, 225)))
    else:
        # Printed paper is pale or deep, seldom glaring.
        strong = float(rng.choice([0.25, 0.6]))
        pale = 255 if rng.random() < 0.6 else 0
        r, g, b = (int(strong * c + (1 - strong) * pale) for c in colour(rng))
        paper = (r, g, b)
    grounds: list[Ground] = ["plain", "texture", "gradient", "faded", "picture"]
    painted = {"american": 0.2, "webtoon": 0.15, "manga": 0.06}.get(manner, 0.08)
    shares = np.array([1 - painted, painted * 0.25, painted * 0.25, painted * 0.3, painted * 0.2])
    return paper, grounds[int(rng.choice(5, p=shares))]
