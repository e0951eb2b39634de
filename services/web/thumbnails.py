"""A small picture of a page, for grids: a library must not load whole pages to show its covers."""

import io

from PIL import Image

from shared.domain.pictures import upright
from shared.errors import Reject

SIDES = (240, 480, 960)


def thumbnail(content: bytes, *, side: int, name: str) -> bytes:
    """A stored page image as WebP, upright, its longest side at most `side` pixels. Reject when it cannot be read."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.draft("RGB", (side, side))  # a JPEG is decoded at the size that is needed, which takes a tenth
            small = Image.fromarray(upright(image))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise Reject(f"{name} cannot be drawn small; its page shows it in full.") from error
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=82, method=2)
    return buffer.getvalue()
