"""One panel's picture: where it plays, who is in it, how near, and what of everybody can be seen."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from services.training.generators.artists import Artist, mixed
from services.training.generators.artwork import Colour, Drawn
from services.training.generators.canvases import Canvas, Points
from services.training.generators.features import Features
from services.training.generators.figures import draw_person
from services.training.generators.moods import MOODS, base, lay_mood
from services.training.generators.people import Person
from services.training.generators.props import furniture, tree
from services.training.generators.scenes import PLACES, bars, paint_place
from services.training.generators.sights import Cast, seen, sight
from services.training.generators.textures import texture
from shared.domain.schema import Box

SHOTS = ("place", "group", "portrait", "close", "extreme", "crowd")


@dataclass(frozen=True)
class Picture:
    """A painted panel; `people` with the boxes of what is seen of them, `extent` of all that is drawn, in pixels."""

    image: Image.Image
    people: list[Drawn]
    extent: Box | None


@dataclass(frozen=True)
class Order:
    """What a panel is to show: its outline in own pixels, the longer side of its page, the scale of lines."""

    shape: Points
    page: int
    line: float
    features: Features
    tidy: bool = False
    few: bool = False


def shot(rng: np.random.Generator, order: Order) -> str:
    """How near a panel's picture is."""
    chances = np.array([0.1, 0.36, 0.31, 0.14, 0.04, 0.05])
    if order.tidy:
        chances = np.array([0.04, 0.6, 0.36, 0.0, 0.0, 0.0])
    if not order.features.close_ups:
        chances[3:5] = 0
    if not order.features.crowds:
        chances[5] = 0
    return SHOTS[int(rng.choice(6, p=chances / chances.sum()))]


def ground_for(
    rng: np.random.Generator, artist: Artist, features: Features, *, width: int, height: int, line: float
) -> Canvas:
    """A canvas with a place or a mood on it."""
    bare = rng.random() < artist.bare or not features.scenes
    if bare:
        shares = np.array([0.34, 0.14, 0.1, 0.11, 0.04, 0.08, 0.06, 0.09, 0.04])
        if not artist.grey:
            shares = np.array([0.4, 0.04, 0.06, 0.07, 0.05, 0.04, 0.03, 0.29, 0.02])
        if not features.line_art:
            shares *= np.array([1, 0, 0, 0, 0, 1, 0, 1, 0])
        kind = MOODS[int(rng.choice(len(MOODS), p=shares / shares.sum()))]
        canvas = lay_mood(rng, artist, kind, width=width, height=height, line=line)
        if features.dark_bars and rng.random() < 0.1:
            bars(rng, canvas)
        return canvas
    place = PLACES[int(rng.choice(len(PLACES), p=[0.19, 0.17, 0.24, 0.11, 0.07, 0.1, 0.12]))]
    canvas = Canvas(base(rng, artist, width=width, height=height, dark=place == "night"), artist, line=line)
    paint_place(rng, canvas, place, features)
    return canvas


def paint_picture(
    rng: np.random.Generator,
    artist: Artist,
    cast: list[Person],
    order: Order,
    *,
    size: tuple[int, int],
    ground: Image.Image | None = None,
) -> Picture:
    """Paints a framed panel's picture of `size`; a given `ground` replaces the scenery."""
    width, height = size
    canvas = (
        Canvas(ground, artist, line=order.line)
        if ground is not None
        else ground_for(rng, artist, order.features, width=width, height=height, line=order.line)
    )
    kind = shot(rng, order)
    if ground is None and kind != "crowd" and rng.random() < 0.06:
        canvas.shadow = (0, 0, 0) if artist.grey else artist.dark(rng)
    drawn = _people(rng, canvas, cast, kind, order)
    if order.features.scenes and not order.tidy and rng.random() < 0.1:
        _foreground(rng, canvas, order.features)
    faceless, canvas.shadow = canvas.shadow is not None, None
    people = seen(canvas, drawn, shape=order.shape, page=order.page, faceless=faceless)
    return Picture(_lit(rng, canvas.finished(), artist), people, None)


def paint_open(
    rng: np.random.Generator, artist: Artist, cast: list[Person], order: Order, *, ground: Image.Image
) -> Picture:
    """Draws the figures of a panel without a frame on the page's own ground."""
    canvas = Canvas(ground, artist, line=order.line)
    w, h = canvas.width, canvas.height
    extents: list[Box] = []
    if order.features.scenes and rng.random() < 0.35:
        canvas.begin(250)
        if rng.random() < 0.5:
            furniture(rng, canvas, x=w * float(rng.uniform(0.3, 0.7)), floor=h * 0.93, tall=h * 0.8)
        else:
            tree(rng, canvas, w * float(rng.uniform(0.25, 0.75)), h * 0.93, h * 0.6)
        extents.append(canvas.extent())
    drawn = _row(rng, canvas, cast, count=int(rng.integers(1, 4)), tall=0.88 * float(rng.uniform(0.85, 1.0)), foot=0.96)
    people = seen(canvas, drawn, shape=order.shape, page=order.page, faceless=False)
    extents += [one.whole for one in people] or [d.whole for _, d, _ in drawn]
    return Picture(canvas.finished(), people, _around(extents))


def _draw(
    rng: np.random.Generator, canvas: Canvas, who: Person, owner: int, *, x: float, foot: float, height: float,
    quiet: bool = False, close: bool = False,
) -> tuple[int, Drawn, int]:  # fmt: skip
    canvas.begin(owner)
    drawn = draw_person(rng, canvas, who, x=x, foot=foot, height=height, quiet=quiet, close=close)
    covered = sight(canvas, owner, drawn.whole).cells
    canvas.begin(0)
    return owner, drawn, covered


def _row(rng: np.random.Generator, canvas: Canvas, cast: list[Person], *, count: int, tall: float, foot: float) -> Cast:
    """People side by side, feet at a share `foot` of the height."""
    w, h = canvas.width, canvas.height
    made: Cast = []
    for k in range(count):
        who = cast[int(rng.integers(len(cast)))]
        height = min(h * tall * float(rng.uniform(0.85, 1.1)) * min(1.0, 0.55 + who.heads / 14), w * 6)
        x = w * (k + float(rng.uniform(0.2, 0.8))) / count
        made.append(_draw(rng, canvas, who, k + 1, x=x, foot=h * foot * float(rng.uniform(0.97, 1.0)), height=height))
    return made


def _people(rng: np.random.Generator, canvas: Canvas, cast: list[Person], kind: str, order: Order) -> Cast:
    w, h = canvas.width, canvas.height
    made: Cast = []
    if kind == "place":
        if rng.random() < 0.5:
            return []
        return _row(
            rng,
            canvas,
            cast,
            count=int(rng.integers(1, 4)),
            tall=float(rng.uniform(0.15, 0.4)),
            foot=float(rng.uniform(0.75, 1.0)),
        )
    if kind == "group":
        count = int(rng.choice([1, 2, 3, 4], p=[0.35, 0.4, 0.17, 0.08]))
        if w < h * 0.6:
            count = min(count, 2)
        tall = float(rng.uniform(0.5, 1.0))
        low = float(rng.uniform(0.88, 1.02)) if tall < 0.85 else float(rng.uniform(0.95, 1.3))
        return _row(rng, canvas, cast, count=count if not order.few else 1, tall=tall, foot=low)
    if kind == "crowd":
        size = float(rng.uniform(0.16, 0.42)) * h
        rows = int(rng.integers(1, 3))
        extras = [cast[int(k)] for k in rng.integers(len(cast), size=30)]
        owner = 1
        for row in range(rows):
            tall = size * (0.7 + 0.25 * row)
            foot = h * (0.98 - 0.16 * (rows - 1 - row)) + tall * 0.1
            for x in np.arange(float(rng.uniform(0, tall * 0.3)), w, tall * float(rng.uniform(0.35, 0.8)))[:7]:
                at = float(x + rng.normal(0, tall * 0.08))
                made.append(
                    _draw(
                        rng,
                        canvas,
                        extras[owner % 30],
                        owner,
                        x=at,
                        foot=foot + float(rng.normal(0, tall * 0.05)),
                        height=tall,
                        quiet=rng.random() < 0.7,
                    )
                )
                owner += 1
        return made
    count = 1 if kind != "portrait" or w < h * 0.9 or order.few else int(rng.choice([1, 2, 3], p=[0.5, 0.4, 0.1]))
    reach = {"portrait": (0.3, 0.62), "close": (0.75, 1.35), "extreme": (1.8, 3.6)}[kind]
    for k in range(count):
        who = cast[int(rng.integers(len(cast)))]
        head = float(rng.uniform(*reach)) * min(h, w * 1.25)
        x = w * (k + float(rng.uniform(0.25, 0.75))) / count
        middle = h * float(rng.uniform(0.32, 0.55))
        if kind == "portrait":
            middle = head * 0.5 + (h - head) * float(rng.uniform(0.1, 0.5))
        if kind == "extreme":
            x, middle = w * float(rng.uniform(0.2, 0.8)), h * float(rng.uniform(0.35, 0.65)) - head * 0.03
        if who.kind == "animal":
            height = head / 0.32
            foot = middle + height * 0.57
            x -= height * 0.62 * 0.5 * float(rng.choice([-1, 1]))
        elif who.kind == "creature":
            height = head / 0.5
            foot = middle + height * 0.55
        else:
            height = head * who.heads
            foot = middle - head * 0.5 + height
        made.append(_draw(rng, canvas, who, k + 1, x=x, foot=foot, height=height, close=True))
    return made


def _foreground(rng: np.random.Generator, canvas: Canvas, features: Features) -> None:
    """Something near the viewer that hides a part of everything: a bar, a table's edge, leaves, a dark shape."""
    w, h, artist = canvas.width, canvas.height, canvas.artist
    kind = int(rng.integers(4))
    if kind == 0 and features.dark_bars:
        bars(rng, canvas)
        return
    dark: Colour = artist.dark(rng)
    if kind == 1:
        edge = h * float(rng.uniform(0.75, 0.92))
        canvas.fill(
            np.array([(-4, edge), (w + 4, edge + h * 0.02), (w + 4, h + 4), (-4, h + 4)]), artist.paint(rng), shade=0.3
        )
        return
    side = 0.0 if rng.random() < 0.5 else float(w)
    for _ in range(7 if kind == 2 else 1):
        centre = np.array([side, h * float(rng.uniform(0.2, 1.0))])
        t = np.linspace(0, 2 * np.pi, 11)
        r = (0.07 if kind == 2 else 0.3) * min(w, h) * rng.uniform(0.6, 1.2, 11)
        canvas.fill(centre + np.stack([np.cos(t) * r, np.sin(t) * r], 1), mixed(dark, (0, 0, 0), 0.3))


def _lit(rng: np.random.Generator, image: Image.Image, artist: Artist) -> Image.Image:
    """The light that lies over a finished picture: the page's own, or that of the moment; brush marks."""
    if artist.grey:
        return image
    if artist.kind == "painted":
        if rng.random() < 0.8:
            brushed = texture(rng, width=image.width, height=image.height)
            image = Image.blend(image, ImageChops.overlay(image, brushed), float(rng.uniform(0.15, 0.75)))
        grid = Image.fromarray(rng.integers(90, 256, (3, 4, 1), dtype=np.uint8).repeat(3, axis=2))
        light = grid.resize(image.size, Image.Resampling.BICUBIC)
        image = Image.blend(image, ImageChops.multiply(image, light), float(rng.uniform(0.3, 1.0)))
        if rng.random() < 0.35:
            image = Image.blend(image, Image.new("RGB", image.size, artist.dark(rng)), float(rng.uniform(0.1, 0.4)))
        if rng.random() < 0.5:
            image = image.filter(ImageFilter.BoxBlur(float(rng.uniform(0.2, 0.7))))
    if artist.grade is not None and rng.random() < 0.7:
        image = ImageChops.multiply(image, Image.new("RGB", image.size, artist.grade))
    elif rng.random() < 0.12:
        image = ImageChops.multiply(
            image, Image.new("RGB", image.size, mixed(artist.paint(rng), (255, 255, 255), 0.35))
        )
    return image


def _around(boxes: list[Box]) -> Box:
    x, y = min(b.x for b in boxes), min(b.y for b in boxes)
    return Box(x, y, max(b.right for b in boxes) - x, max(b.bottom for b in boxes) - y)
