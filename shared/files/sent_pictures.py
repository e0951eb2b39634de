"""Pictures that strangers send with a query, decoded where a crash or a bomb takes a child only."""

from collections.abc import Iterator
from typing import Any

from shared.domain.pictures import Reduced, decode_reduced


def decoded(content: bytes, *, name: str, most_pixels: int, enough: int | None = None) -> Reduced:
    """A picture as RGB (H, W, 3) as displayed; of `enough` to four times as many pixels where it has more of them.

    Raises what `decode` raises.
    """
    return decode_reduced(content, name=name, most_pixels=most_pixels, enough=enough or most_pixels)


def decoded_in_child(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """`decoded` as `Children` call it: one answer, the shape, the size of the whole and the raw pixels."""
    limits = {"most_pixels": request["most_pixels"], "enough": request["enough"]}
    picture = decoded(request["data"], name=request["name"], **limits)
    about = {"shape": picture.picture.shape, "width": picture.width, "height": picture.height}
    yield about, picture.picture.tobytes()
