"""Stage *detect*: a page's image becomes a layout, which becomes the page's active one unless a person's stands."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from services.detection.layouts import guess_direction
from shared.domain.metadata import stated_direction
from shared.domain.schema import DetectedObject, Direction, PagePanels
from shared.domain.turning import turned
from shared.errors import Reject
from shared.settings import Settings, settings
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
    from services.detection.pages_ahead import Page

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
    """Look at the pages, the next ones decoded meanwhile; then put each comic's in order and store them together."""
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
    yield from (deleted(claim) for claim in claims if claim.subject_id not in pages)
    there = [claim for claim in claims if claim.subject_id in pages]
    coming = [page_ahead(configured, pages[claim.subject_id]) for claim in there]
    comics: dict[int, list[tuple[Claim, PagePanels]]] = defaultdict(list)
    for claim, found in zip(there, detector.detect_ahead(coming), strict=True):
        if isinstance(found, Reject):
            yield Failed(claim, found)
        else:
            comics[pages[claim.subject_id]["comic_id"]].append((claim, found))
    for members in comics.values():
        siblings = sorted(members, key=by_page)  # in one order everywhere, or two workers wait for each other's rows
        # The lettering of the whole comic decides, as far as it has been seen: one page is weak evidence.
        first = pages[siblings[0][0].subject_id]
        known = [stored_objects(one) for one in first["known"] or []]
        stated = stated_direction(first["direction"], first["language"], usual=configured.direction)
        way = Direction(stated) if stated else guess_direction([*(found.objects for _, found in siblings), *known])

        def store(
            connection: sa.Connection, siblings: list[tuple[Claim, PagePanels]] = siblings, way: Direction = way
        ) -> None:
            for claim, found in siblings:
                page = claim.subject_id
                layout = add_layout(
                    connection,
                    page,
                    turned(found, way),
                    source="model",
                    checkpoint_id=checkpoint["id"],
                    job_id=claim.job_id,
                    image=pages[page]["image_sha256"],
                )
                if not turned_meanwhile(connection, pages[page]) and in_use(connection, checkpoint, page):
                    activate(connection, page, "layout_id", layout)

        yield Done([claim for claim, _ in siblings], store)


def by_page(one: tuple[Claim, PagePanels]) -> int:
    """The page that a layout is of."""
    return one[0].subject_id


def page_ahead(configured: Settings, page: Row) -> "Page":
    """A page of the database to be looked at."""
    from services.detection.pages_ahead import Page

    return Page(page["name"], partial(page_image, configured, page["image_sha256"]))


def turned_meanwhile(connection: sa.Connection, page: Row) -> bool:
    """Whether somebody has said meanwhile that the comic is read the other way: then a newer job detects the page."""
    now = row(connection, "SELECT direction, language FROM comic WHERE id = :id", id=page["comic_id"])
    ways = {stated_direction(said["direction"], said["language"], usual="auto") for said in (page, now) if said}
    return len(ways) > 1


def in_use(connection: sa.Connection, checkpoint: Row, page_id: int) -> bool:
    """Whether the detector is still the active one: if another took over meanwhile, a newer job detects the page."""
    # A promotion that shows this page another layout holds it until its end: whoever looked earlier would not see it.
    connection.execute(sa.text("SELECT FROM page WHERE id = :page FOR NO KEY UPDATE"), {"page": page_id})
    return row(connection, "SELECT FROM checkpoint WHERE id = :id AND active", id=checkpoint["id"]) is not None


def stored_objects(kept: list[Any]) -> list[DetectedObject]:
    """The other objects of a stored layout."""
    return [DetectedObject.model_validate(found) for found in kept]
