"""A dataset's files: pages with their split and a fingerprint of both, and the reading of them in slices.

The fingerprint is the sha256 of `pages.jsonl`, in which nothing of an installation appears (no id, no time, no path):
the same pages with the same split have the same fingerprint everywhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from services.dataspec.cards import Tally
from services.dataspec.specs import canonical, ending, line_of, parse_line
from shared.domain.dataspec import SPLITS, DatasetLine, DataSpec, Split
from shared.domain.splits import Families, held_out_comics, mark_of, straddling
from shared.errors import Reject
from shared.store.storage import Storage

PAGES = "pages.jsonl"
PIECE = 1 << 20
LONGEST_LINE = 16 << 20


@dataclass(frozen=True, kw_only=True)
class Built:
    """A dataset on its way into the storage: counted, fingerprinted, its lines in a file."""

    fingerprint: str
    tally: Tally
    warnings: list[str]

    @property
    def key(self) -> str:
        """Where its files are kept."""
        return f"datasets/{self.fingerprint[:16]}"


def build(
    pages: Iterable[DataSpec],
    draft: Path,
    target: Path,
    *,
    share: float,
    seed: int,
    given: Mapping[str, set[Split]] | None = None,
    same: Iterable[tuple[str, str]] = (),
) -> Built | None:
    """Write the pages with their split as lines of the new file `target`; None when there are none.

    `pages` come sorted by comic key and number, once; `draft` is a path for them while the split is unknown. `given`
    are splits a comic's pages had elsewhere: they are kept, unless they tear comics apart that belong together; `same`
    are keys of comics that look the same, two by two. Pages of held-out comics whose image also stands in a comic to
    train on are left out, and a warning counts them.
    """
    families, tally = Families(), Tally()
    with draft.open("wb") as file:
        for page in pages:
            families.add(page.comic.key, page.image_sha256)
            tally.add(page)
            # Its comic and image go before each line: which side it is on is known once all comics are.
            mark = b"%x" % mark_of(page.image_sha256)
            file.write(b"\t".join((canonical(page.comic.key), mark, line_of(page, "train"))))
    if not families.pages:
        return None
    families.join(same)
    held, warnings = _sides(families, share=share, seed=seed, given=given)
    tally.hold_out(held)
    marked, torn = {canonical(key) for key in held}, families.on_both_sides(held)
    left_out, digest = 0, sha256()
    with draft.open("rb") as drafted, target.open("wb") as file:
        for drafted_line in drafted:
            key, mark, line = drafted_line.split(b"\t", 2)
            if key in marked:
                if int(mark, 16) in torn:
                    tally.leave_out(parse_line(line).page)
                    left_out += 1
                    continue
                line = line.removesuffix(ending("train")) + ending("held_out")
            digest.update(line)
            file.write(line)
    warnings = [*tally.warnings(held_out=share), *warnings]
    if left_out:
        what = "page of a held-out comic was" if left_out == 1 else "pages of held-out comics were"
        warnings.append(f"{left_out:,} {what} left out: the same image stands in a comic to train on.")
    return Built(fingerprint=digest.hexdigest(), tally=tally, warnings=warnings)


def _sides(
    families: Families, *, share: float, seed: int, given: Mapping[str, set[Split]] | None
) -> tuple[set[str], list[str]]:
    """The comics to hold out, and what is to be said about it."""
    if given is None:
        return held_out_comics(families, share=share, seed=seed), []
    torn = straddling(families, given)
    if torn:
        chosen = held_out_comics(families, share=share, seed=seed)
        what = "pages of one comic, or of comics that share many page images, on both sides"
        return chosen, [f"The split it came with has {what} ({len(torn)} comics): a new split by comics was made."]
    return {comic for comic in families.pages if given[comic] == {"held_out"}}, []


def lines_of(storage: Storage, key: str, *, after: int = 0) -> Iterator[tuple[int, bytes]]:
    """Lines of a dataset from byte `after` on, each with the offset of the next; a piece in memory at a time."""
    path, position, rest = f"{key}/{PAGES}", after, b""
    while True:
        piece = storage.get_range(path, start=position + len(rest), length=PIECE)
        if not piece:
            return
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > LONGEST_LINE:
            raise Reject("This is no place in the dataset; start again without `after`.")
        for line in lines:
            position += len(line) + 1
            yield position, line


def slice_of(
    storage: Storage, key: str, *, split: Split | None, after: int, limit: int
) -> tuple[list[DatasetLine], int | None]:
    """Up to `limit` pages, of one split or of both, from offset `after` on, and the offset to go on from."""
    path = f"{key}/{PAGES}"
    size = storage.size(path)
    if after and (after >= size or storage.get_range(path, start=after - 1, length=1) != b"\n"):
        raise Reject(f"{after} is no place in this dataset; use the `next` of the slice before, or start without.")
    other = next((ending(side) for side in SPLITS if split is not None and side != split), None)
    found: list[DatasetLine] = []
    for following, line in lines_of(storage, key, after=after):
        if other is not None and (line + b"\n").endswith(other):
            continue  # most lines of a large dataset need not be parsed
        page = parse_line(line)
        if split is None or page.split == split:
            found.append(page)
        if len(found) == limit:
            return found, following if following < size else None
    return found, None


def pieces_of(storage: Storage, key: str) -> Iterator[bytes]:
    """The bytes of `pages.jsonl`."""
    position = 0
    while piece := storage.get_range(f"{key}/{PAGES}", start=position, length=PIECE):
        position += len(piece)
        yield piece
