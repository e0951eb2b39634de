"""A VLM's answer, validated: strict JSON of a `PageReading` about exactly the panels that were asked about."""

import re

from pydantic import ValidationError

from shared.domain.schema import PageReading

FENCE = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


class InvalidReading(Exception):
    """The content is no usable answer; the text says why. Asking again may help."""


def validate(content: str, *, panels: int) -> PageReading:
    """The reading in `content`, its panels in the order asked.

    A Markdown fence around the JSON is taken off; nothing else is repaired. `InvalidReading` when it does not parse,
    has unknown or missing fields, or does not answer for each of the `panels` numbers exactly once.
    """
    fenced = FENCE.match(content)
    try:
        reading = PageReading.model_validate_json(fenced[1] if fenced else content)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidReading(f"{'.'.join(str(part) for part in first['loc']) or 'document'}: {first['msg']}") from error
    numbers = sorted(panel.number for panel in reading.panels)
    if numbers != list(range(1, panels + 1)):
        raise InvalidReading(f"answers for panels {numbers} where 1 to {panels} were asked about")
    ordered = sorted(reading.panels, key=lambda panel: panel.number)
    return reading.model_copy(update={"panels": ordered})
