"""Stage *detect*: a page's image becomes a layout, which becomes the page's active one unless a person's stands."""

import json
from collections.abc import Iterator, Sequence
from functools import cache

import sqlalchemy as sa

from services.detection.detector import Detector, decode
from shared.domain.schema import Direction, PagePanels
from shared.errors import Reject
from shared.settings import settings
from shared.store import checkpoints
from shared.store.blobs import get_blob, storage_of
from shared.store.db import row, rows, unit_of_work
from shared.work.jobs import Claim
from shared.work.stages import Done, Failed, database_url, stage


@cache
def loaded(key: str, device: str) -> Detector:
    """The detector of a checkpoint, loaded once in a process."""
    loaded.cache_clear()  # a promotion replaces it: never two models in memory
    return Detector(checkpoints.local_folder(storage_of(settings()), key), device=device)


@stage("detect")
def detect(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
    """Decode and detect page by page, so that each is finished as soon as it is."""
    configured = settings()
    storage = storage_of(configured)
    with unit_of_work(database_url()) as connection:
        checkpoint = checkpoints.active(connection, "detector")
        pages = rows(
            connection,
            "SELECT p.id, p.image_sha256, p.name, c.direction FROM page p JOIN comic c ON c.id = p.comic_id "
            "WHERE p.id = ANY(:ids)",
            ids=[claim.subject_id for claim in claims],
        )
    detector = loaded(checkpoint["key"], configured.device)
    by_id = {page["id"]: page for page in pages}
    for claim in claims:
        page = by_id[claim.subject_id]
        try:
            image = decode(get_blob(storage, page["image_sha256"]), name=page["name"])
        except Reject as error:
            yield Failed(claim, error)
            continue
        wanted = page["direction"] or configured.direction
        direction = None if wanted == "auto" else Direction(wanted)
        found = detector.detect([image], direction=direction)[0]

        def store(connection: sa.Connection, claim: Claim = claim, found: PagePanels = found) -> None:
            layout = add_layout(
                connection, claim.subject_id, found, source="model", checkpoint_id=checkpoint["id"], job_id=claim.job_id
            )
            activate_layout(connection, claim.subject_id, layout)

        yield Done([claim], store)


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


def activate_layout(connection: sa.Connection, page_id: int, layout_id: int) -> None:
    """Make a model's layout the page's active one, unless an import's or a person's is: those outrank it."""
    connection.execute(
        sa.text(
            "UPDATE page SET layout_id = :layout WHERE id = :page AND NOT EXISTS "
            "(SELECT FROM layout l WHERE l.id = page.layout_id AND l.source <> 'model')"
        ),
        {"layout": layout_id, "page": page_id},
    )
