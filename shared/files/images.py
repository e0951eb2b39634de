"""One page image: what it is, how large it is as displayed, and whether all of it is there.

Pillow's plugins are used one by one instead of through `Image.open`: nothing but the format that the first bytes
name is ever tried, and our own pixel limit is checked from the header, before any decoding.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO

from PIL import Image, ImageOps
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from shared.files.containers import DEFAULT_LIMITS, Limits, Unreadable

# What Pillow raises for damaged images, found by feeding it damaged ones.
FAULTS = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
    RuntimeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
ORIENTATION = 0x0112
# How a page of an EXIF orientation is turned upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
SMALL_SIDE = 64  # a page is looked at with no fewer pixels on its short side
SIGNS = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (8, b"WEBP", "image/webp"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypavis", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (0, b"\xff\x4f\xff\x51", "image/jp2"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (0, b"\xff\x0a", "image/jxl"),
)
NAMES = {
    "image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WebP", "image/gif": "GIF", "image/bmp": "BMP",
    "image/tiff": "TIFF", "image/avif": "AVIF", "image/heic": "HEIC", "image/jp2": "JPEG 2000", "image/jxl": "JPEG XL",
}  # fmt: skip
DECODERS: dict[str, Callable[[BytesIO], ImageFile]] = {
    "image/jpeg": JpegImageFile,
    "image/png": PngImageFile,
    "image/webp": WebPImageFile,
    "image/gif": GifImageFile,
    "image/bmp": BmpImageFile,
    "image/tiff": TiffImageFile,
    "image/avif": AvifImageFile,
    "image/jp2": Jpeg2KImageFile,
}
VERBATIM = frozenset({"image/jpeg", "image/png", "image/webp"})
Look = Callable[[Image.Image], object]
PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
TO_PNG_MODE = {"CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB", "RGBX": "RGB", "PA": "RGBA", "RGBa": "RGBA"}


@dataclass(frozen=True, slots=True)
class PageImage:
    """A page that browsers can show: JPEG, PNG or WebP, verbatim unless it came in another format.

    `width` and `height` are pixels as displayed, `orientation` is the EXIF value 1 to 8 that was applied to them (the
    bytes themselves are not turned). `sha256` is of `data`, in hexadecimal. `frames` are the pictures of an animation,
    of which the first is the page.
    """

    data: bytes
    media_type: str
    width: int
    height: int
    orientation: int
    sha256: str
    frames: int = 1


def sniff_image(head: bytes) -> str | None:
    """The media type that the first bytes name, None when they name no image."""
    for offset, sign, media_type in SIGNS:
        if head.startswith(sign, offset):
            return media_type
    return None


def examine(data: bytes, *, limits: Limits = DEFAULT_LIMITS, look: Look | None = None) -> PageImage:
    """Check a page by really decoding it, once (a JPEG at an eighth of its size), and measure it.

    `look` is shown what this came to: the page as displayed, in luminance and at about an eighth of its size (a small
    page at more). Raises `Unreadable` with the reason: empty, no image, over the pixel limit, cut off, damaged, not
    supported.
    """
    media_type, image = _header(data, pixels=limits.pixels)
    orientation, shrink = _orientation(image), _shrink(image.size)
    width, height = image.size if orientation < 5 else image.size[::-1]
    try:
        frames = int(getattr(image, "n_frames", 1))
        # Luminance at an eighth of the size: every byte is still entropy-decoded, so a cut is found.
        image.draft("L", (max(1, image.width // shrink), max(1, image.height // shrink)))
        image.load()
        turned = 1 if media_type == "image/tiff" else orientation  # Pillow has turned a TIFF itself
        small = _small(image, shrink=shrink, orientation=turned) if look is not None else None
    except FAULTS as error:
        raise Unreadable(_fault(error, media_type)) from error
    if look is not None and small is not None:
        look(small)
    if media_type not in VERBATIM:
        upright = _upright(image, media_type)
        data, media_type, orientation = _png(upright, media_type), "image/png", 1
        width, height = upright.size
    return PageImage(data, media_type, width, height, orientation, sha256(data).hexdigest(), frames)


def drawn(data: bytes, *, size: tuple[int, int]) -> PageImage:
    """A page that we drew ourselves in `size`, width and height: nothing to check."""
    media_type = sniff_image(data)
    if media_type not in VERBATIM:
        raise ValueError("a drawn page must be JPEG, PNG or WebP")
    return PageImage(data, media_type, *size, 1, sha256(data).hexdigest())


def upright_size(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> tuple[str, int, int] | None:
    """Mode, width and height of a JPEG that is displayed as it is stored; None for a turned one. No decoding."""
    _, image = _header(data, pixels=limits.pixels)
    return (image.mode, *image.size) if _orientation(image) == 1 else None


def _header(data: bytes, *, pixels: int) -> tuple[str, ImageFile]:
    if not data:
        raise Unreadable("is empty (0 bytes); get a complete copy of the comic")
    media_type = sniff_image(data)
    if media_type is None:
        raise Unreadable("is not an image, whatever its name says")
    if media_type not in DECODERS:
        raise Unreadable(f"is {NAMES[media_type]}, which is not supported; convert it to JPEG, PNG or WebP")
    try:
        image = DECODERS[media_type](BytesIO(data))
        several = media_type == "image/tiff" and getattr(image, "n_frames", 1) > 1
    except FAULTS as error:
        raise Unreadable(_fault(error, media_type)) from error
    width, height = image.size
    if width * height > pixels:
        raise Unreadable(
            f"is {width} × {height} pixels, over the limit of {pixels // 1_000_000} million; scale it down"
        )
    if several:
        raise Unreadable("is a TIFF of several pictures; save each as a file of its own")
    return media_type, image


def _orientation(image: ImageFile) -> int:
    if not image.info.keys() & {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"} and image.format != "TIFF":
        return 1
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except FAULTS:
        return 1  # broken metadata turns nothing; the picture itself is judged by decoding it
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _shrink(size: tuple[int, int]) -> int:
    """By how much a page of this size is made smaller to be looked at."""
    return next((shrink for shrink in (8, 4, 2) if min(size) >= shrink * SMALL_SIDE), 1)


def _small(image: Image.Image, *, shrink: int, orientation: int) -> Image.Image:
    """A decoded page in luminance, small and upright; transparent parts are white."""
    small = image
    if not isinstance(image, JpegImageFile):  # all others are decoded whole
        if image.mode in ("1", "P", "PA"):
            small = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "L")
        elif image.mode.startswith("I"):
            small = image.convert("I").point(lambda tone: tone / 256, "L")
        small = small.reduce(shrink)
    if small.mode in ("RGBA", "LA", "RGBa", "La"):
        layer = small.convert("RGBA")
        small = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    if small.mode != "L":
        small = small.convert("L")
    return small.transpose(TURNS[orientation]) if orientation in TURNS else small


def _fault(error: BaseException, media_type: str) -> str:
    kind = NAMES[media_type]
    if "truncated" in str(error) or isinstance(error, EOFError):
        return f"is a {kind} that is cut off; get a complete copy of the comic"
    return f"is a damaged or unusual {kind} that cannot be decoded; get another copy or convert it"


def _upright(image: ImageFile, media_type: str) -> Image.Image:
    """The picture as displayed, in a mode that PNG can store."""
    try:
        upright: Image.Image = ImageOps.exif_transpose(image)
        mode = upright.mode if upright.mode in PNG_MODES else TO_PNG_MODE.get(upright.mode)
        if mode is None:
            raise Unreadable(f"has pixels of a kind ({upright.mode}) that no browser shows; convert it to PNG")
        if mode != upright.mode:
            upright = upright.convert(mode)
            upright.info.pop("icc_profile", None)  # it described the colours before the conversion
    except FAULTS as error:
        raise Unreadable(_fault(error, media_type)) from error
    return upright


def _png(image: Image.Image, media_type: str) -> bytes:
    out = BytesIO()
    try:
        image.save(out, "PNG", compress_level=3)
    except FAULTS as error:
        raise Unreadable(_fault(error, media_type)) from error
    return out.getvalue()
