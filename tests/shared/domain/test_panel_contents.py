from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.panel_contents import assign, speakers
from shared.domain.schema import OBJECT_LABELS, Box, DetectedObject, ObjectLabel

LEFT, RIGHT, BELOW = Box(0, 0, 98, 100), Box(102, 0, 98, 100), Box(0, 104, 200, 100)
PAGE = [LEFT, RIGHT, BELOW]


def seen(label: ObjectLabel, x: float, y: float, w: float, h: float) -> DetectedObject:
    return DetectedObject(label=label, box=Box(x, y, w, h), score=0.9)


def test_a_character_belongs_to_the_panel_that_holds_most_of_it() -> None:
    breaking_out = seen("character", 60, 20, 60, 80)
    assert assign(PAGE, [breaking_out, seen("character", 110, 60, 60, 90)]) == [0, 2]


def test_what_lies_on_an_inset_is_the_insets_and_not_its_hosts() -> None:
    host, inset = Box(0, 0, 200, 200), Box(120, 20, 60, 60)
    objects = [seen("character", 125, 30, 40, 45), seen("text", 125, 22, 30, 8), seen("character", 10, 40, 80, 150)]
    assert assign([host, inset], objects) == [1, 1, 0]
    assert assign([inset, host], objects) == [0, 0, 1]


def test_a_large_figure_behind_an_inset_stays_in_the_host() -> None:
    host, inset = Box(0, 0, 200, 200), Box(120, 20, 60, 60)
    assert assign([host, inset], [seen("character", 60, 10, 130, 180)]) == [0]


def test_a_text_hanging_between_two_panels_goes_where_its_middle_is() -> None:
    assert assign(PAGE, [seen("text", 70, 40, 40, 10), seen("text", 90, 40, 40, 10)]) == [0, 1]


def test_a_text_with_its_middle_in_the_gutter_goes_where_more_of_it_lies() -> None:
    assert assign([Box(0, 0, 90, 100), Box(110, 0, 90, 100)], [seen("text", 76, 40, 49, 10)]) == [1]
    assert assign([Box(0, 0, 90, 100), Box(110, 0, 90, 100)], [seen("text", 75, 40, 49, 10)]) == [0]


def test_a_text_floating_near_a_panel_is_its_own_and_one_far_from_all_is_nobodys() -> None:
    objects = [seen("text", 20, 210, 40, 12), seen("text", 90, 280, 20, 6)]
    assert assign(PAGE, objects) == [2, None]


def test_a_face_goes_with_its_character() -> None:
    character, face = seen("character", 80, 10, 70, 90), seen("face", 85, 12, 30, 30)
    assert assign(PAGE, [character]) == [1]
    # By its own share the face would stand in the panel at the left, were it not for the body.
    assert assign(PAGE, [seen("face", 86, 12, 26, 30), character]) == [0, 1]
    assert assign([Box(0, 0, 100, 100), Box(100, 0, 98, 100)], [face, character]) == [1, 1]


def test_a_page_without_panels_has_no_places() -> None:
    assert assign([], [seen("text", 0, 0, 10, 10), seen("face", 5, 5, 4, 4)]) == [None, None]


def test_the_nearest_face_below_a_text_speaks_it() -> None:
    objects = [
        seen("text", 5, 5, 30, 12),
        seen("character", 5, 25, 30, 70), seen("face", 10, 28, 15, 15),
        seen("character", 60, 25, 30, 70), seen("face", 65, 28, 15, 15),
        seen("text", 58, 6, 30, 12),
    ]  # fmt: skip
    assert speakers(PAGE, objects) == {0: 2, 5: 4}


def test_a_character_seen_from_behind_speaks_with_its_upper_half() -> None:
    objects = [seen("text", 5, 5, 30, 12), seen("character", 10, 25, 30, 70)]
    assert speakers(PAGE, objects) == {0: 1}


def test_a_speaker_in_the_same_panel_comes_before_a_nearer_one_in_the_next() -> None:
    objects = [seen("text", 60, 10, 36, 12), seen("face", 20, 40, 15, 15), seen("face", 103, 24, 15, 15)]
    assert speakers(PAGE, objects) == {0: 1}


def test_a_text_may_be_spoken_from_the_panel_beside_when_nobody_is_in_its_own() -> None:
    objects = [seen("text", 70, 40, 26, 12), seen("face", 104, 45, 15, 15)]
    assert speakers(PAGE, objects) == {0: 1}


def test_a_caption_with_nobody_near_is_nobodys() -> None:
    caption = seen("text", 2, 106, 60, 10)
    far, near = seen("face", 150, 170, 20, 20), seen("face", 30, 130, 20, 20)
    assert speakers(PAGE, [caption, far]) == {}
    assert speakers(PAGE, [caption, near]) == {0: 1}


def test_a_speaker_below_is_likelier_than_one_as_near_above() -> None:
    objects = [seen("text", 40, 150, 30, 10), seen("face", 45, 118, 20, 20), seen("face", 45, 173, 20, 20)]
    assert speakers(PAGE, objects) == {0: 2}


sides = st.integers(0, 150)
boxes = st.builds(Box, sides, sides, st.integers(0, 80), st.integers(0, 80))
objects_seen = st.builds(DetectedObject, label=st.sampled_from(OBJECT_LABELS), box=boxes, score=st.just(0.5))


@settings(max_examples=60, deadline=None)
@given(st.lists(boxes, max_size=6), st.lists(objects_seen, max_size=8))
def test_every_object_has_a_place_or_none_and_only_beings_speak(
    panels: list[Box], objects: list[DetectedObject]
) -> None:
    places = assign(panels, objects)
    assert len(places) == len(objects)
    assert all(at is None or 0 <= at < len(panels) for at in places)
    for text, speaker in speakers(panels, objects).items():
        assert objects[text].label == "text"
        assert objects[speaker].label in ("face", "character")
