"""A stored image as an array, upright, and parts of it. Needs Pillow: only rooms that handle pictures import this."""

import io
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from shared.domain.schema import Box
from shared.errors import Reject, TooLarge

Picture = NDArray[np.uint8]
MOST_PIXELS = 100_000_000
# What Pillow raises for damaged EXIF data; the picture itself is whole.
BROKEN_EXIF = (SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, struct.error)
LYING = (5, 6, 7, 8)  # EXIF orientations that swap width and height


class Reduced(NamedTuple):
    """A picture, perhaps made smaller, of an image that is `width` × `height` pixels large as displayed."""

    picture: Picture
    width: int
    height: int


def decode(
    content: bytes,
    *,
    name: str = "the image",
    scale: float = 1.0,
    enough: int | None = None,
    most_pixels: int = MOST_PIXELS,
) -> Picture:
    """A stored image as RGB (H, W, 3) as displayed: EXIF orientation applied, transparency on white.

    Where it will be drawn at `scale` of its size, or `enough` pixels in all will do, a JPEG is decoded smaller, never
    below it, in a fraction of the time. Raises `TooLarge` over `most_pixels` and `Reject` for bytes that are no whole
    image; both name `name`.
    """
    with _opened(content, name=name, most_pixels=most_pixels) as image:
        _draft(image, scale=scale, enough=enough)
        return upright(image)


def decode_reduced(content: bytes, *, name: str = "the image", enough: int, most_pixels: int = MOST_PIXELS) -> Reduced:
    """The same with `enough` to four times as many pixels where the image has more of them, whatever its format."""
    with _opened(content, name=name, most_pixels=most_pixels) as image:
        width, height = image.size
        _draft(image, enough=enough)
        shown, lying = _turned(image)
        factor = math.isqrt(shown.width * shown.height // enough)
        picture = _rgb(shown, factor=max(1, factor))
        return Reduced(picture, *((height, width) if lying else (width, height)))


def image_pixels(content: bytes) -> int:
    """Pixels that decoding an image takes room for; 0 for what is none, which decoding refuses."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.width * image.height
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError, EOFError):
        return 0


@contextmanager
def _opened(content: bytes, *, name: str, most_pixels: int) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > most_pixels:
                raise TooLarge(
                    f"{name} has {image.width} × {image.height} pixels; make it smaller than {most_pixels:,} in all"
                )
            yield image
    except Image.DecompressionBombError as error:
        raise TooLarge(f"{name} has too many pixels; make it smaller than {most_pixels:,} in all") from error
    except UnidentifiedImageError as error:
        raise Reject(f"{name} is not an image this program can read; convert it to PNG or JPEG") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Reject(f"{name} is damaged or cut off; export it again from its source") from error


def _draft(image: Image.Image, *, scale: float = 1.0, enough: int | None = None) -> None:
    pixels = image.width * image.height
    if enough is not None and pixels > enough:
        scale = min(scale, math.sqrt(enough / pixels))
    if scale < 1.0:
        image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))


def upright(image: Image.Image) -> Picture:
    """An opened image as RGB (H, W, 3) as displayed: EXIF orientation applied, transparency on white."""
    return _rgb(_turned(image)[0])


def _turned(image: Image.Image) -> tuple[Image.Image, bool]:
    """The image with its EXIF orientation applied, and whether that made columns of its rows."""
    image.load()
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        # Most pages stand upright: they are not copied, which takes as much memory again.
        return (image, False) if orientation == 1 else (ImageOps.exif_transpose(image), orientation in LYING)
    except BROKEN_EXIF:
        return image, False  # as ingestion counts it: no orientation


def _rgb(shown: Image.Image, *, factor: int = 1) -> Picture:
    """RGB (H, W, 3), transparency on white; averaged over squares of `factor` × `factor` pixels."""
    if shown.mode in ("RGBA", "LA", "PA") or "transparency" in shown.info:
        layer = shown.convert("RGBA")
        shown = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    elif shown.mode.startswith("I"):
        deep = np.asarray(shown, np.float64)
        shown = Image.fromarray((deep / max(255.0, deep.max()) * 255).astype(np.uint8))
    if shown.mode != "RGB":
        shown = shown.convert("RGB")
    return np.array(shown if factor == 1 else shown.reduce(factor))


def crop(picture: Picture, box: Box) -> Picture:
    """The part of an RGB picture (H, W, 3) inside `box`, at least one pixel in each direction; a view, not a copy."""
    height, width = picture.shape[:2]
    left, top = min(max(round(box.x), 0), width - 1), min(max(round(box.y), 0), height - 1)
    right, bottom = min(max(round(box.right), left + 1), width), min(max(round(box.bottom), top + 1), height)
    return picture[top:bottom, left:right]
