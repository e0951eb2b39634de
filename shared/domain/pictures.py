"""A stored image as an array, upright, and parts of it. Needs Pillow: only rooms that handle pictures import this."""

import io
import math
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from shared.domain.schema import Box
from shared.errors import Reject, TooLarge

Picture = NDArray[np.uint8]
MOST_PIXELS = 100_000_000
# What Pillow raises for damaged EXIF data; the picture itself is whole.
BROKEN_EXIF = (SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, struct.error)


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
    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = image.width * image.height
            if pixels > most_pixels:
                raise TooLarge(
                    f"{name} has {image.width} × {image.height} pixels; make it smaller than {most_pixels:,} in all"
                )
            if enough is not None and pixels > enough:
                scale = min(scale, math.sqrt(enough / pixels))
            if scale < 1.0:
                image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))
            return upright(image)
    except Image.DecompressionBombError as error:
        raise TooLarge(f"{name} has too many pixels; make it smaller than {most_pixels:,} in all") from error
    except UnidentifiedImageError as error:
        raise Reject(f"{name} is not an image this program can read; convert it to PNG or JPEG") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Reject(f"{name} is damaged or cut off; export it again from its source") from error


def upright(image: Image.Image) -> Picture:
    """An opened image as RGB (H, W, 3) as displayed: EXIF orientation applied, transparency on white."""
    try:
        shown = ImageOps.exif_transpose(image)
    except BROKEN_EXIF:
        shown = image  # as ingestion counts it: no orientation
    if shown.mode in ("RGBA", "LA", "PA") or "transparency" in shown.info:
        layer = shown.convert("RGBA")
        shown = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    elif shown.mode.startswith("I"):
        deep = np.asarray(shown, np.float64)
        shown = Image.fromarray((deep / max(255.0, deep.max()) * 255).astype(np.uint8))
    return np.array(shown.convert("RGB"))


def crop(picture: Picture, box: Box) -> Picture:
    """The part of an RGB picture (H, W, 3) inside `box`, at least one pixel in each direction; a view, not a copy."""
    height, width = picture.shape[:2]
    left, top = min(max(round(box.x), 0), width - 1), min(max(round(box.y), 0), height - 1)
    right, bottom = min(max(round(box.right), left + 1), width), min(max(round(box.bottom), top + 1), height)
    return picture[top:bottom, left:right]
