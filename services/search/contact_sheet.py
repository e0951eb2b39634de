"""A contact sheet: queries on the left, what was found for them beside, best first, as one picture."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from shared.domain.pictures import Picture

_PAPER, _CARD, _INK, _SOFT, _LINE, _ACCENT = "#f4f2ee", "#ffffff", "#1f2328", "#6b7280", "#dedad2", "#b4452f"
_MARGIN, _GAP, _PAD = 48, 20, 14
_QUERY, _HIT, _PICTURE, _CAPTION = 320, 284, 204, 46


@dataclass(frozen=True, eq=False)
class ContactRow:
    """One query and its hits: `query_image` (H, W, 3) uint8, or `query_text`, or both; hits best first.

    A hit is its picture (H, W, 3) uint8 and a caption of up to two lines, the first of them set stronger.
    """

    title: str
    hits: Sequence[tuple[Picture, str]]
    query_image: Picture | None = None
    query_text: str | None = None


def contact_sheet(rows: Sequence[ContactRow], *, title: str = "", subtitle: str = "") -> Image.Image:
    """The sheet as an RGB image, as wide as its longest row needs; rows without hits say so."""
    columns = max((len(row.hits) for row in rows), default=0)
    width = 2 * _MARGIN + _QUERY + max(columns, 2) * (_HIT + _GAP) + _GAP
    card = _PICTURE + _CAPTION + 2 * _PAD
    head = (92 if title else 0) + (8 if title and not subtitle else 0)
    row_height = 40 + card + 36
    sheet = Image.new("RGB", (width, 2 * _MARGIN + head + row_height * len(rows) - (36 if rows else 0)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((_MARGIN, _MARGIN - 8), title, fill=_INK, font=_font(34))
        draw.text((_MARGIN, _MARGIN + 40), subtitle, fill=_SOFT, font=_font(17))
    for number, row in enumerate(rows):
        top = _MARGIN + head + number * row_height
        _row(sheet, draw, row, top=top, card=card)
    return sheet


def _row(sheet: Image.Image, draw: ImageDraw.ImageDraw, row: ContactRow, *, top: int, card: int) -> None:
    draw.text((_MARGIN, top), _fitted(row.title, 21, sheet.width - 2 * _MARGIN), fill=_INK, font=_font(21))
    top += 40
    _query(sheet, draw, row, (_MARGIN, top, _MARGIN + _QUERY, top + card))
    left = _MARGIN + _QUERY + 2 * _GAP
    if not row.hits:
        draw.text((left, top + card // 2 - 12), "nothing found", fill=_SOFT, font=_font(20))
    for rank, (picture, caption) in enumerate(row.hits, 1):
        draw.rounded_rectangle((left, top, left + _HIT, top + card), 10, fill=_CARD, outline=_LINE)
        _place(sheet, picture, (left + 10, top + _PAD, left + _HIT - 10, top + _PAD + _PICTURE))
        for line, text in enumerate(caption.splitlines()[:2]):
            size, colour = (16, _INK) if line == 0 else (14, _SOFT)
            place = (left + 12, top + _PAD + _PICTURE + 9 + 22 * line)
            draw.text(place, _fitted(text, size, _HIT - 24), fill=colour, font=_font(size))
        _badge(sheet, str(rank), (left + 4, top + 4))
        left += _HIT + _GAP


def _query(sheet: Image.Image, draw: ImageDraw.ImageDraw, row: ContactRow, area: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = area
    draw.rounded_rectangle(area, 10, fill=_CARD, outline=_ACCENT, width=3)
    inner = (left + _PAD, top + _PAD, right - _PAD, bottom - _PAD)
    if row.query_text is None:
        if row.query_image is not None:
            _place(sheet, row.query_image, inner)
        return
    if row.query_image is not None:
        _place(sheet, row.query_image, (*inner[:3], bottom - 76))
        inner = (inner[0], bottom - 70, inner[2], inner[3])
    size = 26 if row.query_image is None else 18
    lines = textwrap.wrap(f"“{row.query_text}”", width=max(8, int((inner[2] - inner[0]) / (size * 0.55))))
    most = max(1, (inner[3] - inner[1]) // int(size * 1.35))
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1][:-1] + "…"]
    draw.multiline_text(
        ((inner[0] + inner[2]) // 2, (inner[1] + inner[3]) // 2),
        "\n".join(lines),
        fill=_INK,
        font=_font(size),
        anchor="mm",
        align="center",
        spacing=int(size * 0.3),
    )


def _place(sheet: Image.Image, picture: Picture, area: tuple[int, int, int, int]) -> None:
    """The whole picture, as large as it fits, centred in `area`."""
    room = (area[2] - area[0], area[3] - area[1])
    image = Image.fromarray(picture)
    scale = min(room[0] / image.width, room[1] / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    sheet.paste(image, (area[0] + (room[0] - image.width) // 2, area[1] + (room[1] - image.height) // 2))


def _badge(sheet: Image.Image, text: str, centre: tuple[int, int]) -> None:
    """A number on a round spot; drawn four times as large and reduced, since Pillow's circles have hard edges."""
    spot = Image.new("L", (128, 128))
    ImageDraw.Draw(spot).ellipse((8, 8, 120, 120), fill=255)
    spot = spot.resize((32, 32), Image.Resampling.LANCZOS)
    sheet.paste(_INK, (centre[0] - 16, centre[1] - 16), spot)
    ImageDraw.Draw(sheet).text(centre, text, fill="white", font=_font(15), anchor="mm")


def _fitted(text: str, size: int, room: int) -> str:
    """`text`, cut with an ellipsis where it would be wider than `room` pixels."""
    font = _font(size)
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text.rstrip() + "…"


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
