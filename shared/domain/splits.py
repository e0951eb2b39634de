"""Which comics are held out for measuring: whole comics, chosen by a seed and nothing else.

Comics that share a good part of their page images (collected editions, the same file twice) are one family and stay on
one side, or the measure would be of memory; so are comics that are known to look the same. One image in many comics (an
advert, the credits of a scanner) makes no family of them; but no image ever stands on both sides: where it would, its
pages leave the held-out one. The choice hashes the seed with the comic's key, so it is the same on every machine and in
every order.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import combinations, pairwise

PART = 20  # per cent of the smaller comic's images that make two comics one family, of images found in few comics
MOST = 50  # per cent, whatever the images are: a lone one, or such as many comics have
FEW = 8  # comics that may share an image before it is taken for an advert or a blank page


class Families:
    """Comics by the page images they share, found as pages go by; memory grows with the pages, not with their pairs.

    A comic is in exactly one family.
    """

    def __init__(self) -> None:
        self.pages: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._first: dict[int, str] = {}
        self._shared: dict[int, list[str]] = {}
        self._again: Counter[tuple[str, int]] = Counter()
        self._kin: set[tuple[str, str]] = set()

    def add(self, comic: str, image_sha256: str) -> None:
        """Note a page; the pages of a comic come one after the other."""
        comic = self._names.setdefault(comic, comic)
        self.pages[comic] = self.pages.get(comic, 0) + 1
        mark = mark_of(image_sha256)
        if mark not in self._first:
            self._first[mark] = comic
            return
        found = self._shared.get(mark) or [self._first[mark]]
        if found[-1] == comic:
            self._again[comic, mark] += 1
        else:
            found.append(comic)
            self._shared[mark] = found

    def join(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Note comics that belong together whatever images they share; those without a page count for nothing."""
        self._kin.update(pairs)

    def groups(self) -> list[list[str]]:
        """The families, each sorted, in the order of their first comics."""
        close: Counter[tuple[str, str]] = Counter()
        common: Counter[tuple[str, str]] = Counter()
        for comics in self._shared.values():
            if len(comics) <= FEW:
                close.update(combinations(sorted(comics), 2))
            else:
                # All pairs of a thousand comics are too many; in a row, copies of one comic still meet each other.
                common.update(pairwise(sorted(comics)))
        images = Counter(self.pages)
        for (comic, _), again in self._again.items():
            images[comic] -= again
        parent = {comic: comic for comic in self.pages}
        joined = {pair for pair in self._kin if parent.keys() >= set(pair)}
        for pair in close.keys() | common.keys():
            smaller, few = min(images[comic] for comic in pair), close[pair]
            if (few > 1 and 100 * few >= PART * smaller) or 100 * (few + common[pair]) >= MOST * smaller:
                joined.add(pair)
        for pair in joined:
            first, second = sorted(_root(parent, comic) for comic in pair)
            parent[second] = first
        found: dict[str, list[str]] = {}
        for comic in sorted(parent):
            found.setdefault(_root(parent, comic), []).append(comic)
        return list(found.values())

    def own_pages(self, groups: Sequence[Sequence[str]]) -> list[int]:
        """For each of these families how many pages have an image that stands in no other one."""
        family = {comic: k for k, group in enumerate(groups) for comic in group}
        sizes = [sum(self.pages[comic] for comic in group) for group in groups]
        for mark, comics in self._shared.items():
            if len({family[comic] for comic in comics}) > 1:
                for comic in comics:
                    sizes[family[comic]] -= 1 + self._again[comic, mark]
        return sizes

    def on_both_sides(self, held: Collection[str]) -> set[int]:
        """Marks of the images that stand in comics of `held` and in others."""
        return {mark for mark, comics in self._shared.items() if len({comic in held for comic in comics}) > 1}


def mark_of(image_sha256: str) -> int:
    """Sixty bits for an image: enough to tell millions apart, in a third of the memory."""
    return int(sha256(image_sha256.encode()).hexdigest()[:15], 16)


def held_out_comics(families: Families, *, share: float, seed: int) -> set[str]:
    """Keys of the comics to hold out: about `share` of the pages, by whole families.

    Only pages that no other family has count: the others may have to be left out. At least one family stays for
    training, and when there are several at least one is held out, unless none has a page of its own; with a single
    family, or a share of 0, none is.
    """
    groups = families.groups()
    if share <= 0 or len(groups) < 2:
        return set()
    sizes = {group[0]: own for group, own in zip(groups, families.own_pages(groups), strict=True)}
    wanted = share * sum(families.pages.values())
    order = sorted((group for group in groups if sizes[group[0]]), key=lambda group: _ticket(seed, group[0]))
    held: list[list[str]] = []
    pages = 0
    for group in order:
        # Taken when it brings the number of pages nearer to what is wanted.
        if len(held) + 1 < len(groups) and pages + sizes[group[0]] / 2 <= wanted:
            held.append(group)
            pages += sizes[group[0]]
    if not held and order:
        held = [min(order, key=lambda group: sizes[group[0]])]
    return {comic for group in held for comic in group}


def straddling(families: Families, sides: Mapping[str, Iterable[str]]) -> list[str]:
    """Comics of families that a given split has on both sides; `sides` are the splits of each comic's pages."""
    return [
        comic for group in families.groups() if len({side for comic in group for side in sides[comic]}) > 1
        for comic in group
    ]  # fmt: skip


def _root(parent: dict[str, str], comic: str) -> str:
    while parent[comic] != comic:
        parent[comic] = parent[parent[comic]]
        comic = parent[comic]
    return comic


def _ticket(seed: int, comic: str) -> str:
    return sha256(f"{seed}:{comic}".encode()).hexdigest()
