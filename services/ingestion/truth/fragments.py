"""Media fragments: the part of a page that `#xywh=percent:x,y,w,h` means. Source: W3C Media Fragments URI 1.0."""

import re

from shared.domain.schema import Box

_XYWH = re.compile(r"(?:^|&)xywh=(?:(percent|pixel):)?([^&]{1,200})")
_NUMBER = re.compile(r"[+-]?(?:\d{1,9}(?:\.\d{0,12})?|\.\d{1,12})")


def split_reference(reference: str) -> tuple[str, str]:
    """A reference as the file and its fragment, either may be empty."""
    file, _, fragment = reference.strip().partition("#")
    return file, fragment


def has_region(fragment: str) -> bool:
    """Whether a fragment means a part of the page."""
    return "xywh=" in fragment


def region(fragment: str, *, width: int | None, height: int | None) -> Box | None:
    """The box a fragment means on a page of `width` × `height` pixels; None when it means none that can be read."""
    found = _XYWH.search(fragment.replace("%2C", ",").replace("%2c", ","))
    if found is None or width is None or height is None:
        return None
    numbers = [part.strip() for part in found[2].split(",")]
    if len(numbers) != 4 or not all(_NUMBER.fullmatch(number) for number in numbers):
        return None
    x, y, w, h = (float(number) for number in numbers)
    if found[1] == "percent":
        return Box(x * width / 100, y * height / 100, w * width / 100, h * height / 100)
    return Box(x, y, w, h)
