"""A stranger's zip, read entry by entry into memory under limits, whatever it says about itself.

No name from it ever becomes a path, and nothing is unpacked to the disk.
"""

import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path, PurePosixPath

from shared.domain.page_order import climbs, display_name
from shared.domain.zip_files import ENCRYPTED, FAULTS, TAIL, GuardedFile
from shared.errors import Reject, TooLarge

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
EPOCH = (1980, 1, 1, 0, 0, 0)
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one archive may cost; far above honest ones."""

    entries: int = 500_000
    listing_bytes: int = 128 << 20
    total_bytes: int = 256 << 30
    ratio: int = 100
    ratio_floor: int = 64 << 20


class OpenedZip:
    """The files of a zip by their full names. Use it in a `with`.

    Raises `Reject` for what is no whole, unprotected zip with harmless names, `TooLarge` for what is over a limit.
    """

    def __init__(self, path: Path, *, name: str, limits: Limits | None = None) -> None:
        self.name = name
        self._limits = limits or Limits()
        self._file = GuardedFile(FileIO(path))
        try:
            self._zip = self._open()
            self._entries = self._checked(packed=path.stat().st_size)
        except Reject:
            self._file.close()
            raise

    def __enter__(self) -> "OpenedZip":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    @property
    def names(self) -> list[str]:
        """Full names of its files, in the archive's order."""
        return list(self._entries)

    def read(self, name: str, *, limit: int) -> bytes:
        """The bytes of a file; `Reject` when it is damaged, `TooLarge` over `limit` bytes."""
        entry, shown = self._entries[name], display_name(name)
        if entry.file_size > limit:
            raise TooLarge(f"{shown} is over the limit of {limit:,} bytes")
        try:
            with self._zip.open(entry) as stream:
                data = stream.read(entry.file_size + 1)
        except (*FAULTS, NotImplementedError, RuntimeError, TooLarge) as error:
            raise Reject(f"{shown} is damaged inside the archive") from error
        if len(data) != entry.file_size:
            raise Reject(f"{shown} is cut off inside the archive")
        return data

    def _open(self) -> zipfile.ZipFile:
        self._file.longest = max(self._limits.listing_bytes, TAIL)
        try:
            return zipfile.ZipFile(self._file)
        except TooLarge as error:
            raise TooLarge(f"{self.name} lists too many files; send it in parts") from error
        except (*FAULTS, NotImplementedError) as error:
            raise Reject(f"{self.name} is no zip, or a damaged or cut-off one; send a zip of a v0.3 folder") from error

    def _checked(self, *, packed: int) -> dict[str, zipfile.ZipInfo]:
        entries, limits = [e for e in self._zip.infolist() if not e.is_dir()], self._limits
        if len(entries) > limits.entries:
            raise TooLarge(f"{self.name} lists more than {limits.entries:,} files; send it in parts")
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > limits.total_bytes:
            raise TooLarge(f"{self.name} would unpack to {unpacked:,} bytes, over the limit of {limits.total_bytes:,}")
        if unpacked > limits.ratio_floor and unpacked > limits.ratio * packed:
            raise TooLarge(f"{self.name} would unpack to {unpacked // packed} times its size, as a zip bomb does")
        # Entries of an honest archive share no bytes; a bomb lists the same packed bytes again and again.
        if sum(entry.compress_size for entry in entries) > packed:
            raise Reject(f"{self.name} is damaged: its entries overlap or reach past its end")
        found: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            name = entry.filename.replace("\\", "/")
            shown = display_name(name)
            if climbs(name) or name.startswith("/") or PurePosixPath(name).parts[:1] == ("~",) or ":" in name[:3]:
                raise Reject(f"{self.name} holds a name that points outside of it ({shown}); refused as unsafe")
            if name in found:
                raise Reject(f"{self.name} holds {shown} twice; which one counts is anybody's guess")
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise Reject(f"{self.name} holds a link ({shown}); pack the file itself")
            if entry.flag_bits & ENCRYPTED:
                raise Reject(f"{self.name} is protected by a password; send it without")
            if entry.compress_type not in METHODS:
                raise Reject(f"{shown} is packed in a way that is not supported; repack as an ordinary zip")
            found[name] = entry
        return found


def zip_pieces(files: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Files as one stored zip in pieces, one file in memory at a time; the same files give the same bytes."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as packed:
        for name, data in files:
            entry = zipfile.ZipInfo(name, date_time=EPOCH)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            packed.writestr(entry, data)
            if outlet.size >= PIECE:
                yield outlet.take()
    yield outlet.take()


class _Outlet:
    """What zipfile writes, kept until it is taken; it can neither seek nor tell, so sizes follow the data."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self._written.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """There is nothing to flush."""

    def close(self) -> None:
        """There is nothing to close."""

    def take(self) -> bytes:
        """What was written since."""
        taken, self._written, self.size = b"".join(self._written), [], 0
        return taken
