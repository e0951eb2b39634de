"""XML of strangers: what is refused, and what is read although it was written carelessly."""

import pytest

from shared.files.documents import DEEPEST, LARGEST, MOST_ELEMENTS, BadDocument, parse_xml, words

LAUGHS = (
    "<!ENTITY a '"
    + "ha" * 50
    + "'>"
    + "".join(f"<!ENTITY {name} '{f'&{before};' * 10}'>" for before, name in zip("abcdefgh", "bcdefghi", strict=True))
)
BOMBS = {
    "billion laughs": f"<!DOCTYPE x [{LAUGHS}]><x>&i;</x>",
    "quadratic blow-up": f"<!DOCTYPE x [<!ENTITY a '{'a' * 100_000}'>]><x>{'&a;' * 10_000}</x>",
    "a file of the server": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
    "an address": '<!DOCTYPE x [<!ENTITY a SYSTEM "http://127.0.0.1:1/a">]><x>&a;</x>',
    "a parameter entity": '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:1/a.dtd"> %a;]><x/>',
    "an unused entity": "<!DOCTYPE x [<!ENTITY a 'b'>]><x/>",
}


@pytest.mark.parametrize("name", BOMBS)
def test_entities_and_external_references_are_refused(name: str) -> None:
    with pytest.raises(BadDocument, match="entities"):
        parse_xml(BOMBS[name].encode())


def test_a_plain_document_type_is_no_entity() -> None:
    assert words(parse_xml(b"<!DOCTYPE html><html>a <b>b</b>\n c</html>")) == "a b c"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<a>" * (DEEPEST + 1) + b"</a>" * (DEEPEST + 1), "deeper"),
        (b"<a>" + b"<b/>" * MOST_ELEMENTS + b"</a>", "more than"),
        (b"<a>" + b" " * LARGEST + b"</a>", "larger"),
        (b"<a><b></a>", "line 1, column"),
        (b"", "well-formed"),
        (b"\x89PNG\r\n\x1a\n", "encoding"),
        ("<?xml version='1.0' encoding='klingon'?><a>ü</a>".encode("cp1252"), "encoding"),
    ],
)
def test_what_is_too_deep_too_wide_too_large_or_no_xml_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BadDocument, match=reason):
        parse_xml(data)


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16"),
        ("utf-16-be", "utf-16"), ("utf-8", "utf-16"), ("utf-8-sig", "utf-16"), ("cp1252", "windows-1252"),
        ("shift_jis", "shift_jis"),
    ],
)  # fmt: skip
def test_the_bytes_say_how_they_are_written_before_the_declaration_does(encoding: str, declared: str) -> None:
    text = "日本" if encoding == "shift_jis" else "Astérix"
    assert words(parse_xml(f"<?xml version='1.0' encoding='{declared}'?><a>{text}</a>".encode(encoding))) == text


def test_characters_that_xml_forbids_do_not_cost_the_document() -> None:
    assert words(parse_xml(b"<a>one\x0b two\x00 three</a>")) == "one two three"
