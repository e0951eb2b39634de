"""Balloons: outlines of many manners, tails, and lettering set into them, each with its exact box."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from services.training.generators.artwork import Colour
from services.training.generators.layouts import Point, Polygon
from services.training.generators.lettering import Lettering, write
from shared.domain.schema import Box

# Room an outline needs around its words, as a multiple of their extent.
SLACK = {
    "oval": 1.42, "cloud": 1.5, "spiked": 1.45, "jagged": 1.45, "wobbly": 1.38, "round": 1.12, "caption": 1.06,
    "plain": 1.0,
}  # fmt: skip
TAILS = ("wedge", "curved", "thin", "zigzag", "bubbles")


@dataclass(frozen=True)
class Spoken:
    """What a balloon put on the page: the box of its words, its outer box, the words."""

    words: Box
    outer: Box
    text: str


@dataclass(frozen=True)
class Inking:
    """How an outline is drawn: fill, ink, thickness in pixels (0 for none) and opacity of the fill."""

    fill: Colour = (255, 255, 255)
    ink: Colour = (0, 0, 0)
    line: float = 1.0
    opacity: float = 1.0


def size_of(piece: Lettering, shape: str) -> tuple[float, float]:
    """Width and height of the outline that a shape needs for its words."""
    slack = SLACK[shape]
    return piece.width * slack + piece.size * 0.9, piece.height * slack + piece.size * 0.8


def outline(rng: np.random.Generator, shape: str, *, centre: Point, width: float, height: float) -> Polygon:
    """The outline of a balloon that fills about `width` × `height`; the ragged ones' spikes reach a little further."""
    cx, cy = centre
    if shape == "caption":
        x, y = width / 2, height / 2
        return [(cx - x, cy - y), (cx + x, cy - y), (cx + x, cy + y), (cx - x, cy + y)]
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    square = 2.0
    reach: NDArray[np.float64] = np.ones_like(t)
    if shape == "round":
        square = 4.5
    elif shape == "cloud":
        bumps = int(rng.integers(7, 15))
        reach = 0.93 + 0.11 * np.abs(np.sin(t * bumps / 2 + float(rng.uniform(0, 3))))
    elif shape == "wobbly":
        square = 2.5
        turns = rng.integers(2, 6, 2)
        reach = 1 + 0.025 * np.sin(t * turns[0] + float(rng.uniform(0, 6))) + 0.02 * np.cos(t * turns[1])
    elif shape in ("spiked", "jagged"):
        points = int(rng.integers(10, 26))
        t = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False) + float(rng.uniform(0, 1))
        depth = rng.uniform(0.05, 0.22, 2 * points) if shape == "spiked" else np.full(2 * points, 0.1)
        reach = np.where(np.arange(2 * points) % 2, 1 + depth, 0.95)
    c, s = np.cos(t), np.sin(t)
    xs = cx + np.sign(c) * np.abs(c) ** (2 / square) * width / 2 * reach
    ys = cy + np.sign(s) * np.abs(s) ** (2 / square) * height / 2 * reach
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]


def tail(kind: str, *, centre: Point, size: Point, aim: Point, far: float = 0.75) -> list[Polygon]:
    """What leads from a balloon of a `size` towards the point `aim`; `far` is its length in balloon sizes."""
    start, towards = np.array(centre), np.array(aim) - np.array(centre)
    distance = float(np.hypot(*towards)) or 1.0
    tip = start + towards * min(1.0, max(size) * far / distance)
    side = np.array([-towards[1], towards[0]]) / distance
    wide = min(size) * (0.07 if kind == "thin" else 0.13)
    if kind == "bubbles":
        edge = start + towards / distance * float(np.abs(np.array(size) / 2 * towards / distance).sum()) * 0.95
        made = []
        for k, way in enumerate((0.25, 0.6, 0.95)):
            x, y = edge + (tip - edge) * way
            r = max(1.5, min(size) * (0.11 - 0.03 * k))
            made.append([(float(x + r * np.cos(a)), float(y + r * 0.8 * np.sin(a))) for a in np.linspace(0, 6.28, 14)])
        return made
    if kind == "zigzag":
        knee, back = start + (tip - start) * 0.72 + side * wide * 1.6, start + (tip - start) * 0.6 - side * wide * 0.6
        corners = (start + side * wide, knee, tip, back, start - side * wide)
        return [[(float(p[0]), float(p[1])) for p in corners]]
    if kind == "curved":
        bend = (start + tip) / 2 + side * min(size) * 0.3
        share = np.linspace(0, 1, 9)[:, None]
        line = (1 - share) ** 2 * start + 2 * share * (1 - share) * bend + share**2 * tip
        left, right = line + side * wide * (1 - share), line - side * wide * (1 - share)
        return [[(float(x), float(y)) for x, y in [*left, *right[::-1]]]]
    return [[(float(p[0]), float(p[1])) for p in (start + side * wide, tip, start - side * wide)]]


def ink_shapes(image: Image.Image, shapes: Sequence[Polygon], inking: Inking, *, within: Polygon | None = None) -> None:
    """Draws the union of polygons with one line around it, smooth at the edges; `within` crops it."""
    xs, ys = [x for shape in shapes for x, _ in shape], [y for shape in shapes for _, y in shape]
    pad = int(inking.line) + 2
    left, top = max(0, int(min(xs)) - pad), max(0, int(min(ys)) - pad)
    right, bottom = min(image.width, int(max(xs)) + pad + 1), min(image.height, int(max(ys)) + pad + 1)
    if right <= left or bottom <= top:
        return
    size = ((right - left) * 2, (bottom - top) * 2)
    inner, edge = Image.new("L", size), Image.new("L", size)
    fill_pen, edge_pen = ImageDraw.Draw(inner), ImageDraw.Draw(edge)
    for shape in shapes:
        path = [((x - left) * 2, (y - top) * 2) for x, y in shape]
        fill_pen.polygon(path, fill=255)
        if inking.line > 0:
            edge_pen.line([*path, path[0], path[1]], fill=255, width=max(2, round(inking.line * 4)), joint="curve")
    inside, around = inner.reduce(2), ImageChops.subtract(edge, inner).reduce(2)
    if within is not None:
        crop = Image.new("L", inside.size)
        ImageDraw.Draw(crop).polygon([(x - left, y - top) for x, y in within], fill=255)
        inside, around = ImageChops.darker(inside, crop), ImageChops.darker(around, crop)
    if inking.opacity < 1:
        inside = inside.point([int(v * inking.opacity) for v in range(256)])
    image.paste(inking.fill, (left, top), inside)
    if inking.line > 0:
        image.paste(inking.ink, (left, top), around)


def extent(shapes: Sequence[Polygon]) -> Box:
    """The box around polygons."""
    xs, ys = [x for shape in shapes for x, _ in shape], [y for shape in shapes for _, y in shape]
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def balloon(
    rng: np.random.Generator,
    image: Image.Image,
    piece: Lettering,
    *,
    centre: Point,
    speaker: Point | None,
    line: float,
    shape: str,
    fill: Colour = (255, 255, 255),
    ink: Colour = (0, 0, 0),
    kind: str = "wedge",
    opacity: float = 1.0,
    within: Polygon | None = None,
) -> Spoken:
    """Draws words in a `shape` (SLACK names them) with a tail of some `kind` towards `speaker`.

    The outer box leaves the tail out.
    """
    width, height = size_of(piece, shape)
    body = outline(rng, shape, centre=centre, width=width, height=height)
    if shape != "plain":
        tails = []
        if speaker is not None and shape != "caption":
            tails = tail(kind, centre=centre, size=(width, height), aim=speaker)
        ink_shapes(image, [*tails, body], Inking(fill, ink, line, opacity), within=within)
    words = write(rng, image, piece, centre=centre, ink=ink)
    outer = extent([body])
    return Spoken(words, outer if within is None else _common(outer, extent([within])), piece.text)


def _common(a: Box, b: Box) -> Box:
    x, y = max(a.x, b.x), max(a.y, b.y)
    return Box(x, y, max(0.0, min(a.right, b.right) - x), max(0.0, min(a.bottom, b.bottom) - y))
