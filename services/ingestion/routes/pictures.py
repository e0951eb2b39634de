"""REST of page images: `/images`."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor

from shared.domain.addresses import page_address
from shared.errors import NotFound
from shared.http.app import Configured, Database
from shared.http.pictures import ASK_AGAIN, FOREVER, Format, PageImage, Width, picture_answer
from shared.store.db import row, unit_of_work

router = APIRouter()
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {}}},
    206: {"description": "The range that was asked for, of the verbatim bytes"},
    304: {"description": "The browser has it already"},
    503: {"description": "Too many pictures wait to be drawn; Retry-After says when to ask again"},
}


class Hash(Convertor[str]):
    """A sha256 in a path; what is shorter may be a page's number."""

    regex = "[0-9a-f]{64}"

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


register_url_convertor("sha256", Hash())


@router.head("/images/{sha256:sha256}", include_in_schema=False)
@router.get("/images/{sha256:sha256}", tags=["images"], response_class=Response, responses=PICTURE, summary="An image")
async def get_picture(
    sha256: Annotated[str, Path(description="of the image's own bytes, as pages name it")],
    request: Request,
    url: Database,
    configured: Configured,
    width: Width = None,
    format: Format = None,
) -> Response:
    """The bytes as they came, or drawn at a width: upright, without transparency, never enlarged.

    Addresses name the content, hence browsers may keep it for ever. Verbatim bytes are served in ranges, too.
    """
    page = await run_in_threadpool(_page, url, "image_sha256 = :key", sha256)
    if page is None:
        raise NotFound(f"No page has the image {sha256}; pages name theirs in GET /comics/ID/pages.")
    return await picture_answer(request, configured, page, width=width, form=format, kept=FOREVER)


@router.head("/images/{page_id:int}", include_in_schema=False)
@router.get(
    "/images/{page_id:int}", tags=["images"], response_class=Response, responses=PICTURE, summary="A page's image"
)
async def get_image(
    page_id: Annotated[int, Path(ge=1, description="id")],
    request: Request,
    url: Database,
    configured: Configured,
    width: Width = None,
    format: Format = None,
) -> Response:
    """The same by the page's number, which may get another image one day: browsers ask each time if theirs is good."""
    page = await run_in_threadpool(_page, url, "id = :key", page_id)
    if page is None:
        raise NotFound(f"There is no page {page_id}.")
    answer = await picture_answer(request, configured, page, width=width, form=format, kept=ASK_AGAIN)
    answer.headers["Content-Location"] = page_address(page.sha256)
    return answer


def _page(url: str, which: str, key: str | int) -> PageImage | None:
    with unit_of_work(url) as connection:
        page = row(
            connection,
            f"SELECT image_sha256, media_type, width, height, name, error FROM page WHERE {which} LIMIT 1",
            key=key,
        )
    return None if page is None else PageImage.of(page)
