"""What becomes of layouts and readings when a page's image is another one than they were made for."""

import json
from collections.abc import Sequence

import sqlalchemy as sa

from services.ingestion.reading import ReadPage
from shared.domain.corrections import LayoutChanges
from shared.domain.geometry import stretched
from shared.domain.likeness import SAME, likeness
from shared.domain.marks import FAR, Mark
from shared.domain.schema import Box, DetectedObject, Direction, PageExtraction, PagePanels
from shared.store.db import Row, row, rows
from shared.store.layouts import add_layout, machines_layout

BEFORE = """
    SELECT p.id, p.number, p.name, p.image_sha256, p.width, p.height, p.layout_id, p.ocr_id, p.vlm_id, l.source,
           m.phash, m.sketch
    FROM page p LEFT JOIN page_mark m ON m.page_id = p.id LEFT JOIN layout l ON l.id = p.layout_id
    WHERE p.comic_id = :comic AND p.state = 'ok' ORDER BY p.number FOR NO KEY UPDATE OF p"""
LAYOUT = """
    SELECT l.*, (SELECT json_agg(json_build_object('label', 'panel', 'box', json_build_array(n.x, n.y, n.w, n.h),
                                                   'score', n.score) ORDER BY n.position)
                 FROM panel n WHERE n.layout_id = l.id) AS panels
    FROM layout l WHERE l.id = :id"""
COPY = """
    INSERT INTO extraction (page_id, engine, model, source, content, unreadable, layout_id, vlm_call_id, job_id)
    SELECT page_id, engine, model, source, CAST(:content AS jsonb), unreadable, :layout, vlm_call_id, job_id
    FROM extraction WHERE id = :id RETURNING id"""
SAME_PIXELS = "UPDATE layout SET image_sha256 = :now WHERE page_id = :page AND image_sha256 = :before"
# Jobs give their fingerprint up, so that the page is worked on again even when the image comes back that it had before.
CLEAR = (
    "UPDATE page SET layout_id = NULL, ocr_id = NULL, vlm_id = NULL WHERE id = ANY(:ids)",
    "UPDATE job SET fingerprint = concat(fingerprint, ' overtaken ', id) "
    "WHERE stage IN ('detect', 'read') AND subject_id = ANY(:ids) AND fingerprint NOT LIKE '% overtaken %'",
)


def pages_before(connection: sa.Connection, comic_id: int) -> list[Row]:
    """A comic's readable pages with what they look like and what is active of them, held until the transaction ends."""
    return list(rows(connection, BEFORE, comic=comic_id))


def settle_images(connection: sa.Connection, before: Sequence[Row], pages: Sequence[ReadPage]) -> None:
    """Let what is active of pages whose image has changed fit the new one.

    The same picture at another size keeps its layout and its readings, whoever made them, in copies of that size; so
    it does the machine's layout where a person's is active. Of another picture they say nothing: they are kept,
    inactive, and the page is worked on again.
    """
    now = {page.number: page for page in pages if page.image is not None}
    other = []
    for page in before:
        read = now.get(page["number"])
        if read is None or read.image is None or read.image.sha256 == page["image_sha256"]:
            continue
        across, down = read.image.width / page["width"], read.image.height / page["height"]
        if not _same_picture(page, read.name, read.mark, stretch=across / down):
            other.append(page["id"])
        elif (across, down) != (1.0, 1.0):
            _resize(connection, page, width=read.image.width, height=read.image.height)
        else:
            bound = {"page": page["id"], "before": page["image_sha256"], "now": read.image.sha256}
            connection.execute(sa.text(SAME_PIXELS), bound)
    for statement in CLEAR if other else ():
        connection.execute(sa.text(statement), {"ids": other})


def _same_picture(page: Row, name: str, mark: Mark | None, *, stretch: float) -> bool:
    """By what they look like; pages without content, or of a version that noted no looks, by their name in the file."""
    if not 0.98 < stretch < 1.02:
        return False
    if not page["sketch"] or mark is None or not mark.sketch:
        return bool(page["name"] == name)
    if ((page["phash"] ^ mark.phash) & (1 << 64) - 1).bit_count() > FAR:
        return False
    return bool(likeness([(page["sketch"], mark.sketch)])[0] >= SAME)


def _resize(connection: sa.Connection, page: Row, *, width: int, height: int) -> None:
    """Put copies in the page's new size in place of its layout and its readings."""
    across, down = width / page["width"], height / page["height"]
    copies: dict[int, int] = {}  # of layouts: the VLM may have been asked about the active one

    def layout(known: int | None) -> int | None:
        if known is not None and known not in copies:
            copies[known] = _copy_layout(connection, known, width=width, height=height, across=across, down=down)
        return None if known is None else copies[known]

    if page["source"] == "person":
        layout(machines_layout(connection, page["id"], image=page["image_sha256"]))
    active = {"layout_id": layout(page["layout_id"]), "ocr_id": None, "vlm_id": None}
    for column in ("ocr_id", "vlm_id"):
        reading = row(connection, "SELECT id, content, layout_id FROM extraction WHERE id = :id", id=page[column])
        if reading is None:
            continue
        content = reading["content"]
        if column == "ocr_id" and content is not None:
            content = _read_at(PageExtraction.model_validate(content), across, down).model_dump(mode="json")
        copy = row(
            connection,
            COPY,
            id=reading["id"],
            content=None if content is None else json.dumps(content),
            layout=layout(reading["layout_id"]),
        )
        assert copy is not None
        active[column] = int(copy["id"])
    connection.execute(
        sa.text("UPDATE page SET layout_id = :layout_id, ocr_id = :ocr_id, vlm_id = :vlm_id WHERE id = :id"),
        {"id": page["id"], **active},
    )


def _copy_layout(connection: sa.Connection, known: int, *, width: int, height: int, across: float, down: float) -> int:
    found = row(connection, LAYOUT, id=known)
    assert found is not None
    panels, objects = (
        [
            seen.model_copy(update={"box": stretched(seen.box, across=across, down=down)})
            for seen in (DetectedObject.model_validate(one) for one in told or ())
        ]
        for told in (found["panels"], found["objects"])
    )
    at_size = PagePanels(
        width=width,
        height=height,
        kind=found["kind"],
        reason=found["reason"],
        direction=Direction(found["direction"]),
        panels=panels,
        objects=objects,
    )
    return add_layout(
        connection,
        found["page_id"],
        at_size,
        source=found["source"],
        checkpoint_id=found["checkpoint_id"],
        job_id=found["job_id"],
        author=found["author"],
        changes=_changes_at(LayoutChanges.model_validate(found["changes"]), across, down) if found["changes"] else None,
        replaces=found["replaces_id"],
    )


def _changes_at(changes: LayoutChanges, across: float, down: float) -> LayoutChanges:
    """What a person changed, on the page that has become wider and higher by these factors."""

    def at(box: Box | None) -> Box | None:
        return None if box is None else stretched(box, across=across, down=down)

    panels = [
        one.model_copy(update={"box_before": at(one.box_before), "box_now": at(one.box_now)}) for one in changes.panels
    ]
    return changes.model_copy(update={"panels": panels})


def _read_at(reading: PageExtraction, across: float, down: float) -> PageExtraction:
    """A reading of the page that has become wider and higher by these factors."""

    def at(box: Box) -> Box:
        return stretched(box, across=across, down=down)

    lines = [line.model_copy(update={"box": at(line.box)}) for line in reading.lines]
    return reading.model_copy(update={"lines": lines, "stated": [at(place) for place in reading.stated]})
