"""A whole v0.3 folder: a dataset packed as one, and one (zipped, from anybody) read as pages.

dataspecs/<comic>/<page>.json   images/<comic>/<page>.<ext>   train.txt   held_out.txt
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from pathlib import PurePosixPath

from services.dataspec.exchange import OldPage, Unusable, old_page, panels_of, read_old_page
from services.dataspec.page_images import examine
from services.dataspec.zips import OpenedZip
from shared.domain.dataspec import SPLITS, DatasetLine, DataSpec, SpecComic, SpecProvenance, Split
from shared.domain.page_order import NaturalKey, display_name, is_page_name, natural_key
from shared.domain.paths import PathIndex, plain_path
from shared.domain.reading_order import layout_kind
from shared.domain.schema import Direction
from shared.errors import NotFound, Reject

SUFFIXES = {
    "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif", "image/bmp": "bmp",
    "image/tiff": "tif",
}  # fmt: skip
JSON_BYTES = 4 << 20
LIST_BYTES = 128 << 20
IMAGE_BYTES = 64 << 20
SAID = 200  # refusals, and doubts of one kind, that are listed one by one


@dataclass
class Findings:
    """What is to be said about an import: doubts about pages that were taken, and reasons for those that were not."""

    doubts: dict[str, list[str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def doubt(self, kind: str, file: str, reason: str) -> None:
        """Note that something about a file is not certain."""
        self.doubts.setdefault(kind, []).append(f"{display_name(file)} {reason}")

    def refuse(self, file: str, reason: object) -> None:
        """Note that a file was left out."""
        self.refused.append(f"{display_name(file)} {reason}")

    def listed(self) -> list[str]:
        """Everything as lines, refusals first; of very many of one kind only the first, and how many more."""
        lines: list[str] = []
        for same in ([f"Not imported: {refusal}" for refusal in self.refused], *self.doubts.values()):
            lines += same[:SAID]
            if len(same) > SAID:
                lines.append(f"… and {len(same) - SAID:,} more like these.")
        return lines


@dataclass(frozen=True)
class PageFiles:
    """What a page is in a v0.3 folder: the paths of its two files there, and the bytes of the first."""

    spec: str
    image: str
    content: bytes

    @staticmethod
    def of(page: DataSpec) -> "PageFiles":
        """The files of a page, under names that no two pages share."""
        place = f"{_folder_of(page.comic)}/{page.number:04d}"
        named = f"{place}.{SUFFIXES.get(page.media_type, 'img')}"
        old = old_page(page, image_path=f"images/{named}", relative_path=named)
        content = json.dumps(old, ensure_ascii=False, indent=1).encode("utf-8", "replace")
        return PageFiles(f"dataspecs/{place}.json", f"images/{named}", content)


def packed(lines: Iterable[DatasetLine], image: Callable[[str], bytes]) -> Iterator[tuple[str, bytes]]:
    """The files of a v0.3 folder; `image` gives the bytes of a page image by its sha256."""
    lists: dict[Split, list[str]] = {split: [] for split in SPLITS}
    for line in lines:
        page, files = line.page, PageFiles.of(line.page)
        try:
            data = image(page.image_sha256)
        except NotFound as error:
            raise NotFound(f"The image of page {page.number} of {page.comic.title} is no longer kept.") from error
        yield files.spec, files.content
        yield files.image, data
        lists[line.split].append(files.spec)
    for split, names in lists.items():
        yield f"{split}.txt", "".join(f"{name}\n" for name in names).encode()


def _folder_of(comic: SpecComic) -> str:
    """A folder's name that every system takes, and no two comics share."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", comic.title).strip("-.")[:60] or "comic"
    return f"{plain}-{sha256(comic.key.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class _Found:
    """A page of an archive before its image is seen."""

    key: str
    title: str
    order: tuple[int, NaturalKey]
    entry: str
    image: str


class OldFolder:
    """A zipped v0.3 folder. `scan` first, then `pages` once; `found` collects what is to be said."""

    def __init__(self, archive: OpenedZip) -> None:
        self._archive = archive
        self._images = PathIndex(name for name in archive.names if is_page_name(name))
        self._pages: list[_Found] = []
        self.found = Findings()
        self.splits: dict[str, set[Split]] | None = None

    def scan(self) -> None:
        """Look at every JSON file: which comic, which image. Raises `Reject` when not one page can be used."""
        entries = [name for name in self._archive.names if name.lower().endswith(".json")]
        sides = self._lists(entries)
        for entry in entries:
            try:
                page = self._read(entry)
                self._pages.append(self._placed(entry, page))
            except (Unusable, Reject) as error:
                self.found.refuse(entry, error)
        if not self._pages:
            first = f" ({self.found.refused[0]})" if self.found.refused else ""
            raise Reject(f"{self._archive.name} holds no page of DataSpec v0.3 that can be used{first}.")
        self._pages.sort(key=lambda found: (found.key, found.order, found.entry))
        if sides is not None:
            self.splits = {}
            for found in self._pages:
                self.splits.setdefault(found.key, set()).add(sides.get(found.entry, "train"))

    def pages(self, keep: Callable[[str, bytes], None]) -> Iterator[DataSpec]:
        """Every usable page by comic key and number; `keep` gets each image's sha256 and bytes."""
        for key, members in groupby(self._pages, key=lambda found: found.key):
            last = -1
            for place, found in enumerate(members):
                try:
                    page = self._page(found, key=key, place=place, keep=keep)
                except (Unusable, Reject) as error:
                    self.found.refuse(found.entry, error)
                    continue
                if page.number <= last:
                    self.found.refuse(found.entry, "has the number of a page before it")
                    continue
                last = page.number
                yield page

    def _read(self, entry: str) -> OldPage:
        try:
            content = json.loads(self._archive.read(entry, limit=JSON_BYTES))
        except (ValueError, RecursionError) as error:
            raise Unusable("is no JSON that can be read") from error
        return read_old_page(content)

    def _placed(self, entry: str, page: OldPage) -> _Found:
        match = self._images.find(page.image_path, beside=str(PurePosixPath(entry).parent))
        shown = display_name(page.image_path)
        if match.name is None:
            why = "fits several images of" if match.how == "several" else "is not in"
            raise Unusable(f"names the image {shown}, which {why} the archive")
        if match.how == "end":
            self.found.doubt("image", entry, f"names {shown}; {display_name(match.name)} is taken for it")
        for warning in page.warnings:
            self.found.doubt("edited", entry, warning)
        if page.extension is not None:
            known = page.extension
            return _Found(known.comic.key, known.comic.title, (known.number, natural_key("")), entry, match.name)
        book = plain_path(page.book) if page.book else str(PurePosixPath(plain_path(page.image_path)).parent)
        name = page.name or match.name
        return _Found(f"v0.3:{book}", display_name(book).rpartition("/")[2], (0, natural_key(name)), entry, match.name)

    def _page(self, found: _Found, *, key: str, place: int, keep: Callable[[str, bytes], None]) -> DataSpec:
        old = self._read(found.entry)
        data = self._archive.read(found.image, limit=IMAGE_BYTES)
        digest = sha256(data).hexdigest()
        media_type, width, height = examine(data, name=f"with the image {display_name(found.image)}, which")
        known = old.extension
        if known is not None:
            if (known.image_sha256, known.media_type, known.width, known.height) != (digest, media_type, width, height):
                raise Unusable("was exported with another image than the one beside it")
            keep(digest, data)
            return known
        panels, doubts = panels_of(old, width=width, height=height)
        for doubt in doubts:
            self.found.doubt("box", found.entry, doubt)
        keep(digest, data)
        return DataSpec(
            comic=SpecComic(key=key, title=found.title),
            number=place,
            name=display_name(found.image).rpartition("/")[2],
            image_sha256=digest,
            media_type=media_type,
            width=width,
            height=height,
            direction=Direction.LTR,
            kind=layout_kind([panel.box for panel in panels], width=width, height=height),
            panels=panels,
            perfect=False,
            provenance=SpecProvenance(layout="import"),
        )

    def _lists(self, entries: list[str]) -> dict[str, Split] | None:
        """The split of each page that a list file names; None without such files."""
        sides: dict[str, Split] = {}
        known: PathIndex | None = None
        for name in self._archive.names:
            path = PurePosixPath(name)
            if path.suffix.lower() != ".txt":
                continue
            if path.stem not in SPLITS:
                self.found.doubt("file", name, "is not train.txt or held_out.txt; it was ignored")
                continue
            known = known or PathIndex(entries)
            side: Split = "held_out" if path.stem == "held_out" else "train"
            for line in self._archive.read(name, limit=LIST_BYTES).decode("utf-8", "replace").splitlines():
                match = known.find(line, beside=str(path.parent)) if line.strip() else None
                if match is not None and match.name is not None:
                    sides[match.name] = side
                elif match is not None:
                    self.found.doubt("list", name, f"names {display_name(line)}, which is not there")
        return sides or None
