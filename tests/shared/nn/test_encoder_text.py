"""The hashed text branch: the same rows everywhere, words and their order told, nothing from padding."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from shared.nn.encoder import Encoder, PanelInput, build_encoder, load_encoder, save_encoder
from shared.nn.encoder_config import EncoderConfig, LayoutConfig, TextConfig
from shared.nn.encoder_text import HashTextBranch, hashed

TEXTS = ["Look out!", "Œuvre NAÏVE", "鳥の歌", "…", "x " * 400]


@pytest.fixture(scope="module")
def reader() -> Encoder:
    config = EncoderConfig(
        dimensions=32, image=None, layout=LayoutConfig(width=8), text=TextConfig(backbone=None, buckets=512, width=16)
    )
    return build_encoder(config, seed=2)


def test_a_text_has_the_same_rows_in_every_process() -> None:
    rows, weights = hashed(["Look out!"], buckets=1000, words=10)
    assert rows[0, :2].tolist() == [864, 80]  # crc32 of "w look" and of "g <lo"
    code = "from shared.nn.encoder_text import hashed; print(hashed(['Look out!'], buckets=1000, words=10)[0].tolist())"
    for seed in ("0", "1"):
        ran = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        assert ran.stdout.strip() == str(rows.tolist())
    assert weights[0].sum() == pytest.approx(2 * 2 + 0.5)  # two words, the parts of each, one pair


def test_case_and_accents_do_not_matter_words_and_their_order_do(reader: Encoder) -> None:
    vectors = reader.encode(
        [PanelInput(text=text) for text in ("The dog bites", "THE DÔG bites!", "the bites dog", "a cat")]
    )
    same = vectors @ vectors.T
    assert np.array_equal(vectors[0], vectors[1])
    assert same[0, 3] < same[0, 2] < 0.999


def test_every_text_has_a_vector_that_padding_does_not_touch(reader: Encoder) -> None:
    together = reader.encode([PanelInput(text=text) for text in TEXTS])
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for text, vector in zip(TEXTS, together, strict=True):
        assert np.abs(reader.encode([PanelInput(text=text)])[0] - vector).max() < 1e-6
    signs = reader.encode([PanelInput(text="…"), PanelInput(text="?!")])
    assert not np.array_equal(signs[0], signs[1])


def test_only_so_many_words_count() -> None:
    long, cut = hashed(["a b c d e", "a b c"], buckets=64, words=3)[0]
    assert torch.equal(long, cut)


def test_its_gradient_reaches_the_words_that_were_read_only() -> None:
    branch = HashTextBranch(buckets=64, width=8, dimensions=4)
    rows, weights = hashed(["hello"], buckets=64, words=5)
    branch(rows, weights).sum().backward()
    assert branch.table.weight.grad is not None
    touched = branch.table.weight.grad.abs().sum(1).nonzero()[:, 0].tolist()
    assert set(touched) == set(rows[0].tolist())


def test_its_checkpoint_needs_no_tokenizer(reader: Encoder, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("hashed")
    save_encoder(folder, reader)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "encoder.safetensors"]
    panels = [PanelInput(text=text) for text in TEXTS]
    assert np.abs(load_encoder(folder).encode(panels) - reader.encode(panels)).max() < 5e-3
