"""Comics whose pages are entries with names: archives and folders, everything but a PDF."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from shared.domain.attachments import LARGEST, speaking
from shared.domain.page_order import climbs, display_name, is_page_name, natural_key
from shared.errors import Reject, TooLarge
from shared.files.containers import Attachment, Container, Limits, RawPage, Unreadable

INNER_ARCHIVES = (".zip", ".cbz", ".rar", ".cbr", ".7z", ".cb7", ".tar", ".cbt", ".gz", ".pdf", ".epub")
# Reasons why an entry is no page; each continues the sentence that its name begins.
LINK = "is a link to another file, not a picture"
DEVICE = "is a link or a device, not a picture"
DAMAGED = "is damaged inside the archive; get a complete copy of the comic"
CUT_OFF = "is cut off inside the archive; get a complete copy of the comic"


class EntryContainer(Container):
    """Entries by their place in `_names`, the pages among them in `_pages` in reading order.

    A subclass lists both when it opens, and reads entries in any order.
    """

    _limits: Limits
    _names: list[str]
    _pages: list[int]

    @abstractmethod
    def _contents(self, places: Sequence[int], *, largest: int) -> Iterator[bytes | Unreadable]:
        """The bytes of each of these entries, or why there are none; over `largest` bytes is a reason too."""

    def __len__(self) -> int:
        return len(self._pages)

    def pages(self, *, start: int = 0, stop: int | None = None) -> Iterator[RawPage]:
        """Every page, verbatim; an entry that cannot be read is a page with a reason."""
        places = self._pages[start:stop]
        contents = self._contents(places, largest=self._limits.page_bytes)
        for number, (place, content) in enumerate(zip(places, contents, strict=True), start=start):
            shown = display_name(self._names[place])
            if isinstance(content, Unreadable):
                yield RawPage(number, shown, None, str(content))
            else:
                yield RawPage(number, shown, content)

    def targets(self, number: int) -> tuple[str, ...]:
        """The whole name of the entry that is page `number`."""
        return (self._names[self._pages[number]],)

    def attachments(self) -> list[Attachment]:
        """ComicInfo.xml and its like, nearest to the root first."""
        return self._read_attachments(speaking(self._names))

    def _read_attachments(self, places: Sequence[int]) -> list[Attachment]:
        found = zip(places, self._contents(places, largest=LARGEST), strict=True)
        return [Attachment(self._names[place], data) for place, data in found if isinstance(data, bytes)]


def page_places(names: Sequence[str], *, name: str) -> list[int]:
    """Places of the page images in natural order of their names; `Reject` where there are none, or unsafe names."""
    if any(climbs(entry) for entry in names):
        raise Reject(f"{name} holds file names with '..' that point outside of it; refused as unsafe. Repack it.")
    pages = sorted((natural_key(entry), place) for place, entry in enumerate(names) if is_page_name(entry))
    if not pages:
        raise Reject(f"{name} holds no page images{_what_else(names)}. Expected an archive of JPEG, PNG or WebP pages.")
    return [place for _, place in pages]


def protected(name: str) -> Reject:
    """The refusal of an archive that asks for a password."""
    return Reject(f"{name} is protected by a password. Unpack it with the password and add the folder instead.")


def too_many(name: str, limits: Limits) -> TooLarge:
    """The refusal of an archive that lists more than a comic has."""
    return TooLarge(f"{name} lists more than {limits.entries} files; split it into separate comics")


def over_page_limit(size: int, *, largest: int) -> Unreadable:
    """Why an entry of `size` bytes is not read."""
    return Unreadable(f"is {_mb(size)} large, over the limit of {_mb(largest)} a page")


def refuse_bombs(unpacked: int, *, packed: int, name: str, limits: Limits) -> None:
    """`TooLarge` where an archive of `packed` bytes would unpack to more than is honest."""
    if unpacked > limits.total_bytes:
        raise TooLarge(f"{name} would unpack to {_mb(unpacked)}, over the limit of {_mb(limits.total_bytes)}.")
    if unpacked > limits.ratio_floor and unpacked > limits.ratio * packed:
        raise TooLarge(
            f"{name} would unpack to {unpacked // max(packed, 1)} times its size, as a zip bomb does; "
            f"the limit is {limits.ratio}. If it is honest, repack it without compression."
        )


def _what_else(names: Sequence[str]) -> str:
    files = [entry for entry in names if not entry.endswith(("/", "\\"))]
    if not files:
        return ": it is empty"
    inner = [file for file in files if PurePosixPath(file).suffix.lower() in INNER_ARCHIVES]
    if inner:
        return f", but other archives ({display_name(inner[0])} …): unpack it and add those"
    return f", only {len(files)} other file{'s' if len(files) > 1 else ''} ({display_name(files[0])} …)"


def _mb(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MB"
