"""Real pictures in other colours: hue, contrast and light changed, or drawn again as lines, black and screentone."""

import numpy as np
from PIL import Image, ImageFilter


def recoloured(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """The RGB picture in other light: hue turned, colours weakened, channels, contrast and brightness changed."""
    if rng.random() < 0.6:
        hue, saturation, value = image.convert("HSV").split()
        turn = int(rng.integers(256)) if rng.random() < 0.3 else int(rng.normal(0, 9))
        strength = float(rng.uniform(0.35, 1.3))
        image = Image.merge(
            "HSV",
            (
                hue.point([(v + turn) % 256 for v in range(256)]),
                saturation.point([min(255, int(v * strength)) for v in range(256)]),
                value,
            ),
        ).convert("RGB")
    levels = np.arange(256, dtype=np.float32) / 255
    gamma, steep, lift = float(rng.uniform(0.65, 1.5)), float(rng.uniform(0.75, 1.25)), float(rng.normal(0, 12))
    table: list[int] = []
    for gain in rng.uniform(0.92, 1.05, 3):
        curve = (levels**gamma - 0.5) * steep * 255 * float(gain) + 127.5 + lift
        table += [int(v) for v in np.clip(curve, 0, 255)]
    return image.point(table)


def as_line_art(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """The picture as ink on paper: lines where it has edges, black where it is dark, tone in between, rest white."""
    grey = image.convert("L")
    fine = np.asarray(grey.filter(ImageFilter.GaussianBlur(0.7)), np.float32)
    broad = np.asarray(grey.filter(ImageFilter.GaussianBlur(float(rng.uniform(1.6, 2.6)))), np.float32)
    calm = np.asarray(grey.filter(ImageFilter.MedianFilter(3)), np.float32)
    low, high = np.percentile(calm, [3, 97])
    spread = max(20.0, float(high - low))
    # Ink and tone never take most of a picture, however dark it was: pages in black and white are mostly paper.
    inked, toned = np.percentile(calm, [float(rng.uniform(8, 30)), float(rng.uniform(35, 65))])
    dark = min(low + spread * float(rng.uniform(0.05, 0.22)), float(inked))
    middle = min(low + spread * float(rng.uniform(0.3, 0.6)), float(toned))
    drawn = np.full(fine.shape, 255.0, np.float32)
    drawn[calm < middle] = _tone(rng, calm.shape)[calm < middle]
    if rng.random() < 0.5:
        between = (calm >= middle) & (calm < (middle + high) / 2)
        drawn[between] = np.maximum(drawn[between], _tone(rng, calm.shape)[between] / 2 + 127)
    lines = (fine - broad) / spread * 255
    drawn = np.minimum(drawn, np.clip(255 + (lines + float(rng.uniform(2, 6))) * 28, 0, 255))
    drawn[calm < dark] = 0
    return Image.fromarray(drawn.astype(np.uint8)).convert("RGB")


def _tone(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Screentone: dots, lines or an even grey, 0..255."""
    ys, xs = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    kind = rng.random()
    level = float(rng.uniform(120, 225))
    if kind < 0.4:
        return np.full(shape, level, np.float32)
    pitch = float(rng.uniform(2.5, 6.0))
    if kind < 0.8:
        waves = np.cos((xs + ys) * (np.pi * 2 / pitch / 1.4142)) + np.cos((xs - ys) * (np.pi * 2 / pitch / 1.4142))
    else:
        waves = 2 * np.cos(ys * (np.pi * 2 / pitch))
    tone: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = np.clip(level + waves * 60, 0, 255).astype(np.float32)
    return tone
