"""The question about a page: its boxes, the image that goes with it, and a schema that strict servers accept."""

import base64
import io
import json
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.extraction.prompts import LONG_SIDE, page_prompt, prepared_image, response_format, strict_schema
from services.extraction.readings import validate
from shared.domain.schema import Box, Direction

PANELS = [Box(40.7, 56.3, 910.7, 611.0), Box(40.7, 690.6, 297.6, 295.2)]


def test_every_panel_is_listed_under_its_number_with_its_box() -> None:
    prompt = page_prompt(PANELS, width=992, height=1373, direction=Direction.LTR)
    assert re.findall(r"^Panel (\d+): \[(.*)\]$", prompt, re.MULTILINE) == [
        ("1", "41, 56, 911, 611"),
        ("2", "41, 691, 298, 295"),
    ]
    assert "992 × 1373 pixels" in prompt


def test_the_prompt_says_which_way_the_page_is_read() -> None:
    assert "left to right" in page_prompt(PANELS, width=9, height=9, direction=Direction.LTR)
    assert "right to left" in page_prompt(PANELS, width=9, height=9, direction=Direction.RTL)


def test_every_status_and_kind_of_the_contract_is_explained() -> None:
    schema = response_format()["json_schema"]["schema"]
    prompt = page_prompt(PANELS, width=9, height=9, direction=Direction.LTR)
    for definition, name in (("PanelReading", "status"), ("SpokenText", "kind")):
        for value in schema["$defs"][definition]["properties"][name]["enum"]:
            assert f'"{value}"' in prompt


def objects(schema: Any) -> list[dict[str, Any]]:
    """Every object schema inside `schema`."""
    if isinstance(schema, list):
        return [found for inner in schema for found in objects(inner)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema.get("type") == "object" else []
    return own + [found for inner in schema.values() for found in objects(inner)]


def test_the_schema_is_strict_all_the_way_down() -> None:
    form = response_format()
    assert form["type"] == "json_schema"
    assert form["json_schema"]["strict"] is True
    found = objects(form["json_schema"]["schema"])
    assert len(found) == 4  # page, panel, spoken text, missed panel
    for own in found:
        assert own["additionalProperties"] is False
        assert own["required"] == list(own["properties"])
    assert not {"default", "title", "minimum"} & set(re.findall(r"'(\w+)':", str(form)))


def test_properties_that_are_called_like_a_keyword_stay() -> None:
    schema = {"type": "object", "title": "T", "properties": {"title": {"type": "string", "default": "x"}}}
    assert strict_schema(schema) == {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    }


def test_what_the_schema_demands_is_what_validation_accepts() -> None:
    """An answer made from the schema alone, every property the simplest value it allows."""
    schema = response_format()["json_schema"]["schema"]

    def simplest(part: dict[str, Any]) -> Any:
        if "$ref" in part:
            return simplest(schema["$defs"][part["$ref"].rsplit("/", 1)[1]])
        if "anyOf" in part:
            return simplest(part["anyOf"][-1])
        if "enum" in part:
            return part["enum"][0]
        made: dict[str, Any] = {"string": "x", "integer": 1, "null": None}
        if part["type"] == "array":
            return [simplest(part["items"])]
        if part["type"] == "object":
            return {name: simplest(inner) for name, inner in part["properties"].items()}
        return made[part["type"]]

    assert validate(json.dumps(simplest(schema)), panels=1).panels[0].texts[0].speaker is None


@pytest.mark.parametrize(("width", "height"), [(3000, 4500), (4000, 900), (992, 1373), (1, 1), (9000, 3)])
def test_the_image_is_a_jpeg_within_the_limit_and_its_factor_is_true(width: int, height: int) -> None:
    url, factor = prepared_image(np.full((height, width, 3), 200, np.uint8))
    kind, data = url.split(",", 1)
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.format == "JPEG"
        assert image.size == (max(1, round(width * factor)), max(1, round(height * factor)))
        assert max(image.size) <= LONG_SIDE
    assert (factor == 1) == (max(width, height) <= LONG_SIDE)
