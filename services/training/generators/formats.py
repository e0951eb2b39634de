"""Pages of other shapes than a leaf: strips, four-panel strips, vertical strips for scrolling, spreads."""

from dataclasses import replace

import numpy as np

from services.training.generators.layouts import Cell, Cuts, Polygon, divide, slices
from services.training.generators.outlines import rectangle
from shared.domain.schema import Box, Direction


def strips(rng: np.random.Generator, frame: Box, *, cuts: Cuts) -> list[Cell]:
    """Newspaper strips: rows of two to five panels of one height, alone or several below one another."""
    shape = frame.w / frame.h
    rows = max(1, min(6, round(float(rng.uniform(2.6, 4.2)) / shape)))
    gap = cuts.gutter_y * float(rng.choice([1.0, rng.uniform(2, 5)]))
    tall = min((frame.h - gap * (rows - 1)) / rows, frame.w * 0.6)
    spare = (frame.h - gap * (rows - 1) - tall * rows) / max(1, rows - 1)
    cells: list[Cell] = []
    usual = int(rng.integers(2, 5))
    for row in range(rows):
        count = usual if rng.random() < 0.6 else int(rng.integers(1, 6))
        top = frame.y + row * (tall + gap + min(spare, tall))
        polygon = rectangle(Box(frame.x, top, frame.w, tall))
        flat = replace(cuts, across=0.0, slanted=0.0)
        for piece in _columns(rng, polygon, count=count, cuts=flat):
            cells.append(Cell(piece))
    return cells


def _columns(rng: np.random.Generator, row: Polygon, *, count: int, cuts: Cuts) -> list[Polygon]:
    pieces = [row] if count == 1 else slices(rng, row, parts=count, rows=False, cuts=cuts)
    return pieces[::-1] if cuts.direction is Direction.RTL else pieces


def four_panels(rng: np.random.Generator, frame: Box, *, cuts: Cuts) -> list[Cell]:
    """Strips of four equal panels below one another, one or two of them side by side, each read to its end."""
    columns = 1 if frame.w < 0.5 * frame.h else 2
    apart = frame.w * float(rng.uniform(0.04, 0.12)) if columns == 2 else 0.0
    wide = (frame.w - apart) / columns
    head = frame.h * float(rng.uniform(0.0, 0.08))
    narrow = wide * float(rng.uniform(0.0, 0.12))
    rows = int(rng.choice([4, 4, 4, 5, 3]))
    tall = (frame.h - head - cuts.gutter_y * (rows - 1)) / rows
    order = range(columns) if cuts.direction is Direction.LTR else reversed(range(columns))
    cells = []
    for column in order:
        x = frame.x + column * (wide + apart) + narrow / 2
        for row in range(rows):
            y = frame.y + head + row * (tall + cuts.gutter_y)
            cells.append(Cell(rectangle(Box(x, y, wide - narrow, tall))))
    return cells


def webtoon(rng: np.random.Generator, frame: Box, page: Box, *, cuts: Cuts) -> tuple[list[Cell], list[Box]]:
    """A strip for scrolling: panels of unlike width and height with wide gaps, and the gaps, where words may float."""
    cells: list[Cell] = []
    gaps: list[Box] = []
    y = frame.y + frame.w * float(rng.choice([0.0, rng.uniform(0.0, 0.5)]))
    loose = float(rng.choice([0.08, 0.3, 0.6]))
    while y < frame.bottom - 0.2 * frame.w:
        tall = frame.w * float(rng.choice([rng.uniform(0.25, 0.6), rng.uniform(0.5, 1.1), rng.uniform(1.0, 2.0)]))
        tall = min(tall, frame.bottom - y)
        if tall < 0.15 * frame.w:
            break
        kind = rng.random()
        if kind < 0.3:
            cells.append(Cell(rectangle(Box(page.x, y, page.w, tall))))
        elif kind < 0.8:
            w = frame.w * float(rng.choice([1.0, rng.uniform(0.5, 0.95)]))
            x = frame.x + (frame.w - w) * float(rng.choice([0.0, 0.5, 1.0, rng.random()]))
            cells.append(Cell(rectangle(Box(x, y, w, tall))))
        else:
            row = rectangle(Box(frame.x, y, frame.w, tall))
            cells += [Cell(shape) for shape in divide(rng, row, panels=int(rng.integers(2, 4)), cuts=cuts)]
        y += tall
        gap = frame.w * min(1.2, float(rng.exponential(loose))) + max(3.0, cuts.gutter_y)
        if gap > 0.2 * frame.w:
            gaps.append(Box(frame.x, y, frame.w, min(gap, frame.bottom - y)))
        y += gap
    return cells, gaps


def halves(rng: np.random.Generator, frame: Box, *, direction: Direction) -> list[Box]:
    """The frames of the two pages of a spread, in the order they are read."""
    fold = frame.w * float(rng.uniform(0.005, 0.06))
    wide = (frame.w - fold) / 2
    left, right = Box(frame.x, frame.y, wide, frame.h), Box(frame.right - wide, frame.y, wide, frame.h)
    return [left, right] if direction is Direction.LTR else [right, left]
