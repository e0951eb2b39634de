"""An upload arrives whole and hashed, or leaves nothing behind."""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterable
from hashlib import sha256
from io import FileIO
from pathlib import Path

import pytest

from shared.errors import Reject, Retry, TooLarge
from shared.http.uploads import ReceivedFile, multipart_file, receive

BOUNDARY = "----edge7MA4"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
# Every trap for a parser: line ends, dashes, the boundary without its line end, the boundary's beginning.
TRICKY = b"\r\n--\r\n----edge7MA\r\n\x00--" + BOUNDARY.encode() + b"\r\r\n--" + bytes(range(256)) * 40 + b"\r\n"


async def stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


async def breaking(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    raise ConnectionResetError("the client went away")


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def part(data: bytes, disposition: str) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: x/y\r\n\r\n"
    return head.encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def parse(pieces: Iterable[bytes], content_type: str = CONTENT_TYPE) -> tuple[str, dict[str, str], bytes]:
    async def run() -> tuple[str, dict[str, str], bytes]:
        found = await multipart_file(stream(pieces), content_type)
        data = b"".join([chunk async for chunk in found.chunks])
        return found.name, found.fields, data

    return asyncio.run(run())


def test_a_stream_is_stored_and_hashed(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    target = tmp_path / "t"
    got = asyncio.run(receive(stream(cut(data, 70_001)), target, limit=len(data)))
    assert got == ReceivedFile(sha256(data).hexdigest(), len(data))
    assert target.read_bytes() == data


def test_one_byte_over_the_limit_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match=r"big\.cbz is over the limit of 4,999 bytes"):
        asyncio.run(receive(stream(cut(bytes(5000), 100)), tmp_path / "t", limit=4999, name="big.cbz"))
    assert not list(tmp_path.iterdir())


def test_the_limit_stops_an_endless_stream(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    with pytest.raises(TooLarge):
        asyncio.run(receive(endless(), tmp_path / "t", limit=5 << 20))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path, size: int) -> None:
    with pytest.raises(ConnectionResetError):
        asyncio.run(receive(breaking([bytes(size)]), tmp_path / "t", limit=1 << 30))
    assert not list(tmp_path.iterdir())


def test_a_cancelled_upload_leaves_nothing(tmp_path: Path) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield bytes(2 << 20)
        await asyncio.sleep(60)

    async def run() -> None:
        task = asyncio.create_task(receive(stalled(), tmp_path / "t", limit=1 << 30))
        while not list(tmp_path.iterdir()):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert not list(tmp_path.iterdir())


def test_a_full_disk_says_try_again_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk(FileIO):
        def write(self, _: object, /) -> int:
            raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(Path, "open", lambda path, mode: FullDisk(path, mode))
    with pytest.raises(Retry, match="disk is full"):
        asyncio.run(receive(stream([bytes(10)]), tmp_path / "t", limit=100))
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        asyncio.run(receive(stream([b"new"]), tmp_path / "t", limit=100))
    assert (tmp_path / "t").read_bytes() == b"precious"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 1 << 20])
def test_a_file_comes_through_whatever_the_chunk_boundaries(size: int) -> None:
    body = form(
        part(b"Tintin", 'name="title"'),
        part(TRICKY, 'name="file"; filename="a b.cbz"'),
        part(b"ltr", 'name="direction"'),
    )
    name, fields, data = parse(cut(body, size))
    assert name == "a b.cbz"
    assert data == TRICKY
    assert fields == {"title": "Tintin", "direction": "ltr"}


def test_an_empty_file_is_a_file() -> None:
    assert parse([form(part(b"", 'name="file"; filename="empty.cbz"'))]) == ("empty.cbz", {}, b"")


def test_the_file_is_handed_on_before_the_body_has_ended() -> None:
    async def run() -> bytes:
        async def pieces() -> AsyncIterator[bytes]:
            yield part(b"first bytes", 'name="file"; filename="a.cbz"')[:-2]
            raise AssertionError("the whole body was awaited")

        found = await multipart_file(pieces(), CONTENT_TYPE)
        return await anext(found.chunks)

    assert b"first bytes".startswith(asyncio.run(run()))


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('name="f"; filename="日本.cbz"', "日本.cbz"),
        ('name="f"; filename="../../etc/passwd"', "passwd"),
        ('name="f"; filename="C:\\Users\\me\\Vol 1.cbz"', "Vol 1.cbz"),
        ('name="f"; filename="/abs/x.cbz"', "x.cbz"),
        ('name="f"; filename=""', "unnamed"),
        ('name="f"; filename="say \\"hi\\".cbz"', 'say "hi".cbz'),
    ],
)
def test_a_file_name_is_only_a_name(disposition: str, name: str) -> None:
    assert parse([form(part(b"x", disposition))])[0] == name


@pytest.mark.parametrize("missing", [1, 5, 30, 200, 5000])
def test_a_body_cut_off_anywhere_is_refused(missing: int) -> None:
    body = form(part(TRICKY, 'name="file"; filename="a.cbz"')).removesuffix(b"\r\n")
    with pytest.raises(Reject, match=r"a\.cbz is cut off"):
        parse([body[:-missing]])


def test_a_body_cut_off_before_its_file_is_refused() -> None:
    body = form(part(b"Tintin", 'name="title"'), part(b"x", 'name="file"; filename="a.cbz"'))
    with pytest.raises(Reject, match="cut off before its file"):
        parse([body[:40]])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (form(part(b"v", 'name="title"')), "holds no file"),
        (b"this is no form at all", "not a well-formed form"),
        (b"--" + BOUNDARY.encode() + b"\r\nbad header\x00: x\r\n\r\n", "not a well-formed form"),
        (
            form(part(b"1", 'name="a"; filename="a.cbz"'), part(b"2", 'name="b"; filename="b.cbz"')),
            "one file at a time",
        ),
        (form(part(bytes(70_000), 'name="title"')), "over 65,536 bytes"),
        (form(*(part(b"v", f'name="f{number}"') for number in range(40))), "more than 32 fields"),
        (b"", "cut off"),
    ],
)
def test_a_bad_form_says_what_is_wrong(body: bytes, says: str) -> None:
    for size in (13, 1 << 20):
        with pytest.raises(Reject, match=says):
            parse(cut(body, size))


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/form-data", f"multipart/form-data; boundary={'x' * 400}"]
)
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(Reject, match="form"):
        parse([form(part(b"x", 'name="file"; filename="a.cbz"'))], content_type)


def test_a_cut_off_form_streamed_to_disk_leaves_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        body = form(part(bytes(3 << 20), 'name="file"; filename="a.cbz"'))
        found = await multipart_file(stream(cut(body[:-20], 65_536)), CONTENT_TYPE)
        await receive(found.chunks, tmp_path / "t", limit=1 << 30, name=found.name)

    with pytest.raises(Reject, match=r"a\.cbz is cut off"):
        asyncio.run(run())
    assert not list(tmp_path.iterdir())
