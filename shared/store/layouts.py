"""Layouts as rows: from what a detector, a file or a person says about a page to its panels in reading order."""

import json

import sqlalchemy as sa

from shared.domain.corrections import LayoutChanges
from shared.domain.schema import Box, DetectedObject, PagePanels
from shared.store.db import row, rows


def add_layout(
    connection: sa.Connection,
    page_id: int,
    found: PagePanels,
    *,
    source: str,
    checkpoint_id: int | None = None,
    job_id: int | None = None,
    author: str | None = None,
    changes: LayoutChanges | None = None,
    replaces: int | None = None,
    image: str | None = None,
) -> int:
    """Store a layout with its panels in reading order; its id.

    `author` is the person, or the file, that it comes from; `changes` what a person changed of the layout `replaces`,
    `image` the sha256 of the image that it is of, if that may not be the page's any more.
    """
    layout = row(
        connection,
        "INSERT INTO layout (page_id, source, kind, reason, direction, objects, checkpoint_id, job_id, author, "
        "changes, replaces_id, image_sha256) VALUES (:page, :source, :kind, :reason, :direction, "
        "CAST(:objects AS jsonb), :checkpoint, :job, :author, CAST(:changes AS jsonb), :replaces, "
        "coalesce(:image, (SELECT image_sha256 FROM page WHERE id = :page))) RETURNING id",
        page=page_id,
        source=source,
        kind=found.kind,
        reason=found.reason,
        direction=found.direction.value,
        objects=json.dumps([seen.model_dump() for seen in found.objects]),
        checkpoint=checkpoint_id,
        job=job_id,
        author=author,
        changes=changes.model_dump_json() if changes is not None else None,
        replaces=replaces,
        image=image,
    )
    assert layout is not None
    panels = [
        {"layout": layout["id"], "position": position, "score": panel.score, **panel.box._asdict()}
        for position, panel in enumerate(found.panels)
    ]
    if panels:
        connection.execute(
            sa.text(
                "INSERT INTO panel (layout_id, position, x, y, w, h, score) "
                "VALUES (:layout, :position, :x, :y, :w, :h, :score)"
            ),
            panels,
        )
    return int(layout["id"])


def import_layout(
    connection: sa.Connection, page_id: int, found: PagePanels, *, author: str | None = None, dry_run: bool = False
) -> tuple[int | None, bool]:
    """The imported layout of the page that says the same, or a new one; its id, and whether it is new.

    With `dry_run` nothing is stored, and a new one has no id.
    """
    known = rows(
        connection,
        "SELECT id FROM layout WHERE page_id = :page AND source = 'import' AND kind = :kind "
        "AND direction = :direction ORDER BY id DESC",
        page=page_id,
        kind=found.kind,
        direction=found.direction.value,
    )
    for layout in known:
        if _said(layout_of(connection, layout["id"])) == _said(found):
            if not dry_run:  # the page may have another image since, of which it is said as well
                connection.execute(
                    sa.text(
                        "UPDATE layout SET image_sha256 = p.image_sha256 FROM page p WHERE layout.id = :id "
                        "AND p.id = layout.page_id AND layout.image_sha256 IS DISTINCT FROM p.image_sha256"
                    ),
                    {"id": layout["id"]},
                )
            return int(layout["id"]), False
    return (None if dry_run else add_layout(connection, page_id, found, source="import", author=author)), True


def _said(found: PagePanels) -> PagePanels:
    """What a file says about a page, without what is concluded from it: older layouts lack that."""
    objects = [seen.model_copy(update={"panel": None, "speaker": None}) for seen in found.objects]
    return found.model_copy(update={"objects": objects})


def machines_layout(connection: sa.Connection, page_id: int, *, image: str) -> int | None:
    """The layout of a page with this image that counts where no person has said anything; None if there is none.

    What a file states goes before what a detector saw, and the detector in use before those that were.
    """
    found = row(
        connection,
        "SELECT l.id FROM layout l LEFT JOIN checkpoint k ON k.id = l.checkpoint_id "
        "WHERE l.page_id = :page AND l.source <> 'person' AND l.image_sha256 = :image "
        "ORDER BY l.source = 'import' DESC, k.active IS TRUE DESC, l.id DESC LIMIT 1",
        page=page_id,
        image=image,
    )
    return None if found is None else int(found["id"])


def layout_of(connection: sa.Connection, layout_id: int) -> PagePanels:
    """A stored layout as it was given; the id must exist."""
    found = row(
        connection,
        "SELECT l.kind, l.reason, l.direction, l.objects, p.width, p.height, "
        "(SELECT json_agg(json_build_array(n.x, n.y, n.w, n.h, n.score) ORDER BY n.position) "
        "FROM panel n WHERE n.layout_id = l.id) AS panels "
        "FROM layout l JOIN page p ON p.id = l.page_id WHERE l.id = :id",
        id=layout_id,
    )
    assert found is not None
    return PagePanels(
        **{name: found[name] for name in ("width", "height", "kind", "reason", "direction")},
        panels=[DetectedObject(label="panel", box=Box(*side), score=score) for *side, score in found["panels"] or ()],
        objects=[DetectedObject.model_validate(seen) for seen in found["objects"]],
    )
