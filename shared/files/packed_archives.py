"""CBR, CB7 and CBT: archives that only the 7-Zip program reads, never onto the disk."""

from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path

from shared.domain.zip_files import meant_names
from shared.errors import Reject
from shared.files.containers import Limits, Unreadable
from shared.files.entries import EntryContainer, page_places, protected, refuse_bombs
from shared.files.unpacking import Unpacker, listing


class PackedArchive(EntryContainer):
    """An archive of images, in natural order of their names; `kind` is its format as the program calls it.

    Raises `Reject` for what is not a whole, unprotected archive with images, `TooLarge` for what is over a limit.
    """

    def __init__(self, path: Path, *, name: str, limits: Limits, kind: str) -> None:
        self.name = name
        self._limits = limits
        self._file = FileIO(path)
        try:
            entries = listing(self._file, kind=kind, name=name, limits=limits)
            unpacked = sum(entry.size or 0 for entry in entries)
            refuse_bombs(unpacked, packed=path.stat().st_size, name=name, limits=limits)
            names = meant_names([entry.path.encode("utf-8", "surrogateescape") for entry in entries])
            self._names = [name + "/" * (entry.kind == "folder") for name, entry in zip(names, entries, strict=True)]
            self._pages = page_places(self._names, name=name)
            if any(entries[place].encrypted for place in self._pages):
                raise protected(name)
        except (Reject, OSError):
            self._file.close()
            raise
        self._unpacker = Unpacker(self._file, kind=kind, entries=entries, limits=limits)
        self.solid = self._unpacker.solid

    def close(self) -> None:
        """Let go of the file, and of the program if it runs."""
        self._unpacker.close()
        self._file.close()

    def _contents(self, places: Sequence[int], *, largest: int) -> Iterator[bytes | Unreadable]:
        return self._unpacker.read(places, largest=largest)


class RarArchive(PackedArchive):
    """RAR 1.5 to 7, solid or not."""

    media_type = "application/vnd.comicbook-rar"


class SevenZipArchive(PackedArchive):
    """7z, solid or not."""

    media_type = "application/x-cb7"


class TarArchive(PackedArchive):
    """tar, plain or packed as a whole with gzip, bzip2, xz or zstd."""

    media_type = "application/x-cbt"
