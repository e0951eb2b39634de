"""What a file's name says: series, number, volume, year, count and title, by rules with a table of cases in the tests.

Collectors' names follow habits, no standard. A rule that would often be wrong is not here: what cannot be told is not
stated, and the file's name itself remains as the title.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from services.ingestion.metadata.drafts import FIRST_YEAR, Draft, issue_number
from shared.domain.metadata import MetadataRecord

SUFFIX = re.compile(r"(?i)\.(cb[7artz]|zip|rar|7z|tar|pdf|epub|acbf|djvu|mobi|azw3?)$")
LONGEST = 300
LATEST_YEAR = 2035  # a bare number above it is rather an issue, or part of a series that plays in the future
WIDE = str.maketrans("０１２３４５６７８９（）［］｛｝＃　【】", "0123456789()[]{}# []")
KANJI = {sign: value for value, sign in enumerate("〇一二三四五六七八九十")}

ISSUE = r"(?:-?\d{1,6}(?:\.\d{1,2}|\.[A-Z]{1,3})?(?:[a-zA-Z]{1,2}(?!\w))?|\d{0,4}[½¼¾])"
EDGE = r"(?<![^\W_])"  # no letter or digit before
VOLUME = re.compile(
    rf"(?i){EDGE}(?:v|vol|volume|tome|tomo|band|bd|book|том)\.?\s{{0,3}}#?(\d{{1,4}})(?![\d.]*\d|\w)"
    rf"|{EDGE}t(\d{{2,3}}|\s0\d{{1,2}}|\d(?=\s*(?:-|$)))(?![\d.]*\d|\w)"
    r"|第?\s?(\d{1,4}|[一二三四五六七八九十]{1,3})\s?[巻卷册冊]|(\d{1,4})\s?권"
)
NUMBER = re.compile(
    rf"(?i)#\s{{0,3}}({ISSUE})"
    rf"|{EDGE}(?:ch|chap|chapter|chapitre|kapitel|capitulo|ep|episode|issue|heft|prog|nr|num|no|n[°º.]|№)\.?\s{{0,3}}({ISSUE})(?!\w)"
    rf"|{EDGE}c(\d{{2,4}}(?:\.\d{{1,2}})?)(?!\w)"
    r"|第\s?(\d{1,4}(?:\.\d)?|[一二三四五六七八九十]{1,3})\s?[話话回号號期章]|제?(\d{1,4})\s?화"
)
BARE = re.compile(rf"(?<![\w#.'’½-]){ISSUE}(?![\w½¼¾]|\.\d|-\d)")
_KIND = r"(?:v|vol\.?|t|#|c|ch\.?)?"
RANGE = re.compile(rf"(?i)(?<![\w.]){_KIND}\s?(\d{{1,4}})\s?[-–]\s?{_KIND}(\d{{1,4}})(?![\w.])")
OF = re.compile(r"(?i)(?<!\w)(?:(\d{1,4})\s{0,3})?(?:of|sur|von)\s{1,3}(\d{1,4})(?!\w)")
# A date, or a year right after another number.
DATE = re.compile(
    r"(?<![\d-])((?:19|20)\d\d)[-.](?:0\d|1[0-2])(?:[-.][0-3]\d)?(?![\d-])|(?<=\d) ((?:19|20)\d\d)(?=\s|$)"
)
YEAR = re.compile(r"(?:\w{3,9}\.?,? )?((?:18|19|20)\d\d)(?:\s?-\s?(?:\d\d){0,2})?")
BRACKETS = re.compile(r"\(([^()\[\]{}]*)\)|\[([^()\[\]{}]*)\]|\{([^()\[\]{}]*)\}|[(\[{]([^()\[\]{}]*)$")
# Weeklies whose numbers have reached what looks like a year.
WEEKLY = re.compile(r"(?i)^(?:2000 ?ad|beano|the beano|dandy|the dandy|topolino|spirou|tex|zagor)$")
# A number after one of these says which part of a story it is, not which issue.
PARTS = re.compile(r"(?i)(?:^|\W)(?:part|pt|act|season|chapter|teil|partie|parte|saison|disc|level|year)\.?$")
NOISE = re.compile(
    r"(?i)^(?:digital|webrip|web|scan|scans|hybrid|c2c|ctc|noads|retail|fixed|final|repack|hd|sd|complete|cover|covers|"
    r"variant|minutemen|empire|dcp|zone|fr|eng?|french|english|tpb|o?gn|hc|hardcover|softcover|deluxe|fcbd|hq|lq)\b"
    r"|^(?:copy|kopie|copie|copia)\b.{0,5}$"
)
# What scanners put behind a name without brackets.
TAGS = re.compile(r"(?i)(?:\s(?:c2c|ctc|webrip|noads)\b)+$")
SEPARATORS = " \t-–—_,.:;~|+&"


@dataclass
class _Mark:
    """What stands at a place of the name: `kind` is number, volume or range."""

    kind: str
    start: int
    end: int
    value: str = ""


def read_file_name(file_name: str) -> MetadataRecord:
    """What a file's name says; nothing in doubt."""
    draft = Draft("file name")
    text, year, bracketed = _without_brackets(draft, _plain(file_name))
    text = TAGS.sub("", " ".join(text.split()))
    if year is None and (dated := DATE.search(text)):
        year = int(dated[1] or dated[2])
        text = text[: dated.start()] + " " + text[dated.end() :]
    text = " ".join(text.split())
    marks = _explicit(text)
    if counted := OF.search(text):
        draft.say("count", int(counted[2]))
        if counted[1]:
            marks.append(_Mark("number", counted.start(), counted.end(), counted[1]))
        else:
            text = (text[: counted.start()] + text[counted.end() :]).strip()
    if bracketed and not any(mark.kind == "number" for mark in marks):
        marks.append(_Mark("number", len(text), len(text), bracketed))
    if not any(mark.kind in ("number", "range") for mark in marks):
        bare, year = _bare(text, marks, year)
        marks += bare
    _tell(draft, text, sorted(marks, key=lambda mark: mark.start))
    draft.say_year(year)
    return draft.record()


def without_suffix(file_name: str) -> str:
    """A file's name without the folders before it and the suffix of a comic; other dots belong to the name."""
    return SUFFIX.sub("", file_name.rpartition("/")[2]).strip() or file_name


def _plain(file_name: str) -> str:
    """The name in spaces and ASCII digits, whatever stood for them."""
    text = SUFFIX.sub("", without_suffix(file_name))[:LONGEST].translate(WIDE)
    if "%20" in text:
        text = unquote(text)
    text = re.sub(r"\s[–—]\s", " - ", text.replace("_", " "))
    if " " not in text.strip():
        # A dot between digits may be a decimal: 15.5 is one, 012.2014 is not.
        text = re.sub(r"(?<!\d)\.|\.(?!\d)|(?<=\d\d)\.(?=\d\d)|\+", " ", text)
        text = re.sub(r"(?<=[^\W\d_])-(?=\d)|(?<=\d)-(?=(?:19|20)\d\d(?!\d))", " ", text)
    return " ".join(text.split())


def _without_brackets(draft: Draft, text: str) -> tuple[str, int | None, str]:
    """The text outside of brackets, and what those say: the year, and a number given as "3 of 6"."""
    year: int | None = None
    number = ""
    while found := BRACKETS.search(text):
        inside = next((part for part in found.groups() if part is not None), "").strip()
        kept = " "
        if dated := YEAR.fullmatch(inside) or DATE.fullmatch(inside):
            year = year or int(dated[1])
        elif counted := OF.fullmatch(inside):
            draft.say("count", int(counted[2]))
            number = counted[1] or number
        elif VOLUME.fullmatch(inside) or (inside.startswith("#") and NUMBER.fullmatch(inside)):
            kept = f" {inside} "
        text = text[: found.start()] + kept + text[found.end() :]
    return text, year, number


def _explicit(text: str) -> list[_Mark]:
    """Numbers that say what they are; of each kind the first, and spans of several."""
    marks = [_Mark("range", found.start(), found.end()) for found in RANGE.finditer(text) if _spans(found)][:1]
    for kind, pattern in (("volume", VOLUME), ("number", NUMBER)):
        for found in pattern.finditer(text):
            if not any(mark.start < found.end() and found.start() < mark.end for mark in marks):
                value = next(part for part in found.groups() if part is not None)
                marks.append(_Mark(kind, found.start(), found.end(), value))
                break
    return marks


def _spans(found: re.Match[str]) -> bool:
    """Whether two numbers with a dash between are from one to the other, as in 001-012."""
    first, last = found.groups()
    if len(last) == 4 > len(first):
        return False  # a number and a year
    return int(first) < int(last) and (len(first) == len(last) or len(first) > 1 or int(last) < 200)


def _bare(text: str, marks: list[_Mark], year: int | None) -> tuple[list[_Mark], int | None]:
    """The number that stands for itself, if one does, and the year, if a number is rather one."""
    volume = next((mark for mark in marks if mark.kind == "volume"), None)
    found = [_Mark("number", m.start(), m.end(), m[0]) for m in BARE.finditer(text)]
    found = [mark for mark in found if volume is None or mark.end <= volume.start or mark.start >= volume.end]
    last = found[-1] if found and found[-1].end == len(text) else None
    if last is not None and _is_year(last, text, year):
        year, text = int(last.value), text[: last.start].rstrip(SEPARATORS)
        found.pop()
    for mark in found:
        if _stands_for_itself(mark, text, volume, year):
            return [mark], year
    if last is not None and year is not None and last not in found:
        return [_Mark("year", last.start, last.end)], year
    return [], year


def _is_year(mark: _Mark, text: str, year: int | None) -> bool:
    if year is not None or not re.fullmatch(r"\d{4}", mark.value) or mark.start == 0:
        return False
    return 1900 <= int(mark.value) <= LATEST_YEAR and not WEEKLY.match(text[: mark.start].strip(SEPARATORS))


def _stands_for_itself(mark: _Mark, text: str, volume: _Mark | None, year: int | None) -> bool:
    before, after = text[: mark.start], text[mark.end :]
    padded = len(mark.value) > 1 and mark.value.startswith("0") and not mark.value.startswith("0.")
    if PARTS.search(before.rstrip()):
        return False
    if not before.strip(SEPARATORS):  # "01 - Title" is a number, "100 Bullets" a series, "1984" a title
        return bool(after.strip()) and re.match(r"\s?[-.]\s", after) is not None and (padded or len(mark.value) < 4)
    if volume is not None and mark.end <= volume.start:
        return padded
    if len(mark.value) == 4 and mark.value.isdigit() and int(mark.value) > FIRST_YEAR and year is None:
        return bool(WEEKLY.match(before.strip(SEPARATORS))) and not after.strip()
    if re.match(r"\s*-\s", after):
        return True
    return not after.strip() or padded


def _tell(draft: Draft, text: str, marks: list[_Mark]) -> None:
    """State what the marks and the text around them say."""
    for mark in marks:
        if mark.kind == "volume":
            draft.say("volume", _integer(mark.value))
        elif mark.kind == "number":
            draft.say("number", issue_number(str(_integer(mark.value) if mark.value[0] in KANJI else mark.value)))
    if not any(mark.kind != "year" for mark in marks):
        until = marks[0].start if marks else len(text)
        draft.say("title", text[:until].strip(SEPARATORS) or None)
        return
    draft.say("series", _named(text[: marks[0].start]))
    if any(mark.kind == "range" for mark in marks):
        return  # what follows several issues is the name of none
    ends = [*(mark.start for mark in marks[1:]), len(text)]
    pieces = [text[mark.end : end] for mark, end in zip(marks, ends, strict=True)]
    for dated in filter(None, (YEAR.fullmatch(_named(piece) or "") for piece in pieces)):
        draft.say_year(int(dated[1]))
    draft.say("title", max(filter(None, map(_title, pieces)), key=len, default=None))


def _title(piece: str) -> str | None:
    """The title that follows a number, if that is one: after a dash, or beginning with a capital letter.

    What is written small right after a number is a remark of whoever kept the file: copy, signed, by somebody.
    """
    named = _named(piece)
    if named is None or YEAR.fullmatch(named) or NOISE.match(named) or sum(map(str.isalpha, named)) < 2:
        return None
    return None if named[0].islower() and not re.match(r"\s*[-:.]", piece) else named


def _named(text: str) -> str | None:
    tidy = text.strip(SEPARATORS + "#").removesuffix("(").strip(SEPARATORS)
    return tidy if any(map(str.isalnum, tidy)) else None


def _integer(value: str) -> int:
    """A number in digits, or in the numerals of Han up to 99."""
    if value.strip().isdigit() and value.isascii():
        return int(value)
    tens, ten, ones = value.rpartition("十")
    return (KANJI.get(tens, 1) * 10 if ten else 0) + sum(KANJI.get(sign, 0) for sign in ones)
