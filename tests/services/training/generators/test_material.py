import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from services.training.generators.features import ALL
from services.training.generators.made import MadePage
from services.training.generators.material import Material
from services.training.generators.pages import make_page
from shared.domain.geometry import iou
from shared.domain.schema import Box, Direction

PANEL, OTHER, INSET = Box(40, 50, 420, 300), Box(40, 380, 420, 280), Box(60, 400, 120, 90)
FIGURE, WORDS = Box(250, 140, 90, 150), Box(90, 80, 80, 40)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """One page: a grey panel with a black figure and a word that leans to its left, and a panel under an inset."""
    page = Image.new("RGB", (500, 700), "white")
    pen = ImageDraw.Draw(page)
    for box, fill in ((PANEL, (200, 200, 200)), (OTHER, (200, 200, 200)), (FIGURE, (0, 0, 0)), (INSET, (60, 60, 60))):
        pen.rectangle((box.x, box.y, box.right - 1, box.bottom - 1), fill=fill)
    pen.rectangle((WORDS.x, WORDS.y, WORDS.x + 19, WORDS.bottom - 1), fill=(0, 0, 0))
    page.save(tmp_path / "one.png")
    boxes = [(1, PANEL), (1, OTHER), (1, INSET), (2, FIGURE), (4, WORDS)]
    file = tmp_path / "truth.json"
    file.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "one.png", "width": 500, "height": 700, "direction": "rtl"}],
                "annotations": [
                    {"id": k, "image_id": 1, "category_id": category, "bbox": list(box)}
                    for k, (category, box) in enumerate(boxes)
                ],
            }
        )
    )
    return file


def dark(image: Image.Image) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    grey = np.asarray(image.convert("L")).astype(int)
    return grey < (grey.max() + grey.min()) / 2 if grey.max() - grey.min() > 60 else np.zeros(grey.shape, bool)


def around(mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> Box:
    ys, xs = np.nonzero(mask)
    return Box(float(xs.min()), float(ys.min()), float(np.ptp(xs) + 1), float(np.ptp(ys) + 1))


def test_a_piece_shows_its_objects_where_it_says_and_no_mirrored_letters(coco: Path) -> None:
    material = Material.load(coco, coco.parent)
    shown = {"character": 0, "text": 0, "painted out": 0}
    for seed in range(80):
        piece = material.piece(np.random.default_rng(seed), 160, 120)
        assert piece.image.size == (160, 120)
        black = dark(piece.image)
        for label, box in piece.objects:
            inside = np.zeros_like(black)
            inside[int(box.y) : int(box.bottom + 1), int(box.x) : int(box.right + 1)] = True
            if label == "character":
                assert iou(around(black & inside), box) > 0.85
            elif box.x > 1 and box.right < 159 and box.y > 1 and box.bottom < 119:
                left, right = np.array_split(
                    black[int(box.y) + 2 : int(box.bottom) - 2, int(box.x) : int(box.right)], 2, 1
                )
                assert left.mean() > right.mean()
            black &= ~inside if label == "text" else True
            shown[label] += 1
        if any(label == "character" for label, _ in piece.objects) and not any(o[0] == "text" for o in piece.objects):
            shown["painted out"] += 1
    assert min(shown.values()) > 3, shown


def test_a_panel_under_another_is_not_cut_out(coco: Path) -> None:
    """Only the upper panel is: its figure or its word is on every part that is large enough."""
    material = Material.load(coco, coco.parent)
    for seed in range(12):
        assert material.piece(np.random.default_rng(seed), 380, 270).objects


def test_a_real_page_keeps_its_truth_under_every_change(coco: Path) -> None:
    material = Material.load(coco, coco.parent)
    directions = set()
    for seed in range(16):
        page = material.page(np.random.default_rng(seed), 320)
        assert max(page.image.size) == 320
        assert len(page.truth.panels) == len(page.texts) == 3
        assert [mark.kind for mark in page.marks] == [
            {"text": "lettering"}.get(o.label, o.label) for o in page.truth.objects
        ]
        figure = next(o.box for o in page.truth.objects if o.label == "character")
        panel = page.truth.panels[0].box
        assert figure.x > panel.x
        assert figure.bottom < panel.bottom
        black = np.asarray(page.image.convert("L"))[
            int(figure.y) + 3 : int(figure.bottom) - 3, int(figure.x) + 3 : int(figure.right) - 3
        ]
        assert black.mean() < 80
        directions.add(page.truth.direction)
        assert (page.truth.direction is Direction.RTL) == any(o.label == "text" for o in page.truth.objects)
    assert directions == set(Direction)


def same(one: MadePage, other: MadePage) -> bool:
    return one.truth == other.truth and np.array_equal(np.asarray(one.image), np.asarray(other.image))


def test_pieces_fill_panels_of_made_pages_unless_the_feature_is_off(coco: Path) -> None:
    material = Material.load(coco, coco.parent)
    plain = [make_page(seed, long_side=200) for seed in range(5)]
    filled = [make_page(seed, long_side=200, material=material) for seed in range(5)]
    off = [make_page(seed, long_side=200, material=material, features=ALL.without("material")) for seed in range(5)]
    again = [make_page(seed, long_side=200, material=Material.load(coco, coco.parent)) for seed in range(5)]
    assert sum(not same(a, b) for a, b in zip(plain, filled, strict=True)) >= 2
    assert all(same(a, b) for a, b in zip(plain, off, strict=True))
    assert all(same(a, b) for a, b in zip(filled, again, strict=True))


def test_what_is_no_annotated_folder_is_named(coco: Path) -> None:
    empty = coco.parent / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match=r"truth\.json names pictures that are not in empty: one\.png"):
        Material.load(coco, empty)
    broken = coco.parent / "broken.json"
    broken.write_text("{}")
    with pytest.raises(ValueError, match=r"broken\.json is no COCO file"):
        Material.load(broken, coco.parent)
    bare = json.loads(coco.read_text()) | {"annotations": []}
    broken.write_text(json.dumps(bare))
    with pytest.raises(ValueError, match=r"broken\.json has no panel to cut out"):
        Material.load(broken, coco.parent)
