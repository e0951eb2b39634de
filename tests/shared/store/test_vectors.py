"""Segments: written whole, never changed, and damage is an error rather than a wrong row."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from shared.errors import Conflict, NotFound, Reject
from shared.store.storage import Storage, open_storage
from shared.store.vectors import PAGE, PANEL, compact, delete_segment, list_segments, read_segment, write_segment


def unit(count: int, seed: int = 0) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((count, 384)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def write(storage: Storage, name: str, ids: list[int], *, seed: int = 0, kind: int = PANEL) -> None:
    kinds = np.full(len(ids), kind, np.uint8)
    write_segment(storage, name, ids=np.array(ids), kinds=kinds, vectors=unit(len(ids), seed), meta={"job": name})


@pytest.fixture(params=["folder", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path) if request.param == "folder" else "memory://")


def test_rows_come_back_in_order_at_half_precision(storage: Storage) -> None:
    vectors = unit(70)
    kinds = np.array([PANEL, PAGE] * 35, np.uint8)
    ids = np.arange(70)[::-1] * 10**15
    write_segment(storage, "one", ids=ids, kinds=kinds, vectors=vectors, meta={"checkpoint": "c1"})
    segment = read_segment(storage, "one")
    assert np.array_equal(segment.ids, ids)
    assert np.array_equal(segment.kinds, kinds)
    assert segment.vectors.dtype == np.float16
    assert np.array_equal(segment.vectors, vectors.astype(np.float16))
    assert segment.meta == {"checkpoint": "c1"}


def test_a_segment_never_changes(storage: Storage) -> None:
    write(storage, "one", [1, 2], seed=0)
    with pytest.raises(Conflict, match="one"):
        write(storage, "one", [3], seed=1)
    assert read_segment(storage, "one").ids.tolist() == [1, 2]


def test_a_deleted_segment_is_gone_and_deleting_again_is_harmless(storage: Storage) -> None:
    write(storage, "one", [1])
    write(storage, "two", [2])
    delete_segment(storage, "one")
    delete_segment(storage, "one")
    assert list_segments(storage) == {"two"}
    with pytest.raises(NotFound, match="one"):
        read_segment(storage, "one")


def test_it_is_a_plain_zarr_group_whose_chunk_can_be_mapped(tmp_path: Path) -> None:
    write(open_storage(str(tmp_path)), "one", [5, 6, 7])
    folder = tmp_path / "segments" / "one"
    group = zarr.open_group(str(folder), mode="r", zarr_format=3)
    assert np.array_equal(np.asarray(group["ids"]), [5, 6, 7])
    chunk = folder / "vectors" / "c" / "0" / "0"
    assert chunk.stat().st_size == 3 * 384 * 2 + 4  # the rows and their crc32c: one uncompressed chunk
    assert np.array_equal(np.memmap(chunk, np.float16, "r", shape=(3, 384)), unit(3).astype(np.float16))


def files_of(storage: Storage) -> list[str]:
    return sorted(storage.list("segments/one"))


@pytest.mark.parametrize("harm", ["truncated", "emptied", "removed"])
def test_no_lost_file_or_tail_goes_unnoticed(storage: Storage, harm: str) -> None:
    write(storage, "one", list(range(20)))
    for key in files_of(storage):
        whole = storage.get(key)
        if harm == "removed":
            storage.delete(key)
        else:
            storage.put(key, whole[: len(whole) // 2] if harm == "truncated" else b"")
        with pytest.raises(Reject, match="one"):
            read_segment(storage, "one")
        storage.put(key, whole)
    assert len(read_segment(storage, "one")) == 20


def test_no_changed_byte_in_the_rows_goes_unnoticed(storage: Storage) -> None:
    write(storage, "one", list(range(20)))
    generator = random.Random(0)
    for key in (key for key in files_of(storage) if "/c/" in key):
        whole = storage.get(key)
        for place in generator.sample(range(len(whole)), 20):
            storage.put(key, whole[:place] + bytes([whole[place] ^ (1 << generator.randrange(8))]) + whole[place + 1 :])
            with pytest.raises(Reject, match="damaged"):
                read_segment(storage, "one")
        storage.put(key, whole)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda rows: rows["vectors"].__setitem__((0, 0), np.nan), "finite"),
        (lambda rows: rows["vectors"].__setitem__((0, 0), 1e6), "finite"),  # too large for float16
        (lambda rows: rows.update(kinds=rows["kinds"][:2]), "length"),
        (lambda rows: rows.update(vectors=rows["vectors"][0]), "length"),
        (lambda rows: rows["ids"].__setitem__(0, 2), "twice"),
        (lambda rows: rows["ids"].__setitem__(0, -1), "range"),
        (lambda rows: rows["kinds"].__setitem__(0, 7), "range"),
        (lambda rows: rows.update({name: rows[name][:0] for name in rows}), "no rows"),
    ],
)
def test_unsound_rows_are_refused_and_leave_nothing(
    storage: Storage, spoil: Callable[[dict[str, NDArray[Any]]], object], why: str
) -> None:
    rows: dict[str, NDArray[Any]] = {"ids": np.array([1, 2, 3]), "kinds": np.zeros(3, np.uint8), "vectors": unit(3)}
    spoil(rows)
    with pytest.raises(Reject, match=why):
        write_segment(storage, "one", **rows, meta={})
    assert list_segments(storage) == set()


def test_compacting_keeps_the_latest_row_of_each_id_and_drops_the_gone(storage: Storage) -> None:
    write(storage, "a", [1, 2, 3], seed=1)
    write(storage, "b", [3, 4], seed=2)
    write(storage, "p", [3], seed=3, kind=PAGE)  # a page may share a panel's number
    assert compact(storage, ["a", "b", "p"], "all", meta={"from": 3}, gone=[(PANEL, 2), (PAGE, 99)]) == 4
    merged = read_segment(storage, "all")
    assert list(zip(merged.kinds.tolist(), merged.ids.tolist(), strict=True)) == [
        (PANEL, 1),
        (PANEL, 3),
        (PANEL, 4),
        (PAGE, 3),
    ]
    assert np.array_equal(merged.vectors[1], unit(2, 2).astype(np.float16)[0])
    assert np.array_equal(merged.vectors[0], unit(3, 1).astype(np.float16)[0])
    assert list_segments(storage) == {"a", "b", "p", "all"}


def test_compacting_to_nothing_writes_nothing(storage: Storage) -> None:
    write(storage, "a", [1])
    assert compact(storage, ["a"], "all", meta={}, gone=[(PANEL, 1)]) == 0
    assert list_segments(storage) == {"a"}


def test_a_compaction_over_a_damaged_segment_writes_nothing(storage: Storage) -> None:
    write(storage, "a", [1])
    write(storage, "b", [2])
    storage.put("segments/b/vectors/c/0/0", b"")
    with pytest.raises(Reject, match="b"):
        compact(storage, ["a", "b"], "all", meta={})
    assert list_segments(storage) == {"a", "b"}


def test_the_store_brings_in_no_torch() -> None:
    code = "import sys, shared.store.vectors, shared.store.storage; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_storage_of_a_folder_brings_in_no_object_store_client(tmp_path: Path) -> None:
    code = f"import sys; from shared.store.storage import open_storage; open_storage({str(tmp_path)!r}).put('a', b''); "
    code += "sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
