"""The shipped starter checkpoint: small, sound, and able to find real panels it was never trained on."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from shared.domain.pictures import crop, decode
from shared.domain.schema import Box
from shared.nn.encoder import Encoder, PageInput, PanelInput, load_encoder
from shared.nn.layout_features import LayoutFeatures

Picture = NDArray[np.uint8]
FOLDER = Path(__file__).resolve().parents[3] / "services" / "search" / "weights"


@pytest.fixture(scope="module")
def starter() -> Encoder:
    return load_encoder(FOLDER)


@pytest.fixture(scope="module")
def panels(samples: Path) -> list[tuple[Picture, Box, LayoutFeatures]]:
    """The 29 panels of ep17: page, box, layout, in reading order."""
    truth = json.loads((samples / "pepper-carrot-ep17" / "ground_truth_coco.json").read_text())
    found = []
    for entry in truth["images"]:
        name = entry["file_name"]
        page = decode((samples / "pepper-carrot-ep17" / name).read_bytes(), name=name)
        boxes = [Box(*one["bbox"]) for one in truth["annotations"] if one["image_id"] == entry["id"]]
        for position, box in enumerate(boxes):
            found.append((page, box, LayoutFeatures(box, page.shape[1], page.shape[0], position, len(boxes))))
    assert len(found) == 29
    return found


@pytest.fixture(scope="module")
def fused(starter: Encoder, panels: list[tuple[Picture, Box, LayoutFeatures]]) -> NDArray[np.float32]:
    return starter.encode([PanelInput(crop=crop(page, box), layout=layout) for page, box, layout in panels])


def part(box: Box, left: float, top: float, right: float, bottom: float) -> Box:
    return Box(box.x + left * box.w, box.y + top * box.h, (right - left) * box.w, (bottom - top) * box.h)


def through(image: Image.Image, *, side: int | None = None, grey: bool = False, quality: int | None = None) -> Picture:
    """The picture after what happens to pictures on their way."""
    if side is not None:
        image = image.resize((side, max(8, side * image.height // image.width)))
    if grey:
        image = image.convert("L").convert("RGB")
    if quality is not None:
        memory = io.BytesIO()
        image.save(memory, "JPEG", quality=quality)
        image = Image.open(memory)
    return np.asarray(image.convert("RGB"))


QUERIES: dict[str, tuple[Callable[[Picture, Box], Picture], float]] = {
    "the whole panel": (lambda page, box: crop(page, box), 1.0),
    "four fifths of it": (lambda page, box: crop(page, part(box, 0.05, 0.1, 0.95, 0.98)), 1.0),
    "with gutter and neighbours": (lambda page, box: crop(page, part(box, -0.08, -0.08, 1.08, 1.08)), 0.9),
    "small": (lambda page, box: through(Image.fromarray(crop(page, box)), side=48), 1.0),
    "grey": (lambda page, box: through(Image.fromarray(crop(page, box)), grey=True), 0.9),
    "badly compressed": (lambda page, box: through(Image.fromarray(crop(page, box)), quality=12), 1.0),
    "its left two thirds": (lambda page, box: crop(page, part(box, 0.0, 0.05, 0.66, 0.95)), 0.72),
    "a small grey piece": (
        lambda page, box: through(
            Image.fromarray(crop(page, part(box, 0.12, 0.08, 0.9, 0.8))), side=90, grey=True, quality=30
        ),
        0.8,
    ),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_crop_finds_its_own_panel_first(
    name: str, starter: Encoder, panels: list[tuple[Picture, Box, LayoutFeatures]], fused: NDArray[np.float32]
) -> None:
    """Queries are pictures alone, the gallery has layouts too; floors lie a little under what was measured."""
    change, floor = QUERIES[name]
    queries = starter.encode([PanelInput(crop=change(page, box)) for page, box, _ in panels])
    recall = float(((queries @ fused.T).argmax(axis=1) == np.arange(29)).mean())
    assert recall >= floor


def test_likeness_follows_the_picture_not_the_layout(
    starter: Encoder, panels: list[tuple[Picture, Box, LayoutFeatures]], fused: NDArray[np.float32]
) -> None:
    """A panel moved elsewhere on another page stays nearest to itself, though others stand just where it now does."""
    elsewhere = [layout for _, _, layout in panels[7:] + panels[:7]]
    moved = starter.encode(
        [
            PanelInput(crop=crop(page, box), layout=where)
            for (page, box, _), where in zip(panels, elsewhere, strict=True)
        ]
    )
    assert ((moved @ fused.T).argmax(axis=1) == np.arange(29)).all()


def test_a_whole_page_finds_its_own_page(starter: Encoder, panels: list[tuple[Picture, Box, LayoutFeatures]]) -> None:
    pages: dict[int, list[tuple[Picture, Box, LayoutFeatures]]] = {}
    for panel in panels:
        pages.setdefault(id(panel[0]), []).append(panel)
    inputs = [
        PageInput(group[0][0], [PanelInput(crop=crop(page, box), layout=layout) for page, box, layout in group])
        for group in pages.values()
    ]
    stored = np.stack([vectors.page for vectors in starter.encode_pages(inputs)])
    small = [through(Image.fromarray(group[0][0]), side=200, quality=40) for group in pages.values()]
    queries = starter.encode([PanelInput(crop=picture) for picture in small])
    assert ((queries @ stored.T).argmax(axis=1) == np.arange(len(inputs))).all()


def test_it_is_small_and_says_how_it_was_made() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 15_000_000
    about = json.loads((FOLDER / "config.json").read_text())["about"]
    assert set(about) >= {"plan", "held_out"}
    assert about["held_out"]["view_recall_at_1"] > 0.5


def test_it_sees_pictures_and_layouts_and_cannot_read(starter: Encoder) -> None:
    assert starter.modalities == ("image", "layout")


def test_its_weights_are_finite_and_alive(starter: Encoder) -> None:
    for name, weight in starter.net.named_parameters():
        assert bool(torch.isfinite(weight).all()), name
        assert weight.numel() == 1 or float(weight.detach().std()) > 0, name
