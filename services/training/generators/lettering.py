"""Lettering of made pages: sentences, made-up glyphs, balloons, captions, effect words, each with its box."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from services.training.generators.artwork import rounded
from shared.domain.schema import Box

Colour = tuple[int, int, int]
NAMES = ["Mira", "Otto", "Lena", "Hugo", "Nell", "Bram", "Ivy", "Karl", "Rosa", "Finn"]
NOUNS = [
    "lantern", "river", "bridge", "garden", "window", "dragon", "captain", "letter", "engine", "harbour", "forest",
    "market", "castle", "kettle", "ladder", "rocket", "island", "compass", "orchard", "tunnel", "violin", "robot",
    "mountain", "blanket", "secret", "machine", "picture", "candle",
]  # fmt: skip
ADJECTIVES = [
    "old", "quiet", "golden", "broken", "hidden", "tiny", "strange", "silver", "frozen", "hungry", "brave", "empty",
    "heavy", "bright",
]  # fmt: skip
VERBS = [
    "find", "open", "carry", "follow", "repair", "borrow", "paint", "watch", "forget", "bring", "hide", "remember",
    "sell", "catch",
]  # fmt: skip
ENDS = [
    "before sunrise", "after dinner", "once more", "without me", "in the rain", "near the harbour", "at midnight",
    "all day",
]  # fmt: skip
EFFECTS = ["BOOM", "CRASH", "WHAM", "ZAP", "POW", "SPLASH", "THUD", "CLANG", "WHOOSH", "BANG", "CRACK", "SNAP"]


def sentence(rng: np.random.Generator) -> str:
    """One plain English sentence of 2 to 10 words."""

    def one(words: list[str]) -> str:
        return words[int(rng.integers(len(words)))]

    kind = int(rng.integers(7))
    if kind == 0:
        return f"We must {one(VERBS)} the {one(ADJECTIVES)} {one(NOUNS)} {one(ENDS)}."
    if kind == 1:
        return f"Where is my {one(ADJECTIVES)} {one(NOUNS)}?"
    if kind == 2:
        return f"{one(NAMES)}! Look at that {one(NOUNS)}!"
    if kind == 3:
        return f"I never wanted to {one(VERBS)} a {one(NOUNS)} {one(ENDS)}."
    if kind == 4:
        return f"The {one(NOUNS)} is {one(ADJECTIVES)}."
    if kind == 5:
        return f"Did {one(NAMES)} {one(VERBS)} the {one(NOUNS)}?"
    return f"Yes, {one(NAMES)}."


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's built-in font, which is always there."""
    return ImageFont.load_default(size=size)


@lru_cache(maxsize=32)
def _glyphs(size: int) -> list[Image.Image]:
    """Sixty made-up square signs, white on black masks of `size` pixels."""
    rng = np.random.default_rng(60)
    made = []
    for _ in range(60):
        sign = Image.new("L", (32, 32))
        draw = ImageDraw.Draw(sign)
        for _ in range(int(rng.integers(3, 8))):
            x, y = (int(v) for v in rng.integers(3, 27, 2))
            reach = int(rng.integers(8, 24))
            turn = int(rng.integers(4))
            end = [(x + reach, y), (x, y + reach), (x + reach, y + reach // 2), (x - reach // 2, y + reach)][turn]
            draw.line((x, y, *end), fill=255, width=3)
        made.append(sign.resize((size, size), Image.Resampling.BOX))
    return made


def wrapped(text: str, *, letters: int) -> list[str]:
    """The text in lines of at most about `letters` letters."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + len(word) < letters:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


@dataclass(frozen=True)
class Lettering:
    """A piece of lettering ready to be drawn: its lines, size in pixels and extent."""

    text: str
    lines: tuple[str, ...]
    size: int
    width: float
    height: float
    vertical: bool = False
    invented: bool = False


def lettering(rng: np.random.Generator, text: str, *, size: int, letters: int, invented: bool = False) -> Lettering:
    """Horizontal lettering; `invented` uses the made-up signs instead of the letters."""
    lines = wrapped(text, letters=letters)
    if invented:
        size = max(5, size)
        width = max(len(line) for line in lines) * size * 0.62
        return Lettering(text, tuple(lines), size, width, len(lines) * size * 1.25, invented=True)
    if rng.random() < 0.5:
        lines = [line.upper() for line in lines]
    face = font(size)
    width = max(face.getlength(line) for line in lines)
    return Lettering(" ".join(lines), tuple(lines), size, width, len(lines) * size * 1.2)


def columns(rng: np.random.Generator, *, size: int) -> Lettering:
    """Vertical lettering in made-up signs: columns from right to left."""
    count = int(rng.integers(1, 6))
    long = int(rng.integers(2, 9))
    lines = tuple("." * max(1, long - int(rng.integers(0, 3))) for _ in range(count))
    return Lettering("", lines, size, count * size * 1.3, max(map(len, lines)) * size * 1.08, vertical=True)


def write(
    rng: np.random.Generator, image: Image.Image, piece: Lettering, *, centre: tuple[float, float], ink: Colour
) -> Box:
    """Draws lettering centred on a point and returns the box of its ink's extent."""
    draw = ImageDraw.Draw(image)
    left, top = centre[0] - piece.width / 2, centre[1] - piece.height / 2
    if piece.vertical or piece.invented:
        signs = _glyphs(piece.size)
        for k, line in enumerate(piece.lines):
            for n in range(len(line)):
                if piece.vertical:
                    x, y = (
                        left + piece.width - (k + 1) * piece.size * 1.3 + piece.size * 0.15,
                        top + n * piece.size * 1.08,
                    )
                elif line[n] == " ":
                    continue
                else:
                    x = centre[0] - len(line) * piece.size * 0.31 + n * piece.size * 0.62
                    y = top + k * piece.size * 1.25
                sign = signs[int(rng.integers(len(signs)))]
                if piece.invented:
                    sign = sign.resize((max(3, int(piece.size * 0.6)), piece.size))
                draw.bitmap((int(x), int(y)), sign, fill=ink)
        return Box(left, top, piece.width, piece.height)
    for k, line in enumerate(piece.lines):
        y = top + (k + 0.5) * piece.size * 1.2
        draw.text((centre[0], y), line, font=font(piece.size), fill=ink, anchor="mm")
    return Box(left, top, piece.width, piece.height)


@dataclass(frozen=True)
class Spoken:
    """What a balloon put on the page: the box of its words, its outer box, the words."""

    words: Box
    outer: Box
    text: str


def balloon(
    rng: np.random.Generator,
    image: Image.Image,
    piece: Lettering,
    *,
    centre: tuple[float, float],
    speaker: tuple[float, float] | None,
    line: int,
    shape: str,
    fill: Colour = (255, 255, 255),
    ink: Colour = (0, 0, 0),
) -> Spoken:
    """Draws words in a `shape`: oval, round, spiked or cloud balloon with a tail to `speaker`, caption box, plain."""
    draw = ImageDraw.Draw(image)
    slack = {"oval": 1.42, "cloud": 1.42, "spiked": 1.45, "round": 1.12, "caption": 1.06, "plain": 1.0}[shape]
    w = piece.width * slack + piece.size * 0.9
    h = piece.height * slack + piece.size * 0.8
    cx, cy = centre
    box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    if shape != "plain":
        if speaker is not None and shape != "caption":
            aim = np.array(speaker) - np.array(centre)
            reach = float(np.hypot(*aim)) or 1.0
            side = np.array([-aim[1], aim[0]]) / reach * min(w, h) * 0.13
            tip = np.array(centre) + aim * min(1.0, (max(w, h) * 0.75) / reach)
            tail = [(float(p[0]), float(p[1])) for p in (np.array(centre) + side, tip, np.array(centre) - side)]
            draw.polygon(tail, fill=fill)
            draw.line([tail[0], tail[1], tail[2]], fill=ink, width=line)
        if shape == "oval":
            draw.ellipse(box, fill=fill, outline=ink, width=line)
        elif shape == "round":
            rounded(draw, box, radius=min(w, h) * 0.35, fill=fill, ink=ink, line=line)
        elif shape == "caption":
            draw.rectangle(box, fill=fill, outline=ink, width=line)
        else:
            points = int(rng.integers(12, 26))
            depth = 0.18 if shape == "spiked" else 0.07
            around = []
            for k in range(points * 2):
                r = (1.0 + depth * float(rng.uniform(0.3, 1.2))) if k % 2 else (1.0 - depth * 0.3)
                a = np.pi * k / points
                around.append((cx + float(np.cos(a)) * w / 2 * r, cy + float(np.sin(a)) * h / 2 * r))
            draw.polygon(around, fill=fill, outline=ink, width=line)
    words = write(rng, image, piece, centre=centre, ink=ink)
    return Spoken(words, Box(box[0], box[1], w, h), piece.text)


def effect(
    rng: np.random.Generator, image: Image.Image, *, centre: tuple[float, float], size: int, fill: Colour
) -> Spoken:
    """Draws a large outlined, turned effect word and returns the box it covers."""
    word = EFFECTS[int(rng.integers(len(EFFECTS)))]
    face = font(size)
    width, height = int(face.getlength(word)) + size, int(size * 1.7)
    layer = Image.new("RGBA", (width, height))
    ImageDraw.Draw(layer).text(
        (width / 2, height / 2), word, font=face, fill=fill, anchor="mm", stroke_width=max(1, size // 10), stroke_fill=0
    )
    layer = layer.rotate(float(rng.uniform(-30, 30)), expand=True, resample=Image.Resampling.BILINEAR)
    x, y = int(centre[0] - layer.width / 2), int(centre[1] - layer.height / 2)
    image.paste(layer, (x, y), layer)
    inked = layer.getchannel("A").getbbox() or (0, 0, 1, 1)
    box = Box(x + inked[0], y + inked[1], inked[2] - inked[0], inked[3] - inked[1])
    return Spoken(box, box, word)
