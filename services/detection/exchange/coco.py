"""COCO files: what the research detector and others wrote, and what we write ourselves.

A file of a whole library has millions of annotations, so it is read twice, element by element: first who is in it,
then what is seen on the images that are pages of ours; only that is kept. Names of categories are the authority.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from services.detection.exchange.stated import (
    FLAWS,
    StatedImage,
    StatedObjects,
    box_of,
    direction_of,
    one_of,
    score_of,
    side_of,
)
from shared.domain.coco import CATEGORIES, NAMES, NUMBERS
from shared.domain.schema import LayoutKind, NoPanelReason, ObjectLabel
from shared.errors import Reject
from shared.files.json_elements import elements

LONGEST_ID = 4096


class CocoFile:
    """A COCO `predictions.json`; ids may be texts or numbers."""

    def __init__(self, file: Path, *, name: str) -> None:
        self._file, self._name = file, name
        self.left_out: Counter[str] = Counter()
        self._labels: dict[int, str] = {}

    def images(self) -> Iterator[StatedImage]:
        """Every image, in the file's order; two of one id are both in error."""
        found: dict[str, StatedImage] = {}
        for part, item in self._elements(("images", "annotations", "categories")):
            if part == "images":
                image = _image(item)
                if image is None:
                    self.left_out["image without an id that is a text or a whole number"] += 1
                elif image.key in found:
                    found[image.key] = StatedImage(
                        key=image.key, path=image.path, error="two images of the file have its id"
                    )
                else:
                    found[image.key] = image
            elif part == "categories" and isinstance(item.get("id"), int):
                self._labels[item["id"]] = str(item.get("name", "")).casefold()
        if not found:
            raise Reject(f"{self._name} lists no images; expected a COCO predictions.json")
        yield from found.values()

    def objects(self, wanted: Collection[str]) -> Mapping[str, StatedObjects]:
        """What is seen on these images; annotations of other images are not kept."""
        labels: Mapping[int, str] = self._labels or CATEGORIES
        seen: dict[str, StatedObjects] = {}
        for _, item in self._elements(("annotations",)):
            key = _key(item.get("image_id"))
            if key is None:
                self.left_out["annotation of no image"] += 1
                continue
            if key not in wanted:
                continue
            number = item.get("category_id")
            label = NAMES.get(labels.get(number, "")) if isinstance(number, int) else None
            if label is None:
                told = labels.get(number) if isinstance(number, int) else None
                self.left_out[f"annotation of category {str(told or number)[:40]}"] += 1
                continue
            _add(seen.setdefault(key, StatedObjects()), label, item, self.left_out)
        return seen

    def _elements(self, parts: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
        for part, item in elements(self._file, parts):
            if not isinstance(item, dict):
                raise Reject(f"{self._name} is no COCO file: something under {part} is no object")
            yield part, item


def _image(item: Mapping[str, Any]) -> StatedImage | None:
    key = _key(item.get("id"))
    if key is None:
        return None
    name, sha256 = item.get("file_name"), item.get("sha256")
    return StatedImage(
        key=key,
        path=name if isinstance(name, str) and name else key,
        width=side_of(item.get("width")),
        height=side_of(item.get("height")),
        sha256=sha256 if isinstance(sha256, str) and len(sha256) == 64 else None,
        direction=direction_of(item.get("direction")),
        kind=one_of(item.get("kind"), LayoutKind),
        reason=one_of(item.get("reason"), NoPanelReason),
    )


def _key(given: Any) -> str | None:
    if isinstance(given, bool) or not isinstance(given, int | str) or given == "" or len(str(given)) > LONGEST_ID:
        return None
    return str(given)


def _add(seen: StatedObjects, label: ObjectLabel, item: Mapping[str, Any], left_out: Counter[str]) -> None:
    box, score, place = box_of(item.get("bbox")), score_of(item.get("score", 1.0)), item.get("reading_order")
    if box is None or score is None:
        left_out[f"annotation that {FLAWS[0] if box is None else FLAWS[1]}"] += 1
        return
    in_order = isinstance(place, int) and not isinstance(place, bool) and 0 <= place < 1 << 31
    seen.add(label, box, score, int(place) if in_order and place is not None else -1)


def written(images: Iterable[Mapping[str, Any]], annotations: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """A COCO file, piece by piece: `images` to their end, then `annotations`."""
    categories = [{"id": number, "name": label} for label, number in NUMBERS.items()]
    yield b'{"info":' + _json({"description": "panels, characters, texts and faces of comic pages"})
    yield b',\n"categories":' + _json(categories)
    for name, items in (("images", images), ("annotations", annotations)):
        yield f',\n"{name}":['.encode()
        between = b"\n"
        for item in items:
            yield between + _json(item)
            between = b",\n"
        yield b"]"
    yield b"}\n"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
