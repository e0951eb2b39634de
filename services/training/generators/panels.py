"""Made panels laid on the page: their pictures, frames, and figures in front of frames."""

import numpy as np
from PIL import Image, ImageDraw

from services.training.generators.artwork import Drawn
from services.training.generators.canvases import Canvas
from services.training.generators.figures import draw_person
from services.training.generators.frames import draw_frame, draw_keyline
from services.training.generators.layouts import Cell
from services.training.generators.people import Person, person
from services.training.generators.pictures import Order, Picture, paint_open, paint_picture
from services.training.generators.sheets import Sheet
from shared.domain.schema import Box

LINE = 1 / 640  # of the page's longer side: the width of a figure's outline before its artist's weight


def paint_panel(
    rng: np.random.Generator, sheet: Sheet, cell: Cell, cast: list[Person], *, ground: Image.Image | None = None
) -> tuple[Box | None, list[tuple[Drawn, Box]]]:
    """Paints one panel; a given `ground` of its box's size replaces the scenery, as where panels share one background.

    Returns the box of its drawing when the panel is open (no frame), and its figures as they are seen.
    """
    style, box = sheet.style, cell.box
    left, top = int(np.floor(box.x)), int(np.floor(box.y))
    w, h = max(4, int(np.ceil(box.right)) - left), max(4, int(np.ceil(box.bottom)) - top)
    shape = [(x - left, y - top) for x, y in cell.polygon]
    real = None if cell.open or ground is not None else sheet.real(rng, width=w, height=h)
    order = Order(
        np.array(shape), max(sheet.image.size), _line(sheet), sheet.features, tidy=style.tidy, few=real is not None
    )
    if cell.open:
        picture = paint_open(rng, style.artist, cast, order, ground=sheet.image.crop((left, top, left + w, top + h)))
    elif real is not None and rng.random() < 0.8:
        picture = Picture(real.image, [], None)
    else:
        picture = paint_picture(
            rng, style.artist, cast, order, size=(w, h), ground=real.image if real is not None else ground
        )
    mask = Image.new("L", (w, h))
    ImageDraw.Draw(mask).polygon(shape, fill=255)
    if not cell.open:
        draw_keyline(sheet.image, cell)
    sheet.image.paste(picture.image, (left, top), mask)
    if not cell.open:
        draw_frame(sheet.image, cell)
    people = [_moved(d, left, top) for d in picture.people]
    for one in people:
        _record(sheet, one, within=box)
    if real is not None:
        sheet.add_real(real, left=left, top=top, within=box, behind=[d.whole for d in people])
    extent = picture.extent
    drawing = None if extent is None else _shifted(extent, left, top)
    return drawing, [(d, box) for d in people]


def pop_outs(rng: np.random.Generator, sheet: Sheet, cells: list[Cell], cast: list[Person]) -> None:
    """Figures that stand in front of the frames and reach over them."""
    if rng.random() >= sheet.style.pop_outs:
        return
    for _ in range(int(rng.integers(1, 3))):
        host = cells[int(rng.integers(len(cells)))].box
        tall = min(host.h * float(rng.uniform(0.9, 1.35)), host.w * 3)
        x = host.x + host.w * float(rng.choice([0.05, 0.3, 0.5, 0.7, 0.95]))
        foot = host.bottom * float(rng.uniform(0.97, 1.02))
        stand(rng, sheet, cast[int(rng.integers(len(cast)))], x=x, foot=foot, height=tall)


def stand(
    rng: np.random.Generator, sheet: Sheet, who: Person | None = None, *, x: float, foot: float, height: float
) -> Drawn | None:
    """Draws somebody on the page itself, in front of all that is there; None where too little of it is on the page."""
    who = who or person(rng, sheet.style.artist)
    wide = height * 1.1
    left, top = max(0, int(x - wide)), max(0, int(foot - height * 1.4))
    right, bottom = min(sheet.image.width, int(x + wide)), min(sheet.image.height, int(foot + height * 0.4))
    if right - left < 8 or bottom - top < 8:
        return None
    canvas = Canvas(sheet.image.crop((left, top, right, bottom)), sheet.style.artist, line=_line(sheet))
    canvas.begin(1)
    drawn = draw_person(rng, canvas, who, x=x - left, foot=foot - top, height=height)
    sheet.image.paste(canvas.finished(), (left, top))
    moved = _moved(drawn, left, top)
    _record(sheet, moved, within=Box(left, top, right - left, bottom - top))
    return moved


def _line(sheet: Sheet) -> float:
    return max(0.5, max(sheet.image.size) * LINE)


def _record(sheet: Sheet, one: Drawn, *, within: Box) -> None:
    sheet.add("character", one.whole, within=within)
    if one.face is not None and one.face.w >= 0.01 * sheet.image.width:
        sheet.add("face", one.face, within=within)


def _shifted(box: Box, x: float, y: float) -> Box:
    return Box(box.x + x, box.y + y, box.w, box.h)


def _moved(d: Drawn, x: float, y: float) -> Drawn:
    face = None if d.face is None else _shifted(d.face, x, y)
    return Drawn(_shifted(d.whole, x, y), face, (d.mouth[0] + x, d.mouth[1] + y))
