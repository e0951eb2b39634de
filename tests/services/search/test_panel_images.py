"""Pictures are read as displayed, and what is no picture, or too large a one, is refused before it costs anything."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.search.panel_images import cut_panel, open_picture, thumbnail
from shared.domain.schema import Box
from shared.errors import Reject, TooLarge


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    memory = io.BytesIO()
    image.save(memory, kind, **options)
    return memory.getvalue()


def halves(mode: str = "RGB") -> Image.Image:
    """40 × 20, left half red, right half blue."""
    image = Image.new("RGB", (40, 20), "red")
    image.paste("blue", (20, 0, 40, 20))
    return image.convert(mode)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_common_files_are_read_as_rgb(kind: str) -> None:
    picture = open_picture(encoded(halves(), kind), name="query")
    assert picture.shape == (20, 40, 3)
    assert picture[10, 5, 0] > 200 > 60 > picture[10, 5, 2]
    assert picture[10, 35, 2] > 200 > 60 > picture[10, 35, 0]


def test_the_orientation_tag_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to display
    picture = open_picture(encoded(halves(), "PNG", exif=exif), name="query")
    assert picture.shape == (40, 20, 3)
    assert picture[5, 10].tolist() == [255, 0, 0]
    assert picture[35, 10].tolist() == [0, 0, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.array([[0, 32768, 65535]], np.uint16))
        assert open_picture(encoded(image, "PNG"), name="query")[0, :, 0].tolist() == [0, 127, 255]
        return
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert open_picture(encoded(halves(mode), kind), name="query").shape == (20, 40, 3)


def test_transparency_lies_on_white() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert open_picture(encoded(clear, "PNG"), name="query")[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(Reject, match="holiday"):
        open_picture(data, name="holiday.jpg")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_truncated_image_is_never_passed_off_as_whole(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    whole = encoded(noise, kind)
    with pytest.raises(Reject, match="cut"):
        open_picture(whole[: len(whole) * 2 // 3], name="cut.img")


def test_an_enormous_image_is_refused_before_it_is_decoded() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (11_000, 40_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        with pytest.raises(TooLarge, match="bomb"):
            open_picture(bomb, name="bomb.png")


def test_a_panel_is_cut_in_whole_pixels_outwards_and_clipped_to_its_page() -> None:
    page = np.arange(10 * 8 * 3, dtype=np.uint8).reshape(10, 8, 3)
    assert np.array_equal(cut_panel(page, Box(1.6, 2.4, 3.0, 4.0)), page[2:7, 1:5])
    assert np.array_equal(cut_panel(page, Box(-5, -5, 100, 100)), page)


@pytest.mark.parametrize("box", [Box(20, 2, 5, 5), Box(2, 2, 0, 5), Box(2, 2, -3, 5), Box(7.5, 0, 9, 9)])
def test_a_box_off_its_page_is_refused(box: Box) -> None:
    with pytest.raises(Reject, match="box"):
        cut_panel(np.zeros((10, 8, 3), np.uint8), box)


@pytest.mark.parametrize(("kind", "format_"), [("webp", "WEBP"), ("jpeg", "JPEG")])
def test_thumbnails_fit_their_side_keep_their_aspect_and_never_grow(kind: str, format_: str, samples: Path) -> None:
    page = open_picture((samples / "pepper-carrot-ep17" / "page1.jpg").read_bytes(), name="page1.jpg")
    small = thumbnail(page, side=200, kind=kind)  # type: ignore[arg-type]
    image = Image.open(io.BytesIO(small))
    assert image.format == format_
    assert image.height == 200
    assert abs(image.width / image.height - page.shape[1] / page.shape[0]) < 0.01
    assert len(small) < 40_000
    tiny = Image.open(io.BytesIO(thumbnail(page[:30, :20], side=200, kind=kind)))  # type: ignore[arg-type]
    assert tiny.size == (20, 30)
