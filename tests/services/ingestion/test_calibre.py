"""A Calibre library is read where it lies, a book at a time, and what is broken in it costs no comic."""

import sqlite3
from pathlib import Path

import pytest

from services.ingestion.metadata import calibre
from services.ingestion.metadata.calibre import calibre_library, calibre_opf

# The tables of Calibre that say something, as Calibre makes them.
SCHEMA = """
CREATE TABLE books (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL DEFAULT 'Unknown' COLLATE NOCASE,
  sort TEXT, timestamp TIMESTAMP, pubdate TIMESTAMP, series_index REAL NOT NULL DEFAULT 1.0, author_sort TEXT,
  isbn TEXT DEFAULT "", lccn TEXT DEFAULT "", path TEXT NOT NULL DEFAULT "", flags INTEGER NOT NULL DEFAULT 1,
  uuid TEXT, has_cover BOOL DEFAULT 0, last_modified TIMESTAMP);
CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, sort TEXT, link TEXT);
CREATE TABLE books_authors_link (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, author INTEGER NOT NULL);
CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, sort TEXT);
CREATE TABLE books_series_link (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, series INTEGER NOT NULL);
CREATE TABLE publishers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, sort TEXT);
CREATE TABLE books_publishers_link (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, publisher INTEGER NOT NULL);
CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE books_tags_link (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, tag INTEGER NOT NULL);
CREATE TABLE languages (id INTEGER PRIMARY KEY, lang_code TEXT NOT NULL);
CREATE TABLE books_languages_link (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, lang_code INTEGER NOT NULL,
  item_order INTEGER NOT NULL DEFAULT 0);
CREATE TABLE identifiers (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, type TEXT NOT NULL, val TEXT NOT NULL);
CREATE TABLE comments (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, text TEXT NOT NULL);
CREATE TABLE data (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, format TEXT NOT NULL,
  uncompressed_size INTEGER NOT NULL, name TEXT NOT NULL);
CREATE INDEX authors_idx ON books_authors_link (book);
"""
BOOK = "Katsuhiro Otomo/Akira 3 (7)"


def make_library(root: Path, *, books: int = 0) -> Path:
    """A library of one well described book, a bare one, and `books` more."""
    root.mkdir(parents=True)
    database = sqlite3.connect(root / "metadata.db")
    database.executescript(SCHEMA)
    rows = "INSERT INTO books (id, title, pubdate, series_index, path, uuid) VALUES (?, ?, ?, ?, ?, ?)"
    database.execute(rows, (7, "Akira 3", "1986-08-21 00:00:00+00:00", 3.0, BOOK, "uuid-7"))
    database.execute(rows, (8, "Bare", "0101-01-01 00:00:00+00:00", 1.0, "Unknown/Bare (8)", "uuid-8"))
    database.executescript("""
        INSERT INTO authors (id, name) VALUES (1, 'Otomo| Katsuhiro'), (2, 'Unknown');
        INSERT INTO books_authors_link (book, author) VALUES (7, 1), (8, 2);
        INSERT INTO series VALUES (1, 'AKIRA', 'AKIRA'); INSERT INTO books_series_link VALUES (1, 7, 1);
        INSERT INTO publishers VALUES (1, 'Kōdansha', ''); INSERT INTO books_publishers_link VALUES (1, 7, 1);
        INSERT INTO tags VALUES (1, 'SF'), (2, 'Manga'); INSERT INTO books_tags_link VALUES (1, 7, 1), (2, 7, 2);
        INSERT INTO languages VALUES (1, 'jpn'); INSERT INTO books_languages_link VALUES (1, 7, 1, 0);
        INSERT INTO identifiers VALUES (1, 7, 'isbn', '9784063130034');
        INSERT INTO comments VALUES (1, 7, '<p>Neo &amp; Tokyo</p>');
        INSERT INTO data VALUES (1, 7, 'CBZ', 1, 'Akira 3 - Otomo'), (2, 7, 'PDF', 1, 'Akira 3 - Otomo'),
                                (3, 8, 'CBR', 1, 'Bare');
    """)
    database.executemany(
        rows, ((n, f"Book {n}", "2001-01-01", 1.0, f"A/Book {n} ({n})", f"uuid-{n}") for n in range(100, 100 + books))
    )
    database.executemany(
        "INSERT INTO data (book, format, uncompressed_size, name) VALUES (?, 'CBZ', 1, ?)",
        ((n, f"Book {n}") for n in range(100, 100 + books)),
    )
    database.commit()
    database.close()
    return root


def test_a_book_is_found_by_any_of_its_files(tmp_path: Path) -> None:
    root = make_library(tmp_path / "Calibre Library # 100%?")
    with calibre_library(root) as library:
        assert (library.warning, len(library)) == (None, 2)
        said = library.lookup(root / BOOK / "Akira 3 - Otomo.cbz")
        assert said is not None
        assert said.stated() == {
            "title": "Akira 3", "series": "AKIRA", "number": "3", "year": 1986, "month": 8, "day": 21,
            "language": "ja", "publisher": "Kōdansha", "people": {"writer": ["Otomo, Katsuhiro"]},
            "tags": ["Manga", "SF"], "summary": "Neo & Tokyo", "source": "Calibre",
            "identifiers": {"calibre": "uuid-7", "isbn": "9784063130034"},
        }  # fmt: skip
        bare = library.lookup(root / "Unknown/Bare (8)/Bare.cbr")
        assert bare is not None
        # No series: then its place in one, which Calibre always writes, says nothing.
        assert bare.stated() == {"title": "Bare", "source": "Calibre", "identifiers": {"calibre": "uuid-8"}}
        assert library.lookup(root / "Nobody/Nothing (9)/a.cbz") is None
        assert library.lookup(tmp_path / "elsewhere.cbz") is None
        (tmp_path / "link").symlink_to(root)
        assert library.lookup(tmp_path / "link" / BOOK / "Akira 3 - Otomo.cbz") == said


def test_all_files_are_told_with_their_books(tmp_path: Path) -> None:
    with calibre_library(make_library(tmp_path / "library")) as library:
        told = {path.as_posix(): said.title for path, said in library}
    assert told == {
        f"{BOOK}/Akira 3 - Otomo.cbz": "Akira 3",
        f"{BOOK}/Akira 3 - Otomo.pdf": "Akira 3",
        "Unknown/Bare (8)/Bare.cbr": "Bare",
    }


def test_a_large_library_is_read_a_book_at_a_time(tmp_path: Path) -> None:
    with calibre_library(make_library(tmp_path / "library", books=3000)) as library:
        asked: list[str] = []
        assert library._database is not None
        library._database.set_trace_callback(asked.append)
        walking = iter(library)
        next(walking)
        assert len(asked) < 15  # the list of folders, and what is said about one book
        assert sum(1 for _ in walking) == 3002


def test_a_library_is_never_written_even_while_somebody_else_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibre, "PATIENCE", 0.1)
    root = make_library(tmp_path / "library")
    before = (root / "metadata.db").read_bytes()
    with sqlite3.connect(root / "metadata.db") as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with calibre_library(root) as library:
            assert library.lookup(root / BOOK / "a.cbz") is not None
        writer.rollback()
    assert (root / "metadata.db").read_bytes() == before
    assert [file.name for file in root.iterdir()] == ["metadata.db"]


def test_what_calibre_writes_meanwhile_is_seen(tmp_path: Path) -> None:
    root = make_library(tmp_path / "library")
    with calibre_library(root) as library, sqlite3.connect(root / "metadata.db") as writer:
        assert library.lookup(root / BOOK / "a.cbz") is not None
        writer.execute("UPDATE books SET title = 'Akira III' WHERE id = 7")
        writer.commit()
        said = library.lookup(root / BOOK / "a.cbz")
        assert said is not None
        assert said.title == "Akira III"


def test_a_comment_of_megabytes_costs_only_itself(tmp_path: Path) -> None:
    root = make_library(tmp_path / "library")
    with sqlite3.connect(root / "metadata.db") as database:
        database.execute("UPDATE comments SET text = ?", ('<img src="data:' + "A" * (2 << 20),))
    with calibre_library(root) as library:
        said = library.lookup(root / BOOK / "a.cbz")
        assert said is not None
        assert (said.title, said.summary) == ("Akira 3", None)
        assert "too long" in str(library.warning)
        assert library.lookup(root / "Unknown/Bare (8)/Bare.cbr") is not None


@pytest.mark.parametrize("damage", ["none", "no database", "cut off", "garbled", "other tables", "a folder"])
def test_a_broken_library_is_a_warning(tmp_path: Path, damage: str) -> None:
    root = make_library(tmp_path / "library", books=200)
    file = root / "metadata.db"
    whole = file.read_bytes()
    if damage == "none":
        file.unlink()
    elif damage == "no database":
        file.write_bytes(b"this is not SQLite" * 100)
    elif damage == "cut off":
        file.write_bytes(whole[: len(whole) // 3])
    elif damage == "garbled":
        file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    elif damage == "other tables":
        file.unlink()
        sqlite3.connect(file).execute("CREATE TABLE books (id INTEGER, colour TEXT)").connection.close()
    else:
        file.unlink()
        file.mkdir()
    with calibre_library(root) as library:
        assert library.lookup(root / BOOK / "Akira 3 - Otomo.cbz") is None
        assert list(library) == []
        assert library.warning is not None
        assert str(tmp_path) not in library.warning


def test_an_old_library_without_some_tables_says_the_rest(tmp_path: Path) -> None:
    root = make_library(tmp_path / "library")
    with sqlite3.connect(root / "metadata.db") as database:
        database.executescript("DROP TABLE identifiers; DROP TABLE languages; DROP TABLE comments")
    with calibre_library(root) as library:
        said = library.lookup(root / BOOK / "a.cbz")
        assert said is not None
        assert (said.title, said.series, said.language) == ("Akira 3", "AKIRA", None)
        assert library.warning is None


def test_the_package_document_beside_a_book_speaks_where_there_is_no_database(tmp_path: Path) -> None:
    book = tmp_path / "book.cbz"
    assert calibre_opf(book) is None
    beside = tmp_path / "metadata.opf"
    beside.write_text(
        '<package><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Beside</dc:title></metadata></package>'
    )
    said = calibre_opf(book)
    assert said is not None
    assert said.stated() == {"title": "Beside", "source": "Calibre"}
    beside.write_text("no package at all")
    assert calibre_opf(book) is None
