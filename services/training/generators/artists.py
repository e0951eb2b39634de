"""Artists: what line, colour, shade and eyes one of them uses, the same over a whole page."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from services.training.generators.artwork import Colour, colour

Kind = Literal["painted", "cel", "flat", "manga", "line", "sketch"]
Shade = Literal["none", "soft", "cel", "hatch", "tone"]
Eyes = Literal["western", "manga", "cartoon", "dot"]


@dataclass(frozen=True)
class Artist:
    """One who draws. `weight` scales its lines; `heads` is how many head heights an adult measures."""

    kind: Kind = "flat"
    ink: Colour = (0, 0, 0)
    weight: float = 1.0
    shade: Shade = "cel"
    eyes: Eyes = "western"
    heads: float = 6.5
    light: float = 1.0  # the side light comes from, -1 left or 1 right
    grade: Colour | None = None  # light that colours everything
    palette: tuple[Colour, ...] = ((200, 60, 50), (40, 80, 150), (230, 200, 90), (70, 120, 70), (120, 90, 70))
    soft: bool = False  # outlines are a darker shade of what they surround
    dots: bool = False  # tones are printed dots, not even greys
    bare: float = 0.2  # chance that a panel has no scenery

    @property
    def grey(self) -> bool:
        """Without colour: things are paper white, a tone or black."""
        return self.kind in ("manga", "line")

    def paint(self, rng: np.random.Generator, low: int = 0, high: int = 256) -> Colour:
        """A colour for some thing: from the palette, now and then a strange one."""
        if self.grey:
            chances = [0.5, 0.12, 0.12, 0.08, 0.18] if self.kind == "manga" else [0.74, 0.06, 0.04, 0.02, 0.14]
            v = int(rng.choice([255, 215, 165, 110, 10], p=chances))
            return v, v, v
        if rng.random() < 0.25:
            return colour(rng, low, high)
        return shifted(rng, self.palette[int(rng.integers(len(self.palette)))], spread=22)

    def pale(self, rng: np.random.Generator) -> Colour:
        """A light colour for walls and skies."""
        if self.grey:
            v = int(rng.choice([255, 230, 200], p=[0.8, 0.12, 0.08]))
            return v, v, v
        return mixed(self.paint(rng), (255, 250, 240), float(rng.uniform(0.45, 0.85)))

    def dark(self, rng: np.random.Generator) -> Colour:
        """A dark colour for night, trunks and shadows."""
        if self.grey:
            return (0, 0, 0) if rng.random() < 0.7 else (70, 70, 70)
        return mixed(self.paint(rng), (12, 10, 20), float(rng.uniform(0.55, 0.9)))


def shifted(rng: np.random.Generator, base: Colour, *, spread: float) -> Colour:
    """A neighbour of a colour."""
    r, g, b = (int(v) for v in np.clip(np.array(base) + rng.normal(0, spread, 3), 0, 255))
    return r, g, b


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with `share` of `b` in it."""
    red, green, blue = (int(p + (q - p) * share) for p, q in zip(a, b, strict=True))
    return red, green, blue


def invent_artist(rng: np.random.Generator, *, grey: bool, manga: bool, line_art: bool = True) -> Artist:
    """An artist for one page: manga, line drawing, or one of four in colour; `line_art` allows hatching and tones."""
    kinds: list[Kind] = ["painted", "cel", "flat", "sketch"]
    kind: Kind = kinds[int(rng.choice(4, p=[0.36, 0.28, 0.28, 0.08]))]
    if grey or manga:
        kind = "manga" if rng.random() < (0.75 if manga else 0.3) else "line"
    shades: dict[Kind, list[Shade]] = {
        "painted": ["soft", "soft", "cel"],
        "cel": ["cel", "cel", "soft"],
        "flat": ["none", "none", "cel", "hatch"],
        "manga": ["none", "tone", "tone", "cel", "hatch"],
        "line": ["hatch", "hatch", "none"],
        "sketch": ["hatch", "none", "soft"],
    }
    eyes: list[Eyes] = ["western", "manga", "cartoon", "dot"]
    chances = [0.15, 0.65, 0.1, 0.1] if manga else [0.45, 0.2, 0.2, 0.15]
    base = rng.uniform(20, 235, 3)
    vivid = float(rng.uniform(0.25, 1.0)) * (0.75 if kind == "painted" else 1.0)
    palette = []
    for _ in range(int(rng.integers(4, 9))):
        v = base * float(rng.uniform(0.3, 1.0)) if rng.random() < 0.35 else rng.uniform(15, 250, 3)
        v = v * vivid + float(v.mean()) * (1 - vivid)
        palette.append((int(v[0]), int(v[1]), int(v[2])))
    ink: Colour = (0, 0, 0)
    if kind == "painted" and rng.random() < 0.7:
        ink = mixed(palette[0], (30, 15, 10), 0.8)
    elif kind == "sketch":
        ink = mixed(palette[0], (60, 55, 60), 0.7)
    shade = shades[kind][int(rng.integers(len(shades[kind])))]
    grade = None
    if kind in ("painted", "flat", "cel") and rng.random() < 0.5:
        grade = mixed(colour(rng, 90, 256), (255, 240, 225), float(rng.uniform(0.0, 0.5)))
    return Artist(
        kind=kind,
        ink=ink,
        weight=float(rng.uniform(0.55, 1.7)) * (0.7 if kind in ("painted", "sketch") else 1.0),
        shade=shade if line_art or shade in ("none", "soft", "cel") else "none",
        eyes=eyes[int(rng.choice(4, p=chances))],
        heads=float(rng.choice([3.2, 4.5, 5.8, 6.8, 7.8], p=[0.1, 0.17, 0.27, 0.3, 0.16])),
        light=float(rng.choice([-1.0, 1.0])),
        grade=grade,
        palette=tuple(palette),
        soft=kind in ("painted", "cel") and bool(rng.random() < (0.6 if kind == "painted" else 0.15)),
        dots=bool(rng.random() < 0.6) and line_art,
        bare={"manga": 0.45, "line": 0.35, "sketch": 0.4}.get(kind, 0.22),
    )
