"""Pictures at other sizes: how large they become, and that they show what they should."""

import io

import numpy as np
import pytest
from PIL import Image

from shared.domain.schema import Box
from shared.errors import Reject
from shared.files.renditions import MOST_SIDE, TALLEST, WIDTHS, draw, rendition

SHA = "a" * 64
QUARTERS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def quarters(width: int, height: int, form: str = "PNG", **saved: object) -> bytes:
    """Red and lime above blue and white."""
    picture = np.zeros((height, width, 3), np.uint8)
    for number, colour in enumerate(QUARTERS.values()):
        top, left = number // 2 * height // 2, number % 2 * width // 2
        picture[top : top + height // 2, left : left + width // 2] = colour
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, **saved)
    return buffer.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def colours(content: bytes) -> list[str]:
    """The nearest named colour in the middle of each quarter."""
    pixels = np.asarray(opened(content), np.int16)
    height, width = pixels.shape[:2]
    return [
        min(QUARTERS, key=lambda name: int(np.abs(pixels[y, x] - QUARTERS[name]).sum()))
        for y in (height // 4, height * 3 // 4)
        for x in (width // 4, width * 3 // 4)
    ]


def test_widths_are_steps_of_a_ladder_and_nothing_is_enlarged() -> None:
    image = (1400, 2000)
    sizes = {asked: rendition(SHA, image, width=asked).size for asked in (16, 64, 65, 480, 481, 1281, 4096)}
    assert sizes == {
        16: (64, 91), 64: (64, 91), 65: (120, 171), 480: (480, 686), 481: (640, 914),
        1281: (1400, 2000), 4096: (1400, 2000),
    }  # fmt: skip
    assert rendition(SHA, image).size == image
    assert len({rendition(SHA, image, width=asked).key for asked in range(16, 4097)}) <= len(WIDTHS)
    assert rendition(SHA, (20_000, 10_000)).size == (4096, 2048)


def test_a_strip_becomes_narrower_rather_than_endless() -> None:
    width, height = rendition(SHA, (800, 40_000), width=480).size
    assert height <= TALLEST * 480
    assert width == pytest.approx(height / 50, abs=1)
    assert max(rendition(SHA, (4000, 200_000)).size) <= MOST_SIDE
    assert rendition(SHA, (3, 90_000), width=64).size[0] == 1


def test_the_same_part_at_the_same_size_is_the_same_picture() -> None:
    def key(**asked: object) -> str:
        return rendition(SHA, (1000, 1500), **asked).key  # type: ignore[arg-type]

    assert key(width=961) == key(width=4096) == key()
    assert key(box=Box(0, 0, 1000, 1500)) == key()
    assert key(box=Box(10.2, 20.1, 300, 300), width=240) == key(box=Box(9.9, 19.8, 300.3, 300.3), width=200)
    assert len({key(), key(width=480), key(form="jpeg"), key(box=Box(0, 0, 500, 500))}) == 4


@pytest.mark.parametrize(("form", "kind"), [("webp", "WEBP"), ("jpeg", "JPEG")])
@pytest.mark.parametrize("source", ["PNG", "JPEG"])
def test_a_page_is_drawn_small(form: str, kind: str, source: str) -> None:
    image = (1200, 800)
    small = draw(quarters(*image, source), rendition(SHA, image, width=320, form=form), image=image)  # type: ignore[arg-type]
    found = Image.open(io.BytesIO(small))
    assert (found.format, found.size) == (kind, (320, 213))
    assert colours(small) == list(QUARTERS)


@pytest.mark.parametrize("width", [None, 160])
@pytest.mark.parametrize("source", ["PNG", "JPEG"])
def test_a_part_is_cut_out_where_it_is(source: str, width: int | None) -> None:
    image = (1200, 800)
    wanted = rendition(SHA, image, box=Box(300, 200, 600, 400), width=width)
    part = draw(quarters(*image, source), wanted, image=image)
    assert opened(part).size == ((600, 400) if width is None else (160, 107))
    assert colours(part) == list(QUARTERS)
    corner = draw(quarters(*image, source), rendition(SHA, image, box=Box(610, 10, 500, 380), width=width), image=image)
    assert set(colours(corner)) == {"lime"}


def test_orientation_is_applied_and_transparency_is_white() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right to show it
    turned = quarters(1200, 800, "JPEG", exif=exif)
    shown = (800, 1200)
    assert colours(draw(turned, rendition(SHA, shown, width=240), image=shown)) == ["blue", "red", "white", "lime"]
    part = rendition(SHA, shown, box=Box(410, 10, 380, 580), width=64)
    assert set(colours(draw(turned, part, image=shown))) == {"red"}
    buffer = io.BytesIO()
    Image.new("RGBA", (300, 300), (255, 0, 0, 0)).save(buffer, "PNG")
    clear = draw(buffer.getvalue(), rendition(SHA, (300, 300), width=64), image=(300, 300))
    assert set(colours(clear)) == {"white"}


def test_a_damaged_image_is_named_and_not_drawn() -> None:
    image = (1200, 800)
    whole = quarters(*image, "JPEG")
    with pytest.raises(Reject, match=r"p1\.jpg is damaged"):
        draw(whole[: len(whole) // 2], rendition(SHA, image, width=64), image=image, name="p1.jpg")
