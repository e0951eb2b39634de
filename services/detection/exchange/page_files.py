"""Files that list pages one after the other: Kumiko's, and the research code's later one JSON file a page."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from services.detection.exchange.stated import FLAWS, StatedImage, StatedObjects, box_of, score_of, side_of
from shared.domain.schema import Box, Direction
from shared.errors import Reject
from shared.files.json_elements import elements


class ListedPages:
    """An array with an object for each page; what such an object means is left to a format."""

    what = "page"

    def __init__(self, file: Path, *, name: str) -> None:
        self._file, self._name = file, name
        self.left_out: Counter[str] = Counter()

    def image(self, item: Mapping[str, Any]) -> StatedImage | None:
        """The image of a page; None where it names none."""
        raise NotImplementedError

    def add(self, item: Mapping[str, Any], seen: StatedObjects) -> None:
        """Add what is seen on a page; what cannot be used is counted."""
        raise NotImplementedError

    def images(self) -> Iterator[StatedImage]:
        """Every page, in the file's order; two of one name are both in error."""
        found: dict[str, StatedImage] = {}
        for item in self._items():
            image = self.image(item)
            if image is None:
                self.left_out[f"{self.what} without a name"] += 1
            elif image.key in found:
                found[image.key] = StatedImage(
                    key=image.key, path=image.path, error="two pages of the file have its name"
                )
            else:
                found[image.key] = image
        if not found:
            raise Reject(f"{self._name} lists no pages")
        yield from found.values()

    def objects(self, wanted: Collection[str]) -> Mapping[str, StatedObjects]:
        """What is seen on these pages."""
        seen: dict[str, StatedObjects] = {}
        for item in self._items():
            image = self.image(item)
            if image is not None and image.key in wanted:
                self.add(item, seen.setdefault(image.key, StatedObjects()))
        return seen

    def _items(self) -> Iterator[dict[str, Any]]:
        for _, item in elements(self._file, ("",)):
            if not isinstance(item, dict):
                raise Reject(f"{self._name} is no list of pages: something in it is no object")
            yield item


class ResearchPages(ListedPages):
    """`[{"canonical_id", "image_size_wh": [w, h], "detections": [{"label", "score", "box_xyxy"}]}]`."""

    def image(self, item: Mapping[str, Any]) -> StatedImage | None:
        """A page by its canonical id: its image's path without the suffix."""
        name = item.get("canonical_id")
        if not isinstance(name, str) or not name:
            return None
        size = item.get("image_size_wh")
        width, height = size if isinstance(size, list) and len(size) == 2 else (None, None)
        error = item.get("error")
        if error is None and not isinstance(item.get("detections"), list):
            error = "no detections"
        return StatedImage(
            key=name,
            path=name,
            width=side_of(width),
            height=side_of(height),
            error=None if error is None else f"its detection failed: {str(error)[:200]}",
        )

    def add(self, item: Mapping[str, Any], seen: StatedObjects) -> None:
        """Its detections."""
        for found in item.get("detections") or ():
            told: Mapping[str, Any] = found if isinstance(found, dict) else {}
            corners, score, label = told.get("box_xyxy"), score_of(told.get("score", 1.0)), told.get("label")
            box = box_of(_from_corners(corners))
            if label not in ("panel", "character", "text", "face"):
                self.left_out[f"detection of category {str(label)[:40]}"] += 1
            elif box is None or score is None:
                self.left_out[f"detection that {FLAWS[0] if box is None else FLAWS[1]}"] += 1
            else:
                seen.add(label, box, score)


def _from_corners(corners: Any) -> Any:
    try:
        left, top, right, bottom = corners
        return [left, top, right - left, bottom - top]
    except (TypeError, ValueError):
        return None


class KumikoPages(ListedPages):
    """`[{"filename", "size": [w, h], "numbering": "ltr" | "rtl", "panels": [[x, y, w, h], …]}]`.

    Kumiko says "ltr" unless it is told otherwise, so that only "rtl" tells something; it knows panels, no scores.
    """

    def image(self, item: Mapping[str, Any]) -> StatedImage | None:
        """A page by its file's name, which may be a path."""
        name = item.get("filename")
        if not isinstance(name, str) or not name:
            return None
        size = item.get("size")
        width, height = size if isinstance(size, list) and len(size) == 2 else (None, None)
        return StatedImage(
            key=name,
            path=name,
            width=side_of(width),
            height=side_of(height),
            direction=Direction.RTL if item.get("numbering") == "rtl" else None,
            error=None if isinstance(item.get("panels"), list) else "it has no list of panels",
        )

    def add(self, item: Mapping[str, Any], seen: StatedObjects) -> None:
        """Its panels."""
        for panel in item.get("panels") or ():
            box: Box | None = box_of(panel)
            if box is None:
                self.left_out[f"panel that {FLAWS[0]}"] += 1
            else:
                seen.add("panel", box, 1.0)
