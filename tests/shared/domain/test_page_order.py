"""Pages are read in the order a person would put them, and a stranger's file name is never trusted."""

import random

import pytest

from shared.domain.page_order import climbs, display_name, is_page_name, natural_key


@pytest.mark.parametrize(
    "ordered",
    [
        ["p1.jpg", "p2.jpg", "p10.jpg", "p100.jpg"],
        ["p01.jpg", "p2.jpg", "P03.JPG", "p10.jpg"],
        ["p1.jpg", "p1a.jpg", "p1b.jpg", "p2.jpg"],
        ["p1.jpg", "p1 (2).jpg", "p2.jpg"],
        ["Chapter 2/p1.jpg", "Chapter 10/p1.jpg"],
        ["ch1/p9.jpg", "ch1/p10.jpg", "ch1 extra/p1.jpg", "ch2/p1.jpg"],
        ["a\\p2.jpg", "a\\p10.jpg", "b/p1.jpg"],
        ["第１話.jpg", "第2話.jpg", "第１０話.jpg"],
        ["000.jpg", "0001.jpg", "001a.jpg"],
        ["cover.jpg", "PageBlanche_Page_001.jpg", "PageBlanche_Page_002.jpg"],
        ["v1 p3.png", "v1 p12.png", "v2 p1.png"],
    ],
)
def test_names_sort_as_a_reader_counts(ordered: list[str]) -> None:
    shuffled = ordered.copy()
    random.Random(1).shuffle(shuffled)
    assert sorted(shuffled, key=natural_key) == ordered


def test_the_order_is_total_and_survives_absurd_names() -> None:
    names = ["p1.jpg", "p01.jpg", "P1.jpg", "9" * 10_000, "9" * 9_999, "", "/", "..", "²", "1", ".jpg", "a" * 60_000]
    once = sorted(names, key=natural_key)
    names.reverse()
    assert sorted(names, key=natural_key) == once
    assert once.index("9" * 9_999) < once.index("9" * 10_000)


@pytest.mark.parametrize("name", ["p1.jpg", "A/B/p1.JPEG", "x.webp", "scan.tiff", "p.avif", "p.jxl", "../p1.png"])
def test_images_are_pages(name: str) -> None:
    assert is_page_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "__MACOSX/p1.jpg",
        "a/__MACOSX/._p1.jpg",
        "._p1.jpg",
        "a/._p1.jpg",
        ".hidden/p1.jpg",
        ".DS_Store",
        "Thumbs.db",
        "ComicInfo.xml",
        "credits.txt",
        "p1.jpg/",
        "jpg",
        ".jpg",
        "",
    ],
)
def test_litter_is_not_a_page(name: str) -> None:
    assert not is_page_name(name)


@pytest.mark.parametrize("name", ["../p.jpg", "a/../../p.jpg", "..\\p.jpg", "a\\..", ".."])
def test_climbing_names_are_noticed(name: str) -> None:
    assert climbs(name)


@pytest.mark.parametrize("name", ["a..b.jpg", "...jpg", "a/b.jpg", "p1.. .jpg"])
def test_dots_inside_a_name_are_no_climbing(name: str) -> None:
    assert not climbs(name)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.jpg", "etc/passwd.jpg"),
        ("/etc/p1.jpg", "etc/p1.jpg"),
        ("C:\\Users\\me\\p1.jpg", "Users/me/p1.jpg"),
        ("p\x001\n\x1b[31m.jpg", "p1[31m.jpg"),
        ("evil\u202egpj.exe", "evilgpj.exe"),
        ("第10話/表紙.jpg", "第10話/表紙.jpg"),
        ("lone\ud800.jpg", "lone.jpg"),
        ("..", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_a_shown_name_is_relative_and_on_one_line(name: str, shown: str) -> None:
    assert display_name(name) == shown


def test_a_long_name_keeps_its_end() -> None:
    shown = display_name("x" * 5000 + "/page 7.jpg")
    assert len(shown) == 200
    assert shown.startswith("…")
    assert shown.endswith("/page 7.jpg")
