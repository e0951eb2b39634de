"""What stands around the panels of a made page: titles, running heads, page numbers, credits, watermarks."""

import numpy as np
from PIL import Image, ImageDraw

from services.training.generators.artwork import Colour
from services.training.generators.lettering import lettering, sentence, write
from services.training.generators.sheets import Sheet, contrast, heading
from shared.domain.schema import Box


def small_print(
    rng: np.random.Generator,
    sheet: Sheet,
    words: str,
    *,
    centre: tuple[float, float],
    size: int,
    ink: Colour | None = None,
) -> None:
    """One line of small lettering; left out where it would not fit on the page."""
    piece = lettering(rng, words, size=max(6, size), letters=200)
    x = min(max(centre[0], piece.width / 2 + 2), sheet.image.width - piece.width / 2 - 2)
    if piece.width < sheet.image.width - 4 and 0 < centre[1] < sheet.image.height:
        around = Box(x - piece.width / 2, centre[1] - piece.height / 2, piece.width, piece.height)
        box = write(rng, sheet.image, piece, centre=(x, centre[1]), ink=ink or readable_ink(sheet, around))
        sheet.add("text", box)


def mean_colour(sheet: Sheet, box: Box) -> Colour:
    """The mean colour of a part of the page."""
    left, top = max(0, int(box.x)), max(0, int(box.y))
    part = sheet.image.crop((left, top, max(left + 1, int(box.right)), max(top + 1, int(box.bottom))))
    r, g, b = (int(v) for v in np.asarray(part.resize((1, 1), Image.Resampling.BOX))[0, 0])
    return r, g, b


def readable_ink(sheet: Sheet, box: Box) -> Colour:
    """Black or white, whichever can be read there."""
    return (0, 0, 0) if sum(mean_colour(sheet, box)) > 380 else (250, 250, 250)


def furnish(rng: np.random.Generator, sheet: Sheet, frame: Box) -> None:
    """Running head, page number, rules and a watermark in the margins outside `frame`, each on some pages."""
    width, height = sheet.image.size
    size = max(6, int(width * float(rng.uniform(0.014, 0.022))))
    if height - frame.bottom > size * 1.4 and rng.random() < 0.45:
        number = str(int(rng.integers(1, 300)))
        words = number if rng.random() < 0.75 else f"- {number} -"
        x = width * float(rng.choice([0.08, 0.5, 0.92]))
        small_print(rng, sheet, words, centre=(x, (frame.bottom + height) / 2), size=size)
    if frame.y > size * 1.6 and rng.random() < 0.15:
        y = frame.y / 2
        small_print(rng, sheet, _words(rng, 2, 5), centre=(width * float(rng.choice([0.2, 0.5, 0.8])), y), size=size)
        if rng.random() < 0.3:
            pen = ImageDraw.Draw(sheet.image)
            pen.line((frame.x, y + size, frame.right, y + size), fill=contrast(sheet), width=1)
    if rng.random() < 0.06:
        site = "".join(_words(rng, 2, 3).split()).lower() + str(rng.choice([".example", ".test", " archive"]))
        x = width * float(rng.choice([0.15, 0.5, 0.85]))
        ink = (150, 150, 150) if rng.random() < 0.5 else None
        small_print(rng, sheet, site, centre=(x, height - size), size=size, ink=ink)


def entitle(rng: np.random.Generator, sheet: Sheet, frame: Box) -> Box:
    """A title above the first panel; returns the room left for panels."""
    tall = frame.h * float(rng.uniform(0.06, 0.24))
    heading(rng, sheet, Box(frame.x, frame.y, frame.w, tall))
    if tall > 50 and rng.random() < 0.5:
        size = max(7, int(sheet.image.width * 0.022))
        small_print(rng, sheet, _words(rng, 3, 6), centre=(frame.x + frame.w / 2, frame.y + tall * 0.86), size=size)
    return Box(frame.x, frame.y + tall, frame.w, frame.h - tall)


def _words(rng: np.random.Generator, least: int, most: int) -> str:
    words = sentence(rng).split()
    return " ".join(words[-int(rng.integers(least, most + 1)) :])
