"""The OCR engine on made and real pages: sizes it must cope with, and what it must not do."""

import socket
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from services.extraction.ocr import Doubt, OcrReader, pieces, search_scale
from shared.domain.pictures import Picture
from shared.domain.schema import Box, Direction
from shared.domain.text import join_lines

WORDS = ("MORNING", "BROOMSTICK", "KITCHEN", "FOREST", "LANTERN", "POTION", "THUNDER", "SQUIRREL")


def lettered(width: int, height: int, *lines: tuple[str, int, int], size: int) -> Picture:
    """A white page with (text, x, y) lettering."""
    page = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    for text, x, y in lines:
        draw.text((x, y), text, fill="black", font=font)
    return np.asarray(page)


@pytest.fixture(scope="module")
def reader() -> OcrReader:
    return OcrReader(threads=1)


def test_boxes_are_pixels_of_the_page_whatever_its_size(reader: OcrReader) -> None:
    for factor in (0.5, 2):
        x, y = int(200 * factor), int(300 * factor)
        page = lettered(int(700 * factor), int(980 * factor), ("THUNDER", x, y), size=int(40 * factor))
        (line,) = reader.read_page(page).lines
        assert line.text == "THUNDER"
        assert line.box.x == pytest.approx(x, abs=12 * factor)
        assert line.box.y == pytest.approx(y, abs=16 * factor)
        assert line.box.w == pytest.approx(178 * factor, rel=0.2)


def test_a_strip_taller_than_one_piece_is_read_whole_and_each_line_once(reader: OcrReader) -> None:
    # Without an overlap the pieces would meet at y 1100, in the middle of a line.
    said = [f"{WORDS[row // 6]} {WORDS[row % 6]}" for row in range(40)]
    strip = lettered(1000, 2200, *((text, 60, 49 + 54 * row) for row, text in enumerate(said)), size=40)
    assert [line.text for line in sorted(reader.read_page(strip).lines, key=lambda line: line.box.y)] == said


def test_a_tiny_page_is_read(reader: OcrReader) -> None:
    page = lettered(260, 180, ("SQUIRREL", 20, 60), ("POTION", 20, 80), size=13)
    assert [line.text for line in reader.read_page(page).lines] == ["SQUIRREL", "POTION"]


def test_columns_of_japanese_are_read_as_columns(reader: OcrReader, samples: Path) -> None:
    with Image.open(samples / "torinome-vertical" / "001.jpg") as image:
        page = np.asarray(image.convert("RGB"))[:1000]
    text = join_lines(reader.read_page(page).lines, direction=Direction.RTL)
    assert "今日は鳥狩りの儀が行われるのよ" in text
    assert "見通しの良い日で良かったね" in text


def test_with_boxes_only_their_text_is_read(reader: OcrReader) -> None:
    page = lettered(700, 980, ("THUNDER", 100, 100), ("KITCHEN", 100, 600), size=40)
    (line,) = reader.read_page(page, read="boxes", boxes=[Box(95, 605, 190, 35)]).lines
    assert line.text == "KITCHEN"
    assert line.box.y == pytest.approx(605, abs=12)


def test_overlapping_boxes_do_not_double_their_text(reader: OcrReader) -> None:
    page = lettered(700, 980, ("KITCHEN", 100, 600), size=40)
    lines = reader.read_page(page, read="boxes", boxes=[Box(80, 580, 240, 90), Box(60, 560, 300, 130)]).lines
    assert [line.text for line in lines] == ["KITCHEN"]


def test_without_boxes_there_is_nothing_to_read_and_no_network_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def unexpected(_threads: int) -> Any:
        raise AssertionError("networks loaded")

    monkeypatch.setattr("services.extraction.ocr._load", unexpected)
    page = np.full((900, 600, 3), 255, np.uint8)
    assert OcrReader().read_page(page, read="boxes", boxes=[]).lines == []
    assert OcrReader().read_page(page, read="boxes", boxes=[Box(700, 10, 50, 50)]).lines == []


@pytest.mark.parametrize("shade", [0, 255])
def test_an_empty_page_has_no_lines(reader: OcrReader, shade: int) -> None:
    assert reader.read_page(np.full((500, 400, 3), shade, np.uint8)).lines == []


def test_a_page_of_one_pixel_is_read(reader: OcrReader) -> None:
    assert reader.read_page(np.zeros((1, 1, 3), np.uint8)).lines == []


def test_loading_and_reading_need_no_network_and_say_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    fresh = OcrReader(threads=1)
    assert fresh.read_page(lettered(300, 420, ("FOREST", 60, 90), size=30)).lines[0].text == "FOREST"
    assert fresh.read_page(np.full((420, 300, 3), 255, np.uint8)).lines == []
    assert capfd.readouterr() == ("", "")


def test_the_engine_is_named_with_its_version_and_networks(reader: OcrReader) -> None:
    extraction = reader.read_page(np.full((64, 64, 3), 255, np.uint8))
    assert extraction.engine == "ocr"
    assert "rapidocr 3." in extraction.model
    assert "PP-OCRv6" in extraction.model


def test_doubtful_scribbles_are_dropped_and_doubtful_words_kept() -> None:
    doubt = Doubt()
    assert doubt.allows("Rawwwr", 0.65)
    assert not doubt.allows("Rawwwr", 0.5)
    assert not doubt.allows("4w", 0.65)
    assert doubt.allows("え", 0.9)
    assert not doubt.allows("#", 0.54)


@pytest.mark.parametrize(("width", "height"), [(850, 3700), (992, 1772), (3000, 4500), (120, 90), (2000, 1400)])
def test_pieces_cover_a_page_overlap_and_stay_small(width: int, height: int) -> None:
    scale = search_scale(width, height)
    parts = list(pieces(Box(0, 0, width, height), longest=1600 / scale, overlap=320 / scale))
    assert max(max(part.w, part.h) for part in parts) * scale <= 1600.001
    covered = np.zeros((height, width), bool)
    for part in parts:
        covered[round(part.y) : round(part.bottom), round(part.x) : round(part.right)] = True
    assert covered.all()
    rows = sorted({(part.y, part.bottom) for part in parts})
    overlaps = [above[1] - below[0] for above, below in pairwise(rows)]
    assert all(overlap * scale >= 319.9 for overlap in overlaps)
