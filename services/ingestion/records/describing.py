"""What is said about a comic as rows: a record of each origin, the comic's merged columns, and the panels it states."""

import json
from collections.abc import Mapping

import sqlalchemy as sa

from services.ingestion.describing import Description
from services.ingestion.metadata.merging import merge, tidy_title
from services.ingestion.records.truths import store_truths, turn_truths
from services.ingestion.records.turning import turn_drawn
from shared.domain.metadata import (
    ORIGINS,
    OWN_ORIGINS,
    ComicMetadata,
    Metadata,
    MetadataChanges,
    MetadataRecord,
    stated_direction,
)
from shared.domain.pipeline import STAGES
from shared.errors import NotFound
from shared.settings import Settings
from shared.store.db import Row, row, rows
from shared.work import jobs

COLUMNS = ("title", "series", "number", "volume", "year", "language", "publisher", "direction")
DEFAULTS = {"source": "upload", "collection": ""}
# Jobs that have begun keep their outputs and give their fingerprint up, so that the page can be planned again even
# when the direction comes back that it had before; those that have not are of no use any more.
REDETECT = (
    "DELETE FROM job WHERE stage = 'detect' AND comic_id = :comic AND state IN ('queued', 'failed', 'blocked')",
    "UPDATE job SET fingerprint = concat(fingerprint, ' overtaken ', id) "
    "WHERE stage = 'detect' AND comic_id = :comic AND fingerprint NOT LIKE '% overtaken %'",
)


def store_description(
    connection: sa.Connection, comic_id: int, description: Description, page_ids: Mapping[int, int]
) -> None:
    """Write what the comic's file says, in place of what it said before; records of other origins stay.

    `page_ids` are the pages' ids by number.
    """
    _lock(connection, comic_id)
    connection.execute(
        sa.text("DELETE FROM comic_metadata WHERE comic_id = :comic AND origin = ANY(:own)"),
        {"comic": comic_id, "own": list(OWN_ORIGINS)},
    )
    for record in description.records:
        _write(connection, comic_id, record)
    merge_comic(connection, comic_id)
    store_truths(connection, comic_id, description.truths, page_ids)


def put_record(connection: sa.Connection, comic_id: int, record: MetadataRecord) -> None:
    """Write one record in place of the one that its origin had; one that says nothing takes that back.

    Call `merge_comic` after the last. NotFound names the comic.
    """
    _lock(connection, comic_id)
    _write(connection, comic_id, record)


def edit(connection: sa.Connection, comic_id: int, changes: MetadataChanges) -> None:
    """Put the fields that were sent into a person's record; null takes the person's word back. NotFound."""
    _lock(connection, comic_id)
    kept = next((r for r in records_of(connection, comic_id) if r.origin == "person"), None)
    said = kept.fields.stated() if kept is not None else {}
    sent = changes.model_dump(exclude_unset=True)
    fields = {name: value for name, value in {**said, **sent}.items() if value is not None}
    _write(connection, comic_id, MetadataRecord(origin="person", fields=Metadata(**fields)))


def merge_comic(connection: sa.Connection, comic_id: int) -> bool:
    """Merge a comic's records into its row; whether its pages are read the other way now and detected anew.

    The caller then calls `plan_turned`; ingestion plans what follows it anyway. NotFound names the comic.
    """
    before = _lock(connection, comic_id)
    merged, origins = merge(records_of(connection, comic_id))
    columns = {name: getattr(merged, name) for name in COLUMNS}
    if columns["title"] is None:
        columns["title"] = tidy_title(before["file_name"])
    for name, otherwise in DEFAULTS.items():
        columns[name] = getattr(merged, name) or otherwise
    connection.execute(
        sa.text(
            f"UPDATE comic SET {', '.join(f'{name} = :{name}' for name in columns)}, "
            "details = CAST(:details AS jsonb), origins = CAST(:origins AS jsonb) WHERE id = :id"
        ),
        {
            **columns,
            "details": json.dumps(merged.stated()),
            "origins": json.dumps(origins),
            "id": comic_id,
        },
    )
    ways = {stated_direction(said["direction"], said["language"], usual="auto") for said in (before, columns)}
    turned = len(ways) > 1
    if turned:
        for statement in REDETECT:
            connection.execute(sa.text(statement), {"comic": comic_id})
        turn_truths(connection, comic_id)
        turn_drawn(connection, comic_id)
    return turned


def records_of(connection: sa.Connection, comic_id: int) -> list[MetadataRecord]:
    """The records of a comic, the one that outranks all first."""
    found = rows(connection, "SELECT * FROM comic_metadata WHERE comic_id = :id", id=comic_id)
    records = [
        MetadataRecord(origin=one["origin"], fields=Metadata(**one["fields"]), warnings=one["warnings"])
        for one in found
    ]
    return sorted(records, key=lambda record: ORIGINS.index(record.origin))


def plan_turned(connection: sa.Connection, comic_id: int, configured: Settings) -> dict[str, int]:
    """Plan what has to be done again for a comic that is read the other way now; the jobs to wake workers for."""
    pages = [int(page["id"]) for page in rows(connection, "SELECT id FROM page WHERE comic_id = :id", id=comic_id)]
    planned = {name: jobs.plan(connection, STAGES[name], configured, subjects=pages) for name in ("detect", "align")}
    return {name: count for name, count in planned.items() if count}


def metadata_of(connection: sa.Connection, comic_id: int) -> ComicMetadata:
    """All that is said about a comic; NotFound names it."""
    comic = row(connection, "SELECT id, details, origins FROM comic WHERE id = :id", id=comic_id)
    if comic is None:
        raise _missing(comic_id)
    files = rows(connection, "SELECT location FROM source_file WHERE comic_id = :id ORDER BY location", id=comic_id)
    return ComicMetadata(
        comic_id=comic_id,
        merged=Metadata(**comic["details"]),
        origins=comic["origins"],
        records=records_of(connection, comic_id),
        files=[file["location"] for file in files],
    )


def _write(connection: sa.Connection, comic_id: int, record: MetadataRecord) -> None:
    stated = record.fields.stated()
    if not stated and not record.warnings:
        connection.execute(
            sa.text("DELETE FROM comic_metadata WHERE comic_id = :comic AND origin = :origin"),
            {"comic": comic_id, "origin": record.origin},
        )
        return
    connection.execute(
        sa.text(
            "INSERT INTO comic_metadata (comic_id, origin, fields, warnings) "
            "VALUES (:comic, :origin, CAST(:fields AS jsonb), CAST(:warnings AS jsonb)) "
            "ON CONFLICT (comic_id, origin) DO UPDATE SET fields = EXCLUDED.fields, warnings = EXCLUDED.warnings"
        ),
        {
            "comic": comic_id,
            "origin": record.origin,
            "fields": json.dumps(stated),
            "warnings": json.dumps(record.warnings),
        },
    )


def _lock(connection: sa.Connection, comic_id: int) -> Row:
    """The comic's row, held until the transaction ends: its records are read and written by one at a time."""
    comic = row(
        connection,
        "SELECT file_name, direction, language FROM comic WHERE id = :id FOR NO KEY UPDATE",
        id=comic_id,
    )
    if comic is None:
        raise _missing(comic_id)
    return comic


def _missing(comic_id: int) -> NotFound:
    return NotFound(f"There is no comic {comic_id}; GET /comics lists those there are.")
