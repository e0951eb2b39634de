"""Which local paths are comics, and a folder's packing that is the same bytes every time."""

import os
import zipfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

from shared.domain.packing import Findings, find_comics, pack_folder
from shared.errors import Reject
from tests.equipment.hostile_files import comic, epub, picture


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode() * 100)
    return folder


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


def test_packing_holds_one_page_at_a_time(tmp_path: Path) -> None:
    folder = fill(tmp_path, "p1.jpg")
    for number in range(2, 12):
        (folder / f"p{number}.jpg").write_bytes(bytes(2 << 20))
    sizes = [len(piece) for piece in pack_folder(folder)]
    assert max(sizes) < 3 << 20
    assert len(sizes) > 10


def test_a_folder_without_images_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Reject, match="Rome holds no page images"):
        packed(fill(tmp_path / "Rome", "notes.txt", "ComicInfo.xml"))


def test_a_folder_of_images_is_one_comic(tmp_path: Path) -> None:
    folder = fill(tmp_path / "Tintin 1", "p1.jpg", "p2.png", "notes.txt")
    found = find_comics([folder])
    assert names(found) == ["Tintin 1.cbz"]
    assert found.comics[0].kind == "folder"
    assert found.comics[0].size == 2 * 600
    assert not found.skipped


def test_a_folder_of_files_is_each_file_in_natural_order(tmp_path: Path) -> None:
    fill(tmp_path, "Vol 10.cbz", "Vol 2.CBZ", "extra.pdf", "list.txt")
    found = find_comics([tmp_path])
    assert names(found) == ["extra.pdf", "Vol 2.CBZ", "Vol 10.cbz"]
    assert "no comic" in reasons(found)["list.txt"]


def test_a_cover_beside_its_book_is_not_a_comic(tmp_path: Path) -> None:
    fill(tmp_path, "cover.jpg", "book.cbz", "metadata.opf")
    found = find_comics([tmp_path])
    assert names(found) == ["book.cbz"]
    assert "single image" in reasons(found)["cover.jpg"]


def test_a_zip_under_a_wrong_name_is_taken_and_a_real_rar_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.cbr").write_bytes(comic())
    (tmp_path / "b.cbr").write_bytes(b"Rar!\x1a\x07\x01\x00")
    (tmp_path / "c.epub").write_bytes(epub())
    (tmp_path / "cover.jpg").write_bytes(picture())
    found = find_comics([tmp_path])
    assert names(found) == ["a.cbr"]
    assert "not supported yet" in reasons(found)["b.cbr"]
    assert "not supported yet" in reasons(found)["c.epub"]


def test_folders_inside_are_entered_only_when_asked(tmp_path: Path) -> None:
    fill(tmp_path / "series 2", "p1.jpg")
    fill(tmp_path / "series 10" / "deeper", "v1.cbz")
    fill(tmp_path / ".trash", "p1.jpg")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    shallow = find_comics([tmp_path])
    assert names(shallow) == []
    assert set(reasons(shallow)) == {"series 2", "series 10", "loop"}
    deep = find_comics([tmp_path], recursive=True)
    assert names(deep) == ["series 2.cbz", "v1.cbz"]


def test_what_is_named_twice_counts_once_and_what_is_missing_is_told(tmp_path: Path) -> None:
    fill(tmp_path, "v1.cbz", "v2.cbz")
    found = find_comics([tmp_path / "v2.cbz", tmp_path, tmp_path / "absent.cbz"])
    assert names(found) == ["v2.cbz", "v1.cbz"]
    assert reasons(found) == {"absent.cbz": "does not exist"}


def test_a_named_file_is_sent_whatever_its_suffix(tmp_path: Path) -> None:
    fill(tmp_path, "download", "p1.jpg")
    found = find_comics([tmp_path / "download", tmp_path / "p1.jpg"])
    assert names(found) == ["download"]
    assert "name the folder" in reasons(found)["p1.jpg"]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    assert "empty folder" in reasons(find_comics([tmp_path]))[tmp_path.name]


def test_real_comics_are_found_and_packed_in_order(samples: Path) -> None:
    found = find_comics([samples / "pepper-carrot-ep17", samples / "page-blanche"])
    assert names(found) == ["pepper-carrot-ep17.cbz", "page-blanche.cbz"]
    with zipfile.ZipFile(BytesIO(packed(samples / "page-blanche"))) as archive:
        pages = [f"PageBlanche_Page_{number:03}.jpg" for number in range(1, 9)]
        assert archive.namelist() == ["cover.jpg", *pages]
