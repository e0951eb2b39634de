"""Where made panels play: landscapes, streets, rooms, forests, water, night, walls."""

import itertools

import numpy as np

from services.training.generators.artists import Artist, mixed
from services.training.generators.artwork import Colour
from services.training.generators.canvases import Canvas, Points, closed_curve, open_curve
from services.training.generators.features import Features
from services.training.generators.props import building, clouds, furniture, tree, window

PLACES = ("landscape", "street", "room", "forest", "sea", "night", "wall")


def paint_place(rng: np.random.Generator, canvas: Canvas, place: str, features: Features) -> None:
    """Draws one of `PLACES` over the canvas."""
    PAINTERS[place](rng, canvas)
    if features.line_art and canvas.artist.kind in ("line", "manga", "sketch") and rng.random() < 0.6:
        _pen_work(rng, canvas)
    if features.dark_bars and rng.random() < 0.25:
        bars(rng, canvas)


def _pen_work(rng: np.random.Generator, canvas: Canvas) -> None:
    """Patches of hatching, tufts and specks that an inker leaves all over a place."""
    w, h = canvas.width, canvas.height
    for _ in range(int(rng.integers(1, 6))):
        x, y = rng.uniform(0, 1, 2) * (w, h)
        long, gap = min(w, h) * float(rng.uniform(0.04, 0.16)), float(rng.uniform(1.5, 4.0))
        slope = np.array([float(rng.normal(0.5, 0.5)), -1.0])
        for k in range(int(rng.integers(5, 18))):
            foot = np.array([x + k * gap, y + float(rng.normal(0, 1.5))])
            canvas.stroke(np.stack([foot, foot + slope * long * float(rng.uniform(0.6, 1.1))]), width=0.6)
    for x, y in rng.uniform(0, 1, (int(rng.integers(0, 25)), 2)) * (w, h):
        long = float(rng.uniform(1, 7))
        canvas.stroke(np.array([(x, y), (x + long, y + float(rng.normal(0, 1.5)))]), width=0.6)


def bars(rng: np.random.Generator, canvas: Canvas) -> None:
    """Straight things from edge to edge that are no gutters: posts, poles, beams, frames, shelves, bridges."""
    w, h, artist = canvas.width, canvas.height, canvas.artist
    colour = artist.dark(rng) if rng.random() < 0.6 else artist.pale(rng) if rng.random() < 0.5 else (255, 255, 255)
    for _ in range(int(rng.integers(1, 4))):
        across = rng.random() < 0.3
        long, short = (w, h) if across else (h, w)
        at, thick = float(rng.uniform(0, 1)) * short, float(rng.choice([0.015, 0.04, 0.09])) * short + 1
        lean = float(rng.normal(0, 0.01)) * long
        strip = np.array([(at, -4.0), (at + thick, -4.0), (at + thick + lean, long + 4.0), (at + lean, long + 4.0)])
        canvas.fill(strip[:, ::-1] if across else strip, colour, line=float(rng.choice([0.0, 1.0])))


def _glow(artist: Artist) -> Colour:
    """The colour of sun and moon."""
    return (255, 255, 255) if artist.grey else (254, 249, 220)


def _ridge(rng: np.random.Generator, canvas: Canvas, y: float, rough: float) -> Points:
    w, h = canvas.width, canvas.height
    xs = np.linspace(-4, w + 4, 8)
    crest = open_curve(np.stack([xs, y + rng.normal(0, rough, 8) * h], 1))
    return np.concatenate([crest, [(w + 4, h + 4), (-4, h + 4)]])


def _landscape(rng: np.random.Generator, canvas: Canvas) -> None:
    w, h, artist = canvas.width, canvas.height, canvas.artist
    if rng.random() < 0.3:
        r = min(w, h) * float(rng.uniform(0.06, 0.2))
        t = np.linspace(0, 2 * np.pi, 20)
        spot = rng.uniform(0.1, 0.5, 2) * (w, h)
        canvas.fill(
            spot + np.stack([np.cos(t), np.sin(t)], 1) * r,
            (255, 255, 255) if artist.grey else (255, 250, 220),
            line=0.8 * artist.grey,
        )
    clouds(rng, canvas, count=int(rng.integers(0, 4)))
    horizon = h * float(rng.uniform(0.35, 0.8))
    layers = int(rng.integers(1, 4))
    near = artist.paint(rng)
    far = artist.pale(rng)
    for k in range(layers):
        y = horizon + (h - horizon) * k / layers * 0.8
        fill = (255, 255, 255) if artist.kind == "line" else mixed(far, near, (k + 1) / layers)
        canvas.fill(_ridge(rng, canvas, y, 0.05 / (k + 1)), fill, shade=0.25 * (k == layers - 1))
        for _ in range(int(rng.integers(0, 4))):
            x = float(rng.uniform(0, w))
            size = h * (0.08 + 0.14 * k) * float(rng.uniform(0.7, 1.5))
            if rng.random() < 0.65:
                tree(rng, canvas, x, y + size * 0.15, size)
            else:
                building(rng, canvas, x, y + size * 0.3, size * 0.8, size * float(rng.uniform(0.6, 1.3)))
    for _ in range(int(rng.integers(0, 25))):
        x, y = rng.uniform((0, horizon + (h - horizon) * 0.3), (w, h))
        canvas.stroke(np.array([(x, y), (x + 2, y - h * 0.02)]), width=0.6)


def _street(rng: np.random.Generator, canvas: Canvas) -> None:
    w, h, artist = canvas.width, canvas.height, canvas.artist
    vx, vy = w * float(rng.uniform(0.15, 0.85)), h * float(rng.uniform(0.35, 0.75))
    clouds(rng, canvas, count=int(rng.integers(0, 2)))
    road = artist.paint(rng) if rng.random() < 0.7 else (255, 255, 255)
    canvas.fill(np.array([(-4, h + 4), (vx - 3, vy), (vx + 3, vy), (w + 4, h + 4)]), road)
    for side in (-1.0, 1.0):
        edge = -4.0 if side < 0 else w + 4.0
        stops = 1 - 0.62 ** np.arange(0, int(rng.integers(3, 6)))
        roof = vy - h * float(rng.uniform(0.6, 1.6))
        for near, far in itertools.pairwise(stops):
            x0, x1 = edge + (vx - edge) * near, edge + (vx - edge) * far
            top = roof + h * float(rng.uniform(-0.25, 0.25))

            def at(x: float, y: float, edge: float = edge) -> tuple[float, float]:
                return x, vy + (y - vy) * (x - vx) / (edge - vx)

            ground = h * 1.0
            wall = np.array([at(x0, top), at(x1, top), at(x1, ground), at(x0, ground)])
            canvas.fill(wall, artist.pale(rng) if rng.random() < 0.6 else artist.paint(rng), shade=0.35)
            rows, columns = int(rng.integers(2, 5)), int(rng.integers(1, 4))
            glass = artist.paint(rng) if rng.random() < 0.6 else artist.dark(rng)
            for i in range(rows):
                ya, yb = (top + (ground - top) * (i + s) / (rows + 0.6) for s in (0.3, 0.75))
                for j in range(columns):
                    xa, xb = (x0 + (x1 - x0) * (j + s) / columns for s in (0.25, 0.75))
                    canvas.fill(np.array([at(xa, ya), at(xb, ya), at(xb, yb), at(xa, yb)]), glass, line=0.6)


def _room(rng: np.random.Generator, canvas: Canvas) -> None:
    w, h, artist = canvas.width, canvas.height, canvas.artist
    left, right = w * float(rng.uniform(-0.1, 0.3)), w * float(rng.uniform(0.7, 1.1))
    top, bottom = h * float(rng.uniform(-0.15, 0.18)), h * float(rng.uniform(0.6, 0.92))
    wall = artist.pale(rng)
    far = 0.45
    floor = np.array([(left, bottom), (right, bottom), (w * (1 + far), h * (1 + far)), (-w * far, h * (1 + far))])
    canvas.fill(
        np.array([(-9.0, -9.0), (w + 9.0, -9.0), (w + 9.0, h + 9.0), (-9.0, h + 9.0)]),
        mixed(wall, artist.ink, 0.12) if not artist.grey else wall,
        line=0,
    )
    canvas.fill(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]), wall)
    canvas.fill(floor, artist.paint(rng) if rng.random() < 0.6 else artist.pale(rng))
    if rng.random() < 0.5:
        for t in np.linspace(-0.5, 1.5, int(rng.integers(5, 14))):
            start = left + (right - left) * t
            canvas.stroke(np.array([(start, bottom), (start + (start - w / 2) * 1.5, h + 9)]), width=0.6)
    for x, y in ((left, top), (right, top)):
        out = np.array([x - w / 2, y - h / 2])
        canvas.stroke(np.array([(x, y), tuple(np.array([x, y]) + out * 2)]), width=0.8)
    for _ in range(int(rng.integers(1, 5))):
        furniture(rng, canvas, x=float(rng.uniform(left, right)), floor=bottom, tall=bottom - max(0.0, top))


def _forest(rng: np.random.Generator, canvas: Canvas) -> None:
    w, h, artist = canvas.width, canvas.height, canvas.artist
    ground = h * float(rng.uniform(0.7, 0.95))
    canvas.fill(_ridge(rng, canvas, ground, 0.02), artist.paint(rng))
    near, far = artist.dark(rng), artist.paint(rng)
    count = int(rng.integers(3, 9))
    for k, x in enumerate(rng.uniform(-0.05, 1.05, count) * w):
        wide = w * (0.015 + 0.05 * (k / count) ** 2) * float(rng.uniform(0.7, 1.6)) + 1
        lean = float(rng.normal(0, 0.05)) * w
        foot = ground + (h - ground) * k / count + 3
        trunk = np.array(
            [
                (x + lean - wide * 0.6, -5),
                (x + lean + wide * 0.6, -5),
                (x + wide, foot - wide),
                (x + wide * 1.5, foot),
                (x - wide * 1.5, foot),
                (x - wide, foot - wide),
            ]
        )
        canvas.fill(trunk, mixed(far, near, (k + 1) / count), shade=0.5)
    leaf = artist.paint(rng)
    for x in rng.uniform(0, 1, int(rng.integers(0, 8))) * w:
        t = np.linspace(0, 2 * np.pi, 9, endpoint=False)
        r = rng.uniform(0.06, 0.16) * max(w, h) * rng.uniform(0.7, 1.1, 9)
        canvas.fill(
            closed_curve(np.array([x, 0.0]) + np.stack([np.cos(t), np.sin(t) * 0.7], 1) * r[:, None]), leaf, shade=0.3
        )


def _sea(rng: np.random.Generator, canvas: Canvas) -> None:
    w, h, artist = canvas.width, canvas.height, canvas.artist
    clouds(rng, canvas, count=int(rng.integers(0, 4)))
    horizon = h * float(rng.uniform(0.3, 0.75))
    water = artist.paint(rng) if not artist.grey else artist.pale(rng)
    canvas.fill(np.array([(-4, horizon), (w + 4, horizon), (w + 4, h + 4), (-4, h + 4)]), water)
    crest = mixed(water, (255, 255, 255), 0.5) if not artist.grey else artist.ink
    for _ in range(int(rng.integers(6, 40))):
        x, d = float(rng.uniform(0, w)), float(rng.random() ** 1.5)
        y, long = horizon + (h - horizon) * d, w * (0.03 + 0.12 * d)
        wave = np.array([(x, y), (x + long * 0.3, y - long * 0.1), (x + long * 0.6, y), (x + long, y - long * 0.06)])
        canvas.stroke(open_curve(wave), width=0.7 + d, ink=crest)


def _night(rng: np.random.Generator, canvas: Canvas) -> None:
    w, h, artist = canvas.width, canvas.height, canvas.artist
    for x, y in rng.uniform(0, 1, (int(rng.integers(0, 30)), 2)) * (w, h * 0.7):
        canvas.fill(np.array([(x, y), (x + 1.2, y), (x + 1.2, y + 1.2), (x, y + 1.2)]), (250, 250, 235), line=0)
    if rng.random() < 0.4:
        t = np.linspace(0, 2 * np.pi, 18)
        spot, r = rng.uniform(0.1, 0.6, 2) * (w, h), min(w, h) * float(rng.uniform(0.06, 0.16))
        canvas.fill(
            spot + np.stack([np.cos(t), np.sin(t)], 1) * r, (255, 255, 255) if artist.grey else (252, 248, 220), line=0
        )
    lit = (250, 220, 120) if not artist.grey else (255, 255, 255)
    x = -0.05 * w
    while x < w and rng.random() < 0.95:
        wide, top = w * float(rng.uniform(0.08, 0.25)), h * float(rng.uniform(0.3, 0.8))
        dark = mixed(artist.dark(rng), (0, 0, 0), 0.4)
        canvas.fill(
            np.array([(x, h + 4), (x, top), (x + wide, top), (x + wide, h + 4)]),
            dark,
            ink=mixed(dark, (255, 255, 255), 0.3),
        )
        for wx in np.arange(x + wide * 0.15, x + wide * 0.8, max(4.0, wide * 0.28)):
            for wy in np.arange(top + wide * 0.15, h, max(5.0, wide * 0.4)):
                if rng.random() < 0.35:
                    window(canvas, float(wx), float(wy), wide * 0.13, wide * 0.2, lit, line=0.0)
        x += wide * float(rng.uniform(0.7, 1.4))


def _wall(rng: np.random.Generator, canvas: Canvas) -> None:
    w, h, artist = canvas.width, canvas.height, canvas.artist
    if rng.random() < 0.5:
        step = h * float(rng.uniform(0.07, 0.2))
        for row, y in enumerate(np.arange(0, h, step)):
            canvas.stroke(np.array([(0.0, y), (w, y)]), width=0.6)
            for x in np.arange(-step * (row % 2), w, step * 2):
                if rng.random() < 0.8:
                    canvas.stroke(np.array([(x, y), (x, y + step)]), width=0.6)
    wide, top = w * float(rng.uniform(0.2, 0.5)), h * float(rng.uniform(-0.1, 0.4))
    x = float(rng.uniform(0, 1)) * (w - wide)
    frame = artist.dark(rng) if rng.random() < 0.6 else artist.paint(rng)
    canvas.fill(np.array([(x, h + 5), (x, top), (x + wide, top), (x + wide, h + 5)]), frame)
    edge = wide * float(rng.uniform(0.06, 0.16))
    inner = artist.pale(rng) if rng.random() < 0.6 else artist.dark(rng)
    canvas.fill(
        np.array([(x + edge, h + 5), (x + edge, top + edge), (x + wide - edge, top + edge), (x + wide - edge, h + 5)]),
        inner,
    )
    if rng.random() < 0.5:
        furniture(rng, canvas, x=float(rng.uniform(0, w)), floor=h * 0.95, tall=h)


PAINTERS = {
    "landscape": _landscape, "street": _street, "room": _room, "forest": _forest, "sea": _sea, "night": _night,
    "wall": _wall,
}  # fmt: skip
