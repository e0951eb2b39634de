"""The places of made stories as pictures: a sky that tells the hour, and scenery of a palette and shapes of its own."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from services.training.generators.artwork import Colour, rounded
from services.training.generators.story_canvas import Canvas
from services.training.generators.story_world import INK, Hour
from services.training.generators.textures import texture


def paint_place(canvas: Canvas, place: str, *, hour: Hour, clock: float) -> None:
    """Paints the sky of a moment of the day and a place in front of it."""
    horizon = max(canvas.h * float(canvas.rng.uniform(0.58, 0.7)), canvas.top + 0.18 * canvas.h)
    _sky(canvas, hour=hour, clock=clock, horizon=horizon)
    SCENERY[place](canvas, horizon)
    grain = texture(canvas.rng, width=canvas.w, height=canvas.h, tint=None)
    canvas.image.paste(Image.blend(canvas.image, grain, float(canvas.rng.uniform(0.02, 0.13))))


def _sky(canvas: Canvas, *, hour: Hour, clock: float, horizon: float) -> None:
    """A gradient with the sun on its arc from left to right, or the moon and stars once it has set."""
    stops = np.clip(np.array(hour.sky, np.float64) + np.array(canvas.shift) * 0.7, 0, 255).astype(np.uint8)
    ground = Image.fromarray(stops.reshape(2, 1, 3)).resize((1, canvas.h), Image.Resampling.BILINEAR)
    canvas.image.paste(ground.resize((canvas.w, canvas.h)))
    small = min(canvas.w, canvas.h)
    night = hour.name == "night"
    way = (clock - 0.8) / 0.2 if night else clock / 0.8
    highest, lowest = max(canvas.top + 0.1 * canvas.h, 0.14 * canvas.h), horizon - 0.06 * canvas.h
    x = canvas.w * (0.1 + 0.8 * way)
    y = lowest + (highest - lowest) * float(np.sin(np.pi * min(1.0, max(0.0, way))) ** 0.7)
    if night:
        for _ in range(int(canvas.rng.integers(14, 30))):
            sx, sy = float(canvas.rng.random()) * canvas.w, float(canvas.rng.random()) * horizon
            canvas.oval(sx, sy, 1, 1, (255, 255, 230), ink=False, amount=0)
        canvas.oval(x, min(y, highest + 0.1 * canvas.h), small * 0.09, small * 0.09, (250, 246, 214), amount=0)
        dark = hour.sky[0]
        canvas.oval(x + small * 0.045, min(y, highest + 0.1 * canvas.h) - small * 0.02, small * 0.075, small * 0.075,
                    dark, ink=False, amount=0)  # fmt: skip
        return
    radius = small * (0.13 if hour.name in ("dawn", "dusk") else 0.09)
    paint: Colour = {"dawn": (255, 120, 130), "dusk": (255, 70, 20)}.get(hour.name, (255, 230, 60))
    if hour.name == "noon":
        for k in range(12):
            a = k * np.pi / 6
            ray = [(x + float(np.cos(a)) * radius * r, y + float(np.sin(a)) * radius * r) for r in (1.2, 1.7)]
            canvas.stroke(ray, (255, 240, 120), radius * 0.2, amount=0)
    canvas.oval(x, y, radius, radius, paint, amount=0)


def _forest(c: Canvas, horizon: float) -> None:
    c.block(-2, horizon, c.w + 2, c.h + 2, (70, 130, 50))
    for x in np.arange(-0.05, 1.1, 0.09):
        tall = c.near(0.2, 0.4) * c.h
        middle = c.near(x, 0.1) * c.w
        c.poly([(middle - c.w * 0.08, horizon), (middle, horizon - tall), (middle + c.w * 0.08, horizon)], (24, 84, 46))
    for side in (0.04, 0.32, 0.66, 0.96):
        x, wide = (side + float(c.rng.uniform(-0.08, 0.08))) * c.w, c.near(0.05, 0.3) * c.w
        foot = horizon + c.near(0.12, 0.5) * c.h
        c.block(x - wide / 2, horizon - 0.42 * c.h, x + wide / 2, foot, (104, 66, 34))
        for k in range(3):
            y, r = horizon - (0.16 + 0.12 * k) * c.h, wide * (2.1 - 0.4 * k)
            c.poly([(x - r, y), (x, y - 0.2 * c.h), (x + r, y)], (34, 120 - 10 * k, 48))


def _harbour(c: Canvas, horizon: float) -> None:
    quay = max(horizon + 0.1 * c.h, 0.82 * c.h)
    c.block(-2, horizon - 0.08 * c.h, c.w + 2, quay, (30, 110, 190))
    for _ in range(9):
        x, y = float(c.rng.random()) * c.w, float(c.rng.uniform(horizon, quay))
        c.stroke([(x, y), (x + 0.1 * c.w, y)], (200, 230, 250), 1)
    x = float(c.rng.choice([0.12, 0.88])) * c.w
    for k in range(5):
        y, r = horizon - 0.09 * c.h * (k - 0.5), c.w * (0.06 - 0.006 * k)
        c.block(x - r, y - 0.09 * c.h, x + r, y, (220, 40, 40) if k % 2 else (250, 250, 250))
    c.poly([(x - 0.05 * c.w, horizon - 0.4 * c.h), (x, horizon - 0.48 * c.h), (x + 0.05 * c.w, horizon - 0.4 * c.h)],
           (60, 60, 70))  # fmt: skip
    for _ in range(2):
        x, s = float(c.rng.uniform(0.25, 0.75)) * c.w, c.near(0.13, 0.25) * c.w
        c.stroke([(x, horizon), (x, horizon - 2.2 * s)], (80, 50, 30), s * 0.1)
        c.poly([(x, horizon - 2.2 * s), (x + s, horizon - 0.4 * s), (x, horizon - 0.4 * s)], (250, 244, 230))
        c.poly([(x - s, horizon - 0.2 * s), (x + s, horizon - 0.2 * s), (x + 0.6 * s, horizon + 0.25 * s),
                (x - 0.6 * s, horizon + 0.25 * s)], (130, 50, 40))  # fmt: skip
    c.block(-2, quay, c.w + 2, c.h + 2, (150, 110, 74))
    for x in np.arange(0, 1.1, 0.12):
        c.stroke([(x * c.w, quay), ((x - 0.5) * 1.3 * c.w + 0.5 * c.w, c.h)], INK, 1)


def _desert(c: Canvas, horizon: float) -> None:
    x, s = float(c.rng.uniform(0.15, 0.85)) * c.w, c.near(0.28, 0.2) * c.w
    tip = horizon - min(0.9 * s, 0.4 * c.h)
    c.poly([(x - s, horizon), (x, tip), (x + s, horizon)], (226, 184, 96))
    c.poly([(x + 0.2 * s, horizon), (x, tip), (x + s, horizon)], (184, 138, 64))
    c.block(-2, horizon, c.w + 2, c.h + 2, (244, 204, 112))
    for k in range(3):
        y = horizon + (c.h - horizon) * 0.4 * k
        c.oval(float(c.rng.random()) * c.w, y + 0.16 * c.h, 0.55 * c.w, 0.16 * c.h, (250 - 14 * k, 212 - 18 * k, 120))
    for x in (float(c.rng.uniform(0.04, 0.16)) * c.w, float(c.rng.uniform(0.84, 0.96)) * c.w):
        s, foot = c.near(0.3, 0.25) * c.h, horizon + 0.1 * c.h
        for path in ([(x, foot), (x, foot - s)], [(x, foot - 0.4 * s), (x + 0.3 * s, foot - 0.4 * s),
                     (x + 0.3 * s, foot - 0.75 * s)], [(x, foot - 0.5 * s), (x - 0.25 * s, foot - 0.5 * s),
                     (x - 0.25 * s, foot - 0.8 * s)]):  # fmt: skip
            c.stroke(path, INK, 0.2 * s + 2, amount=0)
            c.stroke(path, (60, 150, 70), 0.2 * s)


def _rooftops(c: Canvas, horizon: float) -> None:
    x = -0.05 * c.w
    while x < c.w:
        wide, top = c.near(0.15, 0.3) * c.w, horizon - c.near(0.3, 0.6) * c.h
        shade = int(c.rng.integers(70, 130))
        c.block(x, top, x + wide, c.h, (shade, shade, shade + 34))
        for wy in np.arange(top + 0.05 * c.h, horizon + 0.1 * c.h, 0.09 * c.h):
            for wx in (0.2, 0.6):
                glow = (255, 226, 120) if c.rng.random() < 0.6 else (50, 54, 80)
                c.block(x + wx * wide, wy, x + (wx + 0.24) * wide, wy + 0.045 * c.h, glow, ink=False, amount=0.3)
        x += wide
    edge = max(horizon + 0.12 * c.h, 0.8 * c.h)
    roof = [(-2, edge + 0.06 * c.h), (0.1 * c.w, edge), (0.9 * c.w, edge), (c.w + 2, edge + 0.06 * c.h)]
    c.poly([*roof, (c.w + 2, c.h + 2), (-2, c.h + 2)], (176, 74, 58))
    for k in range(3):
        y = edge + 0.06 * c.h * (k + 1)
        c.stroke([(-2, y), (c.w + 2, y)], (110, 40, 34), 1)
    x = float(c.rng.choice([0.05, 0.82])) * c.w
    c.block(x, edge - 0.18 * c.h, x + 0.11 * c.w, edge + 0.05 * c.h, (140, 54, 44))


def _through(c: Canvas, opening: Image.Image, fill: Colour) -> None:
    """Covers everything but the `opening` (a mask whose black part stays)."""
    c.image.paste(c.lit(fill), (0, 0, c.w, c.h), opening)


def _castle(c: Canvas, horizon: float) -> None:
    wall = Image.new("L", (c.w, c.h), 255)
    hole = ImageDraw.Draw(wall)
    count = int(c.rng.integers(2, 4))
    gaps = [(k / count + 0.035, (k + 1) / count - 0.035) for k in range(count)]
    top = max(c.top * 0.8, 0.06 * c.h)
    for a, b in gaps:
        rounded(hole, (a * c.w, top, b * c.w, horizon - 0.05 * c.h), radius=0.1 * c.w, fill=0)
    _through(c, wall, (150, 146, 158))
    for k, y in enumerate(np.arange(0, horizon, 0.075 * c.h)):
        for x in np.arange(-0.05 * (k % 2), 1, 0.1):
            if not any(a - 0.01 < x < b + 0.01 or a < x + 0.08 < b for a, b in gaps):
                c.block(x * c.w, y, (x + 0.09) * c.w, y + 0.06 * c.h, (124, 120, 134), ink=False)
    for a, b in gaps:
        for x in (a, b):
            c.block(x * c.w - 0.012 * c.w, top, x * c.w + 0.012 * c.w, horizon - 0.05 * c.h, (200, 196, 204))
    for x in (0.005, 0.93):
        c.poly([(x * c.w, 0), ((x + 0.07) * c.w, 0), ((x + 0.07) * c.w, 0.5 * c.h), ((x + 0.035) * c.w, 0.43 * c.h),
                (x * c.w, 0.5 * c.h)], (170, 20, 40))  # fmt: skip
    c.block(-2, horizon, c.w + 2, c.h + 2, (96, 92, 110))
    c.poly([(0.3 * c.w, horizon), (0.7 * c.w, horizon), (0.95 * c.w, c.h + 2), (0.05 * c.w, c.h + 2)], (190, 24, 44))


def _snow(c: Canvas, horizon: float) -> None:
    for x in (0.15, 0.55, 0.9):
        x, s, tall = c.near(x, 0.15) * c.w, 0.3 * c.w, c.near(0.42, 0.2) * min(c.h, 1.2 * c.w)
        c.poly([(x - s, horizon), (x, horizon - tall), (x + s, horizon)], (110, 130, 170))
        edge = ((-0.4, 0.6), (0.0, 1.0), (0.4, 0.6), (0.1, 0.7), (-0.1, 0.55))
        c.poly([(x + along * s, horizon - up * tall) for along, up in edge], (250, 252, 255))
    c.block(-2, horizon, c.w + 2, c.h + 2, (236, 244, 255))
    c.oval(float(c.rng.random()) * c.w, c.h, 0.6 * c.w, 0.2 * c.h, (214, 228, 250), ink=False)
    for _ in range(int(c.rng.integers(25, 45))):
        x, y = float(c.rng.random()) * c.w, float(c.rng.random()) * c.h
        r = max(1.0, 0.01 * c.w)
        c.oval(x, y, r, r, (255, 255, 255), ink=False, amount=0.3)


def _cave(c: Canvas, horizon: float) -> None:
    wall = Image.new("L", (c.w, c.h), 255)
    middle, low, high = float(c.rng.uniform(0.45, 0.55)), horizon - 0.02 * c.h, max(c.top * 0.85, 0.08 * c.h)
    around = []
    for k in range(18):
        a, r = np.pi * 2 * k / 18, float(c.rng.uniform(0.85, 1.1))
        around.append((c.w * (middle + 0.42 * r * float(np.cos(a))),
                       (low + high) / 2 + (low - high) / 2 * r * float(np.sin(a))))  # fmt: skip
    ImageDraw.Draw(wall).polygon(around, fill=0)
    _through(c, wall, (86, 60, 52))
    c.pen.line([*around, around[0]], INK, c.line * 2)
    c.block(-2, horizon, c.w + 2, c.h + 2, (66, 46, 44))
    for x in np.arange(0.0, 1.05, 0.13):
        long = c.near(0.16, 0.6) * c.h
        c.poly([((x - 0.05) * c.w, -2), ((x + 0.05) * c.w, -2), (x * c.w, high * 0.6 + long)], (58, 38, 36))
    for x in (0.05, 0.14, 0.86, 0.95):
        s, foot = c.near(0.2, 0.4) * c.h, horizon + 0.1 * c.h
        lean = float(c.rng.uniform(-0.3, 0.3)) * s
        c.poly(
            [(x * c.w - 0.2 * s, foot), (x * c.w + lean, foot - s), (x * c.w + 0.2 * s, foot)],
            (190, 90, 240),
            amount=0.3,
        )


def _market(c: Canvas, horizon: float) -> None:
    c.block(-2, horizon - 0.12 * c.h, c.w + 2, c.h + 2, (206, 176, 140))
    for k in range(24):
        x, y = float(c.rng.random()) * c.w, float(c.rng.uniform(horizon + 0.06 * c.h, c.h))
        c.oval(x, y, 0.03 * c.w, 0.014 * c.h, (176, 146, 112) if k % 2 else (226, 200, 164), ink=False)
    count = max(2, round(c.w / c.h * 2))
    colours: list[Colour] = [(230, 50, 50), (40, 130, 210), (250, 150, 20), (60, 160, 80)]
    first = int(c.rng.integers(4))
    for k in range(count):
        x, wide = (k + 0.06) / count * c.w, 0.86 / count * c.w
        top = horizon - c.near(0.3, 0.12) * c.h
        for post in (x + 0.04 * wide, x + 0.92 * wide):
            c.block(post, top, post + 0.05 * wide, horizon + 0.06 * c.h, (110, 70, 40))
        c.block(x, horizon - 0.06 * c.h, x + wide, horizon + 0.06 * c.h, (140, 92, 54))
        for n in range(6):
            goods = colours[(first + k + n * 3 + 1) % 4]
            c.oval(x + (n + 0.5) * wide / 6, horizon - 0.07 * c.h, wide / 13, 0.025 * c.h, goods)
        for n in range(6):
            a, b = x + n * wide / 6, x + (n + 1) * wide / 6
            paint = colours[(first + k) % 4] if n % 2 else (255, 250, 240)
            c.poly(
                [(a, top - 0.09 * c.h), (b, top - 0.09 * c.h), (b, top), ((a + b) / 2, top + 0.03 * c.h), (a, top)],
                paint,
            )


def _meadow(c: Canvas, horizon: float) -> None:
    for k, x in enumerate((0.2, 0.8, 0.5)):
        c.oval(c.near(x, 0.2) * c.w, horizon + 0.12 * c.h, 0.5 * c.w, 0.24 * c.h, (120 + 16 * k, 200 - 8 * k, 70))
    x, s = float(c.rng.choice([0.15, 0.85])) * c.w, min(0.3 * c.h, 0.3 * c.w)
    foot = horizon - 0.02 * c.h
    c.poly(
        [(x - 0.3 * s, foot), (x - 0.18 * s, foot - s), (x + 0.18 * s, foot - s), (x + 0.3 * s, foot)], (250, 244, 226)
    )
    c.poly([(x - 0.24 * s, foot - s), (x, foot - 1.25 * s), (x + 0.24 * s, foot - s)], (150, 60, 40))
    turn = float(c.rng.uniform(0, np.pi / 2))
    for k in range(4):
        a = turn + k * np.pi / 2
        c.stroke(
            [(x, foot - s), (x + 0.75 * s * float(np.cos(a)), foot - s + 0.75 * s * float(np.sin(a)))], INK, 0.1 * s
        )
    c.block(-2, horizon + 0.1 * c.h, c.w + 2, c.h + 2, (130, 206, 70), ink=False)
    petals: list[Colour] = [(255, 90, 160), (255, 240, 90), (255, 255, 255), (150, 110, 250)]
    for k in range(int(c.rng.integers(16, 30))):
        x, y = float(c.rng.random()) * c.w, float(c.rng.uniform(horizon + 0.1 * c.h, c.h))
        r = max(1.5, 0.016 * min(c.w, c.h))
        c.oval(x, y, r, r, petals[k % 4], ink=False)


SCENERY: dict[str, Callable[[Canvas, float], None]] = {
    "forest": _forest, "harbour": _harbour, "desert": _desert, "rooftops": _rooftops, "castle": _castle, "snow": _snow,
    "cave": _cave, "market": _market, "meadow": _meadow,
}  # fmt: skip
