"""Deleting comics, on a real database and storage: what is only theirs goes, all else stays, also after a kill."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.dataspec import api as dataspec
from services.dataspec import library
from services.dataspec.cards import card_of
from services.ingestion import api as ingestion
from services.ingestion.records import removal
from services.ingestion.records.garbage import garbage
from services.ingestion.records.removal import remove
from services.ingestion.tasks import ingest
from services.search.library import Library
from services.standalone import prepare
from services.web import ledger
from shared.domain.pipeline import STAGES
from shared.domain.training import DatasetRequest, DatasetView
from shared.errors import NotFound, Retry
from shared.http.app import create_app
from shared.settings import Settings
from shared.store.blobs import blob_key, get_blob, put_blob, storage_of
from shared.store.cache import cache_of
from shared.store.db import row, rows, unit_of_work
from shared.store.vectors import PAGE
from shared.work import jobs
from shared.work.jobs import Claim
from shared.work.stages import Done, Failed, run_batch
from tests.equipment.comics import MadeComic, add_comic, archive
from tests.equipment.hostile_files import picture
from tests.equipment.rows import execute, plan_stage
from tests.equipment.servers import Servers, fresh_settings
from tests.services.search.test_embedding import embed

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def api(configured: Settings) -> Iterator[TestClient]:
    assert configured.database_url
    with TestClient(create_app("comics and datasets", [ingestion.router, dataspec.router])) as client:
        yield client


def kept(configured: Settings, comic: MadeComic) -> list[bool]:
    """Of its file and the image of each page, whether it is kept."""
    storage = storage_of(configured)
    return [storage.exists(blob_key(sha256)) for sha256 in (comic.file, *comic.images)]


def count(configured: Settings, table: str, where: str = "true") -> int:
    with unit_of_work(str(configured.database_url)) as connection:
        found = row(connection, f"SELECT count(*) AS n FROM {table} WHERE {where}")
    assert found is not None
    return int(found["n"])


def frozen(api: TestClient) -> DatasetView:
    wanted = DatasetRequest(quality="any", held_out=0.0)
    answer = api.post("/datasets", json=wanted.model_dump())
    assert answer.status_code in (200, 201), answer.text
    return DatasetView.model_validate(answer.json())


def test_a_comic_goes_with_what_is_only_its_own(configured: Settings, api: TestClient) -> None:
    url = str(configured.database_url)
    prepare(configured)
    other = add_comic(configured, 1)
    comic = add_comic(configured, 2, like=other)
    for stage in ("compare", "detect", "align", "embed"):
        plan_stage(configured, stage)
    execute(url, "INSERT INTO source_file (location, size, mtime_ns, comic_id) VALUES ('here:/a.cbz', 1, 1, :c)",
            c=comic.id)  # fmt: skip
    execute(url, "INSERT INTO comic_match (a_id, b_id, score, shared) VALUES (:a, :b, 1, 1)", a=other.id, b=comic.id)
    execute(url, "INSERT INTO page_match (a_id, b_id, score) VALUES (:a, :b, 1)", a=other.pages[2], b=comic.pages[2])
    execute(url, "INSERT INTO budget (name, limit_usd) VALUES ('vlm', 5)")
    execute(
        url,
        "INSERT INTO vlm_call (request_id, budget, page_id, fingerprint, state, model, reserved_usd, cost_usd, "
        "completed_at) VALUES ('r', 'vlm', :p, 'f', 'answered', 'm', 0.5, 0.25, now())",
        p=comic.pages[0],
    )
    size = sum(storage_of(configured).size(blob_key(sha256)) for sha256 in (comic.file, *comic.images[:2]))
    cache_of(configured).put(f"{comic.images[0]}-drawn", b"a picture")
    cache_of(configured).put(f"{other.images[0]}-drawn", b"another")
    answer = api.delete(f"/comics/{comic.id}")
    assert answer.status_code == 200, answer.text
    assert cache_of(configured).get(f"{comic.images[0]}-drawn") is None
    assert cache_of(configured).get(f"{other.images[0]}-drawn") == b"another"
    assert answer.json() == {
        "id": comic.id, "title": "comic 2", "pages": 3, "panels": 6, "vectors": 0, "blobs": 3, "bytes": size,
        "left": False,
    }  # fmt: skip
    assert kept(configured, comic) == [False, False, False, True], "the last page is the other comic's too"
    assert kept(configured, other) == [True] * 4
    for table in ("comic_match", "page_match", "source_file"):
        assert count(configured, table) == 0
    assert (count(configured, "comic"), count(configured, "page"), count(configured, "panel")) == (1, 3, 6)
    assert count(configured, "job", f"comic_id = {comic.id}") == 0
    assert count(configured, "job", f"comic_id = {other.id}") > 0
    assert count(configured, "vlm_call", "page_id IS NULL AND cost_usd = 0.25") == 1, "money that was paid stays paid"
    again = api.delete(f"/comics/{comic.id}")
    assert (again.status_code, again.json()["title"]) == (404, "Not found")
    assert api.delete(f"/comics/{other.id}").json()["blobs"] == 4
    assert list(storage_of(configured).list("blobs")) == []


def test_a_hidden_comic_and_one_without_pages_go_too(configured: Settings) -> None:
    hidden, waiting = add_comic(configured, 1, count=1), add_comic(configured, 2, count=1)
    url = str(configured.database_url)
    execute(url, "UPDATE comic SET hidden = true WHERE id = :c", c=hidden.id)
    execute(url, "DELETE FROM page WHERE comic_id = :c", c=waiting.id)
    assert remove(configured, hidden.id).pages == 1
    assert remove(configured, waiting.id).pages == 0
    assert count(configured, "comic") == 0


def test_a_comic_that_is_just_being_ingested_does_not_come_back(configured: Settings, api: TestClient) -> None:
    data = archive([picture(60, 90, seed=seed) for seed in (1, 2)])
    added = api.post("/comics", params={"filename": "a.cbz"}, content=data).json()

    def deleted_midway(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
        outcomes = list(ingest(claims))
        remove(configured, added["id"])
        yield from outcomes

    assert run_batch(STAGES["ingest"], deleted_midway) == 1
    assert (count(configured, "comic"), count(configured, "page"), count(configured, "job")) == (0, 0, 0)
    found = garbage(configured, free=True, young=0.0)
    assert found.blobs.count == 2, "its pages, which the worker had written"
    assert list(storage_of(configured).list("blobs")) == []
    again = api.post("/comics", params={"filename": "a.cbz"}, content=data)
    assert again.status_code == 202, "and it can be added anew"
    assert run_batch(STAGES["ingest"], ingest) == 1
    assert count(configured, "page", "state = 'ok'") == 2


def test_a_job_planned_while_its_comic_goes_is_dropped_when_it_fails(configured: Settings) -> None:
    url = str(configured.database_url)
    comic = add_comic(configured, 1, count=1)
    remove(configured, comic.id)
    execute(
        url,
        "INSERT INTO job (stage, subject_id, comic_id, fingerprint, max_attempts) VALUES ('read', :p, :c, 'late', 3)",
        p=comic.pages[0],
        c=comic.id,
    )
    assert garbage(configured).jobs.count == 1
    with unit_of_work(url) as connection:
        (claim,) = jobs.claim(connection, STAGES["read"], owner="me", lease=60)
        assert jobs.fail(connection, claim, NotFound("the page is gone")) == "gone"
    assert count(configured, "job") == 0


def test_a_comic_that_workers_keep_busy_says_try_again(configured: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    comic = add_comic(configured, 1, count=1)
    monkeypatch.setattr(removal, "PATIENCE", 0.3)
    with unit_of_work(str(configured.database_url)) as busy:
        rows(busy, "SELECT FROM page WHERE comic_id = :c FOR UPDATE", c=comic.id)
        with pytest.raises(Retry, match=f"Comic {comic.id} is being worked on"):
            remove(configured, comic.id)
    assert kept(configured, comic) == [True, True]
    assert remove(configured, comic.id).blobs == 2


def test_what_a_dataset_shows_stays_and_the_dataset_says_so(configured: Settings, api: TestClient) -> None:
    comic, other = add_comic(configured, 1, count=2), add_comic(configured, 2, count=1)
    dataset = frozen(api)
    assert dataset.deleted_comics == 0
    removed = remove(configured, comic.id)
    assert removed.blobs == 1, "its file; its pages are the dataset's now"
    assert kept(configured, comic) == [False, True, True]
    shown = DatasetView.model_validate(api.get(f"/datasets/{dataset.id}").json())
    assert shown.deleted_comics == 1
    assert shown.warnings[-1] == "1 comic of it was deleted since; its pages are kept."
    assert api.get("/datasets").json()[0]["deleted_comics"] == 1
    with unit_of_work(str(configured.database_url)) as connection:
        assert ledger.dataset_of(connection, dataset.id)["warnings"] == shown.warnings, "the browser says so too"
    lines = api.get(f"/datasets/{dataset.id}/pages").json()["items"]
    assert {line["page"]["image_sha256"] for line in lines} == {*comic.images, *other.images}
    assert garbage(configured, free=True, young=0.0).blobs.count == 0
    for line in lines:
        assert sha256(get_blob(storage_of(configured), line["page"]["image_sha256"])).hexdigest()


def test_a_dataset_of_a_version_that_recorded_nothing_is_looked_through_first(
    configured: Settings, api: TestClient
) -> None:
    comic = add_comic(configured, 1, count=2)
    dataset = frozen(api)
    execute(str(configured.database_url), "DELETE FROM dataset_image")
    execute(str(configured.database_url), "DELETE FROM dataset_comic")
    assert remove(configured, comic.id).blobs == 1
    assert kept(configured, comic) == [False, True, True]
    assert api.get(f"/datasets/{dataset.id}").json()["deleted_comics"] == 1


def test_pages_of_a_dataset_that_goes_while_it_is_made_are_asked_for_again(
    configured: Settings, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    comic = add_comic(configured, 1, count=1)

    def after_a_deletion(*arguments: Any, **named: Any) -> dict[str, Any]:
        remove(configured, comic.id)
        return card_of(*arguments, **named)

    monkeypatch.setattr(library, "card_of", after_a_deletion)
    answer = api.post("/datasets", json=DatasetRequest(quality="any").model_dump())
    assert (answer.status_code, count(configured, "dataset")) == (503, 0)
    assert "deleted while" in answer.json()["detail"]


def referenced(configured: Settings, original: Path) -> tuple[MadeComic, list[bytes]]:
    """A comic of two pages that is read in place, and the images that only its original has."""
    url = str(configured.database_url)
    pictures = [picture(60, 90, seed=seed) for seed in (1, 2)]
    original.parent.mkdir()
    original.write_bytes(archive(pictures))
    comic = add_comic(configured, 1, count=2)
    storage_of(configured).delete_all([blob_key(digest) for digest in (comic.file, *comic.images)])
    images = [sha256(data).hexdigest() for data in pictures]
    for page, number in zip(comic.pages, range(2), strict=True):
        execute(url, "UPDATE page SET image_sha256 = :s, name = :n WHERE id = :p",
                s=images[number], n=f"{number:03}.jpg", p=page)  # fmt: skip
    about, file = original.stat(), sha256(original.read_bytes()).hexdigest()
    execute(
        url,
        "UPDATE comic SET sha256 = :s, size = :size, reference = :path, reference_mtime_ns = :mtime WHERE id = :c",
        s=file, size=about.st_size, path=str(original), mtime=about.st_mtime_ns, c=comic.id,
    )  # fmt: skip
    return MadeComic(comic.id, comic.pages, file, images), pictures


def test_the_original_of_a_referenced_comic_is_never_touched(
    configured: Settings, api: TestClient, tmp_path: Path
) -> None:
    original = tmp_path / "mine" / "a.cbz"
    comic, pictures = referenced(configured, original)
    before = (original.read_bytes(), original.stat().st_mtime_ns)
    frozen(api)
    removed = remove(configured, comic.id)
    assert (removed.pages, removed.blobs, removed.bytes) == (2, 0, 0)
    assert (original.read_bytes(), original.stat().st_mtime_ns) == before
    shutil.rmtree(original.parent)
    kept_pages = [get_blob(storage_of(configured), digest) for digest in comic.images]
    assert kept_pages == pictures, "a dataset shows them: they were copied while the original was known"


def test_while_its_disk_is_unplugged_a_comic_that_datasets_show_goes_only_by_force(
    configured: Settings, api: TestClient, tmp_path: Path
) -> None:
    comic, _ = referenced(configured, tmp_path / "disk" / "a.cbz")
    dataset = frozen(api)
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    answer = api.delete(f"/comics/{comic.id}")
    assert (answer.status_code, count(configured, "comic")) == (409, 1)
    assert f"dataset {dataset.id} would lose 2 images" in answer.json()["detail"]
    assert "`comics remove --force`" in answer.json()["detail"]
    assert api.delete(f"/comics/{comic.id}?force=true").status_code == 200
    lost, deleted = api.get(f"/datasets/{dataset.id}").json()["warnings"][-2:]
    assert lost == f"2 of its images could not be read when their comic was deleted: comic {comic.id}, 'comic 1'."
    assert deleted == "1 comic of it was deleted since; all other pages are kept."


@pytest.mark.parametrize(
    ("where", "there", "segments"),
    [("_taken_out", True, 1), ("forget_old", False, 1)],
    ids=["before the books change", "after it"],
)
def test_killed_midway_it_is_there_or_gone_and_garbage_has_the_rest(
    configured: Settings, where: str, there: bool, segments: int
) -> None:
    prepare(configured)
    comic, other = add_comic(configured, 1, count=2), add_comic(configured, 2, count=1)
    embed(configured)
    code = (
        "import os, signal\n"
        "from services.ingestion.records import removal\n"
        "from shared.settings import settings\n"
        f"removal.{where} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"removal.remove(settings(), {comic.id})\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert count(configured, "comic", f"id = {comic.id}") == int(there)
    assert kept(configured, comic) == [True] * 3
    found = garbage(configured, free=True, young=0.0)
    assert (found.blobs.count, found.segments.count) == (0 if there else 3, segments)
    assert kept(configured, comic) == [there] * 3
    assert kept(configured, other) == [True] * 2
    with unit_of_work(str(configured.database_url)) as connection:
        space = Library(configured).space(connection)
    assert (space.index.count(PAGE), space.damaged) == (3 if there else 1, [])
    if there:
        assert remove(configured, comic.id).blobs == 3


def test_a_bucket_is_freed_like_a_folder(servers: Servers, tmp_path: Path) -> None:
    with fresh_settings(servers, tmp_path, COMICS_STORAGE_URL=f"memory://{tmp_path.name}") as configured:
        comic, other = add_comic(configured, 1), add_comic(configured, 2)
        put_blob(storage_of(configured), "f" * 64, b"nobody's")
        assert remove(configured, comic.id).blobs == 4
        assert garbage(configured).blobs.count == 0, "what is young may be somebody's soon"
        assert garbage(configured, young=0.0).blobs.model_dump() == {"count": 1, "bytes": 8}
        assert garbage(configured, free=True, young=0.0).blobs.count == 1
        assert len(list(storage_of(configured).list("blobs"))) == 4
        assert kept(configured, other) == [True] * 4
