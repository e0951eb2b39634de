from itertools import combinations

import numpy as np

from services.detection.selection import best_set, pair_costs
from shared.domain.schema import Box

HALF, WHOLE = Box(0, 0, 48, 100), Box(0, 0, 100, 100)
OTHER_HALF = Box(52, 0, 48, 100)


def worth(
    chosen: tuple[int, ...], gains: list[float], costs: np.ndarray[tuple[int, int], np.dtype[np.float64]]
) -> float:
    return sum(gains[k] for k in chosen) - sum(float(costs[a, b]) for a, b in combinations(chosen, 2))


def random_boxes(rng: np.random.Generator, count: int) -> list[Box]:
    return [Box(*rng.uniform(0, 70, 2), *rng.uniform(8, 60, 2)) for _ in range(count)]


def test_no_other_set_goes_together_better() -> None:
    rng = np.random.default_rng(5)
    for _ in range(30):
        boxes, gains = random_boxes(rng, 7), [float(g) for g in rng.uniform(-1, 3, 7)]
        costs = pair_costs(boxes)
        sets = [s for size in range(8) for s in combinations(range(7), size)]
        best = max(worth(s, gains, costs) for s in sets)
        assert np.isclose(worth(tuple(best_set(boxes, gains)), gains, costs), best)


def test_many_boxes_on_one_another_are_settled_without_conflicts() -> None:
    rng = np.random.default_rng(6)
    boxes = [Box(*rng.uniform(0, 20, 2), *rng.uniform(30, 60, 2)) for _ in range(72)]
    chosen = best_set(boxes, [float(g) for g in rng.uniform(0.1, 3, len(boxes))])
    assert chosen
    assert np.isfinite(pair_costs([boxes[k] for k in chosen])).all()


def test_a_long_chain_of_overlapping_boxes_is_settled_in_bounded_steps() -> None:
    chain = [Box(0, 8 * k, 100, 10 + k % 3) for k in range(400)]
    chosen = best_set(chain, [1.0 + k % 7 / 10 for k in range(400)])
    assert len(chosen) >= 130


def test_a_group_stands_against_its_members_together() -> None:
    assert best_set([WHOLE, HALF, OTHER_HALF], [2.0, 1.2, 1.2]) == [1, 2]
    assert best_set([WHOLE, HALF, OTHER_HALF], [3.0, 1.2, 1.2]) == [0]


def test_a_misread_edge_costs_more_than_a_slant() -> None:
    slanted, misread = Box(0, 92, 100, 60), Box(0, 72, 100, 80)
    assert best_set([WHOLE, slanted], [3.0, 0.5]) == [0, 1]
    assert best_set([WHOLE, misread], [3.0, 0.5]) == [0]


def test_only_a_likely_box_inside_another_is_its_inset() -> None:
    inset = Box(10, 10, 30, 30)
    assert best_set([WHOLE, inset], [3.0, 2.0]) == [0, 1]
    assert best_set([WHOLE, inset], [3.0, 0.3]) == [0]


def test_a_sure_inset_over_the_edge_of_a_panel_does_not_cost_the_panel() -> None:
    assert best_set([WHOLE, Box(60, 75, 60, 40)], [1.5, 6.0]) == [0, 1]


def test_nothing_likely_is_an_answer() -> None:
    assert best_set([], []) == []
    assert best_set([WHOLE, HALF], [-1.0, 0.0]) == []
