"""REST of what goes: `DELETE /comics/{id}` and `/gc`."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.ingestion.records import garbage, removal
from shared.domain.removal import Garbage, RemovedComic
from shared.http.app import Configured

router = APIRouter()
Id = Annotated[int, Path(ge=1, description="id")]


@router.delete("/comics/{comic_id}", tags=["comics"], summary="Delete a comic")
def delete_comic(
    comic_id: Id,
    configured: Configured,
    force: Annotated[bool, Query(description="even when datasets lose images for good")] = False,
) -> RemovedComic:
    """Delete a comic with its pages, panels, text and vectors, and the bytes that nobody else uses; what went.

    Pages that a frozen dataset shows stay readable through it; a comic whose original cannot be read is therefore not
    deleted while datasets show images that only the original has. An original that was read in place is never touched.
    """
    return removal.remove(configured, comic_id, force=force)


@router.get("/gc", tags=["work"], summary="What lies around that nobody needs")
def get_garbage(configured: Configured) -> Garbage:
    """Counts and bytes of what `POST /gc` would free now; nothing is changed."""
    return garbage.garbage(configured)


@router.post("/gc", tags=["work"], summary="Free it")
def free_garbage(configured: Configured) -> Garbage:
    """Free what nobody needs, while everything goes on; what was freed. Repeating it is harmless."""
    return garbage.garbage(configured, free=True)
