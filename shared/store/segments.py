"""Taking pages out of the stored vectors: which segments there are stands in PostgreSQL, their rows never change.

A segment that holds pages which go is replaced by one without them. The new one is written first, the books change in
the transaction in which the pages go, and the files of the old one are deleted last: a crash at any moment leaves the
old segment or the new one, and files that nobody knows, which `orphans` finds.

A row counts only in the segment that the embedding row of its page names; whatever else a segment holds is outdated.
"""

import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from shared.errors import Reject
from shared.store.db import row, rows
from shared.store.storage import Held, Storage
from shared.store.vectors import CONTEXT, PAGE, PANEL, Segment, delete_segment, read_segment, write_segment

_PANEL_PAGES = (
    "SELECT n.id, l.page_id FROM panel n JOIN layout l ON l.id = n.layout_id "
    "WHERE n.id = ANY(:ids) AND l.page_id = ANY(:pages)"
)


class Outdated(Exception):
    """Pages were embedded meanwhile: the replacements must be made anew. No failure, hence no ComicsError."""


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """What comes in the place of a segment: `new`, with the rows of the pages `kept`.

    Nothing comes where no page is kept. A segment that cannot be read has no `new` either, but `kept`: it stays.
    """

    id: int
    checkpoint_id: int
    old: str
    kept: frozenset[int]
    new: str | None = None
    rows: int = 0
    gone: int = 0
    """Rows that go with the pages."""

    @property
    def stays(self) -> bool:
        """The segment remains as it is."""
        return self.new is None and bool(self.kept)


def replacements(connection: sa.Connection, storage: Storage, page_ids: Collection[int]) -> list[Replacement]:
    """Write segments without these pages beside those that hold them; nothing changes until `replace`.

    Call while the pages and their panels are still there.
    """
    held = rows(
        connection,
        "SELECT s.id, s.checkpoint_id, s.key, s.rows, array_agg(e.page_id) AS pages "
        "FROM segment s JOIN embedding e ON e.segment_id = s.id "
        "WHERE s.id IN (SELECT segment_id FROM embedding WHERE page_id = ANY(:pages)) GROUP BY s.id ORDER BY s.id",
        pages=list(page_ids),
    )
    made: list[Replacement] = []
    try:
        for segment in held:
            same = {"id": segment["id"], "checkpoint_id": segment["checkpoint_id"], "old": segment["key"]}
            kept = frozenset(segment["pages"]) - frozenset(page_ids)
            if not kept:
                made.append(Replacement(**same, kept=kept, gone=segment["rows"]))
                continue
            try:
                old = read_segment(storage, segment["key"])
            except Reject:  # whoever finds it damaged has its pages embedded again; /embeddings counts it
                made.append(Replacement(**same, kept=kept))
                continue
            chosen = _rows_of(connection, old, kept)
            count, new = int(chosen.sum()), f"{segment['checkpoint_id']}-{uuid.uuid4().hex}"
            write_segment(
                storage, new, ids=old.ids[chosen], kinds=old.kinds[chosen], vectors=old.vectors[chosen], meta=old.meta
            )
            made.append(Replacement(**same, kept=kept, new=new, rows=count, gone=len(old) - count))
    except BaseException:
        forget_new(storage, made)
        raise
    return made


def replace(connection: sa.Connection, made: Sequence[Replacement], page_ids: Collection[int]) -> None:
    """Put replacements into the books, in the transaction in which the pages go. `Outdated` when they are not right."""
    now = rows(
        connection,
        "SELECT segment_id, page_id FROM embedding WHERE segment_id = ANY(:known) OR page_id = ANY(:pages) FOR UPDATE",
        known=[one.id for one in made],
        pages=list(page_ids),
    )
    gone = frozenset(page_ids)
    if {embedded["segment_id"] for embedded in now} != {one.id for one in made}:
        raise Outdated
    for one in made:
        if frozenset(embedded["page_id"] for embedded in now if embedded["segment_id"] == one.id) - gone != one.kept:
            raise Outdated
        if one.stays:
            continue
        if one.new is not None:
            added = row(
                connection,
                "INSERT INTO segment (checkpoint_id, key, rows) VALUES (:checkpoint, :key, :rows) RETURNING id",
                checkpoint=one.checkpoint_id,
                key=one.new,
                rows=one.rows,
            )
            assert added is not None
            connection.execute(
                sa.text("UPDATE embedding SET segment_id = :new WHERE segment_id = :old AND page_id = ANY(:kept)"),
                {"new": added["id"], "old": one.id, "kept": list(one.kept)},
            )
        connection.execute(sa.text("DELETE FROM segment WHERE id = :id"), {"id": one.id})


def forget_old(storage: Storage, made: Sequence[Replacement]) -> None:
    """Delete the files of what was replaced, once the books say so."""
    for one in made:
        if not one.stays:
            delete_segment(storage, one.old)


def forget_new(storage: Storage, made: Sequence[Replacement]) -> None:
    """Delete replacements that did not come into the books."""
    for one in made:
        if one.new is not None:
            delete_segment(storage, one.new)


def unused(connection: sa.Connection, *, older_than_s: float) -> list[int]:
    """Segments in the books none of whose rows counts: all of their pages have newer vectors, or are gone."""
    found = rows(
        connection,
        "SELECT id FROM segment s WHERE created_at < now() - make_interval(secs => :age) "
        "AND NOT EXISTS (SELECT FROM embedding e WHERE e.segment_id = s.id) ORDER BY id",
        age=older_than_s,
    )
    return [int(segment["id"]) for segment in found]


@dataclass(frozen=True)
class Orphan:
    """The files of a segment that the books do not know."""

    name: str
    bytes: int


def orphans(connection: sa.Connection, storage: Storage, *, older_than_s: float) -> Iterator[Orphan]:
    """Segments that a killed worker wrote and never registered, or that were replaced, last written that long ago."""
    sizes: dict[str, int] = {}
    youngest: dict[str, float] = {}
    for entry in storage.entries("segments"):
        name = entry.key.split("/")[1]
        sizes[name] = sizes.get(name, 0) + entry.size
        youngest[name] = min(entry.age, youngest.get(name, entry.age))
    # After the listing: what is registered between the two is no orphan.
    registered = {segment["key"] for segment in rows(connection, "SELECT key FROM segment")}
    for name in sorted(sizes.keys() - registered):
        if youngest[name] >= older_than_s:
            yield Orphan(name, sizes[name])


def remove_orphans(connection: sa.Connection, storage: Storage, *, older_than_s: float) -> Held:
    """Delete those `orphans`; how many, and their bytes. With an age of 0 only while no worker runs."""
    found = list(orphans(connection, storage, older_than_s=older_than_s))
    for orphan in found:
        delete_segment(storage, orphan.name)
    return Held(len(found), sum(orphan.bytes for orphan in found))


def _rows_of(connection: sa.Connection, segment: Segment, page_ids: Collection[int]) -> NDArray[np.bool_]:
    """Which rows (N,) of a segment belong to these pages."""
    panels = np.isin(segment.kinds, (PANEL, CONTEXT))
    found = rows(connection, _PANEL_PAGES, ids=np.unique(segment.ids[panels]).tolist(), pages=list(page_ids))
    theirs = np.isin(segment.ids, [panel["id"] for panel in found])
    pages = np.isin(segment.ids, list(page_ids))
    chosen: NDArray[np.bool_] = np.where(segment.kinds == PAGE, pages, theirs)
    return chosen
