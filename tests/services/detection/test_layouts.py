from services.detection.layouts import arrange, guess_direction
from shared.domain.schema import Box, DetectedObject, Direction, ObjectLabel


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
    assert page.objects == [text, face]


def test_mostly_vertical_lettering_means_right_to_left() -> None:
    vertical, horizontal = seen((0, 0, 10, 30), 0.9, "text"), seen((0, 0, 40, 12), 0.9, "text")
    assert guess_direction([[vertical, vertical], [vertical, horizontal]]) is Direction.RTL
    assert guess_direction([[horizontal, horizontal], [vertical, horizontal]]) is Direction.LTR


def test_without_evidence_a_comic_is_read_left_to_right() -> None:
    assert guess_direction([]) is Direction.LTR
    assert guess_direction([[seen((0, 0, 10, 30), 0.9, "text")]]) is Direction.LTR
