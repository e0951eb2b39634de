from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from services.detection.edges import Picture
from services.detection.layouts import arrange, guess_direction
from services.detection.looks import look_at
from services.detection.rules import Rules
from shared.domain.schema import Box, DetectedObject, Direction, ObjectLabel
from shared.domain.turning import turned


def seen(box: tuple[float, float, float, float], score: float = 0.9, label: ObjectLabel = "panel") -> DetectedObject:
    return DetectedObject(label=label, box=Box(*box), score=score)


def boxes(found: list[DetectedObject], direction: Direction = Direction.LTR) -> list[Box]:
    return [o.box for o in arrange(found, width=100, height=140, direction=direction).panels]


def test_panels_come_in_reading_order_of_the_direction() -> None:
    left, right = seen((2, 2, 46, 60)), seen((52, 2, 46, 60))
    assert boxes([right, left]) == [left.box, right.box]
    assert boxes([left, right], Direction.RTL) == [right.box, left.box]


def test_the_weaker_of_two_boxes_of_one_panel_goes() -> None:
    strong, weak = seen((2, 2, 90, 60), 0.9), seen((4, 3, 88, 62), 0.7)
    assert boxes([weak, strong]) == [strong.box]


def test_an_inset_stays_beside_its_host() -> None:
    host, inset = seen((0, 0, 100, 100)), seen((5, 5, 30, 25))
    assert boxes([inset, host]) == [host.box, inset.box]


def test_a_box_lying_half_on_a_likelier_panel_goes() -> None:
    panel, scrap = seen((0, 20, 100, 80), 0.9), seen((0, 0, 100, 50), 0.6)
    assert boxes([scrap, panel]) == [panel.box]


def test_slightly_overlapping_panels_stay() -> None:
    upper, lower = seen((0, 0, 100, 60)), seen((0, 52, 100, 50), 0.6)
    assert boxes([lower, upper]) == [upper.box, lower.box]


def test_a_box_around_a_whole_row_gives_way_to_its_likely_members() -> None:
    row, left, right = seen((2, 2, 96, 60), 0.8), seen((2, 2, 47, 60), 0.95), seen((51, 2, 47, 60), 0.9)
    assert boxes([row, left, right]) == [left.box, right.box]


def test_unlikely_pieces_of_a_sure_panel_go() -> None:
    row, left, right = seen((2, 2, 96, 60), 0.99), seen((2, 2, 47, 60), 0.55), seen((51, 2, 47, 60), 0.52)
    assert boxes([row, left, right]) == [row.box]


def test_a_box_reaching_over_the_page_is_cut_to_it() -> None:
    assert boxes([seen((-5, -5, 200, 50))]) == [Box(0, 0, 100, 45)]


def test_one_full_page_panel_is_a_splash_even_when_the_detector_is_unsure() -> None:
    page = arrange([seen((0, 0, 100, 138), 0.35)], width=100, height=140, direction=Direction.LTR)
    assert (page.kind, len(page.panels)) == ("splash", 1)


def test_a_full_page_box_around_a_page_of_text_is_no_panel() -> None:
    whole, words = seen((2, 2, 96, 136), 0.9), [seen((10, y, 80, 25), 0.9, "text") for y in (10, 50, 90)]
    assert arrange([whole, *words], width=100, height=140, direction=Direction.LTR).kind == "none"
    assert arrange([whole, words[0]], width=100, height=140, direction=Direction.LTR).kind == "splash"


def test_unsure_small_boxes_make_no_panel() -> None:
    page = arrange([seen((10, 10, 50, 50), 0.4)], width=100, height=140, direction=Direction.LTR)
    assert (page.kind, page.panels) == ("none", [])


def test_other_objects_keep_their_labels_and_scores() -> None:
    text, face = seen((10, 10, 20, 10), 0.8, "text"), seen((40, 40, 10, 10), 0.7, "face")
    page = arrange([text, face, seen((0, 0, 100, 70))], width=100, height=140, direction=Direction.LTR)
    assert [(o.label, o.box, o.score) for o in page.objects] == [(o.label, o.box, o.score) for o in (text, face)]


def test_other_objects_name_their_panel_by_its_place_in_the_order_and_texts_their_speaker() -> None:
    upper, lower = seen((0, 0, 100, 60)), seen((0, 65, 100, 70))
    text, face = seen((10, 80, 20, 10), 0.8, "text"), seen((30, 95, 10, 10), 0.7, "face")
    page = arrange([lower, upper, text, face], width=100, height=140, direction=Direction.LTR)
    assert [(o.label, o.panel, o.speaker) for o in page.objects] == [("text", 1, 1), ("face", 1, None)]


def test_mostly_vertical_lettering_means_right_to_left() -> None:
    vertical, horizontal = seen((0, 0, 10, 30), 0.9, "text"), seen((0, 0, 40, 12), 0.9, "text")
    assert guess_direction([[vertical, vertical], [vertical, horizontal]]) is Direction.RTL
    assert guess_direction([[horizontal, horizontal], [vertical, horizontal]]) is Direction.LTR


def test_without_evidence_a_comic_is_read_left_to_right() -> None:
    assert guess_direction([]) is Direction.LTR
    assert guess_direction([[seen((0, 0, 10, 30), 0.9, "text")]]) is Direction.LTR


def test_a_page_without_panels_says_why() -> None:
    def reason(*found: DetectedObject, image: Picture | None = None) -> str | None:
        return arrange(list(found), width=100, height=140, direction=Direction.LTR, image=image).reason

    white = np.full((140, 100, 3), 255, np.uint8)
    written, drawn = white.copy(), white.copy()
    written[20:30, 10:90:3] = 0
    drawn[40:90, 30:70] = np.random.default_rng(1).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    words, person = seen((10, 20, 80, 10), 0.9, "text"), seen((30, 40, 40, 50), 0.9, "character")
    assert reason(image=white) == "blank"
    assert reason(image=white // 255 * 12) == "blank"
    assert reason(words, image=written) == "text"
    assert reason(person, words, image=drawn) == "pictures"
    assert reason() == "nothing_seen"
    noise = np.random.default_rng(2).integers(0, 256, (140, 100, 3), dtype=np.uint8)
    assert reason(image=noise) == "nothing_seen"
    assert reason(seen((2, 2, 96, 60)), image=written) is None


def test_a_vignette_on_paper_is_no_panel_and_a_framed_one_is() -> None:
    page = np.full((700, 500, 3), 255, np.uint8)
    y, x = np.mgrid[:700, :500]
    page[(x - 250) ** 2 + (y - 300) ** 2 < 90**2] = (120, 60, 60)
    vignette = seen((160, 210, 180, 180), 0.9)
    found = arrange([vignette], width=500, height=700, direction=Direction.LTR, image=page)
    assert (found.panels, found.reason) == ([], "pictures")
    page[210:390, 160:163] = page[210:390, 337:340] = page[210:213, 160:340] = page[387:390, 160:340] = 0
    assert len(arrange([vignette], width=500, height=700, direction=Direction.LTR, image=page).panels) == 1


@pytest.mark.parametrize("shape", [(1, 1), (10_000, 1), (1, 10_000), (30, 20_000), (2, 3), (64, 64)])
def test_a_page_of_any_shape_has_a_layout(shape: tuple[int, int]) -> None:
    height, width = shape
    image = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for found in ([], [seen((0, 0, width, height))], [seen((-3, -3, width + 9, height / 2)), seen((0, 0, 1, 1), 0.2)]):
        page = arrange(found, width=width, height=height, direction=Direction.LTR, image=image)
        assert (page.kind == "none") == (page.panels == []) == (page.reason is not None)


def sheet(*drawn: tuple[int, int, int, int], width: int = 500, height: int = 700) -> Picture:
    """White paper with noise where something is drawn."""
    page = np.full((height, width, 3), 255, np.uint8)
    for x, y, w, h in drawn:
        page[y : y + h, x : x + w] = np.random.default_rng(11).integers(0, 200, (h, w, 3), dtype=np.uint8)
    return page


@pytest.mark.parametrize(
    ("rule", "found", "image", "with_it", "without"),
    [
        # A piece of a panel that overlaps it by a third: too much for the joint choice, not for the greedy one.
        ("jointly", [seen((20, 20, 460, 400)), seen((20, 260, 460, 420), 0.46)], None, 1, 2),
        ("outline", [seen((20, 20, 460, 400), 0.43)], sheet((20, 20, 460, 400), (20, 430, 460, 250)), 1, 0),
        ("cuts", [seen((20, 20, 460, 300), 0.3)], sheet((20, 20, 460, 300), (20, 340, 460, 300)), 1, 0),
        ("gutters", [seen((20, 20, 460, 460), 0.5)], sheet((20, 20, 460, 220), (20, 260, 460, 220)), 0, 1),
        ("holes", [seen((20, 20, 460, 400)), seen((30, 430, 440, 240), 0.25)], sheet((20, 20, 460, 660)), 2, 1),
        ("pageless", [seen((150, 200, 100, 100))], sheet((0, 250, 250, 250)), 0, 1),
    ],
)
def test_every_rule_does_what_it_is_for(
    rule: str, found: list[DetectedObject], image: Picture | None, with_it: int, without: int
) -> None:
    alone = replace(Rules(), **{n: n in ("jointly", rule) for n in vars(Rules()) if n != "threshold"})
    counts = [
        len(arrange(found, width=500, height=700, direction=Direction.LTR, image=image, rules=rules).panels)
        for rules in (alone, replace(alone, **{rule: False}))
    ]
    assert counts == [with_it, without]


def test_sides_are_snapped_unless_that_is_left_out() -> None:
    image, found = sheet((20, 20, 460, 400)), [seen((24, 17, 450, 406))]
    on, off = (
        arrange(found, width=500, height=700, direction=Direction.LTR, image=image, rules=Rules(snap=snap)).panels[0]
        for snap in (True, False)
    )
    assert on.box == Box(20, 20, 460, 400)
    assert off.box == found[0].box


def test_the_layout_does_not_depend_on_the_order_of_equally_likely_boxes() -> None:
    rng = np.random.default_rng(12)
    found = [
        seen((*rng.uniform(0, 60, 2).tolist(), *rng.uniform(15, 60, 2).tolist()), 0.9, label)
        for label in ("panel", "text", "character", "face")
        for _ in range(12)
    ]
    one, other = (arrange(some, width=100, height=140, direction=Direction.LTR) for some in (found, found[::-1]))
    assert len(one.panels) > 1
    assert one == other


def test_a_look_taken_before_gives_the_same_layout() -> None:
    image, found = sheet((20, 20, 460, 400)), [seen((24, 17, 450, 406)), seen((20, 440, 460, 240), 0.3)]
    at = partial(arrange, found, width=500, height=700, direction=Direction.LTR)
    assert at(image=look_at(image)) == at(image=image)


def test_a_strip_keeps_its_few_unframed_panels() -> None:
    image = np.full((2400, 500, 3), 255, np.uint8)
    y, x = np.mgrid[:2400, :500]
    image[(x - 250) ** 2 + (y - 600) ** 2 < 180**2] = (120, 60, 60)
    layout = arrange([seen((70, 420, 360, 360))], width=500, height=2400, direction=Direction.LTR, image=image)
    assert len(layout.panels) == 1


def test_a_layout_turned_round_is_the_one_arranged_that_way() -> None:
    found = [seen((2, 2, 46, 60)), seen((52, 2, 46, 60)), seen((2, 66, 96, 60)), seen((60, 10, 9, 9), 0.9, "face")]
    ltr, rtl = (arrange(found, width=100, height=140, direction=way) for way in Direction)
    assert turned(ltr, Direction.RTL) == rtl
    assert turned(rtl, Direction.LTR) == ltr
    assert ltr != rtl
