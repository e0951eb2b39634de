"""Messages between a process and its children: a JSON header and raw bytes after it, and never code.

A frame is two lengths, the header and the body. Pickle would let a child that a hostile file has taken over run what
it likes in its parent.
"""

import json
import struct
from typing import IO, Any

from shared.errors import Blocked, ComicsError, Conflict, NotFound, Reject, Retry, TooLarge, Unable
from shared.files.containers import Unreadable

LENGTHS = struct.Struct(">IQ")
LONGEST_HEADER = 64 << 20
ERRORS: dict[str, type[ComicsError]] = {
    kind.__name__: kind for kind in (Retry, Blocked, Reject, NotFound, Conflict, TooLarge, Unable, Unreadable)
}


def write_frame(stream: IO[bytes], header: dict[str, Any], body: bytes = b"") -> None:
    """Send one message; BrokenPipeError when nobody listens any more."""
    head = json.dumps(header).encode()
    stream.write(LENGTHS.pack(len(head), len(body)))
    stream.write(head)
    if body:
        stream.write(body)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Wait for one message; None when the other side has closed the pipe."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head, body = LENGTHS.unpack(lengths)
    return json.loads(stream.read(head)), stream.read(body)


def told(error: ComicsError) -> dict[str, Any]:
    """One of our errors as a header."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in ERRORS)
    return {"error": kind, "text": str(error), "after": error.after if isinstance(error, Retry) else None}


def error_of(header: dict[str, Any]) -> ComicsError:
    """The error that `told` wrote."""
    text = str(header["text"])
    if header["error"] == "Retry":
        return Retry(text, after=float(header["after"]))
    return ERRORS[header["error"]](text)
