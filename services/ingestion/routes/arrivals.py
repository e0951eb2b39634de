"""REST of comics on their way in: `POST /comics`, and what spares a client from sending what is known."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.requests import ClientDisconnect

from services.ingestion.originals import fingerprint, original_of, still_there
from services.ingestion.reading import require_comic
from services.ingestion.records import arrivals
from services.ingestion.records.arrivals import NewComic
from services.ingestion.routes.bell import Bell
from shared.domain.arrivals import Arrival, KnownAnswer, KnownRequest, Reference, Sending, Shelf, SourceFile
from shared.domain.page_order import display_name
from shared.errors import Conflict, NotFound, Reject, Retry, Unable
from shared.files.children import children_of
from shared.files.originals import Stamp
from shared.http.app import Configured, Database
from shared.http.threads import Threads
from shared.http.uploads import UPLOAD_BODY, ReceivedFile, receive, sent_file
from shared.settings import Settings
from shared.store.blobs import put_blob_file, storage_of
from shared.store.db import Row, unit_of_work
from shared.store.page_images import limits_of

router = APIRouter()
new_comics = Bell("ingest")
# A comic is hashed and its pages are tried, as long as that takes.
looking = Threads(8, most=72, name="arrivals")


@router.post("/comics", tags=["comics"], status_code=202, openapi_extra=UPLOAD_BODY, summary="Add a comic")
async def add_comic(
    request: Request, response: Response, url: Database, configured: Configured, sending: Annotated[Sending, Query()]
) -> Arrival:
    """Stream a comic in, as a form (`curl -F file=@comic.cbz`) or as the bare body with `?filename=`.

    The file is checked before anything is kept; 202 and the new comic, or 200 and the one that has the same bytes.
    With a `location`, `POST /comics/known` knows the file from then on, also when it is refused for what is in it.
    """
    try:
        name, chunks = await sent_file(request, filename=sending.filename)
        with storage_of(configured).scratch_file() as draft:
            received = await receive(chunks, draft, limit=configured.upload_limit, name=name)
            comic, due = await looking.run(lambda: _keep(url, configured, draft, received, name, sending))
    except ClientDisconnect as cut:
        raise Reject("The upload was cut off; nothing was kept, send it again.") from cut
    return _answered(comic, response, due=due)


@router.post("/comics/known", tags=["comics"], summary="Which files are known")
def find_known(wanted: KnownRequest, url: Database) -> KnownAnswer:
    """Files that are unchanged in their place, or have the bytes of a comic, need not be sent."""
    with unit_of_work(url, durable=False) as connection:
        known = arrivals.known_files(connection, wanted.files)
        for comic_id in sorted({file.comic_id for file in known if file.comic_id is not None}):
            arrivals.put_on_shelf(connection, comic_id, wanted.shelf, new=False)
    return KnownAnswer(files=known)


@router.post("/comics/references", tags=["comics"], status_code=202, summary="Add a comic that stays where it is")
async def add_reference(reference: Reference, response: Response, url: Database, configured: Configured) -> Arrival:
    """Take a comic in without copying it: a file or a folder of images below one of COMICS_LIBRARY's folders."""
    comic, due = await looking.run(lambda: _refer(url, configured, reference))
    return _answered(comic, response, due=due)


def _answered(comic: Arrival, response: Response, *, due: bool) -> Arrival:
    if due:
        new_comics.ring()
    else:
        response.status_code = 200
    return comic


def _keep(
    url: str, configured: Settings, draft: Path, received: ReceivedFile, name: str, sending: Sending
) -> tuple[Arrival, bool]:
    """Check a file that has arrived and keep its bytes; the comic, and whether there is work on it."""
    storage, place = storage_of(configured), sending.place
    with unit_of_work(url) as connection:
        known = arrivals.comic_with(connection, received.sha256)
        if known is not None and _original_serves(known):  # its bytes need no second place
            return arrivals.welcome(connection, known["id"], sending, place=place), False
    checked = known["media_type"] if known is not None and known["reference"] is None else None
    media_type = checked or _verdict(url, configured, draft, name, place)
    comic = NewComic(sha256=received.sha256, name=name, size=received.size, media_type=media_type)
    put_blob_file(storage, received.sha256, draft)
    try:
        return _enter(url, configured, comic, sending, place)
    except Retry:  # somebody freed bytes that were there already; the draft still has them
        put_blob_file(storage, received.sha256, draft)
        return _enter(url, configured, comic, sending, place)


def _refer(url: str, configured: Settings, reference: Reference) -> tuple[Arrival, bool]:
    """Hash and check an original where it lies; the comic, and whether there is work on it."""
    name, place = display_name(reference.name), reference.place
    original = original_of(reference.path, name=name, folders=configured.library_folders)
    found = fingerprint(original, name=name)
    with unit_of_work(url) as connection:
        known = arrivals.comic_with(connection, found.sha256)
        if known is not None:
            lost = known["reference"] is not None and not _original_serves(known)
            if lost:
                arrivals.move_original(connection, configured, known["id"], original=original, stamp=found.stamp)
            return arrivals.welcome(connection, known["id"], reference, place=place), lost
    comic = NewComic(
        sha256=found.sha256,
        name=name,
        size=found.stamp.size,
        media_type=_verdict(url, configured, original, name, place),
        reference=str(original),
        reference_mtime_ns=found.stamp.mtime_ns,
    )
    return _enter(url, configured, comic, reference, place)


def _original_serves(known: Row) -> bool:
    """Whether a comic refers to an original that is where it was."""
    stamp = Stamp(known["size"], known["reference_mtime_ns"])
    return known["reference"] is not None and still_there(Path(known["reference"]), stamp)


def _enter(
    url: str, configured: Settings, comic: NewComic, shelf: Shelf, place: SourceFile | None
) -> tuple[Arrival, bool]:
    with unit_of_work(url) as connection:
        entry = arrivals.enter_comic(connection, configured, comic)
        return arrivals.welcome(connection, entry.comic_id, shelf, place=place, new=entry.new), entry.due


def _verdict(url: str, configured: Settings, path: Path, name: str, place: SourceFile | None) -> str:
    """The media type of what is a comic; a place where something else lies is remembered with the reason."""
    try:
        return require_comic(path, name=name, limits=limits_of(configured), children=children_of(configured))
    except Reject as error:
        # What went or changed meanwhile, or needs what this machine lacks, may be a comic all the same.
        if place is not None and not isinstance(error, NotFound | Conflict | Unable):
            with unit_of_work(url) as connection:
                arrivals.note_place(connection, place, error=str(error))
        raise
