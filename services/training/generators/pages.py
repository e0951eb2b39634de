"""Made comic pages with their truth: every page is a pure function of its seed."""

import numpy as np
from PIL import Image, ImageDraw

from services.training.generators import styles
from services.training.generators.artwork import colour, draw_figure, figure, rounded
from services.training.generators.layouts import Cell, Cuts, bleed, bounds, divide, insets, jitter, rectangle
from services.training.generators.panels import paint_panel, pop_outs, speak
from services.training.generators.sheets import MadePage, Sheet, contrast, heading, margin_words, paragraph, union
from services.training.generators.textures import texture
from shared.domain.geometry import clip, intersection
from shared.domain.schema import Box, Direction


def make_page(
    seed: int, *, long_side: int = 640, direction: Direction | None = None, aspect: float | None = None
) -> MadePage:
    """The made page of a seed: comics of many manners, full-page drawings, pages of text, empty pages.

    `direction` and `aspect` (width / height) override what the seed would choose.
    """
    rng = np.random.default_rng(seed)
    style = styles.invent(rng, direction=direction)
    aspect = aspect or style.aspect
    width, height = (int(long_side * aspect), long_side) if aspect < 1 else (long_side, int(long_side / aspect))
    paper = Image.new("RGB", (width, height), style.paper)
    if style.textured_paper:
        paper = texture(rng, width=width, height=height, tint=np.array(style.paper, np.float32))
    sheet = Sheet(paper, style)
    draw = rng.random()
    if draw < 0.02:
        pass  # an empty page
    elif draw < 0.09:
        _text_page(rng, sheet)
    elif draw < 0.16:
        _full_page(rng, sheet)
    else:
        _panel_page(rng, sheet)
    sheet.image = styles.aged(rng, sheet.image, style)
    return sheet.finished()


def _panel_page(rng: np.random.Generator, sheet: Sheet) -> None:
    style, (width, height) = sheet.style, sheet.image.size
    count = style.panels(rng, tall=height / width)
    margins = [m * width for m in style.margins]
    frame = Box(margins[0], margins[1], width - margins[0] - margins[2], height - margins[1] - margins[3])
    if frame.h > frame.w and rng.random() < 0.06:
        top = frame.h * float(rng.uniform(0.08, 0.25))
        heading(rng, sheet, Box(frame.x, frame.y, frame.w, top))
        frame = Box(frame.x, frame.y + top, frame.w, frame.h - top)
    cuts = Cuts(
        gutter_x=style.gutter * width,
        gutter_y=style.gutter * width * style.row_gutter,
        slant=style.slant,
        slanted=style.slanted,
        regular=style.regular,
        direction=style.direction,
    )
    shapes = divide(rng, rectangle(frame), panels=count, cuts=cuts)
    if any(style.bleeds):
        shapes = bleed(shapes, frame=frame, width=width, height=height, sides=style.bleeds)
    if style.wobble > 0:
        shapes = [jitter(rng, shape, amount=style.wobble * width) for shape in shapes]
    cells = [Cell(shape) for shape in shapes]
    if len(cells) > 2 and rng.random() < 0.05:
        gone = int(rng.integers(len(cells)))
        hole = cells.pop(gone).box
        paragraph(rng, sheet, Box(hole.x + hole.w * 0.1, hole.y + hole.h * 0.1, hole.w * 0.8, hole.h * 0.8))
    largest = max(range(len(cells)), key=lambda k: cells[k].box.area)
    if rng.random() < style.insets and cells[largest].box.area > 0.25 * width * height:
        extra = insets(rng, cells[largest].box, count=int(rng.integers(1, 4)))
        cells[largest + 1 : largest + 1] = [Cell(shape, inset=True) for shape in extra]
    cast = [figure(rng, grey=style.grey, line=style.ink_line(rng, width)) for _ in range(int(rng.integers(1, 5)))]
    drawn = {
        k: paint_panel(rng, sheet, cells[k], cast) for k in sorted(range(len(cells)), key=lambda k: cells[k].inset)
    }
    pop_outs(rng, sheet, cells, cast)
    covered = [cell.box for cell in cells if cell.inset]
    for k, cell in enumerate(cells):
        open_box, people = drawn[k]
        words = speak(rng, sheet, cell, people, covered if not cell.inset else [])
        box = cell.box
        if open_box is not None:
            box = union([open_box, *[w.outer for w in words if intersection(w.outer, box) > 0.9 * w.outer.area]])
        sheet.panels.append(clip(box, width, height))
        sheet.texts.append([w.text for w in words])
    margin_words(rng, sheet, frame)


def _text_page(rng: np.random.Generator, sheet: Sheet) -> None:
    """Credits, letters, title pages: no panel, at times a frame, a sheet of paper or a small drawing."""
    width, height = sheet.image.size
    pen = ImageDraw.Draw(sheet.image)
    inner = Box(width * 0.1, height * 0.06, width * 0.8, height * 0.88)
    if rng.random() < 0.35:
        edge = float(rng.uniform(0.01, 0.07)) * width
        around = (edge, edge, width - edge, height - edge)
        tone = colour(rng, 190, 250) if contrast(sheet) == (0, 0, 0) else sheet.style.paper
        if rng.random() < 0.5:
            sheet_colour = texture(rng, width=width, height=height, tint=np.array(tone, np.float32)).point(
                [min(255, 150 + v // 3) if sum(tone) > 380 else v // 4 for v in range(256)] * 3
            )
            mask = Image.new("L", sheet.image.size)
            rounded(ImageDraw.Draw(mask), around, radius=edge * float(rng.uniform(0, 1)), fill=255)
            sheet.image.paste(sheet_colour, (0, 0), mask)
        else:
            pen.rectangle(around, fill=tone, outline=contrast(sheet) if rng.random() < 0.6 else None, width=2)
    y = inner.y
    if rng.random() < 0.6:
        heading(rng, sheet, Box(inner.x, y, inner.w, inner.h * 0.15))
        y += inner.h * 0.17
    picture = rng.random() < 0.4
    last = inner.bottom - (inner.h * 0.4 if picture else 0.0)
    if picture:
        tall = inner.h * float(rng.uniform(0.25, 0.38))
        for _ in range(int(rng.integers(1, 3))):
            x = inner.x + inner.w * float(rng.uniform(0.2, 0.8))
            d = draw_figure(rng, sheet.image, figure(rng, grey=sheet.style.grey), x=x, foot=inner.bottom, height=tall)
            sheet.add("character", d.whole)
            if d.face is not None:
                sheet.add("face", d.face)
    split = int(rng.integers(1, 4)) if rng.random() < 0.4 else 1
    while y < last - 20:
        tall = min(last - y, inner.h * float(rng.uniform(0.08, 0.35)))
        for k in range(split):
            paragraph(rng, sheet, Box(inner.x + inner.w * k / split, y, inner.w / split * 0.92, tall))
        y += tall + inner.h * 0.02
        if rng.random() < 0.12:
            break


def _full_page(rng: np.random.Generator, sheet: Sheet) -> None:
    """A cover or a splash: one picture over the whole page or nearly so, often with large lettering."""
    width, height = sheet.image.size
    edge = 0.0 if rng.random() < 0.6 else float(rng.uniform(0.01, 0.07)) * width
    cell = Cell(rectangle(Box(edge, edge, width - 2 * edge, height - 2 * edge)))
    style = sheet.style.closed()
    sheet.style = style
    cast = [figure(rng, grey=style.grey, line=style.ink_line(rng, width)) for _ in range(3)]
    _, people = paint_panel(rng, sheet, cell, cast)
    if rng.random() < 0.5:
        where = Box(cell.box.x, cell.box.y + cell.box.h * float(rng.choice([0.02, 0.75])), cell.box.w, cell.box.h * 0.2)
        heading(rng, sheet, where)
        sheet.taken.append(where)
    words = speak(rng, sheet, cell, people, [])
    sheet.panels.append(clip(bounds(cell.polygon), width, height))
    sheet.texts.append([w.text for w in words])


def make_comic(seed: int, pages: int = 8, *, width: int = 1000, height: int = 1400) -> list[MadePage]:
    """A small coherent comic: one cast, one manner of drawing, plain English lettering that OCR can read."""
    rng = np.random.default_rng([seed, 7])
    style = styles.readable(rng)
    cast = [figure(rng, line=3) for _ in range(3)]
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
                cells.append(Cell(rectangle(Box(x, frame.y + row * (tall + gutter), w, tall))))
        drawn = [paint_panel(rng, sheet, cell, cast)[1] for cell in cells]
        for cell, people in zip(cells, drawn, strict=True):
            said = speak(rng, sheet, cell, people, [])
            sheet.panels.append(cell.box)
            sheet.texts.append([words.text for words in said])
        made.append(sheet.finished())
    return made
