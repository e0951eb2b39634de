"""Joining lines of lettering into text, and the normal form that makes text in every script findable."""

from itertools import permutations

import pytest

from shared.domain.schema import Box, Direction, TextLine
from shared.domain.text import group_lines, join_lines, normalise, query_terms


def line(text: str, x: float, y: float, w: float, h: float = 24) -> TextLine:
    return TextLine(text=text, box=Box(x, y, w, h), confidence=1.0)


def found(words: str, text: str) -> bool:
    """Whether a search for `words` matches `text`, as Postgres decides: every term is a word of the stored form."""
    terms = query_terms(words)
    return bool(terms) and set(terms) <= set(normalise(text).split())


# --- joining ---------------------------------------------------------------------------------------------------------


def test_lines_of_one_balloon_are_joined_downwards_whatever_order_they_were_read_in() -> None:
    lines = [
        line("You don't teach", 788, 893, 132),
        line("real witchcraft!", 788, 916, 130),
        line("I'm going -", 805, 937, 96),
    ]
    for order in permutations(lines):
        assert join_lines(order, direction=Direction.LTR) == "You don't teach real witchcraft! I'm going -"


def test_balloons_side_by_side_are_read_one_after_the_other_and_not_line_by_line() -> None:
    left = [line("… so there", 188, 22, 88), line("you are.", 190, 50, 73)]
    right = [line("Now you know", 294, 39, 121), line("the whole story.", 286, 61, 132)]
    interleaved = [left[0], right[0], left[1], right[1]]
    assert join_lines(interleaved, direction=Direction.LTR) == "… so there you are.\nNow you know the whole story."


def test_balloons_at_one_height_follow_the_reading_direction_and_lower_ones_come_later() -> None:
    lines = [line("left", 50, 100, 60), line("right", 400, 110, 60), line("below", 50, 300, 60)]
    assert join_lines(lines, direction=Direction.LTR) == "left\nright\nbelow"
    assert join_lines(lines, direction=Direction.RTL) == "right\nleft\nbelow"


def test_a_clearly_higher_balloon_comes_first_even_on_the_far_side() -> None:
    lines = [line("second", 50, 160, 60), line("first", 400, 100, 60)]
    assert join_lines(lines, direction=Direction.LTR) == "first\nsecond"


def test_pieces_of_one_row_are_one_row() -> None:
    lines = [line("again", 172, 101, 60), line("once", 100, 100, 60), line("more", 120, 124, 60)]
    assert join_lines(lines, direction=Direction.LTR) == "once again more"


def test_big_lettering_beside_a_balloon_is_a_block_of_its_own() -> None:
    lines = [line("oh no", 100, 100, 80, 20), line("BOOM", 100, 125, 200, 90)]
    assert join_lines(lines, direction=Direction.LTR) == "oh no\nBOOM"


def test_columns_of_japanese_are_read_leftwards_without_spaces() -> None:
    columns = [
        line("行われるのよ", 690, 600, 36, 156),
        line("鳥狩りの儀が", 714, 599, 37, 156),
        line("今日は", 740, 600, 34, 85),
        line("そう…", 96, 692, 32, 82),
    ]
    assert join_lines(columns, direction=Direction.RTL) == "今日は鳥狩りの儀が行われるのよ\nそう…"


def test_a_short_column_beside_long_ones_stays_in_its_balloon() -> None:
    columns = [line("え？", 30, 100, 30, 45), line("アンリ", 64, 100, 30, 83)]
    assert join_lines(columns, direction=Direction.RTL) == "アンリえ？"


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (["a won-", "derful day"], "a wonderful day"),
        (["IT IS IMPOS-", "SIBLE"], "IT IS IMPOSSIBLE"),
        (["soft\u00ad", "ly"], "softly"),
        (["I'm going -", "to the witches"], "I'm going - to the witches"),
        (["wait--", "what?"], "wait-- what?"),
        (["W-", "WHAT?"], "W-WHAT?"),
        (["Jean-", "Paul"], "Jean- Paul"),
        (["page 3-", "4"], "page 3- 4"),
        (["  much   room ", "here"], "much room here"),
        (["全", "3羽"], "全3羽"),
        (["そう…", "でも"], "そう…でも"),
        (["만화를", "읽다"], "만화를 읽다"),
        (["鳥の眼", "Eyes"], "鳥の眼 Eyes"),
    ],
)
def test_line_ends_are_joined_as_the_script_wants(texts: list[str], joined: str) -> None:
    lines = [line(text, 100, 100 + 26 * row, 160) for row, text in enumerate(texts)]
    assert join_lines(lines, direction=Direction.LTR) == joined


def test_blank_lines_and_no_lines_give_no_text() -> None:
    assert join_lines([], direction=Direction.LTR) == ""
    assert join_lines([line("  ", 0, 0, 10)], direction=Direction.LTR) == ""
    assert group_lines([], direction=Direction.RTL) == []


def test_no_line_is_lost_or_doubled_however_lines_lie() -> None:
    lines = [line(f"{x}.{y}", 37 * x % 300, 23 * y % 200, 20 + 11 * x, 10 + 5 * y) for x in range(6) for y in range(6)]
    grouped = [own for block in group_lines(lines, direction=Direction.LTR) for own in block]
    assert sorted(own.text for own in grouped) == sorted(own.text for own in lines)


# --- the normal form -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("", ""),
        ("…!? ***", ""),
        ("Œuvre, NAÏVE", "oeuvre naive"),
        ("Peńélope’s ﬁne ﬂag", "penelope s fine flag"),
        ("Straße STRASSE", "strasse strasse"),
        ("İstanbul ılık", "istanbul ilik"),
        ("Łódź, Ærø, Þór", "lodz aero thor"),
        ("Ｆｕｌｌ ② ½", "full 2 1 2"),
        ("soft\u00adly zero\u200bwidth", "softly zerowidth"),
        ("a\x00b\ud800c", "a b c"),
        ("Тёмный", "темныи"),
        ("鳥の", "鳥 鳥の の"),
        ("ｶﾞが", "ガ ガが が"),
        ("あ゙あ゙", "あ ああ あ"),
        ("メン・X2羽", "メ メン ン x2 羽"),
        ("한국 만화", "한 한국 국 만 만화 화"),
        ("漫画\u3000好き", "漫 漫画 画 好 好き き"),
        ("हिन्दी", "हिन्दी"),
    ],
)
def test_normal_form(text: str, normal: str) -> None:
    assert normalise(text) == normal


def test_normalising_latin_twice_changes_nothing() -> None:
    once = normalise("Élan vital – Œuvre №5, DŽ ǅ ﬃ")
    assert normalise(once) == once


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("penelope", "PÉNÉLOPE BAGIEU"),
        ("pénélope", "Penelope"),
        ("coeur", "mon cœur"),
        ("don't", "I DON’T KNOW"),
        ("homme", "l'homme"),
        ("鳥狩り", "今日は鳥狩りの儀が行われるのよ"),
        ("儀", "今日は鳥狩りの儀が行われるのよ"),
        ("アンリ", "おはようｱﾝﾘ！"),
        ("漫画", "我喜歡漫画。"),
        ("국어", "한국어를 배우다"),
        ("한국어", "한국어를 배우다"),
    ],
)
def test_words_find_text_whatever_its_accents_case_and_script(words: str, text: str) -> None:
    assert found(words, text)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("", "anything"),
        ("!?", "what!?"),
        ("cat", "concatenate"),
        ("かき", "がき"),  # voicing makes another letter, unlike an accent
        ("鳥眼", "鳥の眼"),
        ("儀式", "鳥狩りの儀が"),
    ],
)
def test_words_do_not_find_other_text(words: str, text: str) -> None:
    assert not found(words, text)


def test_a_query_asks_for_each_term_once_in_its_order() -> None:
    assert query_terms("Dark DARK stare ららら") == ["dark", "stare", "らら"]
