"""Panels that somebody's detector found long ago: a COCO `predictions.json`, or a folder of one JSON file a page.

COCO files of whole libraries have millions of annotations: they are read element by element and kept as numbers.
"""

import json
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.domain.coco import CATEGORIES
from shared.domain.geometry import clip
from shared.domain.page_order import is_page_name
from shared.domain.schema import Box, DetectedObject
from shared.errors import Reject
from shared.files.json_elements import elements

SCORE = 0.5  # panels below were never counted


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenPage:
    """A page as its detector knew it: `path` is its image's, `None` sizes were not written down.

    `numbers` are x, y, w, h and score of one panel after the other, in page pixels. `error` says why there are none
    when the detector failed, `doubt` what could not be understood.
    """

    path: str
    width: float | None
    height: float | None
    numbers: "array[float]" = field(default_factory=lambda: array("d"))
    error: str | None = None
    doubt: str | None = None

    @property
    def panels(self) -> list[DetectedObject]:
        """Its panels, in the detector's order, cut off at the page's edges."""
        found = []
        for k in range(0, len(self.numbers), 5):
            *sides, score = self.numbers[k : k + 5]
            box = Box(*sides)
            if self.width and self.height:
                box = clip(box, self.width, self.height)
            if box.area > 0:
                found.append(DetectedObject(label="panel", box=box, score=score))
        return found


def read_detections(place: Path) -> Iterator[SeenPage]:
    """Every page of a COCO file, or of a folder of per-page files. `Reject` when it is neither."""
    if place.is_dir():
        files = sorted(place.rglob("*.json"))
        if not files:
            raise Reject(f"{place.name} holds no JSON files of detections")
        return (_page_file(file, place) for file in files)
    if not place.is_file():
        raise Reject(f"{place.name} is no COCO file and no folder of detections")
    return _coco_pages(place)


def _coco_pages(file: Path) -> Iterator[SeenPage]:
    images: dict[str, Mapping[str, Any]] = {}
    numbers: dict[str, array[float]] = {}
    odd: Counter[str] = Counter()
    names: dict[int, str] = {}
    for part, item in elements(file, ("images", "annotations", "categories")):
        if not isinstance(item, dict):
            raise Reject(f"{file.name} is no COCO file: something under {part} is no object")
        if part == "images":
            key = str(item.get("id"))
            twice = {"error": "two images of the file have its id"} if key in images else {}
            images[key] = {name: item.get(name) for name in ("file_name", "width", "height")} | twice
        elif part == "categories" and isinstance(item.get("id"), int):
            names[item["id"]] = str(item.get("name", "")).casefold()
        elif part == "annotations":
            row = _row(item.get("category_id"), item.get("bbox"), item.get("score", 1.0))
            if row is None:
                odd[str(item.get("image_id"))] += 1
            else:
                numbers.setdefault(str(item.get("image_id")), array("d")).extend(row)
    if not images:
        raise Reject(f"{file.name} lists no images; expected a COCO predictions.json")
    for key, image in images.items():
        rows = numbers.pop(key, array("d"))
        own = array("d")
        for k in range(0, len(rows), 6):
            if (names or CATEGORIES).get(int(rows[k])) == "panel" and rows[k + 5] >= SCORE:
                own.extend(rows[k + 1 : k + 6])
        yield SeenPage(
            path=str(image.get("file_name") or key),
            width=_size(image.get("width")),
            height=_size(image.get("height")),
            numbers=own,
            error=image.get("error"),
            doubt=_doubt(odd[key]),
        )


def _page_file(file: Path, top: Path) -> SeenPage:
    own = file.relative_to(top).with_suffix("").as_posix()
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return SeenPage(path=own, width=None, height=None, error="its detections are no readable JSON")
    if not isinstance(content, dict):
        return SeenPage(path=own, width=None, height=None, error="its detections are no JSON object")
    path = str(content.get("canonical_id") or own)
    if content.get("error") or not isinstance(content.get("detections"), list):
        reason = f"detection failed: {str(content.get('error') or 'no detections')[:200]}"
        return SeenPage(path=path, width=None, height=None, error=reason)
    size = content.get("image_size_wh")
    width, height = (_size(side) for side in size) if isinstance(size, list) and len(size) == 2 else (None, None)
    numbers, odd = array("d"), 0
    for item in content["detections"]:
        seen = item if isinstance(item, dict) else {}
        row = _row(0, seen.get("box_xyxy"), seen.get("score", 1.0))
        if row is None:
            odd += 1
        elif seen.get("label") == "panel" and row[5] >= SCORE:
            _, x, y, right, bottom, score = row
            numbers.extend((x, y, right - x, bottom - y, score))
    return SeenPage(path=path, width=width, height=height, numbers=numbers, doubt=_doubt(odd))


def _row(category: Any, box: Any, score: Any) -> list[float] | None:
    """A detection as six numbers; None when it is none."""
    values = [category, *(box if isinstance(box, list) else []), score]
    if len(values) != 6 or not all(isinstance(v, int | float) and abs(v) < 1e9 for v in values):
        return None
    return [float(value) for value in values] if 0 <= values[5] <= 1 else None


def _doubt(odd: int) -> str | None:
    return f"{odd} of its detections cannot be understood" if odd else None


def _size(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < 1e6 else None


def page_id(path: str) -> str:
    """A page's path without the suffix of an image: what the research code calls its canonical id."""
    return path.rpartition(".")[0] if is_page_name(path) else path
