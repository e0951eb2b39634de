"""Comics, pages and panels as the screens show them: the queries behind the pictures."""

from collections.abc import Sequence

import sqlalchemy as sa

from services.web.records.shelves import NARROWED, Narrowing
from shared.domain.pipeline import STAGES
from shared.errors import NotFound
from shared.store.db import Row, row, rows

# Jobs whose subject is a page; a comic or a run may have the same number.
ON_PAGE = "stage IN ({})".format(", ".join(f"'{name}'" for name, stage in STAGES.items() if stage.subject == "page"))

# What an alignment says holds for the layout and the readings it was made from.
ALIGNED = """
    LEFT JOIN alignment a ON a.page_id = p.id AND a.layout_id = p.layout_id
      AND a.ocr_id IS NOT DISTINCT FROM p.ocr_id AND a.vlm_id IS NOT DISTINCT FROM p.vlm_id"""

# What a card says: the cover, the state of the file's own job, and how far the work on it is.
CARD = f"""
    SELECT c.id, c.title, c.series, c.number, c.volume, c.year, c.source, c.collection, c.hidden,
           c.file_name, c.size, c.media_type, c.page_count, c.created_at,
           j.state AS ingest_state, j.error AS ingest_error,
           cover.image_sha256 AS cover, cover.width AS cover_width, cover.height AS cover_height,
           w.total, w.ended, w.failed, q.unreadable, q.perfect
    FROM comic c
    LEFT JOIN LATERAL (SELECT state, error FROM job WHERE stage = 'ingest' AND subject_id = c.id
                       ORDER BY id DESC LIMIT 1) j ON true
    LEFT JOIN LATERAL (SELECT image_sha256, width, height FROM page WHERE comic_id = c.id AND state = 'ok'
                       ORDER BY number LIMIT 1) cover ON true
    LEFT JOIN LATERAL (SELECT count(*) AS total, count(*) FILTER (WHERE state NOT IN ('queued', 'running')) AS ended,
                              count(*) FILTER (WHERE state = 'failed') AS failed
                       FROM job WHERE comic_id = c.id) w ON true
    LEFT JOIN LATERAL (SELECT count(*) FILTER (WHERE p.state = 'unreadable') AS unreadable,
                              count(*) FILTER (WHERE a.perfect) AS perfect
                       FROM page p {ALIGNED} WHERE p.comic_id = c.id) q ON true"""

TILE = f"""
    SELECT p.id, p.number, p.name, p.state, p.error, p.image_sha256, p.width, p.height, p.shape, p.label, p.hidden,
           l.kind AS layout_kind, a.perfect, a.reason,
           CASE WHEN l.id IS NOT NULL THEN (SELECT count(*) FROM panel WHERE layout_id = l.id) END AS panels,
           EXISTS (SELECT FROM job WHERE subject_id = p.id AND comic_id = p.comic_id AND {ON_PAGE}
                   AND state IN ('queued', 'running')) AS busy,
           EXISTS (SELECT FROM job WHERE subject_id = p.id AND comic_id = p.comic_id AND {ON_PAGE}
                   AND state = 'failed') AS failed
    FROM page p LEFT JOIN layout l ON l.id = p.layout_id {ALIGNED}"""


def cards(connection: sa.Connection, *, before: int | None, narrowing: Narrowing, limit: int) -> Sequence[Row]:
    """Comics, the newest first: those of a narrowing, with an id below `before`."""
    return rows(
        connection,
        f"{CARD} WHERE (CAST(:before AS bigint) IS NULL OR c.id < :before) AND {NARROWED} "
        "ORDER BY c.id DESC LIMIT :limit",
        before=before,
        limit=limit,
        **narrowing.parameters(),
    )


def cards_by_id(connection: sa.Connection, ids: Sequence[int]) -> Sequence[Row]:
    """The cards of some comics, the newest first; those that do not exist are missing."""
    return rows(connection, f"{CARD} WHERE c.id = ANY(:ids) ORDER BY c.id DESC", ids=list(ids))


def card(connection: sa.Connection, comic_id: int) -> Row:
    """One comic; NotFound names the id."""
    found = row(connection, f"{CARD} WHERE c.id = :id", id=comic_id)
    if found is None:
        raise NotFound(f"There is no comic {comic_id}.")
    return found


def comic_count(connection: sa.Connection) -> int:
    """How many comics there are at all."""
    found = row(connection, "SELECT count(*) AS n FROM comic")
    assert found is not None
    return int(found["n"])


def comic_titles(connection: sa.Connection, *, limit: int = 1000) -> Sequence[Row]:
    """Comics to choose from, by title."""
    return rows(connection, "SELECT id, title FROM comic ORDER BY lower(title), id LIMIT :limit", limit=limit)


def tiles(connection: sa.Connection, comic_id: int, *, after: int, limit: int) -> Sequence[Row]:
    """Pages of a comic in order, those with a number above `after`."""
    return rows(
        connection,
        f"{TILE} WHERE p.comic_id = :comic AND p.number > :after ORDER BY p.number LIMIT :limit",
        comic=comic_id,
        after=after,
        limit=limit,
    )


def jobs_to_look_at(connection: sa.Connection, *, comic_id: int | None, limit: int) -> Sequence[Row]:
    """Failed and blocked jobs, the newest first, with the comic and the page they are about."""
    return rows(
        connection,
        "SELECT j.id, j.stage, j.subject_id, j.state, j.attempt, j.max_attempts, j.error, j.finished_at, j.comic_id, "
        "c.title AS comic, p.id AS page_id, p.number AS page_number FROM job j LEFT JOIN comic c ON c.id = j.comic_id "
        f"LEFT JOIN page p ON p.id = j.subject_id AND p.comic_id = j.comic_id AND j.{ON_PAGE} "
        "WHERE j.state IN ('failed', 'blocked') AND (CAST(:comic AS bigint) IS NULL OR j.comic_id = :comic) "
        "ORDER BY j.id DESC LIMIT :limit",
        comic=comic_id,
        limit=limit,
    )


def page_of(connection: sa.Connection, page_id: int) -> Row:
    """One page with its comic, its neighbours and what its alignment says; NotFound names the id."""
    found = row(
        connection,
        "SELECT p.*, c.title AS comic, c.hidden AS comic_hidden, c.page_count, l.kind AS layout_kind, "
        "coalesce(l.direction, c.direction) AS direction, "
        "l.source AS layout_source, l.author AS layout_author, l.reason AS layout_reason, l.objects, a.perfect, "
        "a.reason, coalesce(a.leftovers, '[]') AS leftovers, "
        "before.id AS previous_id, before.image_sha256 AS previous_image, "
        "after.id AS next_id, after.image_sha256 AS next_image, "
        f"EXISTS (SELECT FROM job WHERE subject_id = p.id AND comic_id = p.comic_id AND {ON_PAGE} "
        "AND state IN ('queued', 'running')) AS busy "
        "FROM page p JOIN comic c ON c.id = p.comic_id LEFT JOIN layout l ON l.id = p.layout_id "
        "LEFT JOIN LATERAL (SELECT id, image_sha256 FROM page WHERE comic_id = p.comic_id AND number < p.number "
        "ORDER BY number DESC LIMIT 1) before ON true "
        "LEFT JOIN LATERAL (SELECT id, image_sha256 FROM page WHERE comic_id = p.comic_id AND number > p.number "
        "ORDER BY number LIMIT 1) after ON true "
        f"{ALIGNED} WHERE p.id = :id",
        id=page_id,
    )
    if found is None:
        raise NotFound(f"There is no page {page_id}.")
    return found


def panels_of(connection: sa.Connection, layout_id: int | None) -> Sequence[Row]:
    """Panels of a layout in reading order with their text, its pieces and the verdict on it."""
    return rows(
        connection,
        "SELECT n.id, n.position, n.x, n.y, n.w, n.h, n.score, t.panel_id IS NOT NULL AS aligned, "
        "coalesce(t.literal, '') AS literal, coalesce(t.descriptive, '') AS descriptive, "
        "coalesce(t.pieces, '[]') AS pieces, coalesce(t.characters, '[]') AS characters, t.verdict, t.confidence, "
        "t.reason FROM panel n LEFT JOIN panel_text t ON t.panel_id = n.id WHERE n.layout_id = :layout "
        "ORDER BY n.position",
        layout=layout_id,
    )


def starts(connection: sa.Connection, *, limit: int = 12) -> Sequence[Row]:
    """A panel of each of the newest pages that have any: something to start a search from."""
    return rows(
        connection,
        "SELECT n.id, p.number AS page_number, c.title AS comic FROM (SELECT * FROM page WHERE layout_id IS NOT NULL "
        "ORDER BY id DESC LIMIT :pages) p JOIN comic c ON c.id = p.comic_id JOIN LATERAL (SELECT id FROM panel "
        "WHERE layout_id = p.layout_id ORDER BY w * h DESC LIMIT 1) n ON true ORDER BY p.id DESC LIMIT :limit",
        pages=3 * limit,
        limit=limit,
    )


def panel_place(connection: sa.Connection, panel_id: int) -> Row | None:
    """Where a panel is: its page and comic; None when there is no such panel."""
    return row(
        connection,
        "SELECT n.id, n.position, n.w, n.h, p.id AS page_id, p.number AS page_number, c.title AS comic FROM panel n "
        "JOIN layout l ON l.id = n.layout_id JOIN page p ON p.id = l.page_id JOIN comic c ON c.id = p.comic_id "
        "WHERE n.id = :id",
        id=panel_id,
    )
