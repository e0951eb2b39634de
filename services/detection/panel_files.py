"""Panels of a folder of page images, without a server: what `comics detect` writes."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from services.detection.detector import WEIGHTS, Detector
from services.detection.exchange.coco import written
from services.detection.layouts import guess_direction
from services.detection.pages_ahead import Page
from shared.domain.coco import NUMBERS
from shared.domain.page_order import is_page_name, natural_key
from shared.domain.schema import Box, Direction, PagePanels
from shared.domain.turning import turned
from shared.errors import Reject

LARGEST_FILE = 200_000_000


@dataclass(frozen=True)
class DetectedFolder:
    """Layouts by the names of their images, relative to the folder; apart, why images have none. In page order.

    `digests` are the sha256 of the images' files.
    """

    pages: dict[str, PagePanels] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    @property
    def panels(self) -> dict[str, list[Box]]:
        """Boxes in reading order by the name of their image."""
        return {name: [panel.box for panel in page.panels] for name, page in self.pages.items()}

    def coco(self) -> Iterator[bytes]:
        """The same as a COCO file, piece by piece, with the other objects that were seen and all scores."""
        images = (
            {
                "id": number,
                "file_name": name,
                "width": page.width,
                "height": page.height,
                "sha256": self.digests[name],
                "source": "model",
                "direction": page.direction,
                "kind": page.kind,
                **({"reason": page.reason} if page.reason else {}),
            }
            for number, (name, page) in enumerate(self.pages.items(), start=1)
        )
        return written(images, self._annotations())

    def _annotations(self) -> Iterator[dict[str, Any]]:
        number = 0
        for image, page in enumerate(self.pages.values(), start=1):
            for place, seen in enumerate([*page.panels, *page.objects]):
                number += 1
                yield {
                    "id": number,
                    "image_id": image,
                    "category_id": NUMBERS[seen.label],
                    "bbox": list(seen.box),
                    "area": seen.box.area,
                    "iscrowd": 0,
                    "score": seen.score,
                    **({"reading_order": place} if seen.label == "panel" else {}),
                }


def detect_folder(
    folder: Path,
    *,
    direction: Direction | Literal["auto"] = "auto",
    progress: Callable[[int, int], None] | None = None,
    weights: Path = WEIGHTS,
    device: str = "cpu",
) -> DetectedFolder:
    """Panels of every image in a folder and in the folders below it, each of which may be another comic.

    "auto" decides one direction for all images that lie in one folder. `progress` is called with (pages done, pages in
    all). Raises `Reject` when the folder holds no image.
    """
    if not folder.is_dir():
        raise Reject(f"{folder.name} is no folder; give the folder that holds the page images")
    unread: dict[str, str] = {}
    names = _page_names(folder, unread)
    if not names and not unread:
        raise Reject(f"{folder.name} holds no page images; give the folder that holds them")
    detector = Detector(weights, device=device)
    found = DetectedFolder(unread=unread)
    seen: dict[str, PagePanels] = {}

    def content(name: str) -> bytes:
        data = _content(folder / name, name)
        digests[name] = sha256(data).hexdigest()
        return data

    digests: dict[str, str] = {}
    looked_at = detector.detect_ahead(Page(name, partial(content, name)) for name in names)
    for done, (name, page) in enumerate(zip(names, looked_at, strict=True), start=1):
        if isinstance(page, Reject):
            unread[name] = str(page)
        else:
            # Which way a comic is read shows when all its pages have been seen; only then are panels put in order.
            seen[name] = page
            found.digests[name] = digests[name]
        if progress is not None:
            progress(done, len(names))
    comics: dict[str, list[str]] = defaultdict(list)
    for name in seen:
        comics[name.rpartition("/")[0]].append(name)
    for members in comics.values():
        way = guess_direction(seen[name].objects for name in members) if direction == "auto" else direction
        found.pages.update((name, turned(seen[name], way)) for name in members)
    return found


def _page_names(folder: Path, unread: dict[str, str]) -> list[str]:
    """The images below a folder in page order; folders that cannot be looked into go to `unread`."""

    def closed(error: OSError) -> None:
        name = Path(error.filename).relative_to(folder).as_posix()
        unread[f"{name}/"] = f"{name} cannot be looked into: {error.strerror}"

    found = [
        (Path(place) / name).relative_to(folder).as_posix()
        for place, _, names in os.walk(folder, onerror=closed)
        for name in names
    ]
    # Page by page, a folder's own images before those of the folders in it.
    return sorted(
        (name for name in found if is_page_name(name)),
        key=lambda name: (natural_key(name.rpartition("/")[0]), natural_key(name)),
    )


def _content(file: Path, name: str) -> bytes:
    try:
        if not file.is_file():
            raise Reject(f"{name} is no file")
        if file.stat().st_size > LARGEST_FILE:
            raise Reject(f"{name} is larger than {LARGEST_FILE // 1_000_000} MB; save it smaller")
        return file.read_bytes()
    except OSError as error:
        raise Reject(f"{name} cannot be opened: {error.strerror}") from error
