"""Zips of every age and intent: names in old encodings, too many entries, lies about sizes, bombs in bombs."""

import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from shared.errors import Reject, TooLarge
from shared.files.containers import Limits, RawPage
from shared.files.formats import open_container
from tests.equipment.archives import nothing_left
from tests.equipment.hostile_files import CENTRAL, LOCAL, comic, packed_with, picture, zipped
from tests.equipment.users import somebody_else


def raw_named(names: list[bytes]) -> bytes:
    """A zip whose entries have these bytes as names, and no word about their encoding; the data is the name."""
    stand_ins = [f"{place:04}".ljust(len(name), "@").encode() for place, name in enumerate(names)]
    assert all(len(stand_in) == len(name) for stand_in, name in zip(stand_ins, names, strict=True))
    archive = zipped({stand_in.decode(): name for stand_in, name in zip(stand_ins, names, strict=True)})
    for stand_in, name in zip(stand_ins, names, strict=True):
        archive = archive.replace(stand_in, name)
    return archive


def crowded(count: int, *, said: int | None = None) -> bytes:
    """A zip that lists one entry `count` times, and says that it lists `said`."""
    archive = zipped({"a.txt": b"x"})
    start = archive.index(CENTRAL)
    end = archive.index(b"PK\x05\x06")
    table = archive[start:end] * count
    said = min(count, 0xFFFF) if said is None else said
    return archive[:start] + table + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, said, said, len(table), start, 0)


@contextmanager
def bounded(*, megabytes: int, seconds: float) -> Iterator[None]:
    """Fails when the block takes more memory of Python's, or far more time, than it may."""
    tracemalloc.start()
    began = monotonic()
    try:
        yield
        assert monotonic() - began < seconds
        assert tracemalloc.get_traced_memory()[1] < megabytes << 20
    finally:
        tracemalloc.stop()


def read(folder: Path, data: bytes, *, limits: Limits | None = None) -> list[RawPage]:
    path = folder / f"stored {len(data)}"
    path.write_bytes(data)
    with open_container(path, name="comic.cbz", limits=limits or Limits()) as container:
        return list(container.pages())


@pytest.mark.parametrize("encoding", ["cp932", "utf-8"])
def test_japanese_names_are_read_and_ordered(tmp_path: Path, encoding: str) -> None:
    # 表 and ソ end in a backslash in Shift-JIS; full-width digits count like plain ones.
    names = ["第1巻/表紙.jpg", "第1巻/ソ2.jpg", "第1巻/ソ10.jpg", "第２巻/p1.jpg", "第10巻/p1.jpg", "ワンピース/表.jpg"]
    pages = read(tmp_path, raw_named([name.encode(encoding) for name in reversed(names)]))
    assert {page.name for page in pages} == set(names)
    assert [page.name for page in pages if page.name.startswith("第")] == [
        "第1巻/ソ2.jpg", "第1巻/ソ10.jpg", "第1巻/表紙.jpg", "第２巻/p1.jpg", "第10巻/p1.jpg",
    ]  # fmt: skip
    assert all(page.data == page.name.encode(encoding) for page in pages)


@pytest.mark.parametrize(
    "names",
    [
        ["Février 01.jpg", "Été 02.jpg", "Garçon.jpg"],
        ["Straße.jpg", "Ärger 1.jpg", "Übung 2.jpg"],
        ["España.jpg", "año 2.jpg", "¿Qué.jpg"],
        ["Tintin – Ö.jpg".replace("–", "-"), "ö10.jpg"],
    ],
)
def test_names_of_western_dos_programs_are_read(tmp_path: Path, names: list[str]) -> None:
    pages = read(tmp_path, raw_named([name.encode("cp437") for name in names]))
    assert {page.name for page in pages} == set(names)


def test_names_that_collide_are_pages_of_their_own(tmp_path: Path) -> None:
    entries = [
        ("a/P1.jpg", b"1"),
        ("a/p1.jpg", b"2"),
        ("A/p1.jpg", b"3"),
        ("x" * 300 + ".jpg", b"4"),
        ("日" * 200 + ".jpg", b"5"),
    ]
    with nothing_left():
        pages = read(tmp_path, zipped(entries))
    assert sorted(page.data or b"" for page in pages) == [b"1", b"2", b"3", b"4", b"5"]
    assert all(len(page.name) <= 200 for page in pages)


@pytest.mark.parametrize(
    "data",
    [crowded(1_000_000), crowded(1_000_000, said=3), crowded(160_000)],
    ids=["a million", "a million that says three", "under 8 MB"],
)
def test_a_crowd_of_entries_is_refused_fast_and_in_little_memory(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "crowded"
    path.write_bytes(data)
    with bounded(megabytes=40, seconds=5), pytest.raises(TooLarge, match="more than 20000 files"):
        open_container(path, name="comic.cbz")


def test_bombs_in_bombs_are_only_archives(tmp_path: Path) -> None:
    bomb = zipped({"0.dll": bytes(10 << 20)}, method=zipfile.ZIP_DEFLATED)
    for layer in range(4):
        bomb = zipped({f"lib {layer}{copy}.zip": bomb for copy in range(16)}, method=zipfile.ZIP_DEFLATED)
    with bounded(megabytes=20, seconds=5), pytest.raises(Reject, match="other archives"):
        read(tmp_path, bomb)


def test_large_fields_and_sizes_after_the_data_are_understood(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("p1.jpg", "w", force_zip64=True) as stream:
        stream.write(picture())
    assert read(tmp_path, out.getvalue())[0].data == picture()

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object, /) -> int:
            return out.write(data)  # type: ignore[arg-type]

    out = io.BytesIO()
    with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("p1.jpg", picture())
    assert b"PK\x07\x08" in out.getvalue()
    assert read(tmp_path, out.getvalue())[0].data == picture()


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_zip_cut_off_at_any_tenth_is_refused(tmp_path: Path, tenth: int) -> None:
    data = comic(9)
    with nothing_left(), pytest.raises(Reject, match=r"^comic\.cbz is .*complete copy"):
        read(tmp_path, data[: len(data) * tenth // 10])


def test_the_first_part_of_a_zip_in_parts_says_so(tmp_path: Path) -> None:
    with pytest.raises(Reject, match="one part of an archive in several parts"):
        read(tmp_path, b"PK\x07\x08" + comic()[:500])


@pytest.mark.parametrize("method", [6, 9, 93, 95, 97, 98, 12345])
def test_a_page_that_lies_about_its_method_is_a_page_with_a_reason(tmp_path: Path, method: int) -> None:
    with nothing_left():
        pages = read(tmp_path, packed_with(method))
    assert [page.data for page in pages] == [None] * 3
    assert all(page.error and page.error.startswith("is ") for page in pages)


def test_devices_and_pipes_of_a_zip_are_no_pages(tmp_path: Path) -> None:
    for mode, says in ((0o020666, "device"), (0o010666, "device"), (0o120777, "link"), (0o100644, None)):
        archive = bytearray(zipped({"p1.jpg": picture()}))
        struct.pack_into("<I", archive, archive.find(CENTRAL) + 38, mode << 16)
        (page,) = read(tmp_path, bytes(archive))
        assert (page.data is None) == (says is not None)
        assert (says or "") in (page.error or "")


@pytest.mark.parametrize(
    ("at", "value"), [(20, 1), (20, 0x7FFFFFFF), (24, 1), (24, 0x7FFFFFF), (42, 0x7FFFFFFF), (16, 7)]
)
def test_a_table_of_contents_that_lies_never_yields_other_bytes(tmp_path: Path, at: int, value: int) -> None:
    """Packed size, size, offset and checksum of the first page, falsified in the table only."""
    archive = bytearray(comic())
    struct.pack_into("<I", archive, archive.find(CENTRAL) + at, value)
    with bounded(megabytes=20, seconds=5), nothing_left():
        refused, pages = "", []
        try:
            pages = read(tmp_path, bytes(archive))
        except Reject as error:
            refused = str(error)
    assert refused.startswith("comic.cbz ") or [page.data for page in pages] == [
        None, picture(seed=2), picture(seed=3),
    ]  # fmt: skip


def test_a_local_header_of_another_entry_is_damage(tmp_path: Path) -> None:
    archive = bytearray(comic())
    second = archive.find(LOCAL, 10)
    struct.pack_into("<I", archive, archive.find(CENTRAL) + 42, second)
    assert read(tmp_path, bytes(archive))[0].data is None


def test_a_file_that_shrinks_while_it_is_read_spoils_pages_only(tmp_path: Path) -> None:
    path = tmp_path / "changing"
    path.write_bytes(zipped({f"p{number}.bmp": picture(300, 300, kind="BMP") for number in range(5)}))
    with open_container(path, name="comic.cbz") as container:
        reading = container.pages()
        assert next(reading).data is not None
        os.truncate(path, 300_000)
        rest = list(reading)
    assert [page.data is None for page in rest] == [True] * 4


def test_what_may_not_be_read_leaves_nothing_open(home: Path) -> None:
    secret, folder, loop = home / "secret", home / "folder", home / "loop"
    home.mkdir()
    secret.write_bytes(comic())
    secret.chmod(0)
    folder.mkdir()
    (folder / "p1.jpg").write_bytes(picture())
    (folder / "p2.jpg").write_bytes(picture())
    (folder / "p1.jpg").chmod(0)
    loop.symlink_to(loop)
    with somebody_else(), nothing_left():
        for path in (secret, loop, home / "nowhere"):
            with pytest.raises(OSError, match=r"^\[Errno \d+\]"):
                open_container(path, name="comic")
        with open_container(folder, name="comic") as container:
            pages = list(container.pages())
    assert [page.data for page in pages] == [None, picture()]
    assert pages[0].error == "cannot be read: Permission denied"
    folder.chmod(0)
    with somebody_else(), pytest.raises(PermissionError):
        open_container(folder, name="comic")
    folder.chmod(0o755)
