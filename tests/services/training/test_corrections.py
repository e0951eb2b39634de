"""Which corrected pages are kept aside, and that they come back from COCO as they were corrected."""

from hashlib import sha256
from pathlib import Path

import pytest

from services.training.corrections import CorrectedPage, divided, written
from services.training.generators.material import Material
from shared.domain.geometry import iou
from shared.domain.schema import Box, Direction, ObjectLabel
from shared.errors import Conflict
from tests.equipment.drawn_pages import HEIGHT, WIDTH, drawn_page


def page(number: int, comic: str, *, image: str | None = None, empty: bool = False) -> CorrectedPage:
    objects: list[tuple[ObjectLabel, Box]] = [("face", Box(40, 60, 30, 40))]
    return CorrectedPage(
        page_id=number,
        comic=comic,
        image_sha256=image or sha256(str(number).encode()).hexdigest(),
        source="person",
        width=WIDTH,
        height=HEIGHT,
        direction=Direction.LTR,
        panels=[] if empty else drawn_page(number)[1],
        objects=objects,
    )


def comics(pages: list[CorrectedPage]) -> set[str]:
    return {one.comic for one in pages}


def test_whole_comics_are_kept_aside_and_the_same_ones_in_whatever_order_they_come() -> None:
    pages = [page(10 * comic + k, f"comic {comic}") for comic in range(8) for k in range(3)]
    made = divided(pages)
    assert made.by == "comic"
    assert comics(made.train).isdisjoint(comics(made.held_out))
    assert comics(made.train) | comics(made.held_out) == comics(pages)
    assert 3 <= len(made.held_out) <= 6
    assert divided(pages[::-1]) == made


def test_copies_of_a_comic_stand_on_one_side_and_a_shared_image_is_never_measured_on() -> None:
    alike = ("comic 0", "comic 1")
    for first in range(0, 40, 10):
        pages = [page(first + 100 * comic + k, f"comic {comic}") for comic in range(3) for k in range(2)]
        made = divided(pages, same=[alike])
        assert len(comics(made.held_out) & set(alike)) in (0, 2)
    advert = "a" * 64
    pages = [page(100 * comic + k, f"comic {comic}") for comic in range(2) for k in range(3)]
    pages += [page(100 * comic + 50, f"comic {comic}", image=advert) for comic in range(2)]
    made = divided(pages)
    assert made.by == "comic"
    assert advert not in {one.image_sha256 for one in made.held_out}


def test_of_a_single_comic_some_pages_are_kept_aside_and_that_is_said() -> None:
    made = divided([page(number, "only one") for number in range(10)])
    assert made.by == "page"
    assert (len(made.train), len(made.held_out)) == (8, 2)


def test_what_a_detector_has_learnt_before_is_kept_aside_last() -> None:
    pages = [page(10 * comic + k, f"comic {comic}") for comic in range(4) for k in range(2)]
    for left in range(4):
        seen = {one.image_sha256 for one in pages if one.comic != f"comic {left}"}
        made = divided(pages, seen=seen)
        assert comics(made.held_out) == {f"comic {left}"}
        assert not made.seen
    assert divided(pages, seen={one.image_sha256 for one in pages}).seen


@pytest.mark.parametrize(
    "pages",
    [[], [page(1, "one")], [page(1, "one"), page(2, "two", empty=True)], [page(1, "a", image="b" * 64)] * 3],
)  # fmt: skip
def test_too_few_pages_are_refused_with_what_to_do(pages: list[CorrectedPage]) -> None:
    with pytest.raises(Conflict, match="Correct the panels"):
        divided(pages)


def test_pages_without_panels_are_learnt_from_too() -> None:
    made = divided([page(1, "one"), page(2, "two"), page(3, "three", empty=True)])
    assert 3 in {one.page_id for one in made.train}


def test_what_was_corrected_is_what_is_learnt(tmp_path: Path) -> None:
    pages = [page(1, "one"), page(2, "two", empty=True)]
    file = written(pages, tmp_path, lambda one: drawn_page(one.page_id)[0])
    material = Material.load(file, tmp_path)
    assert [found.panels for found in material.pages] == [one.panels for one in pages]
    assert [found.objects for found in material.pages] == [one.objects for one in pages]


def test_large_pages_are_made_smaller_with_their_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.training.corrections.LONGEST", 300)
    one = page(1, "one")
    file = written([one], tmp_path, lambda _: drawn_page(1)[0])
    (found,) = Material.load(file, tmp_path).pages
    assert (found.width, found.height) == (200, 300)
    for box, true in zip(found.panels, one.panels, strict=True):
        assert iou(Box(*(2 * v for v in box)), true) == pytest.approx(1.0, abs=1e-6)
