"""What is easily taken for a panel: bars and boxes of narration, huge balloons; and signs within scenes."""

from dataclasses import replace

import numpy as np

from services.training.generators.artwork import colour
from services.training.generators.balloons import SLACK, Inking, Spoken, balloon, ink_shapes
from services.training.generators.fonts import LOUD
from services.training.generators.lettering import Lettering, lettering, sentence, signs, write
from services.training.generators.outlines import rectangle
from services.training.generators.sheets import hand_of
from services.training.generators.talk import Talk, piece_of_speech
from shared.domain.geometry import intersection
from shared.domain.schema import Box


def narrate(rng: np.random.Generator, talk: Talk) -> None:
    """A bar of narration, a box as large as a small panel, or a huge balloon; nothing where there is no room."""
    sheet = talk.sheet
    kind = str(rng.choice(["bar", "box", "huge"], p=[0.25, 0.5, 0.25]))
    room = _room(rng, talk.box, kind, loose=sheet.features.breaking_out)
    if not talk.free(room) or min(room.w, room.h) < sheet.image.width * 0.035:
        return
    inner = 0.62 if kind == "huge" else 0.88
    for words in (int(rng.integers(1, 6)), 1, 0):
        piece = piece_of_speech(
            rng, sheet, widest=room.w * inner, tallest=room.h * inner, words=words, wide=kind != "huge"
        )
        if piece.width < room.w * inner and piece.height < room.h * inner:
            break
    else:
        return
    fill, ink = sheet.style.balloon_colours(rng, caption=kind != "huge")
    line = 0.0 if rng.random() < 0.2 else max(0.7, sheet.image.width * float(rng.uniform(0.001, 0.005)))
    centre = (room.x + room.w / 2, room.y + room.h / 2)
    if kind == "huge":
        shape = str(rng.choice(["oval", "round", "wobbly", "spiked"]))
        slack = SLACK[shape] * (1.25 if shape == "spiked" else 1.03)
        wider = Lettering("", (), piece.size, (room.w - piece.size) / slack, (room.h - piece.size) / slack)
        who = talk.people[0][0] if talk.people and rng.random() < 0.7 else None
        around = balloon(
            rng, sheet.image, wider, centre=centre, speaker=who.mouth if who else None, line=line, shape=shape,
            fill=fill, ink=ink,
        )  # fmt: skip
        words_box = write(rng, sheet.image, piece, centre=centre, ink=ink)
        talk.keep("balloon", Spoken(words_box, around.outer, piece.text), speaker=who)
        return
    if max(abs(a - b) for a, b in zip(fill, sheet.style.paper, strict=True)) < 60:
        # Without a line a box of the paper's colour at the edge would take that edge away from its panel.
        line = max(line, 1.0)
    box = rectangle(room)
    ink_shapes(sheet.image, [box], Inking(fill, ink, line))
    align = "left" if rng.random() < 0.4 else "middle"
    words_box = write(rng, sheet.image, piece, centre=centre, ink=ink, align=align)
    talk.keep("caption", Spoken(words_box, room, piece.text))


def _room(rng: np.random.Generator, box: Box, kind: str, *, loose: bool) -> Box:
    """Where narration stands: along the top or bottom, at times hanging over the frame; in a corner; high up."""
    if kind == "bar":
        wide, high = box.w * float(rng.choice([1.0, rng.uniform(0.6, 1.0)])), box.h * float(rng.uniform(0.1, 0.3))
        over = high * float(rng.choice([0.0, 0.0, 0.5, rng.uniform(0.1, 0.4)])) if loose else 0.0
        y = box.y - over if rng.random() < 0.6 else box.bottom - high + over
        return Box(box.x + (box.w - wide) * float(rng.choice([0, 0.5, 1])), y, wide, high)
    if kind == "huge":
        wide, high = box.w * float(rng.uniform(0.5, 0.85)), box.h * float(rng.uniform(0.35, 0.6))
        return Box(box.x + (box.w - wide) * float(rng.random()), box.y + (box.h - high) * 0.3, wide, high)
    wide, high = box.w * float(rng.uniform(0.25, 0.6)), box.h * float(rng.uniform(0.2, 0.5))
    gap = box.w * float(rng.uniform(0.0, 0.06))
    x = box.x + gap if rng.random() < 0.5 else box.right - wide - gap
    y = box.y + gap if rng.random() < 0.5 else box.bottom - high - gap
    return Box(x, y, wide, high)


def post_sign(rng: np.random.Generator, talk: Talk) -> None:
    """A sign, a label or a poster in the scene, seen a little from the side."""
    sheet, box = talk.sheet, talk.box
    size = max(7, int(min(box.w, box.h) * float(rng.uniform(0.05, 0.13))))
    hand = replace(hand_of(rng, sheet), face=LOUD[int(rng.integers(len(LOUD)))], upper=True)
    if hand.script == "latin":
        text = " ".join(sentence(rng).strip(".?!").split()[-int(rng.integers(1, 3)) :])
        piece = lettering(rng, text, size=size, letters=10, hand=hand)
    else:
        piece = signs(rng, hand, size=size, widest=box.w * 0.3, tallest=box.h * 0.4, count=1)
    wide, high = piece.width + size * 1.2, piece.height + size * 1.0
    if wide > box.w * 0.6 or high > box.h * 0.5:
        return
    x = box.x + wide / 2 + (box.w - wide) * float(rng.random())
    y = box.y + high / 2 + (box.h - high) * float(rng.random()) * 0.7
    spot = Box(x - wide / 2, y - high / 2, wide, high)
    if not talk.free(spot) or any(intersection(spot, d.whole) > 0 for d, _ in talk.people):
        return
    lean = float(rng.uniform(-0.16, 0.16)) * high
    left, right = x - wide / 2, x + wide / 2
    board = [(left, y - high / 2), (right, y - high / 2 - lean), (right, y + high / 2 + lean), (left, y + high / 2)]
    tone = int(rng.choice([255, 235, 180, 40]))
    fill = (tone, tone, tone) if sheet.style.grey else colour(rng)
    ink = (0, 0, 0) if sum(fill) > 380 else (255, 255, 255)
    ink_shapes(sheet.image, [board], Inking(fill, (0, 0, 0), float(rng.choice([0.0, 1.0, 2.0]))))
    words = write(rng, sheet.image, piece, centre=(x, y), ink=ink)
    talk.keep("lettering", Spoken(words, spot, piece.text))
