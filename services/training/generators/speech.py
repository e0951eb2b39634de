"""What is said on a page: balloons, captions, narration and sounds, placed so that no lettering covers another."""

import numpy as np

from services.training.generators.artwork import Drawn
from services.training.generators.balloons import TAILS, Inking, Spoken, balloon, ink_shapes, size_of
from services.training.generators.layouts import Cell
from services.training.generators.lettering import lettering, sentence
from services.training.generators.made import MarkKind
from services.training.generators.narration import narrate, post_sign
from services.training.generators.sheets import Sheet
from services.training.generators.sounds import place_sound
from services.training.generators.talk import People, Talk, hides, piece_of_speech
from shared.domain.geometry import intersection
from shared.domain.schema import Box

SHAPES = ("oval", "round", "wobbly", "cloud", "spiked", "jagged", "caption", "plain")


def speak(rng: np.random.Generator, sheet: Sheet, cell: Cell, people: People, covered: list[Box]) -> list[Spoken]:
    """Balloons, captions and sounds of one panel, in the order they were placed; `covered` is kept free of them."""
    talk = Talk(sheet, cell, people, covered)
    if sheet.style.tidy:
        _speak_tidily(rng, talk)
        return talk.said
    if sheet.features.sounds and rng.random() < sheet.style.effects:
        spoken = place_sound(rng, sheet, cell.box, free=talk.free)
        if spoken is not None:
            talk.keep("sound", spoken)
    if sheet.features.boxes_of_text and rng.random() < 0.17:
        narrate(rng, talk)
    if rng.random() < 0.05:
        post_sign(rng, talk)
    line = max(0.6, sheet.image.width * float(rng.uniform(0.001, 0.004)))
    for n in range(sheet.style.balloons(rng)):
        _say(rng, talk, turn=n, line=line)
    return talk.said


def _speak_tidily(rng: np.random.Generator, talk: Talk) -> None:
    """Plain readable balloons wholly inside the panel, off the faces where there is room."""
    sheet, box = talk.sheet, talk.box
    line = max(1, int(sheet.image.width * float(rng.uniform(0.0, 0.004))))
    for n in range(sheet.style.balloons(rng)):
        size = max(6, int(sheet.image.width * sheet.style.letter * float(rng.uniform(0.85, 1.25))))
        text = sentence(rng)
        letters = max(5, int(min(box.w / size, 6 + len(text) ** 0.5 * float(rng.uniform(1.5, 2.6)))))
        piece = lettering(rng, text, size=size, letters=letters)
        shape = sheet.style.balloon(rng, spoken=bool(talk.people))
        wide, high = piece.width * 1.6 + 2 * size, piece.height * 1.6 + 2 * size
        if wide > box.w or high > box.h:
            continue
        for trial in range(40):
            x = box.x + wide / 2 + (box.w - wide) * float(rng.random())
            y = box.y + high / 2 + (box.h - high) * float(rng.random() ** 1.8)
            spot = Box(x - wide / 2, y - high / 2, wide, high)
            if talk.free(spot) and (trial > 25 or not hides(spot, talk.people)):
                break
        else:
            continue
        who = talk.people[n % len(talk.people)][0] if talk.people else None
        made = balloon(
            rng, sheet.image, piece, centre=(x, y), speaker=who.mouth if who else None, line=line, shape=shape
        )
        talk.keep("caption" if shape == "caption" else "balloon", made, speaker=who)


def _say(rng: np.random.Generator, talk: Talk, *, turn: int, line: float) -> None:
    """One balloon, caption or bare piece of lettering, and at times a second balloon grown onto it."""
    sheet, box, style = talk.sheet, talk.box, talk.sheet.style
    shape = _shape(rng, talk)
    ragged = 1.22 if shape in ("spiked", "jagged") else 1.04
    for words in (int(rng.integers(1, 4)) if rng.random() < 0.85 else 5, 1, 0):
        piece = piece_of_speech(rng, sheet, widest=box.w * 0.75, tallest=box.h * 0.55, words=words)
        wide, high = (side * ragged for side in size_of(piece, shape))
        if wide < box.w and high < box.h * 0.8:
            break
    else:
        return
    loose = sheet.features.breaking_out
    across = loose and shape not in ("caption", "plain") and rng.random() < style.crossing
    found = None
    for trial in range(12):
        x, y = _spot(
            rng, box, wide=wide * ragged, high=high * ragged, across=across, caption=shape == "caption", loose=loose
        )
        spot = Box(x - wide * ragged / 2, y - high * ragged / 2, wide * ragged, high * ragged)
        if talk.free(spot) and (trial > 6 or not hides(spot, talk.people)):
            found = (x, y)
            break
    if found is None:
        return
    who = talk.people[turn % len(talk.people)][0] if talk.people else None
    aim = who.mouth if who is not None and rng.random() < 0.85 else None
    if aim is None and rng.random() < 0.5:
        # Somebody outside the picture speaks: the tail leads to the panel's edge.
        aim = (box.x + box.w * float(rng.choice([0, 1])), box.y + box.h * float(rng.random()))
        who = None
    fill, ink = style.balloon_colours(rng, caption=shape == "caption")
    bare = shape != "caption" and rng.random() < 0.08
    kind = {"cloud": "bubbles", "jagged": "zigzag"}.get(shape, TAILS[int(rng.integers(3))])
    if rng.random() < 0.15:
        aim = None
    butted = not across and shape not in ("plain", "caption") and rng.random() < 0.5
    made = balloon(
        rng,
        sheet.image,
        piece,
        centre=found,
        speaker=aim,
        line=0.0 if bare else line,
        shape=shape,
        fill=fill,
        ink=ink,
        kind=kind,
        opacity=float(rng.uniform(0.55, 0.9)) if rng.random() < 0.06 else 1.0,
        within=talk.cell.polygon if butted else None,
    )
    mark: MarkKind = "caption" if shape == "caption" else "lettering" if shape == "plain" else "balloon"
    talk.keep(mark, made, speaker=who if mark == "balloon" else None)
    if mark == "balloon" and not across and rng.random() < 0.14:
        _grow(rng, talk, first=made, line=0.0 if bare else line, who=who, inking=Inking(fill, ink, line))


def _shape(rng: np.random.Generator, talk: Talk) -> str:
    if not talk.people and rng.random() < 0.5:
        return "caption" if rng.random() < 0.75 else "plain"
    share = [0.34, 0.2, 0.1, 0.07, 0.06, 0.06, 0.12, 0.05]
    if talk.sheet.style.vertical:
        share = [0.4, 0.13, 0.14, 0.06, 0.11, 0.03, 0.05, 0.08]
    return str(rng.choice(SHAPES, p=share))


def _spot(
    rng: np.random.Generator, box: Box, *, wide: float, high: float, across: bool, caption: bool, loose: bool
) -> tuple[float, float]:
    """A centre for a balloon: inside, against a side, in a corner, or across the panel's edge."""
    left, right = box.x + wide / 2, box.right - wide / 2
    top, bottom = box.y + high / 2, box.bottom - high / 2
    x = float(rng.uniform(left, right)) if right > left else box.x + box.w / 2
    y = top + max(0.0, bottom - top) * float(rng.random() ** 1.8)
    if across:
        out = float(rng.uniform(-0.1, 0.45))
        side = int(rng.choice(4, p=[0.4, 0.2, 0.2, 0.2]))
        if side == 0:
            y = box.y + high * (0.5 - out)
        elif side == 1:
            y = box.bottom - high * (0.5 - out)
        elif side == 2:
            x = box.x + wide * (0.5 - out)
        else:
            x = box.right - wide * (0.5 - out)
    elif caption and rng.random() < 0.75:
        # Captions sit in corners, touching the frame, a little inside or a little over it.
        over = -float(rng.uniform(0.01, 0.03)) if loose else 0.0
        gap = float(rng.choice([0.0, rng.uniform(0.01, 0.05), over])) * box.w
        x = left + gap if rng.random() < 0.65 else right - gap
        y = top + gap if rng.random() < 0.7 else bottom - gap
    elif loose and rng.random() < 0.3:
        y = top + high * float(rng.uniform(-0.08, 0.0))
    return x, y


def _grow(
    rng: np.random.Generator, talk: Talk, *, first: Spoken, line: float, who: Drawn | None, inking: Inking
) -> None:
    """A second balloon of the same speaker, joined to the first by a band."""
    sheet, box = talk.sheet, talk.box
    piece = piece_of_speech(rng, sheet, widest=box.w * 0.5, tallest=box.h * 0.4, words=1)
    wide, high = size_of(piece, "oval")
    x = first.outer.x + first.outer.w / 2 + (first.outer.w + wide) / 2 * float(rng.uniform(-0.7, 0.7))
    y = first.outer.bottom + high * float(rng.uniform(0.46, 0.9))
    top = max(y - high / 2, first.outer.bottom + 1)
    spot = Box(x - wide / 2, top, wide, y + high / 2 - top)
    if intersection(spot, box) < spot.area or not talk.free(spot):
        return
    middle = (first.outer.x + first.outer.w / 2, first.outer.bottom - first.outer.h * 0.12)
    band = max(2.0, min(wide, first.outer.w) * 0.08)
    join = [(middle[0] - band, middle[1]), (middle[0] + band, middle[1]), (x + band, y), (x - band, y)]
    ink_shapes(sheet.image, [join], Inking(inking.fill, inking.ink, line))
    made = balloon(
        rng, sheet.image, piece, centre=(x, y), speaker=None, line=line, shape="oval", fill=inking.fill, ink=inking.ink
    )
    talk.keep("balloon", made, speaker=who)
