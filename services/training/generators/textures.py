"""Picture material for made panels: a seeded pool of square textures and cheap variations of them.

Everything is drawn by this file; where scikit-learn is installed, crops of its two bundled photographs join the pool.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.uint8]
SIDE = 384
POOL = 96


def smooth_noise(rng: np.random.Generator, *, side: int, cells: int, octaves: int) -> NDArray[np.float32]:
    """Fractal noise in 0..1, (side, side); `cells` is the number of bumps across the coarsest octave."""
    total = np.zeros((side, side), np.float32)
    for octave in range(octaves):
        n = min(side, cells * 2**octave)
        grid = Image.fromarray(rng.random((n, n), dtype=np.float32))
        total += np.asarray(grid.resize((side, side), Image.Resampling.BICUBIC)) / 2.0**octave
    low, high = float(total.min()), float(total.max())
    scaled: NDArray[np.float32] = (total - low) / max(high - low, 1e-6)
    return scaled


def palette(rng: np.random.Generator, *, colours: int) -> NDArray[np.float32]:
    """Related colours, (colours, 3) in 0..255: a base hue with spread in lightness and some strangers."""
    base = rng.uniform(20, 235, 3)
    spread = rng.uniform(10, 90)
    mixed = base + rng.normal(0, spread, (colours, 3)) + rng.normal(0, 45, (colours, 1))
    return np.clip(mixed, 0, 255).astype(np.float32)


def _mapped(values: NDArray[np.float32], colours: NDArray[np.float32]) -> Pixels:
    stops = np.linspace(0.0, 1.0, len(colours))
    channels = [np.interp(values, stops, colours[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def _clouds(rng: np.random.Generator) -> Image.Image:
    values = smooth_noise(rng, side=SIDE, cells=int(rng.integers(2, 7)), octaves=int(rng.integers(1, 6)))
    return Image.fromarray(_mapped(values, palette(rng, colours=int(rng.integers(2, 6)))))


def _flats(rng: np.random.Generator) -> Image.Image:
    """Cells of flat colour, with or without outlines, like cel colouring."""
    seeds = rng.random((int(rng.integers(5, 30)), 2)).astype(np.float32)
    ys, xs = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    warp = smooth_noise(rng, side=SIDE, cells=3, octaves=2) * float(rng.uniform(0, 0.3))
    nearest = np.zeros((SIDE, SIDE), np.int64)
    best = np.full((SIDE, SIDE), 9.0, np.float32)
    stretch = float(rng.uniform(0.3, 3.0))
    for k, (sx, sy) in enumerate(seeds):
        d = np.abs(xs + warp - sx) * stretch + np.abs(ys - warp - sy)
        closer = d < best
        nearest[closer], best[closer] = k, d[closer]
    picture = palette(rng, colours=len(seeds))[nearest].astype(np.uint8)
    if rng.random() < 0.6:
        edge = np.zeros((SIDE, SIDE), bool)
        edge[:, 1:] |= nearest[:, 1:] != nearest[:, :-1]
        edge[1:] |= nearest[1:] != nearest[:-1]
        if rng.random() < 0.5:
            edge[:, :-1] |= edge[:, 1:]
        picture[edge] = int(rng.integers(0, 50))
    return Image.fromarray(picture)


def _gradient(rng: np.random.Generator) -> Image.Image:
    ys, xs = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        values = xs * np.cos(angle) + ys * np.sin(angle)
    else:
        values = np.hypot(xs - rng.random(), ys - rng.random())
    values = (values - values.min()) / (values.max() - values.min())
    return Image.fromarray(_mapped(values.astype(np.float32), palette(rng, colours=int(rng.integers(2, 5)))))


def _blobs(rng: np.random.Generator) -> Image.Image:
    """Many overlapping shapes: foliage, crowds, rubble."""
    colours = palette(rng, colours=12).astype(int)
    image = Image.new("RGB", (SIDE, SIDE), tuple(int(v) for v in colours[0]))
    draw = ImageDraw.Draw(image)
    reach = rng.uniform(6, 70)
    outlined = rng.random() < 0.5
    for _ in range(int(rng.integers(20, 160))):
        x, y = rng.uniform(-20, SIDE, 2)
        w, h = rng.uniform(0.2, 1.0, 2) * reach
        fill = tuple(int(v) for v in colours[rng.integers(12)])
        ink = (10, 10, 12) if outlined else None
        if rng.random() < 0.6:
            draw.ellipse((x, y, x + w, y + h), fill=fill, outline=ink)
        else:
            around = [(x + float(a), y + float(b)) for a, b in rng.uniform(-1, 1, (4, 2)) * reach * 0.7]
            draw.polygon(around, fill=fill, outline=ink)
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 4))))
    return image


def _built(rng: np.random.Generator) -> Image.Image:
    """Straight things that are no gutters: bricks, planks, windows, shelves."""
    colours = palette(rng, colours=5).astype(int)
    ground, wall, pane, ink, light = (tuple(int(v) for v in c) for c in colours)
    if rng.random() < 0.5:
        ink = (15, 14, 18)
    image = Image.new("RGB", (SIDE, SIDE), ground)
    draw = ImageDraw.Draw(image)
    step_x, step_y = (float(v) for v in rng.uniform(20, 120, 2))
    width = int(rng.integers(1, 8))
    kind = int(rng.integers(4))
    y = 0.0
    row = 0
    while y < SIDE:
        x = -step_x * (0.5 if kind == 0 and row % 2 else 0.0)
        while x < SIDE:
            if kind == 0:
                draw.rectangle((x, y, x + step_x, y + step_y * 0.5), fill=wall, outline=ink, width=min(width, 2))
            elif kind == 1:
                draw.rectangle(
                    (x + step_x * 0.25, y + step_y * 0.2, x + step_x * 0.75, y + step_y * 0.8),
                    fill=pane if rng.random() < 0.6 else light,
                    outline=ink,
                    width=min(width, 3),
                )
            elif kind == 2:
                draw.rectangle((x, y, x + width, y + SIDE), fill=ink)
            x += step_x
        if kind == 3:
            draw.rectangle((0, y, SIDE, y + width), fill=ink)
        y += step_y * (0.5 if kind == 0 else 1.0)
        row += 1
    return image


def _ink(rng: np.random.Generator) -> Image.Image:
    """Black on white: hatching, speed lines, screentone, scribbles."""
    image = Image.new("RGB", (SIDE, SIDE), "white" if rng.random() < 0.85 else "black")
    ink = "black" if image.getpixel((0, 0)) == (255, 255, 255) else "white"
    draw = ImageDraw.Draw(image)
    kind = int(rng.integers(5))
    if kind == 0:
        gap, angle = float(rng.uniform(4, 18)), rng.uniform(0, np.pi)
        dx, dy = float(np.cos(angle)), float(np.sin(angle))
        for k in np.arange(-SIDE, 2 * SIDE, gap):
            x, y = SIDE / 2 - dy * (k - SIDE / 2), SIDE / 2 + dx * (k - SIDE / 2)
            draw.line((x - dx * 600, y - dy * 600, x + dx * 600, y + dy * 600), fill=ink, width=int(rng.integers(1, 4)))
    elif kind == 1:
        cx, cy = rng.uniform(0, SIDE, 2)
        for angle in np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(60, 200)))):
            near = rng.uniform(60, 160)
            c, s = float(np.cos(angle)), float(np.sin(angle))
            draw.line(
                (cx + c * near, cy + s * near, cx + c * 700, cy + s * 700), fill=ink, width=int(rng.integers(1, 4))
            )
    elif kind == 2:
        tone = smooth_noise(rng, side=SIDE, cells=2, octaves=2)
        ys, xs = np.mgrid[0:SIDE, 0:SIDE]
        gap = int(rng.integers(4, 9))
        dots = np.hypot(xs % gap - gap / 2, ys % gap - gap / 2) < tone * gap * 0.6
        return Image.fromarray(np.where(dots[..., None], 20, 250).astype(np.uint8).repeat(3, axis=2))
    elif kind == 3:
        for _ in range(int(rng.integers(8, 50))):
            start = rng.uniform(0, SIDE, 2)
            walk = np.cumsum(rng.normal(0, 22, (int(rng.integers(3, 9)), 2)), axis=0) + start
            draw.line([(float(x), float(y)) for x, y in walk], fill=ink, width=int(rng.integers(1, 4)), joint="curve")
    else:
        tone = smooth_noise(rng, side=SIDE, cells=3, octaves=3)
        steps = np.array([20, 120, 200, 255])[np.digitize(tone, np.sort(rng.uniform(0.1, 0.9, 3)))]
        return Image.fromarray(steps[..., None].astype(np.uint8).repeat(3, axis=2))
    return image


def _photographs() -> list[Image.Image]:
    try:
        from sklearn.datasets import load_sample_images
    except ImportError:
        return []
    return [Image.fromarray(np.asarray(p)) for p in load_sample_images().images]


@lru_cache(maxsize=1)
def pool() -> list[Image.Image]:
    """The textures, `POOL` RGB squares of `SIDE`; the same on every call and every run."""
    rng = np.random.default_rng(20)
    makers = [_clouds, _clouds, _flats, _gradient, _blobs, _blobs, _built, _ink]
    made = [makers[k % len(makers)](rng) for k in range(POOL)]
    for photograph in _photographs():
        for _ in range(14):
            side = int(rng.integers(120, min(photograph.size)))
            x, y = (int(rng.integers(0, m - side + 1)) for m in photograph.size)
            made.append(photograph.crop((x, y, x + side, y + side)).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return made


def texture(
    rng: np.random.Generator, *, width: int, height: int, tint: NDArray[np.float32] | None = None
) -> Image.Image:
    """A fresh piece of texture, RGB width × height; `tint` (3,) in 0..255 pulls its colours together."""
    source = pool()[int(rng.integers(len(pool())))]
    long = SIDE * rng.uniform(0.3, 1.0)
    w, h = (max(8, int(long * side / max(width, height))) for side in (width, height))
    x, y = int(rng.integers(0, SIDE - w + 1)), int(rng.integers(0, SIDE - h + 1))
    piece = source.resize((width, height), Image.Resampling.BILINEAR, box=(x, y, x + w, y + h))
    if rng.random() < 0.5:
        piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    levels = np.arange(256, dtype=np.float32) / 255.0
    gains, gamma, lift = rng.uniform(0.5, 1.15, 3), rng.uniform(0.5, 2.0), rng.uniform(-40, 60)
    pull = float(rng.uniform(0.3, 0.85)) if tint is not None else 0.0
    table = []
    for c in range(3):
        curve = 255.0 * levels**gamma * gains[c] + lift
        if tint is not None:
            curve = curve * (1 - pull) + tint[c] * pull
        table += [int(v) for v in np.clip(curve, 0, 255)]
    return piece.point(table)
