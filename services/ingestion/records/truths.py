"""Panels and texts that a comic's file states, as imported layouts and readings; equal ones are kept once."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from services.ingestion.truth.contracts import direction_of_panels, is_layout, layout_of, reading_of
from services.ingestion.truth.pages import PageTruth
from shared.domain.metadata import stated_direction
from shared.domain.readings import beside
from shared.domain.schema import Box, Direction, PageExtraction
from shared.settings import settings
from shared.store.active import activate
from shared.store.db import row, rows
from shared.store.layouts import import_layout
from shared.store.readings import add_reading

LOCK = "SELECT id FROM page WHERE id = ANY(:ids) AND state = 'ok' ORDER BY id FOR NO KEY UPDATE"
# With what OCR has read on each, which is kept beside what the file states.
PAGES = """
    SELECT p.id, p.number, p.width, p.height, o.content AS read FROM page p
    LEFT JOIN extraction o ON o.id = p.ocr_id AND o.source <> 'person' AND o.content ->> 'engine' <> 'import'
    WHERE p.id = ANY(:ids) ORDER BY p.number"""
STATED = """
    SELECT (SELECT json_agg(json_build_array(n.x, n.y, n.w, n.h) ORDER BY n.position)
            FROM panel n WHERE n.layout_id = l.id) AS panels
    FROM (SELECT DISTINCT ON (l.page_id) l.id FROM layout l JOIN page p ON p.id = l.page_id
          WHERE p.comic_id = :comic AND l.source = 'import'
          ORDER BY l.page_id, (l.id = p.layout_id) IS TRUE DESC, l.id DESC) l"""
TURN = (
    "UPDATE job SET fingerprint = concat(fingerprint, ' overtaken ', id) "
    "WHERE stage = 'align' AND comic_id = :comic AND fingerprint NOT LIKE '% overtaken %' AND subject_id IN "
    "(SELECT p.id FROM page p JOIN layout l ON l.id = p.layout_id "
    "WHERE p.comic_id = :comic AND l.source = 'import' AND l.direction <> :way)",
    "UPDATE layout SET direction = :way FROM page p "
    "WHERE p.id = layout.page_id AND p.comic_id = :comic AND layout.source = 'import' AND direction <> :way",
)


def store_truths(
    connection: sa.Connection, comic_id: int, truths: Mapping[int, PageTruth], page_ids: Mapping[int, int]
) -> None:
    """Make what the file states about its pages active, unless a person has said something else.

    Words that OCR has read besides stay; so do a detector's panels where the file states only some.
    """
    held = rows(connection, LOCK, ids=[page_ids[number] for number in truths if number in page_ids])
    pages = rows(connection, PAGES, ids=[page["id"] for page in held])
    whole = {
        page["id"]: truths[page["number"]]
        for page in pages
        if is_layout(truths[page["number"]], width=page["width"], height=page["height"])
    }
    direction = _direction(connection, comic_id, [truth.panels for truth in whole.values()])
    for page in pages:
        if page["id"] in whole:
            found = layout_of(whole[page["id"]], width=page["width"], height=page["height"], direction=direction)
            layout, _ = import_layout(connection, page["id"], found)
            assert layout is not None
            activate(connection, page["id"], "layout_id", layout, source="import")
        reading = reading_of(truths[page["number"]])
        if reading is not None:
            if page["read"] is not None:
                reading = beside(reading, PageExtraction.model_validate(page["read"]))
            activate(connection, page["id"], "ocr_id", _reading(connection, page["id"], reading), source="import")


def turn_truths(connection: sa.Connection, comic_id: int) -> None:
    """Let imported layouts be read the way that is said now, and their texts be aligned anew: panels keep their order,
    for the file states it, but balloons side by side do not.
    """
    stated = rows(connection, STATED, comic=comic_id)
    bound = {
        "comic": comic_id,
        "way": _direction(
            connection, comic_id, [[Box(*panel) for panel in page["panels"] or ()] for page in stated]
        ).value,
    }
    for statement in TURN:
        connection.execute(sa.text(statement), bound)


def _direction(connection: sa.Connection, comic_id: int, pages: Sequence[Sequence[Box]]) -> Direction:
    """As detection decides it, but for the last: the order of the stated panels tells more than their lettering."""
    comic = row(connection, "SELECT direction, language FROM comic WHERE id = :id", id=comic_id)
    assert comic is not None
    said = stated_direction(comic["direction"], comic["language"], usual=settings().direction)
    return Direction(said) if said else direction_of_panels(pages) or Direction.LTR


def _reading(connection: sa.Connection, page_id: int, found: PageExtraction) -> int:
    """The imported reading of the page that is equal, or a new one."""
    known = row(
        connection,
        "SELECT id FROM extraction WHERE page_id = :page AND engine = 'ocr' AND source = 'import' "
        "AND model = :model AND content = CAST(:content AS jsonb) ORDER BY id DESC",
        page=page_id,
        model=found.model,
        content=found.model_dump_json(),
    )
    return add_reading(connection, page_id, found, source="import") if known is None else int(known["id"])
