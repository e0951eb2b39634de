"""Stage *detect*: a page's image becomes a layout, which becomes the page's active one unless a person's stands."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from services.detection.layouts import arrange, guess_direction
from shared.domain.metadata import stated_direction
from shared.domain.pictures import Picture, decode
from shared.domain.schema import DetectedObject, Direction, PagePanels
from shared.errors import Reject
from shared.settings import settings
from shared.store import checkpoints
from shared.store.active import activate
from shared.store.blobs import storage_of
from shared.store.db import Row, row, rows, unit_of_work
from shared.store.layouts import add_layout
from shared.store.page_images import page_image
from shared.work.jobs import Claim
from shared.work.stages import Done, Failed, database_url, deleted, stage

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
    with unit_of_work(database_url()) as connection:
        checkpoint = checkpoints.active(connection, "detector")
        found_pages = rows(
            connection,
            "SELECT p.id, p.comic_id, p.image_sha256, p.name, c.direction, c.language, "
            "(SELECT json_agg(l.objects) FROM "
            "(SELECT l.objects FROM page o JOIN layout l ON l.id = o.layout_id WHERE o.comic_id = p.comic_id "
            "AND l.source = 'model' ORDER BY o.number LIMIT :evidence) l) AS known "
            "FROM page p JOIN comic c ON c.id = p.comic_id WHERE p.id = ANY(:ids)",
            ids=[claim.subject_id for claim in claims],
            evidence=EVIDENCE,
        )
    pages = {page["id"]: page for page in found_pages}
    detector = loaded(checkpoint["key"], configured.device)
    images: dict[int, Picture] = {}
    for claim in claims:
        if claim.subject_id not in pages:
            yield deleted(claim)
            continue
        page = pages[claim.subject_id]
        try:
            images[claim.subject_id] = decode(page_image(configured, page["image_sha256"]), name=page["name"])
        except Reject as error:
            yield Failed(claim, error)
    seen = dict(zip(images, detector.see(list(images.values())), strict=True))
    for claim in (claim for claim in claims if claim.subject_id in images):
        page = pages[claim.subject_id]
        height, width = images[claim.subject_id].shape[:2]
        stated = stated_direction(page["direction"], page["language"], usual=configured.direction)
        if stated is None:
            # The lettering of the whole comic decides, as far as it has been seen: one page is weak evidence.
            siblings = [found for id_, found in seen.items() if pages[id_]["comic_id"] == page["comic_id"]]
            direction = guess_direction([*siblings, *(stored_objects(known) for known in page["known"] or [])])
        else:
            direction = Direction(stated)
        found = arrange(seen[claim.subject_id], width=width, height=height, direction=direction)

        def store(connection: sa.Connection, claim: Claim = claim, found: PagePanels = found, page: Row = page) -> None:
            layout = add_layout(
                connection, claim.subject_id, found, source="model", checkpoint_id=checkpoint["id"], job_id=claim.job_id
            )
            if not turned(connection, page):
                activate(connection, claim.subject_id, "layout_id", layout)

        yield Done([claim], store)


def turned(connection: sa.Connection, page: Row) -> bool:
    """Whether somebody has said meanwhile that the comic is read the other way: then a newer job detects the page."""
    now = row(connection, "SELECT direction, language FROM comic WHERE id = :id", id=page["comic_id"])
    ways = {stated_direction(said["direction"], said["language"], usual="auto") for said in (page, now) if said}
    return len(ways) > 1


def stored_objects(kept: list[Any]) -> list[DetectedObject]:
    """The other objects of a stored layout."""
    return [DetectedObject.model_validate(found) for found in kept]
