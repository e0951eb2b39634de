"""What the tests of the training share: a few made stories, a network as small as it goes, one thread."""

from collections.abc import Iterator

import pytest
import torch

from services.training.corpus import Corpus, corpus_of_stories
from shared.domain.training import RunConfig
from shared.nn.encoder_config import EncoderConfig, ImageConfig, LayoutConfig, SequenceConfig, TextConfig


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def stories() -> Corpus:
    """Three made comics of four pages."""
    return corpus_of_stories(range(3), size=32)


@pytest.fixture(scope="session")
def unseen() -> Corpus:
    """Two made comics that no test trains on."""
    return corpus_of_stories(range(900, 902), size=32)


@pytest.fixture(scope="session")
def tiny() -> EncoderConfig:
    """The smallest network with every part."""
    return EncoderConfig(
        dimensions=32,
        image=ImageConfig(size=32, widths=(8, 16, 24), blocks=(1, 1)),
        layout=LayoutConfig(width=16),
        text=TextConfig(backbone=None, buckets=1024, width=32),
        sequence=SequenceConfig(layers=1, heads=2, width=32),
        gates=True,
    )


@pytest.fixture(scope="session")
def quick() -> RunConfig:
    """Two epochs of six steps."""
    return RunConfig(
        epochs=2, steps_per_epoch=6, pages_per_batch=4, start="scratch", size=32, precision="float32", rate=3e-3
    )
