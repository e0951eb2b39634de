"""What printing, reading, scanning and saving do to a page; a skewed scan says where each point of it went."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from services.training.generators.artwork import Colour
from services.training.generators.styles import Style
from services.training.generators.textures import smooth_noise
from shared.domain.schema import Box

TILE = 512


@dataclass(frozen=True)
class Skew:
    """A turn about the middle of the page by `angle` radians, after shrinking by `scale`."""

    angle: float
    scale: float
    middle: tuple[float, float]

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the page lies on the scan."""
        dx, dy = x - self.middle[0], y - self.middle[1]
        cos, sin = float(np.cos(self.angle)) * self.scale, float(np.sin(self.angle)) * self.scale
        return self.middle[0] + cos * dx - sin * dy, self.middle[1] + sin * dx + cos * dy

    def box(self, box: Box) -> Box:
        """The box around what a box holds, whose corners, as those of figures and words, are mostly empty."""
        x, y = self.point(box.x + box.w / 2, box.y + box.h / 2)
        turned = abs(float(np.sin(self.angle))) * self.scale / 2
        w, h = box.w * self.scale + box.h * turned, box.h * self.scale + box.w * turned
        return Box(x - w / 2, y - h / 2, w, h)

    def applied(self, image: Image.Image, *, fill: Colour | int, smooth: bool = True) -> Image.Image:
        """The picture turned the same way, `fill` where nothing of it lies."""
        cos, sin = float(np.cos(self.angle)) / self.scale, float(np.sin(self.angle)) / self.scale
        x, y = self.middle
        inverse = (cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y)
        sampling = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        return image.transform(image.size, Image.Transform.AFFINE, inverse, resample=sampling, fillcolor=fill)


def age(rng: np.random.Generator, image: Image.Image, *, style: Style) -> tuple[Image.Image, Skew | None]:
    """A printed, read, scanned and saved page; with the skew of its scan when it lies askew."""
    if style.grey and rng.random() < 0.85:
        image = image.convert("L").convert("RGB")
    steps: list[tuple[float, Callable[[np.random.Generator, Image.Image], Image.Image]]] = [
        (0.0 if style.grey else 0.06, _misregistered),
        (0.04 if style.grey else 0.08, _halftone),
        (0.07, _show_through),
        (0.3, _contrast),
        (0.25, _brightness),
        (0.0 if style.grey else 0.2, _saturation),
        (0.14, _yellowed),
        (0.12, _fibres),
        (0.12, _binding),
    ]
    for chance, step in steps:
        if rng.random() < chance:
            image = step(rng, image)
    skew = None
    if rng.random() < 0.09:
        image, skew = _scanned(rng, image)
    for chance, step in ((0.2, _blurred), (0.06, _sharpened), (0.18, _grain), (0.05, _coarse), (0.18, _jpeg)):
        if rng.random() < chance:
            image = step(rng, image)
    return image, skew


@lru_cache(maxsize=4)
def _noise(kind: int) -> NDArray[np.float32]:
    """A tile of noise with mean 0 and deviation about 1: grain, fibres, clouds, and a raster of dots."""
    rng = np.random.default_rng([kind, 11])
    if kind == 0:
        return rng.normal(0, 1, (TILE, TILE)).astype(np.float32)
    if kind == 3:
        ys, xs = np.mgrid[0:TILE, 0:TILE].astype(np.float32)
        dots: NDArray[np.float32] = np.sin((xs + ys) * 2 * np.pi / 8) * np.sin((xs - ys) * 2 * np.pi / 8) * 2
        return dots
    part = smooth_noise(rng, side=TILE // 2, cells=(0, 45, 2)[kind], octaves=(0, 3, 4)[kind])
    # Mirrored twice, so that tiles meet without a seam.
    made = np.block([[part, part[:, ::-1]], [part[::-1], part[::-1, ::-1]]])
    even: NDArray[np.float32] = (made - made.mean()) / made.std()
    return even


def _field(rng: np.random.Generator, size: tuple[int, int], kind: int) -> NDArray[np.float32]:
    """Noise of a page's (height, width), from a random place of the tile."""
    width, height = size
    moved = np.roll(_noise(kind), tuple(int(v) for v in rng.integers(0, TILE, 2)), axis=(0, 1))
    return np.tile(moved, (height // TILE + 1, width // TILE + 1))[:height, :width]


def _multiplied(image: Image.Image, light: NDArray[np.float32]) -> Image.Image:
    """The picture under a light field of (height, width) or (height, width, 3), 1 for full light."""
    field = Image.fromarray(np.clip(light * 255, 0, 255).astype(np.uint8))
    return ImageChops.multiply(image, field.convert("RGB"))


def _misregistered(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    channels = list(image.split())
    k = int(rng.integers(3))
    channels[k] = ImageChops.offset(channels[k], int(rng.integers(-2, 3)), int(rng.integers(-1, 2)))
    return Image.merge("RGB", channels)


def _halftone(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Dots whose size follows the tone: a raster added before contrast is raised."""
    strength = float(rng.uniform(12, 45))
    pixels = np.asarray(image).astype(np.int16)
    for c in range(3):
        raster = (_field(rng, image.size, 3) * strength).astype(np.int16)
        channel = pixels[..., c]
        channel += np.where((channel > 25) & (channel < 235), raster, 0).astype(np.int16)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _show_through(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """The other side of the leaf shines through: a faint mirrored page."""
    behind = ImageOps.mirror(image).filter(ImageFilter.BoxBlur(1.5))
    floor = float(rng.uniform(0.8, 0.93))
    behind = ImageChops.offset(behind, int(rng.integers(-30, 31)), int(rng.integers(-60, 61)))
    return ImageChops.multiply(
        image, behind.point([round(255 * (floor + (1 - floor) * v / 255)) for v in range(256)] * 3)
    )


def _contrast(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(float(rng.uniform(0.6, 1.3)))


def _brightness(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.65, 1.15)))


def _saturation(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    return ImageEnhance.Color(image).enhance(float(rng.uniform(0.2, 1.4)))


def _yellowed(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Old paper, browner towards its edges."""
    width, height = image.size
    away_x = np.minimum(np.arange(width), np.arange(width)[::-1]) / width
    away_y = np.minimum(np.arange(height), np.arange(height)[::-1]) / height
    edge = np.exp(-np.minimum(away_x[None, :], away_y[:, None]) * float(rng.uniform(12, 60))).astype(np.float32)
    stained = edge * float(rng.uniform(0, 0.25)) + np.clip(_field(rng, image.size, 2), 0, 3) * 0.03
    tint = np.array([1.0, rng.uniform(0.92, 1.0), rng.uniform(0.74, 0.92)], np.float32)
    return _multiplied(image, tint * (1 - stained)[..., None])


def _fibres(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    return _multiplied(image, 0.97 + _field(rng, image.size, 1) * float(rng.uniform(0.01, 0.03)))


def _binding(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """The shadow where leaves bend into the spine: at one side, in the middle of a spread."""
    width, height = image.size
    at = 0.5 * width if width > height * 1.05 else float(rng.choice([0.0, width]))
    away = np.abs(np.arange(width) - at) / width
    depth, reach = float(rng.uniform(0.15, 0.6)), float(rng.uniform(0.01, 0.06))
    light = 1 - depth * np.exp(-away / reach)
    return _multiplied(image, np.broadcast_to(light.astype(np.float32), (height, width)))


def _scanned(rng: np.random.Generator, image: Image.Image) -> tuple[Image.Image, Skew]:
    """The page askew on the glass, at times smaller than the glass, with the shadow of its edge."""
    width, height = image.size
    shrunk = float(rng.uniform(0.93, 1.0)) if rng.random() < 0.6 else 1.0
    skew = Skew(float(rng.normal(0, 0.011)), shrunk, (width / 2, height / 2))
    v = int(rng.choice([rng.integers(0, 40), rng.integers(215, 256), rng.integers(90, 200)]))
    turned = skew.applied(image, fill=(v, v, v))
    if rng.random() < 0.5:
        sheet = skew.applied(Image.new("L", image.size, 255), fill=0)
        shadow = ImageChops.offset(sheet, int(rng.integers(-3, 4)), int(rng.integers(1, 4)))
        shadow = shadow.filter(ImageFilter.BoxBlur(2.5))
        dark = ImageChops.subtract(shadow, sheet).point([round(v * 0.6) for v in range(256)])
        turned = ImageChops.subtract(turned, Image.merge("RGB", (dark, dark, dark)))
    return turned, skew


def _blurred(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.1))))


def _sharpened(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.UnsharpMask(radius=1.5, percent=int(rng.integers(60, 220)), threshold=0))


def _grain(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    grain = _field(rng, image.size, 0) * float(rng.uniform(2, 9))
    pixels = np.asarray(image).astype(np.int16) + grain.astype(np.int16)[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _coarse(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Saved small once and enlarged again."""
    share = float(rng.uniform(0.55, 0.85))
    small = image.resize((int(image.width * share), int(image.height * share)), Image.Resampling.BILINEAR)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def _jpeg(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    saved = io.BytesIO()
    image.save(saved, "JPEG", quality=int(rng.integers(22, 80)))
    return Image.open(saved).convert("RGB")
