"""Hiding comics and pages, and showing them again, together with the work on them.

A page is hidden as a 'duplicate', by a 'person', or as 'deleted' by the comic's own metadata: only the first comes and
goes with decisions about duplicates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from services.ingestion.records.comparison import lock
from shared.domain.duplicates import DuplicateKind
from shared.settings import Settings
from shared.store.db import rows
from shared.work.hidden import plan_pages, withdraw_pages

# Hidden in favour of what goes, and of nothing else that is shown.
HIDDEN_FOR_COMIC = """
    SELECT h.id FROM comic_match t JOIN comic h ON h.id = t.a_id + t.b_id - :comic AND h.hidden
    WHERE :comic IN (t.a_id, t.b_id) AND t.verdict = 'same' AND NOT EXISTS (
        SELECT FROM comic_match s JOIN comic o ON o.id = s.a_id + s.b_id - h.id AND o.id <> :comic AND NOT o.hidden
        WHERE h.id IN (s.a_id, s.b_id) AND s.verdict = 'same')"""
HIDDEN_FOR_PAGES = """
    SELECT DISTINCT h.id FROM page g JOIN page_match t ON g.id IN (t.a_id, t.b_id) AND t.verdict = 'same'
    JOIN page h ON h.id = t.a_id + t.b_id - g.id AND h.hidden = 'duplicate' AND h.id <> ALL(:gone)
    JOIN comic c ON c.id = h.comic_id AND NOT c.hidden
    WHERE g.id = ANY(:gone) AND NOT EXISTS (
        SELECT FROM page_match s JOIN page o ON o.id = s.a_id + s.b_id - h.id AND o.hidden IS NULL
        WHERE h.id IN (s.a_id, s.b_id) AND s.verdict = 'same' AND o.id <> ALL(:gone))"""


@dataclass(slots=True)
class Change:
    """Pages hidden and shown, and jobs by stage that were removed and planned."""

    hidden: list[int] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    removed: dict[str, int] = field(default_factory=dict)
    planned: dict[str, int] = field(default_factory=dict)


def hide_comics(connection: sa.Connection, comics: Sequence[int]) -> list[int]:
    """Put comics aside as duplicates; the pages that were shown before."""
    connection.execute(sa.text("UPDATE comic SET hidden = true WHERE id = ANY(:ids)"), {"ids": list(comics)})
    return _ids(
        connection,
        "UPDATE page SET hidden = 'duplicate' WHERE comic_id = ANY(:ids) AND hidden IS NULL RETURNING id",
        comics,
    )


def show_comics(connection: sa.Connection, comics: Sequence[int]) -> list[int]:
    """Take comics back; the pages that are shown now, not those that are duplicates of a page still shown."""
    connection.execute(sa.text("UPDATE comic SET hidden = false WHERE id = ANY(:ids)"), {"ids": list(comics)})
    return _ids(
        connection,
        "UPDATE page p SET hidden = NULL WHERE comic_id = ANY(:ids) AND hidden = 'duplicate' AND NOT EXISTS "
        "(SELECT FROM page_match t JOIN page o ON o.id = t.a_id + t.b_id - p.id AND o.hidden IS NULL "
        "WHERE p.id IN (t.a_id, t.b_id) AND t.verdict = 'same') RETURNING id",
        comics,
    )


def hide_pages(connection: sa.Connection, pages: Sequence[int]) -> list[int]:
    """Put single pages aside as duplicates; those that were shown before."""
    return _ids(
        connection, "UPDATE page SET hidden = 'duplicate' WHERE id = ANY(:ids) AND hidden IS NULL RETURNING id", pages
    )


def show_pages(connection: sa.Connection, pages: Sequence[int]) -> list[int]:
    """Take single pages back, unless their whole comic is put aside; those that are shown now."""
    return _ids(
        connection,
        "UPDATE page p SET hidden = NULL WHERE id = ANY(:ids) AND hidden = 'duplicate' "
        "AND NOT EXISTS (SELECT FROM comic c WHERE c.id = p.comic_id AND c.hidden) RETURNING id",
        pages,
    )


def wish_page(connection: sa.Connection, page: int, *, hidden: bool) -> Change:
    """Hide a page because a person says so, or show it whatever hid it; what its file says counts no more."""
    if hidden:
        statement = (
            "UPDATE page SET hidden = 'person', wanted = false WHERE id = ANY(:ids) "
            "AND hidden IS DISTINCT FROM 'person'"
        )
        return Change(hidden=_ids(connection, f"{statement} RETURNING id", [page]))
    statement = "UPDATE page SET hidden = NULL, wanted = true WHERE id = ANY(:ids) AND hidden IS NOT NULL"
    return Change(shown=_ids(connection, f"{statement} RETURNING id", [page]))


def release(connection: sa.Connection, configured: Settings, comic_id: int) -> Change:
    """Show what is hidden only because of this comic, or of a page of it: the comic is about to be deleted."""
    lock(connection)
    comics = [one["id"] for one in rows(connection, HIDDEN_FOR_COMIC, comic=comic_id)]
    _open_again(connection, "comic", comics)
    pages = _ids(connection, "SELECT id FROM page WHERE comic_id = ANY(:ids)", [comic_id])
    shown = [*show_comics(connection, comics), *release_pages(connection, pages)]
    return settle_work(connection, configured, Change(shown=shown))


def release_pages(connection: sa.Connection, gone: Sequence[int]) -> list[int]:
    """Show pages that are hidden only because of pages that are not shown any more; those that are shown now."""
    pages = [one["id"] for one in rows(connection, HIDDEN_FOR_PAGES, gone=list(gone))]
    _open_again(connection, "page", pages)
    return show_pages(connection, pages)


def _open_again(connection: sa.Connection, kind: DuplicateKind, ids: Sequence[int]) -> None:
    """What is shown again together and was the same is to be decided anew."""
    connection.execute(
        sa.text(
            f"UPDATE {kind}_match SET verdict = NULL, decided_at = NULL "
            "WHERE verdict = 'same' AND a_id = ANY(:ids) AND b_id = ANY(:ids)"
        ),
        {"ids": list(ids)},
    )


def settle_work(connection: sa.Connection, configured: Settings, change: Change) -> Change:
    """Remove the jobs of pages that are hidden now, plan those of pages that are shown now."""
    if change.hidden:
        change.removed = withdraw_pages(connection, change.hidden)
    if change.shown:
        change.planned = plan_pages(connection, configured, change.shown)
    return change


def _ids(connection: sa.Connection, statement: str, ids: Sequence[int]) -> list[int]:
    return sorted(found["id"] for found in rows(connection, statement, ids=list(ids)))
