"""What made panels show, and whether the truth about it is what can be seen."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageChops

from services.training.generators import pictures, sights
from services.training.generators.artists import Artist, invent_artist
from services.training.generators.artwork import Drawn
from services.training.generators.canvases import Canvas, Frame
from services.training.generators.features import ALL
from services.training.generators.figures import draw_person
from services.training.generators.heads import draw_head
from services.training.generators.inking import focus_lines, speed_lines
from services.training.generators.people import Person, company, person
from services.training.generators.pictures import Order, Picture, paint_open, paint_picture
from services.training.generators.props import block
from services.training.generators.skulls import Look

WIDTH, HEIGHT = 260, 200
ORDER = Order(np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], float), 600, 0.9, ALL)
PEOPLE = [("human", "cat"), ("robot", "cat"), ("creature", "cat")] + [
    ("animal", b) for b in ("cat", "dog", "bird", "dragon")
]


def painted(seed: int, order: Order = ORDER, *, grey: bool | None = None) -> Picture:
    rng = np.random.default_rng(seed)
    artist = invent_artist(rng, grey=seed % 2 == 0 if grey is None else grey, manga=seed % 4 == 0)
    if not order.features.line_art:
        artist = invent_artist(np.random.default_rng(seed), grey=True, manga=True, line_art=False)
    return paint_picture(rng, artist, company(rng, artist), order, size=(WIDTH, HEIGHT))


def someone(kind: str, beast: str, *, seed: int) -> tuple[np.random.Generator, Artist, Person]:
    rng = np.random.default_rng(seed)
    artist = invent_artist(rng, grey=False, manga=False)
    return rng, artist, replace(person(rng, artist), kind=kind, beast=beast)  # type: ignore[arg-type]


def test_a_seed_always_paints_the_same_picture() -> None:
    first, second = painted(5), painted(5)
    assert np.array_equal(np.asarray(first.image), np.asarray(second.image))
    assert first.people == second.people
    assert not np.array_equal(np.asarray(first.image), np.asarray(painted(6).image))


@pytest.mark.parametrize(("kind", "beast"), PEOPLE)
def test_the_box_of_a_figure_is_what_was_painted(kind: str, beast: str) -> None:
    for seed in range(8):
        rng, artist, who = someone(kind, beast, seed=seed)
        blank = Image.new("RGB", (600, 500), (1, 2, 3))
        canvas = Canvas(blank, artist)
        canvas.begin(1)
        drawn = draw_person(rng, canvas, who, x=300, foot=400, height=150)
        changed = ImageChops.difference(canvas.finished(), blank).getbbox()
        assert changed is not None
        box = drawn.whole
        assert np.allclose(changed, (box.x, box.y, box.right, box.bottom), atol=4)
        if drawn.face is not None:
            assert drawn.face.x > box.x - 4
            assert drawn.face.right < box.right + 4


@pytest.mark.parametrize("yaw", [0.0, 0.4, 0.7, 1.0])
def test_a_face_is_drawn_where_its_box_says_and_none_from_behind(yaw: float) -> None:
    rng, artist, who = someone("human", "cat", seed=3)
    canvas = Canvas(Image.new("RGB", (200, 200)), artist)
    canvas.begin(1)
    face, mouth = draw_head(rng, canvas, replace(who, hat="none", hair="bald"), Frame(100, 100, 60), Look(yaw=yaw))
    assert face is not None
    assert face.x < mouth[0] < face.right
    assert face.y + face.h / 2 < mouth[1] < face.bottom
    assert 60 < face.w < 120
    behind, _ = draw_head(rng, canvas, who, Frame(100, 100, 60), Look(yaw=yaw, back=True))
    assert behind is None


def seen(canvas: Canvas, drawn: list[tuple[int, Drawn, int]]) -> list[Drawn]:
    return sights.seen(canvas, drawn, shape=ORDER.shape, page=ORDER.page, faceless=False)


def test_what_hides_a_figure_is_cut_from_its_box_or_drops_it() -> None:
    rng, artist, who = someone("human", "cat", seed=11)

    def standing() -> tuple[Canvas, list[tuple[int, Drawn, int]], Drawn]:
        canvas = Canvas(Image.new("RGB", (WIDTH, HEIGHT)), artist)
        made = pictures._draw(rng, canvas, who, 1, x=130, foot=190, height=150, quiet=True, close=True)
        return canvas, [made], made[1]

    canvas, drawn, whole = standing()
    assert seen(canvas, drawn)[0].face is not None
    canvas, drawn, whole = standing()
    canvas.fill(block(0, 130, WIDTH, 80), (0, 0, 0))
    [left] = seen(canvas, drawn)
    assert left.whole.bottom == pytest.approx(130, abs=4)
    assert left.whole.y == pytest.approx(max(whole.whole.y, 0), abs=4)
    canvas, drawn, whole = standing()
    assert whole.face is not None
    canvas.fill(block(0, whole.face.y - 5, WIDTH, whole.face.h + 10), (0, 0, 0))
    assert [one.face for one in seen(canvas, drawn)] == [None]
    canvas, drawn, whole = standing()
    canvas.fill(block(0, 0, WIDTH, HEIGHT), (0, 0, 0))
    assert seen(canvas, drawn) == []
    assert sights.sight(canvas, 1, whole.whole).cells == 0


def test_people_lie_in_their_picture_and_are_large_enough() -> None:
    characters = faces = 0
    for seed in range(40):
        for one in painted(seed).people:
            for box in [one.whole, *([one.face] if one.face else [])]:
                assert box.x >= 0
                assert box.y >= 0
                assert box.right <= WIDTH + 1e-6
                assert box.bottom <= HEIGHT + 1e-6
            assert max(one.whole.w, one.whole.h) >= 0.03 * ORDER.page
            characters += 1
            faces += one.face is not None
    assert characters > 40
    assert faces > 0.4 * characters


def test_a_figure_outside_of_a_slanted_panel_is_no_character() -> None:
    rng, artist, who = someone("human", "cat", seed=2)
    shape = np.array([(0, 0), (60, 0), (20, HEIGHT), (0, HEIGHT)], float)
    canvas = Canvas(Image.new("RGB", (WIDTH, HEIGHT)), artist)
    made = pictures._draw(rng, canvas, who, 1, x=200, foot=190, height=120, quiet=True)
    assert sights.seen(canvas, [made], shape=shape, page=600, faceless=False) == []


@pytest.mark.parametrize("name", ["scenes", "dark_bars", "close_ups", "crowds", "line_art"])
def test_every_switch_changes_pictures(name: str) -> None:
    order = replace(ORDER, features=ALL.without(name))
    grey = True if name == "line_art" else None
    pairs = [(painted(seed, grey=grey), painted(seed, order, grey=grey)) for seed in range(0, 48, 4)]
    assert any(not np.array_equal(np.asarray(a.image), np.asarray(b.image)) for a, b in pairs)


def test_shots_that_are_turned_off_are_not_taken() -> None:
    rng = np.random.default_rng(0)
    order = replace(ORDER, features=ALL.without("close_ups").without("crowds"))
    assert {pictures.shot(rng, order) for _ in range(300)} == {"place", "group", "portrait"}
    assert {pictures.shot(rng, ORDER) for _ in range(600)} == set(pictures.SHOTS)


def test_artists_without_colour_paint_greys() -> None:
    for seed in range(6):
        pixels = np.asarray(painted(seed, grey=True).image).astype(int)
        assert np.abs(pixels[..., 0] - pixels[..., 2]).max() <= 60
        assert np.median(np.abs(pixels[..., 0] - pixels[..., 2])) == 0


def test_the_figures_of_an_open_panel_stand_inside_its_extent() -> None:
    for seed in range(10):
        rng, artist, _ = someone("human", "cat", seed=seed)
        ground = Image.new("RGB", (WIDTH, HEIGHT), "white")
        picture = paint_open(rng, artist, company(rng, artist), ORDER, ground=ground)
        assert picture.extent is not None
        for one in picture.people:
            assert one.whole.x >= picture.extent.x - 1e-6
            assert one.whole.bottom <= picture.extent.bottom + 1e-6


def test_focus_lines_leave_their_centre_free_and_speed_lines_draw() -> None:
    rng = np.random.default_rng(4)
    image = Image.new("RGB", (200, 200), "white")
    focus_lines(rng, image, centre=(100, 100), ink=(0, 0, 0), free=0.4)
    pixels = np.asarray(image)[..., 0]
    assert pixels[80:120, 80:120].min() == 255
    assert (pixels < 128).mean() > 0.02
    image = Image.new("RGB", (200, 200), "white")
    speed_lines(rng, image, ink=(0, 0, 0))
    assert (np.asarray(image)[..., 0] < 128).mean() > 0.005
