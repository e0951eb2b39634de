"""A run: interrupted it ends where it would have, gone wrong it says so, on odd corpora it works or says why not."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from services.training.corpus import Corpus
from services.training.loop import MetricRow, Training, schedule
from services.training.start import beginning, new_network
from shared.domain.training import OPTIONS, Option, RunConfig
from shared.errors import Reject
from shared.nn.encoder import PageInput, PanelInput, build_encoder, load_encoder, save_encoder
from shared.nn.encoder_config import EncoderConfig, ImageConfig


class Desk:
    """Takes a run's reports and states; tells it to stop after so many steps of this sitting."""

    def __init__(self, *, stop_after: int | None = None) -> None:
        self.rows: list[MetricRow] = []
        self.states: list[tuple[int, bytes]] = []
        self.left = stop_after

    def stop(self) -> bool:
        if self.left is None:
            return False
        self.left -= 1
        return self.left < 0

    def run(self, training: Training) -> object:
        return training.run(
            report=self.rows.append,
            save=lambda state, step: self.states.append((step, state)),
            stop=self.stop,
            save_every_s=1e9,
        )


def weights(state: bytes) -> dict[str, torch.Tensor]:
    return safetensors.torch.load(state)


@pytest.mark.parametrize("option", ["base", "context-denoise"])
def test_a_run_in_pieces_ends_where_an_undisturbed_one_does(
    stories: Corpus, unseen: Corpus, tiny: EncoderConfig, quick: RunConfig, option: Option
) -> None:
    def fresh() -> Training:
        return Training(quick, option, stories, unseen, start=None, network=tiny)

    whole = Desk()
    assert whole.run(fresh()) is not None
    assert [step for step, _ in whole.states] == [6, 12]
    rows: list[MetricRow] = []
    state = None
    for sitting in (4, 3, None):
        training = fresh()
        if state is not None:
            training.restore(state)
        desk = Desk(stop_after=sitting)
        ended = desk.run(training)
        assert (ended is None) == (sitting is not None)
        rows += desk.rows
        state = desk.states[-1][1]
    assert state is not None
    one, other = weights(whole.states[-1][1]), weights(state)
    assert one.keys() == other.keys()
    assert any(name.startswith("teacher.") for name in one) == (option != "base")
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
    assert rows == whole.rows  # the same curve, point by point
    assert [row.step for row in rows if row.kind == "held_out"] == [0, 6, 12]


def test_a_run_of_pretrained_models_with_dropout_is_repeatable_and_saves_memory_on_request(
    tmp_path: Path, stories: Corpus, quick: RunConfig
) -> None:
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    model = ViTModel(ViTConfig(image_size=32, patch_size=16, hidden_dropout_prob=0.1, **size))
    model.save_pretrained(tmp_path / "vit")
    (tmp_path / "vit" / "preprocessor_config.json").write_text(
        '{"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 2, 3]}'
    )
    silent = Corpus(
        tuple(replace(page, panels=tuple(replace(p, text=None) for p in page.panels)) for page in stories.pages)
    )
    ends: list[dict[str, torch.Tensor]] = []
    for recompute in (False, False, True):
        torch.manual_seed(len(ends))  # what else draws in this process must not matter
        config = quick.model_copy(
            update={"image_backbone": str(tmp_path / "vit"), "epochs": 1, "steps_per_epoch": 3, "recompute": recompute}
        )
        training = Training(config, "base", silent, Corpus(()), start=None)
        image = training.encoder.config.image
        assert image is not None
        assert (image.mean, image.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
        Desk().run(training)
        ends.append({name: value.clone() for name, value in training.model.state_dict().items()})
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name
        assert torch.allclose(value, ends[2][name], atol=1e-5), name
    shares = {group["share"] for group in training.optimiser.param_groups}
    assert shares == {0.1, 1.0}


def test_what_is_not_finite_ends_the_run_and_is_never_saved(
    stories: Corpus, tiny: EncoderConfig, quick: RunConfig
) -> None:
    training = Training(quick, "base", stories, Corpus(()), start=None, network=tiny)
    desk = Desk(stop_after=2)
    desk.run(training)
    desk.left = None
    with torch.no_grad():
        training.model.page_order.outer.bias[0] = torch.nan
    with pytest.raises(Reject, match="page_order is not finite at step 2"):
        desk.run(training)
    assert [step for step, _ in desk.states] == [2]
    with pytest.raises(Reject, match=r"page_order\.outer\.bias is not finite at step 2"):
        training.state()


def test_a_gpu_that_is_too_small_says_what_to_change(
    stories: Corpus, tiny: EncoderConfig, quick: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(quick, "base", stories, Corpus(()), start=None, network=tiny)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(training.model.page_order, "forward", full)
    with pytest.raises(Reject, match="4 pages a batch"):
        Desk().run(training)


def test_a_state_of_another_run_or_a_damaged_one_is_refused(
    stories: Corpus, unseen: Corpus, tiny: EncoderConfig, quick: RunConfig
) -> None:
    def made(option: Option = "base", corpus: Corpus = stories, **changes: object) -> Training:
        config = quick.model_copy(update=changes)
        return Training(config, option, corpus, Corpus(()), start=None, network=tiny)

    state = made().state()
    made().restore(state)
    for other in (made("context"), made(corpus=unseen), made(seed=1), made(rate=1e-4)):
        with pytest.raises(Reject, match="another run"):
            other.restore(state)
    for damaged in (b"", state[:100], state[:-100], b"\0" * 64):
        with pytest.raises(Reject, match="damaged"):
            made().restore(damaged)


def test_a_corpus_that_cannot_be_trained_on_says_why(stories: Corpus, tiny: EncoderConfig, quick: RunConfig) -> None:
    def attempt(corpus: Corpus, option: Option) -> Training:
        return Training(quick, option, corpus, Corpus(()), start=None, network=tiny)

    alone = Corpus(tuple(replace(page, panels=page.panels[:1]) for page in stories.pages))
    with pytest.raises(Reject, match="no page"):
        attempt(Corpus(()), "base")
    with pytest.raises(Reject, match="no page has two"):
        attempt(alone, "context")
    with pytest.raises(Reject, match="other pages"):
        attempt(Corpus(stories.pages[:1]), "context-denoise")
    with pytest.raises(Reject, match="One panel alone"):
        attempt(Corpus(alone.pages[:1]), "base")
    for option in ("base", "denoise"):
        desk = Desk()
        assert desk.run(attempt(alone, option)) is not None
        assert "reading_path" not in desk.rows[-1].values


@pytest.mark.parametrize("option", OPTIONS)
def test_comics_without_words_train_pictures_only(
    stories: Corpus, quick: RunConfig, tiny: EncoderConfig, option: Option
) -> None:
    silent = Corpus(
        tuple(replace(page, panels=tuple(replace(panel, text=None) for panel in page.panels)) for page in stories.pages)
    )
    config = quick.model_copy(update={"epochs": 1, "steps_per_epoch": 2})
    desk = Desk()
    desk.run(Training(config, option, silent, silent, start=None, network=tiny))
    assert "image_text" not in desk.rows[-2].values
    for row in desk.rows:
        assert all(np.isfinite(value) for value in row.values.values())
    assert new_network(config, reads=False).text is None  # a branch that never saw a word would be noise


def test_one_comic_is_enough(stories: Corpus, quick: RunConfig, tiny: EncoderConfig) -> None:
    comic = Corpus(tuple(page for page in stories.pages if page.comic == stories.pages[0].comic))
    desk = Desk()
    config = quick.model_copy(update={"epochs": 1, "steps_per_epoch": None})
    assert desk.run(Training(config, "context-denoise", comic, comic, start=None, network=tiny)) is not None


def test_going_on_adds_what_is_missing_and_begins_as_the_old_encoder(
    tmp_path: Path, stories: Corpus, quick: RunConfig
) -> None:
    old = EncoderConfig(dimensions=32, image=ImageConfig(size=32, widths=(8, 16, 24), blocks=(1, 1)))
    start = build_encoder(old, seed=9)
    config = quick.model_copy(update={"start": "active", "epochs": 1, "steps_per_epoch": 2})
    grown, fresh = beginning(config, start=start, reads=True, network=None)
    assert grown.modalities == ("image", "text", "layout")
    assert {name.split(".")[0] for name in fresh} == {"branches", "fusion", "sequence"}
    assert not any(name.startswith("branches.image") for name in fresh)
    pages = [
        PageInput(page.thumb, [PanelInput(panel.crop, panel.layout) for panel in page.panels])
        for page in stories.pages[:3]
    ]
    for before, after in zip(start.encode_pages(pages), grown.encode_pages(pages), strict=True):
        assert np.allclose(before.panels, after.panels, atol=1e-6)
        assert np.allclose(before.page, after.page, atol=1e-5)
        assert after.context is not None
        assert np.allclose(after.context, after.panels, atol=1e-5)
    training = Training(config, "base", stories, Corpus(()), start=start)
    rates = {group["share"] for group in training.optimiser.param_groups}
    assert rates == {0.3, 1.0}
    untouched = {name: value.clone() for name, value in start.net.state_dict().items()}
    encoder = training.run(report=lambda _: None, save=lambda _state, _step: None, stop=lambda: False)
    assert encoder is not None
    assert all(torch.equal(value, untouched[name]) for name, value in start.net.state_dict().items())
    save_encoder(tmp_path / "trained", encoder)
    loaded = load_encoder(tmp_path / "trained")
    assert np.abs(loaded.encode(pages[0].panels) - encoder.encode(pages[0].panels)).max() < 5e-3


def test_settings_that_no_network_can_have_are_refused(stories: Corpus, quick: RunConfig, tiny: EncoderConfig) -> None:
    with pytest.raises(Reject, match="multiple of 32"):
        Training(quick.model_copy(update={"size": 100}), "base", stories, Corpus(()), start=None)
    reader = build_encoder(tiny)
    with pytest.raises(Reject, match="reads already"):
        beginning(quick.model_copy(update={"text_backbone": "other"}), start=reader, reads=True, network=None)
    blind = build_encoder(tiny.model_copy(update={"image": None}))
    with pytest.raises(Reject, match="no picture branch"):
        Training(quick, "base", stories, Corpus(()), start=blind)


def test_the_rate_rises_then_falls_to_a_hundredth() -> None:
    rates = [schedule(step, 1000) for step in range(1000)]
    assert rates.index(max(rates)) in (99, 100)
    assert max(rates) == 1
    assert rates[0] == 0.01
    assert 0.0099 < rates[-1] < 0.011
    assert all(b <= a for a, b in pairwise(rates[100:]))
