"""A person's panels as a layout beside the machine's: stored, made active, and taken back.

Whoever writes holds the page's row, so that two people, or a person and the detector, come one after the other.
"""

import sqlalchemy as sa

from services.detection.corrections import changes, corrected, same
from shared.domain.corrections import PanelCorrection
from shared.domain.metadata import stated_direction
from shared.domain.pipeline import STAGES
from shared.domain.schema import Direction
from shared.errors import Conflict, NotFound, Reject
from shared.settings import Settings
from shared.store.active import activate
from shared.store.db import Row, row, rows
from shared.store.layouts import add_layout, layout_of, machines_layout
from shared.work import jobs

SOMEBODY = "somebody"
PAGE = """
    SELECT p.id, p.state, p.error, p.hidden, p.image_sha256, p.width, p.height, p.layout_id, l.source, l.author,
           c.direction, c.language
    FROM page p JOIN comic c ON c.id = p.comic_id LEFT JOIN layout l ON l.id = p.layout_id WHERE p.id = :id"""
# The page is asked about no more where it has no panels; what was begun may have been paid for.
UNASKED = (
    "DELETE FROM job WHERE stage = 'extract' AND subject_id = :page AND attempt = 0 AND state IN ('queued', 'blocked')"
)


def correct(connection: sa.Connection, configured: Settings, page_id: int, said: PanelCorrection) -> dict[str, int]:
    """Store what a person says and make it the page's layout; the jobs to wake workers for.

    The same said twice is stored once. Errors: NotFound; Reject names the panel that cannot be; Conflict for a hidden
    page, and when another person has corrected the page since `based_on`.
    """
    page = _held(connection, page_id)
    before = layout_of(connection, page["layout_id"]) if page["layout_id"] is not None else None
    way = stated_direction(page["direction"], page["language"], usual=configured.direction) or "ltr"
    now = corrected(said, width=page["width"], height=page["height"], direction=Direction(way), before=before)
    if before is not None and page["source"] == "person" and same(before, now):
        return {}
    _require_seen(connection, page, said.based_on, force=said.force)
    made = add_layout(
        connection,
        page_id,
        now,
        source="person",
        author=said.author or SOMEBODY,
        changes=changes(before, now),
        replaces=page["layout_id"],
    )
    activate(connection, page_id, "layout_id", made, source="person")
    if now.kind == "none":
        connection.execute(sa.text(UNASKED), {"page": page_id})
    return _plan(connection, configured, page_id, _following(configured))


def revert(
    connection: sa.Connection, configured: Settings, page_id: int, *, based_on: int | None, force: bool
) -> dict[str, int]:
    """Let the machine's layout be the page's again; the jobs to wake workers for. A person's stay stored.

    Nothing happens to a page whose layout is no person's. Errors: NotFound, also where no machine has seen the page;
    Conflict as for a correction.
    """
    # Their jobs before the page itself, in the order of whoever ends one; only of those that are there now.
    following = _following(configured)
    ended = rows(
        connection,
        "SELECT id FROM job WHERE stage = ANY(:stages) AND subject_id = :page AND state <> 'queued' "
        "ORDER BY id FOR UPDATE",
        stages=following,
        page=page_id,
    )
    page = _held(connection, page_id)
    if page["source"] != "person":
        if page["layout_id"] is None:
            raise NotFound(f"Page {page_id} has no panels yet; they come when it has been detected.")
        return {}
    _require_seen(connection, page, based_on, force=force)
    machines = machines_layout(connection, page_id, image=page["image_sha256"])
    if machines is None:
        raise NotFound(f"Nobody but people has seen page {page_id} yet; its machine's panels come with its detection.")
    activate(connection, page_id, "layout_id", machines, source="person")  # for a person says so
    # They were done when this layout was active before; what is told of the page since is about the other.
    connection.execute(
        sa.text(
            "UPDATE job SET fingerprint = concat(fingerprint, ' overtaken ', id) "
            "WHERE id = ANY(:ids) AND fingerprint NOT LIKE '% overtaken %'"
        ),
        {"ids": [job["id"] for job in ended]},
    )
    # Another detector may be in use since: it was not asked about this page while a person's word stood.
    return _plan(connection, configured, page_id, ["detect", *following])


def _held(connection: sa.Connection, page_id: int) -> Row:
    """The page with what is active of it, its row held until the transaction ends."""
    connection.execute(sa.text("SELECT FROM page WHERE id = :id FOR NO KEY UPDATE"), {"id": page_id})
    # In a statement of its own: one that waited would tell what was active before it waited.
    page = row(connection, PAGE, id=page_id)
    if page is None:
        raise NotFound(f"There is no page {page_id}; GET /comics/{{id}}/pages lists a comic's pages.")
    if page["state"] != "ok":
        raise Reject(f"Page {page_id} could not be read and has no panels: {page['error']}")
    if page["hidden"] is not None:
        raise Conflict(f"Page {page_id} is hidden and not worked on; show it before you correct it.")
    return page


def _require_seen(connection: sa.Connection, page: Row, based_on: int | None, *, force: bool) -> None:
    if based_on is None or based_on == page["layout_id"]:
        return
    seen = row(
        connection, "SELECT image_sha256 FROM layout WHERE id = :id AND page_id = :page", id=based_on, page=page["id"]
    )
    if seen is None:
        raise Reject(f"Page {page['id']} has no layout {based_on}; GET /layouts?page_id= lists those it has.")
    if seen["image_sha256"] not in (None, page["image_sha256"]):
        raise Reject(
            f"Page {page['id']} has another image since layout {based_on}, and boxes on the old one say nothing about "
            "it: open the page again."
        )
    if page["source"] == "person" and not force:
        raise Conflict(
            f"{page['author'] or SOMEBODY} has corrected page {page['id']} since layout {based_on}: look at layout "
            f"{page['layout_id']} first, or send `force` to replace it."
        )


def _following(configured: Settings) -> list[str]:
    """Text follows the new panels by geometry, vectors follow the text; what was paid for is never asked again."""
    return ["read", "align"] if configured.read == "boxes" else ["align"]


def _plan(connection: sa.Connection, configured: Settings, page_id: int, names: list[str]) -> dict[str, int]:
    planned = {name: jobs.plan(connection, STAGES[name], configured, subjects=[page_id]) for name in names}
    return {name: count for name, count in planned.items() if count}
