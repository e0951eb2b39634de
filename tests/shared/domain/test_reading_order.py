import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.reading_order import layout_kind, reading_order
from shared.domain.schema import Box, Direction
from tests.shared.domain.reading_layouts import LAYOUTS, directed, grid, mirrored, panels

LTR, RTL = Direction.LTR, Direction.RTL
GRID = LAYOUTS["four equal panels"]
# Pixels of a detector's making: this share of the page's longer side.
JITTER = 0.007

directions = st.sampled_from(list(Direction))
sides = st.integers(0, 60)
# Whole numbers, so that a mirrored page is exactly its mirror image.
pages = st.lists(st.builds(Box, sides, sides, st.integers(1, 50), st.integers(1, 50)), max_size=10)


def moved(boxes: list[Box], *, seed: int, share: float) -> list[Box]:
    """Every edge of every box a little off."""
    rng = random.Random(seed)
    far = share * max(max(box.right, box.bottom) for box in boxes)
    made = []
    for box in boxes:
        x, y, right, bottom = (v + rng.uniform(-far, far) for v in (box.x, box.y, box.right, box.bottom))
        made.append(Box(x, y, right - x, bottom - y))
    return made


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_read_as_a_practised_reader_reads_it(name: str, direction: Direction) -> None:
    boxes = directed(LAYOUTS[name], direction)
    expected = list(range(len(boxes)))
    assert reading_order(boxes, direction=direction) == expected
    right, bottom = max(box.right for box in boxes), max(box.bottom for box in boxes)
    if min(box.x for box in boxes) >= 0:
        assert reading_order(boxes, direction=direction, width=right, height=bottom) == expected


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_few_pixels_more_or_less_change_no_order(name: str) -> None:
    for seed in range(6):
        direction = list(Direction)[seed % 2]
        boxes = moved(directed(LAYOUTS[name], direction), seed=seed, share=JITTER)
        assert reading_order(boxes, direction=direction) == list(range(len(boxes)))


# Of four panels one that is unseen may change what the others are: a row that no longer fills the top of its ground.
@pytest.mark.parametrize("name", [name for name, boxes in LAYOUTS.items() if len(boxes) > 4])
def test_an_unseen_panel_hardly_disturbs_the_others(name: str) -> None:
    boxes = LAYOUTS[name]
    right = pairs = 0
    for gone in range(len(boxes)):
        order = reading_order([box for k, box in enumerate(boxes) if k != gone], direction=LTR)
        place = {k: at for at, k in enumerate(order)}
        pairs += len(order) * (len(order) - 1) // 2
        right += sum(place[a] < place[b] for a in place for b in place if a < b)
    assert right >= 0.85 * pairs


@settings(max_examples=60, deadline=None)
@given(pages, directions)
def test_every_order_is_a_permutation(boxes: list[Box], direction: Direction) -> None:
    assert sorted(reading_order(boxes, direction=direction)) == list(range(len(boxes)))


@settings(max_examples=60, deadline=None)
@given(pages, directions)
def test_a_mirrored_page_read_the_other_way_has_the_same_order(boxes: list[Box], direction: Direction) -> None:
    other = RTL if direction is LTR else LTR
    assert reading_order(mirrored(boxes, 128), direction=other) == reading_order(boxes, direction=direction)


@settings(max_examples=50, deadline=None)
@given(pages, directions, st.sampled_from([0.25, 2.0, 64.0]), st.integers(0, 64))
def test_size_and_place_on_the_page_change_no_order(
    boxes: list[Box], direction: Direction, scale: float, offset: int
) -> None:
    larger = [Box((b.x + offset) * scale, (b.y + offset) * scale, b.w * scale, b.h * scale) for b in boxes]
    assert reading_order(larger, direction=direction) == reading_order(boxes, direction=direction)


@settings(max_examples=50, deadline=None)
@given(pages, directions, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_of_the_input(
    boxes: list[Box], direction: Direction, rng: random.Random
) -> None:
    shuffled = rng.sample(boxes, len(boxes))
    read = [boxes[k] for k in reading_order(boxes, direction=direction)]
    assert [shuffled[k] for k in reading_order(shuffled, direction=direction)] == read


def test_a_wide_page_is_two_pages_only_if_its_middle_is_free() -> None:
    left, right = grid(1, 2, width=48, height=70, across=0, down=2), grid(1, 3, width=48, height=70, across=0, down=2)
    spread = [*left, *[Box(box.x + 52, box.y, box.w, box.h) for box in right]]
    assert reading_order(spread, direction=LTR) == [0, 1, 2, 3, 4]
    assert reading_order(spread, direction=RTL) == [2, 3, 4, 0, 1]
    crossed = panels((0, 0, 40, 30), (44, 0, 100, 30), (0, 34, 60, 70), (64, 34, 100, 70))
    assert reading_order(crossed, direction=LTR) == [0, 1, 2, 3]


def test_equal_panels_are_rows_unless_the_gap_between_their_columns_is_the_wider_one() -> None:
    rows = grid(2, 4, width=100, height=140, across=3, down=3)
    assert reading_order(rows, direction=RTL) == [1, 0, 3, 2, 5, 4, 7, 6]
    strips = grid(2, 4, width=100, height=140, across=8, down=3)
    assert reading_order(strips, direction=RTL) == [1, 3, 5, 7, 0, 2, 4, 6]


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


@pytest.mark.parametrize("seed", range(40))
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
