"""Panels laid over panels: insets, bridges over a gutter, panels grown over their neighbours, cascades."""

from dataclasses import replace

import numpy as np

from services.training.generators.layouts import Cell
from services.training.generators.outlines import bounds, ellipse, rectangle
from shared.domain.geometry import intersection
from shared.domain.schema import Box, Direction


def with_insets(rng: np.random.Generator, cells: list[Cell], *, page: Box, direction: Direction) -> list[Cell]:
    """One to four insets on the largest panel, after it in reading order, in the order they are read."""
    host = max(range(len(cells)), key=lambda k: cells[k].box.area)
    box = cells[host].box
    if box.area < 0.2 * page.area:
        return cells
    count = int(rng.choice([1, 2, 3, 4], p=[0.5, 0.25, 0.17, 0.08]))
    place = str(rng.choice(["corner", "edge", "middle", "row", "column", "over the edge"]))
    boxes = _inset_boxes(rng, box, count=count, place=place, direction=direction)
    made: list[Cell] = []
    for b in boxes:
        b = _kept(b, page)
        if any(intersection(b, other.box) > 0 for other in made) or min(b.w, b.h) < 20:
            continue
        shape = ellipse(b) if rng.random() < 0.06 else rectangle(b)
        made.append(Cell(shape, inset=True, layer=2))
    return [*cells[: host + 1], *made, *cells[host + 1 :]]


def _inset_boxes(rng: np.random.Generator, host: Box, *, count: int, place: str, direction: Direction) -> list[Box]:
    def share(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    if place in ("row", "column"):
        along = host.w if place == "row" else host.h
        each = along * share(0.7, 0.94) / count
        gap = each * share(0.04, 0.2)
        start = (along - each * count) / 2
        size = (host.h if place == "row" else host.w) * share(0.16, 0.36)
        far = (host.h if place == "row" else host.w) * float(rng.choice([0.03, 0.6])) * share(0.9, 1.05)
        if place == "row":
            made = [Box(host.x + start + k * each, host.y + far, each - gap, size) for k in range(count)]
            return made[::-1] if direction is Direction.RTL else made
        return [Box(host.x + far, host.y + start + k * each, size, each - gap) for k in range(count)]
    if place in ("middle", "edge", "over the edge"):
        w, h = host.w * share(0.2, 0.42), host.h * share(0.14, 0.34)
        if place == "middle":
            x, y = host.x + (host.w - w) * share(0.2, 0.8), host.y + (host.h - h) * share(0.2, 0.8)
        else:
            out = share(0.1, 0.5) if place == "over the edge" else share(-0.12, 0.0)
            side = int(rng.integers(4))
            x, y = host.x + (host.w - w) * share(0.05, 0.95), host.y + (host.h - h) * share(0.05, 0.95)
            if side == 0:
                y = host.y - h * out
            elif side == 1:
                x = host.right - w + w * out
            elif side == 2:
                y = host.bottom - h + h * out
            else:
                x = host.x - w * out
        return [Box(x, y, w, h)]
    made = []
    near = share(0.02, 0.06) * min(host.w, host.h)
    corners = rng.permutation(4)[:count]
    for corner in sorted(int(c) for c in corners):  # 0, 1 above, 2, 3 below; the first read of each pair first
        w, h = host.w * share(0.2, 0.42), host.h * share(0.14, 0.32)
        at_left = (corner % 2 == 0) == (direction is Direction.LTR)
        x = host.x + near if at_left else host.right - w - near
        y = host.y + near if corner < 2 else host.bottom - h - near
        made.append(Box(x, y, w, h))
    return made


def bridged(rng: np.random.Generator, cells: list[Cell], *, page: Box) -> list[Cell]:
    """A small panel over the gutter between two neighbours, read between them."""
    if len(cells) < 2:
        return cells
    k = int(rng.integers(len(cells) - 1))
    a, b = cells[k].box, cells[k + 1].box
    beside = min(a.bottom, b.bottom) - max(a.y, b.y) > 0.6 * min(a.h, b.h)
    if beside:
        x = (a.right + b.x) / 2 if a.x < b.x else (b.right + a.x) / 2
        w, h = min(a.w, b.w) * float(rng.uniform(0.4, 0.8)), min(a.h, b.h) * float(rng.uniform(0.25, 0.45))
        y = max(a.y, b.y) + (min(a.h, b.h) - h) * float(rng.choice([0.04, 0.5, 0.96]))
    elif min(a.right, b.right) - max(a.x, b.x) > 0.6 * min(a.w, b.w):
        y = (a.bottom + b.y) / 2
        w, h = min(a.w, b.w) * float(rng.uniform(0.25, 0.45)), min(a.h, b.h) * float(rng.uniform(0.35, 0.7))
        x = max(a.x, b.x) + w / 2 + (min(a.w, b.w) - w) * float(rng.choice([0.04, 0.5, 0.96]))
    else:
        return cells
    box = _kept(Box(x - w / 2, y - (h / 2 if not beside else 0.0), w, h), page)
    if min(box.w, box.h) < 20:
        return cells
    return [*cells[: k + 1], Cell(rectangle(box), inset=True, layer=2), *cells[k + 1 :]]


def grown(rng: np.random.Generator, cells: list[Cell], *, page: Box) -> list[Cell]:
    """One or two panels grown over their neighbours' edges."""
    made = list(cells)
    for k in rng.permutation(len(cells))[: int(rng.integers(1, 3))]:
        box = made[k].box
        moves = rng.uniform(0.03, 0.14, 4) * (rng.random(4) < 0.7)
        bigger = Box(
            box.x - moves[0] * box.w,
            box.y - moves[1] * box.h,
            box.w * (1 + float(moves[0] + moves[2])),
            box.h * (1 + float(moves[1] + moves[3])),
        )
        shape = [
            (
                bigger.x + (x - box.x) / max(box.w, 1.0) * bigger.w,
                bigger.y + (y - box.y) / max(box.h, 1.0) * bigger.h,
            )
            for x, y in made[k].polygon
        ]
        inside = bounds(shape)
        if inside.x >= page.x and inside.y >= page.y and inside.right <= page.right and inside.bottom <= page.bottom:
            made[k] = replace(made[k], polygon=shape, layer=1)
    return made


def cascade(rng: np.random.Generator, frame: Box, *, panels: int, direction: Direction) -> list[Cell]:
    """Panels down the page, each laid over a corner or an edge of the one before."""
    panels = max(3, min(panels, 6))
    tall = frame.h / panels
    made = []
    for k in range(panels):
        w, h = frame.w * float(rng.uniform(0.5, 0.8)), tall * float(rng.uniform(1.08, 1.35))
        left = (k % 2 == 0) == (direction is Direction.LTR)
        x = frame.x + float(rng.uniform(0, 0.08)) * frame.w
        if not left:
            x = frame.right - w - float(rng.uniform(0, 0.08)) * frame.w
        y = min(frame.y + k * tall, frame.bottom - h)
        made.append(Cell(rectangle(Box(x, y, w, h)), layer=k))
    return made


def splash_with_rows(
    rng: np.random.Generator, frame: Box, page: Box, *, panels: int, direction: Direction
) -> list[Cell]:
    """One picture over the whole page and a row or a column of panels laid on it."""
    host = Cell(rectangle(page if rng.random() < 0.6 and frame.w > 0.6 * page.w else frame))
    count = max(2, min(panels, 5))
    boxes = _inset_boxes(rng, frame, count=count, place=str(rng.choice(["row", "column"])), direction=direction)
    return [host, *[Cell(rectangle(_kept(b, page)), inset=True, layer=2) for b in boxes]]


def _kept(box: Box, page: Box) -> Box:
    """The box moved so that it lies on the page."""
    x = min(max(box.x, page.x + 2), page.right - box.w - 2)
    y = min(max(box.y, page.y + 2), page.bottom - box.h - 2)
    return Box(x, y, box.w, box.h)
