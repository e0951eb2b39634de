"""Pictures that strangers send with a query, decoded where a crash or a bomb takes a child only."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from shared.domain.pictures import Picture, decode


def decoded(content: bytes, *, name: str, most_pixels: int, enough: int | None = None) -> Picture:
    """A picture as RGB (H, W, 3) as displayed; of `enough` to four times as many pixels where it has more of them.

    Raises what `decode` raises.
    """
    picture = decode(content, name=name, most_pixels=most_pixels, enough=enough)
    factor = math.isqrt(picture.shape[0] * picture.shape[1] // enough) if enough else 1
    return np.asarray(Image.fromarray(picture).reduce(factor)) if factor > 1 else picture


def decoded_in_child(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """`decoded` as `Children` call it: one answer, the shape and the raw pixels."""
    limits = {"most_pixels": request["most_pixels"], "enough": request["enough"]}
    picture = decoded(request["data"], name=request["name"], **limits)
    yield {"shape": picture.shape}, picture.tobytes()
