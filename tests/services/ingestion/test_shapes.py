"""Strips and double pages are told by the comic's own sizes; nothing else is flagged."""

from pathlib import Path

import pytest
from PIL import Image

from services.ingestion.shapes import Shape, page_shapes

PAGE = (1000, 1500)


def sizes_of(folder: Path) -> list[tuple[int, int]]:
    """Sizes of the page images of a sample comic, in order."""
    sizes = []
    for file in sorted(folder.glob("*.jpg")):
        with Image.open(file) as image:
            sizes.append(image.size)
    return sizes


def test_every_page_of_a_comic_for_scrolling_is_a_strip(samples: Path) -> None:
    sizes = sizes_of(samples / "torinome-vertical")
    assert len(sizes) == 11
    # The first has the proportions of a plain page: that it belongs to a scroll its width tells.
    assert page_shapes(sizes, spreads=set()) == ["strip"] * 11


@pytest.mark.parametrize("name", ["page-blanche", "pepper-carrot-ep03", "pepper-carrot-ep17", "pepper-carrot-pages"])
def test_no_page_of_the_other_samples_is_flagged(samples: Path, name: str) -> None:
    sizes = sizes_of(samples / name)
    assert len(sizes) >= 8
    assert page_shapes(sizes, spreads=set()) == [None] * len(sizes)


@pytest.mark.parametrize(
    ("sizes", "flagged"),
    [
        # A spread among single pages: whole, trimmed at the spine, or made to fit.
        ([PAGE] * 5 + [(2000, 1500)], {5: "spread"}),
        ([PAGE] * 5 + [(1880, 1500), (1500, 1125)], {5: "spread", 6: "spread"}),
        # Scanned by double pages: only the covers stand alone.
        ([PAGE] + [(2000, 1500)] * 6 + [PAGE], dict.fromkeys(range(1, 7), "spread")),
        # Newspaper strips, four panels in a row, are no spreads; neither with an upright cover.
        ([(1800, 600)] * 6, {}),
        ([PAGE] + [(1800, 600)] * 6, {}),
        ([PAGE] + [(1600, 1100)] * 6, {}),
        # Four panels one below the other are to be scrolled.
        ([(500, 1500)] * 3, dict.fromkeys(range(3), "strip")),
        # A fold-out of three or more pages is no double page, a small landscape picture neither.
        ([PAGE] * 5 + [(4200, 1500), (900, 600)], {}),
        # One tall picture among plain pages is a strip; the plain ones are not, though they are as wide.
        ([PAGE] * 5 + [(1000, 5000)], {5: "strip"}),
        ([(2000, 1500)], {}),
        ([None, PAGE, None], {}),
        ([], {}),
    ],
)
def test_shapes_by_size(sizes: list[tuple[int, int] | None], flagged: dict[int, Shape]) -> None:
    assert page_shapes(sizes, spreads=set()) == [flagged.get(number) for number in range(len(sizes))]


def test_what_metadata_calls_a_double_page_is_one_unless_it_cannot_be() -> None:
    sizes = [(1400, 1390), PAGE, None, (1400, 1390)]
    assert page_shapes(sizes, spreads={0, 1, 2}) == ["spread", None, None, None]
