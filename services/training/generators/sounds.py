"""Drawn sounds: large words turned, curved, growing, outlined or shaded, in Latin letters or katakana."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from services.training.generators.artwork import Colour, colour
from services.training.generators.balloons import Spoken
from services.training.generators.fonts import LOUD, characters, face, glyph
from services.training.generators.sheets import Sheet
from shared.domain.schema import Box

WORDS = (
    "BOOM", "CRASH", "WHAM", "ZAP", "POW", "SPLASH", "THUD", "CLANG", "WHOOSH", "BANG", "CRACK", "SNAP", "Grrr", "BRRR",
    "tap tap", "Aaaah", "KRAK", "Zzz", "SHHH", "VROOM", "BZZZT", "clic", "PLOF", "RUMBLE", "HA HA HA",
)  # fmt: skip


def place_sound(rng: np.random.Generator, sheet: Sheet, box: Box, *, free: Callable[[Box], bool]) -> Spoken | None:
    """Draws a sound somewhere on a panel, at times across its edge, where it is free; None when no place was found."""
    size = int(min(box.w, box.h) * float(rng.uniform(0.1, 0.45)))
    if size < 9:
        return None
    eastern = sheet.style.manner == "manga" and rng.random() < 0.8
    mask, text = _drawn(rng, size=size, eastern=eastern)
    loose = 1.15 if sheet.features.breaking_out else 0.9
    shrink = min(box.w * loose / mask.width, box.h * loose / mask.height)
    if shrink < 1:
        mask = mask.resize((max(6, int(mask.width * shrink)), max(6, int(mask.height * shrink))))
    across = 0.35 if sheet.features.breaking_out and rng.random() < 0.3 else 0.0
    for _ in range(5):
        room_x, room_y = box.w - mask.width * (1 - 2 * across), box.h - mask.height * (1 - 2 * across)
        x = box.x - mask.width * across + room_x * float(rng.random())
        y = box.y - mask.height * across + room_y * float(rng.random())
        spot = Box(x, y, float(mask.width), float(mask.height))
        if free(spot):
            return _inked(rng, sheet, mask, at=(int(x), int(y)), text=text)
    return None


def _drawn(rng: np.random.Generator, *, size: int, eastern: bool) -> tuple[Image.Image, str]:
    """The letters of a sound as a mask cropped to its ink, placed one by one along a line, an arc or a growing row."""
    text = characters(rng, script="katakana", count=int(rng.integers(2, 6))) if eastern else str(rng.choice(WORDS))
    name = LOUD[int(rng.integers(len(LOUD)))]
    upright = eastern and rng.random() < 0.55
    grow = float(rng.uniform(0.75, 1.35)) if rng.random() < 0.5 else 1.0
    bend = float(rng.uniform(-0.16, 0.16)) if rng.random() < 0.5 else 0.0
    uneven = float(rng.choice([0.0, 0.06, 0.14]))
    sizes = [max(6, int(size * grow ** (k - len(text) / 2))) for k in range(len(text))]
    sizes = [min(s, size * 2) for s in sizes]
    side = sum(sizes) + 2 * max(sizes)
    mask = Image.new("L", (max(sizes) * 4, side) if upright else (side, max(sizes) * 4))
    along = float(max(sizes))
    for k, (sign, tall) in enumerate(zip(text, sizes, strict=True)):
        if sign == " ":
            along += tall * 0.4
            continue
        if eastern:
            letter = glyph(sign, tall, 3)
        else:
            letter = Image.new("L", (int(tall * 1.6), int(tall * 1.6)))
            ImageDraw.Draw(letter).text((tall * 0.8, tall * 0.8), sign, font=face(name, tall), fill=255, anchor="mm")
        turn = float(rng.normal(0, uneven * 90)) - bend * 60 * (k - len(text) / 2)
        letter = letter.rotate(turn, expand=True, resample=Image.Resampling.BILINEAR)
        sag = bend * size * (k - (len(text) - 1) / 2) ** 2 / max(1.0, len(text) / 3) + float(
            rng.normal(0, uneven * size)
        )
        step = tall if eastern else max(tall * 0.3, face(name, tall).getlength(sign) * 1.02)
        across = max(sizes) * 2 + sag
        at = (across, along + step / 2) if upright else (along + step / 2, across)
        spot = (int(at[0] - letter.width / 2), int(at[1] - letter.height / 2))
        mask.paste(255, spot, letter)
        along += step
    mask = mask.rotate(float(rng.normal(0, 16)), expand=True, resample=Image.Resampling.BILINEAR)
    return mask.crop(mask.getbbox() or (0, 0, 6, 6)), text


def _inked(rng: np.random.Generator, sheet: Sheet, mask: Image.Image, *, at: tuple[int, int], text: str) -> Spoken:
    """Fills and outlines a mask on the page; the box is that of all its ink on the page."""
    edge = int(np.clip(max(mask.size) * float(rng.choice([0.0, 0.012, 0.03])), 0, 6))
    pad = 2 * edge + 3
    padded = Image.new("L", (mask.width + 2 * pad, mask.height + 2 * pad))
    padded.paste(mask, (pad, pad))
    light: Colour = (255, 255, 255)
    dark: Colour = (0, 0, 0)
    fill = dark if rng.random() < 0.5 else light
    if not sheet.style.grey:
        fill = colour(rng)
    rim = light if sum(fill) < 380 else dark
    if edge == 0 and fill == light:
        edge = 1
    left, top = at[0] - pad, at[1] - pad
    whole = padded
    if edge:
        whole = padded.filter(ImageFilter.MaxFilter(2 * edge + 1))
        if rng.random() < 0.3:
            sheet.image.paste(fill, (left, top), whole.filter(ImageFilter.MaxFilter(3)))
        sheet.image.paste(rim, (left, top), whole)
    kind = rng.random()
    if kind < 0.3:
        ramp = Image.linear_gradient("L").resize(padded.size)
        second = (128, 128, 128) if sheet.style.grey else colour(rng)
        sheet.image.paste(fill, (left, top), padded)
        sheet.image.paste(second, (left, top), ImageChops.multiply(padded, ramp))
    elif kind < 0.4 and edge:
        pass  # hollow letters: the rim's colour only, with the scene's edge around it
    else:
        sheet.image.paste(fill, (left, top), padded)
    inked = whole.point([255 if v > 60 else 0 for v in range(256)]).getbbox() or (0, 0, 1, 1)
    box = Box(float(left + inked[0]), float(top + inked[1]), float(inked[2] - inked[0]), float(inked[3] - inked[1]))
    return Spoken(box, box, text)
