"""PDF through MuPDF: a page that is one full-page JPEG keeps its bytes, every other page is drawn.

Drawn pages have about as many pixels as the limits say (of four million a letter page has 1760 × 2270, which the
smallest lettering survives), at least 1000 on the short side; as PNG, unless the page shows pictures that were lossy
already: then as JPEG. Scripts in a PDF are never run: MuPDF is not asked to.
MuPDF is not safe in threads, not even with a document for each: every call holds one lock of the process.
"""

import math
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pymupdf
from PIL import Image

from shared.errors import Reject, TooLarge
from shared.files.containers import Container, Limits, RawPage, Unreadable
from shared.files.images import upright_size
from shared.files.png import png
from shared.files.scans import sole_image

FAULTS = (pymupdf.mupdf.FzErrorBase, RuntimeError, ValueError, TypeError, IndexError, OverflowError)
SHORT_SIDE = 1000
LONG_SIDE = 16_000
JPEG_QUALITY = 92
SMALL = 8  # by which a drawn page is made smaller to be looked at
LOSSY = ("DCTDecode", "JPXDecode")
# Keys that change nothing about what a JPEG shows; any other (mask, decode array, optional content …) may.
PLAIN_KEYS = frozenset(
    ("Type", "Subtype", "Width", "Height", "ColorSpace", "BitsPerComponent", "Filter", "Length", "Name", "Interpolate",
     "Intent", "Metadata")
)  # fmt: skip
PLAIN_COLOURS = frozenset(("DeviceRGB", "DeviceGray", "ICCBased", "CalRGB", "CalGray"))
# MuPDF draws what it can of a damaged picture and only murmurs these.
DAMAGE = ("premature end", "truncated image", "library error", "read error", "cannot draw", "cannot load image")
TAIL = 2048

_mupdf = threading.Lock()
pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)


class PdfDocument(Container):
    """The pages of a PDF. Raises `Reject` for a damaged, cut-off, protected or empty one, `TooLarge` over a limit."""

    media_type = "application/pdf"

    def __init__(self, path: Path, *, name: str, limits: Limits) -> None:
        self.name = name
        self._limits = limits
        with _mupdf:
            try:
                self._document = pymupdf.open(str(path), filetype="pdf")
            except FAULTS as error:
                raise Reject(f"{name} is a damaged PDF that cannot be opened. Get a complete copy.") from error
            try:
                self._count = _checked_count(self._document, path=path, name=name, limits=limits)
            except Reject:
                self._document.close()
                raise

    def __len__(self) -> int:
        return self._count

    def pages(self, *, start: int = 0, stop: int | None = None) -> Iterator[RawPage]:
        """Every page, verbatim or drawn; one that cannot be drawn whole is a page with a reason."""
        for number in range(self._count)[start:stop]:
            try:
                with _mupdf:
                    page = self._read(number)
            except Unreadable as error:
                page = RawPage(number, _name(number), None, str(error))
            except FAULTS as error:
                if "alloc" in str(error):  # how MuPDF says that there is no more memory
                    raise MemoryError from error
                page = RawPage(
                    number, _name(number), None, "is damaged and cannot be drawn; get a complete copy of the comic"
                )
            yield page

    def close(self) -> None:
        """Let go of the file."""
        with _mupdf:
            self._document.close()

    def _read(self, number: int) -> RawPage:
        page = self._document.load_page(number)
        images = page.get_images(full=True)
        for image in images:
            if image[2] * image[3] > self._limits.pixels:
                raise Unreadable(
                    f"holds a picture of {image[2]} × {image[3]} pixels, over the limit of "
                    f"{self._limits.pixels // 1_000_000} million; scale it down"
                )
        verbatim = self._verbatim(page, images)
        if verbatim is not None:
            return RawPage(number, _name(number), verbatim)
        drawn = _pixels(page, wanted=self._limits.drawn_pixels)
        return _drawn(number, drawn, lossy=any(image[8] in LOSSY for image in images))

    def _verbatim(self, page: Any, images: list[Any]) -> bytes | None:
        """The JPEG that is all of this page; None for any other page."""
        if page.rotation or page.first_annot is not None or page.first_widget is not None:
            return None
        visible = page.rect * ~page.transformation_matrix
        name = sole_image(page.read_contents(), page=(visible.x0, visible.y0, visible.x1, visible.y1))
        found = [image for image in images if image[7] == name and image[9] == 0]
        if name is None or len(found) != 1:
            return None
        xref, _, width, height, _, colours, _, _, kind, _ = found[0]
        if kind != "DCTDecode" or colours not in PLAIN_COLOURS:
            return None
        plain = all(
            key in PLAIN_KEYS or self._document.xref_get_key(xref, key)[0] == "null"
            for key in self._document.xref_get_keys(xref)
        )
        if not plain or self._document.xref_get_key(xref, "Filter")[1].strip("[] ") != "/DCTDecode":
            return None
        data = self._document.xref_stream_raw(xref)
        try:
            stored = upright_size(data, limits=self._limits)
        except Unreadable:
            return None  # drawing tells better what is wrong with it
        return data if stored in (("RGB", width, height), ("L", width, height)) else None


def _checked_count(document: Any, *, path: Path, name: str, limits: Limits) -> int:
    if document.needs_pass:
        raise Reject(f"{name} is protected by a password. Save it without protection and add that copy.")
    try:
        count = int(document.page_count)
    except FAULTS as error:
        raise Reject(f"{name} is a damaged PDF: its pages cannot be counted. Get a complete copy.") from error
    if count <= 0:
        raise Reject(f"{name} is a PDF without pages. Check that it is the right file, or export it again.")
    if count > limits.entries:
        raise TooLarge(f"{name} has {count} pages, over the limit of {limits.entries}; split it.")
    # A cut-off PDF is repaired by MuPDF into one with fewer pages: that is not the comic the user meant.
    if document.is_repaired and b"startxref" not in _tail(path):
        raise Reject(f"{name} is a PDF that is cut off before its end. Get a complete copy.")
    return count


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return file.read()


def _name(number: int) -> str:
    return f"page {number + 1}"


def _pixels(page: Any, *, wanted: int) -> Any:
    """A page as MuPDF's RGB pixels, about `wanted` of them."""
    width, height = page.rect.width, page.rect.height
    if not (math.isfinite(width * height) and width > 0 and height > 0):
        raise Unreadable("has no area; get a complete copy of the comic")
    scale = max(math.sqrt(wanted / (width * height)), SHORT_SIDE / min(width, height))
    scale = min(scale, LONG_SIDE / max(width, height))
    pymupdf.TOOLS.reset_mupdf_warnings()
    pixels = page.get_pixmap(matrix=pymupdf.Matrix(scale, scale), colorspace=pymupdf.csRGB, alpha=False)
    murmured = pymupdf.TOOLS.mupdf_warnings()
    if any(sign in murmured for sign in DAMAGE):
        raise Unreadable("holds a damaged picture and cannot be drawn whole; get a complete copy of the comic")
    return pixels


def _drawn(number: int, pixels: Any, *, lossy: bool) -> RawPage:
    size = (int(pixels.width), int(pixels.height))
    picture = Image.frombuffer("RGB", size, pixels.samples_mv, "raw", "RGB", 0, 1)
    small = picture.reduce(SMALL).convert("L")
    if not lossy:
        return RawPage(number, _name(number), png(pixels.samples_mv, width=size[0], height=size[1]), None, size, small)
    out = BytesIO()
    picture.save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return RawPage(number, _name(number), out.getvalue(), None, size, small)
