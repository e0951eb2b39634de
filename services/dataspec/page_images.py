"""A stranger's page image: its type, its size as displayed, and whether all of it is there."""

from io import BytesIO

from PIL import Image, UnidentifiedImageError

from shared.domain.pictures import BROKEN_EXIF, MOST_PIXELS
from shared.errors import Reject

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
ORIENTATION = 0x0112


def examine(data: bytes, *, name: str) -> tuple[str, int, int]:
    """Media type, width and height as displayed (EXIF orientation applied), after really decoding it once.

    `Reject` names `name` when it is no whole image of a known format within the limit of pixels.
    """
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Reject(f"{name} has more than {MOST_PIXELS:,} pixels")
            # A JPEG with further pictures behind it (MPO) is a JPEG to everybody else.
            media_type = Image.MIME["JPEG" if image.format == "MPO" else str(image.format)]
            width, height = image.size
            if _orientation(image) >= 5:
                width, height = height, width
            # At an eighth of the size every byte of a JPEG is still decoded, so a cut is found.
            image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
            image.load()
    except UnidentifiedImageError as error:
        raise Reject(f"{name} is no JPEG, PNG, WebP, GIF, BMP or TIFF") from error
    except (*BROKEN_EXIF, OSError, Image.DecompressionBombError) as error:
        raise Reject(f"{name} is damaged or cut off") from error
    return media_type, width, height


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except (*BROKEN_EXIF, OSError):
        return 1  # broken metadata turns nothing; the picture itself is judged by decoding it
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
