"""A fake VLM server shared by the tests of the paid stage."""

from collections.abc import Iterator

import pytest

from tests.equipment.fake_vlm import FakeVlm, fake_vlm


@pytest.fixture(scope="package")
def shared_vlm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeVlm]:
    """One process for every test that leaves it running."""
    with fake_vlm(tmp_path_factory.mktemp("vlm") / "books.jsonl") as started:
        yield started


@pytest.fixture
def vlm(shared_vlm: FakeVlm) -> FakeVlm:
    """The shared one, well-mannered again; its books go on."""
    shared_vlm.control(script=[], always=None, latency=0.0, per_image={})
    return shared_vlm
