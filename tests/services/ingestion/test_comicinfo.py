"""ComicInfo.xml: everything the schemas know is understood, and whatever breaks them is a warning."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from services.ingestion.metadata import comicinfo
from services.ingestion.metadata.comicinfo import ComicInfo, read_comicinfo
from shared.domain.metadata import PAGE_LABELS

XS = {"xs": "http://www.w3.org/2001/XMLSchema"}
SCHEMAS = {"1.0": "schema/v1.0", "2.0": "schema/v2.0", "2.1": "drafts/v2.1"}
# A value of each type of an element that says something.
OF_TYPE = {"xs:string": ["word"], "xs:int": ["3"], "xs:decimal": ["4.5"], "Rating": ["4.5"]}
OF_NAME = {"LanguageISO": ["en"], "Web": ["https://example.org"], "Year": ["2003"]}


@pytest.fixture(scope="module", params=SCHEMAS)
def schema(request: pytest.FixtureRequest, samples: Path) -> etree._Element:
    """One of the published schemas, as a tree."""
    return etree.parse(samples / "comicinfo-schema" / SCHEMAS[request.param] / "ComicInfo.xsd").getroot()


def attributes_of(schema: etree._Element, path: str) -> list[dict[str, str]]:
    """Attributes of every element of the schema that a path leads to."""
    return [{str(name): str(value) for name, value in found.attrib.items()} for found in schema.findall(path, XS)]


def elements(schema: etree._Element) -> list[dict[str, str]]:
    """The elements of a ComicInfo."""
    return attributes_of(schema, ".//xs:complexType[@name='ComicInfo']/xs:sequence/xs:element")


def page_attributes(schema: etree._Element) -> list[dict[str, str]]:
    """The attributes of one of its pages."""
    return attributes_of(schema, ".//xs:complexType[@name='ComicPageInfo']/xs:attribute")


def enumeration(schema: etree._Element, name: str) -> list[str]:
    """The values of an enumeration of the schema, whether of a text or of a list."""
    return [one["value"] for one in attributes_of(schema, f".//xs:simpleType[@name='{name}']//xs:enumeration")]


def documents(schema: etree._Element) -> Iterator[bytes]:
    """One document for each element, and one for each value that an element or a page may have."""
    for element in elements(schema):
        name, kind = element["name"], element["type"]
        for value in OF_NAME.get(name) or OF_TYPE.get(kind) or enumeration(schema, kind):
            yield f"<ComicInfo><{name}>{value}</{name}></ComicInfo>".encode()
    values = {"xs:int": "0", "xs:long": "12", "xs:boolean": "true", "xs:string": "word"}
    for attribute in page_attributes(schema):
        name, kind = attribute["name"], attribute["type"]
        for value in [values[kind]] if kind in values else enumeration(schema, kind):
            more = "" if name == "Image" else 'Image="0" '
            yield f'<ComicInfo><Pages><Page {more}{name}="{value}"/></Pages></ComicInfo>'.encode()


def test_every_element_attribute_and_value_of_each_schema_is_understood(schema: etree._Element) -> None:
    checker = etree.XMLSchema(schema)
    seen = 0
    for document in documents(schema):
        checker.assertValid(etree.fromstring(document))
        found = read_comicinfo(document, pages=3)
        assert found.record.warnings == [], document
        silent = any(word in document for word in (b">Unknown<", b"<Pages>", b"<PageCount>"))
        assert silent or found.record.fields.stated(), document
        seen += 1
    assert seen > 40


def test_our_tables_hold_what_the_newest_schema_holds_and_no_more(samples: Path) -> None:
    schema = etree.parse(samples / "comicinfo-schema" / SCHEMAS["2.1"] / "ComicInfo.xsd").getroot()
    assert {element["name"] for element in elements(schema)} == comicinfo.ELEMENTS
    assert {attribute["name"] for attribute in page_attributes(schema)} == comicinfo.PAGE_ATTRIBUTES
    assert enumeration(schema, "ComicPageType") == list(comicinfo.PAGE_TYPES)
    for tag, values in comicinfo.ENUMERATIONS.items():
        assert enumeration(schema, "YesNo" if tag == "BlackAndWhite" else tag) == list(values)
    assert {label for label in comicinfo.PAGE_TYPES.values() if label} == set(PAGE_LABELS)


WHOLE = """<?xml version="1.0"?>
<ComicInfo xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <Title>Un début</Title><Series>Pepper &amp; Carrot</Series><Number>17.5</Number><Count>40</Count><Volume>2</Volume>
  <Summary>Ink.</Summary><Year>2016</Year><Month>6</Month><Day>30</Day>
  <Writer>David Revoy, A. N. Other</Writer><Penciller>David Revoy</Penciller><Translator>Alex</Translator>
  <Publisher>Self</Publisher><Genre>Fantasy, Humour</Genre><LanguageISO>jpn</LanguageISO>
  <Manga>YesAndRightToLeft</Manga><Characters>Pepper,Carrot</Characters><Teams>Chaosah</Teams>
  <AgeRating>Everyone 10+</AgeRating>
  <Pages>
    <Page Image="0" Type="FrontCover"/>
    <Page Image="1"/>
    <Page Image="2" Type="Advertisement Preview" DoublePage="true"/>
    <Page Image="3" Type="Deleted"/>
    <Page Image="4" Type="Letters"/>
  </Pages>
</ComicInfo>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_whole_document_in_any_encoding(encoding: str, samples: Path) -> None:
    schema = etree.XMLSchema(etree.parse(samples / "comicinfo-schema" / SCHEMAS["2.1"] / "ComicInfo.xsd"))
    schema.assertValid(etree.fromstring(WHOLE.encode()))
    found = read_comicinfo(WHOLE.encode(encoding), pages=5)
    said = found.record.fields
    assert found.record.warnings == []
    assert (said.title, said.series, said.number, said.count, said.volume) == (
        "Un début", "Pepper & Carrot", "17.5", 40, 2,
    )  # fmt: skip
    assert (said.year, said.month, said.day, said.language, said.direction) == (2016, 6, 30, "ja", "rtl")
    assert said.people == {
        "writer": ["David Revoy", "A. N. Other"], "penciller": ["David Revoy"], "translator": ["Alex"],
    }  # fmt: skip
    assert (said.genres, said.characters, said.rating) == (["Fantasy", "Humour"], ["Pepper", "Carrot"], "Everyone 10+")
    assert said.other["Teams"] == "Chaosah"
    # A page without a type has no label: Story is only the schema's default.
    assert found.labels == {0: "cover", 2: "advertisement", 4: "text"}
    assert (found.deleted, found.spreads) == ({3}, {2})


@pytest.mark.parametrize(("manga", "direction"), [("Unknown", None), ("No", None), ("Yes", None)])
def test_only_one_value_of_manga_means_right_to_left(manga: str, direction: None) -> None:
    found = read_comicinfo(f"<ComicInfo><Manga>{manga}</Manga></ComicInfo>".encode(), pages=1)
    assert found.record.fields.direction is direction


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ("<Panels>3</Panels>", "no element"),
        ("<Title>A</Title><Title>B</Title>", "more than once"),
        ("<Year>soon</Year>", "no whole number"),
        ("<Year>12.5</Year>", "no whole number"),
        ("<Year>20144</Year>", "no comic is of that year"),
        ("<Year>-5</Year>", "no comic is of that year"),
        ("<Month>13</Month>", "Month"),
        ("<Day>40</Day>", "Day"),
        ("<Web>javascript:alert(1)</Web>", "no address of the web"),
        ("<Manga>Sometimes</Manga>", "none of the values"),
        ("<AgeRating>Old</AgeRating>", "none of the values"),
        ("<CommunityRating>6</CommunityRating>", "from 0 to 5"),
        ("<LanguageISO>the tongue of Mordor</LanguageISO>", "no language code"),
        (f"<Title>{'a' * 501}</Title>", "longer than 500"),
        ("<PageCount>9</PageCount>", "there are 2 pages"),
        ('<Pages><Page Image="2"/></Pages>', "count from 0 to 1"),
        ('<Pages><Page Image="-1"/></Pages>', "count from 0 to 1"),
        ('<Pages><Page Image="one"/></Pages>', "count from 0 to 1"),
        ('<Pages><Page Type="Story"/></Pages>', "count from 0 to 1"),
        ('<Pages><Page Image="0"/><Page Image="0" Type="Other"/></Pages>', "more than once"),
        ('<Pages><Page Image="0" Type="Splash"/></Pages>', "no type of page"),
        ('<Pages><Page Image="0" DoublePage="maybe"/></Pages>', "neither true nor false"),
        ('<Pages><Page Image="0" ImageWidth="wide"/></Pages>', "no whole number"),
        ('<Pages><Page Image="0" Panel="1"/></Pages>', "no attribute"),
        ("<Pages><Panel/></Pages>", "is none"),
    ],
)
def test_what_breaks_the_schema_is_a_warning_and_the_rest_counts(inside: str, told: str) -> None:
    document = f"<ComicInfo><Series>Kept</Series>{inside}<Publisher>Kept too</Publisher></ComicInfo>"
    found = read_comicinfo(document.encode(), pages=2)
    assert len(found.record.warnings) == 1
    assert told in found.record.warnings[0]
    assert (found.record.fields.series, found.record.fields.publisher) == ("Kept", "Kept too")
    assert (found.labels, found.deleted) == ({}, set())


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"<ComicInfo><Title>cut", "well-formed"),
        (b"<Comic/>", "not ComicInfo"),
        (
            b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///x">]><ComicInfo><Title>&a;</Title></ComicInfo>',
            "entities",
        ),
        (b"\xff\xfe\x00", "encoding"),
    ],
)
def test_a_document_that_cannot_be_used_at_all_is_one_warning(data: bytes, told: str) -> None:
    found = read_comicinfo(data, pages=2)
    assert found == ComicInfo(found.record)
    assert found.record.fields.stated() == {}
    assert len(found.record.warnings) == 1
    assert told in found.record.warnings[0]


def test_a_flood_of_mistakes_is_cut_short() -> None:
    pages = "".join(f'<Page Image="{number}" Type="T{number}"/>' for number in range(1000))
    found = read_comicinfo(f"<ComicInfo><Pages>{pages}</Pages></ComicInfo>".encode(), pages=1000)
    assert len(found.record.warnings) == 51
    assert found.record.warnings[-1] == "and 950 more"
