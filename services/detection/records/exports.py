"""Active layouts as a COCO file, a slice of the pages at a time."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from services.detection.exchange.coco import written
from shared.domain.coco import NUMBERS
from shared.errors import NotFound
from shared.store.db import Row, rows, unit_of_work

SLICE = 500  # layouts in memory at once
IMAGES = """
    SELECT p.id, p.comic_id, p.number, p.name, p.width, p.height, p.image_sha256, l.id AS layout_id, l.source, l.kind,
           l.reason, l.direction, l.author, c.file_name
    FROM page p JOIN layout l ON l.id = p.layout_id JOIN comic c ON c.id = p.comic_id
    WHERE (CAST(:comics AS bigint[]) IS NULL OR p.comic_id = ANY(:comics))
      AND (p.comic_id, p.number) > (:comic, :number)
    ORDER BY p.comic_id, p.number LIMIT :limit"""
LAYOUTS = """
    SELECT l.id, l.page_id, l.objects,
           (SELECT json_agg(json_build_array(n.x, n.y, n.w, n.h, n.score) ORDER BY n.position)
            FROM panel n WHERE n.layout_id = l.id) AS panels
    FROM layout l WHERE l.id = ANY(:ids) ORDER BY l.page_id"""


def exported(url: str, comics: Sequence[int]) -> Iterator[bytes]:
    """A COCO file with the active layout of every page of these comics, or of all comics where none is named.

    Every page is an image with its `source`, `direction` and the `sha256` of its bytes; panels have their
    `reading_order`. Whatever becomes active while it is written, annotations belong to the images that are listed.
    Raises `NotFound` for a comic that is not there, before anything is written.
    """
    with unit_of_work(url) as connection:
        there = {comic["id"] for comic in rows(connection, "SELECT id FROM comic WHERE id = ANY(:ids)", ids=[*comics])}
    for comic in comics:
        if comic not in there:
            raise NotFound(f"There is no comic {comic}; GET /comics lists them.")
    listed = array("q")
    return written(_images(url, list(comics) or None, listed), _annotations(url, listed))


def _images(url: str, comics: list[int] | None, listed: "array[int]") -> Iterator[dict[str, Any]]:
    """Every page as an image; the ids of their layouts go to `listed`."""
    comic, number = 0, -1
    while True:
        with unit_of_work(url) as connection:
            found = rows(connection, IMAGES, comics=comics, comic=comic, number=number, limit=SLICE)
        for page in found:
            listed.append(page["layout_id"])
            yield _image(page)
        if len(found) < SLICE:
            return
        comic, number = found[-1]["comic_id"], found[-1]["number"]


def _image(page: Row) -> dict[str, Any]:
    told = {name: page[name] for name in ("reason", "author") if page[name] is not None}
    return {
        "id": page["id"],
        "file_name": f"{page['file_name']}/{page['name']}",
        "width": page["width"],
        "height": page["height"],
        "sha256": page["image_sha256"],
        "comic_id": page["comic_id"],
        "number": page["number"],
        "layout_id": page["layout_id"],
        "source": page["source"],
        "direction": page["direction"],
        "kind": page["kind"],
        **told,
    }


def _annotations(url: str, listed: "array[int]") -> Iterator[dict[str, Any]]:
    """Panels in reading order, then the other objects, of every listed layout; one that is gone meanwhile has none."""
    number = 0
    for start in range(0, len(listed), SLICE):
        with unit_of_work(url) as connection:
            layouts = rows(connection, LAYOUTS, ids=list(listed[start : start + SLICE]))
        for layout in layouts:
            for place, (*box, score) in enumerate(layout["panels"] or ()):
                number += 1
                yield {**_annotation(number, layout["page_id"], "panel", box, score), "reading_order": place}
            for seen in layout["objects"]:
                number += 1
                yield _annotation(number, layout["page_id"], seen["label"], seen["box"], seen["score"])


def _annotation(number: int, page: int, label: Any, box: Sequence[float], score: float) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": page,
        "category_id": NUMBERS[label],
        "bbox": list(box),
        "area": box[2] * box[3],
        "iscrowd": 0,
        "score": score,
    }
