import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.detection.detector import decode
from services.detection.panel_files import detect_folder, natural_key
from services.training.generators.pages import make_comic
from shared.errors import Reject, TooLarge


def stored(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_every_image_is_answered_and_unreadable_ones_are_named_apart(tmp_path: Path) -> None:
    page = make_comic(5, pages=2, width=500, height=700)[1]
    (tmp_path / "page10.png").write_bytes(stored(page.image))
    (tmp_path / "page2.jpg").write_bytes(stored(page.image, "JPEG"))
    (tmp_path / "page3.jpg").write_bytes(stored(page.image, "JPEG")[:4000])
    (tmp_path / "page4.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no page")
    calls: list[tuple[int, int]] = []
    panels, unread = detect_folder(tmp_path, direction="auto", progress=lambda done, of: calls.append((done, of)))
    assert list(panels) == ["page2.jpg", "page10.png"]
    assert len(panels["page10.png"]) > 1
    assert list(unread) == ["page3.jpg", "page4.png"]
    assert all(name in reason for name, reason in unread.items())
    assert str(tmp_path) not in "".join(unread.values())
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Reject, match="no page images"):
        detect_folder(tmp_path)
    with pytest.raises(Reject, match="no folder"):
        detect_folder(tmp_path / "absent")


def test_pages_sort_as_people_count() -> None:
    names = ["p10.jpg", "P2.jpg", "p1.jpg", "cover.jpg", "p02b.jpg", "10.jpg", "9.jpg"]
    assert sorted(names, key=natural_key) == ["9.jpg", "10.jpg", "cover.jpg", "p1.jpg", "P2.jpg", "p02b.jpg", "p10.jpg"]


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
