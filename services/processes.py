"""Child processes that never outlive us: started, remembered on disk, stopped, and swept up after a kill -9.

Two nets. On Linux the kernel itself signals a child when its parent dies (`PR_SET_PDEATHSIG`). Everywhere, every child
is noted in `processes.json` with its start time, so that the next start stops what a killed parent left behind and
never a stranger who was given the same number.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from shared.errors import ComicsError

PR_SET_PDEATHSIG = 1


def die_with_parent(death_signal: signal.Signals) -> None:
    """Ask the kernel to send this process `death_signal` when its parent ends; a no-op outside Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(death_signal))


def start_time(pid: int) -> str | None:
    """A mark that differs between two processes of the same number; None when there is no such process.

    On Linux the kernel's start tick (field 22 of /proc/PID/stat, see proc(5)), elsewhere `ps -o lstart`.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def as_user(user: str | None) -> dict[str, Any]:
    """Arguments of `subprocess` that run a program as another account, with none of our groups; nothing for None."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": [], "cwd": "/"}


@dataclass
class Child:
    """One child process, the signal that ends it kindly, and the seconds it may take.

    A `foundation` (a database, a broker) is ended only when everything that stands on it is gone.
    """

    name: str
    process: subprocess.Popen[bytes]
    stop_signal: signal.Signals
    patience: float
    foundation: bool
    again: Callable[[], "Child"]


class Nursery:
    """The children of one data folder. Use as a context manager: leaving it stops them, last started first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "processes.json"
        self.children: list[Child] = []

    def __enter__(self) -> "Nursery":
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stop_leftovers()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        feed: bytes | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals = signal.SIGKILL,
        patience: float = 15.0,
        foundation: bool = False,
    ) -> Child:
        """Start a child in its own session, its output appended to `log`, `feed` written to its standard input."""
        parent = os.getpid()

        def prepare() -> None:
            die_with_parent(death_signal)
            if os.getppid() != parent:  # the parent died between fork and prctl
                os._exit(1)

        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE if feed is not None else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment) if environment is not None else None,
                start_new_session=True,
                preexec_fn=prepare,
                **as_user(user),
            )
        if feed is not None and process.stdin is not None:
            process.stdin.write(feed)
            process.stdin.close()
        again = partial(
            self.start, name, command, log=log, environment=environment, feed=feed, user=user, stop_signal=stop_signal,
            death_signal=death_signal, patience=patience, foundation=foundation,
        )  # fmt: skip
        child = Child(name, process, stop_signal, patience, foundation, again)
        self.children.append(child)
        self._remember()
        return child

    def revive(self) -> list[str]:
        """Start children that ended by themselves again; their names. ComicsError when a foundation ended."""
        ended = [child for child in self.children if child.process.poll() is not None]
        fallen = [child.name for child in ended if child.foundation]
        if fallen:
            raise ComicsError(f"{fallen[0]} ended; logs/{fallen[0]}.log in the data folder says why. Start again.")
        for child in ended:
            self.stop(child)  # also ends what is left of its session
            child.again()
        return [child.name for child in ended]

    def stop(self, child: Child) -> None:
        """End one child: its own signal first, SIGKILL to its whole session after its patience."""
        _end(child.process.pid, child.stop_signal, child.patience, lambda: child.process.poll() is not None)
        child.process.wait()
        self.children.remove(child)
        self._remember()

    def stop_all(self) -> None:
        """End every child: together those that stand on a foundation, then the foundations, last started first."""
        standing = [child for child in self.children if not child.foundation]
        for child in standing:
            child.process.send_signal(child.stop_signal)
        deadline = time.monotonic() + max((child.patience for child in standing), default=0.0)
        for child in standing:
            wait_until(lambda: child.process.poll() is not None, seconds=deadline - time.monotonic())  # noqa: B023
        foundations = [child for child in self.children if child.foundation]
        for child in [*standing, *reversed(foundations)]:
            self.stop(child)

    def stop_leftovers(self) -> None:
        """End what a killed parent left behind, as its record says, newest first."""
        try:
            noted = json.loads(self.record.read_text())
        except FileNotFoundError:
            return
        except ValueError:  # the parent was killed while writing; the kernel's signal has ended its children
            noted = []
        for entry in reversed(noted):
            pid, mark = int(entry["pid"]), str(entry["start_time"])
            if start_time(pid) == mark:
                _end(pid, signal.Signals(entry["signal"]), float(entry["patience"]), _gone(pid, mark))
        self.record.unlink(missing_ok=True)

    def _remember(self) -> None:
        noted = [
            {
                "name": child.name,
                "pid": child.process.pid,
                "start_time": start_time(child.process.pid),
                "signal": int(child.stop_signal),
                "patience": child.patience,
            }
            for child in self.children
        ]
        draft = self.record.with_suffix(".tmp")
        draft.write_text(json.dumps(noted))
        draft.replace(self.record)


def wait_until(ready: Callable[[], bool], *, seconds: float, every: float = 0.05) -> bool:
    """Poll until `ready()`; False when `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def _gone(pid: int, mark: str) -> Callable[[], bool]:
    return lambda: start_time(pid) != mark


def _end(pid: int, kindly: signal.Signals, patience: float, gone: Callable[[], bool]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, kindly)
        if not wait_until(gone, seconds=patience):
            os.kill(pid, signal.SIGKILL)
            wait_until(gone, seconds=5)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # Each child leads its own session: pool children of a killed worker go with it.
        os.killpg(pid, signal.SIGKILL)
