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

from services.ingestion.pages import Page
from shared.errors import Reject, TooLarge
from shared.files import pdf
from shared.files.containers import Limits
from shared.files.formats import open_container
from shared.files.png import png
from shared.files.scans import sole_image
from tests.equipment import hostile_files as hostile
from tests.equipment.hostile_files import picture, turned
from tests.equipment.reading import read_pages

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
        return read_pages(container, limits=limits or Limits())


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
    draw, data = pdf._pixels, hostile.pdf(2)

    def watched(*arguments: Any, **options: Any) -> Any:
        overlaps.append(len(inside))
        inside.append(1)
        time.sleep(0.01)
        inside.pop()
        return draw(*arguments, **options)

    monkeypatch.setattr(pdf, "_pixels", watched)
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


def drawn_document() -> bytes:
    document = pymupdf.open()
    document.new_page(width=200, height=280).insert_text((50, 50), "a page")
    return bytes(document.tobytes())


def test_scripts_of_a_pdf_are_never_run(tmp_path: Path) -> None:
    document = pymupdf.open(stream=drawn_document(), filetype="pdf")
    endless = document.get_new_xref()
    document.update_object(endless, "<</S/JavaScript/JS(while \\(true\\) { app.alert\\('run'\\); })>>")
    document.xref_set_key(document.pdf_catalog(), "OpenAction", f"{endless} 0 R")
    document.xref_set_key(document.pdf_catalog(), "Names", f"<</JavaScript<</Names[(a){endless} 0 R]>>>>")
    document.xref_set_key(document[0].xref, "AA", f"<</O {endless} 0 R>>")
    assert b"while" in document.tobytes()
    (page,) = pages_of(document.tobytes(), tmp_path)
    (plain,) = pages_of(drawn_document(), tmp_path)
    assert page.image is not None
    assert plain.image is not None
    assert page.image.data == plain.image.data


def paints_itself(document: pymupdf.Document) -> None:
    """Two forms that draw each other, and the page draws one of them."""
    first, second = document.get_new_xref(), document.get_new_xref()
    for form, other in ((first, second), (second, first)):
        document.update_object(
            form, f"<</Type/XObject/Subtype/Form/BBox[0 0 200 280]/Resources<</XObject<</F {other} 0 R>>>>>>"
        )
        document.update_stream(form, b"/F Do 0 0 50 50 re f", new=True)
    page = document[0]
    document.xref_set_key(page.xref, "Resources", f"<</XObject<</F {first} 0 R>>>>")
    document.update_stream(page.get_contents()[0], b"/F Do")


def is_its_own_parent(document: pymupdf.Document) -> None:
    root = int(document.xref_get_key(document.pdf_catalog(), "Pages")[1].split()[0])
    document.xref_set_key(root, "Kids", f"[{root} 0 R {document[0].xref} 0 R]")
    document.xref_set_key(root, "Count", "2")


def holds_itself(document: pymupdf.Document) -> None:
    contents = document[0].get_contents()[0]
    document.xref_set_key(document[0].xref, "Contents", f"[{contents} 0 R {document[0].xref} 0 R]")
    document.xref_set_key(contents, "Length", f"{contents} 0 R")


def masks_itself(document: pymupdf.Document) -> None:
    page = document[0]
    page.insert_image((10, 10, 90, 90), stream=picture(kind="PNG"))
    xref = page.get_images()[0][0]
    document.xref_set_key(xref, "SMask", f"{xref} 0 R")


@pytest.mark.parametrize(
    "loop", [paints_itself, is_its_own_parent, holds_itself, masks_itself], ids=lambda loop: loop.__name__
)
def test_a_pdf_that_refers_to_itself_ends(loop: Any, tmp_path: Path) -> None:
    document = pymupdf.open(stream=drawn_document(), filetype="pdf")
    loop(document)
    try:
        pages = pages_of(document.tobytes(), tmp_path)
    except Reject:
        return
    assert pages
    assert all((page.image is None) != (page.error is None) for page in pages)


@pytest.mark.parametrize(
    "box", ["[0 0 1e9 1e9]", "[0 0 0 0]", "[0 0 .01 .01]", "[0 0 1e7 1]", "[9 9 1 1]", "[0 0 (a)]"]
)
@pytest.mark.parametrize("unit", ["1", "75000"])
def test_a_page_of_any_stated_size_is_drawn_small_enough_or_refused(box: str, unit: str, tmp_path: Path) -> None:
    document = pymupdf.open(stream=drawn_document(), filetype="pdf")
    document.xref_set_key(document[0].xref, "MediaBox", box)
    document.xref_set_key(document[0].xref, "UserUnit", unit)
    (page,) = pages_of(document.tobytes(), tmp_path)
    if page.image is None:
        assert len(page.error or "") > 20
    else:
        assert page.image.width * page.image.height <= 21_000_000


def test_any_of_thousands_of_pages_is_read_without_those_before_it(tmp_path: Path) -> None:
    document = pymupdf.open()
    for _ in range(2000):
        document.new_page(width=30, height=40)
    document[1999].insert_text((5, 20), "end")
    path = tmp_path / "comic.pdf"
    document.save(path)
    with open_container(path, name="comic.pdf") as container:
        assert len(container) == 2000
        began = time.process_time()
        (last,) = container.pages(start=1999)
        assert time.process_time() - began < 5  # all of them would take minutes
    assert (last.number, last.name) == (1999, "page 2000")
    assert last.data is not None


@pytest.mark.parametrize("lossy", [False, True])
def test_a_drawn_page_is_looked_at_as_it_was_drawn(lossy: bool, tmp_path: Path) -> None:
    document = scanned() if lossy else pymupdf.open(stream=drawn_document(), filetype="pdf")
    written_on(document)
    path = tmp_path / "comic.pdf"
    document.save(path)
    with open_container(path, name="comic.pdf", limits=Limits(drawn_pixels=1_000_000)) as container:
        (page,) = container.pages()
    assert page.data is not None
    assert page.size is not None
    assert 990_000 < page.size[0] * page.size[1] < 1_200_000 or min(page.size) in (999, 1000, 1001)
    whole = Image.open(io.BytesIO(page.data))
    assert (whole.format, whole.size) == ("JPEG" if lossy else "PNG", page.size)
    assert page.small is not None
    assert page.small.mode == "L"
    small = np.asarray(whole.convert("RGB").reduce(8).convert("L"), np.int16)
    assert np.abs(np.asarray(page.small, np.int16) - small).max() <= (12 if lossy else 0)


def test_our_png_is_what_any_reader_takes_it_for() -> None:
    samples = np.random.default_rng(1).integers(0, 256, (37, 53, 3), np.uint8)
    made = Image.open(io.BytesIO(png(memoryview(samples.tobytes()), width=53, height=37)))
    assert (made.format, made.mode, made.size) == ("PNG", "RGB", (53, 37))
    assert np.array_equal(np.asarray(made), samples)
