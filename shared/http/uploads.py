"""Files on their way in: a form's file as a stream, and a stream into a file, hashed as it passes."""

import asyncio
import errno
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from shared.domain.page_order import display_name
from shared.errors import Reject, Retry, TooLarge

# Large enough that leaving the event loop for the disk costs nothing against the hashing.
BLOCK = 1 << 20
FIELD_BYTES = 64 << 10
FIELDS = 32
DISK_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
# How the API's documentation describes such a body.
UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """What arrived: `sha256` in hexadecimal and `size` in bytes."""

    sha256: str
    size: int


async def sent_file(request: Request, *, filename: str | None) -> tuple[str, AsyncIterator[bytes]]:
    """Name and bytes of the file of a request: a form's (`curl -F file=@name`), or the bare body named by `filename`.

    Raises `Reject` when it is neither.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("multipart/"):
        form = await multipart_file(request.stream(), content_type)
        return form.name, form.chunks
    if filename:
        return PurePosixPath(display_name(filename)).name, request.stream()
    raise Reject("Send the file as a form, or as the bare body with ?filename=NAME.")


async def receive(chunks: AsyncIterator[bytes], target: Path, *, limit: int, name: str = "upload") -> ReceivedFile:
    """Write a stream into the new file `target`, hashing it on the way.

    Raises `TooLarge` beyond `limit` bytes, `Retry` when the disk is full, and whatever the stream raises when it is
    cut off. After any of these, and when cancelled, `target` does not exist.
    """
    digest, size, waiting = sha256(), 0, bytearray()
    file = await asyncio.to_thread(target.open, "xb")
    whole = False

    def store(block: bytes) -> None:
        digest.update(block)
        file.write(block)

    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"{name} is over the limit of {limit:,} bytes; split it, or raise the server's limit")
            waiting += chunk
            if len(waiting) >= BLOCK:
                await asyncio.to_thread(store, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(store, bytes(waiting))
        await asyncio.to_thread(file.close)
        whole = True
    except OSError as error:
        if error.errno in DISK_FULL:
            raise Retry(
                f"{name} was not kept: the server's disk is full. Free some space, then send it again"
            ) from error
        raise
    finally:
        if not whole:
            _discard(file, target)
    return ReceivedFile(digest.hexdigest(), size)


def _discard(file: BinaryIO, target: Path) -> None:
    try:
        file.close()
    except OSError:
        pass  # a full disk also refuses what close() flushes; the file goes away all the same
    finally:
        target.unlink(missing_ok=True)


@dataclass(slots=True)
class FormFile:
    """The first file of a form. Iterate `chunks` to its end: only then is the form known to be whole.

    `fields` holds the text fields that stood before the file, and those after it once `chunks` is exhausted.
    """

    name: str
    fields: dict[str, str]
    chunks: AsyncIterator[bytes]


async def multipart_file(
    chunks: AsyncIterator[bytes], content_type: str, *, field_bytes: int = FIELD_BYTES
) -> FormFile:
    """Read a multipart/form-data body up to its first file, and hand that file on as a stream; nothing is spooled.

    A text field may have `field_bytes` bytes.
    Raises `Reject` for a body that is no such form, is malformed, is cut off (also while `chunks` is read) or holds no
    file, or more than one.
    """
    form = _Form(content_type, field_bytes)
    async for chunk in chunks:
        form.feed(chunk)
        if form.file_name is not None:
            return FormFile(form.file_name, form.fields, _file_bytes(form, chunks))
    if not form.ended:
        raise Reject("the upload is cut off before its file begins; send it again")
    raise Reject("the form holds no file; send it as multipart/form-data, for example curl -F file=@comic.cbz")


async def _file_bytes(form: "_Form", chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while form.arrived:
        yield form.arrived.popleft()
    async for chunk in chunks:
        form.feed(chunk)
        while form.arrived:
            yield form.arrived.popleft()
    if not form.ended:
        raise Reject(f"the upload of {form.file_name} is cut off; nothing was kept, send it again")


@dataclass
class _Part:
    headers: dict[str, bytes] = field(default_factory=dict)
    header_name: bytes = b""
    header_value: bytes = b""
    field_name: str | None = None
    value: bytearray = field(default_factory=bytearray)


class _Form:
    """The parser's callbacks and what they found."""

    def __init__(self, content_type: str, field_bytes: int) -> None:
        self._field_bytes, self._left = field_bytes, max(field_bytes, FIELDS * FIELD_BYTES)
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise Reject("the request is no form; send the file as multipart/form-data with a boundary")
        self.file_name: str | None = None
        self.fields: dict[str, str] = {}
        self.arrived: deque[bytes] = deque()
        self.ended = False
        self._part = _Part()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._data,
                    "on_part_end": self._end_of_part,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise Reject("the form's boundary is too long; let the client choose it") from error

    def feed(self, chunk: bytes) -> None:
        """Parse on; `Reject` when the form is malformed."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            which = f"the upload of {self.file_name}" if self.file_name else "the upload"
            raise Reject(f"{which} is not a well-formed form; nothing was kept, send it again") from error

    def _begin(self) -> None:
        self._part = _Part()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._part.header_name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._part.header_value += data[start:end]

    def _header_end(self) -> None:
        part = self._part
        part.headers[part.header_name.decode("latin-1").lower()] = part.header_value
        part.header_name = part.header_value = b""

    def _headers_finished(self) -> None:
        disposition = self._part.headers.get("content-disposition", b"")
        _, options = parse_options_header(disposition.decode("latin-1"))
        if b"filename" in options:
            if self.file_name is not None:
                raise Reject(f"the form holds more files than {self.file_name}; send one file at a time")
            self.file_name = _last_name(_text(options[b"filename"]))
            return
        if len(self.fields) >= FIELDS:
            raise Reject(f"the form has more than {FIELDS} fields; send the file alone")
        self._part.field_name = _text(options.get(b"name", b""))

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part.field_name is None:
            self.arrived.append(data[start:end])
            return
        part.value += data[start:end]
        self._left -= end - start
        if len(part.value) > self._field_bytes or self._left < 0:
            raise TooLarge(f"the form's field {display_name(part.field_name)} is over {self._field_bytes:,} bytes")

    def _end_of_part(self) -> None:
        part = self._part
        if part.field_name is not None:
            self.fields[part.field_name] = _text(bytes(part.value))

    def _end(self) -> None:
        self.ended = True


def _text(raw: bytes) -> str:
    # Browsers and curl send names as UTF-8; an old client's single bytes still give some name.
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _last_name(name: str) -> str:
    return display_name(name).rpartition("/")[2] or "upload"
