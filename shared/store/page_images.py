"""The bytes of a page image, wherever they are: a blob, the cache, or the user's file, which stays where it is."""

import os
from hashlib import sha256 as hash_of
from itertools import islice
from pathlib import Path

from shared.errors import NotFound, Reject
from shared.files.children import ChildLost, Children, children_of
from shared.files.containers import Limits
from shared.files.originals import Stamp, changed, request_for, require_unchanged
from shared.settings import Settings
from shared.store.blobs import get_blob, storage_of
from shared.store.cache import FileCache, cache_of
from shared.store.db import Row, rows, unit_of_work

READ = "shared.files.originals:page_bytes"
MOST_PLACES, TRIED = 1000, 5  # comics that may share a page: originals looked for, and those of them that are opened
AHEAD = 32  # pages unpacked beyond the one asked for where each costs the unpacking of all before it


def limits_of(configured: Settings) -> Limits:
    """What one comic may cost, as configured."""
    return Limits(drawn_pixels=configured.pdf_pixels)


def page_image(configured: Settings, sha256: str | None) -> bytes:
    """The bytes of the page image with this hash; an unreadable page has None.

    Raises `NotFound` when nothing has it, or the original that had it is gone; `Conflict` when that has changed.
    """
    if sha256 is None:
        raise NotFound("The page could not be read; it has no image.")
    try:
        return get_blob(storage_of(configured), sha256)
    except NotFound:
        pass
    cache = cache_of(configured)
    kept = cache.get(sha256)
    if kept is not None:
        return kept
    places = _places(configured, sha256)
    if not places:
        raise NotFound(f"No image {sha256} is kept; add its comic again.")
    there = (place for place in places if os.path.exists(place["reference"]))
    failure: Reject | None = None
    for place in list(islice(there, TRIED)) or places[:1]:
        try:
            return _read(children_of(configured), place, sha256, cache=cache, limits=limits_of(configured))
        except Reject as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _places(configured: Settings, sha256: str) -> list[Row]:
    """Pages with this image in comics whose originals stay where they are."""
    url = configured.database_url
    if url is None:
        return []
    with unit_of_work(url) as connection:
        return list(
            rows(
                connection,
                "SELECT c.reference, c.reference_mtime_ns, c.size, c.file_name, p.number, p.name "
                "FROM page p JOIN comic c ON c.id = p.comic_id WHERE p.image_sha256 = :sha256 "
                "AND c.reference IS NOT NULL ORDER BY p.id LIMIT :most",
                sha256=sha256,
                most=MOST_PLACES,
            )
        )


def _read(children: Children, place: Row, sha256: str, *, cache: FileCache, limits: Limits) -> bytes:
    """The page out of its original; its siblings that came along are cached too.

    A page is told by its hash and not by the file's time: a file that was only touched or copied still serves.
    """
    name, path = place["file_name"], Path(place["reference"])
    request = request_for(path, name=name, limits=limits, number=place["number"], ahead=AHEAD)
    wanted: bytes | None = None
    try:
        for about, data in children.call(READ, request):
            found = hash_of(data).hexdigest()
            if about["number"] == place["number"] and found == sha256:
                wanted = data
            if data:
                cache.put(found, data)
    except (Reject, ChildLost) as error:
        require_unchanged(path, name=name, stamp=Stamp(place["size"], place["reference_mtime_ns"]))
        if isinstance(error, ChildLost):
            raise Reject(f"{name}: {place['name']} {error}") from error
        raise
    if wanted is None:
        raise changed(name)
    return wanted
