"""Reading pages in a child with a decoder, or a disk, that does the worst to some of them."""

import ctypes
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from services.ingestion import pages
from shared.files.images import PageImage, examine

Answers = Iterator[tuple[dict[str, Any], bytes]]
CRASH, HANG, KILL = b"crashes the decoder", b"hangs the decoder", b"has the decoder killed, once"
ROOM = 50_000  # bytes of a file on a full disk


def read_with_faults(request: dict[str, Any]) -> Answers:
    """`pages.read` with a decoder that reads a null pointer, never ends, or is killed, where a page's bytes say so.

    It is killed for as long as there is no file `killed` beside the comic, which it makes.
    """
    killed = Path(request["path"]).with_name("killed")

    def hostile(data: bytes, **options: Any) -> PageImage:
        if data.endswith(CRASH):
            ctypes.string_at(0)
        while data.endswith(HANG):
            pass
        if data.endswith(KILL) and not killed.is_file():
            if not killed.exists():
                killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return examine(data, **options)

    with patch.object(pages, "examine", hostile):
        yield from pages.read(request)


def read_on_a_full_disk(request: dict[str, Any]) -> Answers:
    """`pages.read` where no file gets larger than `ROOM`: the system refuses the rest of it, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield from pages.read(request)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def read_while_it_changes(request: dict[str, Any]) -> Answers:
    """`pages.read` while somebody writes to the file after its first page."""
    for number, answer in enumerate(pages.read(request)):
        if number == 1:
            with Path(request["path"]).open("ab") as file:
                file.write(b"more")
        yield answer


def read_and_end_the_parent(request: dict[str, Any]) -> Answers:
    """`pages.read` whose parent is killed after a few pages."""
    for number, answer in enumerate(pages.read(request)):
        if number == 4:
            os.kill(os.getppid(), 9)
        yield answer


def tell_and_crash(request: dict[str, Any]) -> Answers:  # noqa: ARG001
    """`pages.tell` of a document that brings its reader down."""
    ctypes.string_at(0)
    yield {}, b""


def survey_as_nobody(request: dict[str, Any]) -> Answers:
    """`pages.survey` by a user who owns nothing."""
    os.seteuid(65_534)
    yield from pages.survey(request)
