"""EPUB 2 and 3: the pictures that the documents of the spine show, in reading order."""

from collections.abc import Iterator, Sequence

from shared.domain.attachments import LARGEST, MOST, speaking
from shared.errors import Reject, TooLarge
from shared.files.archives import ZipEntries
from shared.files.containers import Attachment, Unreadable
from shared.files.documents import BadDocument
from shared.files.entries import EntryContainer, page_places, protected
from shared.files.epub_documents import (
    Item,
    Package,
    encrypts_content,
    letters,
    package_name,
    parse_package,
    shown_files,
)

# All documents of a comic are a few pages of markup; a long novel has 5 MB.
DOCUMENTS_BYTES = 64 << 20
# A page of a printed novel. Pages of comics with all they say written out for the blind stay below it, and credits,
# letters and forewords come to a few; beyond that, with twice as much text as pictures, a book is one to be read.
LETTERS_OF_A_PAGE = 1500
FEW_PAGES = 8
# Times that documents show something, all together, and those of them that are remembered of one picture.
MOST_SHOWN, MOST_TARGETS = 200_000, 20
# A document may show a drawing (SVG) that shows the picture.
DEEPEST = 2
LOCKS = ("META-INF/rights.xml", "META-INF/sinf.xml", "META-INF/license.lcpl")
MISSING = Unreadable("is missing from the book; get a complete copy")


class EpubBook(EntryContainer):
    """The images of an EPUB in the order of its spine, each once; in natural order of their names without a spine.

    A document that cannot be read and a picture that is not there are pages with a reason. Raises `Reject` for a
    protected book, for one without pictures and for one of text. Protection is never circumvented.
    """

    media_type = "application/epub+zip"

    def __init__(self, opened: ZipEntries) -> None:
        self.name = opened.name
        self._zip = opened
        self._limits = opened.limits
        # The entries of the zip, then files that the book shows and that cannot be had, with their reasons.
        self._names = list(opened.names)
        self._gaps: list[Unreadable] = []
        self._places = {name: place for place, name in reversed(list(enumerate(self._names)))}
        self._folded = {name.casefold(): place for name, place in self._places.items()}
        self._bytes_left = DOCUMENTS_BYTES
        self._refuse_protected()
        self._package_place: int | None = None
        self._package = self._read_package()
        self._shown_by: dict[int, dict[str, None]] = {}
        self._followed: set[str] = set()
        self._shown = 0
        self._letters = 0
        for item in self._package.spine:
            self._follow(item, shown_by=())
        self._pages = list(self._shown_by)
        there = [place for place in self._pages if place < len(opened.names)]
        if not there:
            self._pages = there = page_places(opened.names, name=self.name)
        text = self._letters // LETTERS_OF_A_PAGE
        if text > max(FEW_PAGES, 2 * len(there)):
            pictures = "one picture" if len(there) == 1 else f"{len(there)} pictures"
            raise Reject(f"{self.name} is a book of text, about {text} pages of it with {pictures}, and no comic.")
        if opened.encrypted(there):
            raise protected(self.name)

    def targets(self, number: int) -> tuple[str, ...]:
        """The name of the image, then those of the documents that show it."""
        place = self._pages[number]
        return (self._names[place], *self._shown_by.get(place, ()))

    def attachments(self) -> list[Attachment]:
        """The package document, documents of navigation and panel regions, then what a comic archive may hold."""
        about = [self._package_place, *map(self._place_of, self._package.about)]
        places = [place for place in [*about, *speaking(self._zip.names)] if place is not None]
        return self._read_attachments(list(dict.fromkeys(places))[:MOST])

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()

    def _contents(self, places: Sequence[int], *, largest: int) -> Iterator[bytes | Unreadable]:
        there = len(self._zip.names)
        contents = self._zip.contents([place for place in places if place < there], largest=largest)
        for place in places:
            yield next(contents) if place < there else self._gaps[place - there]

    def _place_of(self, name: str) -> int | None:
        return self._places.get(name, self._folded.get(name.casefold()))

    def _read(self, place: int) -> bytes | Unreadable:
        content = next(self._contents([place], largest=LARGEST))
        if isinstance(content, bytes):
            self._bytes_left -= len(content)
        if self._bytes_left < 0:
            raise TooLarge(f"{self.name} has more than {DOCUMENTS_BYTES >> 20} MB of text: it is no comic.")
        return content

    def _refuse_protected(self) -> None:
        locked = any(self._place_of(name) is not None for name in LOCKS)
        place = self._place_of("META-INF/encryption.xml")
        if place is not None and not locked:
            content = self._read(place)
            locked = isinstance(content, Unreadable) or encrypts_content(content)
        if locked:
            raise Reject(f"{self.name} is protected against copying (DRM) and cannot be read. Add an unprotected copy.")

    def _read_package(self) -> Package:
        """What the book says about its parts; nothing when it cannot be read: then the names of its images count."""
        try:
            name = package_name(self._document("META-INF/container.xml"))
            package = parse_package(self._document(name), name=name)
        except BadDocument:
            return Package()
        self._package_place = self._place_of(name)
        return package

    def _document(self, name: str) -> bytes:
        place = self._place_of(name)
        content = MISSING if place is None else self._read(place)
        if isinstance(content, Unreadable):
            raise BadDocument(str(content)) from content
        return content

    def _follow(self, item: Item, *, shown_by: tuple[str, ...]) -> None:
        """Take an item of the spine, or what a document shows, for the pages it leads to."""
        place = self._place_of(item.name)
        if item.kind == "image":
            self._show(self._gap(item.name, MISSING) if place is None else place, shown_by)
        if item.kind != "document" or len(shown_by) > DEEPEST or item.name in self._followed:
            return
        self._followed.add(item.name)
        content = MISSING if place is None else self._read(place)
        if isinstance(content, Unreadable):
            self._show(self._gap(item.name, content), shown_by)
            return
        self._letters += letters(content)
        shown = shown_files(content, name=item.name)
        self._shown += len(shown)
        if self._shown > MOST_SHOWN:
            raise TooLarge(f"{self.name} shows pictures more than {MOST_SHOWN:,} times: it is no comic.")
        for name in shown:
            self._follow(self._package.items.get(name, Item(name)), shown_by=(*shown_by, item.name))

    def _show(self, place: int, shown_by: tuple[str, ...]) -> None:
        targets = self._shown_by.setdefault(place, {})
        if len(targets) < MOST_TARGETS:
            targets.update(dict.fromkeys(shown_by))

    def _gap(self, name: str, reason: Unreadable) -> int:
        if len(self._gaps) >= self._limits.entries:
            raise TooLarge(f"{self.name} shows more than {self._limits.entries} files that it does not hold.")
        self._gaps.append(reason)
        self._names.append(name)
        place = self._places[name] = len(self._names) - 1
        return place
