"""A new encoder takes over at once, when everything has vectors of it; until then, and after any accident, the old."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.search import tasks
from services.search.library import Library
from services.search.queries import search
from services.standalone import prepare
from shared.domain.answers import SearchAnswer, SearchFilters
from shared.domain.pictures import decode
from shared.domain.pipeline import STAGES
from shared.domain.schema import Box
from shared.domain.training import PromotionView
from shared.errors import Conflict, NotFound
from shared.nn.encoder import build_encoder, save_encoder
from shared.nn.encoder_config import EncoderConfig, ImageConfig
from shared.settings import Settings
from shared.store import checkpoints
from shared.store.blobs import blob_key, get_blob, storage_of
from shared.store.db import row, unit_of_work
from shared.work import jobs, promotions
from shared.work.stages import Done, run_batch
from tests.equipment.comics import add_layout
from tests.equipment.rows import execute, job_states, plan_stage
from tests.services.search.test_embedding import add_made_comic, embed, panel_ids

REEMBED = STAGES["reembed"]
SMALL = EncoderConfig(image=ImageConfig(size=32, widths=(8, 16, 16), blocks=(1, 1)))


def another_encoder(configured: Settings, folder: Path, *, seed: int = 1) -> int:
    """A trained encoder beside the shipped one; its checkpoint id."""
    save_encoder(folder / str(seed), build_encoder(SMALL, seed=seed))
    kept = checkpoints.keep(storage_of(configured), "encoder", folder / str(seed))
    with unit_of_work(str(configured.database_url)) as connection:
        return checkpoints.register(connection, kept, origin="trained")


def begin(configured: Settings, checkpoint_id: int) -> dict[str, int]:
    with unit_of_work(str(configured.database_url)) as connection:
        return promotions.begin(connection, configured, checkpoint_id)


def newest(configured: Settings) -> PromotionView:
    with unit_of_work(str(configured.database_url)) as connection:
        return promotions.promotions(connection)[0]


def active(configured: Settings) -> int:
    with unit_of_work(str(configured.database_url)) as connection:
        return int(checkpoints.active(connection, "encoder")["id"])


def reembed(configured: Settings, *, pages: int = 10**6) -> None:
    """Run the stage for at most so many pages, one by one."""
    url = str(configured.database_url)
    execute(url, "UPDATE job SET not_before = now() + interval '1 day' WHERE stage = 'reembed' AND state = 'queued'")
    for _ in range(pages):
        execute(
            url,
            "UPDATE job SET not_before = now() WHERE id = "
            "(SELECT min(id) FROM job WHERE stage = 'reembed' AND state = 'queued')",
        )
        if not run_batch(REEMBED, tasks.reembed):
            break
    execute(url, "UPDATE job SET not_before = now() WHERE stage = 'reembed' AND state = 'queued'")


def found(configured: Settings, library: Library, panel_id: int) -> SearchAnswer:
    with unit_of_work(str(configured.database_url)) as connection:
        return search(connection, library, panel_id=panel_id, filters=SearchFilters(), limit=100)


@pytest.fixture
def pages(configured: Settings) -> list[int]:
    """Three pages with vectors of the shipped encoder."""
    prepare(configured)
    made = add_made_comic(configured)
    embed(configured)
    return made


def test_the_old_encoder_serves_until_the_last_page_has_vectors_of_the_new(
    configured: Settings, pages: list[int], tmp_path: Path
) -> None:
    old, new, library = active(configured), another_encoder(configured, tmp_path), Library(configured)
    panels = panel_ids(configured)
    before = found(configured, library, panels[0])
    assert begin(configured, new) == {"reembed": len(pages)}
    reembed(configured, pages=len(pages) - 1)
    assert (newest(configured).state, newest(configured).embedded, newest(configured).total) == ("embedding", 2, 3)
    assert active(configured) == old
    assert found(configured, library, panels[0]).hits == before.hits
    reembed(configured, pages=1)
    assert newest(configured).state == "done"
    assert active(configured) == new
    after = found(configured, library, panels[0])
    assert {hit.panel_id for hit in after.hits} == set(panels[1:]), "nothing that could be found is lost"
    assert [hit.score for hit in after.hits] != [hit.score for hit in before.hits]


def test_no_query_mixes_two_spaces_while_the_switch_happens(
    configured: Settings, pages: list[int], tmp_path: Path
) -> None:
    new, library = another_encoder(configured, tmp_path), Library(configured)
    url, panels = str(configured.database_url), panel_ids(configured)
    with unit_of_work(url) as connection:
        page = row(connection, "SELECT image_sha256 FROM page WHERE id = :id", id=pages[0])
    assert page is not None
    picture = decode(get_blob(storage_of(configured), page["image_sha256"]))[50:300, 50:300]

    def ask() -> tuple[tuple[int | None, float], ...]:
        with unit_of_work(url) as connection:
            answer = search(connection, library, image=picture, filters=SearchFilters(), limit=100)
        return tuple((hit.panel_id, round(hit.score, 4)) for hit in answer.hits)

    before, seen, stop = ask(), set(), threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            seen.add(ask())

    threads = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    begin(configured, new)
    while run_batch(REEMBED, tasks.reembed):
        pass
    after = ask()
    stop.set()
    for thread in threads:
        thread.join()
    assert active(configured) == new
    assert before != after
    assert len(after) == len(panels)
    assert seen <= {before, after}


def test_a_promotion_whose_worker_was_killed_goes_on(configured: Settings, pages: list[int], tmp_path: Path) -> None:
    url, old, new = str(configured.database_url), active(configured), another_encoder(configured, tmp_path)
    begin(configured, new)
    reembed(configured, pages=1)
    with unit_of_work(url) as connection:  # claimed, and then the process was no more
        assert len(jobs.claim(connection, REEMBED, owner="killed", lease=60)) == 2
    assert active(configured) == old
    prepare(configured)  # what a start does: it plans nothing twice
    with unit_of_work(url) as connection:
        assert jobs.disown_all(connection) == 2
    while run_batch(REEMBED, tasks.reembed):
        pass
    assert active(configured) == new
    assert job_states(url, "reembed") == {"done": len(pages)}


def test_a_page_that_fails_holds_the_switch_until_it_is_skipped(
    configured: Settings, pages: list[int], tmp_path: Path
) -> None:
    url, old, new = str(configured.database_url), active(configured), another_encoder(configured, tmp_path)
    begin(configured, new)
    with unit_of_work(url) as connection:
        page = row(connection, "SELECT image_sha256 FROM page WHERE id = :id", id=pages[1])
    assert page is not None
    storage_of(configured).delete(blob_key(page["image_sha256"]))
    reembed(configured)
    promotion = newest(configured)
    assert (promotion.state, promotion.embedded, promotion.failed) == ("embedding", 2, 1)
    assert active(configured) == old
    with unit_of_work(url) as connection:
        promotions.skip_failed(connection, configured, promotion.id)
    assert newest(configured).state == "done"
    assert active(configured) == new


def test_a_page_that_comes_during_a_promotion_is_found_before_and_after(
    configured: Settings, pages: list[int], tmp_path: Path
) -> None:
    new, library = another_encoder(configured, tmp_path), Library(configured)
    begin(configured, new)
    reembed(configured, pages=1)
    late = add_made_comic(configured, seed=6, count=1)  # the first page of each is a single panel: the one that asks
    embed(configured)
    panels = panel_ids(configured)
    assert {hit.page_id for hit in found(configured, library, panels[0]).hits} == {*pages[1:], *late}
    plan_stage(configured, "reembed")
    reembed(configured, pages=2)
    assert newest(configured).state == "embedding", "the late page can be found now, so it must be found then"
    reembed(configured)
    assert active(configured) == new
    assert {hit.page_id for hit in found(configured, library, panels[0]).hits} == {*pages[1:], *late}


def test_a_rollback_is_immediate_when_nothing_changed_and_waits_for_what_did(
    configured: Settings, pages: list[int], tmp_path: Path
) -> None:
    url, old, new = str(configured.database_url), active(configured), another_encoder(configured, tmp_path)
    begin(configured, new)
    reembed(configured)
    with unit_of_work(url) as connection:
        assert promotions.roll_back(connection, configured) == {"reembed": 0, "embed": 0}
    assert active(configured) == old
    begin(configured, new)
    assert active(configured) == new, "its vectors were kept"
    add_layout(configured, pages[0], [Box(0, 0, 250, 350)])
    embed(configured)
    with unit_of_work(url) as connection:
        assert promotions.roll_back(connection, configured) == {"reembed": 1}
    assert active(configured) == new
    reembed(configured)
    assert active(configured) == old


def test_one_promotion_at_a_time_and_none_of_what_is_in_use(
    configured: Settings, pages: list[int], tmp_path: Path
) -> None:
    url = str(configured.database_url)
    first, second = another_encoder(configured, tmp_path), another_encoder(configured, tmp_path, seed=2)
    begin(configured, first)
    with pytest.raises(Conflict, match="being promoted already"):
        begin(configured, first)
    begin(configured, second)  # takes its place
    with unit_of_work(url) as connection:
        states = [promotion.state for promotion in promotions.promotions(connection)]
        detector = checkpoints.active(connection, "detector")["id"]
    assert states == ["embedding", "cancelled"]
    reembed(configured)
    assert active(configured) == second
    with pytest.raises(Conflict, match="serves queries already"):
        begin(configured, second)
    with pytest.raises(Conflict, match="detects panels already"):
        begin(configured, detector)
    with pytest.raises(NotFound):
        begin(configured, 10**9)
    assert len(pages) == 3


def test_a_cancelled_promotion_changes_nothing_and_leaves_no_work(
    configured: Settings, pages: list[int], tmp_path: Path
) -> None:
    url, old, new = str(configured.database_url), active(configured), another_encoder(configured, tmp_path)
    begin(configured, new)
    reembed(configured, pages=1)
    with unit_of_work(url) as connection:
        promotions.cancel(connection, promotions.promotions(connection)[0].id)
    assert active(configured) == old
    assert job_states(url, "reembed") == {"done": 1}
    assert begin(configured, new) == {"reembed": len(pages) - 1}, "what was embedded is kept"


def test_missing_vectors_are_made_again(configured: Settings, pages: list[int]) -> None:
    url = str(configured.database_url)
    execute(url, "DELETE FROM segment")
    assert plan_stage(configured, "embed") == len(pages)
    embed(configured)
    assert plan_stage(configured, "embed") == 0
    assert len(found(configured, Library(configured), panel_ids(configured)[0]).hits) == len(panel_ids(configured)) - 1


def test_two_jobs_of_one_page_in_a_batch_make_one_set_of_vectors(configured: Settings, pages: list[int]) -> None:
    url = str(configured.database_url)
    execute(url, "DELETE FROM segment")
    plan_stage(configured, "embed")
    execute(
        url,
        "INSERT INTO job (stage, subject_id, comic_id, fingerprint, max_attempts) "
        "SELECT 'embed', id, comic_id, 'of an older text', 3 FROM page",
    )
    embed(configured)
    assert job_states(url, "embed") == {"done": 2 * len(pages)}
    assert len(found(configured, Library(configured), panel_ids(configured)[0]).hits) == len(panel_ids(configured)) - 1


def test_a_slow_worker_does_not_put_old_vectors_over_newer_ones(configured: Settings, pages: list[int]) -> None:
    url = str(configured.database_url)
    add_layout(configured, pages[0], [Box(0, 0, 250, 350)])
    plan_stage(configured, "embed")
    with unit_of_work(url) as connection:
        slow = jobs.claim(connection, STAGES["embed"], owner="slow", lease=60)
    (outcome,) = list(tasks.embed(slow))  # encoded, not stored yet; meanwhile the page gets another layout
    assert isinstance(outcome, Done)
    newest_layout = add_layout(configured, pages[0], [Box(0, 0, 500, 350)])
    embed(configured)
    with unit_of_work(url) as connection:
        jobs.finish(connection, slow)
        outcome.store(connection)
    with unit_of_work(url) as connection:
        kept = row(connection, "SELECT inputs FROM embedding WHERE page_id = :page", page=pages[0])
    assert kept is not None
    assert kept["inputs"].endswith(f"|{newest_layout}")
    assert plan_stage(configured, "embed") == 0


def test_a_page_whose_text_nobody_aligns_can_be_skipped(configured: Settings, pages: list[int], tmp_path: Path) -> None:
    url, new = str(configured.database_url), another_encoder(configured, tmp_path)
    execute(url, "DELETE FROM panel_text WHERE panel_id IN (SELECT n.id FROM panel n JOIN page p "
            "ON p.layout_id = n.layout_id WHERE p.id = :page)", page=pages[2])  # fmt: skip
    begin(configured, new)
    reembed(configured)
    promotion = newest(configured)
    assert (promotion.state, promotion.embedded, promotion.total, promotion.failed) == ("embedding", 2, 3, 1)
    with unit_of_work(url) as connection:
        promotions.skip_failed(connection, configured, promotion.id)
    assert active(configured) == new
    with unit_of_work(url) as connection, pytest.raises(Conflict, match="ended already"):
        promotions.skip_failed(connection, configured, promotion.id)


def test_two_promotions_at_once_are_one_after_the_other(configured: Settings, pages: list[int], tmp_path: Path) -> None:
    candidates = [another_encoder(configured, tmp_path, seed=seed) for seed in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        planned = list(pool.map(lambda candidate: begin(configured, candidate), candidates))
    assert planned == [{"reembed": len(pages)}] * 2
    with unit_of_work(str(configured.database_url)) as connection:
        states = sorted(promotion.state for promotion in promotions.promotions(connection))
    assert states == ["cancelled", "embedding"]


def test_naming_a_trained_encoder_in_the_settings_leaves_it_its_run(configured: Settings, tmp_path: Path) -> None:
    prepare(configured)
    made = another_encoder(configured, tmp_path)
    kept = checkpoints.keep(storage_of(configured), "encoder", tmp_path / "1")
    with unit_of_work(str(configured.database_url)) as connection:
        assert checkpoints.register(connection, kept, origin="configured") == made
        found_row = row(connection, "SELECT origin FROM checkpoint WHERE id = :id", id=made)
    assert found_row is not None
    assert found_row["origin"] == "trained"
