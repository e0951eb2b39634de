"""Which container a file is, by its first bytes and never by its name."""

import codecs
from collections.abc import Callable
from functools import partial
from pathlib import Path

from shared.domain.signatures import HEAD, kind_of
from shared.errors import Reject
from shared.files.acbf_book import AcbfBook
from shared.files.archives import ZipArchive, ZipEntries
from shared.files.containers import DEFAULT_LIMITS, Container, Limits
from shared.files.epub import EpubBook
from shared.files.folders import ImageFolder
from shared.files.images import sniff_image
from shared.files.packed_archives import RarArchive, SevenZipArchive, TarArchive
from shared.files.seven_zip import PACKED_TARS

OTHER_KINDS = (
    (0, b"AT&TFORM", "a DjVu document"),
    (60, b"BOOKMOBI", "a Kindle book"),
    (0, b"ITOLITLS", "a Microsoft Reader book"),
    (0, b"ITSF", "a Windows help file"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old office document"),
    (0, b"{\\rtf", "a text document (RTF)"),
    (7, b"**ACE**", "an ACE archive"),
    (2, b"-lh", "an LZH archive"),
    (0, b"MZ", "a Windows program"),
)


def _open_zip(path: Path, *, name: str, limits: Limits) -> Container:
    opened = ZipEntries(path, name=name, limits=limits)
    try:
        return EpubBook(opened) if opened.is_book() else ZipArchive(opened)
    except Reject:
        opened.close()
        raise


def _open_pdf(path: Path, *, name: str, limits: Limits) -> Container:
    from shared.files.pdf import PdfDocument  # MuPDF takes a third of a second to load: only those who need it

    return PdfDocument(path, name=name, limits=limits)


OPENERS: dict[str, Callable[..., Container]] = {
    "folder": ImageFolder,
    "zip": _open_zip,
    "pdf": _open_pdf,
    "acbf": AcbfBook,
    "rar": partial(RarArchive, kind="rar"),
    "rar5": partial(RarArchive, kind="rar5"),
    "7z": partial(SevenZipArchive, kind="7z"),
    "tar": partial(TarArchive, kind="tar"),
    **{kind: partial(TarArchive, kind=kind) for kind in PACKED_TARS},
}


def open_container(path: Path, *, name: str, limits: Limits = DEFAULT_LIMITS) -> Container:
    """Open a comic for reading, fast: no page is decoded.

    `name` is what the user calls the file. Raises `Reject` (not a comic, protected, damaged, not readable by us) or
    `TooLarge`, each with a text that names the file and says what to do; `OSError` when the system denies the file.
    """
    if path.is_dir():
        kind = "folder"
    else:
        with path.open("rb") as file:
            kind = sniff(file.read(HEAD), name=name)
    return OPENERS[kind](path, name=name, limits=limits)


def sniff(head: bytes, *, name: str) -> str:
    """The key of `OPENERS` for a file that begins with `head` (1024 bytes); `Reject` says what it is instead."""
    if not head:
        raise Reject(f"{name} is empty (0 bytes). The copy or download failed; get the file again.")
    found = kind_of(head)
    if found is not None:
        return found
    for offset, sign, kind in OTHER_KINDS:
        if head.startswith(sign, offset):
            raise Reject(f"{name} is {kind}, which is not supported. Convert it to CBZ, PDF or a folder of images.")
    if sniff_image(head) is not None:
        raise Reject(f"{name} is a single image. Put the pages of a comic into one folder or CBZ and add that.")
    if _is_text(head):
        raise Reject(f"{name} is a text file, whatever its name says. Add a CBZ, a PDF or a folder of images.")
    raise Reject(f"{name} is no comic we know (and may be damaged). Add a CBZ, a PDF or a folder of images.")


def _is_text(head: bytes) -> bool:
    try:
        # Not final: the last character may be cut by the end of `head`.
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=False)
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\r\n\t\f\ufeff" for char in text)
