"""The measures: right on known answers, beside chance, deterministic, and worth something only where words belong."""

from dataclasses import replace

import numpy as np
import pytest

from services.training.corpus import Corpus, CorpusPage, corpus_of_stories
from services.training.evaluation import evaluate, recalls
from services.training.heads import TrainingNet
from services.training.loop import MetricRow, Training
from shared.domain.training import RunConfig
from shared.nn.encoder import build_encoder
from shared.nn.encoder_config import EncoderConfig


def test_recalls_count_ranks_and_leave_out_what_is_alike() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.5, 0.4, 0.1], [0.3, 0.3, 0.3]], np.float32)
    nothing = np.zeros((3, 3), np.bool_)
    own = np.arange(3)
    assert recalls("a", scores, own, nothing, able=True) == {
        "a_r1": pytest.approx(1 / 3),
        "a_r1_chance": pytest.approx(1 / 3),
        "a_r10": 1.0,
        "a_r10_chance": 1.0,
    }
    alike = nothing.copy()
    alike[1, 0] = True
    found = recalls("a", scores, own, alike, able=True)
    assert found["a_r1"] == pytest.approx(2 / 3)
    assert found["a_r1_chance"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 3) / 3)
    assert recalls("a", scores, own, nothing, able=False)["a_r1"] == pytest.approx(1 / 3)
    assert recalls("a", scores[:0], own[:0], nothing[:0], able=True) == {}
    same = np.ones((40, 40), np.float32)  # one vector for all panels finds nothing
    assert recalls("a", same, np.arange(40), np.zeros((40, 40), np.bool_), able=True)["a_r10"] == 0


def test_an_untrained_encoder_is_at_chance_where_it_must_learn(unseen: Corpus, tiny: EncoderConfig) -> None:
    encoder = build_encoder(tiny, seed=1)
    model = TrainingNet(encoder.net, dimensions=32)
    values = evaluate(encoder, model, unseen)
    assert values == evaluate(encoder, model, unseen)
    assert values["reading_path_geometric"] == 1.0  # made pages are read as they lie
    for name in ("image_to_text_r1", "text_to_image_r1", "reading_path", "page_order"):
        assert abs(values[name] - values[f"{name}_chance"]) < 0.2, name
    measures = {name for name in values if not name.endswith(("_chance", "_geometric", "_neighbours"))}
    assert len(measures) == 16
    assert {f"{name}_chance" for name in measures} <= set(values)


def test_what_an_encoder_has_no_part_for_stands_at_chance(unseen: Corpus, tiny: EncoderConfig) -> None:
    values = evaluate(build_encoder(tiny.model_copy(update={"text": None, "sequence": None})), None, unseen)
    for name in ("image_to_text_r1", "noisy_no_picture_r10", "masked_panel_r1"):
        assert values[name] == values[f"{name}_chance"]
    assert "page_order" not in values


def test_few_pages_give_few_measures_and_no_error(unseen: Corpus, tiny: EncoderConfig) -> None:
    encoder = build_encoder(tiny)
    model = TrainingNet(encoder.net, dimensions=32)
    page = unseen.pages[0]
    assert evaluate(encoder, model, Corpus(())) == {}
    assert evaluate(encoder, model, Corpus((replace(page, panels=page.panels[:1]),))) == {}
    lone = [replace(page, panels=(replace(page.panels[0], text=None),)) for page in unseen.pages[:2]]
    few = evaluate(encoder, model, Corpus(tuple(lone)))
    assert "masked_panel_r1" not in few
    assert "image_to_text_r1" not in few
    assert "page_order" not in evaluate(encoder, model, Corpus(unseen.pages[:2]))
    assert "page_order" in evaluate(encoder, model, Corpus(unseen.pages[:4]))  # one comic has unrelated pages too
    for values in (few, evaluate(encoder, model, Corpus(unseen.pages[:1]))):
        assert all(np.isfinite(value) for value in values.values())


@pytest.fixture(scope="module")
def lessons() -> Corpus:
    return corpus_of_stories(range(100, 124), size=32)


def with_words_of_others(corpus: Corpus) -> Corpus:
    """The corpus with each panel's words given to another panel of the corpus."""
    texts = [panel.text for page in corpus.pages for panel in page.panels]
    turned = iter(np.random.default_rng(0).permutation(np.array(texts, object)))
    pages: list[CorpusPage] = []
    for page in corpus.pages:
        pages.append(replace(page, panels=tuple(replace(panel, text=next(turned)) for panel in page.panels)))
    return Corpus(tuple(pages))


def test_words_are_learned_where_they_belong_to_the_pictures_and_only_there(
    lessons: Corpus, tiny: EncoderConfig
) -> None:
    """Shuffled labels destroy the score: what is measured is not in the measuring."""
    config = RunConfig(
        epochs=1, steps_per_epoch=90, pages_per_batch=6, start="scratch", size=32, precision="float32", rate=3e-3
    )
    measured = corpus_of_stories(range(900, 908), size=32)
    found = {}
    for name, corpus in (("true", lessons), ("shuffled", with_words_of_others(lessons))):
        rows: list[MetricRow] = []
        training = Training(config, "base", corpus, measured, start=None, network=tiny)
        training.run(report=rows.append, save=lambda _state, _step: None, stop=lambda: False)
        found[name] = rows[-1].values
        assert rows[-1].kind == "held_out"
    for name in ("image_to_text_r10", "text_to_image_r10"):
        chance = found["true"][f"{name}_chance"]
        assert found["true"][name] > 2 * chance, found
        assert found["shuffled"][name] < 1.5 * chance, found
