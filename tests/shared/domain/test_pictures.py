import io

import numpy as np
import pytest
from PIL import Image

from shared.domain.pictures import decode
from shared.errors import Reject, TooLarge


def stored(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_pixels_are_decoded_as_displayed() -> None:
    image = Image.new("RGB", (40, 20), "white")
    image.paste((255, 0, 0), (0, 0, 20, 20))
    turned = Image.Exif()
    turned[0x0112] = 6
    shown = decode(stored(image, exif=turned))
    assert shown.shape == (40, 20, 3)
    assert shown[5, 10].tolist() == [255, 0, 0]
    assert shown[35, 10].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_every_kind_of_pixel_becomes_rgb(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "I;16") else "PNG"
    image = Image.fromarray(np.full((8, 6), 40_000, np.uint16)) if mode == "I;16" else Image.new(mode, (6, 8), 0)
    shown = decode(stored(image, kind))
    assert shown.shape == (8, 6, 3)
    assert shown.dtype == np.uint8


def test_transparency_is_shown_on_white() -> None:
    assert decode(stored(Image.new("RGBA", (4, 4), (0, 0, 0, 0))))[0, 0].tolist() == [255, 255, 255]


def test_an_enormous_image_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(TooLarge, match=r"huge\.png"):
        decode(stored(Image.new("1", (40_000, 40_000))), name="huge.png")


@pytest.mark.parametrize("content", [b"", b"not an image", stored(Image.effect_noise((64, 64), 50))[:300]])
def test_bytes_that_are_no_whole_image_are_refused_by_name(content: bytes) -> None:
    with pytest.raises(Reject, match=r"page\.png"):
        decode(content, name="page.png")
