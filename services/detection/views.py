"""Layouts, panels and provenance as the API shows them: the queries behind the answers."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from shared.domain.addresses import panel_address
from shared.domain.answers import JobTrace, LayoutView, PanelView, Provenance
from shared.domain.schema import Box, DetectedObject
from shared.errors import NotFound
from shared.store.db import Row, row, rows

PANEL = """
    SELECT n.*, l.page_id, p.comic_id, p.image_sha256, coalesce(t.literal, '') AS literal,
           coalesce(t.descriptive, '') AS descriptive
    FROM panel n JOIN layout l ON l.id = n.layout_id JOIN page p ON p.id = l.page_id
    LEFT JOIN panel_text t ON t.panel_id = n.id"""

PROVENANCE = """
    SELECT c.title AS comic, c.file_name, p.number AS page_number, p.name AS page_name, p.image_sha256,
           l.source AS layout_source, k.sha256 AS detector,
           o.model AS ocr_model, coalesce(v.served_model, v.model, e.model) AS vlm_model, v.provider AS vlm_provider,
           v.cost_usd AS vlm_cost,
           to_jsonb(lj) AS layout_job, to_jsonb(tj) AS text_job, to_jsonb(oj) AS ocr_job, to_jsonb(ej) AS vlm_job
    FROM panel n JOIN layout l ON l.id = n.layout_id JOIN page p ON p.id = l.page_id JOIN comic c ON c.id = p.comic_id
    LEFT JOIN checkpoint k ON k.id = l.checkpoint_id LEFT JOIN job lj ON lj.id = l.job_id
    LEFT JOIN panel_text t ON t.panel_id = n.id LEFT JOIN job tj ON tj.id = t.job_id
    LEFT JOIN extraction o ON o.id = t.ocr_id LEFT JOIN job oj ON oj.id = o.job_id
    LEFT JOIN extraction e ON e.id = t.vlm_id LEFT JOIN job ej ON ej.id = e.job_id
    LEFT JOIN vlm_call v ON v.id = e.vlm_call_id
    WHERE n.id = :id"""


def panel_view(found: Row) -> PanelView:
    """A row of `PANEL` as shown."""
    names = ("id", "page_id", "comic_id", "position", "score", "literal", "descriptive")
    box = Box(found["x"], found["y"], found["w"], found["h"])
    image = panel_address(found["id"], found["image_sha256"], box)
    return PanelView(**{name: found[name] for name in names}, box=box, image=image)


def panel_of(connection: sa.Connection, panel_id: int) -> PanelView:
    """One panel; NotFound names the id."""
    found = row(connection, f"{PANEL} WHERE n.id = :id", id=panel_id)
    if found is None:
        raise NotFound(f"There is no panel {panel_id}; GET /layouts?page_id= lists a page's panels.")
    return panel_view(found)


def layouts_of(
    connection: sa.Connection, *, page_id: int | None = None, layout_id: int | None = None
) -> list[LayoutView]:
    """All layouts of a page, the active one first, or one layout by id."""
    found = rows(
        connection,
        "SELECT l.*, (p.layout_id = l.id) IS TRUE AS active FROM layout l JOIN page p ON p.id = l.page_id "
        "WHERE l.page_id = :page OR l.id = :layout ORDER BY active DESC, l.id DESC",
        page=page_id,
        layout=layout_id,
    )
    ids = [layout["id"] for layout in found]
    panels = rows(connection, f"{PANEL} WHERE n.layout_id = ANY(:ids) ORDER BY n.layout_id, n.position", ids=ids)
    return [_layout_view(layout, [panel for panel in panels if panel["layout_id"] == layout["id"]]) for layout in found]


def active_layout(connection: sa.Connection, page_id: int) -> LayoutView:
    """The active layout of a page; NotFound where there is none, or no such page."""
    page = row(connection, "SELECT layout_id FROM page WHERE id = :id", id=page_id)
    if page is None:
        raise NotFound(f"There is no page {page_id}; GET /comics/{{id}}/pages lists a comic's pages.")
    if page["layout_id"] is None:
        raise NotFound(f"Page {page_id} has no panels yet; they come when it has been detected.")
    return layouts_of(connection, layout_id=page["layout_id"])[0]


def provenance_of(connection: sa.Connection, panel_id: int) -> Provenance:
    """Where a panel and its text come from, in one query."""
    panel = panel_of(connection, panel_id)
    found = row(connection, PROVENANCE, id=panel_id)
    assert found is not None
    jobs = {name: _trace(found[name]) for name in ("layout_job", "text_job", "ocr_job", "vlm_job")}
    plain = {name: found[name] for name in Provenance.model_fields if name in found and name not in jobs}
    return Provenance(panel=panel, **plain, **jobs)


def _layout_view(layout: Row, panels: Sequence[Row]) -> LayoutView:
    names = (
        "id", "page_id", "active", "source", "kind", "reason", "direction", "author", "changes", "replaces_id",
        "checkpoint_id", "job_id", "created_at",
    )  # fmt: skip
    return LayoutView(
        **{name: layout[name] for name in names},
        panels=[panel_view(panel) for panel in panels],
        objects=[DetectedObject.model_validate(seen) for seen in layout["objects"]],
    )


def _trace(job: dict[str, Any] | None) -> JobTrace | None:
    return None if job is None else JobTrace(**{name: job[name] for name in JobTrace.model_fields})
