"""A page is measured as displayed, kept verbatim, and never passed off as whole when it is not."""

import io
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from shared.files.containers import Limits, Unreadable
from shared.files.images import examine, sniff_image
from tests.equipment.hostile_files import huge_png, picture, turned


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_browsers_show_is_kept_verbatim(kind: str) -> None:
    data = picture(120, 90, kind=kind)
    page = examine(data)
    assert page.data is data
    assert page.media_type == f"image/{kind.lower()}"
    assert (page.width, page.height, page.orientation) == (120, 90, 1)
    assert page.sha256 == sha256(data).hexdigest()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_those_of_the_page_as_displayed(orientation: int, kind: str) -> None:
    data = turned(orientation, width=120, height=80, kind=kind)
    page = examine(data)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert (page.width, page.height) == shown.size == ((120, 80) if orientation < 5 else (80, 120))
    assert page.orientation == orientation
    assert page.data == data


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\x00\x00garbage", b"", b"Exif\x00\x00II*\x00\xff\xff\xff\xff"])
def test_broken_metadata_turns_nothing(exif: bytes) -> None:
    page = examine(picture(64, 48, exif=exif))
    assert (page.width, page.height, page.orientation) == (64, 48, 1)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_jpeg_colours_are_kept(mode: str) -> None:
    data = picture(mode=mode)
    assert examine(data).data == data


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("GIF", "RGB"), ("BMP", "RGB"), ("TIFF", "RGB"), ("TIFF", "CMYK"), ("TIFF", "1"), ("JPEG2000", "RGB")],
)
def test_other_formats_become_png_of_the_same_picture(kind: str, mode: str) -> None:
    data = picture(96, 64, kind=kind, mode=mode)
    page = examine(data)
    assert page.media_type == "image/png"
    assert page.sha256 == sha256(page.data).hexdigest()
    made = Image.open(io.BytesIO(page.data))
    assert made.size == (page.width, page.height) == (96, 64)
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    assert made.convert("RGB").tobytes() == expected.tobytes()


def test_avif_becomes_png() -> None:
    page = examine(picture(96, 64, kind="AVIF"))
    assert (page.media_type, page.width, page.height) == ("image/png", 96, 64)


def test_a_turned_tiff_becomes_an_upright_png() -> None:
    source = Image.open(io.BytesIO(picture(96, 64))).convert("RGB")
    out = io.BytesIO()
    source.save(out, "TIFF", tiffinfo={0x0112: 6})
    page = examine(out.getvalue())
    made = Image.open(io.BytesIO(page.data))
    assert (page.width, page.height, page.orientation) == (64, 96, 1)
    assert made.tobytes() == source.transpose(Image.Transpose.ROTATE_270).tobytes()


def test_sixteen_bit_pages_keep_their_depth() -> None:
    deep = Image.new("I;16", (40, 30), 40_000)
    out = io.BytesIO()
    deep.save(out, "TIFF")
    made = Image.open(io.BytesIO(examine(out.getvalue()).data))
    assert made.getpixel((3, 3)) == 40_000


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "BMP"])
@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_picture_cut_at_any_tenth_is_never_whole(kind: str, tenth: int) -> None:
    data = picture(200, 160, kind=kind)
    with pytest.raises(Unreadable):
        examine(data[: len(data) * tenth // 10])


def saved(kind: str, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(picture(320, 240))).convert(mode).save(out, kind, **options)
    return out.getvalue()


def sixteen_bits(kind: str) -> bytes:
    steps = np.linspace(0, 65_535, 320 * 240).reshape(240, 320).astype(np.uint16)
    out = io.BytesIO()
    Image.fromarray(steps).save(out, kind)
    return out.getvalue()


def animated(kind: str) -> bytes:
    frames = [Image.open(io.BytesIO(picture(320, 240, seed=seed))).convert("RGB") for seed in (0, 90, 180)]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=90)
    return out.getvalue()


UNUSUAL = {
    "progressive JPEG": lambda: saved("JPEG", progressive=True, quality=95),
    "CMYK JPEG": lambda: saved("JPEG", "CMYK"),
    "progressive CMYK JPEG": lambda: saved("JPEG", "CMYK", progressive=True),
    "grey JPEG": lambda: saved("JPEG", "L"),
    "restarting JPEG": lambda: saved("JPEG", restart_marker_rows=1),
    "palette PNG": lambda: saved("PNG", "P"),
    "see-through palette PNG": lambda: saved("PNG", "P", transparency=0),
    "one-bit PNG": lambda: saved("PNG", "1"),
    "see-through PNG": lambda: saved("PNG", "RGBA"),
    "grey see-through PNG": lambda: saved("PNG", "LA"),
    "16-bit PNG": lambda: sixteen_bits("PNG"),
    "lossless WebP": lambda: saved("WEBP", lossless=True),
    "see-through WebP": lambda: saved("WEBP", "RGBA"),
    "animated PNG": lambda: animated("PNG"),
    "animated WebP": lambda: animated("WEBP"),
    "animated GIF": lambda: animated("GIF"),
    "animated AVIF": lambda: animated("AVIF"),
    "CMYK TIFF": lambda: saved("TIFF", "CMYK"),
    "16-bit TIFF": lambda: sixteen_bits("TIFF"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_pictures_are_read(name: str) -> None:
    data = UNUSUAL[name]()
    seen: list[Image.Image] = []
    page = examine(data, look=seen.append)
    assert (page.width, page.height) == (320, 240)
    assert page.frames == (3 if "animated" in name else 1)
    assert [(small.mode, small.size) for small in seen] == [("L", (160, 120))]


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_pictures_cut_at_any_tenth_are_whole_or_refused(name: str) -> None:
    data = UNUSUAL[name]()
    whole: list[Image.Image] = []
    examine(data, look=whole.append)
    for tenth in range(1, 10):
        cut: list[Image.Image] = []
        try:
            page = examine(data[: len(data) * tenth // 10], look=cut.append)
        except Unreadable:
            continue
        # Of an animation the first picture is the page, and that may be there while the others are not.
        assert "animated" in name
        assert (page.width, page.height) == (320, 240)
        assert cut[0].tobytes() == whole[0].tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_page_is_looked_at_upright(orientation: int, kind: str) -> None:
    source = Image.new("L", (640, 512), 255)
    source.paste(0, (0, 0, 320, 256))  # a dark corner tells how it is turned
    out = io.BytesIO()
    exif = source.getexif()
    exif[0x0112] = orientation
    source.convert("RGB").save(out, kind, exif=exif)
    seen: list[Image.Image] = []
    examine(out.getvalue(), look=seen.append)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(out.getvalue()))).convert("L").reduce(8)
    assert seen[0].size == shown.size
    assert np.abs(np.asarray(seen[0], np.int16) - np.asarray(shown, np.int16)).mean() < 3


def test_transparent_parts_are_white_to_the_eye() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (600, 800), (0, 0, 0, 0)).save(out, "PNG")
    seen: list[Image.Image] = []
    examine(out.getvalue(), look=seen.append)
    assert seen[0].getextrema() == (255, 255)


@pytest.mark.parametrize(("width", "height", "shrink"), [(2000, 3000, 8), (512, 700, 8), (300, 900, 4), (90, 60, 1)])
def test_a_small_page_is_looked_at_larger(width: int, height: int, shrink: int) -> None:
    for kind in ("JPEG", "PNG"):
        seen: list[Image.Image] = []
        examine(picture(width, height, kind=kind), look=seen.append)
        assert seen[0].size == (-(-width // shrink), -(-height // shrink))


@pytest.mark.parametrize("lost", [1, 2, 10, 200])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_bytes_is_cut_off(lost: int, progressive: bool) -> None:
    out = io.BytesIO()
    Image.open(io.BytesIO(picture(400, 300))).save(out, "JPEG", progressive=progressive)
    with pytest.raises(Unreadable, match="JPEG that is cut off"):
        examine(out.getvalue()[:-lost])


def test_an_enormous_picture_is_refused_from_its_header() -> None:
    with pytest.raises(Unreadable, match=r"40000 × 40000 pixels, over the limit of 100 million"):
        examine(huge_png())


def test_the_pixel_limit_is_ours_and_exact() -> None:
    data = picture(100, 100, kind="PNG")
    assert examine(data, limits=Limits(pixels=10_000)).width == 100
    with pytest.raises(Unreadable, match="over the limit"):
        examine(data, limits=Limits(pixels=9_999))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"<html>404</html>", "is not an image"),
        (b"\xff\xd8\xff\xe0" + b"x" * 300, "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\x0a" + bytes(50), "JPEG XL, which is not supported"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(50), "HEIC, which is not supported"),
    ],
)
def test_every_reason_says_what_the_page_is(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        examine(data)


def test_a_tiff_of_several_pictures_is_not_silently_one_page() -> None:
    first, second = (Image.open(io.BytesIO(picture(seed=seed))).convert("RGB") for seed in (1, 2))
    out = io.BytesIO()
    first.save(out, "TIFF", save_all=True, append_images=[second])
    with pytest.raises(Unreadable, match="several pictures"):
        examine(out.getvalue())


def test_only_images_are_taken_for_images() -> None:
    assert sniff_image(b"%PDF-1.4") is None
    assert sniff_image(b"") is None


def test_real_pages_pass_verbatim(samples: Path) -> None:
    for path in sorted(samples.glob("*/*.jpg"))[::6]:
        data = path.read_bytes()
        page = examine(data)
        with Image.open(path) as opened:
            assert (page.width, page.height) == ImageOps.exif_transpose(opened).size
        assert page.data is data
        with pytest.raises(Unreadable, match="cut off"):
            examine(data[: len(data) * 9 // 10])
