"""CBZ and ZIP. Entries are only ever read into memory, under limits, whatever the archive says about itself."""

import stat
import zipfile
from collections.abc import Iterator
from io import FileIO
from pathlib import Path, PurePosixPath

from shared.domain.page_order import climbs, display_name, is_page_name, natural_key
from shared.domain.zip_files import ENCRYPTED, FAULTS, TAIL, GuardedFile
from shared.errors import Reject, TooLarge
from shared.files.containers import Container, Limits, RawPage, Unreadable

STREAMED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
METHODS = {6: "implode", 9: "deflate64", 93: "zstandard", 95: "xz", 97: "wavpack", 98: "ppmd"}
READ_METHODS = (*STREAMED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
# bzip2 and lzma of the standard library unpack all they are given at once: this is how much they are given.
SIP = 4096
OTHER_KINDS = (
    ("[Content_Types].xml", "an office document"),
    ("META-INF/MANIFEST.MF", "a Java program"),
    ("AndroidManifest.xml", "an Android program"),
)
INNER_ARCHIVES = (".zip", ".cbz", ".rar", ".cbr", ".7z", ".cb7", ".tar", ".cbt", ".gz", ".pdf", ".epub")


class ZipArchive(Container):
    """A zip of images, in natural order of their names.

    Raises `Reject` for what is not a whole, unprotected zip with images, `TooLarge` for what is over a limit.
    """

    media_type = "application/vnd.comicbook+zip"

    def __init__(self, path: Path, *, name: str, limits: Limits) -> None:
        self.name = name
        self._limits = limits
        self._file = GuardedFile(FileIO(path))
        try:
            self._zip = _open(self._file, name=name, limits=limits)
            entries = self._zip.infolist()
            _refuse_other_kinds(self._zip, name=name)
            _refuse_bombs(entries, packed=path.stat().st_size, name=name, limits=limits)
            self._pages = _page_entries(entries, name=name)
        except Reject:
            self._file.close()
            raise
        self._file.longest = max(limits.page_bytes, TAIL)

    def __len__(self) -> int:
        return len(self._pages)

    def pages(self, *, start: int = 0, stop: int | None = None) -> Iterator[RawPage]:
        """Every page, verbatim; an entry that cannot be unpacked is a page with a reason."""
        for number, entry in enumerate(self._pages[start:stop], start=start):
            shown = display_name(entry.filename)
            try:
                yield RawPage(number, shown, self._read(entry))
            except Unreadable as error:
                yield RawPage(number, shown, None, str(error))

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()
        self._file.close()

    def _read(self, entry: zipfile.ZipInfo) -> bytes:
        """The bytes of one entry: never more than it declares, and it may not declare more than the limit."""
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise Unreadable("is a link to another file, not a picture")
        if entry.compress_type not in READ_METHODS:
            method = METHODS.get(entry.compress_type, f"method {entry.compress_type}")
            raise Unreadable(f"is packed with {method}, which is not supported; repack the comic as an ordinary zip")
        if entry.file_size > self._limits.page_bytes:
            raise Unreadable(
                f"is {_mb(entry.file_size)} large, over the limit of {_mb(self._limits.page_bytes)} a page"
            )
        sip = entry.file_size if entry.compress_type in STREAMED else SIP
        try:
            with self._zip.open(entry) as stream:
                data = b"".join(iter(lambda: stream.read(sip), b"")) if sip == SIP else stream.read(sip)
        except (*FAULTS, NotImplementedError, RuntimeError, TooLarge) as error:
            raise Unreadable("is damaged inside the archive; get a complete copy of the comic") from error
        if len(data) != entry.file_size:
            raise Unreadable("is cut off inside the archive; get a complete copy of the comic")
        return data


def _open(file: GuardedFile, *, name: str, limits: Limits) -> zipfile.ZipFile:
    file.longest = max(limits.listing_bytes, TAIL)
    try:
        opened = zipfile.ZipFile(file)
    except TooLarge as error:
        raise TooLarge(f"{name} lists more than {limits.entries} files; split it into separate comics") from error
    except (*FAULTS, NotImplementedError) as error:
        raise Reject(
            f"{name} is a damaged or cut-off zip: its table of contents cannot be read. Get a complete copy."
        ) from error
    if len(opened.filelist) > limits.entries:
        raise TooLarge(f"{name} lists more than {limits.entries} files; split it into separate comics")
    return opened


def _refuse_other_kinds(opened: zipfile.ZipFile, *, name: str) -> None:
    names = opened.NameToInfo
    declared = _declared_type(opened)
    if declared == b"application/epub+zip":
        raise Reject(f"{name} is an EPUB, which is not supported yet. Convert it to CBZ or PDF.")
    if declared.startswith(b"application/vnd.oasis"):
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


def _refuse_bombs(entries: list[zipfile.ZipInfo], *, packed: int, name: str, limits: Limits) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.total_bytes:
        raise TooLarge(f"{name} would unpack to {_mb(unpacked)}, over the limit of {_mb(limits.total_bytes)}.")
    if unpacked > limits.ratio_floor and unpacked > limits.ratio * packed:
        raise TooLarge(
            f"{name} would unpack to {unpacked // packed} times its size, as a zip bomb does; "
            f"the limit is {limits.ratio}. If it is honest, repack it without compression."
        )
    # Entries of an honest archive share no bytes; a bomb lists the same packed bytes again and again.
    if sum(entry.compress_size for entry in entries) > packed:
        raise Reject(f"{name} is damaged: its entries overlap or reach past its end. Get a complete copy.")


def _page_entries(entries: list[zipfile.ZipInfo], *, name: str) -> list[zipfile.ZipInfo]:
    if any(climbs(entry.filename) for entry in entries):
        raise Reject(f"{name} holds file names with '..' that point outside of it; refused as unsafe. Repack it.")
    pages = sorted((entry for entry in entries if is_page_name(entry.filename)), key=lambda e: natural_key(e.filename))
    if not pages:
        raise Reject(f"{name} holds no page images{_what_else(entries)}. Expected a zip of JPEG, PNG or WebP pages.")
    if any(entry.flag_bits & ENCRYPTED for entry in pages):
        raise Reject(f"{name} is protected by a password. Unpack it with the password and add the folder instead.")
    return pages


def _what_else(entries: list[zipfile.ZipInfo]) -> str:
    files = [entry.filename for entry in entries if not entry.is_dir()]
    if not files:
        return ": it is empty"
    inner = [file for file in files if PurePosixPath(file).suffix.lower() in INNER_ARCHIVES]
    if inner:
        return f", but other archives ({display_name(inner[0])} …): unpack it and add those"
    return f", only {len(files)} other file{'s' if len(files) > 1 else ''} ({display_name(files[0])} …)"


def _mb(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MB"
