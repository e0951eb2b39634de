"""A mapping that says which page each image of a file is: CSV with a header, or JSON.

A page is named by its id (`page_id`), by a comic (`comic`: its id or its file's name) and the page's name in it
(`page`), or by its content: `sha256` of the image's file and, in JSON, `look`, the mark of a copy of the picture.
"""

import base64
import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.domain.marks import BANDS, HIGH, WIDE, Mark
from shared.errors import Reject

EXPECTED = "expected CSV with the columns image_id and page_id (or comic and page, or sha256), or the same as JSON"
LARGEST_ID = 1 << 62


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """Which page an image is; one of the three ways. `look` is for where no file has the `sha256`."""

    page_id: int | None = None
    comic: str | None = None
    page: str | None = None
    sha256: str | None = None
    look: Mark | None = None

    @property
    def by_content(self) -> bool:
        """Whether the page is to be found by its content."""
        return self.sha256 is not None


def read_mapping(text: str) -> dict[str, Told]:
    """Images' ids and what is told of each. `Reject` names the first row that cannot be understood."""
    if not text.strip():
        raise Reject(f"the mapping is empty; {EXPECTED}")
    rows = _of_json(text) if text.lstrip("\ufeff \r\n\t")[:1] in ("{", "[") else _of_csv(text)
    told: dict[str, Told] = {}
    for number, (key, row) in enumerate(rows, start=1):
        if not key:
            raise Reject(f"row {number} of the mapping names no image; {EXPECTED}")
        if key in told:
            raise Reject(f"the mapping names the image {key[-120:]} twice")
        told[key] = _told(key, row)
    if not told:
        raise Reject(f"the mapping names no image; {EXPECTED}")
    return told


def _of_csv(text: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    try:
        table = csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline=""), strict=True)
        if "image_id" not in (table.fieldnames or ()):
            raise Reject(f"the mapping has no column image_id; {EXPECTED}")
        return [(str(row.get("image_id") or ""), row) for row in table]
    except csv.Error as error:
        raise Reject(f"the mapping is no readable CSV: {error}") from error


def _of_json(text: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    try:
        content = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise Reject(f"the mapping is no readable JSON: {str(error)[:100]}") from error
    if isinstance(content, dict):
        return [(key, row if isinstance(row, dict) else {"page_id": row}) for key, row in content.items()]
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise Reject(f"the mapping is no object and no list of objects; {EXPECTED}")
    return [(str(row.get("image_id", "")), row) for row in content]


def _told(key: str, row: Mapping[str, Any]) -> Told:
    page_id, comic, page, sha256 = (row.get(name) or None for name in ("page_id", "comic", "page", "sha256"))
    if page_id is not None:
        if isinstance(page_id, bool) or not str(page_id).strip().isdecimal() or not 0 < int(page_id) < LARGEST_ID:
            raise Reject(f"the mapping gives {key[-120:]} the page {str(page_id)[:40]}, which is no page's id")
        return Told(page_id=int(page_id))
    if isinstance(comic, str | int) and isinstance(page, str):
        return Told(comic=str(comic), page=page)
    if isinstance(sha256, str) and len(sha256) == 64:
        return Told(sha256=sha256.lower(), look=_look(key, row.get("look")))
    raise Reject(f"the mapping does not say which page {key[-120:]} is; {EXPECTED}")


def shown(mark: Mark) -> dict[str, Any]:
    """A mark as it is written into a mapping."""
    return {"phash": mark.phash, "sketch": base64.b64encode(mark.sketch).decode(), "bands": mark.bands}


def _look(key: str, given: Any) -> Mark | None:
    if given is None:
        return None
    try:
        phash, bands = int(given["phash"]), [int(band) for band in given["bands"]]
        sketch = base64.b64decode(given["sketch"], validate=True)
    except (TypeError, KeyError, ValueError) as error:
        raise Reject(f"the mapping's look of {key[-120:]} is no mark") from error
    if len(sketch) != WIDE * HIGH // 2 or len(bands) != 2 * BANDS or not -LARGEST_ID <= phash // 2 < LARGEST_ID:
        raise Reject(f"the mapping's look of {key[-120:]} is no mark")
    if any(not 0 <= band < 1 << 31 for band in bands):
        raise Reject(f"the mapping's look of {key[-120:]} is no mark")
    return Mark(phash, sketch, bands)
