"""Vectors in immutable segments: one zarr v3 group each, written once, durable before the call returns.

A segment `name` is the folder `segments/<name>/` with the arrays `ids` (N,) int64, `kinds` (N,) uint8 and `vectors`
(N, D) float16, rows in reading order. Each array is one uncompressed chunk, followed by its crc32c (a standard zarr
codec), so the rows can be memory-mapped and a changed byte is noticed. What the group means (checkpoint, job) stands in
its attributes under `meta`. Segments are never appended to: concurrent appends to one zarr array lose rows without an
error. A segment exists once Postgres says so; whatever lies here unregistered is an orphan to be swept.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.buffer.cpu import Buffer
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from shared.errors import Conflict, NotFound, Reject
from shared.store.storage import Storage

PANEL, PAGE, CONTEXT = 0, 1, 2  # CONTEXT: a panel in the company of its page's other panels, under the panel's id
FORMAT = 1
_ROOT = "segments"
_ARRAYS = (("ids", "ids/c/0"), ("kinds", "kinds/c/0"), ("vectors", "vectors/c/0/0"))


@dataclass(frozen=True, eq=False)
class Segment:
    """The rows of one segment: `ids` (N,) int64, `kinds` (N,) uint8, `vectors` (N, D) float16."""

    ids: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    vectors: NDArray[np.float16]
    meta: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.ids)


def write_segment(
    storage: Storage,
    name: str,
    *,
    ids: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    vectors: NDArray[np.floating[Any]],
    meta: Mapping[str, Any],
) -> None:
    """Keep rows as the segment `name`; on return they are durable.

    `ids` (N,), `kinds` (N,) of PANEL, PAGE, CONTEXT, `vectors` (N, D), stored as float16; N at least 1; `meta` is JSON.
    Reject when the rows are not sound (shapes, a negative id, a pair of kind and id twice, a number that float16 cannot
    hold); Conflict when the name is taken.
    """
    with np.errstate(over="ignore"):  # becomes infinite and is refused below, by name
        segment = Segment(
            np.ascontiguousarray(ids, np.int64),
            np.ascontiguousarray(kinds, np.uint8),
            np.ascontiguousarray(vectors, np.float16),
            dict(meta),
        )
    problem = _problem(segment)
    if problem:
        raise Reject(f"Segment {name} was not written: {problem}.")
    if not storage.put_folder(f"{_ROOT}/{name}", _as_files(segment)):
        raise Conflict(f"Segment {name} exists and segments never change; write under another name.")


def read_segment(storage: Storage, name: str) -> Segment:
    """The segment `name`, whole and checked; NotFound when absent, Reject when damaged or incomplete."""
    damaged = f"Segment {name} is damaged or incomplete; embed its pages again."
    path = f"{_ROOT}/{name}"
    try:
        files = {"zarr.json": storage.get(f"{path}/zarr.json")}
    except NotFound as error:
        raise NotFound(f"There is no segment {name}.") from error
    try:
        files |= {
            key: storage.get(f"{path}/{key}") for array, chunk in _ARRAYS for key in (f"{array}/zarr.json", chunk)
        }
        group = zarr.open_group(MemoryStore({key: Buffer.from_bytes(data) for key, data in files.items()}), mode="r")
        if group.attrs.get("format") != FORMAT:
            raise Reject(f"Segment {name} has a format that this version does not read.")
        segment = Segment(
            ids=_whole(group, "ids", np.dtype(np.int64), 1),
            kinds=_whole(group, "kinds", np.dtype(np.uint8), 1),
            vectors=_whole(group, "vectors", np.dtype(np.float16), 2),
            meta=_meta(group),
        )
    except (NotFound, FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise Reject(damaged) from error
    if _problem(segment):
        raise Reject(damaged)
    return segment


def delete_segment(storage: Storage, name: str) -> None:
    """Forget the segment `name`; nothing happens when it is not there."""
    storage.delete_folder(f"{_ROOT}/{name}")


def list_segments(storage: Storage) -> set[str]:
    """Names of everything that lies under the segments' folder, registered or not, finished or not."""
    return {key.split("/")[1] for key in storage.list(_ROOT)}


def compact(
    storage: Storage,
    names: Iterable[str],
    into: str,
    *,
    meta: Mapping[str, Any],
    gone: Iterable[tuple[int, int]] = (),
) -> int:
    """Write the rows of several segments as the one segment `into`; the number of rows kept.

    A later segment's row supersedes an earlier one of the same kind and id; rows in `gone`, pairs of kind and id, are
    left out. Nothing is written when no row is left. The old segments stay: the caller forgets them once the new one
    is registered.
    """
    segments = [read_segment(storage, name) for name in names]
    if not segments:
        return 0
    ids = np.concatenate([segment.ids for segment in segments])
    kinds = np.concatenate([segment.kinds for segment in segments])
    last = {(int(kind), int(id_)): row for row, (kind, id_) in enumerate(zip(kinds, ids, strict=True))}
    for key in gone:
        last.pop(key, None)
    rows = np.sort(np.fromiter(last.values(), np.int64, len(last)))
    if len(rows):
        vectors = np.concatenate([segment.vectors for segment in segments])
        write_segment(storage, into, ids=ids[rows], kinds=kinds[rows], vectors=vectors[rows], meta=meta)
    return len(rows)


def _problem(segment: Segment) -> str | None:
    """Why these rows are not a sound segment; None when they are."""
    count = len(segment.ids)
    if segment.ids.ndim != 1 or count == 0:
        return "it has no rows"
    if segment.kinds.shape != (count,) or segment.vectors.ndim != 2 or len(segment.vectors) != count:
        return "ids, kinds and vectors differ in length"
    if segment.vectors.shape[1] == 0:
        return "its vectors have no components"
    if (segment.ids < 0).any() or not np.isin(segment.kinds, (PANEL, PAGE, CONTEXT)).all():
        return "an id or kind is out of range"
    if len(np.unique(segment.ids * 4 + segment.kinds)) != count:
        return "a row occurs twice"
    if not np.isfinite(segment.vectors).all():
        return "a vector is not finite"
    return None


def _as_files(segment: Segment) -> dict[str, bytes]:
    """The group as relative path -> bytes, its own zarr.json last: readers ask for it first."""
    memory = MemoryStore()
    group = zarr.create_group(memory, attributes={"format": FORMAT, "meta": dict(segment.meta)})
    for name, values, fill in (
        ("ids", segment.ids, -1),
        ("kinds", segment.kinds, 255),
        ("vectors", segment.vectors, float("nan")),
    ):
        array = group.create_array(
            name,
            shape=values.shape,
            chunks=values.shape,
            dtype=values.dtype,
            compressors=[Crc32cCodec()],
            fill_value=fill,
        )
        array[...] = values
    return dict(sorted(_contents(memory), key=lambda item: item[0] == "zarr.json"))


def _contents(memory: MemoryStore) -> Iterator[tuple[str, bytes]]:
    async def keys() -> list[str]:
        return [key async for key in memory.list()]

    for key in sync(keys()):
        buffer = sync(memory.get(key, default_buffer_prototype()))
        assert buffer is not None
        yield key, buffer.to_bytes()


def _whole(group: zarr.Group, name: str, dtype: np.dtype[Any], dimensions: int) -> NDArray[Any]:
    array = group[name]
    if not isinstance(array, zarr.Array) or array.dtype != dtype or array.ndim != dimensions:
        raise TypeError(name)
    return np.ascontiguousarray(array[...])


def _meta(group: zarr.Group) -> Mapping[str, Any]:
    meta = group.attrs.get("meta")
    if not isinstance(meta, dict):
        raise TypeError("meta")
    return meta
