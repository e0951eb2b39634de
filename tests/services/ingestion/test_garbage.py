"""Freeing what nobody needs, and nothing else, while everything goes on."""

import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from services.cli import main
from services.ingestion import api as ingestion
from services.ingestion.records.garbage import collect_blobs, garbage
from services.ingestion.records.removal import remove
from services.ingestion.tasks import ingest
from shared.domain.pipeline import STAGES
from shared.domain.removal import Leftovers
from shared.errors import ComicsError, NotFound
from shared.settings import Settings
from shared.store import blobs
from shared.store.blobs import blob_key, claim_blobs, get_blob, put_blob, storage_of
from shared.store.cache import FileCache, cache_of
from shared.store.db import rows, unit_of_work
from shared.store.vectors import write_segment
from shared.work import jobs
from shared.work.stages import run_batch
from tests.equipment.api import running_api
from tests.equipment.comics import add_comic, archive
from tests.equipment.hostile_files import picture
from tests.equipment.rows import execute

HOURS = 3600.0
NOTHING = Leftovers()


def aged(path: Path, *, seconds: float = 10 * HOURS) -> None:
    """As if it, and all in it, had been written that long ago."""
    for file in [path, *path.rglob("*")]:
        os.utime(file, (time.time() - seconds,) * 2)


def litter(configured: Settings) -> None:
    """One of everything that nobody needs."""
    storage, url = storage_of(configured), str(configured.database_url)
    put_blob(storage, "a" * 64, b"nobody's")
    one = np.ones((1, 384), np.float32)
    write_segment(storage, "1-lost", ids=np.array([7]), kinds=np.zeros(1, np.uint8), vectors=one, meta={})
    storage.put("checkpoints/encoder-0000/config.json", b"{}")
    storage.put("runs/12/state.safetensors", b"tensors")
    with storage.scratch_file() as draft:
        half = draft.with_name("half.part")
    half.write_bytes(b"half")
    root = storage.local_path("blobs")
    assert root is not None
    aged(root.parent)
    execute(
        url, "INSERT INTO job (stage, subject_id, comic_id, fingerprint, max_attempts) VALUES ('read', 1, 99, 'f', 3)"
    )
    execute(
        url,
        "INSERT INTO source_file (location, size, mtime_ns, error, seen_at) VALUES "
        "('here:/old.cbz', 1, 1, 'is no comic', now() - interval '1 year'), "
        "('here:/new.cbz', 1, 1, 'is no comic', now())",
    )


def test_it_counts_everything_and_frees_it_once(configured: Settings) -> None:
    small = configured.model_copy(update={"cache_limit": 10_000})
    comic = add_comic(small, 1, count=2)
    litter(small)
    put_blob(storage_of(small), "b" * 64, b"somebody may be about to refer to this")
    cache = FileCache(small.home / "cache", limit=1 << 30)
    cache.put(f"{comic.images[0]}-of-a-page", b"." * 12_000)
    cache.put("c" * 64, b"." * 96)
    told = garbage(small)
    assert told.blobs == Leftovers(count=1, bytes=8)
    assert told.segments.count == 1
    assert told.segments.bytes > 768
    assert told.scratch == Leftovers(count=1, bytes=4)
    assert told.cache == Leftovers(count=1, bytes=2_104), "one of nobody's image, and what is over the limit"
    assert (told.jobs.count, told.source_files.count) == (1, 1)
    assert (told.checkpoints, told.runs) == (Leftovers(count=1, bytes=2), Leftovers(count=1, bytes=7))
    assert garbage(small) == told, "looking changes nothing"
    freed = garbage(small, free=True)
    kinds = told.kinds() | {"cache": Leftovers(count=2, bytes=2_104)}
    assert freed.kinds() == kinds
    again = garbage(small, free=True).kinds()
    assert again == dict.fromkeys(again, NOTHING) | {"checkpoints": told.checkpoints, "runs": told.runs}
    storage = storage_of(small)
    assert all(storage.exists(blob_key(digest)) for digest in (comic.file, *comic.images, "b" * 64))
    assert cache_of(small).get("c" * 64) is None


def test_comics_come_and_go_while_it_runs_and_no_page_is_lost(configured: Settings) -> None:
    """The harshest it can be: nothing is too young to be freed, and all comics share their pages."""
    pictures = [picture(60, 90, seed=seed) for seed in range(10)]
    packs = [archive([pictures[a], pictures[b]]) for a in range(10) for b in range(10) if a != b]
    url, storage = str(configured.database_url), storage_of(configured)
    over, chance = threading.Event(), random.Random(1)
    problems: list[object] = []
    freed: list[int] = []

    def repeated(act: Callable[[], object]) -> threading.Thread:
        def act_on() -> None:
            while not over.is_set():
                try:
                    act()
                except ComicsError as error:  # a public refusal: whoever asked tries again
                    if not isinstance(error, NotFound):
                        problems.append(error)

        return threading.Thread(target=act_on)

    known = [(sha256(data).hexdigest(), data) for data in (*pictures, *packs)]

    def add() -> None:
        pack = chance.choice(packs)
        answer = api.post("/comics", params={"filename": f"{packs.index(pack)}.cbz"}, content=pack)
        if answer.status_code not in (200, 202, 503):
            problems.append(answer.text)

    def delete() -> None:
        time.sleep(0.05)
        with unit_of_work(url) as connection:
            comics = [comic["id"] for comic in rows(connection, "SELECT id FROM comic")]
        if len(comics) > 2:
            remove(configured, chance.choice(comics))

    def abandon() -> None:  # what a killed worker leaves, and another finds there already
        put_blob(storage, *chance.choice(known))
        time.sleep(0.01)

    def collect() -> None:
        freed.append(collect_blobs(url, storage, free=True, young=0.0)[0].count)

    def look() -> None:  # at a moment when nothing is being freed, everything that is referred to is there
        with unit_of_work(url) as connection:
            claim_blobs(connection, storage, [])
            images = "SELECT image_sha256 AS h FROM page WHERE image_sha256 IS NOT NULL UNION SELECT sha256 FROM comic"
            keys = {blob_key(one["h"]) for one in rows(connection, images)}
            if keys - storage.sizes(keys).keys():
                problems.append("a page without its image")

    def work() -> None:
        run_batch(STAGES["ingest"], ingest)

    with TestClient(ingestion.app) as api:
        acting = [repeated(act) for act in (add, delete, abandon, collect, look, work)]
        for thread in acting:
            thread.start()
        time.sleep(3)
        over.set()
        for thread in acting:
            thread.join()
    assert problems == []
    with unit_of_work(url) as connection:
        jobs.retry(connection)  # three times in a row its pages were taken from under it
    execute(url, "UPDATE job SET not_before = now()")
    while run_batch(STAGES["ingest"], ingest):
        pass
    with unit_of_work(url) as connection:
        kept = [page["image_sha256"] for page in rows(connection, "SELECT image_sha256 FROM page")]
        files = [comic["sha256"] for comic in rows(connection, "SELECT sha256 FROM comic")]
    assert len(kept) == 2 * len(files) > 0
    for digest in {*kept, *files}:
        assert sha256(get_blob(storage, digest)).hexdigest() == digest
    assert sum(freed) > 5, "there was something to get wrong"
    collect_blobs(url, storage, free=True, young=0.0)
    assert {key.rsplit("/", 1)[1] for key in storage.list("blobs")} == {*kept, *files}


def test_while_somebody_stores_a_comic_goes_its_bytes_later_and_others_go_on_adding(
    configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    comic = add_comic(configured, 1, count=1)
    monkeypatch.setattr(blobs, "PAUSES", (0.0, 0.1))
    with ThreadPoolExecutor(1) as pool:
        with unit_of_work(str(configured.database_url)) as storing:
            claim_blobs(storing, storage_of(configured), [])
            removing = pool.submit(remove, configured, comic.id)
            while not removing.done():
                with unit_of_work(str(configured.database_url)) as adding:
                    adding.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
                    claim_blobs(adding, storage_of(configured), [])
            found = garbage(configured, free=True, young=0.0)
        assert (removing.result().left, removing.result().blobs) == (True, 0)
        assert (found.left, found.blobs.count) == (True, 0)
    found = garbage(configured, free=True, young=0.0)
    assert (found.left, found.blobs.count) == (False, 2)


def test_a_dataset_whose_pages_are_gone_is_looked_for_once_and_not_with_every_slice(
    configured: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    execute(
        str(configured.database_url),
        "INSERT INTO dataset (name, fingerprint, origin, request, counts, warnings, key) "
        "VALUES ('', 'f', 'frozen', '{}', '{}', '[]', 'datasets/gone')",
    )
    monkeypatch.setattr(blobs, "SLICE", 1)
    assert remove(configured, add_comic(configured, 2, count=3).id).blobs == 4
    assert sum("are gone from the storage" in record.message for record in caplog.records) == 1


def test_the_commands_tell_ask_and_do(configured: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    comic = add_comic(configured, 1, count=2)
    litter(configured)
    with running_api(configured):
        assert main(["remove", str(comic.id)]) == 2, "nobody can be asked here"
        said = capsys.readouterr()
        assert f"comic {comic.id}: comic 1, 2 pages, with its file of" in said.out
        assert "--yes" in said.err
        assert main(["remove", str(comic.id), "--yes"]) == 0
        assert f"deleted comic {comic.id}: 2 pages, 4 panels, 0 vectors" in capsys.readouterr().out
        assert main(["remove", str(comic.id), "--yes"]) == 1
        assert f"no comic {comic.id}" in capsys.readouterr().err
        assert main(["gc"]) == 0
        assert "could be freed; `comics gc --free` does it" in capsys.readouterr().out
        assert main(["gc", "--free"]) == 0
        assert "freed" in capsys.readouterr().out
        assert main(["gc"]) == 0
        assert "nothing to free" in capsys.readouterr().out
