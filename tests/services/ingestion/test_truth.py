"""Panels and texts that comics state: ACBF, guided navigation, EPUB regions. A file that lies costs warnings only."""

import json
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from services.ingestion.truth.acbf_frames import read_frames
from services.ingestion.truth.contracts import direction_of_panels, layout_of, reading_of
from services.ingestion.truth.fragments import region
from services.ingestion.truth.guided import read_guided
from services.ingestion.truth.pages import MOST_WARNINGS, PageNames, PagePlace, PageTruth, Truths, TruthText
from services.ingestion.truth.regions import read_regions
from shared.domain.schema import Box, Direction
from shared.domain.text import group_lines

PLACES = [PagePlace(n, (f"pages/p{n + 1}.jpg", f"text/p{n + 1}.xhtml"), 1000, 1500) for n in range(3)]
NAMES = PageNames([*PLACES, PagePlace(3, ("pages/broken.jpg",), None, None)])


def acbf(*pages: str, languages: str = "") -> Truths:
    """What an ACBF document at the root of the comic says with these pages."""
    about = f"<meta-data><book-info><languages>{languages}</languages></book-info></meta-data>"
    document = f'<ACBF xmlns="http://www.acbf.info/xml/acbf/1.1">{about}<body>{"".join(pages)}</body></ACBF>'
    return read_frames(document.encode(), NAMES, name="book.acbf")


def page(*inside: str, href: str = "pages/p1.jpg") -> str:
    """One page of an ACBF document."""
    return f'<page><image href="{href}"/>{"".join(inside)}</page>'


def guided(*entries: object) -> Truths:
    """What a guided navigation document says with these objects."""
    return read_guided(json.dumps({"guided": entries}).encode(), NAMES, name="guided.json")


def regions(inside: str) -> Truths:
    """What an EPUB's navigation document in a folder says with these entries."""
    document = (
        '<!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body>'
        f'<nav epub:type="toc"><ol><li><a href="../text/p1.xhtml">1</a></li></ol></nav>'
        f'<nav epub:type="region-based"><ol>{inside}</ol></nav></body></html>'
    )
    return read_regions(document.encode(), NAMES, name="nav/regions.xhtml")


def test_frames_are_boxes_around_their_polygons_in_the_stated_order() -> None:
    found = acbf(
        page('<frame points="500,10 990,10 990,700 500,700"/>', '<frame points="10,10 490,30 470,700 10,690"/>'),
        page('<frame points="0,0 1000,0 1000,1500 0,1500"/>', href="pages/p2.jpg"),
    )
    assert found.warnings == []
    assert found.pages[0].panels == [Box(500, 10, 490, 690), Box(10, 10, 480, 690)]
    # The only frame of a page may be the page: a splash.
    assert layout_of(found.pages[1], width=1000, height=1500, direction=Direction.LTR).kind == "splash"
    assert direction_of_panels(truth.panels for truth in found.pages.values()) is Direction.RTL


TEXTS = "".join(
    f'<text-layer lang="{code}"><text-area points="100,100 300,100 300,200 100,200" type="speech">'
    f"<p>{one}</p><p>{two}</p></text-area></text-layer>"
    for code, one, two in (("en", "Hello", "there"), ("cs", "Ahoj", "tam"), ("fr", "Bonjour", "là"))
)


@pytest.mark.parametrize(
    ("languages", "text"),
    [
        ('<text-layer lang="en" show="true"/><text-layer lang="cs" show="false"/>', "Ahoj\ntam"),
        ('<text-layer lang="fr" show="true"/><text-layer lang="en" show="true"/>', "Bonjour\nlà"),
        ("", "Hello\nthere"),
        ('<text-layer lang="ces" show="false"/>', "Ahoj\ntam"),
    ],
)
def test_texts_are_in_the_books_own_language(languages: str, text: str) -> None:
    found = acbf(page(TEXTS), languages=languages)
    assert found.pages[0].texts == [TruthText(text, Box(100, 100, 200, 100))]
    assert found.pages[0].panels == []


def test_frames_of_the_cover_count_and_names_are_found_wherever_they_are() -> None:
    cover = '<coverpage><image href="P1.JPG"/><frame points="10,10 500,500"/></coverpage>'
    inside = page('<frame points="5,5 90,900"/>', href="zip:b.cbz!/pages/p2.jpg")
    document = f"<ACBF><meta-data><book-info>{cover}</book-info></meta-data><body>{inside}</body></ACBF>"
    found = read_frames(document.encode(), NAMES, name="meta/book.acbf")
    assert found.pages[0].panels == [Box(10, 10, 490, 490)]
    assert found.pages[1].panels == [Box(5, 5, 85, 895)]


def test_guided_navigation_of_a_real_comic_gives_its_panels(samples: Path) -> None:
    folder = samples / "pepper-carrot-ep17"
    places = []
    for number, file in enumerate(sorted(folder.glob("*.jpg"))):
        with Image.open(file) as image:
            places.append(PagePlace(number, (f"ep17/{file.name}",), *image.size))
    data = (folder / "guided.json").read_bytes()
    found = read_guided(data, PageNames(places), name="ep17/guided.json")
    assert found.warnings == []
    assert sum(len(truth.panels) for truth in found.pages.values()) == 29
    stated = [entry["imgref"] for entry in json.loads(data)["guided"] if entry["imgref"].startswith("page4")]
    percents = [[float(number) for number in reference.partition("percent:")[2].split(",")] for reference in stated]
    w, h = places[3].width or 0, places[3].height or 0
    expected = [Box(x * w / 100, y * h / 100, pw * w / 100, ph * h / 100) for x, y, pw, ph in percents]
    assert np.asarray(found.pages[3].panels) == pytest.approx(np.asarray(expected))
    assert [(text.text, text.panel) for text in found.pages[0].texts][:2] == [
        ("But Pepper… Come back…", 1), ("NO! I'M LEAVING!!", 2),
    ]  # fmt: skip
    assert direction_of_panels(truth.panels for truth in found.pages.values()) is Direction.LTR


def test_guided_texts_have_their_own_places_where_they_are_told() -> None:
    balloon = {"imgref": "pages/p1.jpg#xywh=20,30,100,50", "role": ["speechBubble"], "text": {"plain": "Hi"}}
    aside = {"role": ["caption"], "text": "Later"}
    panel = {"imgref": "pages/p1.jpg#xywh=pixel:10,10,500,400", "role": ["panel"], "children": [balloon, aside]}
    found = guided({"imgref": "pages/p1.jpg", "role": ["page"], "children": [panel]})
    assert found.warnings == []
    texts = [TruthText("Hi", Box(20, 30, 100, 50), 0), TruthText("Later", None, 0)]
    assert found.pages == {0: PageTruth("guided", [Box(10, 10, 500, 400)], texts)}


def test_a_panel_that_is_its_whole_page_is_a_splash() -> None:
    splash = {0: PageTruth("guided", [Box(0, 0, 1000, 1500)], [])}
    assert guided({"imgref": "pages/p1.jpg", "role": ["panel"]}).pages == splash
    assert guided({"imgref": "pages/p1.jpg#xywh=percent:0,0,100,100"}).pages == splash
    twice = guided({"imgref": "pages/p1.jpg", "role": ["panel"]}, {"imgref": "pages/p1.jpg#xywh=5000,0,9,9"})
    assert twice.pages == splash  # what stands beside it is no place, so that it is not told beside others
    assert regions('<li><a href="../text/p1.xhtml" epub:type="panel"/></li>').pages[0].panels == splash[0].panels


def test_a_name_alone_means_a_page_only_where_it_cannot_mean_another() -> None:
    one = PageNames([PagePlace(0, ("a/p1.jpg",), 9, 9), PagePlace(1, ("a/p2.jpg",), 9, 9)])
    two = PageNames([PagePlace(0, ("a/p1.jpg",), 9, 9), PagePlace(1, ("b/p2.jpg",), 9, 9)])
    same = PageNames([PagePlace(0, ("a/p1.jpg",), 9, 9), PagePlace(1, ("b/p1.jpg",), 9, 9)])

    def number(names: PageNames, reference: str, document: str = "x/book.acbf") -> int | None:
        found = names.find(reference, document=document)
        return None if found is None else found.number

    assert [number(one, reference) for reference in ("p1.jpg", "other/p2.jpg", "A%2FP2.JPG", "p9.jpg", "")] == [
        0, 1, 1, None, None,
    ]  # fmt: skip
    assert [number(two, reference) for reference in ("p2.jpg", "other/p2.jpg", "../b/p2.jpg", "b/p2.jpg")] == [
        1, None, 1, 1,
    ]  # fmt: skip
    assert [number(same, reference) for reference in ("p1.jpg", "b/p1.jpg")] == [None, 1]
    assert number(same, "p1.jpg", "b/book.acbf") == 1


def test_region_navigation_gives_panels_and_places_of_texts() -> None:
    found = regions(
        '<li><a href="../text/p1.xhtml#xywh=percent:5,5,90,40"/><ol>'
        '<li><a href="../text/p1.xhtml#xywh=percent:10,10,20,10" epub:type="balloon">Hi</a></li></ol></li>'
        '<li><span epub:type="panel-group"><a href="../text/p1.xhtml#xywh=percent:0,40,100,60"/></span><ol>'
        '<li><a href="../text/p1.xhtml#xywh=percent:5,50,40,45" epub:type="panel"/></li>'
        '<li><a href="../text/p1.xhtml#xywh=percent:55,50,40,45" epub:type="panel"/></li></ol></li>'
        '<li><a href="../pages/p2.jpg#xywh=10,10,300,400"/></li>'
    )
    assert found.warnings == []
    assert found.pages[0].panels == [Box(50, 75, 900, 600), Box(50, 750, 400, 675), Box(550, 750, 400, 675)]
    assert found.pages[0].texts == [TruthText("Hi", Box(100, 150, 200, 150), 0)]
    assert found.pages[1].panels == [Box(10, 10, 300, 400)]


GOOD = '<frame points="10,10 500,500"/>'


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ('<frame points="NaN,0 10,10"/>', "no place"),
        ('<frame points="inf,0 10,10"/>', "no place"),
        ('<frame points="1e999,0 10,10"/>', "no place"),
        ('<frame points="99999999,0 999999999,10"/>', "no place"),
        ('<frame points="2000,0 3000,500"/>', "no place"),
        ('<frame points="-500,-500 -10,-10"/>', "no place"),
        ('<frame points="5,5 6,6"/>', "no place"),
        ('<frame points="5"/>', "no place"),
        ('<frame points="a,b c,d"/>', "no place"),
        ("<frame/>", "no place"),
        ('<frame points="0,0 1000,1500"/>', "whole page"),
        (GOOD, "told twice"),
        ('<text-layer lang="en"><text-area points="5000,5 6000,6"><p>a</p></text-area></text-layer>', "no place"),
        (
            '<text-layer lang="en"><text-area points="5,5 60,60"><p>' + "a" * 10_001 + "</p></text-area></text-layer>",
            "longer",
        ),
    ],
)
def test_a_frame_that_lies_is_left_out_with_a_warning_and_the_others_stay(frames: str, told: str) -> None:
    found = acbf(page(GOOD, frames))
    assert found.pages[0] == PageTruth("acbf", [Box(10, 10, 490, 490)], [])
    assert len(found.warnings) == 1
    assert told in found.warnings[0]


def test_frames_that_reach_over_the_edge_end_there() -> None:
    assert acbf(page('<frame points="-20,-20 500,1600"/>')).pages[0].panels == [Box(0, 0, 500, 1500)]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (page(GOOD, href="pages/p9.jpg"), "not in the comic"),
        (page(GOOD, href="../../../etc/passwd"), "not in the comic"),
        (page(GOOD, href="pages/broken.jpg"), "cannot be read"),
        (page(GOOD * 1000), "1000 frames"),
    ],
)
def test_pages_that_are_not_there_or_overfull_are_left_out_whole(document: str, told: str) -> None:
    found = acbf(document, page(GOOD, href="pages/p2.jpg"))
    assert list(found.pages) == [1]
    assert [told in warning for warning in found.warnings] == [True]


def test_a_million_frames_are_refused_by_size_alone() -> None:
    assert acbf(page('<frame points="0,0 1,1"/>' * 1_000_000)).pages == {}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{", b"\xff\xfe", b'{"guided": 3}', b'{"guided": [1, null, [], "a"]}',
        b'{"guided": ' + b"[" * 100_000, b'{"guided": [' + b'{"children":[' * 5000 + b"]}" * 5000 + b"]}",
        b'{"guided": [' + b" " * (5 << 20) + b"]}",
    ],
)  # fmt: skip
def test_a_guided_document_that_is_none_says_so_and_no_more(data: bytes) -> None:
    found = read_guided(data, NAMES, name="guided.json")
    assert found.pages == {}
    assert len(found.warnings) == 1


@pytest.mark.parametrize(
    "fragment",
    ["xywh=percent:NaN,0,10,10", "xywh=1,2,3", "xywh=a,b,c,d", "xywh=percent:1e5,0,1,1", "xywh=inches:1,1,1,1", "t=3"],
)
def test_fragments_that_mean_no_region_give_none(fragment: str) -> None:
    assert region(fragment, width=1000, height=1500) is None


def test_wrong_names_and_floods_in_guided_navigation_cost_warnings_only() -> None:
    entry = {"imgref": "pages/p1.jpg#xywh=percent:0,0,50,50"}
    flood = [{"imgref": f"nowhere{n}.jpg#xywh=0,0,5,5"} for n in range(1000)]
    found = guided(entry, *flood, {"imgref": "pages/p2.jpg#xywh=percent:0,0,NaN,1"})
    assert list(found.pages) == [0]
    assert 1 <= len(found.warnings) <= MOST_WARNINGS + 1
    packed = [{"imgref": f"pages/p1.jpg#xywh={n % 900},0,5,5"} for n in range(20_000)]
    assert guided(*packed).pages == {}


def test_characters_that_cannot_be_kept_are_not_in_texts() -> None:
    found = guided({"imgref": "pages/p1.jpg#xywh=0,0,500,500", "children": [{"text": "a\0b\ud800\u202ec"}]})
    assert found.pages[0].texts[0].text == "abc"


numbers = st.one_of(st.floats(), st.integers(), st.text(max_size=5)).map(str)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(numbers, max_size=6).map(",".join), max_size=6), st.sampled_from(["percent:", "pixel:", ""]))
def test_whatever_numbers_stand_there_panels_lie_on_the_page(parts: list[str], unit: str) -> None:
    found = guided(*({"imgref": f"pages/p1.jpg#xywh={unit}{part}"} for part in parts))
    for truth in found.pages.values():
        for box in truth.panels:
            assert box.x >= 0
            assert box.y >= 0
            assert box.w > 0
            assert box.h > 0
            assert box.right <= 1000.001
            assert box.bottom <= 1500.001


def test_texts_of_a_panel_stay_apart_in_their_order_and_inside() -> None:
    panels = [Box(0, 0, 500, 700), Box(500, 0, 500, 700)]
    texts = [TruthText(f"Panel {panel} says word number {n}!", None, panel) for panel in (1, 0) for n in range(4)]
    reading = reading_of(PageTruth("guided", panels, texts))
    assert reading is not None
    for panel, box in enumerate(panels):
        own = [line for line in reading.lines if box.x <= line.box.x < box.right]
        assert all(line.box.right <= box.right and line.box.bottom <= box.bottom for line in own)
        blocks = [" ".join(line.text for line in block) for block in group_lines(own, direction=Direction.LTR)]
        assert blocks == [f"Panel {panel} says word number {n}!" for n in range(4)]


def test_thousands_of_texts_of_a_panel_are_seated_at_once() -> None:
    truth = PageTruth("guided", [Box(0, 0, 1000, 1500)], [TruthText(f"t{n}", None, 0) for n in range(20_000)])
    began = monotonic()
    reading = reading_of(truth)
    assert monotonic() - began < 4
    assert reading is not None
    assert [line.text for line in reading.lines] == [text.text for text in truth.texts]


def test_a_text_is_broken_into_lines_that_fill_its_place() -> None:
    area = Box(100, 100, 200, 120)
    text = "Above all, don't panic, Carrot, it is only the wind that howls"
    reading = reading_of(PageTruth("acbf", [], [TruthText(text, area)]))
    assert reading is not None
    assert len(reading.lines) > 2
    assert " ".join(line.text for line in reading.lines) == text
    assert sum(line.box.h for line in reading.lines) == pytest.approx(area.h)
    (block,) = group_lines(reading.lines, direction=Direction.LTR)
    assert " ".join(line.text for line in block) == text


def test_places_without_words_are_no_reading() -> None:
    truth = PageTruth("epub", [Box(0, 0, 500, 500)], [TruthText("", Box(10, 10, 50, 50))])
    assert reading_of(truth) is None
    assert [seen.label for seen in layout_of(truth, width=1000, height=1500, direction=Direction.LTR).objects] == [
        "text"
    ]
