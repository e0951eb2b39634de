"""Things that stand about in made scenes: clouds, trees, houses, windows, furniture, pictures on walls, screens."""

import numpy as np

from services.training.generators.artists import mixed
from services.training.generators.artwork import Colour
from services.training.generators.canvases import Canvas, Points, closed_curve, open_curve


def block(x: float, y: float, w: float, h: float) -> Points:
    """The corners of an upright rectangle."""
    return np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])


def clouds(rng: np.random.Generator, canvas: Canvas, *, count: int) -> None:
    """Heaps of round lumps in the upper part."""
    w, h, artist = canvas.width, canvas.height, canvas.artist
    for _ in range(count):
        x, y = rng.uniform(0, 1, 2) * (w, h * 0.45)
        n = int(rng.integers(6, 12))
        t = np.linspace(0, 2 * np.pi, n, endpoint=False)
        wide = w * float(rng.uniform(0.08, 0.25))
        lumps = np.stack([np.cos(t) * wide, np.sin(t) * wide * 0.35], 1) * rng.uniform(0.7, 1.15, (n, 1))
        fill = (255, 255, 255) if artist.grey else mixed(artist.pale(rng), (255, 255, 255), 0.6)
        canvas.fill(
            closed_curve(np.array([x, y]) + lumps), fill, line=0.7 if artist.kind != "painted" else 0, shade=0.3
        )


def tree(rng: np.random.Generator, canvas: Canvas, x: float, foot: float, size: float) -> None:
    """A trunk with a round, pointed or bare crown."""
    artist = canvas.artist
    trunk = artist.dark(rng)
    canvas.fill(block(x - size * 0.05, foot - size * 0.5, size * 0.1, size * 0.5), trunk, line=0.7)
    kind = rng.random()
    if kind < 0.2:
        for _ in range(6):
            end = np.array([x, foot - size * 0.8]) + rng.normal(0, size * 0.25, 2)
            knots = np.array([(x, foot - size * 0.45), (x, foot - size * 0.6), tuple(end)])
            canvas.stroke(open_curve(knots), width=1.3, ink=trunk)
        return
    leaf = artist.paint(rng)
    if kind < 0.45:
        canvas.fill(
            np.array(
                [(x - size * 0.25, foot - size * 0.3), (x, foot - size * 1.2), (x + size * 0.25, foot - size * 0.3)]
            ),
            leaf,
            shade=0.5,
        )
        return
    t = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    lumps = np.stack([np.cos(t), np.sin(t)], 1) * size * 0.36 * rng.uniform(0.8, 1.2, (10, 1))
    canvas.fill(closed_curve(np.array([x, foot - size * 0.75]) + lumps), leaf, shade=0.6)


def window(canvas: Canvas, x: float, y: float, w: float, h: float, glass: Colour, *, line: float = 1.0) -> None:
    """A pane with a cross of bars where it is large enough for one."""
    canvas.fill(block(x, y, w, h), glass, line=line)
    if w > 12 and line > 0:
        canvas.stroke(np.array([(x + w / 2, y), (x + w / 2, y + h)]), width=line)
        canvas.stroke(np.array([(x, y + h / 2), (x + w, y + h / 2)]), width=line)


def building(rng: np.random.Generator, canvas: Canvas, x: float, foot: float, w: float, h: float) -> None:
    """A house with a roof, windows and a door."""
    artist = canvas.artist
    canvas.fill(block(x, foot - h, w, h), artist.pale(rng), shade=0.4)
    if rng.random() < 0.7:
        rise = h * float(rng.uniform(0.2, 0.6))
        canvas.fill(
            np.array([(x - w * 0.1, foot - h), (x + w * 0.5, foot - h - rise), (x + w * 1.1, foot - h)]),
            artist.paint(rng),
            shade=0.4,
        )
    glass = artist.dark(rng)
    for i in range(2):
        for j in range(2):
            window(canvas, x + w * (0.15 + 0.45 * j), foot - h * (0.85 - 0.4 * i), w * 0.2, h * 0.2, glass, line=0.7)
    canvas.fill(block(x + w * 0.4, foot - h * 0.28, w * 0.2, h * 0.28), glass, line=0.7)


def furniture(rng: np.random.Generator, canvas: Canvas, *, x: float, floor: float, tall: float) -> None:
    """One piece: window, picture, door, shelf, table, lamp, screen or curtain; `tall` is the height of the wall."""
    artist = canvas.artist
    kind = int(rng.integers(8))
    u = max(8.0, tall * float(rng.uniform(0.25, 0.5)))
    wood = artist.paint(rng)
    if kind == 0:
        window(canvas, x - u / 2, floor - tall * 0.85, u, u * 1.1, artist.pale(rng), line=1.2)
    elif kind == 1:
        canvas.fill(block(x - u * 0.4, floor - tall * 0.8, u * 0.8, u * 0.6), wood)
        canvas.fill(block(x - u * 0.32, floor - tall * 0.8 + u * 0.08, u * 0.64, u * 0.44), artist.pale(rng))
        hill = np.array(
            [
                (x - u * 0.32, floor - tall * 0.8 + u * 0.52),
                (x, floor - tall * 0.8 + u * 0.25),
                (x + u * 0.32, floor - tall * 0.8 + u * 0.52),
            ]
        )
        canvas.fill(hill, artist.paint(rng), line=0.6)
    elif kind == 2:
        canvas.fill(block(x - u * 0.35, floor - tall * 0.72, u * 0.7, tall * 0.72), wood, shade=0.3)
        canvas.stroke(block(x - u * 0.28, floor - tall * 0.66, u * 0.56, tall * 0.6), width=0.7, closed=True)
    elif kind == 3:
        wide = u * 1.3
        canvas.fill(block(x - wide / 2, floor - tall * 0.75, wide, tall * 0.75), artist.dark(rng))
        for k in range(4):
            y = floor - tall * 0.72 + k * tall * 0.18
            canvas.fill(block(x - wide * 0.46, y, wide * 0.92, tall * 0.15), wood)
            at = x - wide * 0.44
            while at < x + wide * 0.36:
                thick = wide * float(rng.uniform(0.03, 0.1))
                high = tall * float(rng.uniform(0.08, 0.14))
                canvas.fill(block(at, y + tall * 0.15 - high, thick, high), artist.paint(rng), line=0.6)
                at += thick
    elif kind == 4:
        y = floor - tall * 0.15
        canvas.fill(block(x - u, y, u * 2, u * 0.12), wood, shade=0.3)
        for side in (-0.9, 0.82):
            canvas.fill(block(x + u * side, y + u * 0.12, u * 0.08, u * 0.8), wood)
        for k in range(int(rng.integers(0, 4))):
            canvas.fill(block(x - u * 0.8 + k * u * 0.45, y - u * 0.25, u * 0.2, u * 0.25), artist.paint(rng))
    elif kind == 5:
        canvas.stroke(np.array([(x, 0.0), (x, u * 0.5)]), width=1.0)
        canvas.fill(
            np.array(
                [(x - u * 0.25, u * 0.7), (x - u * 0.1, u * 0.45), (x + u * 0.1, u * 0.45), (x + u * 0.25, u * 0.7)]
            ),
            wood,
        )
    elif kind == 6:
        canvas.fill(block(x - u * 0.6, floor - tall * 0.6, u * 1.2, u * 0.75), artist.dark(rng))
        canvas.fill(block(x - u * 0.54, floor - tall * 0.6 + u * 0.06, u * 1.08, u * 0.6), artist.pale(rng))
        canvas.fill(block(x - u * 0.1, floor - tall * 0.6 + u * 0.75, u * 0.2, u * 0.2), artist.dark(rng))
    else:
        for k in range(6):
            canvas.fill(
                block(x + k * u * 0.11, floor - tall * 0.95, u * 0.11, tall * 0.9),
                mixed(wood, artist.ink, 0.15 * (k % 2)),
                line=0.6,
            )
