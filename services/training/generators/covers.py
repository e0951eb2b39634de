"""Covers and splashes: one picture over the whole page, with titles, badges, bar codes and names on it."""

from dataclasses import replace

import numpy as np
from PIL import ImageDraw

from services.training.generators.artwork import colour
from services.training.generators.furniture import mean_colour, small_print
from services.training.generators.layouts import Cell, Frame
from services.training.generators.outlines import rectangle
from services.training.generators.panels import paint_panel
from services.training.generators.people import company
from services.training.generators.sheets import Sheet, heading
from services.training.generators.speech import speak
from shared.domain.schema import Box


def full_page(rng: np.random.Generator, sheet: Sheet) -> Cell:
    """Paints a cover, a splash or a picture in a frame; returns its only panel."""
    width, height = sheet.image.size
    draw = rng.random()
    edges = [0.0] * 4
    if draw < 0.4:
        edges = [float(rng.uniform(0.01, 0.08)) * width] * 4
        if rng.random() < 0.3:
            edges[int(rng.integers(4))] = 0.0
        if rng.random() < 0.3:
            edges[1] += float(rng.uniform(0.02, 0.12)) * height
    line = 0 if draw > 0.25 else int(rng.integers(1, 6))
    box = Box(edges[0], edges[1], width - edges[0] - edges[2], height - edges[1] - edges[3])
    cell = Cell(rectangle(box), frame=Frame(line, sheet.style.border), open=False)
    style = sheet.style
    cast = company(rng, style.artist, count=3)
    _, people = paint_panel(rng, sheet, cell, cast)
    words: list[str] = []
    if rng.random() < 0.5:
        _dress_cover(rng, sheet, box)
    elif rng.random() < 0.8:
        words = [spoken.text for spoken in speak(rng, sheet, cell, people, [])]
    sheet.texts.append(words)
    return cell


def _dress_cover(rng: np.random.Generator, sheet: Sheet, box: Box) -> None:
    """Title, names, a badge in a corner and a bar code, each on some covers."""
    pen = ImageDraw.Draw(sheet.image)
    where = Box(
        box.x, box.y + box.h * float(rng.choice([0.02, 0.02, 0.75])), box.w, box.h * float(rng.uniform(0.1, 0.22))
    )
    if rng.random() < 0.35:
        pen.rectangle((where.x, where.y, where.right, where.bottom), fill=_tone(rng, sheet))
    style = sheet.style
    sheet.style = replace(style, paper=mean_colour(sheet, where))  # a heading is lettered to be read on its ground
    heading(rng, sheet, where)
    sheet.style = style
    sheet.taken.append(where)
    size = max(7, int(box.w * float(rng.uniform(0.02, 0.04))))
    for _ in range(int(rng.integers(0, 4))):
        at = (
            box.x + box.w * float(rng.uniform(0.15, 0.85)),
            box.y + box.h * float(rng.choice([0.26, 0.9, 0.94, 0.97])),
        )
        small_print(rng, sheet, f"{rng.integers(1, 99)} Hugo Nell & Ivy Karl", centre=at, size=size)
    if rng.random() < 0.35:
        x, y, side = box.x + box.w * 0.03, box.y + box.h * 0.03, box.w * float(rng.uniform(0.1, 0.18))
        pen.rectangle((x, y, x + side, y + side * 1.4), fill=_tone(rng, sheet), outline=(0, 0, 0))
        small_print(
            rng, sheet, str(rng.integers(1, 400)), centre=(x + side / 2, y + side), size=int(side * 0.3), ink=(0, 0, 0)
        )
    if rng.random() < 0.3:
        _bar_code(
            rng,
            pen,
            Box(box.x + box.w * float(rng.choice([0.03, 0.76])), box.bottom - box.h * 0.1, box.w * 0.2, box.h * 0.07),
        )


def _bar_code(rng: np.random.Generator, pen: ImageDraw.ImageDraw, box: Box) -> None:
    pen.rectangle((box.x, box.y, box.right, box.bottom), fill=(255, 255, 255))
    x = box.x + 3
    while x < box.right - 3 and box.h > 12:
        thick = int(rng.integers(1, 4))
        pen.rectangle((x, box.y + 3, x + thick - 1, box.bottom - 5), fill=(0, 0, 0))
        x += thick + int(rng.integers(1, 4))


def _tone(rng: np.random.Generator, sheet: Sheet) -> tuple[int, int, int]:
    v = int(rng.integers(180, 256))
    return (v, v, v) if sheet.style.grey else colour(rng, 60, 256)
