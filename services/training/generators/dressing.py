"""How the outlines of a page become panels: their frames, hand-drawn wobble, odd shapes, and which stay open."""

from dataclasses import replace

import numpy as np

from services.training.generators import outlines
from services.training.generators.features import Features
from services.training.generators.layouts import Cell, Frame
from services.training.generators.styles import Style
from shared.domain.schema import Box


def dress(rng: np.random.Generator, cells: list[Cell], *, style: Style, page: Box, features: Features) -> list[Cell]:
    """The same cells with frames; every cell of the result says whether it is open."""
    unit = min(page.w, page.h)
    line = max(1, round(style.border_width * unit)) if style.border_width else style.divider
    ground = style.paper
    apart = int(np.clip(unit * float(rng.uniform(0.004, 0.012)), 1, 9))
    made = []
    for cell in cells:
        on_others = cell.inset or cell.layer > 0
        shape = _shape(rng, cell, style=style, page=page)
        touches = _at_rim(cell.box, page)
        is_open = not on_others and not touches and bool(rng.random() < style.open_panels)
        own = line
        if on_others and not own:
            own = int(rng.choice([0, 1, 2]))
        frame = Frame(own, style.border, double=style.double, ground=ground)
        if on_others and rng.random() < 0.6:
            frame = replace(frame, keyline=float(apart), ground=ground if rng.random() < 0.7 else (255, 255, 255))
        elif own and style.gutter > 0 and len(shape) == 4 and rng.random() < style.missing_sides:
            frame = replace(frame, missing=str(rng.choice(["t", "r", "b", "l", "tb", "rl"])))
        made.append(replace(cell, polygon=shape, frame=frame, open=is_open and features.open_panels))
    return made


def _shape(rng: np.random.Generator, cell: Cell, *, style: Style, page: Box) -> outlines.Polygon:
    shape, box = cell.polygon, cell.box
    if len(shape) != 4:
        return shape
    square = abs(shape[0][1] - shape[1][1]) + abs(shape[1][0] - shape[2][0]) < 2
    if style.rounded > 0 and square:
        return outlines.rounded(box, radius=style.rounded * page.w)
    if rng.random() < style.odd_frames * (0.35 if style.gutter > 0 else 0.0):
        kind = rng.random()
        if kind < 0.35 and square and 0.4 < box.w / box.h < 2.5:
            return outlines.ellipse(box)
        if kind < 0.6 and square:
            return outlines.rounded(box, radius=float(rng.uniform(0.05, 0.5)) * min(box.w, box.h))
        step = float(rng.uniform(0.015, 0.06)) * page.w
        return outlines.jagged(rng, shape, step=step, depth=step * float(rng.uniform(0.15, 0.7)))
    if style.wobble > 0 and not _at_rim(box, page):
        return outlines.jitter(rng, shape, amount=style.wobble * page.w)
    return shape


def _at_rim(box: Box, page: Box) -> bool:
    return box.x <= 1 or box.y <= 1 or box.right >= page.w - 1 or box.bottom >= page.h - 1
