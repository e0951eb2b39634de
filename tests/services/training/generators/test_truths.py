from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageDraw

from services.training.generators import overlays, truths
from services.training.generators.ageing import Skew
from services.training.generators.features import ALL, NAMES, Features
from services.training.generators.layouts import Cell, Frame
from services.training.generators.outlines import ellipse, rectangle
from services.training.generators.pages import make_page
from shared.domain.geometry import intersection, iou
from shared.domain.reading_order import reading_order
from shared.domain.schema import Box, Direction

CLEAN = Features(
    hairlines=False,
    slants=False,
    insets=False,
    open_panels=False,
    breaking_out=False,
    ageing=False,
    matter=False,
    formats=False,
)


def changes(pixels: np.ndarray, box: Box) -> list[float]:
    """For each side of a box that is off the page's rim: the share of it along which the picture changes."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = (round(v) for v in (box.x, box.y, box.right, box.bottom))
    rows, columns = slice(top + 3, bottom - 3), slice(left + 3, right - 3)
    sides = []
    if left >= 2:
        sides.append((pixels[rows, left - 2], pixels[rows, left : left + 3]))
    if right <= width - 2:
        sides.append((pixels[rows, right + 1], pixels[rows, right - 3 : right]))
    if top >= 2:
        sides.append((pixels[top - 2, columns], pixels[top : top + 3, columns].swapaxes(0, 1)))
    if bottom <= height - 2:
        sides.append((pixels[bottom + 1, columns], pixels[bottom - 3 : bottom, columns].swapaxes(0, 1)))
    return [
        float((np.abs(inner.astype(int) - outer[:, None].astype(int)).max(axis=(1, 2)) > 16).mean())
        for outer, inner in sides
        if len(outer)
    ]


def test_the_picture_changes_at_the_edges_of_every_panel() -> None:
    seen = []
    for seed in range(10):
        page = make_page(seed, long_side=400, aspect=0.7, features=CLEAN)
        pixels = np.asarray(page.image)
        seen += [changes(pixels, panel.box) for panel in page.truth.panels]
    assert len(seen) > 30
    sides = [share for shares in seen for share in shares]
    assert np.mean(sides) > 0.85
    assert np.mean([max(shares, default=1.0) > 0.5 for shares in seen]) > 0.98


def test_an_outline_nobody_could_see_is_told_from_one_that_shows() -> None:
    cell = Cell(rectangle(Box(20, 20, 60, 60)))
    page = truths.owners((100, 100), [cell], [0])
    paper = Image.new("RGB", (100, 100), "white")
    assert truths.stands_out(paper, page, cell, 0) == 0
    ImageDraw.Draw(paper).rectangle((20, 20, 80, 80), fill=(90, 90, 90))
    assert truths.stands_out(paper, page, cell, 0) > 0.95
    ImageDraw.Draw(paper).rectangle((0, 0, 100, 50), fill=(90, 90, 90))
    assert 0.3 < truths.stands_out(paper, page, cell, 0) < 0.7


def test_reading_order_by_construction_is_the_one_a_reader_takes() -> None:
    right = total = 0
    for seed, direction in product(range(12), Direction):
        page = make_page(seed, long_side=200, aspect=0.7, direction=direction, features=CLEAN)
        order = reading_order([panel.box for panel in page.truth.panels], direction=direction)
        right += order == sorted(order)
        total += 1
    assert right >= 0.9 * total


@pytest.mark.parametrize("direction", list(Direction))
def test_insets_come_right_after_the_panel_they_lie_on(direction: Direction) -> None:
    page = Box(0, 0, 400, 600)
    boxes = [Box(20, 20, 360, 130), Box(20, 160, 360, 280), Box(20, 450, 175, 130), Box(205, 450, 175, 130)]
    cells = [Cell(rectangle(box)) for box in boxes]
    for seed in range(40):
        made = overlays.with_insets(np.random.default_rng(seed), cells, page=page, direction=direction)
        added = made[2 : len(made) - 2]
        assert [cell for cell in made if not cell.inset] == cells
        assert all(cell.inset and cell.layer > 0 for cell in added)
        assert all(intersection(cell.box, boxes[1]) > 0.4 * cell.box.area for cell in added)
        order = reading_order([cell.box for cell in added], direction=direction)
        assert order == list(range(len(added)))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "material"])
def test_every_feature_can_be_turned_off(name: str) -> None:
    without = ALL.without(name)
    for seed in range(80):
        whole, less = make_page(seed, long_side=120), make_page(seed, long_side=120, features=without)
        if whole.truth != less.truth or whole.image.tobytes() != less.image.tobytes():
            return
    pytest.fail(f"no page changed without {name}")


def test_a_frame_belongs_to_the_panel_and_a_keyline_does_not() -> None:
    host = Cell(rectangle(Box(10, 10, 80, 80)), frame=Frame(4))
    inset = Cell(rectangle(Box(60, 60, 40, 20)), inset=True, layer=2, frame=Frame(2, keyline=5))
    page = truths.owners((120, 120), [host, inset], [0, 1])
    outer, inner = truths.seen_box(page, 0), truths.seen_box(page, 1)
    assert outer is not None
    assert inner is not None
    assert iou(outer, Box(8, 8, 84, 84)) > 0.96
    assert iou(inner, Box(59, 59, 42, 22)) > 0.92


def test_what_later_panels_hide_is_not_in_the_truth() -> None:
    below = Cell(rectangle(Box(10, 10, 80, 80)))
    above = Cell(rectangle(Box(5, 40, 90, 55)), layer=1)
    page = truths.owners((100, 100), [below, above], [0, 1])
    box = truths.seen_box(page, 0)
    assert box is not None
    assert (box.y, box.bottom) == (10, 40)
    assert truths.seen_box(truths.owners((100, 100), [below, Cell(rectangle(Box(0, 0, 99, 99)))], [0, 1]), 0) is None


@pytest.mark.parametrize("shape", [rectangle(Box(60, 80, 120, 90)), ellipse(Box(40, 100, 150, 60))])
def test_truth_follows_a_skewed_scan(shape: list[tuple[float, float]]) -> None:
    skew = Skew(0.025, 0.95, (120, 150))
    picture = Image.new("L", (240, 300))
    ImageDraw.Draw(picture).polygon(shape, fill=255)
    left, top, right, bottom = skew.applied(picture, fill=0).point([0] * 128 + [255] * 128).getbbox() or (0, 0, 0, 0)
    box = truths.seen_box(truths.skewed(truths.owners((240, 300), [Cell(shape)], [0]), skew), 0)
    assert box is not None
    assert iou(box, Box(left, top, right - left, bottom - top)) > 0.97
    xs, ys = zip(*[skew.point(x, y) for x, y in shape], strict=True)
    assert iou(box, Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))) > 0.95
