"""Pictures that come with a query: decoded in children, a few at once, and only so many may wait."""

from functools import cache
from typing import IO
from uuid import uuid4

import numpy as np
from starlette.datastructures import UploadFile

from shared.domain.pictures import MOST_PIXELS, Picture, Reduced
from shared.errors import Reject, TooLarge
from shared.files.children import ChildLost, children_of
from shared.http.drawing import Queue
from shared.settings import Settings

DECODE = "shared.files.sent_pictures:decoded_in_child"
MOST_BYTES = 64 << 20  # of one picture


async def sent_picture(
    configured: Settings, file: UploadFile, *, most_pixels: int = MOST_PIXELS, enough: int | None = None
) -> Picture:
    """`sent_reduced` for those who do not ask how large the picture was."""
    return (await sent_reduced(configured, file, most_pixels=most_pixels, enough=enough)).picture


async def sent_reduced(
    configured: Settings, file: UploadFile, *, most_pixels: int = MOST_PIXELS, enough: int | None = None
) -> Reduced:
    """A picture as RGB (H, W, 3) as displayed, read-only; made smaller, by whole factors, where `enough` pixels do.

    Raises `TooLarge` over `MOST_BYTES` or `most_pixels`; `Reject` when it is no whole image or takes its child down;
    `Retry` when too many wait already.
    """
    name = file.filename or "the picture"
    limits = {"most_pixels": most_pixels, "enough": enough}
    # Read when its turn has come: those that wait are in files and take no memory.
    return await _queue(configured).done(uuid4().hex, lambda: _decoded(configured, file.file, name, limits))


def _decoded(configured: Settings, file: IO[bytes], name: str, limits: dict[str, int | None]) -> Reduced:
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise TooLarge(f"{name} is over the limit of {MOST_BYTES:,} bytes; make it smaller")
    try:
        [answer] = children_of(configured).call(DECODE, {"name": name, **limits}, content)
    except ChildLost as error:
        raise Reject(f"{name} cannot be read: it {error}; export it again from its source") from error
    pixels = np.frombuffer(answer.data, np.uint8).reshape(answer.about["shape"])
    return Reduced(pixels, answer.about["width"], answer.about["height"])


@cache
def _queue(configured: Settings) -> Queue[Reduced]:
    """Not that of the pictures shown: a screen full of covers keeps no query waiting."""
    return Queue(children_of(configured).count, name="decoding")
