"""From a comic's file to what it says: attachments of real containers are found and matched to their pages."""

import base64
import json
from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingestion.describing import Description, PagePlace, describe
from services.ingestion.shapes import page_shapes
from shared.domain.schema import Box
from shared.files.containers import Attachment
from shared.files.formats import open_container
from tests.equipment.hostile_files import picture

SIZE = (400, 600)


def described(path: Path) -> Description:
    """What a file says whose pages all are of `SIZE`."""
    with open_container(path, name=path.name) as container:
        places = [PagePlace(number, container.targets(number), *SIZE) for number in range(len(container))]
        return describe(container.attachments(), file_name=path.name, pages=places)


def test_an_epub_tells_its_series_its_direction_and_its_regions(tmp_path: Path) -> None:
    package = """<package xmlns="http://www.idpf.org/2007/opf" version="3.0">
      <metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Akira 3</dc:title><dc:language>ja</dc:language>
        <meta property="belongs-to-collection" id="c">AKIRA</meta><meta refines="#c" property="group-position">3</meta>
      </metadata>
      <manifest>
        <item id="r" href="regions.xhtml" media-type="application/xhtml+xml" properties="data-nav"/>
        <item id="p1" href="text/one.xhtml" media-type="application/xhtml+xml"/>
        <item id="p2" href="text/two.xhtml" media-type="application/xhtml+xml"/>
        <item id="i1" href="images/b.jpg" media-type="image/jpeg"/>
        <item id="i2" href="images/a.jpg" media-type="image/jpeg"/>
      </manifest>
      <spine page-progression-direction="rtl"><itemref idref="p1"/><itemref idref="p2"/></spine></package>"""
    shows = '<html xmlns="http://www.w3.org/1999/xhtml"><body><img src="../images/{}.jpg" alt=""/></body></html>'
    regions = (
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body>'
        '<nav epub:type="region-based"><ol><li><a href="text/two.xhtml#xywh=percent:50,0,50,100"/></li>'
        '<li><a href="text/two.xhtml#xywh=percent:0,0,50,100"/></li></ol></nav></body></html>'
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    path = tmp_path / "Akira v3.epub"
    with ZipFile(path, "w") as book:
        for name, data in (
            ("mimetype", b"application/epub+zip"), ("META-INF/container.xml", container), ("OEBPS/book.opf", package),
            ("OEBPS/regions.xhtml", regions), ("OEBPS/text/one.xhtml", shows.format("b")),
            ("OEBPS/text/two.xhtml", shows.format("a")), ("OEBPS/images/a.jpg", picture(*SIZE, seed=1)),
            ("OEBPS/images/b.jpg", picture(*SIZE, seed=2)),
        ):  # fmt: skip
            book.writestr(name, data)
    found = described(path)
    assert [record.warnings for record in found.records] == [[], []]
    said = {record.origin: record.fields for record in found.records}
    assert (said["epub"].series, said["epub"].number, said["epub"].direction) == ("AKIRA", "3", "rtl")
    assert said["file name"].volume == 3
    # The second of the spine shows what is first by name.
    assert {number: truth.panels for number, truth in found.truths.items()} == {
        1: [Box(200, 0, 200, 600), Box(0, 0, 200, 600)]
    }


def test_an_acbf_with_its_pictures_inside_tells_of_them(tmp_path: Path) -> None:
    pages = "".join(
        f'<page><image href="#p{n}.jpg"/><frame points="0,0 400,0 400,{100 * n} 0,{100 * n}"/>'
        f'<text-layer lang="en"><text-area points="10,10 90,90"><p>Page {n}</p></text-area></text-layer></page>'
        for n in (1, 2)
    )
    pictures = "".join(
        f'<binary id="p{n}.jpg" content-type="image/jpeg">{base64.b64encode(picture(*SIZE, seed=n)).decode()}</binary>'
        for n in (1, 2)
    )
    path = tmp_path / "book.acbf"
    path.write_text(
        '<ACBF xmlns="http://www.acbf.info/xml/acbf/1.1"><meta-data><book-info><book-title>B</book-title></book-info>'
        f"</meta-data><body>{pages}</body><data>{pictures}</data></ACBF>"
    )
    found = described(path)
    assert {number: truth.panels for number, truth in found.truths.items()} == {
        0: [Box(0, 0, 400, 100)], 1: [Box(0, 0, 400, 200)],
    }  # fmt: skip
    assert [text.text for text in found.truths[1].texts] == ["Page 2"]
    assert [record.fields.title for record in found.records if record.origin == "acbf"] == ["B"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_packed_comic_is_described_by_what_lies_beside_its_pages(tmp_path: Path, encoding: str) -> None:
    info = '<ComicInfo><Title>Ō</Title><Pages><Page Image="1" DoublePage="true" Type="Story"/></Pages></ComicInfo>'
    guided = json.dumps({"guided": [{"imgref": "p 2.jpg#xywh=percent:0,0,50,50"}]})
    path = tmp_path / "Series 007 (1999).cbz"
    with ZipFile(path, "w") as packed:
        for name, data in (
            ("Series/p 1.jpg", picture(*SIZE, seed=1)), ("Series/p 2.jpg", picture(*SIZE, seed=2)),
            ("Series/ComicInfo.xml", info.encode(encoding)), ("Series/guided.json", guided),
        ):  # fmt: skip
            packed.writestr(name, data)
    found = described(path)
    assert {record.origin: record.fields.title or record.fields.number for record in found.records} == {
        "file name": "7", "comicinfo": "Ō",
    }  # fmt: skip
    assert (found.labels, found.spreads) == ({1: "story"}, {1})
    assert found.truths[1].panels == [Box(0, 0, 200, 300)]
    assert page_shapes([SIZE, (800, 600)], spreads=found.spreads) == [None, "spread"]


WHOLE = {
    "ComicInfo.xml": '<ComicInfo><Year>2001</Year><Pages><Page Image="0" Type="Other"/></Pages></ComicInfo>',
    "b.opf": '<package><metadata><title id="t">T</title><meta name="calibre:series" content="S"/></metadata></package>',
    "b.acbf": '<ACBF><meta-data><book-info><sequence title="S">3</sequence></book-info></meta-data><body>'
    '<page><image href="p.jpg"/><frame points="1,1 90,90"/></page></body></ACBF>',
    "guided.json": '{"guided": [{"imgref": "p.jpg#xywh=percent:1,1,90,90", "children": [{"text": "a"}]}]}',
    "nav.xhtml": '<html><nav type="region-based"><ol><li><a href="p.jpg#xywh=1,1,90,90"/></li></ol></nav></html>',
}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 12), st.binary(max_size=8)), min_size=1, max_size=4),
    st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
)
def test_whatever_is_written_into_a_document_costs_warnings_only(
    name: str, changes: list[tuple[int, int, bytes]], encoding: str
) -> None:
    data = WHOLE[name].encode(encoding)
    for start, length, other in changes:
        data = data[:start] + other + data[start + length :]
    found = describe([Attachment(name, data)], file_name="x 01.cbz", pages=[PagePlace(0, ("p.jpg",), *SIZE)])
    assert found.records[0].fields.number == "1"
    for record in found.records:
        assert len(record.warnings) <= 60
        json.dumps(record.model_dump()).encode()
    assert set(found.truths) <= {0}
