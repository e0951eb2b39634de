"""REST of page images: `/images`."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from shared.errors import NotFound
from shared.http.app import Configured, Database
from shared.store.blobs import get_blob, storage_of
from shared.store.db import row, unit_of_work

router = APIRouter()
Id = Annotated[int, Path(ge=1, description="id")]


@router.get("/images/{page_id}", tags=["images"], response_class=Response, summary="A page's image, verbatim")
def get_image(page_id: Id, url: Database, configured: Configured) -> Response:
    """The bytes as they came; EXIF orientation is in them."""
    with unit_of_work(url) as connection:
        page = row(connection, "SELECT image_sha256, media_type, error FROM page WHERE id = :id", id=page_id)
    if page is None:
        raise NotFound(f"There is no page {page_id}.")
    if page["image_sha256"] is None:
        raise NotFound(f"Page {page_id} has no image: {page['error']}")
    data = get_blob(storage_of(configured), page["image_sha256"])
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable",
        "ETag": f'"{page["image_sha256"]}"',
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type=page["media_type"], headers=headers)
