"""What only a trained encoder answers: words by their meaning, and panels in a like place of a like story."""

from pathlib import Path

import pytest
import torch

from services.search.fusion import fuse
from services.search.library import Library
from services.search.queries import search
from services.standalone import prepare
from shared.domain.answers import SearchFilters
from shared.domain.text import normalise
from shared.errors import Reject
from shared.nn.encoder import build_encoder, save_encoder
from shared.nn.encoder_config import EncoderConfig, ImageConfig, SequenceConfig, TextConfig
from shared.settings import Settings
from shared.store import checkpoints
from shared.store.blobs import storage_of
from shared.store.db import row, unit_of_work
from shared.store.vectors import CONTEXT, PAGE, PANEL
from tests.equipment.rows import execute
from tests.services.search.test_embedding import add_made_comic, embed, panel_ids

LEARNED = EncoderConfig(
    dimensions=64,
    image=ImageConfig(size=32, widths=(8, 16, 16), blocks=(1, 1)),
    text=TextConfig(backbone=None),
    sequence=SequenceConfig(),
)
CONTEXTS = SearchFilters(kind="context")


@pytest.fixture
def library(configured: Settings, tmp_path: Path) -> Library:
    """Three pages, embedded by an encoder that reads and knows contexts."""
    prepare(configured)
    encoder = build_encoder(LEARNED, seed=3)
    assert encoder.net.sequence is not None
    with torch.random.fork_rng():  # a new one begins with every panel's context being its own vector
        torch.manual_seed(3)
        torch.nn.init.normal_(encoder.net.sequence.to_context.weight, std=0.1)
    save_encoder(tmp_path / "encoder", encoder)
    kept = checkpoints.keep(storage_of(configured), "encoder", tmp_path / "encoder")
    with unit_of_work(str(configured.database_url)) as connection:
        made = checkpoints.register(connection, kept, origin="trained")
        checkpoints.activate(connection, "encoder", made)
    add_made_comic(configured)
    for panel, text in zip(panel_ids(configured), ["a red boat", "the boat at night", "nothing"], strict=False):
        execute(
            str(configured.database_url),
            "UPDATE panel_text SET literal = :t, normalised = :n WHERE panel_id = :p",
            p=panel, t=text, n=normalise(text),
        )  # fmt: skip
    embed(configured)
    return Library(configured)


def test_panels_are_found_by_their_context(configured: Settings, library: Library) -> None:
    panels = panel_ids(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        index = library.space(connection).index
        assert (index.count(PANEL), index.count(CONTEXT), index.count(PAGE)) == (len(panels), len(panels), 3)
        answer = search(connection, library, panel_id=panels[0], filters=CONTEXTS, limit=50)
        plain = search(connection, library, panel_id=panels[0], filters=SearchFilters(), limit=50)
        both = search(connection, library, panel_id=panels[0], words="boat", filters=CONTEXTS, limit=50)
        with pytest.raises(Reject, match="panel_id"):
            search(connection, library, words="boat", filters=CONTEXTS, limit=5)
    assert {hit.panel_id for hit in answer.hits} == set(panels[1:])
    assert [hit.score for hit in answer.hits] != [hit.score for hit in plain.hits]
    assert both.hits[0].panel_id == panels[1], "the other one that says boat"


def test_an_encoder_without_contexts_says_so(configured: Settings) -> None:
    prepare(configured)
    add_made_comic(configured, count=1)
    embed(configured)
    panel = panel_ids(configured)[0]
    with unit_of_work(str(configured.database_url)) as connection, pytest.raises(Reject, match="knows no context"):
        search(connection, Library(configured), panel_id=panel, filters=CONTEXTS, limit=5)


def test_where_words_are_written_comes_before_what_is_like_them(configured: Settings, library: Library) -> None:
    panels = panel_ids(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        answer = search(connection, library, words="boat", filters=SearchFilters(), limit=50)
        before = row(connection, "SELECT count(*) AS n FROM panel")
    assert before is not None
    assert {hit.panel_id for hit in answer.hits[:2]} == set(panels[:2])
    assert len(answer.hits) == len(panels), "then the others, the most like first"
    assert [hit.why for hit in answer.hits] == ["written"] * 2 + ["alike"] * (len(panels) - 2)
    scores = [hit.score for hit in answer.hits[2:]]
    assert scores == sorted(scores, reverse=True)
    assert max(scores) <= 1.001, "cosines"


def test_rankings_are_joined_by_rank() -> None:
    assert [key for key, _ in fuse([["a", "b", "c"], ["c", "a"]])] == ["a", "c", "b"]
