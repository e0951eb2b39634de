"""A VLM's answer, validated: strict JSON of a `PageReading` about exactly the panels that were asked about."""

import re
import unicodedata
from typing import Any

from pydantic import ValidationError

from shared.domain.schema import PageReading

FENCE = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


class InvalidReading(Exception):
    """The content is no usable answer; the text says why. Asking again may help."""


def validate(content: str, *, panels: int) -> PageReading:
    """The reading in `content`, its panels in the order asked.

    A Markdown fence around the JSON is taken off; nothing else is repaired. `InvalidReading` when it does not parse,
    has unknown or missing fields, or does not answer for each of the `panels` numbers exactly once. Text comes without
    control characters, which no database column or terminal should meet; the raw answer is kept beside it.
    """
    fenced = FENCE.match(content)
    try:
        reading = PageReading.model_validate_json(fenced[1] if fenced else content, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "document"
        raise InvalidReading(printable(f"{place}: {first['msg']}", limit=300)) from error
    numbers = sorted(panel.number for panel in reading.panels)
    if numbers != list(range(1, panels + 1)):
        raise InvalidReading(f"answers for panels {_briefly(numbers)} where 1 to {panels} were asked about")
    ordered = sorted(reading.panels, key=lambda panel: panel.number)
    return PageReading.model_validate(_printable(reading.model_copy(update={"panels": ordered}).model_dump()))


def printable(text: str, *, limit: int | None = None) -> str:
    """`text` without control characters (lines and tabs may stay) and lone surrogates, at most `limit` characters."""
    kept = (own for own in text if own in "\n\t" or unicodedata.category(own) not in ("Cc", "Cs"))
    return "".join(kept)[:limit]


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable(inner) for inner in value]
    return {key: _printable(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def _briefly(numbers: list[int]) -> str:
    listed = ", ".join(str(number) for number in numbers[:30])
    return printable(f"[{listed}{', …' if len(numbers) > 30 else ''}]", limit=200)
