"""Which local paths are comics, and a folder's packing that is the same bytes every time."""

import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

from shared.domain.packing import LARGEST_PAGE, pack_folder, stamp
from shared.domain.walk import ComicSource, Skipped, find_comics
from shared.errors import Reject, TooLarge
from tests.equipment.users import somebody_else


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode() * 100)
    return folder


@dataclass
class Findings:
    comics: list[ComicSource]
    skipped: list[Skipped]


def find(paths: Iterable[Path], *, recursive: bool = False) -> Findings:
    found = list(find_comics(paths, recursive=recursive))
    return Findings(
        [one for one in found if isinstance(one, ComicSource)], [one for one in found if isinstance(one, Skipped)]
    )


def names(findings: Findings) -> list[str]:
    return [found.name for found in findings.comics]


def reasons(findings: Findings) -> dict[str, str]:
    return {skipped.path.name: skipped.reason for skipped in findings.skipped}


def packed(folder: Path) -> bytes:
    return b"".join(pack_folder(folder))


def test_a_packed_folder_is_a_zip_of_its_pages_in_reading_order(tmp_path: Path) -> None:
    folder = fill(tmp_path / "comic", "p10.jpg", "p2.jpg", "._p2.jpg", "Thumbs.db", "notes.txt", "ComicInfo.xml")
    fill(folder / "sub", "p1.jpg")
    with zipfile.ZipFile(BytesIO(packed(folder))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["ComicInfo.xml", "p2.jpg", "p10.jpg"]
        assert archive.read("p10.jpg") == b"p10.jpg" * 100
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_same_folder_is_the_same_bytes_whenever_and_wherever(tmp_path: Path) -> None:
    one = fill(tmp_path / "one", "p1.jpg", "p2.jpg")
    two = fill(tmp_path / "two", "p2.jpg", "p1.jpg", "readme.md")
    os.utime(two / "p1.jpg", (1, 1))
    (two / "p2.jpg").chmod(0o600)
    first = packed(one)
    assert sha256(first).digest() == sha256(packed(two)).digest()
    (two / "p2.jpg").write_bytes(b"changed")
    assert packed(two) != first


def test_packing_holds_a_small_piece_of_a_page_at_a_time(tmp_path: Path) -> None:
    folder = fill(tmp_path, "p1.jpg")
    (folder / "p2.jpg").write_bytes(bytes(12 << 20))
    sizes = [len(piece) for piece in pack_folder(folder)]
    assert max(sizes) < 2 << 20
    assert sum(sizes) > 12 << 20


def test_a_page_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    folder = fill(tmp_path / "Rome", "p1.jpg")
    with (folder / "p2.jpg").open("wb") as sparse:
        sparse.truncate(LARGEST_PAGE + 1)
    with pytest.raises(TooLarge, match=r"^Rome/p2\.jpg is 256 MB large, over the limit of 256 MB a page"):
        packed(folder)


def test_page_names_of_any_bytes_are_packed_as_they_were_meant_and_apart(tmp_path: Path) -> None:
    raw = ["マンガ2.jpg".encode("cp932"), "マンガ10.jpg".encode("cp932"), "ソ.jpg".encode("cp932")]
    folder = fill(tmp_path / "comic", "マンガ10.jpg")
    for name in raw:
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(name)
    with zipfile.ZipFile(BytesIO(packed(folder))) as archive:
        assert archive.namelist() == ["ソ.jpg", "マンガ2.jpg", "マンガ10.jpg", "マンガ10_.jpg"]
        assert archive.read("マンガ10_.jpg") == raw[1]
    assert stamp(folder).size == sum(file.stat().st_size for file in folder.iterdir())


def test_what_speaks_about_the_pages_goes_along_and_links_do_not(tmp_path: Path) -> None:
    about = ["comicinfo.XML", "book.acbf", "guided.json", "metadata.opf"]
    folder = fill(tmp_path / "comic", "p1.jpg", "other.opf", *about)
    (tmp_path / "secret").write_bytes(b"secret")
    for link in ("p2.jpg", "ComicInfo.xml"):
        (folder / link).symlink_to(tmp_path / "secret")
    before = stamp(folder)
    with zipfile.ZipFile(BytesIO(packed(folder))) as archive:
        assert archive.namelist() == [*sorted(about), "p1.jpg"]
    (tmp_path / "secret").write_bytes(b"another secret")
    assert stamp(folder) == before
    (folder / "metadata.opf").write_bytes(b"more")
    assert stamp(folder) != before


def test_a_folder_without_images_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Reject, match="Rome holds no page images"):
        packed(fill(tmp_path / "Rome", "notes.txt", "ComicInfo.xml"))


def test_a_folder_of_images_is_one_comic(tmp_path: Path) -> None:
    folder = fill(tmp_path / "Tintin 1", "p1.jpg", "p2.png", "notes.txt")
    found = find([folder])
    assert names(found) == ["Tintin 1.cbz"]
    assert found.comics[0].kind == "folder"
    assert found.comics[0].stamp.size == 2 * 600
    assert not found.skipped


def test_a_folder_of_files_is_each_file_in_natural_order(tmp_path: Path) -> None:
    fill(tmp_path, "Vol 10.cbz", "Vol 2.CBZ", "extra.pdf", "list.txt")
    found = find([tmp_path])
    assert names(found) == ["extra.pdf", "Vol 2.CBZ", "Vol 10.cbz"]
    assert "no comic" in reasons(found)["list.txt"]


def test_a_cover_beside_its_book_is_not_a_comic(tmp_path: Path) -> None:
    fill(tmp_path, "cover.jpg", "book.cbz", "metadata.opf")
    found = find([tmp_path])
    assert names(found) == ["book.cbz"]
    assert "single image" in reasons(found)["cover.jpg"]


def test_every_format_we_read_is_found_and_ebooks_without_pages_are_told(tmp_path: Path) -> None:
    formats = ("cbz", "zip", "cbr", "rar", "cb7", "7z", "cbt", "tar", "pdf", "epub", "acbf")
    fill(tmp_path, *(f"a.{suffix}" for suffix in formats), "b.mobi", "c.azw3", "d.djvu", "list.txt")
    found = find([tmp_path])
    assert sorted(names(found)) == sorted(f"a.{suffix}" for suffix in formats)
    assert {skipped.path.name for skipped in found.skipped if skipped.wanted} == {"b.mobi", "c.azw3", "d.djvu"}
    assert "CBZ or PDF" in reasons(found)["b.mobi"]


def test_comics_stand_on_the_shelf_of_the_topmost_folder_below_the_one_that_was_named(tmp_path: Path) -> None:
    library = tmp_path / "Comics"
    fill(library, "loose.cbz")
    fill(library / "2000AD" / "1977", "prog 1.cbz")
    fill(library / "Tintin" / "Tintin 1", "p1.jpg")
    fill(library / "One Shot", "p1.jpg")
    found = find([library], recursive=True)
    shelves = {comic.name: comic.folder for comic in found.comics}
    assert shelves == {
        "loose.cbz": "Comics", "prog 1.cbz": "2000AD", "Tintin 1.cbz": "Tintin", "One Shot.cbz": "Comics",
    }  # fmt: skip
    assert [comic.folder for comic in find([library / "loose.cbz", library / "One Shot"]).comics] == [None, None]


def test_junk_and_hidden_folders_are_not_entered(tmp_path: Path) -> None:
    for junk in ("__MACOSX", "@eaDir", "#recycle", ".hidden"):
        fill(tmp_path / junk, "v1.cbz")
    fill(tmp_path, "v1.cbz", "._v1.cbz")
    assert names(find([tmp_path], recursive=True)) == ["v1.cbz"]


def test_a_library_is_walked_lazily(tmp_path: Path) -> None:
    for number in range(3):
        fill(tmp_path / f"s{number}", "v1.cbz")
    walk: Iterator[object] = find_comics([tmp_path], recursive=True)
    assert isinstance(next(walk), ComicSource)
    fill(tmp_path / "s2", "v2.cbz")
    assert [one.path.name for one in walk if isinstance(one, ComicSource)] == ["v1.cbz", "v1.cbz", "v2.cbz"]


def test_folders_are_entered_however_deep_and_an_end_is_set(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(250):
        folder = folder / "d"
    fill(folder, "v1.cbz")
    found = find([tmp_path], recursive=True)
    assert found.comics == []
    assert "folder inside a folder" in found.skipped[-1].reason


def test_a_folder_that_may_not_be_entered_is_told(home: Path) -> None:
    fill(home / "locked", "v1.cbz")
    (home / "locked").chmod(0)
    with somebody_else():
        found = find([home], recursive=True)
    (home / "locked").chmod(0o755)
    assert found.skipped == [Skipped(home / "locked", "cannot be read: Permission denied", wanted=True)]


def test_links_in_a_circle_are_told_and_hide_nothing_beside_them(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "self.cbz").symlink_to("self.cbz")
    fill(tmp_path, "v1.cbz")
    fill(tmp_path / "inner", "v2.cbz")
    found = find([tmp_path / "a", tmp_path], recursive=True)
    assert all(skipped.wanted for skipped in found.skipped)
    assert {skipped.path.name for skipped in found.skipped} == {"a", "b", "self.cbz"}
    assert names(found) == ["v1.cbz", "v2.cbz"]


def test_the_stamp_of_a_folder_changes_with_any_of_its_pages(tmp_path: Path) -> None:
    folder = fill(tmp_path / "one", "p1.jpg", "p2.jpg")
    stamps = [stamp(folder)]
    (folder / "p2.jpg").write_bytes(b"p2.jpg" * 99 + b"P2.jpg")
    os.utime(folder / "p2.jpg", ns=(1, stamps[0].mtime_ns + 5))
    stamps.append(stamp(folder))
    (folder / "p2.jpg").rename(folder / "p3.jpg")
    os.utime(folder, ns=(1, stamps[0].mtime_ns + 9))
    stamps.append(stamp(folder))
    fill(folder, "p4.jpg")
    stamps.append(stamp(folder))
    assert len(set(stamps)) == 4
    assert stamp(folder) == find([folder]).comics[0].stamp


def test_folders_inside_are_entered_only_when_asked(tmp_path: Path) -> None:
    fill(tmp_path / "series 2", "p1.jpg")
    fill(tmp_path / "series 10" / "deeper", "v1.cbz")
    fill(tmp_path / ".trash", "p1.jpg")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    shallow = find([tmp_path])
    assert names(shallow) == []
    assert set(reasons(shallow)) == {"series 2", "series 10", "loop"}
    deep = find([tmp_path], recursive=True)
    assert names(deep) == ["series 2.cbz", "v1.cbz"]


def test_what_is_named_twice_counts_once_and_what_is_missing_is_told(tmp_path: Path) -> None:
    fill(tmp_path, "v1.cbz", "v2.cbz")
    found = find([tmp_path / "v2.cbz", tmp_path, tmp_path / "absent.cbz"])
    assert names(found) == ["v2.cbz", "v1.cbz"]
    assert reasons(found) == {"absent.cbz": "does not exist"}


def test_a_named_file_is_sent_whatever_its_suffix(tmp_path: Path) -> None:
    fill(tmp_path, "download", "p1.jpg")
    found = find([tmp_path / "download", tmp_path / "p1.jpg"])
    assert names(found) == ["download"]
    assert "name the folder" in reasons(found)["p1.jpg"]


def test_a_comic_under_a_name_that_says_nothing_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    rar = b"Rar!\x1a\x07\x01\x00".ljust(5000, b"\0")
    for name in ("old.cba", "download", "sheet.xlsx", "notes.txt"):
        (tmp_path / name).write_bytes(rar)
    fill(tmp_path, "LICENSE", "vol 1.tar.gz", "vol 2.TGZ")
    os.mkfifo(tmp_path / "pipe")
    found = find([tmp_path])
    assert names(found) == ["download", "old.cba", "vol 1.tar.gz", "vol 2.TGZ"]
    assert {skipped.path.name for skipped in found.skipped if skipped.beside} == {"sheet.xlsx", "notes.txt", "LICENSE"}
    assert ".acbf" in reasons(found)["LICENSE"]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    assert "empty folder" in reasons(find([tmp_path]))[tmp_path.name]


def test_real_comics_are_found_and_packed_in_order(samples: Path) -> None:
    found = find([samples / "pepper-carrot-ep17", samples / "page-blanche"])
    assert names(found) == ["pepper-carrot-ep17.cbz", "page-blanche.cbz"]
    with zipfile.ZipFile(BytesIO(packed(samples / "page-blanche"))) as archive:
        pages = [f"PageBlanche_Page_{number:03}.jpg" for number in range(1, 9)]
        assert archive.namelist() == ["cover.jpg", *pages]
