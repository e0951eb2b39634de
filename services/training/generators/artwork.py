"""What stands inside made panels: scenery and figures with their true boxes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from services.training.generators.textures import texture
from shared.domain.schema import Box

Colour = tuple[int, int, int]


def colour(rng: np.random.Generator, low: int = 0, high: int = 256) -> Colour:
    """A random colour whose channels lie in low..high-1."""
    r, g, b = (int(v) for v in rng.integers(low, high, 3))
    return r, g, b


def rounded(
    draw: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    *,
    radius: float,
    fill: Colour | int | None,
    ink: Colour | None = None,
    line: int = 1,
) -> None:
    """A rounded rectangle; a plain one where it is too small for Pillow to round."""
    left, top, right, bottom = (round(v) for v in box)
    if right <= left or bottom <= top:
        return
    if min(right - left, bottom - top) < 2 * line + 8:
        draw.rectangle((left, top, right, bottom), fill=fill, outline=ink, width=line)
    else:
        most = min(right - left, bottom - top) / 2 - 1
        draw.rounded_rectangle((left, top, right, bottom), radius=min(radius, most), fill=fill, outline=ink, width=line)


@dataclass(frozen=True)
class Figure:
    """Looks of one figure, the same on every panel it appears in."""

    skin: Colour
    hair: Colour
    coat: Colour
    legs: Colour
    ink: Colour
    beast: bool
    hat: bool
    long_hair: bool
    head: float
    line: int


def figure(rng: np.random.Generator, *, grey: bool = False, line: int = 1) -> Figure:
    """Invents a figure; `grey` ones are drawn in paper white, tone and black."""

    def paint(low: int, high: int) -> Colour:
        if grey:
            v = int(rng.choice([255, 255, 0, 40, 170, 215]))
            return v, v, v
        return colour(rng, low, high)

    beast = rng.random() < 0.2
    tone = float(rng.uniform(0.35, 1.0))
    skin = (int(255 * tone), int(214 * tone), int(180 * tone)) if rng.random() < 0.7 else paint(60, 256)
    return Figure(
        skin=(255, 255, 255) if grey else (paint(60, 256) if beast else skin),
        hair=paint(0, 200),
        coat=paint(0, 256),
        legs=paint(0, 200),
        ink=(0, 0, 0) if rng.random() < 0.8 else colour(rng, 0, 70),
        beast=bool(beast),
        hat=bool(rng.random() < 0.25),
        long_hair=bool(rng.random() < 0.45),
        head=float(rng.uniform(0.75, 1.3)),
        line=line,
    )


@dataclass(frozen=True)
class Drawn:
    """Where a figure was drawn, unclipped: all of it, its face, and the mouth a balloon's tail points at."""

    whole: Box
    face: Box | None
    mouth: tuple[float, float]


def draw_figure(
    rng: np.random.Generator, image: Image.Image, who: Figure, *, x: float, foot: float, height: float
) -> Drawn:
    """Draws a standing figure with its feet at (x, foot); limbs and mood vary from drawing to drawing."""
    draw = ImageDraw.Draw(image)
    line = who.line
    height = max(height, 14.0)
    if who.beast:
        return _draw_beast(rng, draw, who, x=x, foot=foot, height=height)
    head = height / 6.0 * who.head
    wide = head * float(rng.uniform(0.8, 1.05))
    lean = float(rng.uniform(-0.12, 0.12)) * height
    top = foot - height
    hx, hy = x + lean, top + head
    neck = hy + head * 0.9
    hip = foot - (foot - neck) * float(rng.uniform(0.35, 0.5))
    shoulder = wide * float(rng.uniform(1.1, 1.7))
    parts: list[tuple[float, float]] = [(hx - wide, top), (hx + wide, hy + head)]

    def limb(start: tuple[float, float], length: float, angle: float, thick: float, fill: Colour) -> None:
        bend = angle + float(rng.uniform(-0.9, 0.9))
        elbow = (start[0] + np.cos(angle) * length / 2, start[1] + np.sin(angle) * length / 2)
        end = (elbow[0] + np.cos(bend) * length / 2, elbow[1] + np.sin(bend) * length / 2)
        path = [start, (float(elbow[0]), float(elbow[1])), (float(end[0]), float(end[1]))]
        draw.line(path, fill=who.ink, width=max(2, int(thick) + 2 * line), joint="curve")
        draw.line(path, fill=fill, width=max(1, int(thick)), joint="curve")
        parts.extend([(p[0] - thick / 2, p[1] - thick / 2) for p in path])
        parts.extend([(p[0] + thick / 2, p[1] + thick / 2) for p in path])

    for side in (-1, 1):
        limb(
            (x + side * shoulder * 0.4, hip),
            foot - hip,
            np.pi / 2 + float(rng.uniform(-0.3, 0.3)),
            wide * 0.5,
            who.legs,
        )
    left, right = (shoulder * float(rng.uniform(0.7, 1.4)) for _ in range(2))
    hem = hip + head * 0.4
    body = [(hx - shoulder * 0.8, neck), (hx + shoulder * 0.8, neck), (x + right, hem), (x - left, hem)]
    if who.long_hair:
        hair = (hx - wide * 1.25, top - head * 0.1, hx + wide * 1.25, neck + head * float(rng.uniform(0.3, 1.5)))
        rounded(draw, hair, radius=wide, fill=who.hair, ink=who.ink, line=line)
        parts.extend([(hair[0], hair[1]), (hair[2], hair[3])])
    draw.polygon(body, fill=who.coat, outline=who.ink, width=line)
    parts.extend(body)
    for side in (-1, 1):
        angle = np.pi / 2 + side * float(rng.uniform(-2.6, 0.2))
        limb((hx + side * shoulder * 0.75, neck + head * 0.25), (hip - neck) * 1.1, angle, wide * 0.4, who.coat)
    face = (hx - wide, hy - head, hx + wide, hy + head)
    draw.ellipse(face, fill=who.skin, outline=who.ink, width=line)
    back = rng.random() < 0.12
    turn = float(rng.uniform(-0.45, 0.45)) * wide
    if back:
        draw.ellipse(face, fill=who.hair, outline=who.ink, width=line)
    else:
        fringe = float(rng.uniform(0.5, 0.95))
        draw.chord(face, 180 + 25 * fringe, 360 - 25 * fringe, fill=who.hair, outline=who.ink, width=line)
        _draw_features(rng, draw, who, x=hx + turn, y=hy, wide=wide, head=head)
    if who.hat:
        brim = (hx - wide * 1.7, hy - head * 0.75, hx + wide * 1.7, hy - head * 0.45)
        draw.polygon(
            [(hx - wide, brim[1]), (hx + lean * 0.3, top - head), (hx + wide, brim[1])], fill=who.hair, outline=who.ink
        )
        draw.ellipse(brim, fill=who.hair, outline=who.ink, width=line)
        parts.extend([(brim[0], top - head), (brim[2], brim[3])])
    xs, ys = [p[0] for p in parts], [p[1] for p in parts]
    whole = Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
    seen = None if back else Box(face[0], face[1], wide * 2, head * 2)
    return Drawn(whole, seen, (hx + turn, hy + head * 0.6))


def _draw_features(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, who: Figure, *, x: float, y: float, wide: float, head: float
) -> None:
    """Eyes, brows, nose, mouth, at times glasses, around (x, y)."""
    size = head * float(rng.uniform(0.1, 0.3))
    kind = int(rng.integers(3))
    for side in (-1, 1):
        ex, ey = x + side * wide * 0.38, y + head * 0.05
        eye = (ex - size * 0.8, ey - size, ex + size * 0.8, ey + size)
        if kind == 0:
            draw.ellipse(eye, fill=who.ink)
        elif kind == 1:
            draw.ellipse(eye, fill="white", outline=who.ink, width=who.line)
            draw.ellipse((ex - size * 0.4, ey - size * 0.5, ex + size * 0.4, ey + size * 0.5), fill=who.ink)
        else:
            draw.arc(eye, 180, 360, fill=who.ink, width=who.line + 1)
        tilt = float(rng.uniform(-0.5, 0.5)) * size
        draw.line((ex - size, ey - size * 2 + tilt, ex + size, ey - size * 2 - tilt), fill=who.ink, width=who.line)
    draw.line((x, y + head * 0.2, x + size * 0.6, y + head * 0.42), fill=who.ink, width=who.line)
    mouth = (x - wide * 0.3, y + head * 0.45, x + wide * 0.3, y + head * 0.8)
    if rng.random() < 0.5:
        draw.arc(mouth, 20, 160, fill=who.ink, width=who.line)
    else:
        draw.ellipse(mouth, fill=(120, 30, 30) if who.ink != (0, 0, 0) else (20, 10, 10), outline=who.ink)
    if rng.random() < 0.1:
        draw.rectangle((x - wide * 0.8, y - head * 0.15, x + wide * 0.8, y + head * 0.25), fill=who.ink)


def _draw_beast(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, who: Figure, *, x: float, foot: float, height: float
) -> Drawn:
    """A four-legged or round creature with a face at one end."""
    side = 1 if rng.random() < 0.5 else -1
    h = height * 0.6
    w = h * float(rng.uniform(0.9, 1.7))
    body = (x - w / 2, foot - h * 0.85, x + w / 2, foot - h * 0.2)
    for k in (-0.35, -0.15, 0.2, 0.38):
        draw.line((x + k * w, foot - h * 0.4, x + k * w, foot), fill=who.ink, width=max(2, int(h * 0.12)))
    draw.ellipse(body, fill=who.coat, outline=who.ink, width=who.line)
    r = h * 0.32 * who.head
    hx, hy = x + side * w * 0.45, foot - h * 0.95
    for ear in (-1, 1):
        draw.polygon(
            [(hx + ear * r * 0.9, hy), (hx + ear * r * 0.8, hy - r * 1.5), (hx + ear * r * 0.1, hy - r * 0.6)],
            fill=who.coat,
            outline=who.ink,
        )
    draw.ellipse((hx - r, hy - r, hx + r, hy + r), fill=who.skin, outline=who.ink, width=who.line)
    _draw_features(rng, draw, who, x=hx, y=hy, wide=r, head=r)
    left, right = min(x - w / 2, hx - r), max(x + w / 2, hx + r)
    whole = Box(left, hy - r * 1.5, right - left, foot - hy + r * 1.5)
    return Drawn(whole, Box(hx - r, hy - r, 2 * r, 2 * r), (hx, hy + r * 0.6))


def scenery(
    rng: np.random.Generator,
    *,
    width: int,
    height: int,
    kind: str,
    tint: NDArray[np.float32] | None,
) -> Image.Image:
    """A panel's background, RGB: texture, flat, paper (white), night, or scene (ground, buildings, bars)."""
    if kind == "paper":
        image = Image.new("RGB", (width, height), "white")
    elif kind == "flat":
        base = np.array(colour(rng)) if tint is None else np.clip(tint + rng.normal(0, 30, 3), 0, 255)
        image = Image.new("RGB", (width, height), tuple(int(v) for v in base))
    elif kind == "night":
        image = texture(rng, width=width, height=height, tint=tint).point([int(v * 0.25) for v in range(256)] * 3)
    else:
        image = texture(rng, width=width, height=height, tint=tint)
    if kind != "scene" and rng.random() < 0.55:
        return image
    draw = ImageDraw.Draw(image)
    paper = kind == "paper"
    ink = (0, 0, 0) if rng.random() < 0.7 else colour(rng, 0, 80)
    thick = max(1, int(min(width, height) * float(rng.uniform(0.004, 0.02))))

    def paint() -> Colour:
        return (255, 255, 255) if paper and rng.random() < 0.7 else colour(rng)

    horizon = height * float(rng.uniform(0.4, 0.9))
    if rng.random() < 0.5:
        draw.rectangle(
            (0, horizon, width, height), fill=paint(), outline=ink if rng.random() < 0.5 else None, width=thick
        )
    for _ in range(int(rng.integers(0, 4))):
        w = width * float(rng.uniform(0.08, 0.4))
        x = float(rng.uniform(-0.1, 1)) * width
        top = height * float(rng.uniform(-0.1, 0.6))
        shape = int(rng.integers(5))
        if shape == 0:
            draw.rectangle((x, min(top, horizon), x + w, horizon), fill=paint(), outline=ink, width=thick)
            for wy in np.arange(top + w * 0.2, horizon - w * 0.3, w * 0.5):
                draw.rectangle((x + w * 0.2, wy, x + w * 0.45, wy + w * 0.3), fill=paint(), outline=ink)
        elif shape == 1:
            draw.rectangle((x, -2, x + w * 0.18, height), fill=ink if rng.random() < 0.6 else paint())
        elif shape == 2:
            draw.rectangle((-2, top, width + 2, top + max(2.0, w * 0.08)), fill=ink if rng.random() < 0.6 else paint())
        elif shape == 3:
            draw.rectangle((x, top, x + w, top + w * 1.3), fill=None, outline=ink, width=thick + 1)
            draw.line((x + w / 2, top, x + w / 2, top + w * 1.3), fill=ink, width=thick)
        else:
            draw.ellipse(
                (x, top, x + w, top + w), fill=paint(), outline=ink if rng.random() < 0.7 else None, width=thick
            )
    for _ in range(int(rng.integers(0, 5))):
        a, b = rng.random(2), rng.random(2)
        line = (float(a[0] * width), float(a[1] * height), float(b[0] * width), float(b[1] * height))
        draw.line(line, fill=ink, width=thick)
    return image
