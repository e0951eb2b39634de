"""A detector takes over: pages whose panels nobody has stated are detected anew, and show the old panels until then.

Nothing is undone: old layouts stay, inactive, and where the new detector has laid out a page before, say before it was
rolled back, that layout is shown again at once. Text is aligned to it anew, and nobody is paid for it. When a release
brings a new detector, pages wait until somebody asks: a large library takes days.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from shared.domain.pipeline import STAGES
from shared.errors import Conflict
from shared.settings import Settings
from shared.store import checkpoints
from shared.store.db import Row, row, rows
from shared.work import jobs

OPEN = """
    SELECT p.id FROM page p LEFT JOIN layout l ON l.id = p.layout_id
    WHERE p.state = 'ok' AND p.hidden IS NULL AND (l.id IS NULL OR l.source = 'model') ORDER BY p.id"""
# Pages that show what an earlier detector saw, and that nobody is about to look at.
OUTDATED = """
    FROM page p JOIN layout l ON l.id = p.layout_id JOIN checkpoint k ON k.kind = 'detector' AND k.active
    WHERE p.state = 'ok' AND p.hidden IS NULL AND l.source = 'model' AND l.checkpoint_id IS DISTINCT FROM k.id
      AND NOT EXISTS (SELECT FROM job j WHERE j.stage = 'detect' AND j.subject_id = p.id
                      AND j.state IN ('queued', 'running', 'blocked'))"""
UNBEGUN = "DELETE FROM job WHERE stage = 'detect' AND subject_id = ANY(:pages) AND state IN ('queued', 'blocked')"
# Of these pages the newest layout that the detector made of the present image, for the way in which the comic is read
# now: a job gives its fingerprint up when that changes. Pages that it looks at anew wait for what it says now.
KNOWN = """
    SELECT DISTINCT ON (l.page_id) l.page_id, l.id FROM layout l JOIN job j ON j.id = l.job_id
    JOIN page p ON p.id = l.page_id AND p.image_sha256 = l.image_sha256
    WHERE l.page_id = ANY(:pages) AND l.checkpoint_id = :target AND l.source = 'model'
      AND j.fingerprint NOT LIKE '% overtaken %'
      AND NOT EXISTS (SELECT FROM job o WHERE o.stage = 'detect' AND o.subject_id = l.page_id AND o.state = 'queued')
    ORDER BY l.page_id, l.id DESC"""
# What was aligned to a layout once is aligned to it again: since then the page's alignment was of another.
REALIGN = """
    UPDATE job SET fingerprint = concat(fingerprint, ' overtaken ', id) WHERE id IN (
        SELECT id FROM job WHERE stage = 'align' AND subject_id = ANY(:pages) AND state = 'done'
          AND fingerprint NOT LIKE '% overtaken %' ORDER BY id FOR UPDATE)"""
HOLD = "SELECT FROM page WHERE id = ANY(:pages) ORDER BY id FOR NO KEY UPDATE"
SHOW = f"""
    UPDATE page SET layout_id = k.id FROM ({KNOWN}) k
    WHERE page.id = k.page_id AND layout_id IS DISTINCT FROM k.id
      AND NOT EXISTS (SELECT FROM layout now WHERE now.id = page.layout_id AND now.source <> 'model')"""


def switch_detector(connection: sa.Connection, configured: Settings, target: Row, *, back: bool) -> dict[str, int]:
    """Make a detector the active one and plan what it has to look at; the jobs to wake workers for.

    The caller holds the lock of promotions. `back`: it undoes an earlier promotion, and need not be better. `Conflict`
    for the detector in use, and for one that a run made and that is not better than it.
    """
    if target["active"]:
        raise Conflict(f"Checkpoint {target['id']} detects panels already.")
    previous = checkpoints.active(connection, "detector")
    if target["origin"] == "trained" and not back:
        _require_better(target, previous)
    checkpoints.activate(connection, "detector", target["id"])
    connection.execute(
        sa.text(
            "INSERT INTO promotion (checkpoint_id, previous_id, back, state, finished_at) "
            "VALUES (:target, :previous, :back, 'done', now())"
        ),
        {"target": target["id"], "previous": previous["id"], "back": back},
    )
    return _look_again(connection, configured, target["id"], [found["id"] for found in rows(connection, OPEN)])


def outdated(connection: sa.Connection) -> int:
    """How many pages show panels of an earlier detector, without a job that changes it."""
    several = row(connection, "SELECT FROM checkpoint WHERE kind = 'detector' AND NOT active LIMIT 1")
    # Where there was never another detector, the pages need no reading.
    return int(connection.execute(sa.text(f"SELECT count(*) {OUTDATED}")).scalar_one()) if several is not None else 0


def look_at_outdated(connection: sa.Connection, configured: Settings) -> dict[str, int]:
    """Plan what the detector in use has to look at for no page to be outdated; the jobs to wake workers for.

    The caller holds the lock of promotions.
    """
    pages = [found["id"] for found in rows(connection, f"SELECT p.id {OUTDATED} ORDER BY p.id")]
    return _look_again(connection, configured, checkpoints.active(connection, "detector")["id"], pages)


def _look_again(
    connection: sa.Connection, configured: Settings, detector_id: int, pages: Sequence[int]
) -> dict[str, int]:
    connection.execute(sa.text(UNBEGUN), {"pages": pages})
    detecting = jobs.plan(connection, STAGES["detect"], configured, subjects=pages, again=True)
    known = [found["page_id"] for found in rows(connection, KNOWN, pages=pages, target=detector_id)]
    # Jobs before pages, as everybody locks them.
    connection.execute(sa.text(REALIGN), {"pages": known})
    # In a statement of its own: one that waited would not see what a person has said of the page meanwhile.
    connection.execute(sa.text(HOLD), {"pages": known})
    connection.execute(sa.text(SHOW), {"pages": known, "target": detector_id})
    aligning = jobs.plan(connection, STAGES["align"], configured, subjects=known)
    return {"detect": detecting, "align": aligning}


def _require_better(target: Row, previous: Row) -> None:
    """`Conflict`, with the figures, unless the checkpoint was found better than the detector in use."""
    verdict, name = target["verdict"], f"Checkpoint {target['id']}"
    if verdict is None:
        raise Conflict(f"{name} was not measured beside the detector in use; train anew, which measures both.")
    if verdict["beside"] != previous["id"]:
        raise Conflict(
            f"{name} was measured beside checkpoint {verdict['beside']}, and checkpoint {previous['id']} is in use "
            "now; train anew, which measures both."
        )
    if not verdict["better"]:
        raise Conflict(f"{name} is not better than the detector in use. {verdict['why']}")
