"""EPUB and ACBF: pages in the order of the spine or the body, protection named, broken markup survived."""

import tracemalloc
from pathlib import Path
from time import monotonic

import pytest

from shared.errors import Reject, TooLarge
from shared.files import epub
from shared.files.acbf_book import AcbfBook
from shared.files.archives import ZipArchive
from shared.files.containers import Container
from shared.files.epub import EpubBook
from shared.files.epub_documents import parse_package, resolved, shown_files
from shared.files.formats import open_container
from tests.equipment.books import XHTML, acbf_of, epub_of, package, showing
from tests.equipment.hostile_files import picture, protected_epub, zipped

COVER, FIRST, SECOND, THIRD = (picture(seed=seed) for seed in range(4))


def opened(folder: Path, data: bytes, *, name: str = "book.epub") -> Container:
    path = folder / f"stored {len(data)}"
    path.write_bytes(data)
    return open_container(path, name=name)


def read(folder: Path, data: bytes) -> list[tuple[str, bytes | str | None]]:
    with opened(folder, data) as container:
        return [(page.name, page.data if page.data is not None else page.error) for page in container.pages()]


def test_pages_follow_the_spine_and_not_the_names(tmp_path: Path) -> None:
    files = {
        "OPS/text/b.xhtml": showing("../images/z%20first.jpg"),
        "OPS/text/a.xhtml": showing("../images/a.jpg#here", "../images/b.jpg?x=1"),
        "OPS/text/words.xhtml": XHTML.format("<p>only words &amp; more</p>"),
        "OPS/images/z first.jpg": FIRST,
        "OPS/images/a.jpg": SECOND,
        "OPS/images/b.jpg": THIRD,
        "OPS/cover.jpg": COVER,
        "OPS/not shown.jpg": b"x",
    }
    items = ["cover.jpg", "text/b.xhtml", "text/words.xhtml", "text/a.xhtml", "images/z%20first.jpg"]
    spine = ["cover.jpg", "text/b.xhtml", "text/words.xhtml", "text/a.xhtml", "text/b.xhtml"]
    opf = package(items, spine, attributes={"#text/b.xhtml": "linear='no'"})
    with opened(tmp_path, epub_of(files, opf=opf)) as book:
        assert isinstance(book, EpubBook)
        assert book.media_type == "application/epub+zip"
        pages = list(book.pages())
        assert [page.data for page in pages] == [COVER, FIRST, SECOND, THIRD]
        assert [page.name for page in pages][1:] == ["OPS/images/z first.jpg", "OPS/images/a.jpg", "OPS/images/b.jpg"]
        assert [book.targets(number) for number in range(3)] == [
            ("OPS/cover.jpg",),
            ("OPS/images/z first.jpg", "OPS/text/b.xhtml"),
            ("OPS/images/a.jpg", "OPS/text/a.xhtml"),
        ]
        assert list(book.pages(start=2, stop=3)) == pages[2:3]


def test_pictures_are_found_however_they_are_shown(tmp_path: Path) -> None:
    svg = "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink'><image {}='{}'/></svg>"
    files = {
        "a.xhtml": XHTML.format(svg.format("xlink:href", "p1.jpg")),
        "b.xhtml": XHTML.format(svg.format("href", "p2.jpg")),
        "c.svg": svg.format("xlink:href", "p3.jpg"),
        "d.xhtml": showing("drawing.svg", "data:image/png;base64,AAAA", "http://127.0.0.1:1/p.jpg", "//host/p.jpg"),
        "drawing.svg": svg.format("href", "p4"),
        "p5.xyz": b"not for us",
    }
    files |= {f"p{number}.jpg": picture(seed=number) for number in (1, 2, 3, 5)} | {"p4": picture(seed=4)}
    items = ["a.xhtml", "b.xhtml", "c.svg", "d.xhtml", "p5.xyz", "p5.jpg"]
    opf = package(items, items[:5], attributes={"p5.xyz": "fallback='p5.jpg'", "p5.jpg": "fallback='p5.xyz'"})
    opf = opf.replace(b"</manifest>", b"<item id='p4' href='p4' media-type='image/jpeg'/></manifest>")
    found = read(tmp_path, epub_of(files, opf=opf, name="book.opf"))
    assert [data for _, data in found] == [picture(seed=number) for number in range(1, 6)]


def test_what_the_book_shows_and_does_not_hold_is_a_page_with_a_reason(tmp_path: Path) -> None:
    files = {"OPS/a.xhtml": showing("p1.jpg", "gone.jpg"), "OPS/p1.jpg": FIRST}
    found = read(tmp_path, epub_of(files, opf=package(["a.xhtml", "lost.xhtml"], ["lost.xhtml", "a.xhtml"])))
    assert found == [
        ("OPS/lost.xhtml", "is missing from the book; get a complete copy"),
        ("OPS/p1.jpg", FIRST),
        ("OPS/gone.jpg", "is missing from the book; get a complete copy"),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        "<html><body><br><img src='p1.jpg'><p>never closed<!-- <img src='p2.jpg'> -->",
        '<html><body>&nbsp;<IMG\n alt=x SRC = "p1.jpg"'.replace("IMG", "img").replace("SRC", "src") + "></body></html>",
        "<!DOCTYPE html [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><html>&a;<svg:image xlink:href='p1.jpg'/></html>",
        "\ufeff<html><img data-src='x.jpg' src='p1.jpg'/><img src=''/>",
    ],
)
def test_broken_markup_is_searched(broken: str) -> None:
    assert shown_files(broken.encode(), name="OPS/a.xhtml") == ["OPS/p1.jpg"]


@pytest.mark.parametrize(
    "seed", ["<img ", "<!--", "<", "<a:img src=", "<img src='", '<image href="x', "<![CDATA[", "&#"]
)
def test_hostile_markup_costs_little_time(seed: str) -> None:
    began = monotonic()
    assert len(shown_files((seed * (2_000_000 // len(seed))).encode(), name="a.xhtml")) < 1_000_000
    assert monotonic() - began < 5


def test_references_stay_inside_the_book() -> None:
    assert resolved("../a%20b.jpg", base="OPS/text/x.xhtml") == "OPS/a b.jpg"
    assert resolved("/a.jpg", base="OPS/x.xhtml") == "a.jpg"
    for outside in (
        "../../../etc/passwd",
        "..",
        "",
        "#a",
        "file:///etc/passwd",
        "http://host/a.jpg",
        "data:,x",
        "//host/a",
    ):
        assert resolved(outside, base="OPS/x.xhtml") is None


@pytest.mark.parametrize("opf", [b"", b"<package/>", b"not xml", package(["a.xhtml"], ["b.xhtml"])])
def test_a_book_without_a_usable_spine_falls_back_to_the_names(tmp_path: Path, opf: bytes) -> None:
    found = read(tmp_path, epub_of({"p10.jpg": SECOND, "p2.jpg": FIRST}, opf=opf))
    assert found == [("p2.jpg", FIRST), ("p10.jpg", SECOND)]
    plain = zipped({"mimetype": b"application/epub+zip", "p10.jpg": SECOND, "p2.jpg": FIRST})
    assert read(tmp_path, plain) == found


def test_a_novel_without_pictures_is_refused(tmp_path: Path) -> None:
    files = {"OPS/a.xhtml": XHTML.format("words")}
    with pytest.raises(Reject, match="holds no page images"):
        opened(tmp_path, epub_of(files, opf=package(["a.xhtml"], ["a.xhtml"])))


def test_a_zip_named_epub_is_a_zip(samples: Path) -> None:
    path = samples / "archive-fixtures" / "archives" / "zip-as-epub.epub"
    with open_container(path, name=path.name) as container:
        assert isinstance(container, ZipArchive)


@pytest.mark.parametrize("lock", ["META-INF/rights.xml", "META-INF/sinf.xml", "META-INF/license.lcpl"])
def test_a_protected_book_is_refused(tmp_path: Path, lock: str) -> None:
    files = {"OPS/a.xhtml": showing("p1.jpg"), "OPS/p1.jpg": FIRST, lock: "<rights/>"}
    with pytest.raises(Reject, match=r"^book\.epub is protected against copying"):
        opened(tmp_path, epub_of(files, opf=package(["a.xhtml"], ["a.xhtml"])))
    with pytest.raises(Reject, match="protected against copying"):
        opened(tmp_path, protected_epub())


@pytest.mark.parametrize("algorithm", ["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"])
def test_scrambled_fonts_protect_no_page(tmp_path: Path, algorithm: str) -> None:
    assert read(tmp_path, protected_epub(algorithm)) == [("OPS/cover.jpg", picture())]


def test_documents_about_the_book_are_attached(tmp_path: Path) -> None:
    files = {
        "OPS/a.xhtml": showing("p1.jpg"), "OPS/p1.jpg": FIRST, "OPS/nav.xhtml": "<nav/>", "OPS/regions.xhtml": "<nav/>",
        "OPS/guided.json": "{}", "OPS/extra.json": "{}", "ComicInfo.xml": "<ComicInfo/>", "OPS/x.css": "a{}",
    }  # fmt: skip
    opf = package(
        ["a.xhtml", "nav.xhtml", "regions.xhtml", "extra.json", "x.css"],
        ["a.xhtml"],
        extra="<link rel='http://example.org/guided-navigation' href='guided.json'/>",
        attributes={"nav.xhtml": "properties='nav'", "regions.xhtml": "properties='data-nav scripted'"},
    )
    with opened(tmp_path, epub_of(files, opf=opf)) as book:
        found = {attachment.name: attachment.data for attachment in book.attachments()}
    assert list(found) == [
        "OPS/book.opf",
        "OPS/nav.xhtml",
        "OPS/regions.xhtml",
        "OPS/extra.json",
        "OPS/guided.json",
        "ComicInfo.xml",
    ]
    assert found["OPS/book.opf"] == opf


def test_a_novel_with_a_picture_is_no_comic_and_a_comic_with_a_foreword_is_one(tmp_path: Path) -> None:
    text = "<p>" + "It was a dark and stormy night. " * 100 + "</p>"

    def book(texts: int, pictures: int) -> bytes:
        shown = {f"OPS/p{number}.xhtml": showing(f"p{number}.jpg") for number in range(pictures)}
        told = {f"OPS/t{number}.xhtml": XHTML.format(text) for number in range(texts)}
        images = {f"OPS/p{number}.jpg": picture(seed=number) for number in range(pictures)}
        names = [name.removeprefix("OPS/") for name in (*shown, *told)]
        return epub_of(shown | told | images, opf=package(names, names))

    with pytest.raises(Reject, match=r"^book\.epub is a book of text, about \d+ pages of it with one picture"):
        opened(tmp_path, book(texts=12, pictures=1))
    with pytest.raises(Reject, match="with 3 pictures, and no comic"):
        opened(tmp_path, book(texts=12, pictures=3))
    for texts, pictures in ((4, 1), (8, 10), (0, 1)):
        with opened(tmp_path, book(texts, pictures)) as comic:
            assert len(comic) == pictures


def test_fallbacks_of_fallbacks_cost_little_time() -> None:
    items = "".join(f"<item id='i{n}' href='{n}' media-type='x/y' fallback='i{n + 1}'/>" for n in range(8000))
    spine = "<itemref idref='i0'/>" * 8000
    began = monotonic()
    document = f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>"
    assert parse_package(document.encode(), name="a.opf").spine == []
    assert monotonic() - began < 3


def test_documents_that_all_show_everything_are_no_comic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epub, "MOST_SHOWN", 20_000)
    everything = "".join(f"<img src='{number}.jpg'/>" for number in range(2000))
    documents = [f"{number}.xhtml" for number in range(11)]
    files = {f"OPS/{document}": XHTML.format(everything) for document in documents} | {"OPS/1.jpg": picture()}
    with pytest.raises(TooLarge, match=r"^book\.epub shows pictures more than 20,000 times: it is no comic\.$"):
        opened(tmp_path, epub_of(files, opf=package(documents, documents)))


def test_a_picture_remembers_a_few_of_those_that_show_it(tmp_path: Path) -> None:
    documents = [f"{number}.xhtml" for number in range(50)]
    files = {f"OPS/{document}": showing("1.jpg") for document in documents} | {"OPS/1.jpg": picture()}
    with opened(tmp_path, epub_of(files, opf=package(documents, documents))) as book:
        assert book.targets(0) == ("OPS/1.jpg", *(f"OPS/{number}.xhtml" for number in range(20)))


def test_endless_text_is_no_comic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epub, "DOCUMENTS_BYTES", 100_000)
    files = {f"OPS/{number}.xhtml": XHTML.format("word " * 8000) for number in range(3)}
    with pytest.raises(TooLarge, match="of text"):
        opened(
            tmp_path, epub_of(files, opf=package(map("{}.xhtml".format, range(3)), map("{}.xhtml".format, range(3))))
        )


def test_pages_embedded_in_an_acbf_document(tmp_path: Path) -> None:
    pictures = {"p1.jpg": FIRST, "p2.jpg": SECOND, "c.jpg": COVER, "unused.jpg": THIRD}
    data = acbf_of(pictures, cover="c.jpg", pages=["p2.jpg", "p1.jpg", "p2.jpg", "gone.jpg"])
    with opened(tmp_path, data, name="book.acbf") as book:
        assert isinstance(book, AcbfBook)
        pages = list(book.pages())
        assert [page.data for page in pages] == [COVER, SECOND, FIRST, None]
        assert pages[3].error == "is not inside the document; get the complete comic"
        assert book.targets(1) == ("p2.jpg", "#p2.jpg")
        assert list(book.pages(start=1, stop=2)) == pages[1:2]
        (document,) = book.attachments()
    assert b"<page><image href='#p2.jpg'/></page>" in document.data
    assert len(document.data) < 1000


def test_a_large_acbf_document_costs_the_memory_of_a_page(tmp_path: Path) -> None:
    pictures = {f"p{number}.jpg": FIRST + bytes(2 << 20) for number in range(12)}
    path = tmp_path / "large.acbf"
    path.write_bytes(acbf_of(pictures))
    tracemalloc.start()
    with open_container(path, name="large.acbf") as book:
        assert sum(page.data == pictures[page.name] for page in book.pages()) == 12
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 << 20


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (acbf_of({"p1.jpg": FIRST})[:-300], "cut-off ACBF"),
        (acbf_of({}, pages=["p1.jpg"]), "no page images"),
        (b"<ACBF><!DOCTYPE x>" + b"<a>" * 5000, "ACBF document"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><ACBF>&a;</ACBF>", "entities"),
        (b"<ACBF>" + b" " * (5 << 20) + b"</ACBF>", "more than 4 MB of text"),
    ],
)
def test_a_bad_acbf_document_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(Reject, match=rf"^book\.acbf .*{says}"):
        opened(tmp_path, data, name="book.acbf")


def test_a_picture_of_an_acbf_document_that_is_damaged_is_a_page_with_a_reason(tmp_path: Path) -> None:
    data = acbf_of({"p1.jpg": FIRST, "p2.jpg": SECOND}).replace(b"/9j/", b"/9j", 1)
    assert [isinstance(content, str) for _, content in read(tmp_path, data)] == [True, False]
