"""A walk through local files and folders: which of them are comics."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.domain.packing import Stamp, stamp
from shared.domain.page_order import display_name, is_page_name, natural_key
from shared.domain.signatures import HEAD, kind_of

PACKED_TARS = (".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
COMIC_SUFFIXES = frozenset(
    (".cbz", ".zip", ".cbr", ".rar", ".cb7", ".7z", ".cbt", ".tar", ".pdf", ".epub", ".acbf", *PACKED_TARS)
)
OTHER_BOOKS = frozenset((".mobi", ".azw", ".azw3", ".kfx", ".djvu", ".chm", ".doc", ".docx"))
# Known to be no comics, although some are zips: never opened. What has no or any other suffix is told by its bytes.
OTHER_FILES = frozenset(
    (".txt", ".md", ".rst", ".nfo", ".rtf", ".xml", ".xsd", ".opf", ".ncx", ".json", ".yaml", ".yml", ".csv",
     ".html", ".htm", ".css", ".js", ".py", ".c", ".h", ".sh", ".bat", ".ini", ".cfg", ".conf", ".log", ".db",
     ".sqlite", ".url", ".lnk", ".torrent", ".sfv", ".md5", ".sha1", ".sha256", ".par2", ".part", ".tmp",
     ".crdownload", ".partial", ".mp3", ".m4a", ".ogg", ".flac", ".wav", ".mp4", ".mkv", ".avi", ".mov", ".srt",
     ".ttf", ".otf", ".psd", ".svg", ".exe", ".dll", ".so", ".dmg", ".iso", ".jar", ".apk", ".xlsx", ".pptx",
     ".odt", ".ods", ".odp", ".gz", ".bz2", ".xz", ".zst")
)  # fmt: skip
SENT_BY_BYTES = frozenset(("zip", "rar", "rar5", "7z", "tar", "pdf", "acbf"))
LEAST = 4096  # bytes of a file that is worth a look at its first ones
JUNK_FOLDERS = frozenset(("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information"))
DEEPEST = 200  # folders inside folders that are entered; no person nests so far
CIRCLE = "cannot be read: its links lead in a circle"


@dataclass(frozen=True, slots=True)
class ComicSource:
    """One local comic. `path` is real and absolute, `name` the file name that the server is told.

    `folder` names the shelf it stands on: the folder that was named on the way to it, or the topmost one below that.
    """

    path: Path
    name: str
    kind: Literal["file", "folder"]
    stamp: Stamp
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not taken, and why.

    `wanted`: a comic was expected there. `beside`: it is what lies beside comics anywhere, not worth a line.
    """

    path: Path
    reason: str
    wanted: bool = False
    beside: bool = False


Found = ComicSource | Skipped


def find_comics(paths: Iterable[Path], *, recursive: bool = False) -> Iterator[Found]:
    """Decide what is a comic: a file by its suffix or first bytes, a folder that directly holds images, its files.

    Lazily, in natural order, one folder's names in memory at a time. A folder with both images and books is a shelf
    with covers: its books are the comics. Folders inside folders are entered only when `recursive`, links to folders
    never. A path that was named twice, or lies inside another, counts once.
    """
    before: set[Path] = set()
    for path in paths:
        try:
            real = path.resolve()
        except (OSError, RuntimeError):
            yield Skipped(path, CIRCLE, wanted=True)
            continue
        if not _covered(real, before, recursive=recursive):
            yield from _walk(path, real, before, recursive=recursive)
        before.add(real)


def _covered(real: Path, before: set[Path], *, recursive: bool) -> bool:
    """Whether the walk through a folder that was named before has met this path."""
    if real in before or not os.path.exists(real):
        return real in before
    above = list(real.parents) if recursive else [real.parent]
    found = next((number for number, folder in enumerate(above) if folder in before), None)
    return found is not None and not any(_hidden(part.name) for part in [real, *above[:found]])


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that is still to be looked into. `shelf`: where it stands if it is a comic itself; None: on none."""

    path: Path
    shelf: str | None = None
    depth: int = 0

    @property
    def inner_shelf(self) -> str | None:
        """Where the comics in it stand: the topmost folders below the one that was named are the shelves."""
        return self.shelf if self.depth > 1 else display_name(self.path.name)


def _walk(path: Path, real: Path, before: set[Path], *, recursive: bool) -> Iterator[Found]:
    waiting = [_Folder(real)] if os.path.isdir(real) else []
    if not waiting:
        yield _file(path, real, named=True)
    while waiting:
        folder = waiting.pop()
        try:
            entries = _entries(folder.path)
            inside = [Path(entry.path) for entry in entries if _is_folder(entry)]
        except OSError as error:
            yield Skipped(folder.path, _unreadable(error), wanted=True)
            continue
        yield from _files(folder, entries, before)
        if not entries:
            yield Skipped(folder.path, "is an empty folder")
        entered = recursive and folder.depth < DEEPEST
        for inner in inside:
            if inner.is_symlink():
                yield Skipped(inner, "is a link to a folder; name it to add it")
            elif not entered:
                yield Skipped(inner, "is a folder inside a folder; add --recursive, or name it")
        if entered:
            below = [inner for inner in inside if not inner.is_symlink() and inner not in before]
            waiting += [_Folder(inner, folder.inner_shelf, folder.depth + 1) for inner in reversed(below)]


def _files(folder: _Folder, entries: list[os.DirEntry[str]], before: set[Path]) -> Iterator[Found]:
    """The comics that lie directly in a folder, or the folder itself as one."""
    files = [entry for entry in entries if not _is_folder(entry)]
    beside_books = any(_suffix(entry.name) in COMIC_SUFFIXES | OTHER_BOOKS for entry in files)
    if not beside_books and any(is_page_name(entry.name) for entry in files):
        yield _image_folder(folder)
        return
    for entry in files:
        place = Path(entry.path)
        try:
            real = place.resolve() if entry.is_symlink() else place
        except (OSError, RuntimeError):
            yield Skipped(place, CIRCLE, wanted=True)
            continue
        if real not in before:
            yield _file(place, real, shelf=folder.inner_shelf)


def _image_folder(folder: _Folder) -> Found:
    try:
        found = stamp(folder.path)
    except OSError as error:
        return Skipped(folder.path, _unreadable(error), wanted=True)
    return ComicSource(folder.path, f"{display_name(folder.path.name)}.cbz", "folder", found, folder.shelf)


def _file(path: Path, real: Path, *, shelf: str | None = None, named: bool = False) -> Found:
    # A file that a person named is sent whatever its suffix: the server looks at its bytes and says what is wrong.
    suffix = _suffix(path.name)
    try:
        found = real.stat()
    except FileNotFoundError:
        return Skipped(path, "does not exist", wanted=True)
    except OSError as error:
        return Skipped(path, _unreadable(error), wanted=True)
    if not stat.S_ISREG(found.st_mode):
        return Skipped(path, "is no file or folder", wanted=True)
    if suffix in COMIC_SUFFIXES or (named and not is_page_name(path.name) and suffix not in OTHER_BOOKS):
        return ComicSource(real, display_name(path.name), "file", Stamp(found.st_size, found.st_mtime_ns), shelf)
    if suffix in OTHER_BOOKS:
        return Skipped(path, f"is a {suffix} file, which holds no comic we can read; add it as CBZ or PDF", wanted=True)
    if is_page_name(path.name):
        reason = "is a single image; name the folder that holds the comic's pages"
        return Skipped(path, reason, wanted=named, beside=not named)
    if suffix not in OTHER_FILES and found.st_size >= LEAST and _kind(real) in SENT_BY_BYTES:
        return ComicSource(real, display_name(path.name), "file", Stamp(found.st_size, found.st_mtime_ns), shelf)
    return Skipped(path, "is no comic (.cbz, .cbr, .cb7, .cbt, .pdf, .epub, .acbf or a folder of images)", beside=True)


def _kind(path: Path) -> str | None:
    """What a file is by its first bytes; None when it cannot be told."""
    try:
        with path.open("rb", buffering=0) as file:
            return kind_of(file.read(HEAD))
    except OSError:
        return None


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return sorted((one for one in found if not _hidden(one.name)), key=lambda one: natural_key(one.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether this is a folder, or a link to one; a link that leads nowhere is told as a file that cannot be read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in JUNK_FOLDERS


def _suffix(name: str) -> str:
    lower = name.lower()
    return next((suffix for suffix in PACKED_TARS if lower.endswith(suffix)), os.path.splitext(lower)[1])


def _unreadable(error: OSError) -> str:
    return f"cannot be read: {error.strerror or 'the disk fails'}"
