"""Which of the boxes that may be panels are the page's panels: the set that goes together best.

Every candidate brings its log-odds of being a panel, and pairs that panels seldom form cost log-odds. The search is
exact where it ends within its budget, which is nearly always; beyond, its answer is at least as good as the greedy one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.domain.geometry import as_array, intersections, iou_matrix
from shared.domain.schema import Box

Matrix = NDArray[np.float64]

# Boxes of this IoU are the same panel.
SAME = 0.5
# A box of at most this share of a larger one may be its inset, also over its edge, which costs at most this much.
INSET, INSET_COST = 0.5, 0.85
# Panels overlap by this share of the smaller one for nothing (slants, figures breaking out), never by that one.
LITTLE, NEVER, OVERLAP_COST = 0.15, 0.5, 4.0
# Boxes with this share inside another are its members; members that fill it to this share exclude it.
MEMBER, FILLED = 0.85, 0.75
# Budget of a search, in gains looked at: some hundredths of a second; twenty candidates have 25,000 choices of it.
BUDGET = 500_000


def best_set(boxes: Sequence[Box], gains: Sequence[float]) -> list[int]:
    """Indices of the set with the largest sum of gains less the costs of its pairs, in the order of the input.

    `gains` are log-odds; a candidate without a positive one is in no best set, as pairs only cost.
    """
    hopeful = sorted((k for k, gain in enumerate(gains) if gain > 0), key=lambda k: -gains[k])
    if not hopeful:
        return []
    value = np.array([gains[k] for k in hopeful])
    costs = pair_costs([boxes[k] for k in hopeful])
    chosen = [k for part in _components(costs > 0) for k in _best(part, value, costs)]
    return sorted(hopeful[k] for k in chosen)


def pair_costs(boxes: Sequence[Box]) -> Matrix:
    """What it costs that two boxes both are panels, (N, N) symmetric log-odds; infinite where they cannot be."""
    array = as_array(boxes)
    areas = array[:, 2] * array[:, 3]
    shared, same = intersections(array, array), iou_matrix(array, array)
    smaller = np.minimum(areas[:, None], areas[None, :])
    larger = np.maximum(areas[:, None], areas[None, :])
    part = shared / np.maximum(smaller, 1e-9)
    costs = np.where(part > LITTLE, OVERLAP_COST * (part - LITTLE) / (NEVER - LITTLE), 0.0)
    costs = np.where(part >= NEVER, np.inf, costs)
    costs = np.where(smaller <= INSET * larger, np.minimum(costs, INSET_COST), costs)
    costs = np.where(same >= SAME, np.inf, costs)
    inside = (shared >= MEMBER * areas[None, :]) & (areas[None, :] < areas[:, None])
    np.fill_diagonal(inside, False)
    for whole in range(len(boxes)):
        members = np.flatnonzero(inside[whole])
        if len(members) > 1 and _filled(boxes[whole], array[members]) >= FILLED:
            costs[whole, members] = costs[members, whole] = np.inf
    np.fill_diagonal(costs, 0.0)
    return costs


def _filled(whole: Box, members: Matrix, cells: int = 24) -> float:
    """Share of a box that others cover together, counted on a grid: members may overlap each other."""
    across = whole.x + whole.w * (np.arange(cells) + 0.5) / cells
    down = whole.y + whole.h * (np.arange(cells) + 0.5) / cells
    x, y, w, h = (members[:, n, None] for n in range(4))
    columns, rows = (across >= x) & (across < x + w), (down >= y) & (down < y + h)
    return float((rows[:, :, None] & columns[:, None, :]).any(axis=0).mean())


def _components(linked: NDArray[np.bool_]) -> list[list[int]]:
    """Candidates that depend on each other, over any number of links."""
    left, parts = set(range(len(linked))), []
    while left:
        part, front = set(), [left.pop()]
        while front:
            k = front.pop()
            part.add(k)
            near = {int(n) for n in np.flatnonzero(linked[k])} & left
            left -= near
            front += near
        parts.append(sorted(part))
    return parts


def _best(part: list[int], value: Matrix, costs: Matrix) -> list[int]:
    """The best set of candidates that depend on each other, by branch and bound, likely ones first."""
    value, cost = value[part], costs[np.ix_(part, part)].tolist()
    chosen = _greedy(value.tolist(), cost)
    best = sum(float(value[n]) for n in chosen) - sum(cost[a][b] for a in chosen for b in chosen if a < b)
    # Of every branch: the next candidate to decide on, the set so far and its sum, and what each adds to it.
    branches: list[tuple[int, list[int], float, list[float]]] = [(0, [], 0.0, value.tolist())]
    for _ in range(BUDGET // len(part)):
        if not branches:
            break
        n, taken, total, adds = branches.pop()
        if total > best:
            best, chosen = total, taken
        # What is left can add at most what each adds alone.
        if n == len(part) or total + sum(add for add in adds[n:] if add > 0) <= best:
            continue
        branches.append((n + 1, taken, total, adds))
        if adds[n] > 0:
            less = [add - c for add, c in zip(adds, cost[n], strict=True)]
            branches.append((n + 1, [*taken, n], total + adds[n], less))
    return [part[n] for n in chosen]


def _greedy(value: list[float], cost: list[list[float]]) -> list[int]:
    chosen: list[int] = []
    for n, own in enumerate(value):
        if own > sum(cost[n][other] for other in chosen):
            chosen.append(n)
    return chosen
