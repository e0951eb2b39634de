"""A folder of images as a comic: which of its files belong to it, when it has changed, and all as one stored zip.

The same folder always gives the same bytes (fixed times, natural order, nothing but pages and what speaks about them),
so that its sha256 recognises it when it is added again.
"""

import io
import os
import stat
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from shared.domain.attachments import speaking
from shared.domain.page_order import display_name, is_page_name, natural_key
from shared.domain.zip_files import meant_names
from shared.errors import Reject, TooLarge

LARGEST_PAGE = 256 << 20  # bytes
EPOCH = (1980, 1, 1, 0, 0, 0)
BLOCK = 1 << 20
# Not through a link that came meanwhile, and without waiting for whoever writes into a pipe.
PLAINLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Stamp(NamedTuple):
    """By what a file is taken for unchanged. Of a folder: its files' bytes together, and the latest change of all."""

    size: int
    mtime_ns: int


class FolderFile(NamedTuple):
    """One file of a comic that is a folder, under the name it has in a zip."""

    name: str
    path: Path


def folder_files(folder: Path) -> list[FolderFile]:
    """What speaks about the pages that lie directly in a folder, then the pages in natural order of their names.

    Links are left out, and all else that is no plain file.
    """
    with os.scandir(folder) as inside:
        files = sorted(entry.name for entry in inside if entry.is_file(follow_symlinks=False))
    found = [FolderFile(name, folder / file) for name, file in zip(_names(files), files, strict=True)]
    about = [found[place] for place in speaking([file.name for file in found])]
    pages = [file for file in found if is_page_name(file.name)]
    return sorted(about) + sorted(pages, key=lambda file: natural_key(file.name))


def _names(files: Sequence[str]) -> list[str]:
    """Names that can be written down, each once: those that are no UTF-8 as they would be read in a zip."""
    odd = [place for place, file in enumerate(files) if not _is_text(file)]
    names, taken = list(files), set(files)
    for place, name in zip(odd, meant_names([os.fsencode(files[place]) for place in odd]), strict=True):
        stem, suffix = os.path.splitext(name)
        while name in taken:
            stem += "_"
            name = stem + suffix
        taken.add(name)
        names[place] = name
    return names


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def stamp(path: Path) -> Stamp:
    """By what a file or a folder of images is taken for unchanged; OSError when it cannot be looked at."""
    found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        return Stamp(found.st_size, found.st_mtime_ns)
    files = [file.path.lstat() for file in folder_files(path)]
    return Stamp(sum(file.st_size for file in files), max(file.st_mtime_ns for file in [found, *files]))


def pack_folder(folder: Path) -> Iterator[bytes]:
    """The files of a folder as one stored zip in pieces, of about a mebibyte however large they are.

    Raises `Reject` when the folder holds no page images or one of them cannot be read, `TooLarge` for one that is over
    the limit.
    """
    files = folder_files(folder)
    shown = display_name(folder.resolve().name)
    if not any(is_page_name(file.name) for file in files):
        raise Reject(
            f"{shown} holds no page images; expected a folder of JPEG, PNG or WebP files, and no links to them"
        )
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w", zipfile.ZIP_STORED) as packed:
        for file in files:
            entry = zipfile.ZipInfo(file.name, date_time=EPOCH)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            with packed.open(entry, "w") as target:
                for block in _blocks(file.path, shown=f"{shown}/{display_name(file.name)}"):
                    target.write(block)
                    yield from pieces.take()
    yield from pieces.take()


def _blocks(file: Path, *, shown: str) -> Iterator[bytes]:
    """A file's bytes, as many as it has now: one that grows without end is not followed."""
    try:
        with open(file, "rb", opener=lambda path, flags: os.open(path, flags | PLAINLY)) as source:
            left = os.fstat(source.fileno()).st_size
            if left > LARGEST_PAGE:
                raise TooLarge(f"{shown} is {left >> 20:,} MB large, over the limit of {LARGEST_PAGE >> 20} MB a page")
            while block := source.read(min(left, BLOCK)):
                left -= len(block)
                yield block
    except OSError as error:
        raise Reject(f"{shown} cannot be read: {error.strerror}") from error


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
