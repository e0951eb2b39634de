"""Which page of the library an image of a file is: told by its owner, by content, or by its path; never by a bare name.

`page_0001.jpg` is in every book. So a path must name the comic's file as well: `…/<comic>/<page>`, or
`…/<comic>/<the page's whole path in it>`. Where several comics are called the same, the folders above decide; where
they do not, nobody guesses.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from shared.domain.page_order import is_page_name
from shared.domain.paths import plain_path

CONTAINERS = frozenset(
    (".cbz", ".cbr", ".cb7", ".cbt", ".zip", ".rar", ".7z", ".tar", ".pdf", ".epub", ".acbf", ".fb2")
)
How = Literal["mapping", "content", "look", "path", "several", "none"]


@dataclass(frozen=True, slots=True)
class KnownPage:
    """A page that an image may be. `locations`: paths of its comic's file, the bare file name at least."""

    id: int
    comic_id: int
    name: str
    locations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """What an image was found to be; `pages` are those between which nobody decides."""

    page_id: int | None
    how: How
    pages: tuple[int, ...] = ()


def folders_of(paths: Iterable[str]) -> set[str]:
    """What the comics may be called whose pages these paths are: every folder in them, in small letters.

    An id of the research code joins folder and file with "_", so that the beginnings of its last part count as well.
    """
    found: set[str] = set()
    for path in paths:
        *folders, last = _parts(path)
        found.update(folders)
        found.update(last[:k] for k, letter in enumerate(last) if letter == "_")
    return found


def called(location: str) -> set[str]:
    """What the folder of a comic's pages may be called, in small letters: as its file, with or without the suffix."""
    name = (_parts(location) or [""])[-1]
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
    return {name, stem} if suffix in CONTAINERS else {name}


class PageFinder:
    """Pages by the paths that their images may have had."""

    def __init__(self, pages: Iterable[KnownPage]) -> None:
        self._by_name: dict[tuple[str, str], dict[int, KnownPage]] = defaultdict(dict)
        for page in pages:
            last = (_parts(page.name) or [""])[-1]
            for location in page.locations:
                for folder in called(location):
                    for name in {last, last.rpartition(".")[0] or last}:
                        self._by_name[folder, name][page.id] = page

    def find(self, path: str) -> Match:
        """The page whose image had this path; paths without an image's suffix are as good."""
        parts = _parts(path)
        best, most = self._best(parts)
        if not best and parts and "_" in parts[-1]:
            # The research code's id of an image: its folder's path, "_", its name.
            last = parts[-1]
            for k in (k for k, letter in enumerate(last) if letter == "_"):
                found, length = self._best([*parts[:-1], last[:k], last[k + 1 :]])
                if length > most:
                    best, most = found, length
                elif length == most:
                    best = sorted({*best, *found})
        return decided(best, "path")

    def _best(self, parts: Sequence[str]) -> tuple[list[int], int]:
        """The pages whose comics' paths agree best with the path's end, and in how many parts."""
        scores: dict[int, int] = {}
        for at in range(len(parts) - 1):
            inside = parts[at + 1 :]
            for page in self._by_name.get((parts[at], parts[-1]), {}).values():
                own = _parts(page.name)
                if not is_page_name(inside[-1]):
                    own = [*own[:-1], own[-1].rpartition(".")[0] or own[-1]]
                if own[-1] != inside[-1] or (len(inside) > 1 and own != list(inside)):
                    continue
                agreeing = max(_agreeing(location, parts[: at + 1]) for location in page.locations)
                scores[page.id] = max(scores.get(page.id, 0), agreeing)
        most = max(scores.values(), default=0)
        return sorted(page for page, score in scores.items() if score == most), most


def decided(pages: Sequence[int], how: How) -> Match:
    """The one page there is; else none, or several."""
    if len(pages) == 1:
        return Match(pages[0], how)
    return Match(None, "several" if pages else "none", tuple(pages))


def _agreeing(location: str, folders: Sequence[str]) -> int:
    """How many parts a comic's path and the folders of an image end with alike; 0 where the comic is another."""
    if not folders or folders[-1] not in called(location):
        return 0
    length = 1
    for own, other in zip(reversed(_parts(location)[:-1]), reversed(folders[:-1]), strict=False):
        if own != other:
            break
        length += 1
    return length


def _parts(path: str) -> list[str]:
    return [part for part in plain_path(path).casefold().split("/") if part and part not in (".", "..")]
