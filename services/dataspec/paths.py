"""Files found again by the path another machine wrote down: by whole paths and their ends, never by a bare name.

`page_0001.jpg` is in every book. So a path is only matched by its last two parts or more, the longest match counts, and
when two files match as well nobody guesses.
"""

import posixpath
from collections.abc import Iterable
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
        self._ends: dict[tuple[str, ...], list[str]] = {}
        for name in names:
            self._exact[plain_path(name)] = name
            parts = _parts(name)
            if len(parts) >= FEWEST:
                self._ends.setdefault(parts[-FEWEST:], []).append(name)

    def find(self, path: str, *, beside: str = "") -> Match:
        """The file a path means; relative ones are looked for from the top and from the folder `beside`."""
        wanted = plain_path(path)
        for candidate in (wanted, posixpath.normpath(posixpath.join(beside, wanted))):
            if candidate in self._exact:
                return Match(self._exact[candidate], "path")
        parts = tuple(part for part in _parts(path) if part not in (".", ".."))
        found = self._ends.get(parts[-FEWEST:], []) if len(parts) >= FEWEST else []
        lengths = [_common_end(parts, _parts(name)) for name in found]
        best = [name for name, length in zip(found, lengths, strict=True) if length == max(lengths)]
        if len(best) != 1:
            return Match(None, "several" if best else "none")
        return Match(best[0], "path" if max(lengths) == len(parts) else "end")


def plain_path(path: str) -> str:
    """A path with slashes and without `./`, whatever system wrote it."""
    return posixpath.normpath(path.strip().replace("\\", "/"))


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part.casefold() for part in plain_path(path).split("/") if part)


def _common_end(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    length = 0
    for left, right in zip(reversed(a), reversed(b), strict=False):
        if left != right:
            break
        length += 1
    return length
