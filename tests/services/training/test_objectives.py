"""The four objectives: each term reaches the parts it is for and no other, none is empty, and nothing leaks."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from services.training.contrast import info_nce
from services.training.corpus import Corpus
from services.training.heads import ReadingPath
from services.training.loop import Training
from services.training.objectives import OBJECTIVES
from services.training.seen import CONTENT, EVERYTHING, Seen
from shared.domain.training import OPTIONS, Option, RunConfig
from shared.nn.encoder_config import EncoderConfig

Begin = Callable[[Option], Training]

BRANCHES = {"encoder.branches.image", "encoder.branches.text"}
GATES = {"encoder.fusion.log_gains.image", "encoder.fusion.log_gains.text", "encoder.fusion.gates.image"}
PAGES = {"encoder.sequence.token", "encoder.sequence.place", "encoder.sequence.layers.0.mix"}
POOLING = {"encoder.sequence.query", "encoder.sequence.key", "encoder.sequence.to_page"}
REACHES = {
    "image_text": BRANCHES,
    "whole_image_text": BRANCHES,
    "layout": {"encoder.branches.layout"},
    "views": BRANCHES | GATES | {"encoder.branches.layout"},
    "context": BRANCHES | PAGES | {"encoder.sequence.to_context"},
    "pages": BRANCHES | PAGES | POOLING,
    "page_pictures": BRANCHES | PAGES | POOLING,
    "reading_path": BRANCHES | GATES | {"reading_path.inner", "reading_path.end"},
    "page_order": BRANCHES | PAGES | POOLING | {"page_order.inner", "page_order.outer"},
    "denoise": BRANCHES | GATES | {"encoder.branches.layout"},
    "masked_panel": BRANCHES | PAGES | {"encoder.sequence.mask", "encoder.sequence.to_guess"},
}
SPARES = {
    "layout": {"encoder.branches.image"},
    "reading_path": {"encoder.branches.layout", "encoder.sequence"},
    "denoise": {"encoder.sequence"},
}


@pytest.fixture(scope="module")
def begin(stories: Corpus, tiny: EncoderConfig, quick: RunConfig) -> Begin:
    """A run of an option, two steps old: parts that start at zero have left it."""

    def made(option: Option) -> Training:
        training = Training(quick, option, stories, Corpus(()), start=None, network=tiny)
        for step in range(2):
            training._step(training.batches[step])
            training.step += 1
        return training

    return made


def seen(training: Training, step: int) -> Seen:
    return Seen(
        training.batches[step],
        model=training.model,
        encoder=training.encoder,
        teacher=training.teacher,
        device=torch.device("cpu"),
        half=False,
        temperature=0.08,
    )


@pytest.mark.parametrize("option", OPTIONS)
def test_every_term_reaches_the_parts_it_is_for(begin: Begin, option: Option) -> None:
    training = begin(option)
    terms = OBJECTIVES[option].losses(seen(training, 2))
    extra = {"base": set(), "denoise": {"denoise"}, "context": {"masked_panel"}}
    extra["context-denoise"] = extra["denoise"] | extra["context"]
    assert set(terms) == set(REACHES) - {"denoise", "masked_panel"} | extra[option]
    touched: set[str] = set()
    for name, (weight, loss) in terms.items():
        assert weight > 0
        training.model.zero_grad()
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        reached = {
            part
            for part, value in training.model.named_parameters()
            if value.grad is not None and float(value.grad.abs().max()) > 0
        }
        for wanted in REACHES[name]:
            assert any(part.startswith(wanted) for part in reached), (name, wanted)
        for spared in SPARES.get(name, ()):
            assert not any(part.startswith(spared) for part in reached), (name, spared)
        touched |= reached
    idle = {name for name, _ in training.model.named_parameters()} - touched
    guessing = {"encoder.sequence.mask", "encoder.sequence.to_guess.weight", "encoder.sequence.to_guess.bias"}
    assert idle == (set() if "masked_panel" in terms else guessing)
    if training.teacher is not None:
        assert all(value.grad is None for value in training.teacher.parameters())


@pytest.mark.parametrize("option", OPTIONS)
def test_no_term_is_a_constant(begin: Begin, option: Option) -> None:
    training = begin(option)
    before = {name: float(loss.detach()) for name, (_, loss) in OBJECTIVES[option].losses(seen(training, 5)).items()}
    training._step(training.batches[2])
    after = {name: float(loss.detach()) for name, (_, loss) in OBJECTIVES[option].losses(seen(training, 5)).items()}
    for name, value in before.items():
        assert value > 0, name
        assert after[name] != value, name


def test_nothing_of_a_hidden_panel_reaches_its_guess(begin: Begin) -> None:
    training = begin("context")
    view = seen(training, 3)
    fused = view.whole.fused(only=EVERYTHING).detach().requires_grad_()
    row = int((view.counts[view.page] > 2).nonzero()[0, 0])
    mates = (view.page == view.page[row]).nonzero()[:, 0].tolist()
    guess = view.guess(fused, torch.tensor([row]))
    gradient = torch.autograd.grad(guess.square().mul(torch.arange(guess.shape[1])).sum(), fused)[0]
    for other in range(len(fused)):
        if other in mates and other != row:
            assert float(gradient[other].abs().max()) > 0
        else:
            assert float(gradient[other].abs().max()) == 0
    spoiled = fused.detach().clone()
    spoiled[row] = torch.nan
    assert torch.equal(view.guess(spoiled, torch.tensor([row])), guess)


def test_the_reading_path_is_asked_without_any_place(begin: Begin) -> None:
    training = begin("base")
    view = seen(training, 3)
    batch = replace(view.batch, layouts=np.roll(view.batch.layouts, 1, axis=0))
    moved = seen(training, 3)
    moved.__init__(  # type: ignore[misc]
        batch, model=training.model, encoder=training.encoder, teacher=None, device=torch.device("cpu"), half=False,
        temperature=0.08,
    )  # fmt: skip
    assert not np.array_equal(batch.layouts, view.batch.layouts)
    assert torch.equal(moved.whole.fused(only=CONTENT), view.whole.fused(only=CONTENT))
    losses = [OBJECTIVES["base"].losses(one) for one in (view, moved)]
    assert torch.equal(losses[0]["reading_path"][1], losses[1]["reading_path"][1])
    assert not torch.equal(losses[0]["page_order"][1], losses[1]["page_order"][1])


def test_scores_of_a_reading_path_do_not_depend_on_the_order_of_the_question() -> None:
    torch.manual_seed(0)
    head = ReadingPath(8)
    panels, there = torch.randn(1, 5, 8), torch.ones(1, 5, dtype=torch.bool)
    turned = torch.tensor([3, 0, 4, 1, 2])
    straight = head(panels, there)[0]
    assert torch.allclose(head(panels[:, turned], there)[0][:, :5], straight[turned][:, turned], atol=1e-6)
    assert bool(torch.isneginf(straight.diagonal()).all())


def test_panels_that_cannot_be_told_apart_are_no_wrong_answers() -> None:
    same = torch.eye(4)[[0, 0, 1, 2]]
    alike = torch.zeros(4, 4, dtype=torch.bool)
    assert float(info_nce(same, same, temperature=0.02, alike=alike)) > 0.3
    alike[0, 1] = alike[1, 0] = True
    assert float(info_nce(same, same, temperature=0.02, alike=alike)) < 1e-6
