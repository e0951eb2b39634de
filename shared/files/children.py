"""Child processes in which strangers' files are decoded, so that a crash or a memory blow-up kills a child only.

Plain processes and not `multiprocessing`: workers of a pool may have no children of that kind. Each lives through many
calls. Errors:

    ChildLost               the text is a reason as `Unreadable` carries it: "makes the decoder crash (SIGSEGV)"
    ├── ChildDied(status)     it was killed by a signal (negative) or exited
    ├── ChildTooSlow          it said nothing for `seconds`, gave no sign of life either, and was killed
    └── ChildOutOfMemory      it needed more than `memory`
    ChildFailed             the called function has a bug; the text is its traceback, for the log
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from shared.files.frames import LENGTHS, LONGEST_HEADER, error_of, write_frame

if TYPE_CHECKING:
    from shared.settings import Settings

MOST_CALLS = 500  # after so many a child is replaced: decoders leak
IDLE = 60.0  # seconds after which a child that nobody calls is sent home
PIECE = 1 << 20


class ChildLost(Exception):
    """A child went down with the file it read; the text is the reason, without the file's or page's name.

    `doubtful`: the file may be innocent of it.
    """

    doubtful = False


class ChildDied(ChildLost):
    """It was killed by a signal (`status` is negative, as subprocess counts) or exited."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.doubtful = status == -signal.SIGKILL  # a system that is short of memory kills whom it likes
        if self.doubtful:
            super().__init__("makes the system kill the decoder (SIGKILL), as it does when memory runs out")
        elif status < 0:
            super().__init__(f"makes the decoder crash ({signal.Signals(-status).name})")
        else:
            super().__init__(f"makes the decoder stop (exit status {status})")


class ChildTooSlow(ChildLost):
    """It said nothing for too long and was killed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"takes longer than {seconds:g} s to decode")


class ChildOutOfMemory(ChildLost):
    """It needed more memory than a child is given."""

    def __init__(self, memory: int) -> None:
        amount = f"{memory / (1 << 30):.3g} GB" if memory >= 1 << 30 else f"{memory >> 20} MB"
        super().__init__(f"needs more memory than {amount} to decode")


class ChildFailed(Exception):
    """The function raised what it should not; the text is its traceback."""


class Answer(NamedTuple):
    """One answer of a called function."""

    about: dict[str, Any]
    data: bytes


class Children:
    """At most `count` child processes, started when needed; each may take `memory` bytes and be silent for `seconds`.

    Safe to share between threads, each of which then has a child of its own, and to carry through a fork.
    """

    _lock: threading.Lock
    _slots: threading.Semaphore
    _starter: ThreadPoolExecutor
    _timer: threading.Timer | None
    _free: list["_Child"]

    def __init__(self, count: int, *, memory: int, seconds: float) -> None:
        self.count, self.memory, self.seconds = count, memory, seconds
        self._reset()
        _pools.add(self)

    def call(self, function: str, request: dict[str, Any], data: bytes = b"") -> Iterator[Answer]:
        """What the generator `function`, "module:name", yields for `request` in a child, as it comes.

        It finds `data` as `request["data"]`: bytes that are in no file go through the pipe and not through a disk.
        Waits for a free child. Raises our own errors as the function does, `ChildLost` when the child goes down, and
        `ChildFailed`. Somebody who stops asking before the end loses the child, not the pool. A child that the system
        kills before it has answered anything is replaced once.
        """
        answered = False
        try:
            for answer in self._answers(function, request, data):
                answered = True
                yield answer
        except ChildLost as lost:
            if answered or not lost.doubtful:
                raise
            yield from self._answers(function, request, data)

    def _answers(self, function: str, request: dict[str, Any], data: bytes) -> Iterator[Answer]:
        child = self._asked({"call": function, "request": request}, data)
        fit = False
        try:
            while True:
                header, body = child.frame(self.seconds)
                if "alive" in header:
                    continue
                if "answer" in header:
                    yield Answer(header["answer"], body)
                    continue
                fit = "lost" not in header
                if "error" in header:
                    raise error_of(header)
                if "unexpected" in header:
                    raise ChildFailed(header["unexpected"])
                if "lost" in header:
                    raise ChildOutOfMemory(self.memory)
                return
        finally:
            self._give_back(child, fit=fit)

    def close(self) -> None:
        """End every child that is free; those at work end with their calls."""
        with self._lock:
            free, self._free = self._free, []
        for child in free:
            child.end()

    def _asked(self, message: dict[str, Any], data: bytes) -> "_Child":
        self._slots.acquire()
        try:
            while True:
                child, used = self._child()
                try:
                    child.ask(message, data)
                except BrokenPipeError:  # it died while it was idle: nobody's fault
                    child.end()
                    if not used:
                        raise ChildDied(child.process.returncode) from None
                else:
                    return child
        except BaseException:
            self._slots.release()
            raise

    def _child(self) -> tuple["_Child", bool]:
        with self._lock:
            if self._free:
                return self._free.pop(), True
        # A system that kills children with their parent means the thread that started them: it must stay.
        return self._starter.submit(_Child, self.memory).result(), False

    def _give_back(self, child: "_Child", *, fit: bool) -> None:
        child.calls += 1
        if fit and child.calls < MOST_CALLS:
            child.since = time.monotonic()
            with self._lock:
                self._free.append(child)
            self._watch()
        else:
            child.end(kill=not fit)
        self._slots.release()

    def _watch(self) -> None:
        """See to it that idle children are sent home."""
        with self._lock:
            if self._timer is None and self._free:
                self._timer = threading.Timer(IDLE, self._send_home)
                self._timer.daemon = True
                self._timer.start()

    def _send_home(self) -> None:
        with self._lock:
            self._timer = None
            idle = [child for child in self._free if child.since + IDLE <= time.monotonic()]
            self._free = [child for child in self._free if child not in idle]
        for child in idle:
            child.end()
        self._watch()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(self.count)
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="children")
        self._timer = None
        self._free = []

    def _forget(self) -> None:
        """After a fork: the children are the other process's."""
        for child in self._free:
            child.forget()
        self._reset()


class _Child:
    """One process, its pipes and what is known about it."""

    def __init__(self, memory: int) -> None:
        self.calls = 0
        self.since = 0.0
        # Not our environment: it holds secrets and addresses that a decoder has no use for.
        environment = {
            "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
            "LC_CTYPE": "C.UTF-8",
            "TMPDIR": tempfile.gettempdir(),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",  # else each of its threads takes address space
            # Pages are large and alike: memory that is given back after each costs as much as marking one.
            "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
            "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "shared.files.child", str(memory), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is the parent's to see, and what a child started goes with it
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._requests, self._answers = self.process.stdin, self.process.stdout.fileno()
        self._memory = memory
        self._unread = bytearray()
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)

    def ask(self, message: dict[str, Any], data: bytes) -> None:
        write_frame(self._requests, message, data)

    def frame(self, seconds: float) -> tuple[dict[str, Any], bytes]:
        """Wait for the next frame; `ChildLost` when there will be none."""
        until = time.monotonic() + seconds
        head, body = LENGTHS.unpack(self._read(LENGTHS.size, until, seconds))
        if head > LONGEST_HEADER or body > self._memory:
            raise ChildDied(1)  # no child of ours says that
        header = json.loads(self._read(head, until, seconds))
        return header, self._read(body, until, seconds)

    def _read(self, size: int, until: float, seconds: float) -> bytes:
        while len(self._unread) < size:
            if not self._poll.poll(max(0.0, until - time.monotonic()) * 1000):
                self.end(kill=True)
                raise ChildTooSlow(seconds)
            piece = os.read(self._answers, PIECE)
            if not piece:
                self.end(kill=True)  # it is gone already, what it started is not
                raise ChildDied(self.process.returncode)
            self._unread += piece
        data = bytes(memoryview(self._unread)[:size])
        del self._unread[:size]
        return data

    def end(self, *, kill: bool = False) -> None:
        """Let it end by itself, or make it; it is gone when this returns, with everything it started."""
        with suppress(BrokenPipeError):
            self._requests.close()
        if not kill:
            try:
                self.process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                kill = True
        if kill and self.process.returncode is None:  # or its number may be somebody else's by now
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.forget()

    def forget(self) -> None:
        """Close our ends of the pipes and ask nothing of the process any more."""
        with suppress(BrokenPipeError):
            self._requests.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        if self.process.returncode is None:
            self.process.returncode = 0  # or its destructor would wait for a child that is not ours


_pools: "WeakSet[Children]" = WeakSet()
_known: dict[tuple[int, int, float], Children] = {}
_known_lock = threading.Lock()


def children_of(configured: "Settings") -> Children:
    """The children of this process: as many as there are cores, within the configured memory and time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    key = (cores, configured.decoder_memory, configured.decoder_seconds)
    with _known_lock:
        if key not in _known:
            _known[key] = Children(key[0], memory=key[1], seconds=key[2])
        return _known[key]


def _after_fork() -> None:
    global _known_lock
    _known_lock = threading.Lock()
    for pool in list(_pools):
        pool._forget()


def _at_exit() -> None:
    for pool in list(_pools):
        pool.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
