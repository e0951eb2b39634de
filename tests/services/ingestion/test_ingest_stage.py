"""Stage *ingest* on a real database and storage: what is kept, what stays where it is, what hostile pages may do."""

import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from PIL import Image

from services.ingestion import reading, tasks
from services.ingestion.tasks import ingest
from services.processes import wait_until
from shared.domain.pipeline import STAGES
from shared.errors import Conflict, NotFound
from shared.files.children import children_of
from shared.files.containers import Limits
from shared.files.originals import stamp_of
from shared.settings import Settings
from shared.store.blobs import blob_key, put_blob_file, storage_of
from shared.store.db import Row, row, rows, unit_of_work
from shared.store.folder_storage import FolderStorage
from shared.store.page_images import page_image
from shared.work.stages import run_batch
from tests.equipment.hostile_decoders import CRASH, HANG
from tests.equipment.hostile_files import huge_png, picture, zipped
from tests.equipment.offspring import zombies
from tests.equipment.rows import execute, plan_stage
from tests.equipment.servers import Servers, fresh_settings

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = "tests.equipment.hostile_decoders"


@pytest.fixture
def confined(servers: Servers, tmp_path: Path) -> Iterator[Settings]:
    """Settings under which a child may take little and is waited for shortly."""
    little = {"COMICS_DECODER_MEMORY": str(512 << 20), "COMICS_DECODER_SECONDS": "2"}
    with fresh_settings(servers, tmp_path, **little) as made:
        yield made
        children_of(made).close()


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever happened, no unfinished file stays behind."""
    used = next((name for name in ("confined", "configured") if name in request.fixturenames), None)
    scratch = request.getfixturevalue(used).home / "storage" / ".scratch" if used else None
    yield
    assert scratch is None or list(scratch.iterdir()) == []


def added(configured: Settings, data: bytes | Path, *, name: str = "comic.cbz") -> int:
    """A comic whose file is a blob, or stays where it is when it is given as a path; its id, its job planned."""
    referenced = isinstance(data, Path)
    content = data.read_bytes() if isinstance(data, Path) and data.is_file() else b"" if referenced else data
    assert isinstance(content, bytes)
    digest = sha256(content).hexdigest()
    reference, mtime, size = None, None, len(content)
    if isinstance(data, Path):
        size, mtime = stamp_of(data)
        reference = str(data)
    else:
        storage = storage_of(configured)
        with storage.scratch_file() as draft:
            draft.write_bytes(content)
            put_blob_file(storage, digest, draft)
    with unit_of_work(str(configured.database_url)) as connection:
        made = row(
            connection,
            "INSERT INTO comic (sha256, file_name, title, size, media_type, reference, reference_mtime_ns) "
            "VALUES (:sha256, :name, :name, :size, 'x', :reference, :mtime) RETURNING id",
            sha256=digest,
            name=name,
            size=size,
            reference=reference,
            mtime=mtime,
        )
    assert made is not None
    plan_stage(configured, "ingest", [made["id"]])
    return int(made["id"])


def ingested(configured: Settings, data: bytes | Path, *, name: str = "comic.cbz") -> list[Row]:
    """Run the stage over a comic; its pages."""
    comic = added(configured, data, name=name)
    assert run_batch(STAGES["ingest"], ingest) == 1
    assert job(configured, comic)["state"] == "done", job(configured, comic)["error"]
    return pages_of(configured, comic)


def pages_of(configured: Settings, comic: int) -> list[Row]:
    with unit_of_work(str(configured.database_url)) as connection:
        return list(
            rows(
                connection,
                "SELECT p.*, m.phash, m.bands, length(m.sketch) AS sketch FROM page p "
                "LEFT JOIN page_mark m ON m.page_id = p.id WHERE comic_id = :comic ORDER BY number",
                comic=comic,
            )
        )


def job(configured: Settings, comic: int) -> Row:
    with unit_of_work(str(configured.database_url)) as connection:
        found = row(
            connection, "SELECT state, error FROM job WHERE stage = 'ingest' AND subject_id = :comic", comic=comic
        )
    assert found is not None
    return found


def pages(count: int, **more: bytes) -> dict[str, bytes]:
    return {f"p{number:02}.jpg": picture(600, 800, seed=number) for number in range(count)} | {
        f"{name}.jpg": data for name, data in more.items()
    }


def animated(kind: str) -> bytes:
    first, second = (Image.open(io.BytesIO(picture(200, 300, seed=seed))).convert("RGB") for seed in (1, 99))
    out = io.BytesIO()
    first.save(out, kind, save_all=True, append_images=[second], duration=80)
    return out.getvalue()


def test_every_page_is_kept_measured_and_marked_in_order(configured: Settings) -> None:
    entries = pages(23)
    found = ingested(configured, zipped(entries))
    assert [page["name"] for page in found] == list(entries)
    assert [page["number"] for page in found] == list(range(23))
    assert all((page["width"], page["height"], page["media_type"]) == (600, 800, "image/jpeg") for page in found)
    storage = storage_of(configured)
    for page, data in zip(found, entries.values(), strict=True):
        assert storage.get(blob_key(page["image_sha256"])) == data
        assert page["phash"] is not None
        assert page["bands"]
        assert page["sketch"]
    with unit_of_work(str(configured.database_url)) as connection:
        comic = row(connection, "SELECT page_count FROM comic")
    assert comic is not None
    assert comic["page_count"] == 23


def test_a_page_that_crashes_the_decoder_harms_nothing_else(
    configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "READ", f"{HOSTILE}:read_with_faults")
    entries = pages(12)
    entries["p05.jpg"] += CRASH
    found = ingested(configured, zipped(entries))
    assert [page["state"] for page in found] == ["unreadable" if n == 5 else "ok" for n in range(12)]
    assert found[5]["error"] == "p05.jpg makes the decoder crash (SIGSEGV)"
    assert found[5]["image_sha256"] is None
    assert len(ingested(configured, zipped(pages(3)), name="next.cbz")) == 3
    assert zombies() == []


def test_a_page_that_takes_too_long_is_given_up(confined: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "READ", f"{HOSTILE}:read_with_faults")
    entries = pages(3)
    entries["p01.jpg"] += HANG
    found = ingested(confined, zipped(entries))
    assert [page["error"] for page in found] == [None, "p01.jpg takes longer than 2 s to decode", None]


def test_a_picture_that_swells_past_the_memory_of_a_child_is_given_up(
    confined: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No other limit stands in its way: 4.8 GB of pixels are really asked for.
    monkeypatch.setattr(tasks, "limits_of", lambda _: Limits(pixels=10**12))
    entries = pages(2) | {"p02.png": huge_png()} | {"p03.jpg": picture(seed=3)}
    found = ingested(confined, zipped(entries))
    assert [page["state"] for page in found] == ["ok", "ok", "unreadable", "ok"]
    assert found[2]["error"] == "p02.png needs more memory than 512 MB to decode"


def test_a_comic_of_deadly_pages_is_left_alone_after_a_few(
    configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "READ", f"{HOSTILE}:read_with_faults")
    monkeypatch.setattr(reading, "MOST_LOST", 2)
    entries = {name: data + CRASH for name, data in pages(12).items()} | {"a.jpg": picture()}
    found = ingested(configured, zipped(entries))
    errors = [page["error"] for page in found]
    assert errors[0] is None
    assert 2 <= sum("crash" in (error or "") for error in errors) <= 4
    assert sum("was not tried, because" in (error or "") for error in errors) >= 8


def test_a_comic_without_one_readable_page_fails_with_the_reason(configured: Settings) -> None:
    comic = added(configured, zipped({"p1.jpg": b"no picture", "p2.jpg": picture(300, 200)[:-300]}))
    assert run_batch(STAGES["ingest"], ingest) == 1
    assert job(configured, comic)["state"] == "failed"
    assert "not one of its 2 pages can be read; the first: p1.jpg is not an image" in job(configured, comic)["error"]


def test_a_full_disk_is_waited_for_and_leaves_nothing(configured: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = pages(6) | {"p03.png": noise(400, 300)}
    comic = added(configured, zipped(entries))
    with monkeypatch.context() as full:
        full.setattr(reading, "READ", f"{HOSTILE}:read_on_a_full_disk")
        assert run_batch(STAGES["ingest"], ingest) == 1
    assert job(configured, comic)["state"] == "queued"
    assert "No space left" in job(configured, comic)["error"]
    assert pages_of(configured, comic) == []
    assert list((configured.home / "storage" / ".scratch").iterdir()) == []
    execute(str(configured.database_url), "UPDATE job SET not_before = now()")
    assert run_batch(STAGES["ingest"], ingest) == 1
    assert len(pages_of(configured, comic)) == 7


def noise(width: int, height: int) -> bytes:
    """A picture that does not shrink."""
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), os.urandom(width * height * 3)).save(out, "PNG")
    return out.getvalue()


def test_a_killed_worker_leaves_only_what_is_swept(tmp_path: Path) -> None:
    archive, place = tmp_path / "comic.cbz", tmp_path / "storage"
    archive.write_bytes(zipped(pages(9)))
    code = f"""
        from pathlib import Path
        from services.ingestion import reading
        from shared.files.children import Children
        from shared.files.containers import Limits
        from shared.store.folder_storage import FolderStorage
        reading.READ = "{HOSTILE}:read_and_end_the_parent"
        children = Children(1, memory=1 << 30, seconds=20)
        path, limits = Path({str(archive)!r}), Limits()
        with FolderStorage(Path({str(place)!r})).scratch_folder() as folder:
            found = reading.survey(path, name="comic.cbz", limits=limits, children=children)
            read = reading.Reading(
                path=path, name="comic.cbz", limits=limits, children=children, parts=1, folder=folder
            )
            read.pages(found, keep=lambda files: None)
        """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=False)
    assert ended.returncode == -9
    storage = FolderStorage(place)
    assert len(list((place / ".scratch").iterdir())) == 1
    assert wait_until(lambda: storage.sweep_scratch(older_than_s=-1) == 1, seconds=5)
    assert list((place / ".scratch").iterdir()) == []


def test_an_original_that_stays_where_it_is_is_not_copied(configured: Settings, tmp_path: Path) -> None:
    entries = pages(6) | {"p06.gif": picture(200, 300, kind="GIF")}
    original = tmp_path / "library" / "comic.cbz"
    original.parent.mkdir()
    original.write_bytes(zipped(entries))
    found = ingested(configured, original)
    kept = list(storage_of(configured).list("blobs"))
    assert kept == [blob_key(found[6]["image_sha256"])]  # PNG now, which the original does not hold
    assert found[6]["media_type"] == "image/png"
    for page, data in list(zip(found, entries.values(), strict=True))[:6]:
        assert page_image(configured, page["image_sha256"]) == data
    # Once read they are cached; what is not there any more is told, and what has changed.
    original.unlink()
    assert page_image(configured, found[0]["image_sha256"]) == entries["p00.jpg"]
    for file in (configured.home / "cache").rglob("*"):
        if file.is_file():
            file.unlink()
    with pytest.raises(NotFound, match=r"^The original of comic\.cbz is not where it was; put it back") as gone:
        page_image(configured, found[0]["image_sha256"])
    assert str(tmp_path) not in str(gone.value)
    original.write_bytes(zipped(pages(5)))
    assert page_image(configured, found[2]["image_sha256"]) == entries["p02.jpg"]  # told by its hash
    with pytest.raises(Conflict, match=r"^The original of comic\.cbz has changed since it was added; add it again"):
        page_image(configured, found[5]["image_sha256"])
    with pytest.raises(NotFound, match="No image"):
        page_image(configured, "0" * 64)


def test_a_page_is_found_in_the_one_original_that_is_still_there(configured: Settings, tmp_path: Path) -> None:
    shared = picture(600, 800)
    for number in range(8):
        original = tmp_path / f"{number}.cbz"
        original.write_bytes(zipped({"p00.jpg": shared, "p01.jpg": picture(seed=number)}))
        page, _ = ingested(configured, original, name=original.name)
    for number in range(7):
        (tmp_path / f"{number}.cbz").unlink()
    assert page_image(configured, page["image_sha256"]) == shared


def test_drawn_pages_of_an_original_are_kept(configured: Settings, tmp_path: Path) -> None:
    scan = picture(400, 560)
    document = pymupdf.open()
    page = document.new_page(width=200, height=280)
    page.insert_image(page.rect, stream=scan)
    document.new_page(width=200, height=280).insert_text((50, 50), "drawn")
    original = tmp_path / "comic.pdf"
    document.save(original)
    first, second = ingested(configured, original, name="comic.pdf")
    assert list(storage_of(configured).list("blobs")) == [blob_key(second["image_sha256"])]
    assert first["image_sha256"] == sha256(scan).hexdigest()
    assert page_image(configured, first["image_sha256"]) == scan
    assert second["phash"] is not None


def test_drawn_pages_have_the_configured_size(servers: Servers, tmp_path: Path) -> None:
    document = pymupdf.open()
    document.new_page(width=600, height=800).insert_text((50, 50), "drawn")
    with fresh_settings(servers, tmp_path, COMICS_PDF_PIXELS="2000000") as configured:
        (page,) = ingested(configured, document.tobytes(), name="comic.pdf")
    assert 1_990_000 < page["width"] * page["height"] < 2_010_000


@pytest.mark.parametrize("change", ["before", "meanwhile", "gone"])
def test_an_original_that_changed_is_not_read_as_if_it_had_not(
    configured: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    original = tmp_path / "comic.cbz"
    original.write_bytes(zipped(pages(4)))
    comic = added(configured, original)
    if change == "before":
        os.utime(original, ns=(1, 1))
    elif change == "gone":
        original.unlink()
    else:
        monkeypatch.setattr(reading, "READ", f"{HOSTILE}:read_while_it_changes")
    assert run_batch(STAGES["ingest"], ingest) == 1
    ended = job(configured, comic)
    assert ended["state"] == "failed"
    assert ("is not where it was" if change == "gone" else "has changed since it was added") in ended["error"]
    assert pages_of(configured, comic) == []


def test_a_folder_that_stays_where_it_is_is_read_there(configured: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "my comic"
    folder.mkdir()
    for name, data in pages(3).items():
        (folder / name).write_bytes(data)
    found = ingested(configured, folder, name="my comic.cbz")
    assert len(found) == 3
    assert page_image(configured, found[1]["image_sha256"]) == pages(3)["p01.jpg"]
    assert list(storage_of(configured).list("blobs")) == []


def test_a_solid_original_is_unpacked_once_for_many_pages(configured: Settings, tmp_path: Path) -> None:
    entries = pages(10)
    original = tmp_path / "comic.cb7"
    seven_zip(original, entries)
    found = ingested(configured, original, name="comic.cb7")
    assert page_image(configured, found[4]["image_sha256"]) == entries["p04.jpg"]
    original.unlink()
    assert [page_image(configured, page["image_sha256"]) for page in found] == list(entries.values())


def seven_zip(path: Path, entries: Mapping[str, bytes]) -> None:
    """A solid 7z archive."""
    from shared.files.seven_zip import program

    folder = path.parent / f"{path.name}.files"
    folder.mkdir()
    for name, data in entries.items():
        (folder / name).write_bytes(data)
    subprocess.run([program(), "a", "-ms=on", "-bd", str(path), "."], cwd=folder, check=True, capture_output=True)


def test_a_comic_read_again_keeps_decisions_and_loses_pages_it_has_no_longer(configured: Settings) -> None:
    url = str(configured.database_url)
    comic = added(configured, zipped(pages(6)))
    assert run_batch(STAGES["ingest"], ingest) == 1
    execute(url, "UPDATE page SET hidden = 'person' WHERE number = 1")
    execute(url, "UPDATE page SET hidden = 'deleted', state = 'unreadable', error = 'x' WHERE number = 2")
    execute(
        url,
        "INSERT INTO page (comic_id, number, name, state, error) VALUES (:comic, 6, 'old', 'unreadable', 'x')",
        comic=comic,
    )
    before = pages_of(configured, comic)
    execute(url, "UPDATE job SET state = 'queued' WHERE stage = 'ingest'")
    assert run_batch(STAGES["ingest"], ingest) == 1
    after = pages_of(configured, comic)
    assert [page["id"] for page in after] == [page["id"] for page in before[:6]]
    assert [page["hidden"] for page in after] == [None, "person", None, None, None, None]
    assert after[2]["state"] == "ok"


def test_what_the_file_says_of_its_pages_is_on_them(configured: Settings) -> None:
    told = b"""<ComicInfo><Series>Told</Series><Pages><Page Image="0" Type="FrontCover"/>
        <Page Image="1" Type="Deleted"/><Page Image="2" Type="Advertisement"/></Pages></ComicInfo>"""
    found = ingested(configured, zipped(pages(4) | {"ComicInfo.xml": told}))
    assert [page["label"] for page in found][:1] == ["cover"]
    assert [page["hidden"] for page in found] == [None, "deleted", None, None]
    assert found[2]["label"] == "advertisement"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_picture_is_the_page_and_that_is_said(configured: Settings, kind: str) -> None:
    (page,) = ingested(configured, zipped({f"p1.{kind.lower()}": animated(kind)}))
    assert (page["state"], page["width"], page["height"]) == ("ok", 200, 300)
    with unit_of_work(str(configured.database_url)) as connection:
        warnings = [one["warnings"] for one in rows(connection, "SELECT warnings FROM comic_metadata")]
    assert f"p1.{kind.lower()} is an animation of 2 pictures; only its first is read" in str(warnings)


def test_cores_are_shared_among_comics_that_are_read_at_once(
    configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(configured, zipped(pages(2)))
    seen: list[int] = []
    honest = reading.Reading.pages

    def watched(self: reading.Reading, found: reading.Survey, **keep: Any) -> Any:
        seen.append(self.parts)
        return honest(self, found, **keep)

    monkeypatch.setattr(reading.Reading, "pages", watched)
    execute(
        str(configured.database_url),
        "INSERT INTO job (stage, subject_id, fingerprint, state, owner, attempt, max_attempts, lease_until) "
        "SELECT 'ingest', 1000 + n, n::text, 'running', :owner, 1, 3, now() + interval '1 h' "
        "FROM generate_series(1, 100) n",
        owner=f"{os.uname().nodename}:1:x",
    )
    assert run_batch(STAGES["ingest"], ingest) == 1
    assert seen == [1]


def test_every_page_is_in_exactly_one_share() -> None:
    for count in (1, 3, 4, 5, 17, 200):
        for parts in (1, 2, 5):
            shares = reading.shared_out(count, parts)
            assert len(shares) <= parts
            numbers = [number for share in shares for start, stop in share for number in range(start, stop)]
            assert sorted(numbers) == list(range(count))
