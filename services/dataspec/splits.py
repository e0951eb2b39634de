"""Which comics are held out for measuring: whole comics, chosen by a seed and nothing else.

Comics that share a page image (collected editions, the same file twice) stay on one side, or the measure would be of
memory. The choice hashes the seed with the comic's key, so it is the same on every machine and in every order.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256


class Families:
    """Comics that share page images, found as pages go by.

    A comic is in exactly one family; families join when an image turns up in two of them.
    """

    def __init__(self) -> None:
        self.pages: dict[str, int] = {}
        self._parent: dict[str, str] = {}
        self._seen: dict[int, str] = {}

    def add(self, comic: str, image_sha256: str) -> None:
        """Note a page of a comic."""
        self.pages[comic] = self.pages.get(comic, 0) + 1
        self._parent.setdefault(comic, comic)
        # Sixty bits tell millions of images apart, in a third of the memory.
        other = self._seen.setdefault(int(sha256(image_sha256.encode()).hexdigest()[:15], 16), comic)
        if other != comic:
            first, second = sorted((self._root(comic), self._root(other)))
            self._parent[second] = first

    def groups(self) -> list[list[str]]:
        """The families, each sorted, in the order of their first comics."""
        found: dict[str, list[str]] = {}
        for comic in sorted(self._parent):
            found.setdefault(self._root(comic), []).append(comic)
        return list(found.values())

    def _root(self, comic: str) -> str:
        while self._parent[comic] != comic:
            self._parent[comic] = self._parent[self._parent[comic]]
            comic = self._parent[comic]
        return comic


def held_out_comics(families: Families, *, share: float, seed: int) -> set[str]:
    """Keys of the comics to hold out: about `share` of the pages, by whole families.

    At least one family stays for training, and when there are several at least one is held out; with a single family,
    or a share of 0, none is.
    """
    groups = families.groups()
    if share <= 0 or len(groups) < 2:
        return set()
    sizes = {group[0]: sum(families.pages[comic] for comic in group) for group in groups}
    wanted = share * sum(sizes.values())
    order = sorted(groups, key=lambda group: _ticket(seed, group[0]))
    held: list[list[str]] = []
    pages = 0
    for group in order:
        # Taken when it brings the number of pages nearer to what is wanted.
        if len(held) + 1 < len(groups) and pages + sizes[group[0]] / 2 <= wanted:
            held.append(group)
            pages += sizes[group[0]]
    if not held:
        held = [min(order, key=lambda group: sizes[group[0]])]
    return {comic for group in held for comic in group}


def straddling(families: Families, sides: Mapping[str, Iterable[str]]) -> list[str]:
    """Comics of families that a given split has on both sides; `sides` are the splits of each comic's pages."""
    return [
        comic for group in families.groups() if len({side for comic in group for side in sides[comic]}) > 1
        for comic in group
    ]  # fmt: skip


def _ticket(seed: int, comic: str) -> str:
    return sha256(f"{seed}:{comic}".encode()).hexdigest()
