"""The in-memory index: exact inner-product search over float16 rows, with filters.

Rows come from stored segments, in reading order, and live in *shards*: immutable blocks of one kind (panels or pages),
each a faiss float16 flat index whose code array doubles as the row matrix. Extending builds a new shard and swaps the
tuple of shards, so readers never lock and never see half an extension; small shards are merged by size, as
log-structured trees do, so a row is copied O(log N) times. Up to about 300,000 rows this is the fastest exact method
measured (1.8 × faiss FlatIP on one thread); beyond that a shard is the place for a coarse first stage whose candidates
are rescored with the same rows.
"""

import math
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from threading import Lock
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from shared.errors import Reject

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

# Up to this part of a shard, multiplying just the wanted rows beats scanning all of them past a bitmap.
NARROW = 0.1
_MERGE_RATIO = 4


@dataclass(frozen=True, eq=False)
class Rows:
    """Vectors with what they belong to: `ids`, `kinds`, `comic_ids`, `page_ids` (N,), `vectors` (N, D) of unit length.

    `kinds` says what an id counts: a panel and a page may share a number. Keep the order of reading: rows of one comic
    side by side are found faster.
    """

    ids: Ints
    kinds: NDArray[np.uint8]
    comic_ids: Ints
    page_ids: Ints
    vectors: NDArray[np.float16]

    def __post_init__(self) -> None:
        count = len(self.ids)
        if self.vectors.ndim != 2 or {len(self.kinds), len(self.comic_ids), len(self.page_ids), len(self.vectors)} != {
            count
        }:
            raise ValueError("the arrays of Rows differ in length")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Ints | Mask) -> "Rows":
        """The chosen rows, in the order chosen."""
        return Rows(self.ids[rows], self.kinds[rows], self.comic_ids[rows], self.page_ids[rows], self.vectors[rows])


@dataclass(frozen=True, eq=False)
class Filters:
    """What a hit must be; None leaves a question open, an empty array admits nothing.

    `kind`: only hits of this kind. `comic_ids`, `page_ids`: only hits of these, distinct, as arrays (a collection has
    tens of thousands). `exclude`: (kind, id) never returned.
    """

    kind: int | None = None
    comic_ids: Ints | None = None
    page_ids: Ints | None = None
    exclude: frozenset[tuple[int, int]] = frozenset()


class Hit(NamedTuple):
    """One result; `score` is the inner product with the query, the cosine when both have unit length."""

    kind: int
    id: int
    score: float


NO_FILTERS = Filters()


class VectorIndex:
    """Searchable rows of one vector space.

    Any number of threads may search while one or more extend or remove: a search works on the state it found.
    """

    def __init__(self, dimensions: int = 384) -> None:
        self.dimensions = dimensions
        self._shards: tuple[_Shard, ...] = ()
        self._writing = Lock()

    def __len__(self) -> int:
        """Rows that can be found."""
        return sum(shard.count for shard in self._shards)

    def count(self, kind: int) -> int:
        """Rows of one kind that can be found."""
        return sum(shard.count for shard in self._shards if shard.kind == kind)

    def extend(self, rows: Rows, *, in_place_of: Ints | None = None) -> None:
        """Add rows; of rows with the same kind and id the last one counts, within `rows` and against older ones.

        `in_place_of`: pages, distinct, of which no older row counts any more.
        """
        if len(rows) and rows.vectors.shape[1] != self.dimensions:
            raise Reject(
                f"The index holds vectors of {self.dimensions} numbers, these have {rows.vectors.shape[1]}; "
                "embed with the checkpoint that made the index."
            )
        with self._writing:
            shards = list(self._shards)
            if in_place_of is not None:
                shards = [shard.without_pages(in_place_of) for shard in shards]
            for kind in np.unique(rows.kinds):
                fresh = _latest(rows.take(rows.kinds == kind))
                shards = [shard.without(fresh.ids) if shard.kind == kind else shard for shard in shards]
                shards.append(_Shard(int(kind), fresh))
            self._shards = _merged(shards)

    def remove(self, kind: int, ids: Iterable[int]) -> None:
        """Never return these again, unless they are added anew; unknown ids are no error."""
        gone = np.fromiter(ids, np.int64)
        with self._writing:
            self._shards = _merged([shard.without(gone) if shard.kind == kind else shard for shard in self._shards])

    def comic_ids(self) -> Ints:
        """The comics of all rows, ascending; of some perhaps no row can be found any more."""
        return np.unique(np.concatenate([np.empty(0, np.int64), *(shard.comic_ids() for shard in self._shards)]))

    def remove_comics(self, comic_ids: Ints) -> None:
        """Never return rows of these comics again; unknown ids are no error."""
        with self._writing:
            self._shards = _merged([shard.without_comics(comic_ids) for shard in self._shards])

    def search(self, query: NDArray[np.float32], k: int, *, filters: Filters = NO_FILTERS) -> list[Hit]:
        """The `k` best hits for `query` (D,), best first, ties by kind and id; fewer when there are fewer."""
        if query.shape != (self.dimensions,) or not np.isfinite(query).all():
            raise Reject(f"A query is {self.dimensions} finite numbers.")
        if k < 1:
            return []
        # OpenMP keeps this per calling thread; more than one makes a single query slower.
        faiss.omp_set_num_threads(1)
        query = np.ascontiguousarray(query, np.float32)
        hits = [
            hit
            for shard in self._shards
            if filters.kind in {None, shard.kind}
            for hit in shard.search(query, k, filters)
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.kind, hit.id))[:k]

    def vector(self, kind: int, id_: int) -> NDArray[np.float32] | None:
        """The stored vector (D,) of one row; None when it is not in the index."""
        for shard in self._shards:
            row = shard.row_of(id_) if shard.kind == kind else None
            if row is not None:
                return np.asarray(shard.rows.vectors[row], np.float32)
        return None


class _Shard:
    """Rows of one kind, never changed; `alive` (N,) says which still count, None when all do."""

    def __init__(self, kind: int, rows: Rows) -> None:
        self.kind = kind
        self.alive: Mask | None = None
        self.count = len(rows)
        self._flat = faiss.IndexScalarQuantizer(
            rows.vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        faiss.copy_array_to_vector(np.ascontiguousarray(rows.vectors).view(np.uint8).ravel(), self._flat.codes)
        self._flat.ntotal = len(rows)
        self.rows = replace(rows, vectors=np.asarray(_Codes(self._flat, rows.vectors.shape)))
        self._by_id, self._by_comic, self._by_page = (
            _Lookup(values) for values in (rows.ids, rows.comic_ids, rows.page_ids)
        )

    def without(self, ids: Ints) -> "_Shard":
        """This shard with the rows of `ids` dead; the shard itself when it has none of them."""
        return self._without(self._by_id.rows(ids))

    def comic_ids(self) -> Ints:
        """The comics its rows belong to."""
        return self._by_comic.values()

    def without_comics(self, comic_ids: Ints) -> "_Shard":
        """This shard with the rows of these comics dead."""
        return self._without(self._by_comic.rows(comic_ids))

    def without_pages(self, page_ids: Ints) -> "_Shard":
        """This shard with the rows of these pages dead."""
        return self._without(self._by_page.rows(page_ids))

    def _without(self, doomed: Ints) -> "_Shard":
        if not len(doomed):
            return self
        shard = copy(self)
        shard.alive = np.ones(len(self.rows), np.bool_) if self.alive is None else self.alive.copy()
        shard.alive[doomed] = False
        shard.count = int(shard.alive.sum())
        return shard

    def living(self) -> Rows:
        """The rows that still count."""
        return self.rows if self.alive is None else self.rows.take(self.alive)

    def row_of(self, id_: int) -> int | None:
        """Where the living row of `id_` stands."""
        rows = self._by_id.rows(np.array([id_]))
        return int(rows[0]) if len(rows) and (self.alive is None or self.alive[rows[0]]) else None

    def search(self, query: NDArray[np.float32], k: int, filters: Filters) -> list[Hit]:
        """The `k` best living hits that pass `filters`, unordered."""
        excluded = self._by_id.rows(np.fromiter((id_ for kind, id_ in filters.exclude if kind == self.kind), np.int64))
        wanted = self._wanted(filters)
        if wanted is not None and len(wanted) <= NARROW * len(self.rows):
            wanted = np.sort(wanted)
            if self.alive is not None:
                wanted = wanted[self.alive[wanted]]
            wanted = wanted[~np.isin(wanted, excluded)]
            scores = self.rows.vectors[wanted].astype(np.float32) @ query
            best = np.argsort(-scores, kind="stable")[:k]
            return self._hits(wanted[best], scores[best])
        parameters = None
        if wanted is not None or self.alive is not None:
            allowed = np.ones(len(self.rows), np.bool_) if self.alive is None else self.alive.copy()
            if wanted is not None:
                allowed &= _mask(wanted, len(self.rows))
            bits = np.packbits(allowed, bitorder="little")
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))  # type: ignore[call-arg, arg-type]
        # Excluded rows are few: fetching as many more and dropping them is cheaper than a bitmap.
        count = min(k + len(excluded), len(self.rows))
        scores, found = self._flat.search(query[None], count, params=parameters)
        kept = (found[0] >= 0) & ~np.isin(found[0], excluded)
        return self._hits(found[0][kept][:k], scores[0][kept][:k])

    def _wanted(self, filters: Filters) -> Ints | None:
        """Rows that the comic and page filters admit, in any order; None when they admit all."""
        if filters.page_ids is None:
            return None if filters.comic_ids is None else self._by_comic.rows(filters.comic_ids)
        wanted = self._by_page.rows(filters.page_ids)
        if filters.comic_ids is not None:
            wanted = wanted[np.isin(self.rows.comic_ids[wanted], filters.comic_ids)]
        return wanted

    def _hits(self, rows: Ints, scores: NDArray[np.float32]) -> list[Hit]:
        ids = self.rows.ids[rows]
        return [Hit(self.kind, int(id_), float(score)) for id_, score in zip(ids, scores, strict=True)]


class _Codes:
    """faiss's codes of float16 rows are the rows: seen as an array (N, D), which keeps the faiss index alive."""

    def __init__(self, flat: faiss.IndexScalarQuantizer, shape: tuple[int, ...]) -> None:
        self._flat = flat
        codes = faiss.rev_swig_ptr(flat.codes.data(), 2 * math.prod(shape))
        self.__array_interface__ = {
            "shape": shape,
            "typestr": "<f2",
            "data": (codes.ctypes.data, True),
            "version": 3,
        }


class _Lookup:
    """Which rows hold a value, in O(log N) per value."""

    def __init__(self, values: Ints) -> None:
        self._order = np.argsort(values, kind="stable")
        self._sorted = values[self._order]

    def rows(self, wanted: Ints) -> Ints:
        """Rows whose value is one of `wanted` (distinct values)."""
        first = np.searchsorted(self._sorted, wanted, "left")
        counts = np.searchsorted(self._sorted, wanted, "right") - first
        starts = np.repeat(first - np.cumsum(counts) + counts, counts)
        found: Ints = self._order[starts + np.arange(len(starts))]
        return found

    def values(self) -> Ints:
        """Every value, once, ascending."""
        return np.unique(self._sorted)


def _latest(rows: Rows) -> Rows:
    """`rows` without those that a later one with the same id replaces; all are of one kind."""
    _, from_the_end = np.unique(rows.ids[::-1], return_index=True)
    if len(from_the_end) == len(rows):
        return rows
    return rows.take(np.sort(len(rows) - 1 - from_the_end))


def _merged(shards: Sequence[_Shard]) -> tuple[_Shard, ...]:
    """The same living rows in few shards: each `_MERGE_RATIO` times as large as the next, at most half of it dead."""
    result: list[_Shard] = []
    for kind in sorted({shard.kind for shard in shards}):
        stack: list[_Shard] = []
        for shard in (shard for shard in shards if shard.kind == kind and shard.count):
            stack.append(shard if 2 * shard.count >= len(shard.rows) else _Shard(kind, shard.living()))
            while len(stack) > 1 and stack[-2].count < _MERGE_RATIO * stack[-1].count:
                late, early = stack.pop().living(), stack.pop().living()
                stack.append(_Shard(kind, _joined(early, late)))
        result.extend(stack)
    return tuple(result)


def _joined(early: Rows, late: Rows) -> Rows:
    pairs = ((getattr(early, field.name), getattr(late, field.name)) for field in fields(Rows))
    return Rows(*(np.concatenate(pair) for pair in pairs))


def _mask(rows: Ints, count: int) -> Mask:
    mask = np.zeros(count, np.bool_)
    mask[rows] = True
    return mask
