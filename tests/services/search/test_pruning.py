"""Vectors of deleted comics: gone from the store and from every open index at once, everybody else's untouched."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from services.ingestion.records.removal import remove
from services.search import tasks
from services.search.library import Library
from services.search.queries import search
from services.standalone import prepare
from shared.domain.answers import SearchFilters
from shared.domain.pipeline import STAGES
from shared.errors import NotFound
from shared.settings import Settings
from shared.store.blobs import put_blob, storage_of
from shared.store.db import rows, unit_of_work
from shared.store.segments import Outdated, forget_new, orphans, replace, replacements
from shared.store.vectors import PAGE, PANEL, list_segments, read_segment
from shared.work import promotions
from shared.work.jobs import Claim
from shared.work.stages import Done, Failed, run_batch
from tests.equipment.comics import MadeComic, add_comic
from tests.equipment.hostile_files import picture
from tests.equipment.rows import execute, job_states, plan_stage
from tests.services.search.test_embedding import embed
from tests.services.search.test_promotion import active, another_encoder, begin, newest, reembed

ALL = SearchFilters()


def made_library(configured: Settings, *counts: int) -> list[MadeComic]:
    """Comics of so many pages, embedded; pages of all of them share their segments."""
    prepare(configured)
    comics = [add_comic(configured, seed, count=count) for seed, count in enumerate(counts, start=1)]
    embed(configured)
    return comics


def indexed(configured: Settings, library: Library) -> set[int]:
    """The comics that a query of this process can come upon."""
    with unit_of_work(str(configured.database_url)) as connection:
        index = library.space(connection).index
        assert len(index) == index.count(PANEL) + index.count(PAGE)
        hits = index.search(np.ones(index.dimensions, np.float32), 10_000)
        pages = rows(connection, "SELECT id, comic_id FROM page")
        panels = rows(connection, "SELECT n.id, p.comic_id FROM panel n JOIN page p ON p.layout_id = n.layout_id")
    owners = {(PAGE, page["id"]): page["comic_id"] for page in pages}
    owners |= {(PANEL, panel["id"]): panel["comic_id"] for panel in panels}
    return {owners[hit.kind, hit.id] for hit in hits}


def test_an_open_index_forgets_a_comic_at_once_and_keeps_the_others(configured: Settings) -> None:
    first, second, third = made_library(configured, 2, 3, 2)
    library = Library(configured)
    assert indexed(configured, library) == {first.id, second.id, third.id}
    removed = remove(configured, second.id)
    assert removed.vectors == 3 * (1 + 2)
    assert indexed(configured, library) == {first.id, third.id}
    assert indexed(configured, Library(configured)) == {first.id, third.id}, "and one that starts now"
    (name,) = list_segments(storage_of(configured))
    segment = read_segment(storage_of(configured), name)
    assert set(segment.ids[segment.kinds == PAGE].tolist()) == {*first.pages, *third.pages}
    remove(configured, first.id)
    remove(configured, third.id)
    assert indexed(configured, library) == set()
    assert list_segments(storage_of(configured)) == set()


def test_a_segment_whose_pages_are_all_gone_goes_without_being_rewritten(configured: Settings) -> None:
    (first,) = made_library(configured, 2)
    second = add_comic(configured, 7, count=2)
    embed(configured)
    before = list_segments(storage_of(configured))
    assert len(before) == 2
    remove(configured, second.id)
    assert list_segments(storage_of(configured)) < before
    library = Library(configured)
    assert indexed(configured, library) == {first.id}
    with unit_of_work(str(configured.database_url)) as connection:
        assert library.space(connection).damaged == []


def test_older_vectors_do_not_come_back_with_a_rewritten_segment(configured: Settings) -> None:
    first, second = made_library(configured, 2, 1)
    url, page = str(configured.database_url), first.pages[0]
    with unit_of_work(url) as connection:
        older = Library(configured).space(connection).index.vector(PAGE, page)
    put_blob(storage_of(configured), "a" * 64, picture(100, 150, kind="PNG", mode="1"))
    execute(url, "UPDATE page SET image_sha256 = :s WHERE id = :p", s="a" * 64, p=page)
    embed(configured)  # a newer segment has the page now
    remove(configured, second.id)  # the older one gets a new name, and with it a later number
    with unit_of_work(url) as connection:
        newer = Library(configured).space(connection).index.vector(PAGE, page)
    assert older is not None
    assert newer is not None
    assert float(np.dot(older, newer)) < 0.9999


def test_a_page_embedded_meanwhile_makes_the_replacement_outdated(configured: Settings) -> None:
    first, second = made_library(configured, 2, 1)
    url, storage = str(configured.database_url), storage_of(configured)
    with unit_of_work(url) as connection:
        made = replacements(connection, storage, second.pages)
    execute(url, "UPDATE page SET image_sha256 = :s WHERE id = :p", s=second.images[0], p=first.pages[0])
    embed(configured)
    with pytest.raises(Outdated), unit_of_work(url) as connection:
        replace(connection, made, second.pages)
    forget_new(storage, made)
    with unit_of_work(url) as connection:
        assert list(orphans(connection, storage, older_than_s=0)) == []
    assert indexed(configured, Library(configured)) == {first.id, second.id}


def test_a_damaged_segment_does_not_keep_a_comic(configured: Settings) -> None:
    _, second = made_library(configured, 1, 1)
    (name,) = list_segments(storage_of(configured))
    storage_of(configured).delete(f"segments/{name}/vectors/c/0/0")
    remove(configured, second.id)
    library = Library(configured)
    assert indexed(configured, library) == set()
    with unit_of_work(str(configured.database_url)) as connection:
        assert library.space(connection).damaged == [name]


def test_workers_of_a_deleted_comic_are_refused_and_their_siblings_work_goes_on(configured: Settings) -> None:
    prepare(configured)
    first, second = (add_comic(configured, seed, count=2) for seed in (1, 2))
    url, data = str(configured.database_url), STAGES["embed"]
    plan_stage(configured, "embed")

    def deleted_midway(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
        outcomes = list(tasks.embed(claims))
        remove(configured, second.id)
        yield from outcomes

    assert run_batch(data, deleted_midway) == 4
    assert job_states(url, "embed") == {"queued": 2}
    with unit_of_work(url) as connection:
        assert {job["attempt"] for job in rows(connection, "SELECT attempt FROM job WHERE stage = 'embed'")} == {0}
    while run_batch(data, tasks.embed):
        pass
    assert job_states(url, "embed") == {"done": 2}
    assert indexed(configured, Library(configured)) == {first.id}


def test_a_job_that_is_claimed_after_its_page_went_spoils_no_other(configured: Settings) -> None:
    prepare(configured)
    first, second = (add_comic(configured, seed, count=1) for seed in (1, 2))
    plan_stage(configured, "embed")

    def deleted_before(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
        remove(configured, second.id)
        yield from tasks.embed(claims)

    assert run_batch(STAGES["embed"], deleted_before) == 2
    assert job_states(str(configured.database_url), "embed") == {"done": 1}
    assert indexed(configured, Library(configured)) == {first.id}


def test_a_promotion_under_way_goes_on_without_the_comic(configured: Settings, tmp_path: Path) -> None:
    first, second = made_library(configured, 2, 1)
    new = another_encoder(configured, tmp_path)
    begin(configured, new)
    library = Library(configured)
    assert indexed(configured, library) == {first.id, second.id}
    remove(configured, second.id)
    assert indexed(configured, library) == {first.id}
    assert active(configured) != new
    reembed(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        promotions.advance(connection, configured)
    assert newest(configured).state == "done"
    assert indexed(configured, library) == {first.id}


def test_a_promotion_that_waited_for_the_comic_alone_can_end(configured: Settings, tmp_path: Path) -> None:
    first, second = made_library(configured, 1, 1)
    new = another_encoder(configured, tmp_path)
    begin(configured, new)
    execute(str(configured.database_url), "DELETE FROM job WHERE stage = 'reembed' AND comic_id = :c", c=second.id)
    reembed(configured)
    assert newest(configured).state == "embedding"
    remove(configured, second.id)
    with unit_of_work(str(configured.database_url)) as connection:
        promotions.advance(connection, configured)
    assert active(configured) == new
    assert indexed(configured, Library(configured)) == {first.id}


def test_queries_go_on_while_comics_are_deleted(configured: Settings) -> None:
    """Never an error, never a panel that was gone before the query began."""
    comics = made_library(configured, 2, 1, 1, 1, 1, 1)
    url, kept = str(configured.database_url), comics[0]
    library = Library(configured)
    gone: set[int] = set()
    problems: list[object] = []
    with unit_of_work(url) as connection:
        panel = rows(connection, "SELECT n.id FROM panel n JOIN page p ON p.layout_id = n.layout_id WHERE p.id = :p",
                     p=kept.pages[0])[0]["id"]  # fmt: skip
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            before = set(gone)
            try:
                with unit_of_work(url) as connection:
                    answer = search(connection, library, panel_id=panel, filters=ALL, limit=50)
            except Exception as error:
                problems.append(error)
                return
            if not answer.hits or before & {hit.comic_id for hit in answer.hits}:
                problems.append(answer)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    for comic in comics[1:]:
        remove(configured, comic.id)
        gone.add(comic.id)
    over.set()
    for thread in asking:
        thread.join()
    assert problems == []
    assert indexed(configured, library) == {kept.id}


def test_a_panel_of_a_deleted_comic_is_not_there_to_ask_by(configured: Settings) -> None:
    first, second = made_library(configured, 1, 1)
    library, url = Library(configured), str(configured.database_url)
    with unit_of_work(url) as connection:
        panel = rows(connection, "SELECT n.id FROM panel n JOIN page p ON p.layout_id = n.layout_id WHERE p.id = :p",
                     p=second.pages[0])[0]["id"]  # fmt: skip
        assert search(connection, library, panel_id=panel, filters=ALL, limit=5).hits
    remove(configured, second.id)
    with unit_of_work(url) as connection, pytest.raises(NotFound, match=f"no panel {panel}"):
        search(connection, library, panel_id=panel, filters=ALL, limit=5)
    assert indexed(configured, library) == {first.id}
