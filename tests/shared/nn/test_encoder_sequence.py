"""The page network: order and neighbours matter, other pages and padding do not, a new one changes nothing."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shared.domain.schema import Box
from shared.errors import Reject
from shared.nn.encoder import (
    CONFIG_FILE,
    Encoder,
    PageInput,
    PanelInput,
    build_encoder,
    load_encoder,
    save_encoder,
)
from shared.nn.encoder_config import EncoderConfig, ImageConfig, LayoutConfig, SequenceConfig, TextConfig
from shared.nn.layout_features import LayoutFeatures

CONFIG = EncoderConfig(
    dimensions=32,
    image=ImageConfig(size=32, widths=(8, 16, 24), blocks=(1, 1)),
    layout=LayoutConfig(width=8),
    text=TextConfig(backbone=None, buckets=256, width=16),
    sequence=SequenceConfig(layers=2, heads=2, width=32),
    gates=True,
)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """As training leaves it: no weight is zero any more."""
    made = build_encoder(CONFIG, seed=4)
    torch.manual_seed(1)
    with torch.no_grad():
        for value in made.net.parameters():
            value.add_(0.2 * torch.randn_like(value))
    return made


def picture(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(5, 0).repeat(5, 1)


def panel(seed: int, position: int, count: int) -> PanelInput:
    place = LayoutFeatures(Box(20 + 60 * position, 10 + 7 * position, 50, 80 + position), 400, 600, position, count)
    return PanelInput(picture(seed), place, f"word{seed} and more" if seed % 2 else None)


def page(*seeds: int) -> list[PanelInput]:
    return [panel(seed, position, len(seeds)) for position, seed in enumerate(seeds)]


def context(encoder: Encoder, panels: Sequence[PanelInput]) -> NDArray[np.float32]:
    found = encoder.encode_pages([PageInput(None, panels)])[0].context
    assert found is not None
    return found


def test_a_new_page_network_starts_as_the_encoder_without_one() -> None:
    plain = build_encoder(CONFIG.model_copy(update={"sequence": None, "gates": False}), seed=4)
    grown = build_encoder(CONFIG, seed=4)
    grown.net.load_state_dict(plain.net.state_dict(), strict=False)
    pages = [PageInput(picture(50), page(1, 2, 3)), PageInput(None, page(4)), PageInput(picture(9), [])]
    for old, new in zip(plain.encode_pages(pages), grown.encode_pages(pages), strict=True):
        assert np.allclose(old.page, new.page, atol=1e-5)
        assert np.allclose(old.panels, new.panels, atol=1e-6)
        assert old.context is None
        assert new.context is not None
        assert new.context.shape == new.panels.shape
        assert np.allclose(new.context, new.panels, atol=1e-5)
    fused = grown.encode(page(1, 2, 3))
    others = fused[[0, 2]].mean(0)
    assert np.abs(grown.predict_panels(page(1, 2, 3))[1] - others / np.linalg.norm(others)).max() < 1e-5


def test_pages_have_one_vector_whatever_they_are_batched_with(encoder: Encoder) -> None:
    pages = [PageInput(picture(60), page(1, 2, 3, 4, 5)), PageInput(None, page(6)), PageInput(None, page(7, 8))]
    together = encoder.encode_pages(pages)
    for alone, found in zip((encoder.encode_pages([one])[0] for one in pages), together, strict=True):
        assert np.abs(alone.page - found.page).max() < 1e-5
        assert alone.context is not None
        assert found.context is not None
        assert np.abs(alone.context - found.context).max() < 1e-5
        assert np.allclose(np.linalg.norm(found.context, axis=1), 1, atol=1e-5)


def test_neighbours_order_and_place_change_a_panel_in_its_context(encoder: Encoder) -> None:
    before = context(encoder, page(1, 2, 3))
    assert np.abs(context(encoder, page(1, 2, 4))[0] - before[0]).max() > 1e-3
    turned = context(encoder, page(2, 1, 3))
    assert np.abs(turned[1] - before[0]).max() > 1e-3  # the same panel, read second
    unplaced = [PanelInput(one.crop, text=one.text) for one in page(1, 2, 3)]
    there = context(encoder, unplaced)
    back = context(encoder, unplaced[::-1])[::-1]
    assert np.abs(there - back).max() > 1e-3  # the order of reading counts where no box is known
    alone, turned_page = (
        encoder.encode_pages([PageInput(None, one)])[0].page for one in (page(1, 2, 3), page(3, 2, 1))
    )
    assert np.abs(alone - turned_page).max() > 1e-3


def test_the_picture_of_the_whole_page_stays_out_of_the_page_network(encoder: Encoder) -> None:
    bare, pictured = encoder.encode_pages([PageInput(None, page(1, 2)), PageInput(picture(70), page(1, 2))])
    assert bare.context is not None
    assert pictured.context is not None
    assert np.abs(bare.context - pictured.context).max() < 1e-6
    assert np.abs(bare.page - pictured.page).max() > 1e-3


def test_a_panel_never_takes_part_in_its_own_prediction(encoder: Encoder) -> None:
    panels = page(1, 3, 5)
    before = encoder.predict_panels(panels)
    assert before.shape == (3, 32)
    for changed in (PanelInput(picture(77), panels[1].layout, "something else"), PanelInput(None, panels[1].layout)):
        after = encoder.predict_panels([panels[0], changed, panels[2]])
        assert np.array_equal(after[1], before[1])
        assert np.abs(after[[0, 2]] - before[[0, 2]]).max() > 1e-3
    moved = PanelInput(panels[1].crop, LayoutFeatures(Box(300, 500, 90, 90), 400, 600, 1, 3), panels[1].text)
    assert np.abs(encoder.predict_panels([panels[0], moved, panels[2]])[1] - before[1]).max() > 1e-3
    assert np.isfinite(encoder.predict_panels(page(2))).all()
    assert encoder.predict_panels([]).shape == (0, 32)


def test_an_encoder_without_a_page_network_predicts_nothing() -> None:
    with pytest.raises(Reject, match="no page network"):
        build_encoder(CONFIG.model_copy(update={"sequence": None})).predict_panels(page(1, 2))
    with pytest.raises(Reject, match="multiple"):
        build_encoder(CONFIG.model_copy(update={"sequence": SequenceConfig(heads=3, width=32)}))


def test_its_checkpoint_gives_the_same_pages(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("sequence")
    save_encoder(folder, encoder)
    panels = page(1, 2, 3)
    assert np.abs(context(load_encoder(folder), panels) - context(encoder, panels)).max() < 5e-3


def test_a_checkpoint_from_before_there_were_page_networks_loads_and_gives_its_vectors(tmp_path: Path) -> None:
    old = build_encoder(CONFIG.model_copy(update={"sequence": None, "gates": False, "text": None}), seed=4)
    save_encoder(tmp_path / "old", old)
    raw = json.loads((tmp_path / "old" / CONFIG_FILE).read_text())
    del raw["config"]["sequence"], raw["config"]["gates"]
    (tmp_path / "old" / CONFIG_FILE).write_text(json.dumps(raw))
    loaded = load_encoder(tmp_path / "old")
    panels = page(1, 2, 3)
    pictures = loaded.encode([PanelInput(crop=one.crop) for one in panels])
    places = loaded.encode([PanelInput(layout=one.layout) for one in panels])
    expected = loaded.config.gains["image"] * pictures + loaded.config.gains["layout"] * places
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    found = loaded.encode_pages([PageInput(None, panels)])[0]
    assert np.abs(found.panels - expected).max() < 1e-5
    assert np.abs(found.page - expected.mean(0) / np.linalg.norm(expected.mean(0))).max() < 1e-5
    assert found.context is None


def test_a_modality_that_is_absent_does_not_move_the_gates_of_the_others(encoder: Encoder) -> None:
    vectors = {name: torch.nn.functional.normalize(torch.randn(4, 32), dim=1) for name in ("image", "text", "layout")}
    present = {name: torch.tensor([True, True, name == "image", True]) for name in vectors}
    with torch.no_grad():
        before = encoder.net.fusion(vectors, present)
        vectors["text"][2], vectors["layout"][2] = 5.0, -3.0
        assert torch.equal(encoder.net.fusion(vectors, present), before)
        vectors["text"][1] *= -1  # a text that contradicts the picture is weighed anew, not only turned around
        gate = encoder.net.fusion.gates["image"]
        assert not torch.equal(encoder.net.fusion(vectors, present)[1], before[1])
        assert 0 < float(gate(vectors["image"], vectors["text"]).min()) < 2
