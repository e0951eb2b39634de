"""Package documents and ACBF: what each of their forms says, and that a broken one says nothing."""

from pathlib import Path
from time import monotonic
from zipfile import ZipFile

import pytest

from services.ingestion.metadata.acbf import read_acbf
from services.ingestion.metadata.opf import read_opf

CALIBRE = """<?xml version='1.0' encoding='utf-8'?>
<package xmlns="http://www.idpf.org/2007/opf" unique-identifier="uuid_id" version="2.0">
  <metadata xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf">
    <dc:identifier opf:scheme="calibre" id="calibre_id">42</dc:identifier>
    <dc:identifier opf:scheme="uuid" id="uuid_id">0f6ab5c5</dc:identifier>
    <dc:identifier opf:scheme="ISBN">9781401207922</dc:identifier>
    <dc:title>V for Vendetta</dc:title>
    <dc:creator opf:file-as="Moore, Alan" opf:role="aut">Alan Moore</dc:creator>
    <dc:creator opf:file-as="Lloyd, David" opf:role="aut">David Lloyd</dc:creator>
    <dc:contributor opf:file-as="calibre" opf:role="bkp">calibre (6.0)</dc:contributor>
    <dc:date>2005-10-31T23:00:00+00:00</dc:date>
    <dc:description>&lt;div&gt;&lt;p&gt;Remember, &lt;b&gt;remember&lt;/b&gt;&lt;/p&gt;
      &lt;p&gt;the fifth&lt;/p&gt;&lt;/div&gt;</dc:description>
    <dc:publisher>Vertigo</dc:publisher>
    <dc:language>eng</dc:language>
    <dc:subject>Dystopia</dc:subject><dc:subject>Comics</dc:subject>
    <meta name="calibre:series" content="Vertigo Classics"/>
    <meta name="calibre:series_index" content="3.0"/>
    <meta name="calibre:timestamp" content="2020-01-01T00:00:00+00:00"/>
  </metadata>
</package>"""


def test_what_calibre_writes_beside_a_book() -> None:
    record = read_opf(CALIBRE.encode(), origin="calibre")
    assert (record.origin, record.warnings) == ("calibre", [])
    assert record.fields.stated() == {
        "title": "V for Vendetta", "series": "Vertigo Classics", "number": "3", "year": 2005, "month": 10, "day": 31,
        "language": "en", "publisher": "Vertigo", "people": {"writer": ["Alan Moore", "David Lloyd"]},
        "tags": ["Dystopia", "Comics"], "summary": "Remember, remember\nthe fifth", "source": "Calibre",
        "identifiers": {"calibre": "42", "uuid": "0f6ab5c5", "isbn": "9781401207922"},
    }  # fmt: skip


def package(metadata: str, spine: str = "<spine/>") -> str:
    return (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">{metadata}</metadata>{spine}</package>'
    )


def test_what_an_epub_3_says() -> None:
    document = package(
        '<dc:title id="s">Volume the Third</dc:title><meta refines="#s" property="title-type">subtitle</meta>'
        '<dc:title id="t">Akira</dc:title><meta refines="#t" property="title-type">main</meta>'
        '<dc:creator id="c">大友克洋</dc:creator><meta refines="#c" property="role" scheme="marc:relators">aut</meta>'
        '<dc:contributor id="d">Y. Ohkusu</dc:contributor><meta refines="#d" property="role">trl</meta>'
        "<dc:language>ja-JP</dc:language><dc:identifier>urn:isbn:9784063130010</dc:identifier><dc:date>1984</dc:date>"
        '<meta property="belongs-to-collection" id="x">A box of books</meta>'
        '<meta refines="#x" property="collection-type">set</meta>'
        '<meta property="belongs-to-collection" id="y">AKIRA</meta>'
        '<meta refines="#y" property="collection-type">series</meta>'
        '<meta refines="#y" property="group-position">3</meta>',
        '<spine page-progression-direction="rtl"/>',
    )
    record = read_opf(document.encode())
    assert record.warnings == []
    assert record.fields.stated() == {
        "title": "Akira", "series": "AKIRA", "number": "3", "year": 1984, "language": "ja-jp", "direction": "rtl",
        "people": {"writer": ["大友克洋"], "translator": ["Y. Ohkusu"]}, "identifiers": {"isbn": "9784063130010"},
    }  # fmt: skip


def test_a_real_package_document(samples: Path) -> None:
    record = read_opf((samples / "page-blanche" / "package.opf").read_bytes())
    said = record.fields
    assert record.warnings == []
    assert (said.year, said.language, said.publisher) == (2012, "fr", "éditions Delcourt")
    assert said.people == {"writer": ["Boulet"], "illustrator": ["Bagieu Pénélope"]}


def test_what_calibre_does_not_know_is_not_stated(samples: Path) -> None:
    with ZipFile(samples / "archive-fixtures" / "archives" / "epub3.epub") as book:
        record = read_opf(book.read("content.opf"))
    assert record.warnings == []
    # The author "Unknown" and the year 101 are how it says nothing.
    assert (record.fields.title, record.fields.people, record.fields.year) == ("zip", {}, None)


@pytest.mark.parametrize(
    ("metadata", "spine", "told"),
    [
        ("<dc:date>in spring</dc:date>", "<spine/>", "no date"),
        ("<dc:date>2016-13-01</dc:date>", "<spine/>", "month"),
        ("<dc:language>Klingon of Mars</dc:language>", "<spine/>", "language"),
        ("", '<spine page-progression-direction="up"/>', "none there is"),
        (f"<dc:publisher>{'a' * 600}</dc:publisher>", "<spine/>", "longer than"),
    ],
)
def test_one_wrong_statement_costs_only_itself(metadata: str, spine: str, told: str) -> None:
    record = read_opf(package(f"<dc:title>Kept</dc:title>{metadata}", spine).encode())
    assert record.fields.title == "Kept"
    assert len(record.warnings) == 1
    assert told in record.warnings[0]


ACBF = """<?xml version="1.0" encoding="UTF-8"?>
<ACBF xmlns="http://www.acbf.info/xml/acbf/1.1">
  <meta-data>
    <book-info>
      <author activity="Writer"><first-name>David</first-name><last-name>Revoy</last-name></author>
      <author activity="CoverArtist"><nickname>deevad</nickname></author>
      <author activity="Translator" lang="cs"><first-name>Kája</first-name><last-name>Č.</last-name></author>
      <book-title lang="en">A Fresh Start</book-title><book-title lang="fr">Un nouveau départ</book-title>
      <genre match="80">fantasy</genre><genre>humor</genre>
      <characters><name>Pepper</name><name>Carrot</name></characters>
      <annotation lang="en"><p>English.</p></annotation><annotation lang="fr"><p>Un.</p><p>Deux.</p></annotation>
      <keywords lang="fr">sorcière, chat</keywords>
      <sequence title="Pepper &amp; Carrot" volume="2">17</sequence>
      <languages><text-layer lang="en" show="true"/><text-layer lang="fr" show="false"/></languages>
      <content-rating type="Age">6+</content-rating>
      <reading-direction>RTL</reading-direction>
      <databaseref dbname="GCD">123</databaseref>
    </book-info>
    <publish-info>
      <publisher>Self</publisher><publish-date value="2016-06-30">June 2016</publish-date><isbn>978-0</isbn>
    </publish-info>
  </meta-data><body/>
</ACBF>"""


def test_a_flood_of_people_costs_little_time_and_one_warning() -> None:
    authors = "".join(
        f'<author activity="role {n % 4000}"><nickname>n{n}</nickname></author>'
        f'<databaseref dbname="d{n}">{n}</databaseref>'
        for n in range(20_000)
    )
    began = monotonic()
    record = read_acbf(f"<ACBF><meta-data><book-info>{authors}</book-info></meta-data></ACBF>".encode())
    assert monotonic() - began < 5
    assert (len(record.fields.people), len(record.fields.identifiers)) == (200, 200)
    assert len(record.warnings) == 2
    assert all("more than 200; the rest is left out" in warning for warning in record.warnings)


def test_a_number_of_endless_zeros_is_none() -> None:
    package_document = package(
        '<meta name="calibre:series" content="S"/>'
        f'<meta name="calibre:series_index" content="{"0" * 100_000}&#10;a&#10;b"/>'
    )
    began = monotonic()
    record = read_opf(package_document.encode())
    assert monotonic() - began < 2
    assert record.fields.stated() == {"series": "S"}


def test_an_acbf_speaks_its_own_language() -> None:
    record = read_acbf(ACBF.encode())
    assert record.warnings == []
    assert record.fields.stated() == {
        "title": "Un nouveau départ", "series": "Pepper & Carrot", "number": "17", "volume": 2, "language": "fr",
        "people": {"writer": ["David Revoy"], "cover artist": ["deevad"], "translator": ["Kája Č."]},
        "genres": ["fantasy", "humor"], "characters": ["Pepper", "Carrot"], "summary": "Un.\nDeux.",
        "tags": ["sorcière", "chat"], "rating": "6+", "direction": "rtl", "publisher": "Self", "year": 2016,
        "month": 6, "day": 30, "identifiers": {"gcd": "123", "isbn": "978-0"},
    }  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"<x/>", b"<package/>", b"<ACBF/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><package/>"])
def test_a_document_that_is_none_is_one_warning(data: bytes) -> None:
    for record in (read_opf(data), read_acbf(data)):
        assert record.fields.stated() == {}
        assert len(record.warnings) == 1
