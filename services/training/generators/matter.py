"""Pages without panels: text, credits, contents, letters, advertisements, title pages, cast lists, empty leaves."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from services.training.generators.artwork import Colour, colour, rounded
from services.training.generators.furniture import furnish, small_print
from services.training.generators.lettering import sentence
from services.training.generators.panels import stand
from services.training.generators.pictures import ground_for
from services.training.generators.sheets import Sheet, contrast, heading, paragraph
from services.training.generators.textures import texture
from shared.domain.schema import Box


def panel_free_page(rng: np.random.Generator, sheet: Sheet) -> None:
    """Draws one of the pages that carry no panel."""
    width, height = sheet.image.size
    room = Box(width * 0.1, height * 0.06, width * 0.8, height * 0.88)
    kinds: list[Callable[[np.random.Generator, Sheet, Box], None]] = [
        _empty, _prose, _credits, _contents, _advertisement, _title_page, _cast_list,
    ]  # fmt: skip
    kind = kinds[int(rng.choice(len(kinds), p=[0.16, 0.22, 0.2, 0.08, 0.14, 0.13, 0.07]))]
    if kind is not _empty and rng.random() < 0.3:
        _parchment(rng, sheet)
    kind(rng, sheet, room)
    if kind is not _empty and rng.random() < 0.4:
        furnish(rng, sheet, room)


def _empty(rng: np.random.Generator, sheet: Sheet, room: Box) -> None:
    """Nothing, now and then with a line of small print."""
    if rng.random() < 0.35:
        at = (room.x + room.w * float(rng.uniform(0.2, 0.8)), room.y + room.h * float(rng.choice([0.1, 0.5, 0.97])))
        small_print(rng, sheet, sentence(rng), centre=at, size=int(sheet.image.width * 0.02))


def _parchment(rng: np.random.Generator, sheet: Sheet) -> None:
    """A sheet of another paper, or a frame, around the words."""
    width, height = sheet.image.size
    edge = float(rng.uniform(0.01, 0.07)) * width
    around = (edge, edge, width - edge, height - edge)
    dark_ink = contrast(sheet) == (0, 0, 0)
    tone = _tone(rng, sheet, 190, 250) if dark_ink else sheet.style.paper
    pen = ImageDraw.Draw(sheet.image)
    if rng.random() < 0.5:
        other = texture(rng, width=width, height=height, tint=np.array(tone, np.float32))
        other = other.point([min(255, 150 + v // 3) if dark_ink else v // 4 for v in range(256)] * 3)
        mask = Image.new("L", sheet.image.size)
        rounded(ImageDraw.Draw(mask), around, radius=edge * float(rng.uniform(0, 1)), fill=255)
        sheet.image.paste(other, (0, 0), mask)
    else:
        outline = contrast(sheet) if rng.random() < 0.6 else None
        pen.rectangle(around, fill=tone if rng.random() < 0.6 else None, outline=outline, width=2)


def _prose(rng: np.random.Generator, sheet: Sheet, room: Box) -> None:
    """A heading and columns of text, with an illustration on some pages."""
    y = room.y
    if rng.random() < 0.6:
        heading(rng, sheet, Box(room.x, y, room.w, room.h * 0.13))
        y += room.h * 0.15
    columns = int(rng.choice([1, 1, 2, 3]))
    last = room.bottom
    if rng.random() < 0.4:
        last -= room.h * 0.3
        _people(rng, sheet, Box(room.x, last, room.w, room.h * 0.3))
    wide = room.w / columns
    for k in range(columns):
        top = y
        while top < last - 20:
            tall = min(last - top, room.h * float(rng.uniform(0.08, 0.35)))
            paragraph(rng, sheet, Box(room.x + wide * k, top, wide * 0.92, tall))
            top += tall + room.h * 0.02
            if rng.random() < 0.1:
                break
        if k and rng.random() < 0.3:
            x = room.x + wide * k - wide * 0.04
            ImageDraw.Draw(sheet.image).line((x, y, x, last), fill=contrast(sheet), width=1)


def _credits(rng: np.random.Generator, sheet: Sheet, room: Box) -> None:
    """Centred lines of names under small headings, at times marks and a seal below."""
    size = max(6, int(sheet.image.width * float(rng.uniform(0.016, 0.03))))
    middle, y = room.x + room.w / 2, room.y + room.h * float(rng.uniform(0.0, 0.3))
    low = bool(rng.random() < 0.2)  # a colophon at the foot of the page
    if low:
        y = room.y + room.h * 0.7
    marks = rng.random() < 0.4
    last = room.bottom - (0.12 * room.h if marks else size)
    while y < last:
        if rng.random() < 0.25:
            y += size * float(rng.uniform(0.5, 2.5))
        words = " ".join(sentence(rng) for _ in range(int(rng.integers(1, 3))))
        small_print(rng, sheet, words[: int(room.w / size * 1.7)], centre=(middle, y), size=size)
        y += size * float(rng.uniform(1.3, 1.7))
        if rng.random() < (0.08 if low else 0.03):
            break
    if marks:
        pen = ImageDraw.Draw(sheet.image)
        for _ in range(int(rng.integers(1, 5))):
            r = min(room.w * float(rng.uniform(0.03, 0.09)), 0.045 * room.h)
            x, y = room.x + room.w * float(rng.uniform(0.1, 0.9)), room.bottom - r
            spot = (x - r, y - r * 0.6, x + r, y + r * 0.6)
            if rng.random() < 0.5:
                pen.ellipse(
                    (x - r, y - r, x + r, y + r), outline=contrast(sheet), width=2, fill=_tone(rng, sheet, 60, 250)
                )
            else:
                pen.rectangle(spot, outline=contrast(sheet), width=1, fill=_tone(rng, sheet, 60, 250))


def _contents(rng: np.random.Generator, sheet: Sheet, room: Box) -> None:
    """A table: rows of words with a number at the end, ruled or not."""
    heading(rng, sheet, Box(room.x, room.y, room.w, room.h * 0.12))
    rows = int(rng.integers(5, 16))
    tall = room.h * 0.84 / rows
    size = max(6, int(min(tall * 0.5, sheet.image.width * 0.03)))
    ruled = rng.random() < 0.5
    pen = ImageDraw.Draw(sheet.image)
    for k in range(rows):
        y = room.y + room.h * 0.14 + (k + 0.5) * tall
        words = sentence(rng)[: int(room.w / size)]
        small_print(rng, sheet, words, centre=(room.x + room.w * 0.4, y), size=size)
        small_print(rng, sheet, str(rng.integers(1, 200)), centre=(room.right - size * 1.5, y), size=size)
        if ruled:
            pen.line((room.x, y + tall / 2, room.right, y + tall / 2), fill=contrast(sheet), width=1)
    if ruled and rng.random() < 0.5:
        pen.rectangle((room.x, room.y + room.h * 0.14, room.right, room.bottom), outline=contrast(sheet), width=1)


def _advertisement(rng: np.random.Generator, sheet: Sheet, room: Box) -> None:
    """Wares in a loose row or a table, each with a name and a price, under a loud headline."""
    width, height = sheet.image.size
    pen = ImageDraw.Draw(sheet.image)
    if rng.random() < 0.5:
        pen.rectangle((0, 0, width, height * float(rng.uniform(0.12, 0.3))), fill=_tone(rng, sheet, 150, 256))
    heading(rng, sheet, Box(room.x, room.y, room.w, room.h * 0.18))
    across, down = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    w, h = room.w / across, room.h * 0.7 / down
    for row in range(down):
        for column in range(across):
            box = Box(room.x + column * w, room.y + room.h * 0.2 + row * h, w * 0.9, h * 0.9)
            _ware(rng, sheet, Box(box.x + box.w * 0.2, box.y, box.w * 0.6, box.h * 0.6))
            small = Box(box.x, box.y + box.h * 0.64, box.w, box.h * 0.34)
            paragraph(rng, sheet, small)
    small_print(rng, sheet, sentence(rng), centre=(room.x + room.w / 2, room.bottom), size=int(width * 0.03))


def _ware(rng: np.random.Generator, sheet: Sheet, box: Box) -> None:
    """A bottle, a book, a disc, a box: a thing that stands free on the ground."""
    pen = ImageDraw.Draw(sheet.image)
    ink, tone = contrast(sheet), _tone(rng, sheet, 30, 250)
    kind = int(rng.integers(4))
    x, y = box.x + box.w / 2, box.y + box.h / 2
    r = min(box.w, box.h) / 2
    if kind == 0:
        pen.ellipse((x - r, y - r, x + r, y + r), fill=tone, outline=ink, width=2)
        pen.ellipse((x - r / 3, y - r / 3, x + r / 3, y + r / 3), fill=_tone(rng, sheet, 30, 250), outline=ink)
    elif kind == 1:
        pen.rectangle((x - r * 0.3, box.y, x + r * 0.3, y), fill=tone, outline=ink, width=2)
        rounded(pen, (x - r * 0.7, y - r * 0.3, x + r * 0.7, box.bottom), radius=r * 0.3, fill=tone, ink=ink, line=2)
    elif kind == 2:
        skew = r * float(rng.uniform(-0.4, 0.4))
        book = [
            (x - r + skew, box.y),
            (x + r + skew, box.y + r * 0.2),
            (x + r, box.bottom),
            (x - r, box.bottom - r * 0.2),
        ]
        pen.polygon(book, fill=tone, outline=ink, width=2)
    else:
        stand(rng, sheet, x=x, foot=box.bottom, height=box.h)


def _title_page(rng: np.random.Generator, sheet: Sheet, room: Box) -> None:
    """A large title and a small drawing or a mark, much of the page left free."""
    heading(rng, sheet, Box(room.x, room.y + room.h * float(rng.uniform(0.02, 0.3)), room.w, room.h * 0.25))
    if rng.random() < 0.7:
        _people(rng, sheet, Box(room.x + room.w * 0.25, room.y + room.h * 0.55, room.w * 0.5, room.h * 0.25))
    elif rng.random() < 0.5:
        side = int(room.w * float(rng.uniform(0.15, 0.3)))
        mark = ground_for(rng, sheet.style.artist, sheet.features, width=side, height=side, line=1.0).finished()
        mask = Image.new("L", (side, side))
        ImageDraw.Draw(mask).ellipse((0, 0, side - 1, side - 1), fill=255)
        at = (int(room.x + (room.w - side) / 2), int(room.y + room.h * 0.6))
        sheet.image.paste(mark, at, mask)
    size = int(sheet.image.width * 0.03)
    for k in range(int(rng.integers(0, 4))):
        y = room.y + room.h * (0.86 + 0.045 * k)
        small_print(rng, sheet, " ".join(sentence(rng).split()[-2:]), centre=(room.x + room.w / 2, y), size=size)


def _cast_list(rng: np.random.Generator, sheet: Sheet, room: Box) -> None:
    """Figures in rows on the bare page, each with its name and a few words."""
    heading(rng, sheet, Box(room.x, room.y, room.w, room.h * 0.1))
    across, down = int(rng.integers(1, 4)), int(rng.integers(2, 4))
    w, h = room.w / across, room.h * 0.88 / down
    for k in range(across * down):
        x, y = room.x + (k % across) * w, room.y + room.h * 0.12 + (k // across) * h
        _people(rng, sheet, Box(x, y, w * (0.9 if across > 1 else 0.3), h * 0.7), most=1)
        words = Box(x, y + h * 0.74, w * 0.95, h * 0.22) if across > 1 else Box(x + w * 0.35, y, w * 0.6, h * 0.8)
        paragraph(rng, sheet, words)


def _people(rng: np.random.Generator, sheet: Sheet, room: Box, *, most: int = 3) -> None:
    for _ in range(int(rng.integers(1, most + 1))):
        x = room.x + room.w * float(rng.uniform(0.2, 0.8))
        tall = room.h * float(rng.uniform(0.8, 1.0))
        stand(rng, sheet, x=x, foot=room.bottom, height=tall)


def _tone(rng: np.random.Generator, sheet: Sheet, low: int, high: int) -> Colour:
    v = int(rng.integers(low, high))
    return (v, v, v) if sheet.style.grey else colour(rng, low, high)
