"""Stage *detect*: a page's image becomes a layout, which becomes the page's active one unless a person's stands."""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from services.detection.layouts import arrange, guess_direction
from shared.domain.pictures import Picture, decode
from shared.domain.schema import DetectedObject, Direction, PagePanels
from shared.errors import Reject
from shared.settings import settings
from shared.store import checkpoints
from shared.store.active import activate
from shared.store.blobs import get_blob, storage_of
from shared.store.db import row, rows, unit_of_work
from shared.work.jobs import Claim
from shared.work.stages import Done, Failed, database_url, stage

if TYPE_CHECKING:
    from services.detection.detector import Detector

EVIDENCE = 20  # pages of a comic whose lettering tells its reading direction


@lru_cache(maxsize=1)  # a promotion replaces it: two models need not stay in memory
def loaded(key: str, device: str) -> "Detector":
    """The detector of a checkpoint, loaded once in a process."""
    # Here, for it brings torch: the process that hands out work, and an API that only reads tables, need none.
    from services.detection.detector import Detector
    from shared.nn.device import pick_device

    return Detector(checkpoints.local_folder(storage_of(settings()), key), device=pick_device(device))


@stage("detect")
def detect(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
    """Decode the batch, see it at once, then lay out and finish page by page."""
    configured = settings()
    storage = storage_of(configured)
    with unit_of_work(database_url()) as connection:
        checkpoint = checkpoints.active(connection, "detector")
        found_pages = rows(
            connection,
            "SELECT p.id, p.comic_id, p.image_sha256, p.name, c.direction, (SELECT json_agg(l.objects) FROM "
            "(SELECT l.objects FROM page o JOIN layout l ON l.id = o.layout_id WHERE o.comic_id = p.comic_id "
            "ORDER BY o.number LIMIT :evidence) l) AS known "
            "FROM page p JOIN comic c ON c.id = p.comic_id WHERE p.id = ANY(:ids)",
            ids=[claim.subject_id for claim in claims],
            evidence=EVIDENCE,
        )
    pages = {page["id"]: page for page in found_pages}
    detector = loaded(checkpoint["key"], configured.device)
    images: dict[int, Picture] = {}
    for claim in claims:
        page = pages[claim.subject_id]
        try:
            images[claim.subject_id] = decode(get_blob(storage, page["image_sha256"]), name=page["name"])
        except Reject as error:
            yield Failed(claim, error)
    seen = dict(zip(images, detector.see(list(images.values())), strict=True))
    for claim in (claim for claim in claims if claim.subject_id in images):
        page = pages[claim.subject_id]
        height, width = images[claim.subject_id].shape[:2]
        wanted = page["direction"] or configured.direction
        if wanted == "auto":
            # The lettering of the whole comic decides, as far as it has been seen: one page is weak evidence.
            siblings = [found for id_, found in seen.items() if pages[id_]["comic_id"] == page["comic_id"]]
            direction = guess_direction([*siblings, *(stored_objects(known) for known in page["known"] or [])])
        else:
            direction = Direction(wanted)
        found = arrange(seen[claim.subject_id], width=width, height=height, direction=direction)

        def store(connection: sa.Connection, claim: Claim = claim, found: PagePanels = found) -> None:
            layout = add_layout(
                connection, claim.subject_id, found, source="model", checkpoint_id=checkpoint["id"], job_id=claim.job_id
            )
            activate(connection, claim.subject_id, "layout_id", layout)

        yield Done([claim], store)


def stored_objects(kept: list[Any]) -> list[DetectedObject]:
    """The other objects of a stored layout."""
    return [DetectedObject.model_validate(found) for found in kept]


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
