"""Pictures around search: reading an image that someone sent, cutting panels out of pages, thumbnails.

Everything in here takes and gives bytes and arrays. A picture is (H, W, 3) uint8 RGB *as displayed*: EXIF orientation
applied, transparency laid on white.
"""

import io
import math
import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from shared.domain.geometry import clip
from shared.domain.schema import Box
from shared.errors import Reject, TooLarge

Picture = NDArray[np.uint8]

MAX_PIXELS = 100_000_000


def open_picture(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture in the bytes of an image file; `name` is what errors call it.

    TooLarge, before anything is decoded, when it has more than `max_pixels`; Reject when it is no image, truncated or
    damaged. Of an animation, the first frame.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is ours and stricter
            image: Image.Image = Image.open(io.BytesIO(data))
        if image.width * image.height > max_pixels:
            size = f"{image.width} × {image.height} pixels"
            raise TooLarge(f"{name} has {size}; make it smaller than {max_pixels / 1e6:.0f} megapixels.")
        image.load()
        image = ImageOps.exif_transpose(image)
        return np.asarray(_on_white(image))
    except Image.DecompressionBombError as error:
        raise TooLarge(f"{name} has more pixels than can be read; make it smaller.") from error
    except UnidentifiedImageError as error:
        raise Reject(f"{name} is not an image that can be read; send a JPEG, PNG or WebP file.") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        # What Pillow's decoders raise on truncated and damaged files.
        raise Reject(f"{name} is damaged or cut off; send it again.") from error


def cut_panel(page: Picture, box: Box) -> Picture:
    """The part of a page inside `box` (page pixels), whole pixels outwards, clipped to the page; a view, not a copy.

    Reject when less than two pixels of it lie on the page.
    """
    inside = clip(box, page.shape[1], page.shape[0])
    left, top, right, bottom = int(inside.x), int(inside.y), math.ceil(inside.right), math.ceil(inside.bottom)
    if right - left < 2 or bottom - top < 2:
        raise Reject(f"The box {[round(value, 1) for value in box]} is not on its page; detect the page again.")
    return page[top:bottom, left:right]


def thumbnail(picture: Picture, *, side: int = 320, kind: Literal["webp", "jpeg"] = "webp") -> bytes:
    """An image file of the picture with no side longer than `side`, never enlarged."""
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    memory = io.BytesIO()
    image.save(memory, kind.upper(), quality=80)
    return memory.getvalue()


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        # 16 and 32 bit greys: Pillow's own conversion would clip everything above 255 to white.
        values = np.asarray(image, np.float64)
        top = 65535.0 if image.mode.startswith("I;16") or values.max(initial=0) > 255 else 255.0
        image = Image.fromarray(np.clip(values * (255 / top), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
