"""What the pictures of made stories are painted on: a panel in the light of its hour, and somebody's stand in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from services.training.generators.artwork import Colour, Drawn, Figure, draw_figure
from services.training.generators.story_world import INK

Point = tuple[float, float]
HELD = 0.3  # how much of the hour's light things in the foreground take


@dataclass
class Canvas:
    """A panel being painted. `light` multiplies colours by the hour, `shift` is what this panel's palette adds.

    Nothing of importance should stand above `top`, where the lettering will be.
    """

    image: Image.Image
    rng: np.random.Generator
    light: tuple[float, float, float]
    shift: tuple[float, float, float]
    top: float
    line: int = 1

    def __post_init__(self) -> None:
        self.pen = ImageDraw.Draw(self.image)
        self.w, self.h = self.image.size

    def lit(self, colour: Colour, *, amount: float = 1.0) -> Colour:
        """A colour in this panel's light; `amount` 0 leaves it as it is."""
        r, g, b = (
            min(255, max(0, round((c + s) * (1 - amount + amount * k))))
            for c, s, k in zip(colour, self.shift, self.light, strict=True)
        )
        return r, g, b

    def poly(self, points: Sequence[Point], fill: Colour, *, ink: bool = True, amount: float = 1.0) -> None:
        """A filled polygon."""
        self.pen.polygon(list(points), self.lit(fill, amount=amount), INK if ink else None, self.line)

    def block(
        self, x: float, y: float, right: float, bottom: float, fill: Colour, *, ink: bool = True, amount: float = 1.0
    ) -> None:
        """A filled rectangle."""
        if right > x and bottom > y:
            edge = INK if ink else None
            self.pen.rectangle((x, y, right, bottom), self.lit(fill, amount=amount), edge, self.line)

    def oval(
        self, x: float, y: float, rx: float, ry: float, fill: Colour, *, ink: bool = True, amount: float = 1.0
    ) -> None:
        """A filled ellipse around (x, y)."""
        edge = INK if ink else None
        self.pen.ellipse((x - rx, y - ry, x + rx, y + ry), self.lit(fill, amount=amount), edge, self.line)

    def stroke(self, points: Sequence[Point], colour: Colour, width: float, *, amount: float = 1.0) -> None:
        """A line of at least one pixel."""
        self.pen.line(list(points), self.lit(colour, amount=amount), max(1, round(width)), joint="curve")

    def near(self, value: float, spread: float) -> float:
        """`value` give or take a share of it."""
        return value * float(self.rng.uniform(1 - spread, 1 + spread))


@dataclass
class Stand:
    """Where somebody acts: feet at (x, foot), `tall` pixels, the thing towards `side` (+1 right, -1 left).

    `progress` goes from 0 to 1 over the stages of the action.
    """

    canvas: Canvas
    who: Figure
    x: float
    foot: float
    tall: float
    side: int
    progress: float

    def at(self, along: float, up: float) -> Point:
        """A point given in heights of the figure: towards the thing, and above the feet."""
        return self.x + self.side * along * self.tall, self.foot - up * self.tall

    def figure(self, *, along: float = 0.0, up: float = 0.0) -> Drawn:
        """Draws the acting figure, moved by so many heights."""
        x, foot = self.at(along, up)
        return draw_somebody(self.canvas, self.who, x=x, foot=foot, tall=self.tall)

    def arm(self, to: Point, *, up: float = 0.0, along: float = 0.0) -> None:
        """An arm that holds the thing; beasts push it with what they have."""
        if self.who.beast:
            return
        start = self.at(along + 0.08, 0.6 + up)
        thick = 0.075 * self.tall
        self.canvas.pen.line([start, to], INK, max(3, round(thick + 2)))
        self.canvas.stroke([start, to], self.who.coat, thick, amount=HELD)
        self.canvas.oval(*to, thick * 0.6, thick * 0.6, self.who.skin, amount=HELD)

    def shape(self, points: list[Point], fill: Colour) -> None:
        """A polygon of `at` coordinates."""
        self.canvas.poly([self.at(*p) for p in points], fill, amount=HELD)

    def ball(self, along: float, up: float, wide: float, high: float, fill: Colour, *, ink: bool = True) -> None:
        """An ellipse in heights of the figure."""
        self.canvas.oval(*self.at(along, up), wide * self.tall, high * self.tall, fill, ink=ink, amount=HELD)

    def stroke(self, points: list[Point], colour: Colour, width: float) -> None:
        """A line in heights of the figure."""
        self.canvas.stroke([self.at(*p) for p in points], colour, width * self.tall, amount=HELD)


def draw_somebody(canvas: Canvas, who: Figure, *, x: float, foot: float, tall: float) -> Drawn:
    """Draws a figure standing at (x, foot); four-legged ones as large as the others look."""
    return draw_figure(canvas.rng, canvas.image, who, x=x, foot=foot, height=tall * (1.2 if who.beast else 1.0))
