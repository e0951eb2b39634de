"""Pictures over HTTP: bytes that are named by their content, whole, in part, or not sent again at all (RFC 9110)."""

import re
from typing import Annotated, NamedTuple, Self

from fastapi import Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from shared.domain.schema import Box
from shared.errors import NotFound
from shared.files.renditions import MEDIA_TYPES, WIDTHS, Form, rendition
from shared.http.app import problem
from shared.http.drawing import drawing_of
from shared.settings import Settings
from shared.store.cache import cache_of
from shared.store.db import Row

FOREVER = "private, max-age=31536000, immutable"  # under an address that names the content
ASK_AGAIN = "private, no-cache"  # under one that does not: kept, and asked about each time
Width = Annotated[
    int | None,
    Query(ge=16, le=WIDTHS[-1], description="pixels; the next step of a ladder, never more than there are"),
]
Format = Annotated[Form | None, Query(description="WebP when only a width is given")]
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class PageImage(NamedTuple):
    """A page's image as its row tells of it; `size` (width, height) in pixels as displayed."""

    sha256: str
    media_type: str
    size: tuple[int, int]
    name: str

    @classmethod
    def of(cls, page: Row) -> Self:
        """From a row with these columns of `page`, and `error`. NotFound when it has no image."""
        if page["image_sha256"] is None:
            raise NotFound(f"{page['name']} has no image: {page['error']}")
        return cls(page["image_sha256"], page["media_type"], (page["width"], page["height"]), page["name"])


async def picture_answer(
    request: Request,
    configured: Settings,
    image: PageImage,
    *,
    box: Box | None = None,
    width: int | None,
    form: Form | None,
    kept: str,
) -> Response:
    """The image drawn at a width, whole or inside `box`; its own bytes where none of the three is asked for.

    `kept`: how long browsers may keep it. Raises what `Drawing` raises.
    """
    if box is None and width is None and form is None:
        headers = _headers(image.sha256, kept) | {"Accept-Ranges": "bytes"}
        if _known(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        content = await drawing_of(configured).image(image.sha256)
        return _in_part(request, content, media_type=image.media_type, headers=headers)
    wanted = rendition(image.sha256, image.size, box=box, width=width, form=form or "webp")
    headers = _headers(wanted.key, kept)
    if _known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    drawn = await run_in_threadpool(cache_of(configured).get, wanted.key)
    if drawn is None:
        drawn = await drawing_of(configured).picture(wanted, image=image.size, name=image.name)
    return Response(drawn, media_type=MEDIA_TYPES[wanted.form], headers=headers)


def _headers(tag: str, kept: str) -> dict[str, str]:
    return {"ETag": f'"{tag}"', "Cache-Control": kept, "X-Content-Type-Options": "nosniff"}


def _known(request: Request, etag: str) -> bool:
    """Whether the browser has these bytes already."""
    told = request.headers.get("if-none-match", "")
    return told.strip() == "*" or etag in (one.strip().removeprefix("W/") for one in told.split(","))


def _in_part(request: Request, content: bytes, *, media_type: str, headers: dict[str, str]) -> Response:
    """All bytes, or the one range that is asked for; several ranges at once are answered with all."""
    span = _span(request.headers.get("range", ""), len(content))
    if span is None or request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        return Response(content, media_type=media_type, headers=headers)
    if not span:
        detail = f"The image has {len(content):,} bytes; ask for a range inside of it."
        return problem(request, 416, "Range not satisfiable", detail, **{"Content-Range": f"bytes */{len(content)}"})
    headers = headers | {"Content-Range": f"bytes {span.start}-{span.stop - 1}/{len(content)}"}
    return Response(content[span.start : span.stop], status_code=206, media_type=media_type, headers=headers)


def _span(header: str, size: int) -> range | None:
    """The bytes that a Range header asks for of `size`, empty when there are none; None when it asks for no range."""
    asked = RANGE.fullmatch(header)
    if asked is None or asked.groups() == ("", ""):
        return None
    first, last = asked.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)
