"""What people said about the panels of a comic that is read the other way now."""

import sqlalchemy as sa

from shared.domain.metadata import stated_direction
from shared.domain.schema import Direction, PagePanels
from shared.domain.turning import turned
from shared.settings import settings
from shared.store.active import activate
from shared.store.db import row, rows
from shared.store.layouts import add_layout, layout_of

# Layouts that people drew, read another way than `:way`, unless one of them has said so about the page.
UNSTATED = """
    WITH RECURSIVE said AS (
        SELECT l.id AS layout_id, l.changes, l.replaces_id FROM page p JOIN layout l ON l.id = p.layout_id
        WHERE p.comic_id = :comic AND l.source = 'person' AND l.direction <> :way
        UNION SELECT s.layout_id, b.changes, b.replaces_id FROM said s JOIN layout b ON b.id = s.replaces_id
        WHERE b.source = 'person')
    SELECT l.id, l.page_id, l.author FROM layout l
    WHERE l.id IN (SELECT layout_id FROM said) AND NOT EXISTS (
        SELECT FROM said s WHERE s.layout_id = l.id AND s.changes #>> '{direction,0}' IS NOT NULL)
    ORDER BY l.page_id"""
LOCK = "SELECT id FROM page WHERE comic_id = :comic ORDER BY id FOR NO KEY UPDATE"


def turn_drawn(connection: sa.Connection, comic_id: int) -> None:
    """Let layouts that people drew follow, in copies: the one that was drawn stays stored.

    Panels that stand as the machine would order them are ordered anew; an order of a person's own is kept. Nothing
    follows where nobody says how the comic is read, nor on pages about which a person has said it.
    """
    comic = row(connection, "SELECT direction, language FROM comic WHERE id = :id", id=comic_id)
    assert comic is not None
    said = stated_direction(comic["direction"], comic["language"], usual=settings().direction)
    if said is None:
        return
    way = Direction(said)
    rows(connection, LOCK, comic=comic_id)
    for drawn in rows(connection, UNSTATED, comic=comic_id, way=way.value):
        found = add_layout(
            connection,
            drawn["page_id"],
            _followed(layout_of(connection, drawn["id"]), way),
            source="person",
            author=drawn["author"],
            replaces=drawn["id"],
        )
        activate(connection, drawn["page_id"], "layout_id", found, source="person")


def _followed(page: PagePanels, way: Direction) -> PagePanels:
    if turned(page, page.direction).panels != page.panels:
        return page.model_copy(update={"direction": way})
    return turned(page, way)
