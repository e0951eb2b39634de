"""Made stories: comics of a shared world whose every panel is known, picture and words, panel by panel, page by page.

The same people, places, actions and hours return in all stories, so that a model trained on some can be tested on
others. A story is planned as data (`story_plan`) and then drawn; both are pure functions of the seed.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from services.training.generators import styles
from services.training.generators.artwork import Colour, Drawn, Figure, rounded
from services.training.generators.balloons import balloon
from services.training.generators.lettering import Lettering, lettering
from services.training.generators.sheets import Sheet
from services.training.generators.story_acts import ACTS
from services.training.generators.story_art import paint_place
from services.training.generators.story_canvas import HELD, Canvas, Stand, draw_somebody
from services.training.generators.story_plan import Shot, plan_story
from shared.domain.schema import Box, Direction, PagePanels, SpokenText

LETTERED = 0.38  # at most this share of a panel's height is given to words
REACH = {"wide": 0.66, "medium": 0.88, "near": 1.2}  # a figure's height over what the words leave
SMALLEST = 0.42  # of a figure's height over the panel's, unless the panel is narrow


@dataclass(frozen=True, eq=False)
class StoryPanel:
    """One panel and all that is true of it.

    `box` is in page pixels; `characters`, `place`, `action` and `time` are the names of what the picture shows, `stage`
    the panel's place (from 0) in its scene's action; `texts` is what is lettered in the panel, in reading order;
    `description` is a sentence about the picture.
    """

    box: Box
    characters: tuple[str, ...]
    place: str
    action: str
    time: str
    stage: int
    texts: tuple[SpokenText, ...]
    description: str


@dataclass(frozen=True, eq=False)
class StoryPage:
    """One page, RGB, with the truth a detector wants and its panels in reading order."""

    image: Image.Image
    truth: PagePanels
    panels: tuple[StoryPanel, ...]


@dataclass(frozen=True, eq=False)
class Story:
    """The comic of a seed."""

    seed: int
    title: str
    pages: tuple[StoryPage, ...]


def make_story(
    seed: int, *, pages: int = 4, width: int = 480, height: int = 680, direction: Direction = Direction.LTR
) -> Story:
    """The story of a seed on `pages` (at least 1) of `width` × `height` pixels; the same arguments, the same pixels."""
    plan = plan_story(seed, pages=pages, width=width, height=height, direction=direction)
    rng = np.random.default_rng([seed, 2])
    style = replace(styles.readable(rng), direction=direction, border_width=float(rng.uniform(0.002, 0.008)))
    if rng.random() < 0.4:
        v = int(rng.integers(0, 256))
        style = replace(style, paper=(v, v, min(255, v + int(rng.integers(0, 20)))), border=(0, 0, 0))
    if rng.random() < 0.25:
        style = replace(style, rounded=float(rng.uniform(0.02, 0.08)))
    shift = rng.normal(0, 14, 3)
    made = []
    for shots in plan.pages:
        sheet = Sheet(Image.new("RGB", (width, height), style.paper), style)
        panels = tuple(_panel(rng, sheet, shot, shift + rng.normal(0, 9, 3)) for shot in shots)
        finished = sheet.finished()
        made.append(StoryPage(finished.image, finished.truth, panels))
    return Story(seed, plan.title, tuple(made))


def _panel(rng: np.random.Generator, sheet: Sheet, shot: Shot, shift: NDArray[np.float64]) -> StoryPanel:
    box, (w, h) = shot.box, (int(shot.box.w), int(shot.box.h))
    placed = _placed(rng, sheet, shot)
    top = max((y + tall for _, _, (_, y, _, tall) in placed), default=0.0)
    line = max(1, round(sheet.image.width / 480))
    r, g, b = (float(v) for v in shift)
    canvas = Canvas(Image.new("RGB", (w, h)), rng, shot.hour.light, (r, g, b), top, line)
    paint_place(canvas, shot.scene.place.name, hour=shot.hour, clock=shot.clock)
    people = _people(canvas, shot)
    mouths = dict(zip((shot.scene.actor.name, *(who.name for who in shot.friends)), people, strict=True))
    words: list[Box] = []
    for text, piece, spot in placed:
        words.append(_letter(rng, canvas, text, piece, spot, mouths))
    _mount(sheet, canvas.image, box)
    for drawn in people:
        sheet.add("character", _moved(drawn.whole, box), within=box)
        if drawn.face is not None:
            sheet.add("face", _moved(drawn.face, box), within=box)
    for part in words:
        sheet.add("text", _moved(part, box), within=box)
    texts = tuple(text.model_copy(update={"text": piece.text}) for text, piece, _ in placed)
    sheet.panels.append(box)
    sheet.texts.append([text.text for text in texts])
    return StoryPanel(
        box=box,
        characters=tuple(mouths),
        place=shot.scene.place.name,
        action=shot.scene.action.name,
        time=shot.hour.name,
        stage=shot.stage,
        texts=texts,
        description=shot.description,
    )


def _moved(box: Box, panel: Box) -> Box:
    return Box(box.x + panel.x, box.y + panel.y, box.w, box.h)


def _mount(sheet: Sheet, picture: Image.Image, box: Box) -> None:
    """Puts a panel's picture on the page, in its frame."""
    corners = (box.x, box.y, box.right - 1, box.bottom - 1)
    pen = ImageDraw.Draw(sheet.image)
    line = max(1, round(sheet.style.border_width * sheet.image.width))
    if not sheet.style.rounded:
        sheet.image.paste(picture, (int(box.x), int(box.y)))
        pen.rectangle(corners, outline=sheet.style.border, width=line)
        return
    radius = sheet.style.rounded * min(box.w, box.h)
    mask = Image.new("L", picture.size)
    rounded(ImageDraw.Draw(mask), (0, 0, box.w - 1, box.h - 1), radius=radius, fill=255)
    sheet.image.paste(picture, (int(box.x), int(box.y)), mask)
    rounded(pen, corners, radius=radius, fill=None, ink=sheet.style.border, line=line)


def _people(canvas: Canvas, shot: Shot) -> list[Drawn]:
    """Draws who is there, the actor in front and further to the right the further the action has come."""
    rng, w, h = canvas.rng, canvas.w, canvas.h
    room = h - 0.9 * canvas.top
    near, side, action = shot.framing == "near", -1 if shot.mirrored else 1, shot.scene.action
    beast = shot.scene.actor.looks.beast
    behind, ahead = max(action.behind, 0.65 * beast), max(action.ahead, 0.75 * beast)
    friendly = [(0.85 if who.looks.beast else 0.5) for who in shot.friends]  # heights that each takes behind the actor
    behind += sum(friendly)
    size = REACH[shot.framing] * room * float(rng.uniform(0.9, 1.05)) / action.high
    tall = min(max(size, SMALLEST * h), 0.98 * w / (behind + ahead) * (1.3 if near else 1.0))
    foot = h * 0.97 + max(0.0, tall - 0.92 * room) if near else h * float(rng.uniform(0.93, 0.97))
    left, right = (behind, ahead) if side > 0 else (ahead, behind)
    lowest, highest = left * tall, w - right * tall
    if lowest > highest:  # from so near, some of it is cut off on both sides
        lowest, highest = highest, lowest
    x = lowest + (highest - lowest) * (0.15 + 0.6 * shot.progress + float(rng.uniform(-0.1, 0.1)))

    def looks(who: Figure) -> Figure:
        return replace(
            who, line=canvas.line, skin=canvas.lit(who.skin, amount=HELD), hair=canvas.lit(who.hair, amount=HELD),
            coat=canvas.lit(who.coat, amount=HELD), legs=canvas.lit(who.legs, amount=HELD),
        )  # fmt: skip

    friends = []
    for k, friend in enumerate(shot.friends):
        back = behind - sum(friendly[k:]) + friendly[k] / 2
        spot = min(max(x - side * tall * back, 0.08 * w), 0.92 * w)
        size = tall * float(rng.uniform(0.72, 0.85))
        friends.append(draw_somebody(canvas, looks(friend.looks), x=spot, foot=foot - 0.04 * h, tall=size))
    stand = Stand(canvas, looks(shot.scene.actor.looks), x, foot, tall, side, shot.progress)
    return [ACTS[shot.scene.action.name](stand), *friends]


Placed = tuple[SpokenText, Lettering, tuple[float, float, float, float]]


def _placed(rng: np.random.Generator, sheet: Sheet, shot: Shot) -> list[Placed]:
    """The texts that fit, set in the panel's upper part in rows, each with the x, y, w, h of its balloon."""
    w, h = shot.box.w, shot.box.h
    pad = max(4.0, sheet.style.border_width * sheet.image.width + 2, sheet.style.rounded * min(w, h) * 0.4)
    usual = max(8, round(sheet.image.width * sheet.style.letter * float(rng.uniform(0.88, 1.12))))
    shares = (0.42, 0.6, 0.9) if w > 0.42 * sheet.image.width else (0.9,)  # of the panel's width, for one text
    made: list[Placed] = []
    y, x, row = pad, pad, 0.0
    for text in shot.texts:
        found = None
        for size in range(usual, min(usual, max(7, round(usual * 0.7))) - 1, -1):
            for share in shares:
                letters = max(5, int((w - 2 * pad) * share / (size * 0.56)))
                piece = lettering(rng, text.text, size=size, letters=letters)
                wide, high = _outer(piece, text)
                if x + wide <= w - pad and y + high <= LETTERED * h:
                    found = (x, y, wide, high)
                elif wide <= w - 2 * pad and (y + row + high <= LETTERED * h or (not made and high <= 0.45 * h)):
                    found = (pad, y + row, wide, high)
                if found:
                    break
            if found:
                break
        if not found:
            continue
        made.append((text, piece, found))
        if found[1] > y:
            y, row = found[1], 0.0
        row = max(row, found[3] + 2)
        x = found[0] + found[2] + 3
    return _spread(rng, made, w, pad, rtl=sheet.style.direction is Direction.RTL)


def _outer(piece: Lettering, text: SpokenText) -> tuple[float, float]:
    """Width and height of the balloon that `balloon` will draw around a piece."""
    slack = {"narration": 1.06, "dialogue": 1.12, "sound": 1.45 * 1.22}[text.kind]
    return piece.width * slack + piece.size * 0.9 + 2, piece.height * slack + piece.size * 0.8 + 2


def _spread(rng: np.random.Generator, made: list[Placed], w: float, pad: float, *, rtl: bool) -> list[Placed]:
    """Shares out each row's spare width, and turns rows around where reading goes from right to left."""
    rows: dict[float, list[Placed]] = {}
    for one in made:
        rows.setdefault(one[2][1], []).append(one)
    spread: list[Placed] = []
    for row in rows.values():
        spare = w - 2 * pad - sum(one[2][2] + 3 for one in row)
        at = 0.0
        for text, piece, (x, y, wide, high) in row:
            gap = float(rng.uniform(0, max(0.0, spare))) if text.kind == "dialogue" else 0.0
            spare -= gap
            at += gap
            moved = x + at
            spread.append((text, piece, (w - moved - wide if rtl else moved, y, wide, high)))
    return spread


def _letter(
    rng: np.random.Generator,
    canvas: Canvas,
    text: SpokenText,
    piece: Lettering,
    spot: tuple[float, float, float, float],
    people: dict[str, Drawn],
) -> Box:
    """Letters one text at its place and returns the box of its words, in panel pixels."""
    x, y, wide, high = spot
    shape = {"narration": "caption", "dialogue": "round", "sound": "spiked"}[text.kind]
    cx, cy = x + wide / 2, y + high / 2
    tip = None
    if text.speaker in people:
        mx, my = people[text.speaker].mouth
        tip = (cx + 0.8 * (mx - cx), cy + 0.8 * (my - cy))  # the tail stays off the face
    fill: Colour = {"narration": (255, 250, 205), "sound": (255, 226, 60)}.get(text.kind, (255, 255, 255))
    made = balloon(
        rng, canvas.image, piece, centre=(cx, cy), speaker=tip, line=canvas.line, shape=shape,
        fill=fill,
    )  # fmt: skip
    return made.words
