import random

import pytest

from shared.domain.reading_order import layout_kind, reading_order
from shared.domain.schema import Box, Direction

LTR, RTL = Direction.LTR, Direction.RTL


def mirrored(boxes: list[Box], width: float = 100) -> list[Box]:
    return [Box(width - b.right, b.y, b.w, b.h) for b in boxes]


GRID = [Box(0, 0, 48, 48), Box(52, 0, 48, 48), Box(0, 52, 48, 48), Box(52, 52, 48, 48)]
TALL_LEFT = [Box(0, 0, 40, 100), Box(44, 0, 56, 30), Box(44, 34, 56, 30), Box(44, 68, 56, 32)]
TALL_RIGHT = [Box(0, 0, 56, 48), Box(0, 52, 56, 48), Box(60, 0, 40, 100)]
SPANNING_BETWEEN_ROWS = [
    Box(0, 0, 48, 30),
    Box(52, 0, 48, 30),
    Box(0, 34, 100, 30),
    Box(0, 68, 30, 32),
    Box(34, 68, 66, 32),
]
SLIGHTLY_STAGGERED = [Box(0, 0, 48, 46), Box(52, 0, 48, 52), Box(0, 50, 48, 50), Box(52, 56, 48, 44)]
CLEARLY_STAGGERED = [Box(0, 0, 48, 30), Box(0, 34, 48, 66), Box(52, 0, 48, 66), Box(52, 70, 48, 30)]
SLANTED_ROWS = [Box(0, 0, 55, 36), Box(45, 0, 55, 32), Box(0, 30, 100, 34), Box(0, 62, 52, 38), Box(48, 66, 52, 34)]
OVERLAPPING = [Box(0, 0, 60, 40), Box(50, 5, 50, 40), Box(0, 42, 100, 58)]
THREE_TIERS_OF_DIFFERENT_COUNTS = [
    Box(0, 0, 100, 30), Box(0, 33, 30, 30), Box(33, 33, 33, 30), Box(69, 33, 31, 30),
    Box(0, 66, 60, 34), Box(63, 66, 37, 34),
]  # fmt: skip


@pytest.mark.parametrize(
    "boxes",
    [
        GRID, TALL_LEFT, TALL_RIGHT, SPANNING_BETWEEN_ROWS, SLIGHTLY_STAGGERED, CLEARLY_STAGGERED, SLANTED_ROWS,
        OVERLAPPING, THREE_TIERS_OF_DIFFERENT_COUNTS,
    ],
)  # fmt: skip
def test_panels_listed_as_a_reader_reads_them_keep_their_order_in_both_directions(boxes: list[Box]) -> None:
    expected = list(range(len(boxes)))
    assert reading_order(boxes, direction=LTR) == expected
    assert reading_order(mirrored(boxes), direction=RTL) == expected


def test_a_row_is_read_the_other_way_round_from_right_to_left() -> None:
    assert reading_order(GRID, direction=RTL) == [1, 0, 3, 2]


def test_an_inset_follows_its_host() -> None:
    host, inset, after = Box(0, 0, 100, 60), Box(5, 5, 20, 20), Box(0, 64, 100, 36)
    assert reading_order([inset, after, host], direction=LTR) == [2, 0, 1]


def test_insets_of_one_host_are_ordered_among_themselves() -> None:
    host = Box(0, 0, 100, 100)
    upper, lower_left, lower_right = Box(60, 5, 30, 20), Box(5, 60, 30, 30), Box(60, 60, 30, 30)
    boxes = [lower_right, lower_left, upper, host]
    assert reading_order(boxes, direction=LTR) == [3, 2, 1, 0]
    assert reading_order(boxes, direction=RTL) == [3, 2, 0, 1]


def test_an_inset_of_an_inset_follows_it() -> None:
    boxes = [Box(22, 22, 10, 10), Box(20, 20, 40, 40), Box(0, 0, 100, 100)]
    assert reading_order(boxes, direction=LTR) == [2, 1, 0]


def test_a_pinwheel_that_no_cut_separates_starts_at_the_starting_corner() -> None:
    pinwheel = [Box(0, 0, 65, 30), Box(70, 0, 30, 65), Box(35, 70, 65, 30), Box(0, 35, 30, 65), Box(35, 35, 30, 30)]
    assert reading_order(pinwheel, direction=LTR)[0] == 0
    assert reading_order(mirrored(pinwheel), direction=RTL)[0] == 0


def test_the_order_does_not_depend_on_the_order_of_the_input() -> None:
    for boxes in (SPANNING_BETWEEN_ROWS, CLEARLY_STAGGERED, OVERLAPPING):
        for seed in range(20):
            shuffled = random.Random(seed).sample(boxes, len(boxes))
            read = [shuffled[k] for k in reading_order(shuffled, direction=LTR)]
            assert read == boxes


@pytest.mark.parametrize("seed", range(150))
def test_no_panel_is_ever_lost_or_doubled_even_in_nonsense(seed: int) -> None:
    rng = random.Random(seed)
    boxes = [
        Box(rng.uniform(0, 90), rng.uniform(0, 90), rng.choice([0.0, rng.uniform(0, 60)]), rng.uniform(0, 60))
        for _ in range(rng.randrange(25))
    ]
    boxes += rng.choices(boxes, k=3) if boxes else []
    for direction in Direction:
        assert sorted(reading_order(boxes, direction=direction)) == list(range(len(boxes)))


def test_a_page_without_panels_has_an_empty_order() -> None:
    assert reading_order([], direction=LTR) == []


@pytest.mark.parametrize(
    ("panels", "kind"),
    [
        ([], "none"),
        ([Box(0, 0, 100, 140)], "splash"),
        ([Box(8, 8, 84, 120)], "splash"),
        ([Box(10, 10, 80, 60)], "panels"),
        ([Box(0, 0, 100, 140), Box(10, 10, 20, 20)], "panels"),
    ],
)
def test_a_layout_says_what_kind_it_is(panels: list[Box], kind: str) -> None:
    assert layout_kind(panels, width=100, height=140) == kind
