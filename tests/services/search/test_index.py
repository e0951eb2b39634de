"""The index answers as a brute-force scan of the same rows would, whatever was added, replaced or removed."""

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from services.search.index import Filters, Hit, Rows, VectorIndex
from shared.errors import Reject

DIMENSIONS = 384


def rows(count: int, *, seed: int = 0, first_id: int = 0, kind: int | None = None) -> Rows:
    """`count` rows in reading order: 7 rows a page, 50 a comic, panels and pages mixed unless `kind` is given."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((count, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = np.arange(first_id, first_id + count)
    kinds = (ids % 7 == 0) if kind is None else np.full(count, kind)
    return Rows(ids, kinds.astype(np.uint8), ids // 50, ids // 7, vectors.astype(np.float16))


def query(seed: int) -> NDArray[np.float32]:
    vector = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def brute_force(table: Rows, vector: NDArray[np.float32], k: int, filters: Filters) -> list[Hit]:
    scores = table.vectors.astype(np.float32) @ vector
    hits = []
    for row in range(len(table)):
        key = (int(table.kinds[row]), int(table.ids[row]))
        if filters.kind not in {None, key[0]} or key in filters.exclude:
            continue
        if filters.comic_ids is not None and int(table.comic_ids[row]) not in filters.comic_ids:
            continue
        if filters.page_ids is not None and int(table.page_ids[row]) not in filters.page_ids:
            continue
        hits.append(Hit(*key, float(scores[row])))
    return sorted(hits, key=lambda hit: (-hit.score, hit.kind, hit.id))[:k]


def assert_same(found: list[Hit], wanted: list[Hit]) -> None:
    assert [hit[:2] for hit in found] == [hit[:2] for hit in wanted]
    assert np.allclose([hit.score for hit in found], [hit.score for hit in wanted], atol=2e-6)


FILTERS = {
    "none": Filters(),
    "panels": Filters(kind=0),
    "pages": Filters(kind=1),
    "one comic (narrow)": Filters(comic_ids=np.array([3])),
    "most comics (wide)": Filters(comic_ids=np.arange(1, 40)),
    "pages of a book": Filters(page_ids=np.arange(5, 200), kind=0),
    "comic and page": Filters(comic_ids=np.array([1, 2]), page_ids=np.arange(10, 13)),
    "nothing fits": Filters(comic_ids=np.array([10**9])),
    "empty set": Filters(page_ids=np.array([], np.int64)),
    "exclusions": Filters(exclude=frozenset((0, number) for number in range(300))),
    "exclusions in a comic": Filters(comic_ids=np.array([2]), exclude=frozenset({(0, 101), (1, 105), (0, 10**9)})),
}


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("k", [1, 20, 5000])
def test_hits_equal_brute_force(name: str, k: int) -> None:
    table = rows(2000)
    index = VectorIndex()
    index.extend(table)
    for seed in range(3):
        assert_same(
            index.search(query(seed), k, filters=FILTERS[name]), brute_force(table, query(seed), k, FILTERS[name])
        )


@pytest.mark.parametrize("name", FILTERS)
def test_hits_equal_brute_force_after_many_small_extensions_replacements_and_removals(name: str) -> None:
    random = np.random.default_rng(7)
    index = VectorIndex()
    current: dict[tuple[int, int], int] = {}
    blocks: list[Rows] = []
    for step in range(40):
        block = rows(int(random.integers(1, 90)), seed=step, first_id=int(random.integers(0, 1500)))
        index.extend(block)
        offset = sum(len(earlier) for earlier in blocks)
        blocks.append(block)
        current |= {
            (int(kind), int(id_)): offset + row
            for row, (kind, id_) in enumerate(zip(block.kinds, block.ids, strict=True))
        }
        gone = [int(id_) for id_ in random.integers(0, 1500, 10)]
        index.remove(0, gone)
        for id_ in gone:
            current.pop((0, id_), None)
    everything = Rows(
        np.concatenate([block.ids for block in blocks]),
        np.concatenate([block.kinds for block in blocks]),
        np.concatenate([block.comic_ids for block in blocks]),
        np.concatenate([block.page_ids for block in blocks]),
        np.concatenate([block.vectors for block in blocks]),
    )
    table = everything.take(np.sort(np.fromiter(current.values(), np.int64)))
    assert len(index) == len(table)
    assert len(index._shards) <= 12  # merged, not one per extension
    assert_same(index.search(query(1), 50, filters=FILTERS[name]), brute_force(table, query(1), 50, FILTERS[name]))


def test_the_last_of_equal_ids_in_one_block_counts() -> None:
    block = rows(3, kind=0)
    twice = Rows(np.array([4, 5, 4]), block.kinds, block.comic_ids, block.page_ids, block.vectors)
    index = VectorIndex()
    index.extend(twice)
    assert len(index) == 2
    stored = index.vector(0, 4)
    assert stored is not None
    assert np.array_equal(stored, block.vectors[2].astype(np.float32))


def test_a_panel_and_a_page_with_one_number_are_two_things() -> None:
    index = VectorIndex()
    index.extend(rows(1, seed=1, kind=0))
    index.extend(rows(1, seed=2, kind=1))
    assert {hit[:2] for hit in index.search(query(0), 5)} == {(0, 0), (1, 0)}
    index.remove(1, [0])
    assert [hit[:2] for hit in index.search(query(0), 5)] == [(0, 0)]
    assert index.vector(1, 0) is None


def test_a_removed_row_can_come_back() -> None:
    index = VectorIndex()
    index.extend(rows(5, kind=0))
    index.remove(0, range(5))
    assert index.search(query(0), 5) == []
    index.extend(rows(5, kind=0))
    assert len(index.search(query(0), 5)) == 5


def test_an_empty_index_and_a_wish_for_nothing_give_no_hits() -> None:
    index = VectorIndex()
    assert index.search(query(0), 5) == []
    index.extend(rows(0))
    assert index.search(query(0), 5) == []
    index.extend(rows(3))
    assert index.search(query(0), 0) == []


def test_a_row_finds_itself_with_a_score_of_one() -> None:
    table = rows(500)
    index = VectorIndex()
    index.extend(table)
    stored = index.vector(int(table.kinds[123]), 123)
    assert stored is not None
    best = index.search(stored, 1)[0]
    assert (best.kind, best.id) == (int(table.kinds[123]), 123)
    assert best.score == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("bad", [np.zeros(3, np.float32), np.full(DIMENSIONS, np.nan, np.float32)])
def test_a_query_of_another_space_is_refused(bad: NDArray[np.float32]) -> None:
    index = VectorIndex()
    index.extend(rows(3))
    with pytest.raises(Reject, match="384"):
        index.search(bad, 3)


def test_rows_of_another_space_are_refused() -> None:
    short = rows(3)
    with pytest.raises(Reject, match="checkpoint"):
        VectorIndex(dimensions=64).extend(short)


def test_readers_see_whole_states_while_the_index_grows() -> None:
    """Blocks of 30 equal vectors are added and removed as wholes: a reader must find 30 or none of a block."""
    index = VectorIndex(dimensions=8)
    vectors = np.eye(8, dtype=np.float16)
    failures: list[str] = []
    done = threading.Event()

    def block(number: int) -> Rows:
        ids = np.arange(number * 30, number * 30 + 30)
        repeated = np.repeat(vectors[number % 8][None], 30, axis=0)
        return Rows(ids, np.zeros(30, np.uint8), ids * 0 + number, ids, repeated)

    def read(number: int) -> None:
        while not done.is_set():
            filters = Filters(comic_ids=np.array([number]))
            hits = index.search(vectors[number % 8].astype(np.float32), 100, filters=filters)
            if len(hits) not in {0, 30} or any(hit.score != 1.0 or hit.id // 30 != number for hit in hits):
                failures.append(f"{len(hits)} hits")

    readers = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for reader in readers:
        reader.start()
    for turn in range(60):
        for number in range(12):
            index.extend(block(number))
        index.remove(0, range((turn % 4) * 30, (turn % 4) * 30 + 30))
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert len(index) == 11 * 30


def test_rows_outlive_the_shard_they_were_merged_from() -> None:
    """Merged-away shards are freed at once; their memory must not be read afterwards."""
    index = VectorIndex()
    for step in range(200):
        index.extend(rows(5, seed=step, first_id=5 * step, kind=0))
    for step in range(200):
        expected = rows(5, seed=step, first_id=5 * step, kind=0).vectors.astype(np.float32)
        found = [index.vector(0, 5 * step + row) for row in range(5)]
        assert np.array_equal(np.stack([vector for vector in found if vector is not None]), expected)
