"""Lettering of made pages: what it says, in which hand, and drawing it with the exact box of its ink."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from services.training.generators.fonts import BODY, SPOKEN, characters, face, glyph
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
class Hand:
    """How a page is lettered. `slant` is the shear, `jitter` the unevenness of letters as a share of their size."""

    face: str
    upper: bool
    slant: float = 0.0
    jitter: float = 0.0
    spacing: float = 1.2
    script: str = "latin"
    vertical: bool = False
    weight: int = 0


@dataclass(frozen=True)
class Lettering:
    """A piece of lettering ready to be drawn: its lines, size in pixels and extent; no hand is the plain one."""

    text: str
    lines: tuple[str, ...]
    size: int
    width: float
    height: float
    hand: Hand | None = None


def invent_hand(rng: np.random.Generator, *, vertical: bool, foreign: bool, body: bool = False) -> Hand:
    """A hand for one page: columns of CJK signs, lines of them when `foreign`, else Latin letters in some typeface."""
    if vertical:
        script = str(rng.choice(["japanese", "chinese", "invented"], p=[0.76, 0.16, 0.08]))
        spacing, weight = float(rng.uniform(1.15, 1.5)), int(rng.integers(1, 4))
        return Hand("cjk", upper=False, spacing=spacing, script=script, vertical=True, weight=weight)
    if foreign:
        script = str(rng.choice(["korean", "japanese", "chinese", "invented"], p=[0.4, 0.25, 0.2, 0.15]))
        spacing, weight = float(rng.uniform(1.1, 1.4)), int(rng.integers(1, 4))
        return Hand("cjk", upper=False, spacing=spacing, script=script, weight=weight)
    faces = BODY if body else SPOKEN
    return Hand(
        face=faces[int(rng.integers(len(faces)))],
        upper=bool(rng.random() < (0.15 if body else 0.75)),
        slant=float(rng.uniform(0.08, 0.28)) if rng.random() < 0.2 else 0.0,
        jitter=float(rng.uniform(0.02, 0.09)) if not body and rng.random() < 0.25 else 0.0,
        spacing=float(rng.uniform(0.98, 1.35)),
    )


def lettering(rng: np.random.Generator, text: str, *, size: int, letters: int, hand: Hand | None = None) -> Lettering:
    """Horizontal lettering in lines of about `letters` letters; without a hand plain, and upper case half the time."""
    lines = wrapped(text, letters=letters)
    if hand is None:
        if rng.random() < 0.5:
            lines = [line.upper() for line in lines]
        plain = font(size)
        width = max(plain.getlength(line) for line in lines)
        return Lettering(" ".join(lines), tuple(lines), size, width, len(lines) * size * 1.2)
    if hand.upper:
        lines = [line.upper() for line in lines]
    letter = face(hand.face, size)
    width = max(letter.getlength(line) for line in lines) * (1 + hand.jitter) + abs(hand.slant) * size
    return Lettering(" ".join(lines), tuple(lines), size, width, len(lines) * size * hand.spacing, hand)


def signs(
    rng: np.random.Generator, hand: Hand, *, size: int, widest: float, tallest: float, count: int | None = None
) -> Lettering:
    """CJK or made-up lettering that fits into `widest` × `tallest` pixels, where one sign does: columns or lines."""
    along, across = (tallest, widest) if hand.vertical else (widest, tallest)
    longest = max(1, int(along / (size * 1.06)))
    most = max(1, int(across / (size * hand.spacing)))
    count = min(count or int(rng.integers(1, 6)), most)
    long = min(longest, int(rng.integers(2, 10)) if hand.vertical else int(rng.integers(4, 13)))
    lines = [
        characters(rng, script=hand.script, count=max(1, long - (int(rng.integers(0, 4)) if k else 0)))
        for k in range(count)
    ]
    length, breadth = max(map(len, lines)) * size * 1.06, count * size * hand.spacing
    width, height = (breadth, length) if hand.vertical else (length, breadth)
    return Lettering("".join(lines), tuple(lines), size, width, height, hand)


def write(
    rng: np.random.Generator,
    image: Image.Image,
    piece: Lettering,
    *,
    centre: tuple[float, float],
    ink: Colour,
    align: str = "middle",
) -> Box:
    """Draws lettering centred on a point and returns the box of its ink; `align` "left" sets the lines flush left."""
    pad = piece.size
    mask = Image.new("L", (int(piece.width) + 2 * pad, int(piece.height) + 2 * pad))
    if piece.hand is not None and piece.hand.script != "latin":
        _put_signs(mask, piece, piece.hand, pad=pad)
    else:
        _put_letters(rng, mask, piece, align=align)
    left, top = round(centre[0] - mask.width / 2), round(centre[1] - mask.height / 2)
    inked = mask.getbbox() or (pad, pad, pad + 1, pad + 1)
    around = (left + inked[0], top + inked[1], left + inked[2], top + inked[3])
    image.paste(_legible(ink, image.crop(around)), (left, top), mask)
    return Box(float(left + inked[0]), float(top + inked[1]), float(inked[2] - inked[0]), float(inked[3] - inked[1]))


def _legible(ink: Colour, ground: Image.Image) -> Colour:
    """The ink, or black or white where it could not be told from the ground: nobody reads white on white."""
    level = float(np.asarray(ground.convert("L").resize((8, 8), Image.Resampling.BOX)).mean())
    light = 0.299 * ink[0] + 0.587 * ink[1] + 0.114 * ink[2]
    if abs(light - level) > 70:
        return ink
    return (0, 0, 0) if level > 127 else (255, 255, 255)


def _put_letters(rng: np.random.Generator, mask: Image.Image, piece: Lettering, *, align: str) -> None:
    hand = piece.hand or Hand("plain", upper=False)
    letter = face(hand.face, piece.size)
    draw = ImageDraw.Draw(mask)
    for k, line in enumerate(piece.lines):
        y = mask.height / 2 - piece.height / 2 + (k + 0.5) * piece.size * hand.spacing
        long = letter.getlength(line)
        x = piece.size if align == "left" else mask.width / 2 - long / 2
        if not hand.jitter:
            draw.text((x, y), line, font=letter, fill=255, anchor="lm")
            continue
        for sign, rise, gap in zip(line, *rng.normal(0, hand.jitter, (2, len(line))), strict=True):
            draw.text((x, y + float(rise) * piece.size), sign, font=letter, fill=255, anchor="lm")
            x += letter.getlength(sign) + float(gap) * piece.size * 0.4
    if hand.slant:
        sheared = mask.transform(
            mask.size,
            Image.Transform.AFFINE,
            (1, hand.slant, -hand.slant * mask.height / 2, 0, 1, 0),
            resample=Image.Resampling.BILINEAR,
        )
        mask.paste(sheared)


def _put_signs(mask: Image.Image, piece: Lettering, hand: Hand, *, pad: int) -> None:
    """Columns run from right to left, each from the top; lines from the left."""
    step = piece.size * 1.06
    for k, line in enumerate(piece.lines):
        across = (k + 0.5) * piece.size * hand.spacing - piece.size / 2
        for n, sign in enumerate(line):
            at = (pad + piece.width - across - piece.size, pad + n * step) if hand.vertical else (
                pad + n * step, pad + across)  # fmt: skip
            drawn = glyph(sign, piece.size, hand.weight)
            mask.paste(drawn, (int(at[0]), int(at[1])), drawn)
