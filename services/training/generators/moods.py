"""Grounds of made panels: paint, gradients and paper, and what shows no place: tones, lines, bursts, voids, flowers."""

import numpy as np
from PIL import Image

from services.training.generators import inking
from services.training.generators.artists import Artist, mixed
from services.training.generators.artwork import Colour
from services.training.generators.canvases import Canvas
from services.training.generators.textures import texture

MOODS = ("plain", "tone", "focus", "speed", "burst", "void", "flowers", "texture", "splatter")


def base(rng: np.random.Generator, artist: Artist, *, width: int, height: int, dark: bool = False) -> Image.Image:
    """What lies under everything: paint, a gradient, one flat colour, or paper."""
    if artist.grey or (artist.kind == "sketch" and not dark):
        v = 255 if not dark else 8
        return Image.new("RGB", (width, height), (v, v, v))
    tone = artist.dark(rng) if dark else artist.pale(rng)
    if artist.kind == "painted" and rng.random() < 0.8:
        pulled = texture(rng, width=width, height=height, tint=np.array(tone, np.float32))
        return Image.blend(pulled, Image.new("RGB", (width, height), tone), float(rng.uniform(0.25, 0.85)))
    if artist.kind in ("cel", "painted") and rng.random() < 0.6:
        return _gradient(tone, artist.dark(rng) if dark else artist.pale(rng), width, height)
    return Image.new("RGB", (width, height), tone)


def _gradient(top: Colour, bottom: Colour, width: int, height: int) -> Image.Image:
    column = Image.fromarray(np.array([[top], [mixed(top, bottom, 0.6)], [bottom]], np.uint8))
    return column.resize((width, height), Image.Resampling.BILINEAR)


def lay_mood(rng: np.random.Generator, artist: Artist, kind: str, *, width: int, height: int, line: float) -> Canvas:
    """A canvas that shows no place but a feeling, one of `MOODS`."""
    if kind == "texture":
        tint = None if artist.grey or rng.random() < 0.5 else np.array(artist.pale(rng), np.float32)
        piece = texture(rng, width=width, height=height, tint=tint)
        return Canvas(piece.convert("L").convert("RGB") if artist.grey else piece, artist, line=line)
    dark = kind == "void"
    ink = artist.ink if not dark else (255, 255, 255)
    canvas = Canvas(base(rng, artist, width=width, height=height, dark=dark), artist, line=line)
    image = canvas.image
    if kind == "flowers":
        flowers(rng, canvas)
    elif kind == "tone" or (dark and rng.random() < 0.15):
        inking.tone_gradient(rng, image, ink=ink, dots=artist.dots)
    elif kind == "focus" or (dark and rng.random() < 0.35):
        centre = (image.width * float(rng.uniform(0.25, 0.75)), image.height * float(rng.uniform(0.25, 0.75)))
        inking.focus_lines(rng, image, centre=centre, ink=ink, free=float(rng.uniform(0.25, 0.5)))
    elif kind == "speed":
        inking.speed_lines(rng, image, ink=ink if rng.random() < 0.8 else (255, 255, 255))
    elif kind == "burst":
        inking.burst(rng, image, fill=(255, 255, 255) if artist.grey else artist.paint(rng), ink=ink)
    elif kind == "splatter":
        inking.splatter(rng, image, ink=ink)
    return canvas


def flowers(rng: np.random.Generator, canvas: Canvas) -> None:
    """Blossoms, rings or stars around the rim of a picture."""
    w, h, artist = canvas.width, canvas.height, canvas.artist
    petals = int(rng.integers(4, 9))
    t = np.linspace(0, 2 * np.pi, petals * 4, endpoint=False)
    wave = 1 + 0.35 * np.cos(t * petals) * float(rng.random() < 0.8)
    fill = artist.pale(rng)
    for _ in range(int(rng.integers(4, 14))):
        x, y = rng.uniform(0, 1, 2) * (w, h)
        if rng.random() < 0.7:
            x = x * 0.35 if x < w / 2 else w - (w - x) * 0.35
        r = min(w, h) * float(rng.uniform(0.04, 0.16))
        canvas.fill(np.array([x, y]) + np.stack([np.cos(t) * wave, np.sin(t) * wave], 1) * r, fill, line=0.7)
        canvas.stroke(np.array([x, y]) + np.stack([np.cos(t), np.sin(t)], 1) * r * 0.25, width=0.6, closed=True)
