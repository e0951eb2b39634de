"""Page images that somebody's files name by a path: found again, opened, measured and hashed."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from services.dataspec.detections import SeenPage, page_id
from services.dataspec.page_images import examine
from shared.domain.page_order import display_name, is_page_name
from shared.domain.paths import PathIndex, plain_path
from shared.errors import Reject

_SEVERAL = "several images have this path"
_NONE = "no image in --images has this path (two of its parts have to match: name the folder above the comics)"


@dataclass(frozen=True, kw_only=True)
class RecordedImage:
    """An image as found: its file, size in pixels as displayed, sha256 of its bytes in hexadecimal."""

    file: Path
    sha256: str
    media_type: str
    width: int
    height: int
    name: str


class RecordedImages:
    """Page images at their recorded paths, or in a folder that stands in for those."""

    def __init__(self, folder: Path | None, *, beside: Path) -> None:
        self._folder, self._beside = folder, beside
        files = folder.rglob("*") if folder else ()
        names = sorted(file.relative_to(folder).as_posix() for file in files if folder and is_page_name(file.name))
        self._names = PathIndex(names)
        self._ids = PathIndex(page_id(name) for name in names)
        self._by_id: Mapping[str, list[str]] = {
            own: [name for _, name in found]
            for own, found in groupby(sorted((page_id(name), name) for name in names), key=lambda pair: pair[0])
        }

    def of(self, page: SeenPage) -> RecordedImage:
        """A page's image, really opened; `Reject` says why it cannot be had."""
        file = self._find(page.path)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise Reject(f"{file.name} cannot be read") from error
        media_type, width, height = examine(data, name=file.name)
        if page.width and page.height and (round(page.width), round(page.height)) != (width, height):
            raise Reject(
                f"{file.name} is {width} × {height}, the detections are of a picture of "
                f"{page.width:.0f} × {page.height:.0f}: another picture, or one turned since"
            )
        return RecordedImage(
            file=file,
            sha256=sha256(data).hexdigest(),
            media_type=media_type,
            width=width,
            height=height,
            name=display_name(file.name),
        )

    def _find(self, path: str) -> Path:
        if self._folder is None:
            for file in (Path(path), self._beside / plain_path(path)):
                if is_page_name(file.name) and file.is_file():
                    return file
            raise Reject("there is no image at its recorded path; name the folder with --images")
        match = self._names.find(path) if is_page_name(path) else self._ids.find(path)
        names = [match.name] if is_page_name(path) else self._by_id.get(match.name or "", [])
        if match.name is None or len(names) != 1 or names[0] is None:
            several = match.how == "several" or len(names) > 1
            raise Reject(_SEVERAL if several else _NONE)
        return self._folder / names[0]
