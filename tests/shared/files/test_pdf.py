"""A scanned PDF page keeps the bytes of its JPEG; every other page is drawn, and no damage is hidden."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pymupdf
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.ingestion.pages import Page, read_pages
from shared.errors import TooLarge
from shared.files import pdf
from shared.files.containers import Limits
from shared.files.formats import open_container
from shared.files.scans import sole_image
from tests.equipment import hostile_files as hostile
from tests.equipment.hostile_files import picture, turned

JPEG = picture(400, 560)


def scanned(data: bytes = JPEG, *, width: float = 200, height: float = 280) -> pymupdf.Document:
    document = pymupdf.open()
    page = document.new_page(width=width, height=height)
    page.insert_image(page.rect, stream=data, keep_proportion=False)
    return document


def pages_of(document: pymupdf.Document | bytes, tmp_path: Path, *, limits: Limits | None = None) -> list[Page]:
    path = tmp_path / "stored"
    path.write_bytes(document if isinstance(document, bytes) else document.tobytes())
    with open_container(path, name="comic.pdf", limits=limits or Limits()) as container:
        return list(read_pages(container, limits=limits or Limits()))


def pixels(data: bytes) -> NDArray[np.int16]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.int16)


def only_image(document: pymupdf.Document, tmp_path: Path) -> tuple[bytes, int, int]:
    (page,) = pages_of(document, tmp_path)
    assert page.image is not None, page.error
    return page.image.data, page.image.width, page.image.height


def test_a_page_that_is_one_jpeg_keeps_its_bytes(tmp_path: Path) -> None:
    assert only_image(scanned(), tmp_path) == (JPEG, 400, 560)


def test_a_white_ground_and_a_clip_along_the_page_hide_nothing(tmp_path: Path) -> None:
    document = scanned()
    xref = document[0].get_contents()[-1]
    before = b"1 1 1 rg 0 0 200 280 re f q 0 0 200 280 re W n "
    document.update_stream(xref, before + document.xref_stream(xref) + b" Q")
    assert only_image(document, tmp_path)[0] == JPEG


def clipped(document: pymupdf.Document) -> None:
    xref = document[0].get_contents()[-1]
    document.update_stream(xref, b"q 0 0 100 100 re W n " + document.xref_stream(xref) + b" Q")


def painted_over(document: pymupdf.Document) -> None:
    document[0].draw_rect((10, 10, 60, 60), fill=(1, 0, 0))


def written_on(document: pymupdf.Document) -> None:
    document[0].insert_text((50, 50), "a new balloon")


def annotated(document: pymupdf.Document) -> None:
    document[0].add_rect_annot((10, 10, 90, 90))


def rotated(document: pymupdf.Document) -> None:
    document[0].set_rotation(90)


def upside_down(document: pymupdf.Document) -> None:
    document[0].set_rotation(180)


def cropped(document: pymupdf.Document) -> None:
    document[0].set_cropbox((20, 20, 180, 260))


def inverted(document: pymupdf.Document) -> None:
    document.xref_set_key(document[0].get_images()[0][0], "Decode", "[1 0 1 0 1 0]")


def faded(document: pymupdf.Document) -> None:
    page = document[0]
    contents = page.get_contents()[-1]
    resources = int(document.xref_get_key(page.xref, "Resources")[1].split()[0])
    document.xref_set_key(resources, "ExtGState", "<</G0<</ca 0.3>>>>")
    document.update_stream(contents, b"/G0 gs " + document.xref_stream(contents))


@pytest.mark.parametrize(
    "change",
    [clipped, painted_over, written_on, annotated, rotated, upside_down, cropped, inverted, faded],
    ids=lambda c: c.__name__,
)
def test_a_page_with_anything_else_to_see_is_drawn_as_a_reader_shows_it(change: object, tmp_path: Path) -> None:
    document = scanned()
    change(document)  # type: ignore[operator]
    data, width, height = only_image(document, tmp_path)
    assert data != JPEG
    reopened = pymupdf.open(stream=document.tobytes(), filetype="pdf")
    scale = width / reopened[0].rect.width
    expected = reopened[0].get_pixmap(matrix=pymupdf.Matrix(scale, scale), alpha=False)
    assert abs(height - expected.height) <= 1
    shown = np.frombuffer(expected.samples, np.uint8).reshape(expected.height, expected.width, 3)
    rows = min(height, expected.height)
    # A JPEG of quality 92 against the same pixels.
    assert np.abs(pixels(data)[:rows, : expected.width] - shown[:rows, :width]).mean() < 3
    assert 3_900_000 < width * height < 4_100_000


@pytest.mark.parametrize("data", [turned(6, width=400, height=560), picture(400, 560, mode="CMYK")])
def test_a_jpeg_that_browsers_would_show_otherwise_is_drawn(data: bytes, tmp_path: Path) -> None:
    drawn, width, height = only_image(scanned(data), tmp_path)
    assert drawn != data
    assert height > width


def test_an_image_with_a_margin_is_drawn_with_it(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page(width=200, height=280)
    page.insert_image((20, 28, 180, 252), stream=JPEG)
    data, _, _ = only_image(document, tmp_path)
    assert (pixels(data)[:100, :100] > 250).all()


def test_line_art_stays_lossless(tmp_path: Path) -> None:
    pages = pages_of(hostile.pdf(2), tmp_path)
    assert [page.name for page in pages] == ["page 1", "page 2"]
    assert {page.image.media_type for page in pages if page.image} == {"image/png"}


@pytest.mark.parametrize(("width", "height"), [(612, 792), (300, 6000), (30, 40), (14_400, 14_400), (20_000, 10)])
def test_drawn_pages_have_a_sane_size(width: float, height: float, tmp_path: Path) -> None:
    document = pymupdf.open()
    document.new_page(width=width, height=height).draw_circle((5, 5), 4)
    _, w, h = only_image(document, tmp_path)
    assert w * h <= 21_000_000
    assert max(w, h) <= 16_001
    assert min(w, h) >= 1000 or max(w, h) >= 15_999


def test_a_damaged_picture_is_not_drawn_as_if_it_were_whole(tmp_path: Path) -> None:
    document = scanned(picture(800, 1120))
    written_on(document)
    document.new_page(width=200, height=280).insert_text((50, 50), "a good page")
    xref = document[0].get_images()[0][0]
    stream = document.xref_stream_raw(xref)
    document.update_stream(xref, stream[: len(stream) // 2], compress=False)
    document.xref_set_key(xref, "Filter", "/DCTDecode")
    first, second = pages_of(document, tmp_path)
    assert first.image is None
    assert "page 1 holds a damaged picture" in (first.error or "")
    assert second.image is not None


def test_a_cut_jpeg_that_is_the_whole_page_is_a_page_with_a_reason(tmp_path: Path) -> None:
    document = scanned(picture(800, 1120))
    document.new_page(width=200, height=280).insert_text((50, 50), "a good page")
    xref = document[0].get_images()[0][0]
    stream = document.xref_stream_raw(xref)
    document.update_stream(xref, stream[: len(stream) // 2], compress=False)
    document.xref_set_key(xref, "Filter", "/DCTDecode")
    first, _ = pages_of(document, tmp_path)
    assert first.image is None
    assert "page 1 is a JPEG that is cut off" in (first.error or "")


def test_an_enormous_picture_in_a_page_is_refused_before_it_is_drawn(tmp_path: Path) -> None:
    document = scanned(picture(40, 40, kind="PNG"))
    document.new_page(width=200, height=280).insert_text((50, 50), "a good page")
    xref = document[0].get_images()[0][0]
    document.xref_set_key(xref, "Width", "40000")
    document.xref_set_key(xref, "Height", "40000")
    first, second = pages_of(document, tmp_path)
    assert "40000 × 40000 pixels" in (first.error or "")
    assert second.image is not None


def test_a_pdf_of_too_many_pages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match=r"comic\.pdf has 3 pages"):
        pages_of(hostile.pdf(3), tmp_path, limits=Limits(entries=2))


def test_mupdf_is_never_in_two_threads_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[int] = []
    overlaps: list[int] = []
    draw, data = pdf._draw, hostile.pdf(2)

    def watched(*arguments: Any, **options: Any) -> Any:
        overlaps.append(len(inside))
        inside.append(1)
        time.sleep(0.01)
        inside.pop()
        return draw(*arguments, **options)

    monkeypatch.setattr(pdf, "_draw", watched)
    for name in "abcd":
        (tmp_path / name).mkdir()
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda name: pages_of(data, tmp_path / name), "abcd"))
    assert [len(pages) for pages in read] == [2] * 4
    assert overlaps == [0] * 8


@pytest.mark.parametrize(
    ("contents", "name"),
    [
        (b"q 200 0 0 280 0 0 cm /Im0 Do Q", "Im0"),
        (b"q\n.5 0 0 .5 0 0 cm\nq 400 0 0 560 0 0 cm /Im0 Do Q Q", "Im0"),
        (b"q 200 0 0 -280 0 280 cm /Im0 Do Q", None),
        (b"q 0 200 -280 0 280 0 cm /Im0 Do Q", None),
        (b"q 200 0 0 280 0 0 cm /Im0 Do /Im1 Do Q", None),
        (b"q 200 0 0 280 0 0 cm /Im0 Do Q 0 0 5 5 re f", None),
        (b"q 200 0 0 280 0 0 cm /Im0 Do Q BT (x) Tj ET", None),
        (b"q 200 0 0 280 9 0 cm /Im0 Do Q", None),
        (b"q 100 0 0 140 0 0 cm /Im0 Do Q", None),
        (b"/G0 gs q 200 0 0 280 0 0 cm /Im0 Do Q", None),
        (b"Q Q Q", None),
        (b"q 1 cm /Im0 Do", None),
        (b"Do", None),
        (b"", None),
        (b"\xff\x00 garbage /", None),
    ],
)
def test_only_a_plain_full_page_image_counts(contents: bytes, name: str | None) -> None:
    assert sole_image(contents, page=(0, 0, 200, 280)) == name


def test_real_pages_survive_a_pdf_byte_for_byte(samples: Path, tmp_path: Path) -> None:
    files = sorted((samples / "pepper-carrot-ep17").glob("page*.jpg"))[:3]
    document = pymupdf.open()
    for file in files:
        page = document.new_page(width=992 * 0.75, height=1373 * 0.75)
        page.insert_image(page.rect, filename=str(file))
    pages = pages_of(document, tmp_path)
    assert [page.image.data for page in pages if page.image] == [file.read_bytes() for file in files]
