"""Page images and parts of them at other sizes, as WebP or JPEG.

Widths are those of a ladder, so that browsers of every size share a few files. Nothing is drawn larger than it is, and
what is a strip is bounded in height and becomes narrower instead.
"""

import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from PIL import Image

from shared.domain.pictures import decode
from shared.domain.schema import Box

Form = Literal["webp", "jpeg"]
MEDIA_TYPES: dict[Form, str] = {"webp": "image/webp", "jpeg": "image/jpeg"}
WIDTHS = (64, 120, 160, 240, 320, 480, 640, 960, 1280, 1920, 2560, 4096)
TALLEST = 8  # times the width: what is taller becomes narrower
MOST_SIDE = 16_383  # pixels; WebP knows no more
VERSION = 1  # of how pictures are drawn: another one is another picture


@dataclass(frozen=True, slots=True)
class Rendition:
    """A picture to be drawn: `box` (left, top, right, bottom) of an image, in pixels as displayed, at `size`."""

    sha256: str
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    form: Form

    @property
    def key(self) -> str:
        """Its name among all pictures of all images, of letters, digits, `.` and `-`."""
        part, size = ".".join(map(str, self.box)), "x".join(map(str, self.size))
        return f"{self.sha256}-{part}-{size}-{VERSION}.{self.form}"

    @property
    def scale(self) -> float:
        """Drawn pixels to a pixel of the image; at most 1."""
        return self.size[0] / (self.box[2] - self.box[0])


def rendition(
    sha256: str, image: tuple[int, int], *, box: Box | None = None, width: int | None = None, form: Form = "webp"
) -> Rendition:
    """The picture of an image of (width, height) pixels that serves who asks for `width`, of all of it or of `box`."""
    left, top, right, bottom = part = _whole_pixels(image, box)
    most = next((step for step in WIDTHS if width is not None and step >= width), WIDTHS[-1])
    tall = (bottom - top) / (right - left)
    drawn = min(most, right - left)
    drawn = min(drawn, max(1, int(min(MOST_SIDE, TALLEST * most) / tall)))
    height = max(1, min(round(drawn * tall), bottom - top, MOST_SIDE))
    return Rendition(sha256, part, (drawn, height), form)


def _whole_pixels(image: tuple[int, int], box: Box | None) -> tuple[int, int, int, int]:
    """The part of an image inside a box, at least one pixel in each direction."""
    width, height = image
    if box is None:
        return 0, 0, width, height
    left, top = min(max(round(box.x), 0), width - 1), min(max(round(box.y), 0), height - 1)
    return left, top, min(max(round(box.right), left + 1), width), min(max(round(box.bottom), top + 1), height)


def draw(content: bytes, wanted: Rendition, *, image: tuple[int, int], name: str = "the image") -> bytes:
    """The picture's file, of an image of (width, height) pixels.

    Reject when the content is no whole image, TooLarge when it has too many pixels; both name `name`.
    """
    picture = Image.fromarray(decode(content, name=name, scale=wanted.scale))
    # A JPEG may have been decoded smaller, by whole eighths.
    across, down = picture.width / image[0], picture.height / image[1]
    left, top, right, bottom = wanted.box
    part = (left * across, top * down, min(right * across, picture.width), min(bottom * down, picture.height))
    if (*part, *wanted.size) != (0, 0, picture.width, picture.height, picture.width, picture.height):
        picture = picture.resize(wanted.size, Image.Resampling.LANCZOS, box=part, reducing_gap=2.0)
    buffer = io.BytesIO()
    if wanted.form == "webp":
        picture.save(buffer, "WEBP", quality=82, method=2)
    else:
        picture.save(buffer, "JPEG", quality=85, optimize=True, progressive=True)
    return buffer.getvalue()


def drawn_in_child(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """`draw` as `Children` call it, with what `request_for` made."""
    wanted = Rendition(request["sha256"], tuple(request["box"]), tuple(request["size"]), request["form"])
    width, height = request["image"]
    yield {}, draw(request["data"], wanted, image=(width, height), name=request["name"])


def request_for(wanted: Rendition, *, image: tuple[int, int], name: str) -> dict[str, Any]:
    """What `drawn_in_child` is told: draw the image of (width, height) pixels whose content is sent along."""
    return {"image": image, "name": name, **asdict(wanted)}
