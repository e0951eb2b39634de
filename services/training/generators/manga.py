"""How manga divides a page: few rows with wide gutters between them, tall and slanted panels, pillars, white space."""

from dataclasses import replace

import numpy as np

from services.training.generators.layouts import Cuts, Polygon, divide, rectangle, slices
from services.training.generators.outlines import bounds
from shared.domain.schema import Box, Direction


def manga_page(rng: np.random.Generator, frame: Box, *, panels: int, cuts: Cuts, irregular: bool) -> list[Polygon]:
    """Outlines of a manga page in reading order, about `panels` of them."""
    if irregular and panels >= 3 and rng.random() < 0.2:
        return _pillar(rng, frame, panels=panels, cuts=cuts)
    return _rows(rng, rectangle(frame), panels=panels, cuts=cuts, irregular=irregular)


def _rows(rng: np.random.Generator, polygon: Polygon, *, panels: int, cuts: Cuts, irregular: bool) -> list[Polygon]:
    """Rows of one to three panels; some rows are one tall panel beside a stack."""
    count = int(np.clip(round(panels / float(rng.uniform(1.3, 2.4))), 1, 5))
    rows = [polygon] if count == 1 else slices(rng, polygon, parts=count, rows=True, cuts=cuts)
    left = panels - count
    shares = [1] * count
    for _ in range(max(0, left)):
        shares[int(rng.integers(count))] += 1
    found: list[Polygon] = []
    for row, share in zip(rows, shares, strict=True):
        if irregular and share >= 3 and rng.random() < 0.4:
            found += _blocked(rng, row, panels=share, cuts=cuts)
        elif share > 3:
            found += divide(rng, row, panels=share, cuts=replace(cuts, across=0.9))
        else:
            found += _columns(rng, row, panels=share, cuts=cuts)
    return found


def _columns(rng: np.random.Generator, row: Polygon, *, panels: int, cuts: Cuts) -> list[Polygon]:
    if panels == 1:
        return [row]
    pieces = slices(rng, row, parts=panels, rows=False, cuts=cuts)
    return pieces[::-1] if cuts.direction is Direction.RTL else pieces


def _blocked(rng: np.random.Generator, row: Polygon, *, panels: int, cuts: Cuts) -> list[Polygon]:
    """One tall panel and a stack beside it, read as two columns."""
    columns = _columns(rng, row, panels=2, cuts=cuts)
    tall = int(rng.integers(2))
    stack = slices(rng, columns[1 - tall], parts=panels - 1, rows=True, cuts=cuts)
    return [columns[0], *stack] if tall == 0 else [*stack, columns[1]]


def _pillar(rng: np.random.Generator, frame: Box, *, panels: int, cuts: Cuts) -> list[Polygon]:
    """One panel as tall as the page at its side, rows beside it."""
    share, gutter = float(rng.uniform(0.22, 0.45)), cuts.gutter_x
    first = rng.random() < 0.6
    at_left = first == (cuts.direction is Direction.LTR)
    wide = frame.w * share
    if at_left:
        tall = Box(frame.x, frame.y, wide - gutter / 2, frame.h)
        rest = Box(frame.x + wide + gutter / 2, frame.y, frame.w - wide - gutter / 2, frame.h)
    else:
        tall = Box(frame.right - wide + gutter / 2, frame.y, wide - gutter / 2, frame.h)
        rest = Box(frame.x, frame.y, frame.w - wide - gutter / 2, frame.h)
    others = _rows(rng, rectangle(rest), panels=panels - 1, cuts=cuts, irregular=False)
    return [rectangle(tall), *others] if first else [*others, rectangle(tall)]


def emptied(rng: np.random.Generator, shapes: list[Polygon]) -> list[Polygon]:
    """The page with white space: a panel left out, or some drawn back from the room they have."""
    if len(shapes) > 2 and rng.random() < 0.35:
        gone = int(rng.integers(len(shapes)))
        return [shape for k, shape in enumerate(shapes) if k != gone]
    made = []
    for shape in shapes:
        if rng.random() < 0.5:
            made.append(shape)
            continue
        box = bounds(shape)
        across, down = (
            float(rng.choice([1.0, rng.uniform(0.6, 0.95)])),
            float(rng.choice([1.0, rng.uniform(0.6, 0.95)])),
        )
        x, y = box.x + box.w * (1 - across) * float(rng.random()), box.y + box.h * (1 - down) * float(rng.random())
        made.append([(x + (px - box.x) * across, y + (py - box.y) * down) for px, py in shape])
    return made


def bled(rng: np.random.Generator, shapes: list[Polygon], *, frame: Box, width: int, height: int) -> list[Polygon]:
    """Single outer panels pulled over the rim of the page, each side of each panel for itself."""
    chance = float(rng.choice([0.25, 0.6, 0.9]))
    made = []
    for shape in shapes:
        moves = rng.random(4) < chance
        made.append(
            [
                (
                    0.0 if moves[0] and x <= frame.x + 1 else float(width) if moves[1] and x >= frame.right - 1 else x,
                    0.0
                    if moves[2] and y <= frame.y + 1
                    else float(height)
                    if moves[3] and y >= frame.bottom - 1
                    else y,
                )
                for x, y in shape
            ]
        )
    return made
