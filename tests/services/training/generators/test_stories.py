import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.training.generators.stories import Story, StoryPanel, make_story
from services.training.generators.story_acts import ACTS
from services.training.generators.story_art import SCENERY, paint_place
from services.training.generators.story_canvas import Canvas, Stand
from services.training.generators.story_plan import Shot, plan_story
from services.training.generators.story_world import ACTIONS, CAST, HOURS, PLACES, Hour, hour_at
from shared.domain.geometry import intersection
from shared.domain.reading_order import reading_order
from shared.domain.schema import Direction

DRAWN, PLANNED = range(8), range(40)
WORDS = {
    "character": {who.name: frozenset({who.name.lower()}) for who in CAST},
    "place": {place.name: place.words for place in PLACES},
    "action": {action.name: action.words for action in ACTIONS},
    "time": {hour.name: hour.words for hour in HOURS},
}


@lru_cache(maxsize=len(DRAWN))
def story(seed: int) -> Story:
    return make_story(seed)


def planned(seed: int, *, direction: Direction = Direction.LTR) -> list[Shot]:
    plan = plan_story(seed, pages=4, width=480, height=680, direction=direction)
    return [shot for page in plan.pages for shot in page]


def drawn_panels() -> list[StoryPanel]:
    return [panel for seed in DRAWN for page in story(seed).pages for panel in page.panels]


def named(text: str, kind: str) -> set[str]:
    """The concepts of a kind that a text speaks of."""
    spoken = set(re.findall(r"[a-z]+", text.lower()))
    return {name for name, words in WORDS[kind].items() if spoken & words}


def test_a_seed_always_makes_the_same_pixels_and_texts_and_seeds_differ() -> None:
    first, second = make_story(3, pages=2), make_story(3, pages=2)
    for one, other in zip(first.pages, second.pages, strict=True):
        assert np.array_equal(np.asarray(one.image), np.asarray(other.image))
        assert one.truth == other.truth
        assert [panel.texts for panel in one.panels] == [panel.texts for panel in other.panels]
        assert [panel.description for panel in one.panels] == [panel.description for panel in other.panels]
    pixels = {story(seed).pages[0].image.tobytes() for seed in DRAWN}
    assert len(pixels) == len(DRAWN)


@pytest.mark.parametrize("direction", list(Direction))
def test_panels_stand_in_reading_order_inside_the_page(direction: Direction) -> None:
    for seed in DRAWN:
        for page in plan_story(seed, pages=4, width=480, height=680, direction=direction).pages:
            boxes = [shot.box for shot in page]
            assert reading_order(boxes, direction=direction) == list(range(len(boxes)))
            assert all(b.x >= 0 and b.y >= 0 and b.right <= 480 and b.bottom <= 680 for b in boxes)
            assert all(intersection(a, b) == 0 for k, a in enumerate(boxes) for b in boxes[:k])


def test_the_truth_of_a_page_is_that_of_its_panels() -> None:
    for seed in DRAWN:
        for page in story(seed).pages:
            assert page.image.mode == "RGB"
            assert page.image.size == (page.truth.width, page.truth.height) == (480, 680)
            assert [o.box for o in page.truth.panels] == [panel.box for panel in page.panels]
            assert page.truth.direction is Direction.LTR


def test_the_text_of_a_panel_lies_in_it() -> None:
    for seed in DRAWN:
        for page in story(seed).pages:
            boxes = [o.box for o in page.truth.objects if o.label == "text"]
            for panel in page.panels:
                inside = [box for box in boxes if intersection(box, panel.box) > 0.999 * box.area]
                assert len(inside) == len(panel.texts)
                assert all(
                    intersection(a, b) < 0.02 * min(a.area, b.area) for k, a in enumerate(inside) for b in inside[:k]
                )
            assert len(boxes) == sum(len(panel.texts) for panel in page.panels)


def test_lettering_leaves_most_of_the_picture_free() -> None:
    for seed in DRAWN:
        for page in story(seed).pages:
            boxes = [o.box for o in page.truth.objects if o.label == "text"]
            for panel in page.panels:
                assert sum(intersection(box, panel.box) for box in boxes) < 0.4 * panel.box.area


def test_planned_text_is_seldom_too_long_to_be_lettered() -> None:
    wanted = sum(len(shot.texts) for seed in DRAWN for shot in planned(seed))
    lettered = sum(len(panel.texts) for panel in drawn_panels())
    assert lettered > 0.85 * wanted
    planned_silent = [not shot.texts for seed in DRAWN for shot in planned(seed)]
    assert [not panel.texts for panel in drawn_panels()] == planned_silent


def test_the_day_never_goes_back_and_is_whole() -> None:
    hours = [hour.name for hour in HOURS]
    for seed in PLANNED:
        shots = planned(seed)
        assert all(a.clock < b.clock for a, b in pairwise(shots))
        seen = [hours.index(shot.hour.name) for shot in shots]
        assert seen == sorted(seen)
        assert seen[0] == 0
        assert seen[-1] == len(hours) - 1


def test_an_action_goes_on_stage_by_stage() -> None:
    for seed in PLANNED:
        shots = planned(seed)
        for before, after in pairwise(shots):
            if before.scene is after.scene:
                assert after.stage == before.stage + 1
            else:
                assert before.stage == before.scene.stages - 1
                assert after.stage == 0


def test_panels_of_a_page_look_different() -> None:
    for seed in DRAWN:
        for page in story(seed).pages:
            crops = [
                np.asarray(
                    page.image.crop((int(b.x), int(b.y), int(b.right), int(b.bottom))).resize((32, 32)), np.int16
                )
                for b in (panel.box for panel in page.panels)
            ]
            for k, a in enumerate(crops):
                assert all(np.abs(a - b).mean() > 4 for b in crops[:k])


def canvas(seed: int, *, light: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Canvas:
    return Canvas(Image.new("RGB", (160, 160), "white"), np.random.default_rng(seed), light, (0.0, 0.0, 0.0), 0.0)


def test_every_action_is_drawn_further_the_further_it_has_come() -> None:
    pictures: dict[str, list[NDArray[np.int16]]] = {}
    for action in ACTIONS:
        pictures[action.name] = []
        for progress in (0.0, 0.5, 1.0):
            empty = canvas(4)
            ACTS[action.name](Stand(empty, CAST[0].looks, 80.0, 150.0, 90.0, 1, progress))
            pictures[action.name].append(np.asarray(empty.image, np.int16))
        first, middle, last = pictures[action.name]
        assert (np.abs(first - middle).max(axis=-1) > 60).sum() > 100, action.name
        assert (np.abs(middle - last).max(axis=-1) > 60).sum() > 100, action.name
    middles = [stages[1] for stages in pictures.values()]
    for k, a in enumerate(middles):
        assert all((np.abs(a - b).max(axis=-1) > 60).sum() > 800 for b in middles[:k])


def test_the_sun_moves_to_the_right_and_each_hour_has_its_sky() -> None:
    suns, skies = [], []
    for clock in (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75):
        hour = hour_at(clock)
        painted = canvas(5, light=hour.light)
        paint_place(painted, "desert", hour=hour, clock=clock)
        suns.append(_sun(painted, hour))
        skies.append(np.asarray(painted.image, np.float32)[:40].mean(axis=(0, 1)))
    assert all(a + 3 < b for a, b in pairwise(suns))
    assert all(np.abs(a - b).max() > 25 for a, b in pairwise(skies[::2]))


def _sun(painted: Canvas, hour: Hour) -> float:
    """Where the sun stands, pixels from the left: what differs from the same picture of another moment."""
    other = canvas(5, light=hour.light)
    paint_place(other, "desert", hour=hour, clock=1.6)  # far outside of the picture
    seen = np.abs(np.asarray(painted.image, np.int16) - np.asarray(other.image, np.int16)).max(axis=-1) > 30
    return float(np.nonzero(seen)[1].mean())


@pytest.mark.parametrize("kind", ["character", "place", "action", "time"])
def test_text_mentions_only_what_is_there_and_does_so_often_but_not_always(kind: str) -> None:
    telling = total = 0
    for seed in PLANNED:
        for shot in planned(seed):
            there = {
                "character": {shot.scene.actor.name, *(who.name for who in shot.friends)},
                "place": {shot.scene.place.name},
                "action": {shot.scene.action.name},
                "time": {shot.hour.name},
            }[kind]
            said = " ".join(text.text for text in shot.texts)
            assert named(said, kind) <= there, said
            assert named(shot.description, kind) == there, shot.description
            telling += bool(named(said, kind))
            total += 1
    assert 0.15 < telling / total < 0.75


@pytest.mark.parametrize("size", [(300, 425), (1000, 1400), (900, 600)])
def test_pages_of_other_sizes_are_lettered_too(size: tuple[int, int]) -> None:
    made = make_story(1, pages=1, width=size[0], height=size[1])
    assert [page.image.size for page in made.pages] == [size]
    assert any(panel.texts for panel in made.pages[0].panels)


def test_speakers_are_in_the_picture() -> None:
    for panel in drawn_panels():
        assert {text.speaker for text in panel.texts if text.kind == "dialogue"} <= set(panel.characters)
        assert {text.speaker for text in panel.texts if text.kind != "dialogue"} <= {None}


def test_about_a_fifth_of_the_panels_is_silent_and_the_others_mix_their_kinds_of_text() -> None:
    kinds = Counter(frozenset(text.kind for text in shot.texts) for seed in PLANNED for shot in planned(seed))
    total = sum(kinds.values())
    assert 0.14 < kinds[frozenset()] / total < 0.26
    assert kinds[frozenset({"dialogue"})] > 0.15 * total
    assert kinds[frozenset({"dialogue", "narration"})] > 0.1 * total
    assert {kind for texts in kinds for kind in texts} == {"dialogue", "narration", "sound"}


def test_forty_stories_show_the_whole_world_on_pages_of_one_to_six_panels() -> None:
    shots = [shot for seed in PLANNED for shot in planned(seed)]
    assert {shot.scene.actor.name for shot in shots} == set(WORDS["character"])
    assert {shot.scene.place.name for shot in shots} == set(WORDS["place"]) == set(SCENERY)
    assert {shot.scene.action.name for shot in shots} == set(WORDS["action"]) == set(ACTS)
    assert {shot.hour.name for shot in shots} == set(WORDS["time"])
    plans = [plan_story(seed, pages=4, width=480, height=680, direction=Direction.LTR) for seed in PLANNED]
    assert {len(page) for plan in plans for page in plan.pages} == set(range(1, 7))
    grids = {tuple(shot.box for shot in page) for plan in plans for page in plan.pages}
    assert len(grids) > 0.95 * sum(len(plan.pages) for plan in plans)


def test_every_wording_can_be_recognised_as_its_concept_and_no_other() -> None:
    for kind, concepts in (("place", PLACES), ("time", HOURS)):
        for concept in concepts:
            for phrase in concept.phrases:
                assert {k: named(phrase, k) for k in WORDS if named(phrase, k)} == {kind: {concept.name}}, phrase
    for action in ACTIONS:
        for wording in [*(w for three in action.wordings for w in three), action.thing]:
            assert {k: named(wording, k) for k in WORDS if named(wording, k)} == {"action": {action.name}}, wording


def test_pages_are_linked_by_place_and_places_change() -> None:
    linked = crossed = 0
    for seed in PLANNED:
        pages = plan_story(seed, pages=4, width=480, height=680, direction=Direction.LTR).pages
        for before, after in pairwise(pages):
            linked += before[-1].scene.place is after[0].scene.place
            crossed += 1
        shots = [shot for page in pages for shot in page]
        assert len({shot.scene.place.name for shot in shots}) <= 3
        assert 1 <= len({shot.scene.actor.name for shot in shots}) <= 3
    assert 0.3 < linked / crossed < 0.9
