"""A comic that is one ACBF document: its pictures are embedded in it as base64.

They are found by a pattern and not by parsing, so that a document of a gigabyte costs one page of memory; what is left
without them is small, and parsed like all XML of strangers.
"""

import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from io import FileIO
from pathlib import Path

from shared.domain.attachments import LARGEST
from shared.errors import Reject, TooLarge
from shared.files.containers import Attachment, Limits, Unreadable
from shared.files.documents import BadDocument, attribute, child, children, parse_xml
from shared.files.entries import DAMAGED, EntryContainer, over_page_limit, too_many

BLOCK = 1 << 20
LONGEST_TAG = 1024
_BINARY = re.compile(rb"<(?:\w{1,20}:)?binary\s([^<>]{0,900})>")
_ID = re.compile(rb"(?:^|\s)id\s{0,9}=\s{0,9}(?:\"([^\"]+)\"|'([^']+)')")
MISSING = Unreadable("is not inside the document; get the complete comic")


@dataclass(frozen=True, slots=True)
class _Embedded:
    """Where the base64 text of a picture begins and ends in the file."""

    start: int
    end: int


class AcbfBook(EntryContainer):
    """The cover and the pages of a document's body, in order, each picture once; the attachment is the document.

    Raises `Reject` for a damaged document and for one that shows no pictures, `TooLarge` over a limit.
    """

    media_type = "application/x-acbf"

    def __init__(self, path: Path, *, name: str, limits: Limits) -> None:
        self.name = name
        self._limits = limits
        self._embedded: dict[str, _Embedded] = {}
        self._file = FileIO(path)
        try:
            self._document = self._without_pictures()
            self._names = self._shown()
        except (Reject, OSError):
            self._file.close()
            raise
        self._pages = list(range(len(self._names)))

    def targets(self, number: int) -> tuple[str, ...]:
        """The name of the picture, and as references inside the document write it."""
        name = self._names[self._pages[number]]
        return name, f"#{name}"

    def attachments(self) -> list[Attachment]:
        """The document without its pictures."""
        return [Attachment("book.acbf", self._document)]

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _contents(self, places: Sequence[int], *, largest: int) -> Iterator[bytes | Unreadable]:
        return (self._read(self._embedded.get(self._names[place]), largest=largest) for place in places)

    def _read(self, found: _Embedded | None, *, largest: int) -> bytes | Unreadable:
        if found is None:
            return MISSING
        # Four characters are three bytes; line ends and indentation come on top.
        if (found.end - found.start) // 2 > largest:
            return over_page_limit((found.end - found.start) * 3 // 4, largest=largest)
        try:
            self._file.seek(found.start)
            data = binascii.a2b_base64(self._file.read(found.end - found.start) or b"")
        except (binascii.Error, OSError):
            return Unreadable(DAMAGED)
        return over_page_limit(len(data), largest=largest) if len(data) > largest else data

    def _without_pictures(self) -> bytes:
        """The document with every embedded picture left out; where they are is remembered."""
        kept = bytearray()
        rest, offset = b"", 0  # what is not yet looked at, and where in the file that begins
        inside: tuple[str, int] | None = None  # the picture that is being passed, and where it begins
        while block := self._file.read(BLOCK):
            rest, at = rest + block, 0
            while True:
                if inside is None:
                    tag = _BINARY.search(rest, at)
                    # The last bytes may be the beginning of a tag.
                    end = tag.end() if tag else max(at, len(rest) - LONGEST_TAG)
                    kept += rest[at:end]
                    at = end
                    if tag is None:
                        break
                    inside = _identity(tag[1]), offset + at
                else:
                    end = rest.find(b"<", at)
                    at = len(rest) if end < 0 else end
                    if end < 0:
                        break
                    self._embedded.setdefault(inside[0], _Embedded(inside[1], offset + at))
                    inside = None
            if len(kept) > LARGEST:
                raise TooLarge(f"{self.name} has more than {LARGEST >> 20} MB of text beside its pictures; split it.")
            if len(self._embedded) > self._limits.entries:
                raise too_many(self.name, self._limits)
            rest, offset = rest[at:], offset + at
        return bytes(kept + rest)

    def _shown(self) -> list[str]:
        """Names of the embedded pictures in reading order."""
        try:
            root = parse_xml(self._document)
        except BadDocument as error:
            raise Reject(
                f"{self.name} is a damaged or cut-off ACBF document: it {error}. Get a complete copy."
            ) from error
        cover = child(child(child(root, "meta-data"), "book-info"), "coverpage")
        pages = [cover, *children(child(root, "body"), "page")]
        images = [image for page in pages if (image := child(page, "image")) is not None]
        names = [attribute(image, "href").removeprefix("#") for image in images]
        if not any(name in self._embedded for name in names):
            raise Reject(f"{self.name} holds no page images. If they lie beside it, put all into one folder or CBZ.")
        return list(dict.fromkeys(names))


def _identity(attributes: bytes) -> str:
    found = _ID.search(attributes)
    return unescape((found[1] or found[2]).decode("utf-8", "replace")) if found else ""
