"""Cuts that divide the panels of a page into upper and lower ones, straight or slanted, with tolerance for overlaps.

A cut is judged by the largest share of a panel that lies across it. Columns are rows of the page turned over its
diagonal, so that one direction is enough.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from shared.domain.geometry import Array, as_array
from shared.domain.schema import Box

# A cut that crosses no panel by more than this share of its area is clean: detected edges are a few pixels off.
CLEAN = 0.05
# Slanted cuts, tried only between panels whose boxes overlap as those of slanted panels do, and what they cost.
SLOPES = (-0.36, -0.24, -0.12, 0.12, 0.24, 0.36)
OVERLAP, SLANT, STEEPNESS = 0.02, 0.03, 0.15
# Panels are in one line when they share this part of the lower one's height and overlap no more than this in width.
IN_LINE, BESIDE = 0.5, 0.2
# Where a box is measured against a slanted line, and where lines are tried between two edges.
SLICES, PLACES = (1 / 6, 1 / 2, 5 / 6), (0, 1 / 4, 1 / 2, 3 / 4)

Span = tuple[float, float]


@dataclass(frozen=True)
class Cut:
    """Panels on either side of a line; `crossing` is the largest share of one that lies across it, 1 without a line."""

    crossing: float
    before: list[int]
    after: list[int]


def cleanest_cut(boxes: Mapping[int, Box]) -> Cut:
    """The cleanest cut into upper and lower panels."""
    best = _level(boxes, slope=0.0)
    if best.crossing <= CLEAN or not _slanted(boxes, best):
        return best
    for slope in SLOPES:
        cut = _level(boxes, slope=slope)
        dear = min(1.0, cut.crossing + SLANT + STEEPNESS * abs(slope))
        if dear < best.crossing:
            best = Cut(dear, cut.before, cut.after)
    return best


def _slanted(boxes: Mapping[int, Box], cut: Cut) -> bool:
    """Whether boxes overlap across a cut, as those of slanted panels do and those of staggered ones do not."""
    least = OVERLAP * around_all(boxes.values()).h
    return any(min(in_common(boxes[a], boxes[b])) > least for a in cut.before for b in cut.after)


def _level(boxes: Mapping[int, Box], *, slope: float) -> Cut:
    """The cleanest cut along lines of one slope, down per across."""
    sides = as_array(list(boxes.values()))
    x, y, w, h = sides.T
    # Sheared by the slope every line is level, and a box becomes slices of itself.
    parts = np.array(SLICES if slope else [1 / 2])[:, None]
    tops = y - slope * (x + w * parts - (x + w / 2).mean())
    edges = np.unique(np.concatenate([tops, tops + h]))
    lines = (edges[:-1, None] + np.diff(edges)[:, None] * np.array(PLACES)).ravel()
    if not len(lines):
        return Cut(1.0, [], [])
    above = np.clip((lines[:, None, None] - tops) / np.maximum(h, 1e-9), 0.0, 1.0).mean(axis=1)
    first = above >= 0.5
    crossing = np.minimum(above, 1 - above).max(axis=1)
    turned = (first.astype(float) @ _after_in_line(sides) > 0) & ~first
    crossing[first.all(axis=1) | ~first.any(axis=1) | turned.any(axis=1)] = 1.0
    # Rounded, so that of equal lines the first wins whatever the last bits say.
    best = int(np.round(crossing, 9).argmin())
    if crossing[best] >= 1:
        return Cut(1.0, [], [])
    return Cut(
        float(crossing[best]),
        [k for k, early in zip(boxes, first[best], strict=True) if early],
        [k for k, early in zip(boxes, first[best], strict=True) if not early],
    )


def _after_in_line(sides: Array) -> Array:
    """1 where a panel (row) stands after another (column) in one line: no cut may turn them round."""
    x, y, w, h = sides.T
    in_line = np.minimum.outer(y + h, y + h) - np.maximum.outer(y, y) > IN_LINE * np.minimum.outer(h, h)
    beyond = (x + w)[None, :] - x[:, None] <= BESIDE * np.minimum.outer(w, w)
    later = (x + w / 2)[:, None] > (x + w / 2)[None, :]
    after: Array = (in_line & beyond & later).astype(np.float64)
    return after


def around_all(boxes: Iterable[Box]) -> Box:
    """The smallest box around all of them; ValueError when there is none."""
    left, top, right, bottom = zip(*((box.x, box.y, box.right, box.bottom) for box in boxes), strict=True)
    return Box(min(left), min(top), max(right) - min(left), max(bottom) - min(top))


def in_common(a: Box, b: Box) -> tuple[float, float]:
    """How much width and height two boxes have in common; negative when they lie apart."""
    return min(a.right, b.right) - max(a.x, b.x), min(a.bottom, b.bottom) - max(a.y, b.y)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans joined where they touch, in order."""
    joined: list[Span] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(high, joined[-1][1])
        else:
            joined.append((low, high))
    return joined
