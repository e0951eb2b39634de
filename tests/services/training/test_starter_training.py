"""The starter's training: sound gradients, and the same result however often it is interrupted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from services.training import starter_training
from services.training.contrast import info_nce
from services.training.starter_training import Plan, held_out_recall, loss_of, make_batch, train
from shared.nn.encoder import Encoder, build_encoder
from shared.nn.encoder_config import EncoderConfig, ImageConfig, LayoutConfig

CONFIG = EncoderConfig(
    image=ImageConfig(size=32, widths=(8, 16, 24, 32), blocks=(1, 1, 1)), layout=LayoutConfig(width=16)
)
PLAN = Plan(steps=6, panels=12, long_side=320, warm_up=2)


def test_info_nce_is_log_n_for_guessing_and_zero_for_knowing() -> None:
    same = torch.ones(8, 4) / 2
    assert info_nce(same, same, temperature=0.1).item() == pytest.approx(np.log(8), abs=1e-5)
    assert info_nce(torch.eye(8), torch.eye(8), temperature=0.02).item() < 1e-6
    assert info_nce(torch.eye(8), torch.eye(8).roll(1, 0), temperature=0.02).item() > 10


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    one, again, later = (make_batch(PLAN, step, size=32) for step in (3, 3, 4))
    other = make_batch(replace(PLAN, seed=1), 3, size=32)
    assert torch.equal(one.pixels[0], again.pixels[0])
    assert torch.equal(one.layouts[1], again.layouts[1])
    assert not torch.equal(one.pixels[0], later.pixels[0])
    assert not torch.equal(one.pixels[0], other.pixels[0])
    assert one.pixels[0].shape == one.pixels[1].shape == (12, 3, 32, 32)
    assert not torch.equal(one.pixels[0], one.pixels[1])


def test_every_trained_weight_receives_gradient_and_the_gains_none() -> None:
    encoder = build_encoder(CONFIG)
    encoder.net.fusion.requires_grad_(False)
    loss_of(encoder, make_batch(PLAN, 0, size=32), PLAN).backward()  # type: ignore[no-untyped-call]
    for name, weight in encoder.net.named_parameters():
        if name.startswith("fusion"):
            assert weight.grad is None
        else:
            assert weight.grad is not None, name
            assert float(weight.grad.abs().max()) > 0, name


def test_partners_of_other_panels_cost_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views that belong together must be what the loss rewards: after some training, shuffled partners cost more."""
    monkeypatch.setattr(starter_training, "_save_state", lambda *_: None)
    encoder = train(replace(PLAN, steps=15), work=Path("unused"), config=CONFIG)
    batch = make_batch(PLAN, 1000, size=32)
    turned = replace(
        batch,
        pixels=(batch.pixels[0], batch.pixels[1].roll(1, 0)),
        layouts=(batch.layouts[0], batch.layouts[1].roll(1, 0)),
    )
    with torch.inference_mode():
        assert loss_of(encoder, turned, PLAN) > loss_of(encoder, batch, PLAN) + 0.5


def weights(encoder: Encoder) -> torch.Tensor:
    return torch.cat([value.flatten() for value in encoder.net.state_dict().values()])


def test_a_run_interrupted_anywhere_ends_as_the_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = train(PLAN, work=tmp_path / "calm", config=CONFIG, save_every=1)
    made = starter_training.make_batch
    deaths = iter([2, 3, 5])  # killed before these steps, once each
    next_death = [next(deaths)]

    def mortal(plan: Plan, step: int, *, size: int) -> starter_training.Batch:
        if step == next_death[0]:
            next_death[0] = next(deaths, -1)
            raise KeyboardInterrupt
        return made(plan, step, size=size)

    monkeypatch.setattr(starter_training, "make_batch", mortal)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            train(PLAN, work=tmp_path / "killed", config=CONFIG, save_every=2)
    resumed = train(PLAN, work=tmp_path / "killed", config=CONFIG, save_every=2)
    assert torch.allclose(weights(calm), weights(resumed), atol=1e-6)


def test_the_state_of_another_plan_is_not_continued(tmp_path: Path) -> None:
    train(replace(PLAN, steps=1), work=tmp_path, config=CONFIG)
    with pytest.raises(SystemExit, match="another plan"):
        train(replace(PLAN, steps=2), work=tmp_path, config=CONFIG)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter_training, "loss_of", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(FloatingPointError, match="step 0"):
        train(PLAN, work=tmp_path, config=CONFIG)
    assert not (tmp_path / "state.safetensors").exists()


def test_recall_on_held_out_panels_is_a_share() -> None:
    figures = held_out_recall(build_encoder(CONFIG), panels=16)
    assert set(figures) == {"view_recall_at_1", "layout_recall_at_1"}
    assert all(0 <= figure <= 1 for figure in figures.values())
