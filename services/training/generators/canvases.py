"""A picture drawn at twice its size, so that lines come out smooth, which remembers what covers what."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from services.training.generators.artists import Artist, mixed
from services.training.generators.artwork import Colour
from services.training.generators.inking import screen
from shared.domain.schema import Box

Points = NDArray[np.float64]
STEPS = 5  # points on a curve between two of its knots
LARGE = 900  # pictures longer than this are drawn at their own size
COARSE = 2  # one cell of the map of who covers what, in pixels


@lru_cache(maxsize=256)
def _curve(knots: int, *, closed: bool) -> Points:
    """The matrix that makes points on a Catmull-Rom curve from its knots: (points, knots)."""
    t = np.arange(STEPS) / STEPS
    weights = np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], 1) / 2
    spans = knots if closed else knots - 1
    made = np.zeros((spans * STEPS + (not closed), knots))
    for span in range(spans):
        for k in range(4):
            knot = span + k - 1
            knot = knot % knots if closed else min(max(knot, 0), knots - 1)
            made[span * STEPS : (span + 1) * STEPS, knot] += weights[:, k]
    if not closed:
        made[-1, -1] = 1.0
    return made


def closed_curve(knots: Points) -> Points:
    """A smooth closed curve through (n, 2) knots."""
    made: Points = _curve(len(knots), closed=True) @ knots
    return made


def open_curve(knots: Points) -> Points:
    """A smooth curve from the first to the last of (n, 2) knots."""
    made: Points = _curve(len(knots), closed=False) @ knots
    return made


@lru_cache(maxsize=256)
def _arc(start: float, end: float, n: int) -> Points:
    t = np.linspace(start, end, n, endpoint=end - start < 6.28)
    return np.stack([np.cos(t), np.sin(t)], 1)


def oval(
    x: float, y: float, rx: float, ry: float, *, start: float = 0.0, end: float = 2 * np.pi, n: int = 22
) -> Points:
    """Points on an ellipse or on its arc between two angles."""
    return _arc(start, end, n) * (rx, ry) + (x, y)


@dataclass(frozen=True)
class Frame:
    """Where a thing drawn in its own units stands: its origin, its unit in pixels, its turn in radians, its mirror."""

    x: float
    y: float
    unit: float
    turn: float = 0.0
    flip: bool = False

    def at(self, points: Points | Sequence[tuple[float, float]]) -> Points:
        """Own coordinates as pixels."""
        c, s = math.cos(self.turn) * self.unit, math.sin(self.turn) * self.unit
        m = -1.0 if self.flip else 1.0
        moved: Points = np.asarray(points, np.float64) @ np.array([[m * c, m * s], [-s, c]])
        moved += (self.x, self.y)
        return moved


@dataclass
class Canvas:
    """`image` is drawn on at `fine` times the size of the `base`; all coordinates and widths are the base's."""

    base: Image.Image
    artist: Artist
    line: float = 1.0
    fine: int = field(init=False)
    image: Image.Image = field(init=False)
    pen: ImageDraw.ImageDraw = field(init=False)
    owners: Image.Image = field(init=False)
    map: ImageDraw.ImageDraw = field(init=False)
    owner: int = 0
    scale: float = 1.0  # of line widths: what is near is drawn with broader lines
    reach: list[Points] = field(default_factory=list)
    shadow: Colour | None = None  # everything is drawn as a silhouette in this colour

    def __post_init__(self) -> None:
        self.fine = 1 if max(self.base.size) > LARGE else 2
        self.image = self.base
        if self.fine > 1:
            self.image = self.base.resize(
                (self.base.width * self.fine, self.base.height * self.fine), Image.Resampling.NEAREST
            )
        self.pen = ImageDraw.Draw(self.image)
        self.owners = Image.new("L", (self.base.width // COARSE + 1, self.base.height // COARSE + 1))
        self.map = ImageDraw.Draw(self.owners)

    @property
    def width(self) -> int:
        """Width of the base in pixels."""
        return self.base.width

    @property
    def height(self) -> int:
        """Height of the base in pixels."""
        return self.base.height

    def finished(self) -> Image.Image:
        """The picture at its own size."""
        return self.image.reduce(self.fine) if self.fine > 1 else self.image

    def begin(self, owner: int) -> None:
        """What is drawn from now on belongs to `owner` (1 to 255; 0 is nobody: scenery)."""
        self.owner, self.reach, self.scale = owner, [], 1.0

    def extent(self) -> Box:
        """The box of everything filled since `begin`, also where it leaves the picture."""
        points = np.concatenate(self.reach)
        low, high = points.min(axis=0), points.max(axis=0)
        return Box(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))

    def stroke(self, points: Points, *, width: float = 1.0, ink: Colour | None = None, closed: bool = False) -> None:
        """A line of even width through the points; widths count in the artist's line."""
        if self.shadow is not None:
            return
        if self.owner:
            self.reach.append(points)
        self._outline((points * self.fine).ravel().tolist(), width=width, ink=ink or self.artist.ink, closed=closed)

    def _outline(self, flat: list[float], *, width: float, ink: Colour, closed: bool) -> None:
        thick = max(1, round(width * self.line * self.scale * self.artist.weight * self.fine))
        self.pen.line(flat + flat[:2] if closed else flat, fill=ink, width=thick)

    def brush(self, points: Points, *, width: float, ink: Colour | None = None) -> None:
        """A stroke that swells to `width` pixels in its middle and ends in points, like a brush's or a lock of hair."""
        along = np.gradient(points, axis=0)
        long = np.hypot(along[:, 0], along[:, 1])[:, None] + 1e-6
        side = np.stack([-along[:, 1], along[:, 0]], 1) / long
        swell = np.sin(np.linspace(0.04, np.pi - 0.04, len(points)))[:, None] * width / 2
        outline = np.concatenate([points + side * swell, (points - side * swell)[::-1]])
        self.pen.polygon((outline * self.fine).ravel().tolist(), fill=self.shadow or ink or self.artist.ink)

    def fill(
        self,
        points: Points,
        fill: Colour | None,
        *,
        line: float = 1.0,
        ink: Colour | None = None,
        shade: float = 0.0,
    ) -> None:
        """A closed shape: its colour, at `shade` above 0 its shadows, its outline unless `line` is 0."""
        flat = (points * self.fine).ravel().tolist()
        if self.shadow is not None:
            fill, line, shade = self.shadow, 0.0, 0.0
        if self.owner:
            self.reach.append(points)
        self.map.polygon((points / COARSE).ravel().tolist(), fill=self.owner)
        if fill is not None:
            tone = self.artist.grey and self.artist.dots and 60 < fill[0] < 250
            self.pen.polygon(flat, fill=(255, 255, 255) if tone else fill)
            if tone or shade > 0:
                self._shade(points, fill, amount=shade, tone=tone)
        if line > 0:
            if ink is None and self.artist.soft and fill is not None:
                ink = mixed(fill, self.artist.ink, 0.6)
            self._outline(flat, width=line, ink=ink or self.artist.ink, closed=True)

    def _shade(self, points: Points, fill: Colour, *, amount: float, tone: bool) -> None:
        low = np.maximum(np.floor(points.min(axis=0) * self.fine), 0).astype(int)
        size = np.minimum(np.ceil(points.max(axis=0) * self.fine) + 1, self.image.size).astype(int) - low
        if size.min() < (8 if tone else 36):
            return
        wide, tall = int(size[0]), int(size[1])
        local = points * self.fine - low
        mask = Image.new("L", (wide, tall))
        draw = ImageDraw.Draw(mask)
        draw.polygon(local.ravel().tolist(), fill=255)
        at = (int(low[0]), int(low[1]))
        kind = self.artist.shade
        if tone:
            dots = screen(fill[0] / 255, wide, tall, phase=at)
            self.image.paste(self.artist.ink, at, ImageChops.multiply(mask, dots))
        if amount <= 0 or kind == "none":
            return
        if kind == "soft":
            fall = _falloff(self.artist.light).resize((wide, tall), Image.Resampling.BILINEAR)
            dark = mixed(fill, mixed(self.artist.ink, (40, 20, 60), 0.5), 0.55)
            self.image.paste(dark, at, ImageChops.multiply(mask, fall))
            return
        away = np.array([self.artist.light, -0.7]) * min(wide, tall) * 0.24 * amount
        draw.polygon((local + away).ravel().tolist(), fill=0)
        if kind == "cel":
            self.image.paste(mixed(fill, (20, 10, 40), 0.33) if not self.artist.grey else (90, 90, 90), at, mask)
        else:
            share = 0.62 if kind == "tone" else -1.0
            self.image.paste(self.artist.ink, at, ImageChops.multiply(mask, screen(share, wide, tall, phase=at)))


@lru_cache(maxsize=4)
def _falloff(light: float) -> Image.Image:
    """How dark a soft shadow is across a shape, (32, 32): none towards the light, most away from it."""
    ys, xs = np.mgrid[0:32, 0:32] / 31.0
    away = np.clip((0.5 - light * (xs - 0.5)) * 0.7 + ys * 0.5 - 0.25, 0, 1) ** 1.3
    return Image.fromarray((away * 230).astype(np.uint8))
