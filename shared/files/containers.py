"""What every file format is opened into: a container of pages in reading order, within limits.

A new format is one class with `pages`, and one line in `formats.OPENERS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from shared.domain.packing import LARGEST_PAGE
from shared.errors import Reject

if TYPE_CHECKING:
    from PIL.Image import Image


class Unreadable(Reject):
    """One page cannot be had; the text is the reason and does not repeat the page's name."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one comic may cost; far above honest comics, far below what hurts a machine."""

    entries: int = 20_000
    """Files in an archive or folder, pages of a PDF."""
    listing_bytes: int = 8 << 20
    """Table of contents of a zip."""
    page_bytes: int = LARGEST_PAGE
    """One page, unpacked."""
    total_bytes: int = 16 << 30
    """All entries, unpacked."""
    ratio: int = 100
    """Unpacked over packed bytes of a whole archive."""
    ratio_floor: int = 64 << 20
    """Unpacked bytes below which no ratio is suspicious: blank pages shrink a thousandfold."""
    pixels: int = 100_000_000
    """One page, width × height."""
    seconds: int = 900
    """Waiting for the program that unpacks what Python cannot; a large solid archive takes minutes."""
    drawn_pixels: int = 4_000_000
    """A page that we draw (PDF), about."""


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class RawPage:
    """One page as its container holds it: bytes, or the reason why there are none.

    `number` counts from 0 in reading order, `name` is safe to show. `size` is set when the bytes were drawn by us in
    that width and height, so that nobody needs to check them by decoding again; `small` is such a page in luminance,
    about an eighth of its size.
    """

    number: int
    name: str
    data: bytes | None
    error: str | None = None
    size: tuple[int, int] | None = None
    small: "Image | None" = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of the container that is no page but speaks about them: ComicInfo.xml, a package document, panel regions.

    `name` is the entry's whole name with `/` between folders, for matching and never used as a path on a disk.
    """

    name: str
    data: bytes


class Container(ABC):
    """An opened comic; close it, or use it in a `with`. A container belongs to one thread."""

    media_type: ClassVar[str]
    name: str
    """What the user calls the file; every error text carries it."""
    solid: bool = False
    """Whether a page costs the unpacking of all before it: then several readers have no use."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of pages, readable or not."""

    @abstractmethod
    def pages(self, *, start: int = 0, stop: int | None = None) -> Iterator[RawPage]:
        """Pages `start` to `stop` (all from `start` when None) in reading order, one in memory at a time.

        May be called again. Where the format allows, pages before `start` cost nothing; a solid archive unpacks them.
        """

    def targets(self, number: int) -> tuple[str, ...]:  # noqa: ARG002
        """Names by which attachments speak of page `number`: its entry; in an EPUB also the document that shows it."""
        return ()

    def attachments(self) -> list[Attachment]:
        """What the container says about itself: at most a few files of a few megabytes, unreadable ones left out."""
        return []

    def close(self) -> None:
        """Let go of the file."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
