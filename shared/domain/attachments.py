"""Which files of a container speak about its pages: known by their names, and only a few of them."""

from collections.abc import Sequence

from shared.domain.page_order import is_litter

KINDS = ("comicinfo.xml", "metadata.opf", "guided.json", ".acbf")
MOST = 8
MOST_OF_A_KIND = 3
LARGEST = 4 << 20  # bytes of one that are read


def speaking(names: Sequence[str]) -> list[int]:
    """Places in `names` of the files worth reading: nearest to the root first, a few of each kind."""
    found: dict[str, list[tuple[int, int]]] = {kind: [] for kind in KINDS}
    for place, name in enumerate(names):
        parts = name.replace("\\", "/").lower().split("/")
        kind = ".acbf" if parts[-1].endswith(".acbf") else parts[-1]
        if kind in found and not is_litter(name):
            found[kind].append((len(parts), place))
    chosen = sorted(nearest for places in found.values() for nearest in sorted(places)[:MOST_OF_A_KIND])
    return [place for _, place in chosen[:MOST]]
