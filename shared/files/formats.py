"""Which container a file is, by its first bytes and never by its name."""

import codecs
from collections.abc import Callable
from pathlib import Path

from shared.errors import Reject
from shared.files.archives import ZipArchive
from shared.files.containers import DEFAULT_LIMITS, Container, Limits
from shared.files.folders import ImageFolder
from shared.files.images import sniff_image

HEAD = 1024
# A PDF may begin after up to a kilobyte of other bytes; every other signature stands at a fixed place.
ZIP_SIGNS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
NOT_YET = (
    (0, b"Rar!\x1a\x07", "a RAR archive (CBR)"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive (CB7)"),
    (257, b"ustar", "a tar archive (CBT)"),
    (0, b"\x1f\x8b", "a gzip file"),
    (0, b"BZh", "a bzip2 file"),
    (0, b"\xfd7zXZ\x00", "an xz file"),
    (0, b"AT&TFORM", "a DjVu document"),
    (60, b"BOOKMOBI", "a Kindle book"),
)


def _open_pdf(path: Path, *, name: str, limits: Limits) -> Container:
    from shared.files.pdf import PdfDocument  # MuPDF takes a third of a second to load: only those who need it

    return PdfDocument(path, name=name, limits=limits)


OPENERS: dict[str, Callable[..., Container]] = {"folder": ImageFolder, "zip": ZipArchive, "pdf": _open_pdf}


def open_container(path: Path, *, name: str, limits: Limits = DEFAULT_LIMITS) -> Container:
    """Open a comic for reading, fast: no page is decoded.

    `name` is what the user calls the file. Raises `Reject` (not a comic, protected, damaged) or `TooLarge`, each with
    a text that names the file and says what to do.
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
    if head.startswith(ZIP_SIGNS):
        return "zip"
    if b"%PDF-" in head:
        return "pdf"
    for offset, sign, kind in NOT_YET:
        if head.startswith(sign, offset):
            raise Reject(f"{name} is {kind}, which is not supported yet. Convert it to CBZ, PDF or a folder of images.")
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
