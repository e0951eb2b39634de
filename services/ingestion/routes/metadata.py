"""REST of what is said about a comic: `/comics/{id}/metadata`, and a person's edit."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path

from services.ingestion.records.describing import edit, merge_comic, metadata_of, plan_turned, put_record
from services.ingestion.views import comic_of
from shared.domain.answers import ComicView
from shared.domain.metadata import ComicMetadata, Metadata, MetadataChanges, MetadataRecord
from shared.http.app import Configured, Database
from shared.store.db import unit_of_work
from shared.work.broker import wake

router = APIRouter()
Id = Annotated[int, Path(ge=1, description="id")]


@router.patch("/comics/{comic_id}", tags=["comics"], summary="Say what a comic is")
def edit_comic(comic_id: Id, changes: MetadataChanges, url: Database, configured: Configured) -> ComicView:
    """A field that is sent outranks every record and survives reading the file again; null takes it back.

    Another reading direction detects the pages anew; what was made of the other order stays kept, inactive.
    """
    planned: dict[str, int] = {}
    with unit_of_work(url) as connection:
        edit(connection, comic_id, changes)
        if merge_comic(connection, comic_id):
            planned = plan_turned(connection, comic_id, configured)
        shown = comic_of(connection, comic_id)
    wake(planned)
    return shown


@router.get("/comics/{comic_id}/metadata", tags=["comics"], summary="All that is said about a comic")
def get_metadata(comic_id: Id, url: Database) -> ComicMetadata:
    """Every record with what was wrong with it, what they come to together, and where the comic's file lies."""
    with unit_of_work(url) as connection:
        return metadata_of(connection, comic_id)


@router.put("/comics/{comic_id}/metadata/{origin}", tags=["comics"], summary="State a record about a comic")
def put_metadata(
    comic_id: Id,
    origin: Literal["calibre", "folder", "command line"],
    stated: Metadata,
    url: Database,
    configured: Configured,
) -> ComicMetadata:
    """In place of the record that the origin had; an empty one takes it back. A person's word still outranks it."""
    planned: dict[str, int] = {}
    with unit_of_work(url) as connection:
        put_record(connection, comic_id, MetadataRecord(origin=origin, fields=stated))
        if merge_comic(connection, comic_id):
            planned = plan_turned(connection, comic_id, configured)
        shown = metadata_of(connection, comic_id)
    wake(planned)
    return shown
