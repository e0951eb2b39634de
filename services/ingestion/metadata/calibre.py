"""A Calibre library: what its `metadata.db` says about each book, read a book at a time and never written.

Tables as in Calibre 0.8 to 8; what a library lacks of them says nothing.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from services.ingestion.metadata.drafts import Draft, issue_number, plain_text
from services.ingestion.metadata.opf import NOBODY, read_opf
from shared.domain.metadata import Metadata

DATABASE, PACKAGE = "metadata.db", "metadata.opf"
# With locks, for Calibre may be writing; without where none can be had: on a disk that cannot be written, or from a
# writer that does not let go.
WAYS = ("mode=ro", "mode=ro&immutable=1")
PATIENCE = 2.0  # seconds to wait for a lock
LONGEST_VALUE = 1 << 20
MOST_OF_A_BOOK = 200  # authors, tags or identifiers
LARGEST_PACKAGE = 4 << 20
LINKED = {
    "authors": "SELECT a.name FROM books_authors_link l JOIN authors a ON a.id = l.author "
    "WHERE l.book = ? ORDER BY l.id",
    "series": "SELECT s.name FROM books_series_link l JOIN series s ON s.id = l.series WHERE l.book = ?",
    "publisher": "SELECT p.name FROM books_publishers_link l JOIN publishers p ON p.id = l.publisher WHERE l.book = ?",
    "tags": "SELECT t.name FROM books_tags_link l JOIN tags t ON t.id = l.tag WHERE l.book = ? ORDER BY t.name",
    "languages": "SELECT g.lang_code FROM books_languages_link l JOIN languages g ON g.id = l.lang_code "
    "WHERE l.book = ? ORDER BY l.item_order",
    "comments": "SELECT text FROM comments WHERE book = ?",
}


class CalibreLibrary:
    """Looks books up by the path of one of their files; iterates over all. Close it, or use it in a `with`.

    A broken database is no error: `warning` says what is wrong, and nothing is found in it.
    """

    def __init__(self, root: Path) -> None:
        self.warning: str | None = None
        self._root = root.absolute()
        self._books: dict[str, int] | None = None
        self._database: sqlite3.Connection | None = None
        if not (root / DATABASE).is_file():
            self.warning = f"{root.name} holds no {DATABASE}; it is no Calibre library"
            return
        for way in WAYS:
            try:
                self._database = self._opened(way)
                self.warning = None
                break
            except sqlite3.Error as error:
                self._give_up(error)

    def __len__(self) -> int:
        return len(self._by_folder())

    def lookup(self, path: Path) -> Metadata | None:
        """What the library says about the book that a file belongs to; None when it has no such book."""
        folder, root = path.absolute().parent, self._root
        if not folder.is_relative_to(root):  # one of the two may have been reached by a link
            folder, root = folder.resolve(), root.resolve()
        if not folder.is_relative_to(root):
            return None
        book = self._by_folder().get(folder.relative_to(root).as_posix())
        return None if book is None else self._read(book)

    def __iter__(self) -> Iterator[tuple[Path, Metadata]]:
        """Every file of every book, by its path in the library, with what is said about it."""
        for folder, book in self._by_folder().items():
            said = self._read(book)
            for form, name in self._rows("SELECT format, name FROM data WHERE book = ? ORDER BY id", book):
                if said is not None:
                    yield Path(folder) / f"{name}.{str(form).lower()}", said

    def close(self) -> None:
        """Let go of the database."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self, way: str) -> sqlite3.Connection:
        database = sqlite3.connect(
            f"{(self._root / DATABASE).as_uri()}?{way}", uri=True, check_same_thread=False, timeout=PATIENCE
        )
        try:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
            database.text_factory = lambda raw: raw.decode("utf-8", "replace")
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("SELECT id, path FROM books LIMIT 1").fetchall()
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _by_folder(self) -> dict[str, int]:
        """Book ids by folder: there is no index on paths, and 50,000 of them are a few megabytes."""
        if self._books is None:
            found = self._rows("SELECT path, id FROM books ORDER BY id", limit=None)
            self._books = {str(path).replace("\\", "/"): book for path, book in found if path and isinstance(book, int)}
        return self._books

    def _read(self, book: int) -> Metadata | None:
        found = self._rows("SELECT title, series_index, pubdate, uuid FROM books WHERE id = ?", book)
        if not found:
            return None
        title, index, published, uuid = found[0]
        linked = {name: [str(one[0]) for one in self._rows(query, book) if one[0]] for name, query in LINKED.items()}
        draft = Draft("calibre")
        draft.say("title", _text(title))
        # Calibre writes a bar where an author's name has a comma.
        authors = [name.replace("|", ",") for name in linked["authors"] if name.casefold() not in NOBODY]
        draft.credit("writer", authors)
        for series in linked["series"][:1]:
            draft.say("series", series)
            draft.say("number", issue_number(_text(index)))
        for publisher in linked["publisher"][:1]:
            draft.say("publisher", publisher)
        draft.say("tags", linked["tags"])
        for language in linked["languages"][:1]:
            draft.say("language", language)
        draft.say_date(_text(published))
        for comment in linked["comments"][:1]:
            draft.say("summary", plain_text(comment))
        draft.add("identifiers", "calibre", _text(uuid))
        for scheme, value in self._rows("SELECT type, val FROM identifiers WHERE book = ? ORDER BY type", book):
            draft.add("identifiers", _text(scheme).lower(), _text(value))
        draft.say("source", "Calibre")
        return draft.record().fields

    def _rows(self, query: str, *bound: int, limit: int | None = MOST_OF_A_BOOK) -> list[tuple[Any, ...]]:
        if self._database is None:
            return []
        try:
            cursor = self._database.execute(query, bound)
            return cursor.fetchall() if limit is None else cursor.fetchmany(limit)
        except sqlite3.DataError as error:  # longer than `LONGEST_VALUE`, as comments with pictures in them are
            self.warning = f"{self._root.name}/{DATABASE}: something is too long and left out ({error})"
        except sqlite3.OperationalError as error:
            if "no such" in str(error):  # an old or a trimmed library lacks the table: it says nothing about it
                return []
            self._give_up(error)
        except sqlite3.Error as error:
            self._give_up(error)
        return []

    def _give_up(self, error: sqlite3.Error) -> None:
        self.warning = f"{self._root.name}/{DATABASE} cannot be read ({error}); nothing of it is used"
        self.close()


def calibre_library(root: Path) -> CalibreLibrary:
    """The Calibre library in a folder; never raises for what is in it, see `CalibreLibrary.warning`."""
    return CalibreLibrary(root)


def calibre_opf(book: Path) -> Metadata | None:
    """What the `metadata.opf` beside a book says; None when there is none, or none that says anything.

    For books outside of their library, and where the library's database cannot be read.
    """
    beside = book.parent / PACKAGE
    try:
        if not beside.is_file() or beside.is_symlink() or beside.stat().st_size > LARGEST_PACKAGE:
            return None
        said = read_opf(beside.read_bytes(), origin="calibre", name=PACKAGE).fields
    except OSError:
        return None
    return said if said.stated().keys() - {"source"} else None


def _text(value: object) -> str:
    return str(value).strip() if isinstance(value, str | int | float) else ""
