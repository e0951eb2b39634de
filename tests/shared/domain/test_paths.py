"""Paths of another machine are matched by their longest end, soon even where all files have the same name."""

import pytest

from shared.domain.paths import Match, PathIndex

NAMES = ["x/A/p1.jpg", "y/A/p1.jpg", "y/B/p1.jpg", "z/y/C/p1.jpg", "w/y/C/p1.jpg", "top.jpg", "D/P2.JPG"]


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("x/A/p1.jpg", Match("x/A/p1.jpg", "path")),
        ("./y\\A\\p1.jpg", Match("y/A/p1.jpg", "path")),
        ("/home/other/x/A/p1.jpg", Match("x/A/p1.jpg", "end")),
        ("C:/books/b/P1.jpg", Match("y/B/p1.jpg", "end")),
        ("b/p1.jpg", Match("y/B/p1.jpg", "path")),
        ("/media/d/p2.jpg", Match("D/P2.JPG", "end")),
        ("q/A/p1.jpg", Match(None, "several")),
        ("A/p1.jpg", Match(None, "several")),
        ("y/C/p1.jpg", Match(None, "several")),
        ("/q/y/C/p1.jpg", Match(None, "several")),
        ("p1.jpg", Match(None, "none")),
        ("top.jpg", Match("top.jpg", "path")),
        ("q/top.jpg", Match(None, "none")),
        ("AA/p1.jpg", Match(None, "none")),
        ("", Match(None, "none")),
    ],
)
def test_the_longest_end_counts_and_nobody_guesses(path: str, match: Match) -> None:
    assert PathIndex(NAMES).find(path) == match
    assert PathIndex(reversed(NAMES)).find(path) == match


def test_names_alike_but_for_their_letters_case_are_several() -> None:
    index = PathIndex(["A/p1.jpg", "a/P1.jpg"])
    assert index.find("a/P1.jpg") == Match("a/P1.jpg", "path")
    assert index.find("/q/A/p1.jpg") == Match(None, "several")


def test_nothing_is_found_where_nothing_is() -> None:
    assert PathIndex([]).find("a/b.jpg") == Match(None, "none")


@pytest.mark.timeout(60)
def test_fifty_thousand_files_of_one_name_are_found_soon() -> None:
    """Each one compared with each other would take hours."""
    index = PathIndex(f"b{book}/images/0001.jpg" for book in range(50_000))
    for book in range(50_000):
        assert index.find(f"/home/other/b{book}/images/0001.jpg").name == f"b{book}/images/0001.jpg"
