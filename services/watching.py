"""Folders that are watched: comics as they appear, each once it is whole."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.domain.walk import ComicSource, Found, Skipped, find_comics

PAUSE = 3.0  # seconds between two looks


def watched(
    paths: Sequence[Path], *, recursive: bool, stop: threading.Event, pause: float = PAUSE
) -> Iterator[Found | None]:
    """Everything there is, then for ever what is new or has changed; None after each look.

    A file is taken once its size and time have stood still for two looks; at the first look, when it is older than the
    pause between two. What disappears is left alone. Of each file a number is remembered, not its name.
    """
    taken: set[int] = set()
    moving: set[int] = set()
    first = True
    while True:
        begun, seen = time.monotonic(), set[int]()
        for one in find_comics(paths, recursive=recursive):
            mark = _mark(one)
            if mark in taken:
                continue
            if isinstance(one, Skipped) or mark in moving or (first and _older(one, pause)):
                taken.add(mark)
                yield one
            else:
                seen.add(mark)
        yield None
        moving, first = seen, False
        # A library on a slow disk is not looked at without end.
        if stop.wait(max(pause, 2 * (time.monotonic() - begun))):
            return


def _mark(one: Found) -> int:
    """A number that changes with a file's place, size and time."""
    return hash((one.path, one.reason)) if isinstance(one, Skipped) else hash((one.path, one.stamp))


def _older(source: ComicSource, seconds: float) -> bool:
    return 0 <= seconds < time.time() - source.stamp.mtime_ns / 1e9
