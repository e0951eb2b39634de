"""What happens in a made story, decided before anything is drawn: scenes, their stages, the shots, the words.

The day goes on from shot to shot and an action from stage to stage, so that the order of panels and of pages can be
told from what they show and say.
"""

from dataclasses import dataclass

import numpy as np

from services.training.generators.layouts import Cuts, bounds, divide, rectangle
from services.training.generators.story_script import describe, script
from services.training.generators.story_world import ACTIONS, CAST, PLACES, Action, Character, Hour, Place, hour_at
from shared.domain.reading_order import reading_order
from shared.domain.schema import Box, Direction, SpokenText

FRAMINGS = ("wide", "medium", "near")
COUNTS = (0.08, 0.14, 0.2, 0.24, 0.18, 0.16)  # chances of 1 to 6 panels on a page


@dataclass(frozen=True)
class Scene:
    """Somebody does something somewhere, in `stages` stages; `friends` look on in some of them."""

    actor: Character
    friends: tuple[Character, ...]
    action: Action
    place: Place
    stages: int


@dataclass(frozen=True)
class Shot:
    """One panel as planned: `clock` is the moment of the day, 0 to 1; `texts` may turn out too long to be lettered."""

    box: Box
    scene: Scene
    stage: int
    friends: tuple[Character, ...]
    clock: float
    hour: Hour
    framing: str
    mirrored: bool
    texts: tuple[SpokenText, ...]
    description: str

    @property
    def progress(self) -> float:
        """How far the action has come, 0 to 1."""
        return self.stage / (self.scene.stages - 1) if self.scene.stages > 1 else 0.5


@dataclass(frozen=True)
class StoryPlan:
    """A story before it is drawn: its shots by page, in reading order."""

    title: str
    pages: tuple[tuple[Shot, ...], ...]


def plan_story(seed: int, *, pages: int, width: int, height: int, direction: Direction) -> StoryPlan:
    """The plan of a seed; pages are `width` × `height` pixels and read in `direction`."""
    rng = np.random.default_rng([seed, 1])
    margin, gutter = float(rng.uniform(0.015, 0.05)) * width, float(rng.uniform(0.01, 0.03)) * width
    frame = Box(margin, margin, width - 2 * margin, height - 2 * margin)
    boxes = [_grid(rng, frame, gutter=gutter, direction=direction) for _ in range(pages)]
    scenes = _scenes(rng, [len(page) for page in boxes])
    total = len(scenes)
    first, last = float(rng.uniform(0.02, 0.09)), float(rng.uniform(0.9, 0.98))
    made: list[tuple[Shot, ...]] = []
    number, framing = 0, ""
    for page in boxes:
        shots = []
        for box in page:
            scene, stage = scenes[number]
            moment = (number + float(rng.uniform(-0.3, 0.3))) / (total - 1) if total > 1 else float(rng.random())
            clock = min(1.0, max(0.0, first + (last - first) * moment))
            framing = _framing(rng, scene, last=framing)
            friends = tuple(friend for friend in scene.friends if rng.random() < 0.55)
            if framing == "near":
                friends = friends[: int(box.w > 1.1 * box.h)]
            elif box.w < 0.9 * box.h:
                friends = friends[:1]
            hour = hour_at(clock)
            seen = (scene.actor, friends, scene.action, scene.place, hour)
            texts = script(rng, *seen, stage=stage, stages=scene.stages, small=box.w < 0.4 * width)
            mirrored = bool(rng.random() < 0.5)
            shots.append(Shot(box, scene, stage, friends, clock, hour, framing, mirrored, texts, describe(rng, *seen)))
            number += 1
        made.append(tuple(shots))
    hero, thing = scenes[0][0].actor.name, scenes[0][0].action.thing
    return StoryPlan(f"{hero} and the {thing}", tuple(made))


def _grid(rng: np.random.Generator, frame: Box, *, gutter: float, direction: Direction) -> list[Box]:
    """Boxes of 1 to 6 panels in reading order, none of them a sliver."""
    count = int(rng.choice(np.arange(1, 7), p=np.array(COUNTS)))
    cuts = Cuts(gutter_x=gutter, gutter_y=gutter, slant=0.0, slanted=0.0, regular=0.3, direction=direction)
    for _ in range(60):
        pieces = [bounds(piece) for piece in divide(rng, rectangle(frame), panels=count, cuts=cuts)]
        boxes = [Box(round(b.x), round(b.y), round(b.w), round(b.h)) for b in pieces]
        roomy = all(
            count == 1 or (b.w > 0.27 * frame.w and b.h > 0.17 * frame.h and 0.55 < b.w / b.h < 2.8) for b in boxes
        )
        if roomy and len(boxes) == count and reading_order(boxes, direction=direction) == list(range(count)):
            return boxes
    rows = (count + 1) // 2
    tall = (frame.h - gutter * (rows - 1)) / rows
    return [Box(round(frame.x), round(frame.y + k * (tall + gutter)), round(frame.w), round(tall)) for k in range(rows)]


def _scenes(rng: np.random.Generator, counts: list[int]) -> list[tuple[Scene, int]]:
    """Scene and stage of every panel. A scene mostly ends with a page, at times within or with the next one."""
    total = sum(counts)
    ends = set(np.cumsum(counts).tolist())
    cast = [CAST[int(k)] for k in rng.permutation(len(CAST))[: int(rng.integers(2, 4))]]
    places = [PLACES[int(k)] for k in rng.permutation(len(PLACES))[: int(rng.integers(2, 4))]]
    actions = [ACTIONS[int(k)] for k in rng.permutation(len(ACTIONS))]
    lengths: list[int] = []
    long = 0
    for panel in range(1, total + 1):
        long += 1
        breaks = 0.8 if panel in ends else 0.12
        if panel == total or (long > 1 and rng.random() < breaks) or long == 6:
            lengths.append(long)
            long = 0
    made: list[tuple[Scene, int]] = []
    for k, stages in enumerate(lengths):
        place = places[min(len(places) - 1, k * len(places) // len(lengths))]
        actor = cast[int(rng.integers(len(cast)))]
        friends = tuple(who for who in cast if who is not actor)
        scene = Scene(actor, friends, actions[k % len(actions)], place, stages)
        made += [(scene, stage) for stage in range(stages)]
    return made


def _framing(rng: np.random.Generator, scene: Scene, *, last: str) -> str:
    """How close the camera is: seldom twice the same in a row."""
    choices = [f for f in FRAMINGS if (f != last or rng.random() < 0.25) and (f != "near" or scene.action.near)]
    return choices[int(rng.integers(len(choices)))] if choices else "medium"
