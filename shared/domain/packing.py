"""Local files on their way to the server: which of them are comics, and a folder of images as one stored zip.

The same folder always gives the same bytes (fixed times, natural order, nothing but pages and ComicInfo.xml), so that
its sha256 recognises it when it is added again.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.domain.page_order import display_name, is_page_name, natural_key
from shared.errors import Reject

COMIC_SUFFIXES = frozenset((".cbz", ".zip", ".pdf"))
# Often a zip under a wrong name; what really is in one of these formats is not supported yet.
OTHER_BOOKS = frozenset((".cbr", ".rar", ".cb7", ".7z", ".cbt", ".tar", ".epub", ".mobi", ".azw3", ".djvu"))
COMIC_SIGNS = (b"PK\x03\x04", b"%PDF-")
METADATA = "ComicInfo.xml"
EPOCH = (1980, 1, 1, 0, 0, 0)
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class ComicSource:
    """One local comic. `name` is the file name the server is told, `size` the bytes on this disk (before packing)."""

    path: Path
    name: str
    kind: Literal["file", "folder"]
    size: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not taken, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What a list of paths comes to: comics in order, and everything that was left out."""

    comics: list[ComicSource]
    skipped: list[Skipped]


def find_comics(paths: Iterable[Path], *, recursive: bool = False) -> Findings:
    """Decide what is a comic: a file with a known suffix, a folder that directly holds images, a folder's files.

    A folder with both images and books is a shelf with covers: its books are the comics. Folders inside folders
    are entered only when `recursive`. A path that was named twice, or lies inside another, counts once.
    """
    found = Findings([], [])
    seen: set[Path] = set()
    for path in paths:
        _visit(path, found, seen, recursive=recursive, named=True)
    return found


def _visit(path: Path, found: Findings, seen: set[Path], *, recursive: bool, named: bool) -> None:
    real = path.resolve()
    if real in seen:
        return
    seen.add(real)
    try:
        if path.is_dir():
            _visit_folder(path, found, seen, recursive=recursive)
        elif path.is_file():
            _visit_file(path, found, named=named)
        else:
            missing = "is no file or folder" if path.exists() or path.is_symlink() else "does not exist"
            found.skipped.append(Skipped(path, missing))
    except OSError as error:
        found.skipped.append(Skipped(path, f"cannot be read: {error.strerror or 'the disk fails'}"))


def _visit_file(path: Path, found: Findings, *, named: bool) -> None:
    # A file that a person named is sent whatever its suffix: the server looks at its bytes and says what is wrong.
    suffix = path.suffix.lower()
    if suffix in COMIC_SUFFIXES or (named and not is_page_name(path.name)) or _comic_in_disguise(path):
        found.comics.append(ComicSource(path, display_name(path.name), "file", path.stat().st_size))
    elif is_page_name(path.name):
        found.skipped.append(Skipped(path, "is a single image; name the folder that holds the comic's pages"))
    elif suffix in OTHER_BOOKS:
        found.skipped.append(Skipped(path, f"is a {suffix} file, which is not supported yet; convert it to CBZ or PDF"))
    else:
        found.skipped.append(Skipped(path, "is no comic (.cbz, .zip, .pdf or a folder of images)"))


def _comic_in_disguise(path: Path) -> bool:
    if path.suffix.lower() not in OTHER_BOOKS - {".epub"}:  # a whole EPUB is a zip too
        return False
    with path.open("rb") as file:
        return file.read(5).startswith(COMIC_SIGNS)


def _visit_folder(path: Path, found: Findings, seen: set[Path], *, recursive: bool) -> None:
    inside = sorted(path.iterdir(), key=lambda entry: natural_key(entry.name))
    shown = [entry for entry in inside if not entry.name.startswith(".") and entry.name != "__MACOSX"]
    folders = [entry for entry in shown if entry.is_dir()]
    files = [entry for entry in shown if not entry.is_dir()]
    images = [entry for entry in files if is_page_name(entry.name)]
    shelf = any(entry.suffix.lower() in COMIC_SUFFIXES | OTHER_BOOKS for entry in files)
    if images and not shelf:
        size = sum(entry.stat().st_size for entry in _packed_files(path))
        name = display_name(path.resolve().name)
        found.comics.append(ComicSource(path, f"{name}.cbz", "folder", size))
    else:
        for entry in files:
            _visit(entry, found, seen, recursive=recursive, named=False)
    for folder in folders:
        if recursive and not folder.is_symlink():
            _visit(folder, found, seen, recursive=True, named=False)
        else:
            found.skipped.append(Skipped(folder, "is a folder inside a folder; name it to add it"))
    if not (images or files or folders):
        found.skipped.append(Skipped(path, "is an empty folder"))


def pack_folder(folder: Path) -> Iterator[bytes]:
    """The images of a folder, and its ComicInfo.xml, as one stored zip in pieces; one file in memory at a time.

    Raises `Reject` when the folder holds no page images or one of them cannot be read.
    """
    files = _packed_files(folder)
    shown = display_name(folder.resolve().name)
    if not any(is_page_name(file.name) for file in files):
        raise Reject(f"{shown} holds no page images; expected a folder of JPEG, PNG or WebP files")
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w", zipfile.ZIP_STORED) as packed:
        for file in files:
            entry = zipfile.ZipInfo(file.name, date_time=EPOCH)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            try:
                data = file.read_bytes()
            except OSError as error:
                raise Reject(f"{shown}/{display_name(file.name)} cannot be read: {error.strerror}") from error
            packed.writestr(entry, data)
            yield from pieces.take()
    yield from pieces.take()


def _packed_files(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if file.is_file() and (is_page_name(file.name) or file.name == METADATA)]
    return sorted(files, key=lambda file: (file.name != METADATA, natural_key(file.name)))


class _Pieces(io.RawIOBase):
    """What zipfile writes, kept until it is taken; it cannot seek, so sizes follow the data."""

    def __init__(self) -> None:
        super().__init__()
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        piece = bytes(memoryview(data))  # type: ignore[arg-type]
        self._written.append(piece)
        return len(piece)

    def take(self) -> Iterator[bytes]:
        """What was written since, small pieces joined."""
        pieces, self._written = self._written, []
        small = b""
        for piece in pieces:
            if len(small) + len(piece) < BLOCK:
                small += piece
            else:
                if small:
                    yield small
                small = b""
                yield piece
        if small:
            yield small
