"""Comics on their way in, as rows: the comic, the places it was added from, and which files are known already."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import sqlalchemy as sa

from services.ingestion.records.describing import merge_comic, put_record, records_of
from services.ingestion.views import COMIC, comic_view
from shared.domain.arrivals import Arrival, KnownFile, Shelf, SourceFile
from shared.domain.metadata import Metadata, MetadataRecord
from shared.domain.pipeline import STAGES
from shared.errors import Retry
from shared.files.originals import Stamp
from shared.settings import Settings
from shared.store.blobs import claim_blobs, storage_of
from shared.store.db import Row, row, rows
from shared.work import jobs

LONGEST_ERROR = 2000
READER = 1  # raise it with a release that reads more: what was refused before is then sent again


@dataclass(frozen=True, slots=True, kw_only=True)
class NewComic:
    """What a comic is, before it has a number. `reference` is its original where that stays where it is."""

    sha256: str
    name: str
    size: int
    media_type: str
    reference: str | None = None
    reference_mtime_ns: int | None = None


class Entry(NamedTuple):
    """A comic that has come in: `new` when it was not there before, `due` when there is work on it."""

    comic_id: int
    new: bool
    due: bool


def enter_comic(connection: sa.Connection, configured: Settings, comic: NewComic) -> Entry:
    """Insert a comic with its ingest job, unless one with these bytes is there.

    One whose original was referred to has it from now on in our keeping when that is what came. `Retry` when its bytes
    are kept no longer: put them again.
    """
    if comic.reference is None:
        claim_blobs(connection, storage_of(configured), [comic.sha256])
    inserted = row(
        connection,
        "INSERT INTO comic (sha256, file_name, title, size, media_type, reference, reference_mtime_ns) "
        "VALUES (:sha256, :name, :title, :size, :media_type, :reference, :reference_mtime_ns) "
        "ON CONFLICT (sha256) DO NOTHING RETURNING id",
        title=PurePosixPath(comic.name).stem.replace("_", " ").strip() or comic.name,
        **asdict(comic),
    )
    if inserted is not None:
        jobs.plan(connection, STAGES["ingest"], configured, subjects=[inserted["id"]])
        return Entry(int(inserted["id"]), new=True, due=True)
    known = comic_with(connection, comic.sha256)
    if known is None:
        raise Retry(f"{comic.name} was being removed while it was added; add it again.", after=0.0)
    taken_over = comic.reference is None and known["reference"] is not None
    if taken_over:
        _take_over(connection, configured, known["id"], comic)
    return Entry(int(known["id"]), new=False, due=taken_over)


def _take_over(connection: sa.Connection, configured: Settings, comic_id: int, comic: NewComic) -> None:
    """The original that a comic refers to is kept by us now: its pages are read again, from there."""
    _overtake(connection, comic_id, states=["done", "running"])
    connection.execute(
        sa.text(
            "UPDATE comic SET reference = NULL, reference_mtime_ns = NULL, size = :size, media_type = :media_type "
            "WHERE id = :id"
        ),
        {"id": comic_id, "size": comic.size, "media_type": comic.media_type},
    )
    jobs.plan(connection, STAGES["ingest"], configured, subjects=[comic_id], again=True)


def _overtake(connection: sa.Connection, comic_id: int, *, states: Sequence[str]) -> None:
    """Let a comic's ingest jobs in these states give way to a new one: who still runs one may write nothing any more.

    Before the comic's row is touched, as whoever ends such a job does it: else the two would wait for each other.
    """
    connection.execute(
        sa.text(
            "UPDATE job SET fingerprint = concat(fingerprint, ' overtaken ', id), state = 'done', owner = NULL, "
            "lease_until = NULL, finished_at = coalesce(finished_at, now()) "
            "WHERE stage = 'ingest' AND subject_id = :id AND state = ANY(:states)"
        ),
        {"id": comic_id, "states": list(states)},
    )


def comic_with(connection: sa.Connection, sha256: str) -> Row | None:
    """The comic with these bytes."""
    return row(
        connection,
        "SELECT id, media_type, size, reference, reference_mtime_ns FROM comic WHERE sha256 = :sha256",
        sha256=sha256,
    )


def move_original(
    connection: sa.Connection, configured: Settings, comic_id: int, *, original: Path, stamp: Stamp
) -> None:
    """An original whose place is lost lies elsewhere now; what failed for want of it, or soon will, is tried again."""
    _overtake(connection, comic_id, states=["running"])
    connection.execute(
        sa.text("UPDATE comic SET reference = :path, reference_mtime_ns = :mtime_ns, size = :size WHERE id = :id"),
        {"id": comic_id, "path": str(original), "mtime_ns": stamp.mtime_ns, "size": stamp.size},
    )
    jobs.plan(connection, STAGES["ingest"], configured, subjects=[comic_id], again=True)


def welcome(
    connection: sa.Connection, comic_id: int, shelf: Shelf, *, place: SourceFile | None, new: bool = False
) -> Arrival:
    """Note where a comic came from and where a person puts it; the comic, with another place it was added from.

    `Retry` when it is being removed.
    """
    if not _stays(connection, comic_id):
        raise Retry("The comic was being removed while it was added; add it again.", after=0.0)
    if place is not None:
        note_place(connection, place, comic_id=comic_id)
    put_on_shelf(connection, comic_id, shelf, new=new)
    found = row(connection, f"{COMIC} WHERE c.id = :id", id=comic_id)
    assert found is not None
    other = None if new else _other_place(connection, comic_id, place)
    return Arrival(**comic_view(found).model_dump(), new=new, same_as=other)


def put_on_shelf(connection: sa.Connection, comic_id: int, shelf: Shelf, *, new: bool) -> None:
    """What a person said of a comic counts; the folder it lies in only of the first place it came from."""
    said = shelf.model_dump(include={"collection", "source"}, exclude_none=True)
    if said and _stays(connection, comic_id):
        before = [] if new else records_of(connection, comic_id)
        kept = next((record.fields.stated() for record in before if record.origin == "command line"), {})
        if kept == kept | said:
            return
        put_record(connection, comic_id, MetadataRecord(origin="command line", fields=Metadata(**kept | said)))
    if new and shelf.folder:
        put_record(connection, comic_id, MetadataRecord(origin="folder", fields=Metadata(collection=shelf.folder)))
    if said or (new and shelf.folder):
        merge_comic(connection, comic_id)


def _stays(connection: sa.Connection, comic_id: int) -> bool:
    """Whether a comic is there; if so, it is until the transaction ends."""
    return row(connection, "SELECT id FROM comic WHERE id = :id FOR KEY SHARE", id=comic_id) is not None


def _other_place(connection: sa.Connection, comic_id: int, place: SourceFile | None) -> str | None:
    other = row(
        connection,
        "SELECT location FROM source_file WHERE comic_id = :id AND location <> :location ORDER BY seen_at LIMIT 1",
        id=comic_id,
        location=place.location if place else "",
    )
    return other["location"] if other else None


def note_place(
    connection: sa.Connection, place: SourceFile, *, comic_id: int | None = None, error: str | None = None
) -> None:
    """Remember that a file is this comic, or why it was refused."""
    connection.execute(
        sa.text(
            "INSERT INTO source_file (location, size, mtime_ns, comic_id, error, reader) "
            "VALUES (:location, :size, :mtime_ns, :comic_id, :error, :reader) ON CONFLICT (location) DO UPDATE SET "
            "size = EXCLUDED.size, mtime_ns = EXCLUDED.mtime_ns, comic_id = EXCLUDED.comic_id, "
            "error = EXCLUDED.error, reader = EXCLUDED.reader, seen_at = now(), "
            "aside = source_file.aside AND source_file.comic_id IS NOT DISTINCT FROM EXCLUDED.comic_id"
        ),
        {
            "location": place.location,
            "size": place.size,
            "mtime_ns": place.mtime_ns,
            "comic_id": comic_id,
            "error": error[:LONGEST_ERROR] if error else None,
            "reader": READER if error else None,
        },
    )


def known_files(connection: sa.Connection, files: Sequence[SourceFile]) -> list[KnownFile]:
    """What is known of each file: unchanged in its place, or told by the hash that came with it.

    A refusal by another release's reader is none.
    """
    found = rows(
        connection,
        "SELECT s.comic_id, s.error FROM unnest(CAST(:locations AS text[]), CAST(:sizes AS bigint[]), "
        "CAST(:times AS bigint[])) WITH ORDINALITY AS f(location, size, mtime_ns, n) "
        "LEFT JOIN source_file s ON s.location = f.location AND s.size = f.size AND s.mtime_ns = f.mtime_ns "
        "AND (s.error IS NULL OR s.reader = :reader) ORDER BY n",
        locations=[file.location for file in files],
        sizes=[file.size for file in files],
        times=[file.mtime_ns for file in files],
        reader=READER,
    )
    known = [KnownFile(comic_id=one["comic_id"], error=one["error"]) for one in found]
    hashes = {file.sha256 for file in files if file.sha256}
    if not hashes:
        return known
    same = rows(
        connection,
        "SELECT sha256, id FROM comic WHERE sha256 = ANY(:hashes) ORDER BY id FOR KEY SHARE",
        hashes=sorted(hashes),
    )
    comics = {one["sha256"]: int(one["id"]) for one in same}
    for number, file in enumerate(files):
        if file.sha256 is None:
            continue
        known[number] = KnownFile(comic_id=comics.get(file.sha256))
        if file.sha256 in comics:
            note_place(connection, file, comic_id=comics[file.sha256])
    return known
