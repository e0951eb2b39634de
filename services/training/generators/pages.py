"""Made comic pages with their truth: every page is a pure function of its seed."""

from dataclasses import replace

import numpy as np
from PIL import Image

from services.training.generators import styles, truths
from services.training.generators.ageing import Skew, age
from services.training.generators.arrangements import arrange
from services.training.generators.artwork import Drawn
from services.training.generators.covers import full_page
from services.training.generators.dressing import dress
from services.training.generators.features import ALL, Features
from services.training.generators.frames import draw_frame
from services.training.generators.furniture import entitle, furnish
from services.training.generators.grounds import lay_ground, shared_grounds
from services.training.generators.layouts import Cell, Frame
from services.training.generators.made import MadePage
from services.training.generators.material import Material
from services.training.generators.matter import panel_free_page
from services.training.generators.outlines import rectangle
from services.training.generators.panels import paint_panel, pop_outs
from services.training.generators.people import company
from services.training.generators.sheets import Sheet, heading, paragraph, union
from services.training.generators.speech import speak
from shared.domain.geometry import clip, intersection
from shared.domain.schema import Box, Direction

NO_PANEL, ONE_PANEL = 0.12, 0.05
# A panel less visible than this, the rest under others, is none a reader would count.
LEAST_SEEN = 0.3
# Less change than this along an outline, as a share of it, and nobody could say where the panel ends.
LEAST_OUTLINE = 0.35


def make_page(
    seed: int,
    *,
    long_side: int = 640,
    direction: Direction | None = None,
    aspect: float | None = None,
    features: Features = ALL,
    material: Material | None = None,
) -> MadePage:
    """The made page of a seed: comics of many manners, full-page drawings, pages of text, empty pages.

    `direction` and `aspect` (width / height) override what the seed would choose; `features` says what may be shown;
    pieces of `material`, real drawn pages, fill some of the panels.
    """
    rng = np.random.default_rng(seed)
    style = styles.invent(rng, direction=direction, aspect=aspect, features=features)
    aspect = style.aspect
    width, height = (int(long_side * aspect), long_side) if aspect < 1 else (long_side, int(long_side / aspect))
    draw = rng.random()
    if features.matter and draw < NO_PANEL and style.ground in ("picture", "gradient"):
        style = replace(style, ground="plain")  # a picture over the whole page would be a splash
    ground = lay_ground(rng, size=(width, height), style=style, features=features)
    sheet = Sheet(ground, style, features=features, material=material)
    cells: list[Cell] = []
    opened: dict[int, Box] = {}
    if features.matter and draw < NO_PANEL:
        panel_free_page(rng, sheet)
    elif features.covers and NO_PANEL <= draw < NO_PANEL + ONE_PANEL:
        cells = _outlined(sheet, [full_page(rng, sheet)])
    else:
        cells, opened = _panel_page(rng, sheet)
    skew = None
    if features.ageing:
        sheet.image, skew = age(rng, sheet.image, style=style)
    _state(sheet, cells, opened, skew=skew)
    return sheet.finished()


def _panel_page(rng: np.random.Generator, sheet: Sheet) -> tuple[list[Cell], dict[int, Box]]:
    """Draws a page of panels; returns them in reading order, and the extent of the open ones."""
    style, (width, height) = sheet.style, sheet.image.size
    page = Box(0, 0, width, height)
    margins = [m * min(width, height) for m in style.margins]
    frame = Box(margins[0], margins[1], width - margins[0] - margins[2], height - margins[1] - margins[3])
    inner = entitle(rng, sheet, frame) if style.ground == "plain" and rng.random() < 0.07 else frame
    plan = arrange(rng, inner, page=page, style=style, features=sheet.features)
    cells = dress(rng, plan.cells, style=style, page=page, features=sheet.features)
    if sheet.features.boxes_of_text and len(cells) > 2 and style.ground == "plain" and rng.random() < 0.04:
        hole = cells.pop(int(rng.integers(len(cells)))).box
        paragraph(rng, sheet, Box(hole.x + hole.w * 0.1, hole.y + hole.h * 0.1, hole.w * 0.8, hole.h * 0.8))
    cells = _visible(cells, sheet.image.size)
    cast = company(rng, style.artist, count=int(rng.integers(1, 6)))
    drawn: dict[int, list[tuple[Drawn, Box]]] = {}
    shared = shared_grounds(rng, sheet, cells)
    opened: dict[int, Box] = {}
    for k in _painting_order(cells):
        if cells[k].inset or cells[k].layer:
            sheet.cover(cells[k].box, most=0.5)
        extent, drawn[k] = paint_panel(rng, sheet, cells[k], cast, ground=shared.get(k))
        if cells[k].open and extent is not None:
            opened[k] = extent
    cells = _outlined(sheet, cells)
    if sheet.features.breaking_out:
        pop_outs(rng, sheet, cells, cast)
    for k, cell in enumerate(cells):
        covered = [other.box for other in cells if other.layer > cell.layer]
        words = speak(rng, sheet, cell, drawn[k], covered)
        sheet.texts.append([w.text for w in words])
        if k in opened:
            near = [w.outer for w in words if intersection(w.outer, cell.box) > 0.9 * w.outer.area]
            opened[k] = union([opened[k], *near])
    for gap in plan.gaps:
        speak(rng, sheet, Cell(rectangle(gap)), [], [cell.box for cell in cells])
    furnish(rng, sheet, frame)
    return cells, opened


def _painting_order(cells: list[Cell]) -> list[int]:
    return sorted(range(len(cells)), key=lambda k: cells[k].layer)


def _visible(cells: list[Cell], size: tuple[int, int]) -> list[Cell]:
    """The cells without those that later ones would hide."""
    page = truths.owners(size, cells, _painting_order(cells))
    shares = truths.shares_seen(page, cells)
    return [cell for cell, share in zip(cells, shares, strict=True) if share > LEAST_SEEN]


def _outlined(sheet: Sheet, cells: list[Cell]) -> list[Cell]:
    """Gives a thin frame to every panel without one whose outline could not be told from what lies around it."""
    order = _painting_order(cells)
    page = truths.owners(sheet.image.size, cells, order)
    made = list(cells)
    for k in order:
        cell = cells[k]
        if cell.open or (cell.frame is not None and cell.frame.line >= 1):
            continue
        if truths.stands_out(sheet.image, page, cell, k) < LEAST_OUTLINE:
            ink = (0, 0, 0) if sum(sheet.style.paper) > 240 else (255, 255, 255)
            made[k] = truths.hairline(cell, ink=ink, line=max(1.0, round(sheet.image.width / 300)))
            framed = sheet.image.copy()
            draw_frame(framed, made[k])
            above = [255 if v == 0 or cells[v - 1].layer <= cell.layer else 0 for v in range(len(cells) + 1)]
            sheet.image.paste(framed, (0, 0), page.point(above + [0] * (255 - len(cells))))
    return made


def _state(sheet: Sheet, cells: list[Cell], opened: dict[int, Box], *, skew: Skew | None) -> None:
    """Writes the truth of a finished page: panels in reading order with the words in them, objects where they ended."""
    width, height = sheet.image.size
    closed = [k for k in _painting_order(cells) if k not in opened and not cells[k].open]
    page = truths.skewed(truths.owners(sheet.image.size, cells, closed), skew)
    texts, sheet.texts = sheet.texts, []
    for k in range(len(cells)):
        if k in opened:
            box: Box | None = clip(skew.box(opened[k]) if skew else opened[k], width, height)
        else:
            box = truths.seen_box(page, k)
        if box is not None and min(box.w, box.h) >= 4:
            sheet.panels.append(box)
            sheet.texts.append(texts[k])
    if skew is not None:
        sheet.move(skew.box)


def make_comic(seed: int, pages: int = 8, *, width: int = 1000, height: int = 1400) -> list[MadePage]:
    """A small coherent comic: one cast, one manner of drawing, plain English lettering that OCR can read."""
    rng = np.random.default_rng([seed, 7])
    style = styles.readable(rng)
    cast = company(rng, style.artist, count=3)
    made = []
    for number in range(pages):
        sheet = Sheet(Image.new("RGB", (width, height), style.paper), style)
        edge, gutter = 0.05 * width, 0.018 * width
        frame = Box(edge, edge, width - 2 * edge, height - 2.4 * edge)
        tiers = [1] if number == 0 else [int(n) for n in rng.integers(1, 4, int(rng.integers(2, 4)))]
        if number == 0:
            title = Box(edge, edge * 0.6, width - 2 * edge, height * 0.1)
            heading(rng, sheet, title)
            frame = Box(edge, title.bottom, frame.w, height - title.bottom - edge * 1.4)
        elif sum(tiers) == len(tiers):
            tiers[0] = 2
        tall = (frame.h - gutter * (len(tiers) - 1)) / len(tiers)
        cells = []
        for row, count in enumerate(tiers):
            wide = (frame.w - gutter * (count - 1)) / count
            shift = 0.0 if count != 2 else float(rng.uniform(-0.15, 0.15)) * frame.w
            for k in range(count):
                x, w = frame.x + k * (wide + gutter) + shift * (k > 0), wide + shift * (1 - 2 * k) * (count == 2)
                box = Box(x, frame.y + row * (tall + gutter), w, tall)
                cells.append(Cell(rectangle(box), frame=Frame(3), open=False))
        drawn = [paint_panel(rng, sheet, cell, cast)[1] for cell in cells]
        for cell, people in zip(cells, drawn, strict=True):
            said = speak(rng, sheet, cell, people, [])
            sheet.texts.append([words.text for words in said])
        _state(sheet, cells, {}, skew=None)
        made.append(sheet.finished())
    return made
