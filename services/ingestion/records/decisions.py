"""What a person decides about duplicates: remembered in the pairs, and done to comics and pages. Nothing is deleted."""

from collections.abc import Sequence

import sqlalchemy as sa

from services.ingestion.records.comparison import lock
from services.ingestion.records.hiding import (
    Change,
    hide_comics,
    hide_pages,
    release_pages,
    settle_work,
    show_comics,
    show_pages,
)
from shared.domain.duplicates import DuplicateDecision, DuplicateKind
from shared.errors import NotFound, Reject
from shared.settings import Settings
from shared.store.db import row, rows

HIDE = {"comic": hide_comics, "page": hide_pages}
SHOW = {"comic": show_comics, "page": show_pages}
SUBJECTS = {"bytes": "source_file", "comic": "comic", "page": "page"}
# A pair that no comparison found has the score 0: only a person's word makes it one.
TOLD = {
    "comic": "INSERT INTO comic_match (a_id, b_id, score, shared, verdict, decided_at)",
    "page": "INSERT INTO page_match (a_id, b_id, score, verdict, decided_at)",
}
UNTOLD = {"comic": "0, 0", "page": "0"}
PUT_ASIDE = {"comic": "o.hidden", "page": "o.hidden = 'duplicate'"}
UNSEEN = {
    "comic": "SELECT id FROM comic c WHERE id = :id AND NOT EXISTS "
    "(SELECT FROM page p WHERE p.comic_id = c.id AND p.hidden IS NULL)",
    "page": "SELECT id, comic_id, hidden FROM page WHERE id = :id AND hidden IS NOT NULL",
}


def decide(connection: sa.Connection, configured: Settings, decision: DuplicateDecision) -> Change:
    """Do what was decided and remember it; what changed. NotFound names ids that are not there."""
    lock(connection)
    kept = [decision.keep] if decision.keep is not None else []
    _require(connection, decision.kind, [*kept, *decision.hide, *decision.distinct, *decision.undo])
    if decision.kind == "bytes":
        _decide_files(connection, kept, decision.hide, decision.undo)
        return Change()
    change = Change()
    if decision.hide:
        _tell(connection, decision.kind, [*kept, *decision.hide], verdict="same", to=kept)
        _inherit(connection, decision.kind, keep=kept[0], hide=decision.hide)
        shown = SHOW[decision.kind](connection, kept)
        change.hidden = HIDE[decision.kind](connection, decision.hide)
        change.shown = [*shown, *release_pages(connection, change.hidden)]
        _require_seen(connection, decision.kind, kept[0])
    elif decision.distinct:
        joined = _joined(connection, decision.kind, decision.distinct)
        _tell(connection, decision.kind, decision.distinct, verdict="distinct", to=decision.distinct)
        change.shown = SHOW[decision.kind](connection, joined)
    else:
        undone = sorted(set(decision.undo))
        joined = _joined(connection, decision.kind, undone) if len(undone) > 1 else undone
        _forget(connection, decision.kind, undone)
        change.shown = SHOW[decision.kind](connection, joined)
    return settle_work(connection, configured, change)


def _tell(
    connection: sa.Connection, kind: DuplicateKind, ids: Sequence[int], *, verdict: str, to: Sequence[int]
) -> None:
    """Give the verdict to every pair known among `ids`, and to each of `ids` with each of `to` whether known or not."""
    connection.execute(
        sa.text(
            f"UPDATE {kind}_match SET verdict = :verdict, decided_at = now() "
            "WHERE a_id = ANY(:ids) AND b_id = ANY(:ids)"
        ),
        {"verdict": verdict, "ids": list(ids)},
    )
    connection.execute(
        sa.text(
            f"{TOLD[kind]} SELECT DISTINCT least(a, b), greatest(a, b), {UNTOLD[kind]}, CAST(:verdict AS text), now() "
            "FROM unnest(CAST(:ids AS bigint[])) a, unnest(CAST(:to AS bigint[])) b WHERE a <> b "
            "ON CONFLICT (a_id, b_id) DO NOTHING"
        ),
        {"verdict": verdict, "ids": list(ids), "to": list(to)},
    )


def _inherit(connection: sa.Connection, kind: DuplicateKind, *, keep: int, hide: Sequence[int]) -> None:
    """What was put aside for one that is hidden now is put aside for the one to keep from now on."""
    connection.execute(
        sa.text(
            f"{TOLD[kind]} SELECT DISTINCT least(o.id, :keep), greatest(o.id, :keep), {UNTOLD[kind]}, 'same', now() "
            f"FROM unnest(CAST(:hide AS bigint[])) g JOIN {kind}_match t ON g IN (t.a_id, t.b_id) "
            f"AND t.verdict = 'same' JOIN {kind} o ON o.id = t.a_id + t.b_id - g AND {PUT_ASIDE[kind]} "
            "WHERE o.id <> :keep "
            "ON CONFLICT (a_id, b_id) DO UPDATE SET verdict = 'same', decided_at = now() "
            f"WHERE {kind}_match.verdict IS NULL"
        ),
        {"keep": keep, "hide": list(hide)},
    )


def _require_seen(connection: sa.Connection, kind: DuplicateKind, keep: int) -> None:
    """`Reject` when the one to keep stays hidden whatever is decided about duplicates: nothing would be left."""
    unseen = row(connection, UNSEEN[kind], id=keep)
    if unseen is None:
        return
    if kind == "comic":
        raise Reject(f"Comic {keep} has no page that is shown; show one (PATCH /pages/{{id}}) or keep another comic.")
    if unseen["hidden"] == "duplicate":
        comic = unseen["comic_id"]
        raise Reject(f"Page {keep} is in comic {comic}, which is put aside; undo that first, or keep another page.")
    by = {"person": "by a person", "deleted": "by its comic's own metadata"}[unseen["hidden"]]
    raise Reject(f"Page {keep} is hidden {by}; show it first (PATCH /pages/{keep}), or keep another page.")


def _joined(connection: sa.Connection, kind: DuplicateKind, ids: Sequence[int]) -> list[int]:
    """Those of `ids` that were decided to be the same as another of them."""
    found = rows(
        connection,
        f"SELECT a_id, b_id FROM {kind}_match WHERE verdict = 'same' AND a_id = ANY(:ids) AND b_id = ANY(:ids)",
        ids=list(ids),
    )
    return sorted({one for pair in found for one in (pair["a_id"], pair["b_id"])})


def _forget(connection: sa.Connection, kind: DuplicateKind, ids: Sequence[int]) -> None:
    """Take every verdict back among `ids`; of one alone, what it was hidden for."""
    among = "a_id = ANY(:ids) AND b_id = ANY(:ids)"
    if len(ids) == 1:
        _require_hidden(connection, kind, ids[0])
        shown = {"comic": "NOT o.hidden", "page": "o.hidden IS NULL"}[kind]
        among = (
            "verdict = 'same' AND (a_id = ANY(:ids) OR b_id = ANY(:ids)) AND EXISTS "
            f"(SELECT FROM {kind} o WHERE o.id IN (a_id, b_id) AND o.id <> ALL(:ids) AND {shown})"
        )
    connection.execute(sa.text(f"DELETE FROM {kind}_match WHERE score = 0 AND {among}"), {"ids": list(ids)})
    connection.execute(
        sa.text(f"UPDATE {kind}_match SET verdict = NULL, decided_at = NULL WHERE {among}"), {"ids": list(ids)}
    )


def _require_hidden(connection: sa.Connection, kind: DuplicateKind, id_: int) -> None:
    hidden = {"comic": "hidden", "page": "hidden = 'duplicate'"}[kind]
    if not rows(connection, f"SELECT id FROM {kind} WHERE id = :id AND {hidden}", id=id_):
        raise Reject(f"{kind.capitalize()} {id_} is not hidden as a duplicate; name those you decided about together.")


def _decide_files(connection: sa.Connection, keep: Sequence[int], hide: Sequence[int], undo: Sequence[int]) -> None:
    """Remember which copies of a file are known to be copies; the comic itself is there once anyway."""
    named = [*keep, *hide, *undo]
    comics = rows(connection, "SELECT DISTINCT comic_id FROM source_file WHERE id = ANY(:ids)", ids=named)
    if len(comics) > 1 or comics[0]["comic_id"] is None:
        raise Reject("These files are not of one comic; GET /duplicates?kind=bytes lists those that are.")
    connection.execute(
        sa.text("UPDATE source_file SET aside = id = ANY(CAST(:hide AS bigint[])) WHERE id = ANY(:ids)"),
        {"hide": list(hide), "ids": named},
    )


def _require(connection: sa.Connection, kind: DuplicateKind, ids: Sequence[int]) -> None:
    found = rows(connection, f"SELECT id FROM {SUBJECTS[kind]} WHERE id = ANY(:ids) ORDER BY id FOR KEY SHARE", ids=ids)
    absent = sorted(set(ids) - {one["id"] for one in found})
    if absent:
        what = {"bytes": "file", "comic": "comic", "page": "page"}[kind]
        listed = ", ".join(str(one) for one in absent[:10])
        raise NotFound(f"There is no {what} {listed}; GET /duplicates?kind={kind} lists the groups there are.")
