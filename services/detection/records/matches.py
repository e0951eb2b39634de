"""Which page of the library each image of a file is: the queries behind `services.detection.exchange.matching`."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from services.detection.exchange.mapping import Told
from services.detection.exchange.matching import KnownPage, Match, PageFinder, called, decided, folders_of
from services.detection.exchange.stated import StatedImage
from shared.domain.likeness import SAME, likeness
from shared.domain.marks import FAR, Mark
from shared.store.db import rows

SLICE = 10_000  # ids or names asked for at once
POPULAR = 400  # pages that share a part of a mark and are looked at, the newest


def matched(
    connection: sa.Connection, images: Mapping[str, StatedImage], mapping: Mapping[str, Told]
) -> dict[str, Match]:
    """Which page each image is: as the mapping says; else by its content, where it is known; else by its path."""
    told = {key: mapping[key] for key in images if key in mapping}
    named = _pages_told(connection, [one for one in told.values() if not one.by_content])
    digests = {key: image.sha256 for key, image in images.items() if image.sha256}
    digests |= {key: one.sha256 for key, one in told.items() if one.sha256}
    same = _pages_with(connection, set(digests.values()))
    finder = PageFinder(_known_pages(connection, [image.path for image in images.values()]))
    matches: dict[str, Match] = {}
    for key, image in images.items():
        one = told.get(key)
        if one is not None and not one.by_content:
            matches[key] = decided(named.get(one, []), "mapping")
            continue
        match = decided(same.get(digests.get(key, ""), []), "content")
        if match.how == "none" and one is not None and one.look is not None:
            match = decided(_pages_like(connection, one.look), "look")
        if match.how == "none":
            match = finder.find(image.path)
        elif match.how == "several":  # the same picture in several places: the path tells which
            by_path = finder.find(image.path)
            match = by_path if by_path.page_id in match.pages else match
        matches[key] = match
    return matches


def _known_pages(connection: sa.Connection, paths: Sequence[str]) -> list[KnownPage]:
    """The pages of every comic that a folder in these paths is called like."""
    wanted = folders_of(paths)
    found = rows(
        connection,
        "SELECT c.id, c.file_name, (SELECT array_agg(f.location) FROM source_file f WHERE f.comic_id = c.id) AS places "
        "FROM comic c",
    )
    locations = {
        comic["id"]: (comic["file_name"], *(place.partition(":")[2] for place in comic["places"] or ()))
        for comic in found
    }
    meant = [id_ for id_, places in locations.items() if any(called(place) & wanted for place in places)]
    return [
        KnownPage(page["id"], page["comic_id"], page["name"], locations[page["comic_id"]])
        for start in range(0, len(meant), SLICE)
        for page in rows(
            connection,
            "SELECT id, comic_id, name FROM page WHERE comic_id = ANY(:ids)",
            ids=meant[start : start + SLICE],
        )
    ]


def _pages_with(connection: sa.Connection, digests: Iterable[str]) -> dict[str, list[int]]:
    """Pages by the sha256 of their image."""
    known: dict[str, list[int]] = defaultdict(list)
    wanted = sorted(digests)
    for start in range(0, len(wanted), SLICE):
        for page in rows(
            connection,
            "SELECT id, image_sha256 FROM page WHERE image_sha256 = ANY(:ids) ORDER BY id",
            ids=wanted[start : start + SLICE],
        ):
            known[page["image_sha256"]].append(page["id"])
    return known


def _pages_told(connection: sa.Connection, told: Iterable[Told]) -> dict[Told, list[int]]:
    """The pages that a mapping names by id, or by comic and name."""
    wanted = set(told)
    ids = [one.page_id for one in wanted if one.page_id is not None]
    there = {page["id"] for page in rows(connection, "SELECT id FROM page WHERE id = ANY(:ids)", ids=ids)}
    found = {one: [one.page_id] for one in wanted if one.page_id in there and one.page_id is not None}
    comics = {one.comic for one in wanted if one.comic is not None}
    named: dict[tuple[str, str], list[int]] = defaultdict(list)
    for page in rows(
        connection,
        "SELECT p.id, p.name, c.file_name, c.id::text AS comic FROM page p JOIN comic c ON c.id = p.comic_id "
        "WHERE c.file_name = ANY(:names) OR c.id::text = ANY(:names) ORDER BY p.id",
        names=list(comics),
    ):
        for comic in {page["file_name"], page["comic"]} & comics:
            named[comic, page["name"]].append(page["id"])
    for one in wanted:
        if one.comic is not None and one.page is not None:
            found[one] = named.get((one.comic, one.page), [])
    return found


def _pages_like(connection: sa.Connection, look: Mark) -> list[int]:
    """Pages that are copies of the picture with this mark: their hashes are near, and their sketches say the same."""
    near = [
        page
        for page in rows(
            connection,
            "SELECT page_id, phash, sketch FROM page_mark WHERE bands && :bands ORDER BY page_id DESC LIMIT :most",
            bands=look.bands,
            most=POPULAR,
        )
        if ((page["phash"] ^ look.phash) & (1 << 64) - 1).bit_count() <= FAR
    ]
    scores = likeness([(page["sketch"], look.sketch) for page in near])
    return sorted(page["page_id"] for page, score in zip(near, scores, strict=True) if score >= SAME)
