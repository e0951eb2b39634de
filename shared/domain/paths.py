"""Files found again by the path another machine wrote down: by whole paths and their ends, never by a bare name.

`page_0001.jpg` is in every book. So a path is only matched by its last two parts or more, the longest match counts, and
when two files match as well nobody guesses.
"""

import posixpath
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

FEWEST = 2  # parts that have to match


@dataclass(frozen=True, slots=True)
class Match:
    """What a path was found to be. `how`: "path" for the whole path, "end" for its end, "several", or "none"."""

    name: str | None
    how: Literal["path", "end", "several", "none"]


class PathIndex:
    """Names of files, with slashes; letters of either case are the same, as on the systems that wrote the paths."""

    def __init__(self, names: Iterable[str]) -> None:
        self._exact: dict[str, str] = {}
        # From their last part to their first and sorted, paths that end alike stand next to each other.
        backwards: list[tuple[str, str]] = []
        for name in names:
            self._exact[plain_path(name)] = name
            backwards.append((_backwards(_parts(name)), name))
        backwards.sort()
        self._ends = [end for end, _ in backwards]
        self._names = [name for _, name in backwards]

    def find(self, path: str, *, beside: str = "") -> Match:
        """The file a path means; relative ones are looked for from the top and from the folder `beside`."""
        wanted = plain_path(path)
        for candidate in (wanted, posixpath.normpath(posixpath.join(beside, wanted))):
            if candidate in self._exact:
                return Match(self._exact[candidate], "path")
        parts = tuple(part for part in _parts(path) if part not in (".", ".."))
        end = _backwards(parts)
        place = bisect_left(self._ends, end)
        near = range(max(0, place - 2), min(len(self._ends), place + 2))
        lengths = {k: _common(self._ends[k], end) for k in near}
        most = max(lengths.values(), default=0)
        # Two that match best are two neighbours of the place, on either side of it or on one.
        best = [k for k, length in lengths.items() if length == most]
        if most < FEWEST or len(best) > 1:
            return Match(None, "none" if most < FEWEST else "several")
        return Match(self._names[best[0]], "path" if most == len(parts) else "end")


def plain_path(path: str) -> str:
    """A path with slashes and without `./`, whatever system wrote it."""
    return posixpath.normpath(path.strip().replace("\\", "/"))


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part.casefold() for part in plain_path(path).split("/") if part)


def _backwards(parts: Sequence[str]) -> str:
    return "".join(f"{part}/" for part in reversed(parts))


def _common(a: str, b: str) -> int:
    """How many parts two paths that are written backwards begin with alike."""
    length = 0
    for left, right in zip(a.split("/")[:-1], b.split("/")[:-1], strict=False):
        if left != right:
            break
        length += 1
    return length
