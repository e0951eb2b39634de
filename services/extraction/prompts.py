"""What a VLM is asked about a page: numbered panel boxes, rules, and the strict JSON schema of the answer.

Geometry goes into the prompt and never comes back: general VLMs locate text on comics at chance.
"""

import base64
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from shared.domain.pictures import Picture
from shared.domain.schema import Box, Direction, PageReading

PROMPT_VERSION = 1  # with the version of stage extract, raised when the question changes
LONG_SIDE = 1568  # pixels; larger images cost more tokens and are shrunk by the providers anyway
QUALITY = 85

RULES = """\
You are given one comic page, {width} × {height} pixels, read {direction}. Its panels have been found already; each is \
listed with its box [x, y, width, height] in pixels of this image, in reading order.

{panels}

Answer for every listed panel, under its number, exactly once:
- status: "ok"; "not_a_panel" when the box holds no panel; "contains_several" when it holds more than one.
- description: one or two sentences on what is seen: who, where, doing what. No text that is written in the picture.
- characters: the names of those seen, where the page tells them; else a short description ("girl with broom").
- texts: every piece of lettering in the panel, in reading order, copied letter by letter in its own language. kind is \
"dialogue", "thought", "narration", "sound" or "other"; speaker is the character's name, or null when unknown or none.
A panel without lettering has an empty list. Invent nothing. Under missed, describe panels of the page that are not \
listed; usually there are none. summary is one sentence on the page."""

UNWANTED = {"title", "default", "minimum", "maximum"}  # what strict servers refuse, or what costs tokens for nothing
WAYS = {Direction.LTR: "left to right", Direction.RTL: "right to left"}


def page_prompt(panels: Sequence[Box], *, width: int, height: int, direction: Direction) -> str:
    """The text beside the image; boxes and size in pixels of the image as sent."""
    listed = "\n".join(
        f"Panel {number}: [{', '.join(str(round(value)) for value in box)}]"
        for number, box in enumerate(panels, start=1)
    )
    return RULES.format(width=width, height=height, direction=WAYS[direction], panels=listed)


def prepared_image(page: Picture) -> tuple[str, float]:
    """A page (H, W, 3) RGB as a JPEG data URL of at most `LONG_SIDE`, and the factor from page pixels to its pixels."""
    height, width = page.shape[:2]
    factor = min(1.0, LONG_SIDE / max(height, width))
    image = Image.fromarray(page)
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii"), factor


def response_format() -> dict[str, Any]:
    """`response_format` that makes a server answer with a `PageReading` and nothing else."""
    return {
        "type": "json_schema",
        "json_schema": {
            "name": "page_reading",
            "strict": True,
            "schema": strict_schema(PageReading.model_json_schema()),
        },
    }


def strict_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema in the strict form: every property required, none added, no defaults, titles or bounds."""
    kept = {name: value for name, value in schema.items() if name not in UNWANTED}
    for name, value in kept.items():
        if name in ("properties", "$defs"):  # here the keys are names of ours, "title" too
            kept[name] = {key: strict_schema(inner) for key, inner in value.items()}
        elif isinstance(value, dict):
            kept[name] = strict_schema(value)
        elif isinstance(value, list):
            kept[name] = [strict_schema(inner) if isinstance(inner, dict) else inner for inner in value]
    if kept.get("type") == "object":
        kept["required"] = list(kept.get("properties", {}))
        kept["additionalProperties"] = False
    return kept
