"""The contact sheet shows every query and every hit, whatever their shapes and texts."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.search.contact_sheet import ContactRow, contact_sheet


def flat(colour: tuple[int, int, int], height: int = 60, width: int = 60) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, np.uint8)


def area_of(sheet: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((np.abs(sheet.astype(int) - colour).max(axis=2) <= 2).sum())


def test_every_picture_is_shown_whole_and_undistorted() -> None:
    shapes = [(60, 60), (10, 200), (200, 10), (1, 1), (900, 700)]
    colours = [(10 + 40 * n, 200 - 30 * n, 90) for n in range(len(shapes))]
    hits = [(flat(colour, *shape), f"hit {n}") for n, (colour, shape) in enumerate(zip(colours, shapes, strict=True))]
    row = ContactRow("By picture", hits, query_image=flat((0, 120, 240), 50, 100))
    sheet = np.asarray(contact_sheet([row], title="Three searches"))
    for colour, (height, width) in zip(colours, shapes, strict=True):
        scale = min(264 / width, 204 / height)
        assert area_of(sheet, colour) == pytest.approx(height * width * scale**2, rel=0.12)
    assert area_of(sheet, (0, 120, 240)) > 30_000


def test_words_and_absent_results_are_written() -> None:
    rows = [
        ContactRow("By words", [], query_text="magic"),
        ContactRow("By words", [], query_text="a very long question that goes on and on " * 20),
        ContactRow("By both", [], query_image=flat((0, 120, 240)), query_text="magic"),
    ]
    sheet = np.asarray(contact_sheet(rows))
    without = np.asarray(contact_sheet([ContactRow("By words", [], query_text="") for _ in rows]))
    assert sheet.shape == without.shape
    third = sheet.shape[0] // 3
    for number in range(3):
        part = slice(number * third, (number + 1) * third)
        assert (sheet[part] != without[part]).any(axis=2).sum() > 200


def test_long_captions_stay_inside_their_card() -> None:
    hit = (flat((10, 200, 10)), "an endless caption without an end " * 9 + "\n" + "W" * 300 + "\nthird line")
    short = (flat((10, 200, 10)), "")
    one = np.asarray(contact_sheet([ContactRow("t", [hit, short], query_text="q")]))
    other = np.asarray(contact_sheet([ContactRow("t", [short, short], query_text="q")]))
    changed = np.nonzero((one != other).any(axis=(0, 2)))[0]
    assert 0 < changed.max() - changed.min() < 284


def test_an_empty_sheet_is_still_a_picture() -> None:
    assert contact_sheet([], title="Nothing asked").size > (300, 90)
