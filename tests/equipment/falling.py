"""What a child process may be told to do in place of decoding: go down, as a decoder does over a hostile file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from shared.files.frames import ERRORS

Answers = Iterator[tuple[dict[str, Any], bytes]]


def crashes(_: dict[str, Any]) -> Answers:
    """A defect of a library: the process is gone."""
    os.kill(os.getpid(), signal.SIGSEGV)
    yield {}, b""


def is_killed_once(request: dict[str, Any]) -> Answers:
    """Killed by the system unless it was already, of which a file tells."""
    with open(request["mark"], "a+") as mark:
        if not mark.tell():
            mark.write("killed")
            mark.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    yield {}, b""


def is_killed(_: dict[str, Any]) -> Answers:
    """Killed by the system each time, which has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)
    yield {}, b""


def lacks_a_program(request: dict[str, Any]) -> Answers:
    """What it needs is not installed."""
    raise ERRORS["Unable"](f"{request['name']} needs a program")
    yield {}, b""


def crashes_after_starting(_: dict[str, Any]) -> Answers:
    """A crash after it has started a program of its own; says which."""
    started = subprocess.Popen(["sleep", "600"])
    yield {"child": os.getpid(), "started": started.pid}, b""
    os.kill(os.getpid(), signal.SIGSEGV)


def exits(_: dict[str, Any]) -> Answers:
    """A library that ends the process."""
    os._exit(3)
    yield {}, b""


def hangs(_: dict[str, Any]) -> Answers:
    """A decoder that goes in circles, after it has started a program of its own; says which."""
    started = subprocess.Popen(["sleep", "600"])
    yield {"child": os.getpid(), "started": started.pid}, b""
    while True:
        pass


def swells(_: dict[str, Any]) -> Answers:
    """Takes as much memory as there is."""
    taken = []
    while True:
        taken.append(bytearray(16 << 20))
    yield {}, b""


def counts(request: dict[str, Any]) -> Answers:
    """As many answers as it is asked for, each with its number of bytes, after saying things on standard output."""
    sys.stdout.write("a library talks\n")
    os.write(1, b"a library written in C talks too")
    for number in range(request["count"]):
        yield {"number": number, "process": os.getpid()}, bytes(number)


def holds(request: dict[str, Any]) -> Answers:
    """One answer of so many bytes."""
    yield {}, bytes(request["size"])


def waits(request: dict[str, Any]) -> Answers:
    """Answers when a file appears."""
    while not os.path.exists(request["for"]):
        time.sleep(0.01)
    yield {"process": os.getpid()}, b""


def refuses(request: dict[str, Any]) -> Answers:
    """Raises one of our errors by its name."""
    raise ERRORS[request["kind"]]("page.jpg is of no use")
    yield {}, b""


def fails(_: dict[str, Any]) -> Answers:
    """Has a bug."""
    raise KeyError("a bug")
    yield {}, b""


def tells(_: dict[str, Any]) -> Answers:
    """What it knows of the environment."""
    yield dict(os.environ), b""
