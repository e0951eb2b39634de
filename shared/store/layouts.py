"""Layouts as rows: from what a detector, a file or a person says about a page to its panels in reading order."""

import json

import sqlalchemy as sa

from shared.domain.schema import PagePanels
from shared.store.db import row


def add_layout(
    connection: sa.Connection,
    page_id: int,
    found: PagePanels,
    *,
    source: str,
    checkpoint_id: int | None = None,
    job_id: int | None = None,
) -> int:
    """Store a layout with its panels in reading order; its id."""
    layout = row(
        connection,
        "INSERT INTO layout (page_id, source, kind, direction, objects, checkpoint_id, job_id) "
        "VALUES (:page, :source, :kind, :direction, CAST(:objects AS jsonb), :checkpoint, :job) RETURNING id",
        page=page_id,
        source=source,
        kind=found.kind,
        direction=found.direction.value,
        objects=json.dumps([seen.model_dump() for seen in found.objects]),
        checkpoint=checkpoint_id,
        job=job_id,
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
