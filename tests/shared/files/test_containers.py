"""Every kind of comic opens in reading order; every bad file is refused by name, with what to do."""

import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from services.ingestion.pages import require_readable
from shared.errors import Reject, TooLarge
from shared.files.archives import ZipArchive
from shared.files.containers import Limits, RawPage
from shared.files.folders import ImageFolder
from shared.files.formats import open_container
from tests.equipment import hostile_files as hostile
from tests.equipment.hostile_files import REFUSED, UNREADABLE, comic, picture, zipped
from tests.equipment.reading import read_pages


def kept(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "stored-under-another-name"
    path.write_bytes(data)
    return path


def raw_pages(path: Path, *, limits: Limits | None = None) -> list[RawPage]:
    with open_container(path, name="comic.cbz", limits=limits or Limits()) as container:
        pages = list(container.pages())
        assert len(pages) == len(container)
    return pages


def test_pages_come_verbatim_in_natural_order(tmp_path: Path) -> None:
    entries = {name: picture(seed=seed) for seed, name in enumerate(["b/p10.jpg", "b/p2.jpg", "a/p3.jpg", "B/p1.jpg"])}
    litter = {"__MACOSX/b/._p2.jpg": b"x", "ComicInfo.xml": b"<ComicInfo/>", "b/": b"", ".DS_Store": b"x"}
    pages = raw_pages(kept(tmp_path, zipped({**litter, **entries})))
    assert [page.name for page in pages] == ["a/p3.jpg", "B/p1.jpg", "b/p2.jpg", "b/p10.jpg"]
    assert [page.number for page in pages] == [0, 1, 2, 3]
    assert all(page.data == entries[page.name] and page.error is None for page in pages)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_the_standard_library_knows_is_unpacked(tmp_path: Path, method: int) -> None:
    data = picture(700, 500, kind="BMP")
    pages = raw_pages(kept(tmp_path, zipped({"p1.bmp": data}, method=method)))
    assert pages[0].data == data


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_two_pages(tmp_path: Path) -> None:
    first, second = picture(seed=1), picture(seed=2)
    pages = raw_pages(kept(tmp_path, zipped([("p1.jpg", first), ("p1.jpg", second)])))
    assert [page.data for page in pages] == [first, second]


def test_an_absolute_name_is_only_a_name(tmp_path: Path) -> None:
    pages = raw_pages(kept(tmp_path, zipped({"/tmp/hostile/p1.jpg": picture(), "C:\\p2.jpg": picture()})))
    assert [page.name for page in pages] == ["p2.jpg", "tmp/hostile/p1.jpg"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["stored-under-another-name"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = kept(tmp_path, REFUSED[name]())
    with pytest.raises(Reject) as refused:
        open_container(path, name=name)
    text = str(refused.value)
    assert text.startswith(name)
    assert str(tmp_path) not in text
    assert path.name not in text
    assert len(text) > len(name) + 30


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing.cbz", "empty"),
        ("renamed text.cbz", "text file"),
        ("climbing.cbz", "outside"),
        ("bomb.cbz", "bomb"),
        ("overlapping.cbz", "overlap"),
        ("cut off.cbz", "cut-off zip"),
        ("locked.cbz", "password"),
        ("nested.zip", "archives"),
        ("office.cbz", "office document"),
        ("protected.epub", "protected against copying"),
        ("really a rar.cbz", "damaged"),
        ("really 7z.cbz", "damaged"),
        ("tape.cbt", "damaged"),
        ("novel.mobi", "Kindle book, which is not supported"),
        ("half a document.acbf", "cut-off ACBF document"),
        ("single.jpg", "single image"),
        ("no pages.pdf", "without pages"),
        ("locked.pdf", "password"),
        ("cut off.pdf", "cut off"),
    ],
)
def test_the_reason_is_the_true_one(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(Reject, match=says):
        open_container(kept(tmp_path, REFUSED[name]()), name=name)


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_comic_without_one_readable_page_is_refused(tmp_path: Path, name: str) -> None:
    with open_container(kept(tmp_path, UNREADABLE[name]()), name=name) as container:
        with pytest.raises(Reject, match=name) as verdict:
            require_readable(container)
        assert all(page.image is None and page.error for page in read_pages(container))
    assert str(verdict.value).startswith(f"{name}: ")
    assert "p1" in str(verdict.value)


def test_one_bad_page_is_a_page_with_a_reason_and_harms_no_other(tmp_path: Path) -> None:
    entries = {
        "p1.jpg": picture(seed=1),
        "p2.png": hostile.huge_png(),
        "p3.jpg": picture(300, 200)[:-400],
        "p4.jpg": b"",
        "p5.jxl": b"\xff\x0a" + bytes(20),
        "p6.jpg": picture(seed=6),
    }
    with open_container(kept(tmp_path, zipped(entries)), name="comic.cbz") as container:
        require_readable(container)
        pages = read_pages(container)
    assert [page.number for page in pages] == list(range(6))
    assert [page.image is not None for page in pages] == [True, False, False, False, False, True]
    for page in pages[1:5]:
        assert page.error is not None
        assert page.error.startswith(f"{page.name} is ")
    assert pages[0].error is None


def test_a_bomb_behind_a_lying_header_never_unpacks(tmp_path: Path) -> None:
    path = kept(tmp_path, hostile.lying_zip(bytes(200 << 20), declared=1000))
    tracemalloc.start()
    pages = raw_pages(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pages[0].data is None
    assert pages[1].data is not None
    assert peak < 20 << 20


def test_a_page_that_promises_more_than_it_has_is_cut_off(tmp_path: Path) -> None:
    pages = raw_pages(kept(tmp_path, hostile.lying_zip(picture(), declared=1 << 20)))
    assert pages[0].data is None
    assert "archive" in (pages[0].error or "")


def test_limits_are_kept(tmp_path: Path) -> None:
    data = comic(5)
    path = kept(tmp_path, data)
    with pytest.raises(TooLarge, match="more than 4 files"):
        open_container(path, name="comic.cbz", limits=Limits(entries=4))
    with pytest.raises(TooLarge, match="over the limit"):
        open_container(path, name="comic.cbz", limits=Limits(total_bytes=len(data) // 2))
    pages = raw_pages(path, limits=Limits(page_bytes=500))
    assert all(page.data is None and "over the limit" in (page.error or "") for page in pages)


def test_an_endless_table_of_contents_is_not_parsed(tmp_path: Path) -> None:
    path = kept(tmp_path, zipped({f"{number:06}.txt": b"" for number in range(6000)}))
    with pytest.raises(TooLarge, match="files"):
        open_container(path, name="comic.cbz", limits=Limits(listing_bytes=1 << 17))


def test_an_honest_comic_of_blank_pages_is_no_bomb(tmp_path: Path) -> None:
    blank = zipped({f"p{number}.bmp": picture(8, 8, kind="BMP") + bytes(1 << 20) for number in range(9)}, method=8)
    assert len(raw_pages(kept(tmp_path, blank))) == 9


def test_a_link_inside_an_archive_is_not_followed(tmp_path: Path) -> None:
    archive = bytearray(zipped({"p1.jpg": b"/etc/passwd", "p2.jpg": picture()}))
    struct.pack_into("<I", archive, archive.find(b"PK\x01\x02") + 38, 0o120777 << 16)
    pages = raw_pages(kept(tmp_path, bytes(archive)))
    assert (pages[0].data, pages[1].error) == (None, None)
    assert "link" in (pages[0].error or "")


def test_a_folder_is_read_like_an_archive(tmp_path: Path) -> None:
    for name in ("p10.jpg", "p2.jpg", "._p2.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(picture(seed=len(name)))
    (tmp_path / "p3.jpg").symlink_to("/etc/hostname")
    (tmp_path / "sub.jpg").mkdir()
    with open_container(tmp_path, name="my comic") as folder:
        assert isinstance(folder, ImageFolder)
        pages = read_pages(folder)
    assert [page.name for page in pages] == ["p2.jpg", "p10.jpg"], "as it is packed when it is sent"
    assert pages[1].image is not None


def test_an_empty_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Reject, match="my comic holds no page images"):
        open_container(tmp_path, name="my comic")


def test_a_refused_file_is_not_held_open(tmp_path: Path) -> None:
    path = kept(tmp_path, REFUSED["locked.cbz"]())
    with pytest.raises(Reject) as refused:
        open_container(path, name="locked.cbz")
    assert refused.value.__traceback__ is not None  # it keeps the half-made container alive, as a logger would
    held = [link for link in Path("/proc/self/fd").iterdir() if link.exists() and link.resolve() == path.resolve()]
    assert not held


# What the fixtures must yield, by file: sizes of the pages in reading order, or what the refusal says.
WILD: dict[str, list[int] | str] = {
    "7zip-encrypted.7z": "password",
    "7zip.7z": [3108],
    "epub3.epub": [1638, 2593],
    "rar4-encrypted.rar": "password",
    "rar4-solid.rar": [3108] * 3,
    "rar4.rar": [3108] * 3,
    "rar5-encrypted.rar": "password",
    "rar5-solid.rar": [3108] * 3,
    "rar5.rar": [3108],
    "zip-as-epub.epub": [3108],
    "zip-bzip2.zip": [3108],
    "zip-copy.zip": [3108],
    "zip-deflate64.zip": [3108],
    "zip-encrypted.zip": "password",
    "zip-lzma.zip": [3108],
    "zip-ppmd.zip": [3108],
    "zip.zip": [3108],
}


@pytest.mark.parametrize("name", WILD)
def test_an_archive_of_the_wild_yields_its_pages_or_says_why(samples: Path, name: str) -> None:
    path, expected = samples / "archive-fixtures" / "archives" / name, WILD[name]
    if isinstance(expected, str):
        with pytest.raises(Reject, match=f"^{name} .*{expected}"):
            open_container(path, name=name)
        return
    with open_container(path, name=name) as container:
        pages = read_pages(container)
    assert [len(page.image.data) for page in pages if page.image] == expected
    assert [page.image.width for page in pages if page.image and len(page.image.data) == 3108] == [48] * expected.count(
        3108
    )


def test_every_archive_of_the_wild_is_tried(samples: Path) -> None:
    assert {path.name for path in (samples / "archive-fixtures" / "archives").iterdir()} == set(WILD)


def test_a_real_comic_comes_through_byte_for_byte(samples: Path, tmp_path: Path) -> None:
    files = sorted((samples / "pepper-carrot-ep17").glob("page*.jpg"))
    path = kept(tmp_path, zipped({file.name: file.read_bytes() for file in reversed(files)}))
    with open_container(path, name="ep17.cbz") as container:
        assert isinstance(container, ZipArchive)
        pages = read_pages(container)
    assert [page.name for page in pages] == [file.name for file in files]
    for page, file in zip(pages, files, strict=True):
        assert page.image is not None
        assert page.image.data == file.read_bytes()
        with Image.open(file) as opened:
            assert (page.image.width, page.image.height) == opened.size
