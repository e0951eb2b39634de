"""Panels of a folder of page images, without a server: what `comics detect` writes."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from services.detection.detector import WEIGHTS, Detector
from services.detection.layouts import arrange, guess_direction
from shared.domain.page_order import is_page_name, natural_key
from shared.domain.pictures import decode
from shared.domain.schema import Box, DetectedObject, Direction
from shared.errors import Reject

LARGEST_FILE = 200_000_000


def detect_folder(
    folder: Path,
    *,
    direction: Direction | Literal["auto"] = "auto",
    progress: Callable[[int, int], None] | None = None,
    weights: Path = WEIGHTS,
) -> tuple[dict[str, list[Box]], dict[str, str]]:
    """Panels of every image in a folder and, apart, the images that could not be read.

    Returns `{file name: boxes in reading order}` and `{file name: reason}`, both in natural page order. `progress` is
    called with (pages done, pages in all). Raises `Reject` when the folder holds no image.
    """
    if not folder.is_dir():
        raise Reject(f"{folder.name} is no folder; give the folder that holds the page images")
    files = sorted(
        (file for file in folder.iterdir() if file.is_file() and is_page_name(file.name)),
        key=lambda file: natural_key(file.name),
    )
    if not files:
        raise Reject(f"{folder.name} holds no page images; give the folder that holds them")
    detector = Detector(weights)
    seen: dict[str, tuple[int, int, list[DetectedObject]]] = {}
    unread: dict[str, str] = {}
    for done, file in enumerate(files, start=1):
        try:
            if file.stat().st_size > LARGEST_FILE:
                raise Reject(f"{file.name} is larger than {LARGEST_FILE // 1_000_000} MB; save it smaller")
            image = decode(file.read_bytes(), name=file.name)
        except Reject as error:
            unread[file.name] = str(error)
        except OSError as error:
            unread[file.name] = f"{file.name} cannot be opened: {error.strerror}"
        else:
            seen[file.name] = (image.shape[1], image.shape[0], detector.see([image])[0])
        if progress is not None:
            progress(done, len(files))
    way = guess_direction(found for _, _, found in seen.values()) if direction == "auto" else direction
    panels = {}
    for name, (width, height, found) in seen.items():
        page = arrange(found, width=width, height=height, direction=way)
        panels[name] = [o.box for o in page.panels]
    return panels, unread
