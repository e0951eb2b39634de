"""`comics add` of whole libraries against a real API: repeated, watched, left where they are, killed, resumed."""

import csv
import errno
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import IO, Any, cast

import pytest

from services.cli import main
from services.ingestion import reading
from services.ingestion.records import arrivals
from services.ingestion.routes import arrivals as routes
from services.ingestion.tasks import ingest
from services.processes import wait_until
from services.watching import watched
from shared.domain.arrivals import Reference
from shared.domain.pipeline import STAGES
from shared.domain.walk import ComicSource
from shared.http.client import ApiError, Client
from shared.settings import Settings, settings
from shared.store.db import rows, unit_of_work
from shared.work.jobs import Claim
from shared.work.stages import Done, Failed, run_batch
from tests.equipment.api import ingestion_process, running_api
from tests.equipment.hostile_files import picture, zipped
from tests.equipment.servers import Servers, fresh_settings


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Two shelves, a comic each, and a folder of images."""
    folder = tmp_path / "library"
    for number, place in enumerate(("Tintin/one.cbz", "2000AD/two.cbz")):
        write(folder / place, pages(number))
    write(folder / "Loose" / "p1.jpg", picture(seed=77))
    return folder


@pytest.fixture
def client(servers: Servers, tmp_path: Path, library: Path) -> Iterator[Client]:
    """Of an API that may read the library in place, and that the command line finds."""
    with (
        fresh_settings(servers, tmp_path / "home", COMICS_LIBRARY=str(library)) as configured,
        running_api(configured, service="ingestion") as address,
        Client(address) as made,
    ):
        yield made


def pages(seed: int, count: int = 1) -> bytes:
    """A comic; those of as many pages are of one size, whatever they show."""
    return zipped({f"p{number}.jpg": picture(seed=seed * 10 + number).ljust(9000, b"\0") for number in range(count)})


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def add(*arguments: object) -> int:
    return main(["add", *map(str, arguments), "--no-wait"])


def outcomes(report: Path) -> dict[str, tuple[str, str]]:
    """File name -> outcome and reason."""
    with report.open(newline="", encoding="utf-8") as file:
        return {Path(row["location"]).name: (row["outcome"], row["reason"]) for row in csv.DictReader(file)}


@contextmanager
def counted_uploads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of what is really sent meanwhile."""
    sent: list[str] = []
    original = Client.add

    def counting(self: Client, path: Path, **more: object) -> object:
        sent.append(path.name)
        return original(self, path, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Client, "add", counting)
        yield sent


def test_a_library_goes_in_once_and_stands_on_its_shelves(
    client: Client, library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(library, "--recursive") == 0
    assert {comic.file_name: comic.collection for comic in client.comics()} == {
        "one.cbz": "Tintin", "two.cbz": "2000AD", "Loose.cbz": "library",
    }  # fmt: skip
    assert "3 added" in capsys.readouterr().out
    with counted_uploads(monkeypatch) as sent:
        assert add(library, "--recursive") == 0
    assert sent == []
    assert "0 added, 3 already there" in capsys.readouterr().out
    assert len(list(client.comics())) == 3


def test_what_a_person_says_of_the_shelf_counts_for_known_comics_too(client: Client, library: Path) -> None:
    assert add(library, "-r", "--source", "Humble Bundle") == 0
    assert add(library, "-r", "--collection", "Favourites") == 0
    assert {(comic.collection, comic.source) for comic in client.comics()} == {("Favourites", "Humble Bundle")}


def test_the_same_bytes_are_one_comic_and_a_moved_file_is_no_duplicate(
    client: Client, library: Path, tmp_path: Path
) -> None:
    assert add(library, "-r") == 0
    write(library / "Copies" / "copy.cbz", pages(0))
    (library / "2000AD" / "two.cbz").rename(library / "2000AD" / "prog 2.cbz")
    report = tmp_path / "report.csv"
    assert add(library, "-r", "--report", report) == 0
    told = outcomes(report)
    assert told["copy.cbz"][0] == "duplicate"
    assert str(library / "Tintin" / "one.cbz") in told["copy.cbz"][1]
    assert told["prog 2.cbz"] == ("already there", "same bytes as before")
    assert len(list(client.comics())) == 3


@pytest.mark.usefixtures("client")
def test_a_changed_file_is_a_new_comic_and_a_touched_one_is_not(library: Path, tmp_path: Path) -> None:
    assert add(library, "-r") == 0
    write(library / "Tintin" / "one.cbz", pages(5, count=2))
    os.utime(library / "2000AD" / "two.cbz")
    report = tmp_path / "report.csv"
    assert add(library, "-r", "--report", report) == 0
    assert {name: outcome for name, (outcome, _) in outcomes(report).items()} == {
        "one.cbz": "added", "two.cbz": "already there", "Loose": "already there",
    }  # fmt: skip


@pytest.mark.usefixtures("client")
def test_a_silent_change_is_seen_by_rehashing_and_nothing_else_is_sent(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert add(library, "-r") == 0
    file = library / "Tintin" / "one.cbz"
    about = file.stat()
    file.write_bytes(pages(3))
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert file.stat().st_size == about.st_size
    with counted_uploads(monkeypatch) as sent:
        add(library, "-r")
        assert sent == []
        add(library, "-r", "--rehash")
    assert sent == ["one.cbz"]


def test_what_was_rejected_is_remembered_until_it_changes_or_somebody_insists(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write(tmp_path / "books" / "bad.cbz", b"Dear reader, this is no comic." * 9)
    write(tmp_path / "books" / "novel.mobi", b"BOOKMOBI")
    with counted_uploads(monkeypatch) as sent:
        assert add(bad.parent) == 1
        said = capsys.readouterr()
        assert "text file" in said.err
        assert "novel.mobi" in said.err
        assert "0 added, 2 rejected" in said.out
        assert add(bad.parent) == 1
        said = capsys.readouterr()
        assert "text file" in said.err, "the reason is told each time"
        assert "--retry-rejected" in said.out
        assert sent == ["bad.cbz"]
        assert add(bad.parent, "--retry-rejected") == 1
        assert sent == ["bad.cbz"] * 2
        bad.write_bytes(pages(1))
        assert add(bad) == 0
    assert [comic.file_name for comic in client.comics()] == ["bad.cbz"]


def test_only_what_the_bytes_are_guilty_of_is_remembered_and_that_until_more_can_be_read(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = write(tmp_path / "good.cbz", pages(1)), write(tmp_path / "bad.cbz", b"Dear reader" * 99)
    with counted_uploads(monkeypatch) as sent:
        for function in ("is_killed", "lacks_a_program"):
            with monkeypatch.context() as hostile:
                hostile.setattr(reading, "JUDGE", f"tests.equipment.falling:{function}")
                assert add(good) == 1
        assert add(bad) == add(bad) == 1
        monkeypatch.setattr(arrivals, "READER", arrivals.READER + 1)
        assert add(good) == 0
        assert add(bad) == add(bad) == 1
    assert sent == ["good.cbz"] * 2 + ["bad.cbz", "good.cbz", "bad.cbz"]
    assert [comic.file_name for comic in client.comics()] == ["good.cbz"]


def test_comics_that_take_long_to_look_at_hold_up_nobody_else(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()

    def slow(*_: object, **__: object) -> str:
        told.wait(20)
        return "application/zip"

    monkeypatch.setattr(routes, "require_comic", slow)
    monkeypatch.setattr(routes.looking, "most", 44)
    files = [write(tmp_path / f"{number}.cbz", b"%d" % number) for number in range(48)]
    with ThreadPoolExecutor(len(files)) as senders:
        sent = [senders.submit(client.add, file) for file in files]
        refusing = wait_until(lambda: sum(one.done() for one in sent) == 48 - 44, seconds=10)
        known = client.known([])  # a route that takes a thread too
        told.set()
    assert (refusing, known) == (True, [])
    refused = [error for one in sent if (error := one.exception()) is not None]
    assert [cast(ApiError, error).http_status for error in refused] == [503] * 4


@pytest.mark.usefixtures("client")
def test_what_cannot_be_read_is_told_by_name(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything and nothing vanishes at will: the system's answer is given for it."""

    def refused(path: Path) -> Iterator[bytes]:
        if path.name == "one.cbz":
            raise PermissionError(13, "Permission denied")
        path.unlink()
        yield from path.open("rb")

    monkeypatch.setattr("shared.http.arriving.pieces", refused)
    report = tmp_path / "report.csv"
    assert add(library, tmp_path / "absent.cbz", "-r", "--report", report) == 1
    told = outcomes(report)
    assert told["one.cbz"] == ("rejected", "may not be read: permission denied")
    assert told["two.cbz"] == ("rejected", "vanished before it was read")
    assert told["absent.cbz"] == ("rejected", "does not exist")
    assert told["Loose"][0] == "added"


@pytest.mark.parametrize(("changes", "ending"), [(1, 0), (9, 1)])
def test_a_file_that_changes_while_it_is_read_is_sent_again_once_and_never_kept_torn(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: int, ending: int
) -> None:
    file = write(tmp_path / "busy.cbz", pages(1))
    monkeypatch.setattr("services.sending.SETTLING", 0.05)
    reads: list[int] = []

    def busy(path: Path) -> Iterator[bytes]:
        data = path.read_bytes()
        yield data[:1000]
        reads.append(1)
        if len(reads) <= changes:
            path.write_bytes(pages(10 + len(reads), count=2))
        yield data[1000:]

    monkeypatch.setattr("shared.http.arriving.pieces", busy)
    assert add(file) == ending
    assert len(reads) == 2
    assert [comic.size for comic in client.comics()] == ([file.stat().st_size] if ending == 0 else [])


@pytest.mark.usefixtures("client")
def test_a_full_disk_is_waited_for_and_said(
    library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries: list[str] = []
    opened = Path.open

    class FullDisk(FileIO):
        def write(self, _: object, /) -> int:
            tries.append("write")
            raise OSError(errno.ENOSPC, "no space")

    def full_twice(path: Path, mode: str = "r") -> IO[Any]:
        return cast(IO[Any], FullDisk(path, mode)) if path.suffix == ".part" and len(tries) < 2 else opened(path, mode)

    monkeypatch.setattr(Path, "open", full_twice)
    monkeypatch.setattr("services.adding_display.TICK", 0.05)
    monkeypatch.setattr("services.sending.FIRST_PAUSE", 0.1)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert add(library / "Tintin") == 0
    assert len(tries) == 2
    told = capsys.readouterr()
    assert "disk is full" in told.err
    assert "trying again" in told.err
    assert "1 added" in told.out


def test_the_report_names_every_file_with_what_became_of_it(client: Client, library: Path, tmp_path: Path) -> None:
    write(library / "Tintin" / "notes.txt", b"x")
    report = tmp_path / "report.csv"
    assert add(library, "-r", "--report", report) == 0
    with report.open(newline="", encoding="utf-8") as file:
        told = list(csv.DictReader(file))
    assert [list(line) for line in told[:1]] == [["location", "outcome", "comic", "reason"]]
    assert sorted(line["outcome"] for line in told) == ["added"] * 3 + ["left out"]
    assert {int(line["comic"]) for line in told if line["comic"]} == {comic.id for comic in client.comics()}
    assert all(str(library) in line["location"] for line in told)


def test_a_file_under_a_name_of_any_bytes_goes_in_and_is_known_again(
    client: Client, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(library / "2000AD" / os.fsdecode(b"\x83}\x83\x93\x83K.cbz"), pages(30))
    assert add(library / "2000AD") == 0
    assert add(library / "2000AD") == 0
    assert "2 already there" in capsys.readouterr().out
    assert len(list(client.comics())) == 2
    assert add(library / "2000AD", "--reference", "--rehash") == 1
    assert "no UTF-8" in capsys.readouterr().err


def test_a_folder_whose_pages_have_names_of_any_bytes_is_one_comic_sent_or_left_where_it_is(
    client: Client, library: Path
) -> None:
    for name in ("マンガ2.jpg", "マンガ10.jpg"):
        raw = os.fsdecode(name.encode("cp932"))
        write(library / "manga" / raw, picture(seed=len(raw)))
    assert add(library / "manga", "--reference") == 0
    ingested()
    (comic,) = client.comics()
    assert [page.name for page in client.pages(comic.id)] == ["マンガ2.jpg", "マンガ10.jpg"]
    assert add(library / "manga", "--rehash") == 0
    assert len(list(client.comics())) == 1


def test_a_comic_that_nobody_foresaw_is_told_and_the_others_go_in(
    client: Client, library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = Client.add

    def odd(self: Client, path: Path, **more: Any) -> Any:
        if path.name == "one.cbz":
            "\ud800".encode()
        return honest(self, path, **more)

    monkeypatch.setattr(Client, "add", odd)
    assert add(library, "-r") == 1
    told = capsys.readouterr()
    assert "one.cbz: cannot be sent: 'utf-8' codec" in told.err
    assert "2 added, 1 rejected" in told.out
    assert len(list(client.comics())) == 2


@pytest.mark.usefixtures("client")
def test_what_lies_beside_comics_is_counted_and_a_defect_ends_with_what_was_reached(
    library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(library / "Tintin" / "LICENSE", b"x")
    (library / "Tintin" / "shelf").symlink_to(library / "2000AD")
    assert add(library / "Tintin", "-r") == 0
    told = capsys.readouterr()
    assert "LICENSE" not in told.out + told.err
    assert "shelf: is a link to a folder" in told.err
    assert "1 added, 2 left out; 9.1 kB sent" in told.out
    assert "`--report FILE.csv` names each" in told.out
    monkeypatch.setattr("services.adding._known", None)
    assert add(library, "-r") == 1
    told = capsys.readouterr()
    assert told.err.index("TypeError") < told.err.index("comics: stopped by a defect")
    assert "0 added" in told.out


@pytest.mark.usefixtures("client")
def test_a_refusal_names_commands_and_not_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "77"]) == 1
    assert capsys.readouterr().err == "comics: There is no comic 77; `comics show` lists those there are.\n"


@pytest.mark.usefixtures("client")
def test_a_wrong_call_ends_with_two_and_nothing_found_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(tmp_path, "--jobs", 0) == 2
    assert "--jobs" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert add(tmp_path / "empty") == 1
    assert add(tmp_path / "empty", "--report", tmp_path / "no" / "report.csv") == 1
    assert "cannot be written" in capsys.readouterr().err


# --- watching


def test_a_file_is_taken_only_once_it_has_stood_still(tmp_path: Path) -> None:
    folder = tmp_path / "incoming"
    old = write(folder / "old.cbz", b"a")
    os.utime(old, (1, 1))
    growing = write(folder / "growing.cbz", b"a")
    looks = watched([folder], recursive=False, stop=threading.Event(), pause=0.0)

    def look() -> list[str]:
        taken = []
        while isinstance(one := next(looks), ComicSource):
            taken.append(one.path.name)
        return taken

    os.utime(growing, (time.time() + 60, time.time() + 60))  # a clock that is ahead makes no file old
    assert look() == ["old.cbz"]
    with growing.open("ab") as file:
        file.write(b"more")
    assert look() == []
    assert look() == ["growing.cbz"]
    assert look() == []
    growing.unlink()
    assert look() == []
    write(growing, b"another")
    assert [look(), look()] == [[], ["growing.cbz"]]


def test_watching_adds_what_appears_when_it_is_whole_and_ends_with_a_report(
    client: Client, library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("services.watching.watched.__kwdefaults__", {"pause": 0.15})
    whole = pages(8, count=3)

    def happen() -> None:
        wait_until(lambda: len(list(client.comics())) == 3, seconds=20)
        with (library / "Tintin" / "new.cbz").open("wb") as file:
            for start in range(0, len(whole), 1 + len(whole) // 8):
                file.write(whole[start : start + 1 + len(whole) // 8])
                file.flush()
                time.sleep(0.1)
        wait_until(lambda: len(list(client.comics())) == 4, seconds=20)
        os.kill(os.getpid(), signal.SIGINT)

    happening = threading.Thread(target=happen, daemon=True)
    happening.start()
    assert add(library, "-r", "--watch") == 0
    happening.join()
    assert "4 added" in capsys.readouterr().out
    assert [comic.file_name for comic in client.comics()].count("new.cbz") == 1


# --- originals that stay where they are


def ingested() -> None:
    """Work until nothing is left of stage *ingest*."""
    while run_batch(STAGES["ingest"], ingest):
        pass


def blobs(home: Path) -> int:
    return sum(path.is_file() for path in (home / "storage" / "blobs").rglob("*"))


def test_originals_are_read_where_they_are_and_not_copied(client: Client, library: Path) -> None:
    assert add(library, "-r", "--reference") == 0
    ingested()
    comics = list(client.comics())
    assert [(comic.referenced, comic.state, comic.page_count) for comic in comics] == [(True, "ready", 1)] * 3
    assert blobs(settings().home) == 0
    shown = {comic.file_name: client.picture(next(client.pages(comic.id)).image or "") for comic in comics}
    assert shown["Loose.cbz"] == (library / "Loose" / "p1.jpg").read_bytes()
    assert shown["one.cbz"] == picture(seed=0).ljust(9000, b"\0")
    assert add(library, "-r") == 0
    assert len(list(client.comics())) == 3, "the same bytes sent are the same comic"
    assert blobs(settings().home) == 0


def test_an_original_that_changed_or_vanished_is_a_clear_error_and_heals_when_it_is_added_again(
    client: Client, library: Path
) -> None:
    assert add(library, "-r", "--reference") == 0
    one, two = library / "Tintin" / "one.cbz", library / "2000AD" / "two.cbz"
    kept = one.read_bytes()
    one.write_bytes(pages(4, count=2))
    two.rename(library / "moved.cbz")
    ingested()
    states = {comic.file_name: (comic.state, comic.error or "") for comic in client.comics()}
    assert states["one.cbz"][0] == states["two.cbz"][0] == "failed"
    assert "changed" in states["one.cbz"][1]
    assert "not where it was" in states["two.cbz"][1]
    assert all(str(library) not in error for _, error in states.values())
    write(library / "again" / "one.cbz", kept)
    assert add(library, "-r", "--reference") == 0
    ingested()
    assert [comic.state for comic in client.comics()] == ["ready"] * 4


def test_a_page_whose_original_went_after_it_was_read_says_so(client: Client, library: Path) -> None:
    assert add(library / "Tintin", "--reference") == 0
    ingested()
    address = next(client.pages(next(client.comics()).id)).image or ""
    (library / "Tintin" / "one.cbz").rename(library / "elsewhere.cbz")
    with pytest.raises(ApiError, match="not where it was"):
        client.picture(address)
    assert add(library / "elsewhere.cbz", "--reference") == 0
    assert client.picture(address) == picture(seed=0).ljust(9000, b"\0")


def test_sending_the_bytes_of_a_comic_whose_original_is_lost_takes_it_into_our_keeping(
    client: Client, library: Path, tmp_path: Path
) -> None:
    assert add(library, "-r", "--reference") == 0
    ingested()
    one = library / "Tintin" / "one.cbz"
    one.rename(tmp_path / "one.cbz")
    before = {comic.id for comic in client.comics()}
    assert add(tmp_path / "one.cbz") == 0
    ingested()
    (tmp_path / "one.cbz").unlink()
    comics = {comic.file_name: comic for comic in client.comics()}
    assert {comic.id for comic in comics.values()} == before
    assert (comics["one.cbz"].referenced, comics["two.cbz"].referenced) == (False, True)
    page = next(client.pages(comics["one.cbz"].id))
    assert client.picture(page.image or "") == picture(seed=0).ljust(9000, b"\0")
    assert blobs(settings().home) == 2, "the file and its page"


@pytest.mark.parametrize("event", ["sent", "moved"])
def test_whoever_still_reads_an_original_that_is_replaced_writes_nothing_any_more(
    client: Client, library: Path, tmp_path: Path, event: str
) -> None:
    one = library / "Tintin" / "one.cbz"
    assert add(one, "--reference") == 0

    def overtaken(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
        for done in ingest(claims):
            place = (tmp_path if event == "sent" else library) / "elsewhere.cbz"
            one.rename(place)
            assert add(place, *(["--reference"] if event == "moved" else [])) == 0
            yield done

    run_batch(STAGES["ingest"], overtaken)
    assert [comic.page_count for comic in client.comics()] == [None], "the late write is refused"
    ingested()
    (comic,) = client.comics()
    assert (comic.state, comic.referenced) == ("ready", event == "moved")
    page = next(client.pages(comic.id))
    assert client.picture(page.image or "") == picture(seed=0).ljust(9000, b"\0")


@pytest.mark.parametrize("way", ["beside", "link", "dots"])
def test_only_what_lies_in_the_library_may_be_referred_to(
    client: Client, library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    outside = write(tmp_path / "outside" / "secret.cbz", pages(9))
    path = outside
    if way == "link":
        path = library / "link.cbz"
        path.symlink_to(outside)
    reference = {"path": str(library / ".." / "outside" / "secret.cbz" if way == "dots" else path)}
    with pytest.raises(ApiError, match="COMICS_LIBRARY"):
        client.refer(Reference(**reference, name="secret.cbz", location="here:x", mtime_ns=1, file_size=1))
    assert add(path, "--reference") == 1
    assert "COMICS_LIBRARY" in capsys.readouterr().err
    assert list(client.comics()) == []


def test_a_reference_to_what_is_no_file_tells_nothing_of_it(client: Client, library: Path) -> None:
    os.mkfifo(library / "pipe.cbz")
    for path, said in ((library / "pipe.cbz", "neither"), (library / "absent.cbz", "finds no"), ("x.cbz", "absolute")):
        with pytest.raises(ApiError, match=said) as refused:
            client.refer(Reference(path=str(path), name="x.cbz", location="here:x", mtime_ns=1, file_size=1))
        assert str(library) not in str(refused.value)


# --- Calibre


def calibre(root: Path) -> None:
    """A library as Calibre leaves it: one comic in its database, one that only has its package document."""
    with sqlite3.connect(root / "metadata.db") as database:
        database.executescript(
            """
            CREATE TABLE books
                (id INTEGER PRIMARY KEY, title TEXT, series_index REAL, pubdate TEXT, uuid TEXT, path TEXT);
            CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE books_series_link (id INTEGER PRIMARY KEY, book INTEGER, series INTEGER);
            INSERT INTO books VALUES (7, 'The Crab', 9.0, '1941-01-01', 'u-7', 'Hergé/The Crab (7)');
            INSERT INTO series VALUES (1, 'Tintin');
            INSERT INTO books_series_link VALUES (1, 7, 1);
            """
        )
    write(root / "Hergé" / "The Crab (7)" / "The Crab - Herge.cbz", pages(21))
    lone = root / "Unknown" / "Lone (8)"
    write(lone / "Lone.cbz", pages(22))
    write(
        lone / "metadata.opf",
        b'<package xmlns="http://www.idpf.org/2007/opf" version="2.0"><metadata '
        b'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Lone Comic</dc:title></metadata></package>',
    )


def test_a_calibre_library_tells_what_its_comics_are(client: Client, tmp_path: Path) -> None:
    root = tmp_path / "Calibre Library"
    root.mkdir()
    calibre(root)
    assert add(root, "-r") == 0
    comics = {comic.title: comic for comic in client.comics()}
    crab = comics["The Crab"]
    assert (crab.series, crab.number, crab.year, crab.source) == ("Tintin", "9", 1941, "Calibre")
    assert crab.origins["title"] == "calibre"
    assert comics["Lone Comic"].origins["title"] == "calibre"
    assert {comic.collection for comic in comics.values()} == {"Calibre Library"}


# --- killed


def many(folder: Path, count: int) -> Path:
    for number in range(count):
        write(folder / f"{number:03}.cbz", pages(100 + number))
    return folder


def test_a_server_that_is_killed_and_comes_back_gets_everything_once(
    configured: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("services.sending.LONGEST_PAUSE", 0.5)
    folder = many(tmp_path / "comics", 40)
    url = str(configured.database_url)

    def arrived() -> int:
        with unit_of_work(url) as connection:
            return len(rows(connection, "SELECT id FROM comic"))

    with ingestion_process() as (first, address):
        monkeypatch.setenv("COMICS_SERVER", address)
        settings.cache_clear()
        ended: list[int] = []
        adding = threading.Thread(target=lambda: ended.append(add(folder)), daemon=True)
        adding.start()
        assert wait_until(lambda: arrived() >= 10, seconds=30)
        first.send_signal(signal.SIGKILL)
        first.wait()
        before = arrived()
        with ingestion_process(int(address.rpartition(":")[2])):
            adding.join(timeout=60)
            assert ended == [0]
    assert before < 40, "it was killed midway"
    assert arrived() == 40
    told = capsys.readouterr()
    assert "rejected" not in told.out
    with unit_of_work(url) as connection:
        places = rows(connection, "SELECT count(*) AS n, count(DISTINCT comic_id) AS comics FROM source_file")
    assert dict(places[0]) == {"n": 40, "comics": 40}


def test_a_command_that_is_stopped_goes_on_where_it_was(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = many(tmp_path / "comics", 40)

    def stop() -> None:
        wait_until(lambda: len(list(client.comics())) >= 8, seconds=20)
        os.kill(os.getpid(), signal.SIGINT)

    stopping = threading.Thread(target=stop, daemon=True)
    stopping.start()
    assert add(folder) == 130
    stopping.join()
    told = capsys.readouterr()
    assert "goes on where this one was" in told.err
    assert "added" in told.out, "the report comes all the same"
    there = len(list(client.comics()))
    assert 8 <= there < 40
    with counted_uploads(monkeypatch) as sent:
        assert add(folder) == 0
    assert len(sent) == 40 - there
    assert len(list(client.comics())) == 40
