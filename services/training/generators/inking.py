"""What pen, brush and sheets of dots make: screentone, hatching, speed and focus lines, bursts, splatter."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from services.training.generators.artwork import Colour

TILE = 512
LEVELS = 6


@lru_cache(maxsize=16)
def _tile(level: int) -> Image.Image:
    """A sheet of ink, (TILE, TILE), 255 where ink is: dots of one size; level -1 is hatching."""
    ys, xs = np.mgrid[0:TILE, 0:TILE].astype(np.float32)
    if level < 0:
        wave = np.abs(((xs * 0.8 + ys * 0.6) % 6.0) - 3.0) + 0.6 * np.sin(xs * 0.05) * np.cos(ys * 0.04)
        return Image.fromarray(((wave < 0.8) * 255).astype(np.uint8))
    gap = 6.0
    u, v = (xs + ys) / gap, (xs - ys) / gap
    distance = np.hypot(u % 1.0 - 0.5, v % 1.0 - 0.5)
    radius = np.sqrt(max(0.0, 1.0 - (level + 0.5) / LEVELS) / np.pi)
    return Image.fromarray(((distance < radius) * 255).astype(np.uint8))


def screen(white: float, width: int, height: int, *, phase: tuple[int, int] = (0, 0)) -> Image.Image:
    """Ink of a printed tone, L width × height; `white` is the share of paper left (0..1), below 0 hatching."""
    level = -1 if white < 0 else min(LEVELS - 1, int(white * LEVELS))
    tile = _tile(level)
    x, y = phase[0] % 64, phase[1] % 64
    if x + width <= TILE and y + height <= TILE:
        return tile.crop((x, y, x + width, y + height))
    sheet = Image.new("L", (width, height))
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            sheet.paste(tile, (left, top))
    return sheet


def tone_gradient(
    rng: np.random.Generator, image: Image.Image, *, ink: Colour, dots: bool, upwards: bool | None = None
) -> None:
    """A sheet of tone that fades over the picture, from one edge or from a corner."""
    width, height = image.size
    ys, xs = np.mgrid[0:16, 0:16] / 15.0
    angle = float(rng.choice([np.pi / 2, -np.pi / 2, 0.7, 2.4])) if upwards is None else np.pi / 2 * (1 - 2 * upwards)
    ramp = xs * np.cos(angle) + ys * np.sin(angle)
    ramp = (ramp - ramp.min()) / (ramp.max() - ramp.min())
    start, most = float(rng.uniform(0.0, 0.6)), float(rng.uniform(0.4, 1.0))
    fade = Image.fromarray((np.clip((ramp - start) / (1.0 - start), 0, 1) * most * 255).astype(np.uint8))
    mask = fade.resize((width, height), Image.Resampling.BILINEAR)
    if dots:
        grain = np.asarray(_grain().resize((TILE, TILE)))
        rows, columns = np.arange(height) % TILE, np.arange(width) % TILE
        mask = Image.fromarray((np.asarray(mask) > grain[rows[:, None], columns[None, :]]).astype(np.uint8) * 255)
    image.paste(ink, (0, 0), mask)


@lru_cache(maxsize=1)
def _grain() -> Image.Image:
    """The threshold at which each point of a dot sheet turns black."""
    ys, xs = np.mgrid[0:TILE, 0:TILE].astype(np.float32)
    u, v = (xs + ys) / 6.0, (xs - ys) / 6.0
    distance = np.hypot(u % 1.0 - 0.5, v % 1.0 - 0.5)
    return Image.fromarray((np.clip(distance / 0.71, 0, 1) * 250 + 4).astype(np.uint8))


def focus_lines(
    rng: np.random.Generator, image: Image.Image, *, centre: tuple[float, float], ink: Colour, free: float
) -> None:
    """Wedges from the rim towards a centre, which stays free within `free` of the picture's longer side."""
    draw = ImageDraw.Draw(image)
    far = float(np.hypot(*image.size))
    count = int(rng.integers(45, 150))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    near = max(image.size) * free * rng.uniform(0.75, 1.35, count)
    half = rng.uniform(0.001, 0.018, count) * (1.0 + 2.0 * (rng.random(count) < 0.12))
    cx, cy = centre
    for angle, start, wide in zip(angles, near, half, strict=True):
        draw.polygon(
            [
                (cx + float(np.cos(angle) * start), cy + float(np.sin(angle) * start)),
                (cx + float(np.cos(angle - wide) * far), cy + float(np.sin(angle - wide) * far)),
                (cx + float(np.cos(angle + wide) * far), cy + float(np.sin(angle + wide) * far)),
            ],
            fill=ink,
        )


def speed_lines(rng: np.random.Generator, image: Image.Image, *, ink: Colour) -> None:
    """Parallel wedges that run in from one or both sides, at any slope, or rain."""
    draw = ImageDraw.Draw(image)
    width, height = image.size
    angle = float(rng.choice([0.0, np.pi / 2, rng.uniform(-0.6, 0.6)], p=[0.4, 0.2, 0.4]))
    c, s = np.cos(angle), np.sin(angle)
    far = float(np.hypot(width, height))
    both = rng.random() < 0.4
    count = int(rng.integers(25, 110))
    across = rng.uniform(-0.5, 0.5, count) * far
    ends = far * rng.uniform(-0.5, 0.25, count)
    thick = rng.exponential(0.004, count) * far + 0.5
    for k in range(count):
        start, end = (-far, ends[k]) if not both or k % 2 else (far, -ends[k])
        foot = (width / 2 - s * across[k], height / 2 + c * across[k])
        a = (foot[0] + c * start, foot[1] + s * start)
        b = (foot[0] + c * end, foot[1] + s * end)
        t = thick[k] / 2
        draw.polygon(
            [(float(a[0] - s * t), float(a[1] + c * t)), (float(a[0] + s * t), float(a[1] - c * t)),
             (float(b[0]), float(b[1]))],
            fill=ink,
        )  # fmt: skip


def burst(rng: np.random.Generator, image: Image.Image, *, fill: Colour, ink: Colour) -> None:
    """A star of many rays, filled, around some point: a blow, a shock, an explosion."""
    draw = ImageDraw.Draw(image)
    width, height = image.size
    cx, cy = width * float(rng.uniform(0.3, 0.7)), height * float(rng.uniform(0.3, 0.7))
    rays = int(rng.integers(9, 40))
    angles = np.linspace(0, 2 * np.pi, 2 * rays, endpoint=False)
    radii = np.where(np.arange(2 * rays) % 2, rng.uniform(0.25, 0.4), rng.uniform(0.45, 0.9, 2 * rays))
    radii = radii * max(width, height)
    star = [(cx + float(np.cos(a) * r), cy + float(np.sin(a) * r)) for a, r in zip(angles, radii, strict=True)]
    draw.polygon(star, fill=fill)
    draw.line([*star, star[0]], fill=ink, width=max(1, width // 160))


def splatter(rng: np.random.Generator, image: Image.Image, *, ink: Colour) -> None:
    """Drops and specks of ink, dense around one place."""
    draw = ImageDraw.Draw(image)
    width, height = image.size
    spots = rng.normal(rng.uniform(0.1, 0.9, 2), 0.22, (int(rng.integers(20, 70)), 2)) * (width, height)
    for (x, y), r in zip(spots, rng.exponential(0.007, len(spots)) * max(width, height), strict=True):
        draw.ellipse((float(x - r), float(y - r), float(x + r), float(y + r)), fill=ink)
