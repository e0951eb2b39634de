"""The child's side of `shared.files.children`: calls functions by name, one request at a time, within limits.

    python -m shared.files.child MEMORY PARENT

It ends when its parent closes the pipe or dies. What it prints goes to the parent's error stream: its own standard
output carries frames.
"""

import importlib
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any

from shared.errors import ComicsError
from shared.files.frames import read_frame, told, write_frame
from shared.files.signs_of_life import heard

Function = Callable[[dict[str, Any]], Iterator[tuple[dict[str, Any], bytes]]]
PR_SET_PDEATHSIG = 1


def main(memory: int, parent: int) -> None:
    """Answer requests until there are no more."""
    requests, answers = _pipes()
    _confine(memory)
    if not _die_with(parent):
        return
    with suppress(BrokenPipeError):  # the parent is gone: so are we
        while (frame := read_frame(requests)) is not None:
            if not _answer(*frame, answers):
                return


def _answer(header: dict[str, Any], data: bytes, answers: IO[bytes]) -> bool:
    """Answer one request; whether this process is fit for another."""
    try:
        with heard(lambda: write_frame(answers, {"alive": True})):
            for about, body in _function(header["call"])(header["request"] | {"data": data}):
                write_frame(answers, {"answer": about}, body)
    except ComicsError as error:
        write_frame(answers, told(error))
        return True
    except BrokenPipeError:
        raise
    except MemoryError:
        last = {"lost": "memory"}
    except Exception:  # the edge of this process: whatever a function did not expect crosses as a text for the log
        last = {"unexpected": traceback.format_exc()}
    else:
        write_frame(answers, {"end": True})
        return True
    write_frame(answers, last)
    return "lost" not in last


def _function(name: str) -> Function:
    module, _, function = name.partition(":")
    found: Function = getattr(importlib.import_module(module), function)
    return found


def _pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Frames in and out; whatever a library prints goes elsewhere."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _confine(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError, OSError):  # a system that knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _die_with(parent: int) -> bool:
    """Be killed when the parent dies, where the system can do that; False when it is dead already.

    Elsewhere the end of the pipe is noticed as soon as the work at hand is done.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
