"""CBZ and ZIP. Entries are only ever read into memory, under limits, whatever the archive says about itself."""

import stat
import zipfile
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path

from shared.domain.zip_files import ENCRYPTED, FAULTS, TAIL, GuardedFile, entry_names
from shared.errors import Reject, TooLarge
from shared.files.containers import Limits, Unreadable
from shared.files.entries import (
    CUT_OFF,
    DAMAGED,
    DEVICE,
    LINK,
    EntryContainer,
    over_page_limit,
    page_places,
    protected,
    refuse_bombs,
    too_many,
)
from shared.files.seven_zip import program
from shared.files.unpacking import IN_PARTS, Unpacker, listing

STREAMED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
READ_METHODS = (*STREAMED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
# bzip2 and lzma of the standard library unpack all they are given at once: this is how much they are given.
SIP = 4096
# What the first part of a zip in several parts begins with.
PARTS_SIGN = b"PK\x07\x08"
OTHER_KINDS = (
    ("[Content_Types].xml", "an office document"),
    ("META-INF/MANIFEST.MF", "a Java program"),
    ("AndroidManifest.xml", "an Android program"),
)


class ZipEntries:
    """The entries of a whole, harmless zip by their place in `names`; close it.

    Raises `Reject` for what is damaged, cut off or another kind of file, `TooLarge` for what is over a limit.
    """

    def __init__(self, path: Path, *, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self._raw = FileIO(path)
        self._file = GuardedFile(self._raw)
        self._unpacker: Unpacker | None = None
        try:
            self._zip = _open(self._file, name=name, limits=limits)
            self._entries = self._zip.infolist()
            _refuse_other_kinds(self._zip, name=name)
            _refuse_overlaps(self._entries, packed=path.stat().st_size, name=name, limits=limits)
        except (Reject, OSError):
            self._file.close()
            raise
        self._file.longest = max(limits.page_bytes, TAIL)
        self.names = entry_names(self._entries)

    def is_book(self) -> bool:
        """Whether this is an EPUB and not a plain zip, whatever its name says."""
        return "META-INF/container.xml" in self._zip.NameToInfo or _declared_type(self._zip) == b"application/epub+zip"

    def encrypted(self, places: Sequence[int]) -> bool:
        """Whether one of these entries asks for a password."""
        return any(self._entries[place].flag_bits & ENCRYPTED for place in places)

    def contents(self, places: Sequence[int], *, largest: int) -> Iterator[bytes | Unreadable]:
        """The bytes of each of these entries, or why there are none; over `largest` bytes is a reason too."""
        unusual = [place for place in places if self._entries[place].compress_type not in READ_METHODS]
        by_program = self._by_program(unusual, largest=largest)
        for place in places:
            if self._entries[place].compress_type in READ_METHODS:
                yield self._read(self._entries[place], largest=largest)
            else:
                yield next(by_program)

    def close(self) -> None:
        """Let go of the file, and of the program that unpacks if it runs."""
        if self._unpacker is not None:
            self._unpacker.close()
        self._zip.close()
        self._file.close()

    def _read(self, entry: zipfile.ZipInfo, *, largest: int) -> bytes | Unreadable:
        """The bytes of one entry: never more than it declares, and it may not declare more than `largest`."""
        mode = stat.S_IFMT(entry.external_attr >> 16)
        if mode not in (0, stat.S_IFREG):
            return Unreadable(LINK if mode == stat.S_IFLNK else DEVICE)
        if entry.file_size > largest:
            return over_page_limit(entry.file_size, largest=largest)
        sip = entry.file_size if entry.compress_type in STREAMED else SIP
        try:
            with self._zip.open(entry) as stream:
                data = b"".join(iter(lambda: stream.read(sip), b"")) if sip == SIP else stream.read(sip)
        except (*FAULTS, NotImplementedError, RuntimeError, TooLarge):
            return Unreadable(DAMAGED)
        return data if len(data) == entry.file_size else Unreadable(CUT_OFF)

    def _by_program(self, places: Sequence[int], *, largest: int) -> Iterator[bytes | Unreadable]:
        """What Python cannot unpack is read by the 7-Zip program, which lists the same entries in the same order."""
        if places and self._unpacker is None:
            program()  # without it nothing is wrong with the comic
            try:
                listed = listing(self._raw, kind="zip", name=self.name, limits=self.limits)
            except Reject:
                listed = []
            same = [(entry.file_size, entry.CRC) for entry in self._entries]
            if same != [(entry.size, entry.crc or 0) for entry in listed]:
                yield from (Unreadable(DAMAGED) for _ in places)
                return
            self._unpacker = Unpacker(self._raw, kind="zip", entries=listed, limits=self.limits)
        if self._unpacker is not None:
            yield from self._unpacker.read(places, largest=largest)


class ZipArchive(EntryContainer):
    """A zip of images, in natural order of their names; `Reject` when it holds none or asks for a password."""

    media_type = "application/vnd.comicbook+zip"

    def __init__(self, opened: ZipEntries) -> None:
        self.name = opened.name
        self._zip = opened
        self._limits = opened.limits
        self._names = opened.names
        self._pages = page_places(self._names, name=self.name)
        if opened.encrypted(self._pages):
            raise protected(self.name)

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()

    def _contents(self, places: Sequence[int], *, largest: int) -> Iterator[bytes | Unreadable]:
        return self._zip.contents(places, largest=largest)


def _open(file: GuardedFile, *, name: str, limits: Limits) -> zipfile.ZipFile:
    file.longest, file.most = max(limits.listing_bytes, TAIL), limits.entries
    try:
        opened = zipfile.ZipFile(file)
    except TooLarge as error:
        raise too_many(name, limits) from error
    except (*FAULTS, NotImplementedError) as error:
        file.seek(0)
        if file.read(len(PARTS_SIGN)) == PARTS_SIGN:
            raise Reject(f"{name} {IN_PARTS}") from error
        raise Reject(
            f"{name} is a damaged or cut-off zip: its table of contents cannot be read. Get a complete copy."
        ) from error
    if len(opened.filelist) > limits.entries:
        raise too_many(name, limits)
    file.most = None
    return opened


def _refuse_other_kinds(opened: zipfile.ZipFile, *, name: str) -> None:
    names = opened.NameToInfo
    if _declared_type(opened).startswith(b"application/vnd.oasis"):
        raise Reject(f"{name} is an office document, not a comic. Save it as PDF.")
    for sign, kind in OTHER_KINDS:
        if sign in names:
            raise Reject(f"{name} is {kind}, not a comic: expected a zip of page images.")


def _declared_type(opened: zipfile.ZipFile) -> bytes:
    """What an entry named `mimetype` says that the whole file is: EPUB and office documents have one."""
    entry = opened.NameToInfo.get("mimetype")
    if entry is None or entry.compress_type not in STREAMED:
        return b""
    try:
        with opened.open(entry) as stream:
            return stream.read(100).strip()
    except (*FAULTS, NotImplementedError, RuntimeError, TooLarge):
        return b""


def _refuse_overlaps(entries: Sequence[zipfile.ZipInfo], *, packed: int, name: str, limits: Limits) -> None:
    refuse_bombs(sum(entry.file_size for entry in entries), packed=packed, name=name, limits=limits)
    # Entries of an honest archive share no bytes; a bomb lists the same packed bytes again and again.
    if sum(entry.compress_size for entry in entries) > packed:
        raise Reject(f"{name} is damaged: its entries overlap or reach past its end. Get a complete copy.")
