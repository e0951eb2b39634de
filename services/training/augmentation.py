"""Views of a panel: the same picture as another scan, another crop, another size or a grey copy would show it."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from shared.domain.schema import Box

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class ViewSettings:
    """How far views may differ. Ranges are drawn uniformly (areas and aspects on a log scale), others are chances.

    Pictures are never mirrored: which way figures face and who stands left is part of a panel.
    """

    area: tuple[float, float] = (0.22, 1.0)
    aspect: tuple[float, float] = (0.6, 1.67)
    loose: float = 0.3  # the box is too large: some gutter and neighbour is seen
    loose_by: float = 0.1
    small: float = 0.3
    small_side: tuple[int, int] = (36, 110)
    blur: float = 0.2
    jpeg: float = 0.3
    colours: float = 0.8
    grey: float = 0.2
    rotate: float = 0.25
    degrees: float = 4.0


def view(rng: np.random.Generator, page: Image.Image, box: Box, *, size: int, settings: ViewSettings) -> Picture:
    """One view of the panel in `box` (page pixels), (size, size, 3) uint8, squeezed to a square as the encoder does."""
    left, top, right, bottom = _frame(rng, page, box, settings)
    if rng.random() < settings.rotate:
        page, (left, top, right, bottom) = _rotated(rng, page, (left, top, right, bottom), settings.degrees)
    side = size
    if rng.random() < settings.small:
        side = int(rng.integers(*settings.small_side))
    picture = page.resize((side, side), Image.Resampling.BILINEAR, box=(left, top, right, bottom), reducing_gap=3.0)
    if rng.random() < settings.jpeg:
        picture = _recompressed(picture, quality=int(rng.integers(15, 75)))
    if side != size:
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    if rng.random() < settings.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.6)) * size / 128))
    pixels = np.asarray(picture, np.float32)
    if rng.random() < settings.colours:
        pixels = _recoloured(rng, pixels)
    if rng.random() < settings.grey:
        pixels = np.repeat(pixels @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _frame(
    rng: np.random.Generator, page: Image.Image, box: Box, settings: ViewSettings
) -> tuple[float, float, float, float]:
    """What part of the page is seen: a piece of the panel, or a little more than the panel."""
    if rng.random() < settings.loose:
        before, after = rng.uniform(-0.02, settings.loose_by, 2), rng.uniform(-0.02, settings.loose_by, 2)
        left, top = box.x - before[0] * box.w, box.y - before[1] * box.h
        right, bottom = box.right + after[0] * box.w, box.bottom + after[1] * box.h
    else:
        area = np.exp(rng.uniform(*np.log(settings.area)))
        stretch = np.exp(rng.uniform(*np.log(settings.aspect)) / 2)
        w, h = box.w * min(1.0, np.sqrt(area) * stretch), box.h * min(1.0, np.sqrt(area) / stretch)
        left, top = box.x + rng.uniform(0, box.w - w), box.y + rng.uniform(0, box.h - h)
        right, bottom = left + w, top + h
    left, right = max(0.0, min(left, page.width - 2)), min(float(page.width), max(right, left + 2))
    top, bottom = max(0.0, min(top, page.height - 2)), min(float(page.height), max(bottom, top + 2))
    return float(left), float(top), float(right), float(bottom)


def _rotated(
    rng: np.random.Generator, page: Image.Image, frame: tuple[float, float, float, float], degrees: float
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """The surroundings of `frame` turned about its centre, as a crooked scan would be, and the frame in them."""
    left, top, right, bottom = frame
    pad = 0.1 * max(right - left, bottom - top)
    corner = (max(0, int(left - pad)), max(0, int(top - pad)))
    around = page.crop((*corner, min(page.width, int(right + pad) + 1), min(page.height, int(bottom + pad) + 1)))
    inside = (left - corner[0], top - corner[1], right - corner[0], bottom - corner[1])
    centre = ((inside[0] + inside[2]) / 2, (inside[1] + inside[3]) / 2)
    fill = tuple(int(value) for value in rng.integers(0, 256, 3)) if rng.random() < 0.3 else (255, 255, 255)
    angle = float(rng.uniform(-degrees, degrees))
    turned = around.rotate(angle, Image.Resampling.BILINEAR, center=centre, fillcolor=fill)
    return turned, (
        max(0.0, inside[0]),
        max(0.0, inside[1]),
        min(float(turned.width), inside[2]),
        min(float(turned.height), inside[3]),
    )


def _recoloured(rng: np.random.Generator, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Another scanner's colours: gamma, saturation, contrast, brightness, a cast, at times noise.

    Mild on purpose: what varies here is what "panels like this one" will not look at.
    """
    level = (pixels / 255) ** np.float32(np.exp(rng.normal(0, 0.22)))
    grey = level.mean(axis=2, keepdims=True)
    level = grey + (level - grey) * np.float32(np.clip(np.exp(rng.normal(0, 0.2)), 0, 1.6))
    level = (level - 0.5) * np.float32(np.exp(rng.normal(0, 0.18))) + 0.5 + np.float32(rng.normal(0, 0.06))
    level = level * np.exp(rng.normal(0, 0.045, 3)).astype(np.float32)
    if rng.random() < 0.3:
        level = level + rng.normal(0, rng.uniform(0.005, 0.05), level.shape).astype(np.float32)
    return np.asarray(level * 255, np.float32)


def _recompressed(picture: Image.Image, *, quality: int) -> Image.Image:
    memory = io.BytesIO()
    picture.save(memory, "JPEG", quality=quality)
    return Image.open(memory).convert("RGB")
