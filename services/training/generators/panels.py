"""Made panels: painted ground and figures, frames, figures in front of frames, and what is said."""

import numpy as np
from PIL import Image, ImageDraw

from services.training.generators.artwork import (
    Colour,
    Drawn,
    Figure,
    colour,
    draw_figure,
    rounded,
    scenery,
)  # fmt: skip
from services.training.generators.layouts import Cell, Polygon
from services.training.generators.lettering import (
    Lettering,
    Spoken,
    balloon,
    columns,
    effect,
    lettering,
    sentence,
)  # fmt: skip
from services.training.generators.sheets import Sheet, cut, union
from shared.domain.geometry import intersection
from shared.domain.schema import Box


def paint_panel(
    rng: np.random.Generator, sheet: Sheet, cell: Cell, cast: list[Figure]
) -> tuple[Box | None, list[tuple[Drawn, Box]]]:
    """Paints one panel. Returns the box of its drawing when the panel is open (no frame), and its figures."""
    style, box = sheet.style, cell.box
    left, top = int(np.floor(box.x)), int(np.floor(box.y))
    w, h = max(4, int(np.ceil(box.right)) - left), max(4, int(np.ceil(box.bottom)) - top)
    kind = style.background(rng)
    is_open = style.open_panels > 0 and not cell.inset and rng.random() < style.open_panels
    line = style.border_line(rng, sheet.image.width)
    if kind == "paper" and not line and sum(style.paper) > 690:
        # White on white without a frame would be a panel that nobody can see.
        is_open = is_open or not cell.inset
        kind = "flat"
    if is_open:
        kind = "open"
    tint = style.tints[int(rng.integers(len(style.tints)))] if rng.random() < style.tinted else None
    ground = Image.new("RGB", (w, h), style.paper) if is_open else scenery(rng, width=w, height=h, kind=kind, tint=tint)
    if is_open and style.textured_paper:
        ground = sheet.image.crop((left, top, left + w, top + h))
    people: list[Drawn] = []
    crowd = (
        int(rng.choice([0, 1, 1, 2, 2, 3, 5], p=[0.16, 0.25, 0.15, 0.2, 0.1, 0.1, 0.04]))
        if not is_open
        else int(rng.integers(1, 4))
    )
    reach = float(rng.choice([0.85, 1.7, 4.0], p=[0.62, 0.33, 0.05] if style.tidy else [0.4, 0.35, 0.25])) * float(
        rng.uniform(0.7, 1.2)
    )
    if is_open:
        reach = float(rng.uniform(0.75, 0.95))
    for k in range(crowd):
        who = cast[int(rng.integers(len(cast)))]
        tall = h * reach * float(rng.uniform(0.85, 1.15) if not is_open else 1.0)
        if tall > w * 7:
            tall = w * 7
        x = w * ((k + float(rng.uniform(0.2, 0.8))) / crowd)
        foot = h * float(rng.uniform(0.9, 1.02)) if reach < 1.2 else h * float(rng.uniform(0.08, 0.4)) + tall
        people.append(draw_figure(rng, ground, who, x=x, foot=min(foot, h * 0.97) if is_open else foot, height=tall))
    shape = [(x - left, y - top) for x, y in cell.polygon]
    mask = Image.new("L", (w, h))
    if style.rounded > 0 and len(shape) == 4:
        rounded(ImageDraw.Draw(mask), (0, 0, w - 1, h - 1), radius=style.rounded * w, fill=255)
    else:
        ImageDraw.Draw(mask).polygon(shape, fill=255)
    sheet.image.paste(ground, (left, top), mask)
    if not is_open and (line or cell.inset):
        pen = ImageDraw.Draw(sheet.image)
        if style.rounded > 0:
            corners = (left, top, left + w - 1, top + h - 1)
            rounded(pen, corners, radius=style.rounded * w, fill=None, ink=style.border, line=max(1, line))
        else:
            _outline(
                pen, cell.polygon, style.border if not cell.inset or line else style.paper, max(1, line, 2 * cell.inset)
            )
    placed = [_moved(d, left, top) for d in people]
    for d in placed:
        sheet.add("character", d.whole, within=box)
        if d.face is not None:
            sheet.add("face", d.face, within=box)
    inside = [(d, box) for d in placed]
    if is_open:
        return union([cut(d.whole, box) for d in placed]), inside
    return None, inside


def _outline(pen: ImageDraw.ImageDraw, polygon: Polygon, ink: Colour, line: int) -> None:
    pen.line([*polygon, polygon[0], polygon[1]], fill=ink, width=line, joint="curve")


def _moved(d: Drawn, x: float, y: float) -> Drawn:
    def shifted(box: Box) -> Box:
        return Box(box.x + x, box.y + y, box.w, box.h)

    return Drawn(shifted(d.whole), shifted(d.face) if d.face else None, (d.mouth[0] + x, d.mouth[1] + y))


def pop_outs(rng: np.random.Generator, sheet: Sheet, cells: list[Cell], cast: list[Figure]) -> None:
    """Figures that stand in front of the frames and reach over them."""
    if rng.random() >= sheet.style.pop_outs:
        return
    for _ in range(int(rng.integers(1, 3))):
        host = cells[int(rng.integers(len(cells)))].box
        who = cast[int(rng.integers(len(cast)))]
        tall = min(host.h * float(rng.uniform(0.9, 1.35)), host.w * 3)
        x = host.x + host.w * float(rng.choice([0.05, 0.3, 0.5, 0.7, 0.95]))
        d = draw_figure(rng, sheet.image, who, x=x, foot=host.bottom * float(rng.uniform(0.97, 1.02)), height=tall)
        sheet.add("character", d.whole)
        if d.face is not None:
            sheet.add("face", d.face)


def _piece(rng: np.random.Generator, sheet: Sheet, *, longest: float, words: int) -> Lettering:
    style = sheet.style
    size = max(6, int(sheet.image.width * style.letter * float(rng.uniform(0.85, 1.25))))
    if style.vertical:
        return columns(rng, size=max(7, int(size * 0.9)))
    text = " ".join(sentence(rng) for _ in range(words))
    letters = max(5, int(min(longest / (size * 0.55), 6 + len(text) ** 0.5 * float(rng.uniform(1.5, 2.6)))))
    return lettering(rng, text, size=size, letters=letters, invented=style.invented)


def speak(
    rng: np.random.Generator, sheet: Sheet, cell: Cell, people: list[tuple[Drawn, Box]], covered: list[Box]
) -> list[Spoken]:
    """Balloons, captions and effect words of one panel; lettering never covers other lettering."""
    style, box = sheet.style, cell.box
    said: list[Spoken] = []
    line = max(1, int(sheet.image.width * float(rng.uniform(0.0, 0.004))))
    for n in range(style.balloons(rng)):
        words = 1 if style.tidy else int(rng.integers(1, 4)) if rng.random() < 0.85 else 5
        piece = _piece(rng, sheet, longest=box.w * (0.55 if style.tidy else 0.8), words=words)
        if piece.width > box.w * 0.9 or piece.height > box.h * 0.75:
            continue
        shape = style.balloon(rng, spoken=bool(people))
        over = style.crossing if shape != "caption" else 0.02
        slack_x, slack_y = piece.width * 0.8 + piece.size, piece.height * 0.8 + piece.size
        for trial in range(40 if style.tidy else 8):
            edge = rng.random() < over
            lo_x, hi_x = (box.x, box.right) if edge else (box.x + slack_x, box.right - slack_x)
            lo_y, hi_y = (box.y, box.bottom) if edge else (box.y + slack_y, box.bottom - slack_y)
            if shape == "caption" and rng.random() < 0.7:
                x, y = box.x + piece.width * 0.53 + piece.size * 0.6, box.y + piece.height * 0.53 + piece.size * 0.5
            else:
                x = float(rng.uniform(lo_x, hi_x)) if hi_x > lo_x else box.x + box.w / 2
                y = lo_y + (hi_y - lo_y) * float(rng.random() ** 1.8) if hi_y > lo_y else box.y + box.h / 2
            spot = Box(x - slack_x, y - slack_y, 2 * slack_x, 2 * slack_y)
            if style.tidy and (intersection(spot, box) < 0.999 * spot.area or (trial < 25 and _hides(spot, people))):
                continue
            if not any(intersection(spot, other) > 0 for other in [*sheet.taken, *covered]):
                break
        else:
            continue
        sheet.taken.append(spot)
        mouth = people[n % len(people)][0].mouth if people else None
        fill, ink = style.balloon_colours(rng, caption=shape == "caption")
        made = balloon(
            rng, sheet.image, piece, centre=(x, y), speaker=mouth, line=line, shape=shape, fill=fill, ink=ink
        )
        sheet.add("text", made.words)
        said.append(made)
    if rng.random() < style.effects:
        size = int(min(box.w, box.h) * float(rng.uniform(0.12, 0.3)))
        spot = Box(box.x + box.w * 0.2, box.y + box.h * 0.5, box.w * 0.6, box.h * 0.4)
        if size > 8 and not any(intersection(spot, other) > 0 for other in sheet.taken):
            centre = (spot.x + spot.w * float(rng.random()), spot.y + spot.h / 2)
            sound = effect(
                rng, sheet.image, centre=centre, size=size, fill=colour(rng) if not style.grey else (0, 0, 0)
            )
            sheet.taken.append(sound.outer)
            sheet.add("text", sound.words)
            said.append(sound)
    return said


def _hides(spot: Box, people: list[tuple[Drawn, Box]]) -> bool:
    return any(d.face is not None and intersection(spot, d.face) > 0 for d, _ in people)
