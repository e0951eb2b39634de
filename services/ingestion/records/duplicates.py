"""Duplicates as groups, a slice at a time: never all pairs of the library at once."""

from collections.abc import Sequence

import sqlalchemy as sa

from services.ingestion.groups import Candidate, Group, Pair, connected, grouped, suggested
from shared.domain.addresses import page_address
from shared.domain.duplicates import (
    Duplicate,
    DuplicateCounts,
    DuplicateGroup,
    DuplicateKind,
    DuplicateSlice,
    DuplicateState,
)
from shared.store.db import Row, rows

MEMBERS = 200  # of a group that are listed, those still shown first
REACH = 20_000  # members followed from one to the next before a slice is cut
COUNTED = 1000  # open groups of a kind
LOOKS = 20  # batches of pairs looked through for one slice
LOWEST = """
    SELECT DISTINCT t.a_id AS id FROM {kind}_match t
    WHERE t.a_id > :after AND t.verdict IS DISTINCT FROM 'distinct' AND NOT EXISTS
        (SELECT FROM {kind}_match s WHERE s.b_id = t.a_id AND s.verdict IS DISTINCT FROM 'distinct')
    ORDER BY 1 LIMIT :limit"""
APART = """
    SELECT a_id, b_id, score FROM {kind}_match WHERE verdict = 'distinct' AND a_id > :after
    ORDER BY a_id FETCH FIRST (CAST(:limit AS bigint)) ROWS WITH TIES"""
AROUND = """
    SELECT a_id, b_id, score, verdict FROM {kind}_match WHERE a_id = ANY(:ids)
    UNION SELECT a_id, b_id, score, verdict FROM {kind}_match WHERE b_id = ANY(:ids)"""
USUAL = """
    LEFT JOIN LATERAL (SELECT u.width, u.height FROM page u WHERE u.comic_id = c.id AND u.state = 'ok'
        ORDER BY CAST(u.width AS bigint) * u.height, u.id OFFSET greatest(c.page_count, 1) / 2 LIMIT 1) usual ON true"""
OF_COMIC = """
    c.id AS comic_id, c.title, c.file_name, c.source, c.collection, c.size, c.created_at AS added_at, w.unreadable,
    w.area, w.lossless,
    c.reference IS NOT NULL AND NOT EXISTS (SELECT FROM source_file f WHERE f.comic_id = c.id) AS lost,
    (SELECT count(*) FROM jsonb_object_keys(c.details)) AS fields"""
WHOLE = """
    LEFT JOIN LATERAL (SELECT count(*) FILTER (WHERE u.state <> 'ok') AS unreadable,
        coalesce(sum(CAST(u.width AS bigint) * u.height), 0) AS area,
        coalesce(bool_and(u.media_type = 'image/png') FILTER (WHERE u.state = 'ok'), false) AS lossless,
        (array_agg(u.image_sha256 ORDER BY u.number) FILTER (WHERE u.state = 'ok'))[1] AS cover
        FROM page u WHERE u.comic_id = c.id) w ON true"""
MEMBER = {
    "comic": f"""
        SELECT c.id, {OF_COMIC}, c.hidden, c.page_count AS pages, w.cover AS image_sha256, usual.width, usual.height
        FROM comic c {WHOLE} {USUAL} WHERE c.id = ANY(:ids)""",
    "page": f"""
        SELECT p.id, {OF_COMIC}, p.hidden IS NOT NULL AS hidden, p.number AS page_number, p.image_sha256, p.width,
               p.height
        FROM page p JOIN comic c ON c.id = p.comic_id {WHOLE} WHERE p.id = ANY(:ids)""",
}
FILES = f"""
    SELECT s.id, {OF_COMIC}, s.location, s.seen_at, s.aside AS hidden, c.page_count AS pages,
           w.cover AS image_sha256, coalesce(right(s.location, length(c.reference)) = c.reference, false) AS read_here
    FROM source_file s JOIN comic c ON c.id = s.comic_id {WHOLE}
    WHERE c.id = ANY(:ids) ORDER BY c.id, read_here DESC, s.aside, s.seen_at, s.location"""
PLACES = """
    SELECT comic_id AS id FROM source_file WHERE comic_id > :after GROUP BY comic_id HAVING count(*) > 1
    AND (CAST(:state AS text) IS NULL OR (count(*) FILTER (WHERE NOT aside) > 1) = (:state = 'open'))
    ORDER BY comic_id LIMIT :limit"""


def duplicates(
    connection: sa.Connection, kind: DuplicateKind, *, state: DuplicateState | None, after: int, limit: int
) -> DuplicateSlice:
    """Groups of a kind by their lowest id, those above `after`; `limit` of them, or what a bounded look found."""
    if kind == "bytes" and state == "distinct":
        return DuplicateSlice(items=[], next=None)  # files of the same bytes are the same
    if kind == "bytes":
        found = rows(connection, PLACES, after=after, state=state, limit=limit + 1)
        comics = [comic["id"] for comic in found[:limit]]
        return DuplicateSlice(items=_places(connection, comics), next=comics[-1] if len(found) > limit else None)
    if state == "distinct":
        return _told_apart(connection, kind, after=after, limit=limit)
    chosen, following = _groups(connection, kind, state=state, after=after, limit=limit)
    ids = sorted({member for group in chosen for member in group.members})
    members = {one["id"]: one for one in rows(connection, MEMBER[kind], ids=ids)}
    items = [_shown(kind, group, [members[one] for one in group.members if one in members]) for group in chosen]
    return DuplicateSlice(items=items, next=following)


def open_groups(connection: sa.Connection) -> DuplicateCounts:
    """How many groups are to be decided about, without looking at their members."""
    comics, after_comics = _groups(connection, "comic", state="open", after=0, limit=COUNTED)
    pages, after_pages = _groups(connection, "page", state="open", after=0, limit=COUNTED)
    places = rows(connection, PLACES, after=0, state="open", limit=COUNTED + 1)
    more = after_comics is not None or after_pages is not None or len(places) > COUNTED
    return DuplicateCounts(comic=len(comics), page=len(pages), bytes=min(len(places), COUNTED), more=more)


def _groups(
    connection: sa.Connection, kind: DuplicateKind, *, state: DuplicateState | None, after: int, limit: int
) -> tuple[list[Group], int | None]:
    """Groups by their lowest id, and after which one to go on."""
    chosen: list[Group] = []
    following: int | None = after
    for _ in range(LOOKS):
        found = rows(connection, LOWEST.format(kind=kind), after=following, limit=limit)
        lowest = [one["id"] for one in found]
        around = connected(_pairs_around(connection, kind, lowest))
        for first in lowest:
            following = first
            groups = grouped(around.get(first, []))
            chosen += [group for group in groups if state is None or group.open == (state == "open")]
            if len(chosen) >= limit:
                break
        else:
            if len(lowest) < limit:
                following = None
        if following is None or len(chosen) >= limit:
            break
    return chosen, following


def _told_apart(connection: sa.Connection, kind: DuplicateKind, *, after: int, limit: int) -> DuplicateSlice:
    """Pairs that a person called distinct: two at a time, so that one of several can be undone alone."""
    pairs = rows(connection, APART.format(kind=kind), after=after, limit=limit)
    ids = sorted({one for pair in pairs for one in (pair["a_id"], pair["b_id"])})
    members = {one["id"]: _duplicate(one) for one in rows(connection, MEMBER[kind], ids=ids)}
    items = [
        DuplicateGroup(
            id=f"{kind}-{pair['a_id']}-{pair['b_id']}",
            kind=kind,
            state="distinct",
            score=pair["score"],
            keep=None,
            why="a person told them apart",
            count=2,
            members=[members[pair["a_id"]], members[pair["b_id"]]],
        )
        for pair in pairs
        if pair["a_id"] in members and pair["b_id"] in members
    ]
    return DuplicateSlice(items=items, next=pairs[-1]["a_id"] if len(pairs) >= limit else None)


def _pairs_around(connection: sa.Connection, kind: DuplicateKind, seeds: Sequence[int]) -> list[Pair]:
    """The pairs of everything that is connected with the seeds."""
    known: dict[tuple[int, int], Pair] = {}
    seen: set[int] = set()
    front = set(seeds)
    while front and len(seen) < REACH:
        seen |= front
        for pair in rows(connection, AROUND.format(kind=kind), ids=sorted(front)):
            known[pair["a_id"], pair["b_id"]] = Pair(pair["a_id"], pair["b_id"], pair["score"], pair["verdict"])
        reached = {one for pair in known.values() if pair.verdict != "distinct" for one in (pair.left, pair.right)}
        front = reached - seen
    return list(known.values())


def _shown(kind: DuplicateKind, group: Group, members: Sequence[Row]) -> DuplicateGroup:
    shown = [one for one in members if not one["hidden"]]
    keep, why = suggested([_candidate(one) for one in shown or members])
    if not group.open:
        why = "was kept by a person" if len(shown) == 1 else "nothing is hidden any more" if shown else "all are hidden"
    listed = sorted(members, key=lambda one: (one["id"] != keep, one["hidden"], one["id"]))[:MEMBERS]
    return DuplicateGroup(
        id=f"{kind}-{group.members[0]}",
        kind=kind,
        state="open" if group.open else "decided",
        score=group.score,
        keep=keep,
        why=why,
        count=len(members),
        members=[_duplicate(one) for one in listed],
    )


def _places(connection: sa.Connection, comics: Sequence[int]) -> list[DuplicateGroup]:
    """Comics that lie in several places, each with all of them."""
    found: dict[int, list[Row]] = {comic: [] for comic in comics}
    for place in rows(connection, FILES, ids=list(comics)):
        found[place["comic_id"]].append(place)
    groups = []
    for comic, places in found.items():
        kept, left = places[0], [place for place in places if not place["hidden"]]
        why = "is where the library reads it from" if kept["read_here"] else "was seen first"
        groups.append(
            DuplicateGroup(
                id=f"bytes-{comic}",
                kind="bytes",
                state="open" if len(left) > 1 else "decided",
                score=1.0,
                keep=kept["id"],
                why=why if len(left) > 1 else "was kept by a person",
                count=len(places),
                members=[_duplicate(place) for place in places[:MEMBERS]],
            )
        )
    return groups


def _candidate(found: Row) -> Candidate:
    return Candidate(
        id=found["id"],
        width=found["width"] or 0,
        height=found["height"] or 0,
        unreadable=found["unreadable"],
        fields=found["fields"],
        lossless=found["lossless"],
        size=found["size"],
        area=int(found["area"]),
        added=found["added_at"],
        lost=found["lost"],
    )


def _duplicate(found: Row) -> Duplicate:
    address = page_address(found["image_sha256"]) if found["image_sha256"] else None
    told = {name: found[name] for name in Duplicate.model_fields if name in found}
    return Duplicate(**told, image=address)
