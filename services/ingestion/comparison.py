"""What a comic has in common with others: near-identical pages, and comics that are the same from another source.

A page that is repeated inside its own comic is no duplicate: a work may quote itself. Editions in two languages share
their drawings and are neither one comic nor full of duplicate pages.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from services.ingestion.copies import required, sameness, shared_pages
from shared.domain.likeness import SAME, likeness
from shared.domain.marks import FAR

PAIRS = 8  # matches kept of a page: an advertisement in a thousand comics needs no million of them to be one group
COMICS = 50  # other comics compared as a whole, the likeliest
PARTNERS = 8  # pages of another comic that a page is laid over, the nearest; its copy is among them
LOOKED = 4000  # pairs of sketches looked at for a comic, or for two of them, some five seconds: fewer partners then
CELLS = 1 << 18  # pairs of hashes in memory at once, some 8 MB


@dataclass(frozen=True, slots=True)
class SeenPage:
    """A page with content: its place in its comic and its mark."""

    id: int
    comic_id: int
    number: int
    phash: int
    sketch: bytes


@dataclass(frozen=True, slots=True)
class SeenComic:
    """A comic's pages with content, in order."""

    id: int
    language: str | None
    pages: Sequence[SeenPage]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A comic with the pages whose hashes are near, as pairs of ids (own, other), and comics it was matched with."""

    comic: SeenComic
    others: Mapping[int, SeenPage]
    pairs: Sequence[tuple[int, int]]
    matched: frozenset[int] = frozenset()


@dataclass(slots=True)
class Matches:
    """What a comparison comes to. `pages`: pairs of ids, the lower first, with likeness; `unlike`: pairs looked at that
    are none; `comics`: others that are the same, with how sure it is and the pages in common."""

    pages: dict[tuple[int, int], float] = field(default_factory=dict)
    unlike: list[tuple[int, int]] = field(default_factory=list)
    comics: dict[int, tuple[float, int]] = field(default_factory=dict)


def confirmed(seen: Surroundings) -> dict[tuple[int, int], float]:
    """The likeness of those pairs (own, other) whose sketches say the same as their hashes."""
    own = {page.id: page for page in seen.comic.pages}
    pairs = [(own[left], seen.others[right]) for left, right in seen.pairs if left in own and right in seen.others]
    return {(left.id, right.id): score for left, right, score in _alike(pairs)}


def partners(pages: int, *, most: int) -> int:
    """How many of the nearest pages are looked at for each page of a comic of so many pages, at most `most`."""
    return max(1, min(most, LOOKED // max(pages, 1)))


def promising(seen: Surroundings, alike: Mapping[tuple[int, int], float]) -> list[int]:
    """Comics that may be the same one: they share half the pages that would be needed, or were matched before."""
    shared: dict[int, set[int]] = defaultdict(set)
    for own, other in alike:
        shared[seen.others[other].comic_id].add(own)
    enough = max(1, required(len(seen.comic.pages)) // 2)
    likely = sorted(shared, key=lambda comic: (-len(shared[comic]), comic))
    return sorted({*(comic for comic in likely[:COMICS] if len(shared[comic]) >= enough), *seen.matched})


def matches(seen: Surroundings, alike: Mapping[tuple[int, int], float], comics: Iterable[SeenComic]) -> Matches:
    """The comics that are the same, and the pages that are near-identical in comics that are not."""
    found = Matches()
    kin = set()
    for other in comics:
        shared = shared_pages((left.number, right.number) for left, right, _ in _between(seen.comic, other))
        sure = sameness(shared, left=len(seen.comic.pages), right=len(other.pages))
        if sure is not None:
            kin.add(other.id)
            if not _translated(seen.comic.language, other.language):
                found.comics[other.id] = (sure, shared)
    kept: dict[int, int] = defaultdict(int)
    for own, other_page in sorted(seen.pairs):
        pair = min(own, other_page), max(own, other_page)
        score = alike.get((own, other_page))
        if score is None or seen.others[other_page].comic_id in kin:
            found.unlike.append(pair)
        elif kept[own] < PAIRS:
            kept[own] += 1
            found.pages[pair] = score
    return found


def _between(left: SeenComic, right: SeenComic) -> list[tuple[SeenPage, SeenPage, float]]:
    """The near-identical pages of two comics, looked for among the nearest of every page of either."""
    near = {*_nearest(left, right), *((own, other) for other, own in _nearest(right, left))}
    return _alike([(left.pages[own], right.pages[other]) for own, other in sorted(near)])


def _nearest(own: SeenComic, other: SeenComic) -> Iterator[tuple[int, int]]:
    """Places in both of pages whose hashes are near; for each page of `own` the nearest, by looks, then by number."""
    if not own.pages or not other.pages:
        return
    (signs, numbers), (met, places) = (
        (np.array([page.phash for page in comic.pages], np.int64).view(np.uint64),
         np.array([page.number for page in comic.pages], np.int64))
        for comic in (own, other)
    )  # fmt: skip
    most = min(len(met), partners(max(len(signs), len(met)), most=PARTNERS))
    step = max(1, CELLS // len(met))
    for start in range(0, len(signs), step):
        rows = slice(start, start + step)
        apart = np.bitwise_count(signs[rows, None] ^ met)
        order = apart.astype(np.int64) << 32 | np.abs(numbers[rows, None] - places)
        chosen = np.argpartition(order, most - 1, axis=1)[:, :most]
        row, place = np.nonzero(np.take_along_axis(apart, chosen, axis=1) <= FAR)
        yield from zip((row + start).tolist(), chosen[row, place].tolist(), strict=True)


def _alike(pairs: Sequence[tuple[SeenPage, SeenPage]]) -> list[tuple[SeenPage, SeenPage, float]]:
    # In an order of their own, whoever asks: both comics of a pair must come to the same.
    sketches = [(min(left.sketch, right.sketch), max(left.sketch, right.sketch)) for left, right in pairs]
    unequal = [pair for pair in dict.fromkeys(sketches) if pair[0] != pair[1]]
    scores = dict(zip(unequal, np.clip(likeness(unequal), 0, 1).tolist(), strict=True))
    told = ((*pair, scores.get(faces, 1.0)) for pair, faces in zip(pairs, sketches, strict=True))
    return [(left, right, score) for left, right, score in told if score >= SAME]


def _translated(left: str | None, right: str | None) -> bool:
    """Whether both say their language, and not the same one."""
    languages = [language.replace("_", "-").split("-")[0].lower() for language in (left, right) if language]
    return len(set(languages)) == 2
