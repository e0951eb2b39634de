"""Text of a panel: lines into balloons in reading order, and one normal form for search in every script.

Search uses Postgres' `simple` configuration, which knows words only. Scripts written without spaces become words here:
each run of Han, kana or hangul is stored as its single characters and overlapping pairs, and a query asks for the pairs
(or the one character), so that any part of a run is found. The same code runs over stored text and over queries.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from shared.domain.schema import Direction, TextLine

# Geometry of balloons, in units of a line's thickness (its font size with leading).
LINE_GAP = 0.8  # gap between neighbouring lines of one block
WORD_GAP = 0.6  # gap between two pieces of one line
SIZE_RATIO = 2.0  # lines of one block differ in size by less
SIDE_BY_SIDE = 1.5  # blocks whose tops differ by less are read across, not down
UPRIGHT = 1.5  # a line this much taller than wide is a column

HYPHENS = "-\u2010\u00ad"
SPLIT_WORD = re.compile(rf"([^\W\d_]+)[{HYPHENS}]$")

# Letters that carry their accent inside and so have no decomposition.
PLAIN = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ŧ": "t", "ı": "i", "ŋ": "n"}
)
# Combining classes that spell a letter rather than accent it: vowel signs (0), nukta (7), kana voicing (8), virama (9).
SPELLING = frozenset({0, 7, 8, 9})
HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
UNSPACED = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3041-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U000323af"
)
CJK = re.compile(f"[{UNSPACED}{HANGUL}]")
CJK_WIDE = re.compile(f"[{UNSPACED}\u3000-\u303f\uff01-\uff65]")


def join_lines(lines: Sequence[TextLine], *, direction: Direction) -> str:
    """The lines of one panel as text: one row per balloon or block, blocks in reading order, hyphenation undone."""
    return "\n".join(_join([line.text for line in block]) for block in group_lines(lines, direction=direction))


def group_lines(lines: Sequence[TextLine], *, direction: Direction) -> list[list[TextLine]]:
    """Balloons or blocks of text in reading order, each with its lines in order; blank lines are dropped.

    Lines belong together when they are near each other relative to their size. Lines taller than wide are columns and
    run right to left, as in Japanese and Chinese.
    """
    written = [line for line in lines if line.text.strip()]
    block_of = list(range(len(written)))
    for i, line in enumerate(written):
        for j in range(i):
            if block_of[i] != block_of[j] and _together(line, written[j]):
                old, new = block_of[i], block_of[j]
                block_of = [new if block == old else block for block in block_of]
    blocks: dict[int, list[TextLine]] = {}
    for block, line in zip(block_of, written, strict=True):
        blocks.setdefault(block, []).append(line)
    return _in_order([_order_within(block) for block in blocks.values()], direction)


@dataclass(frozen=True)
class _Span:
    """A line's place as its script sees it: lines follow each other `across` and run `along`, both growing."""

    across: tuple[float, float]
    along: tuple[float, float]

    @staticmethod
    def of(line: TextLine, *, columns: bool) -> "_Span":
        box = line.box
        if columns:
            return _Span(across=(-box.right, -box.x), along=(box.y, box.bottom))
        return _Span(across=(box.y, box.bottom), along=(box.x, box.right))


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Length two intervals share; negative when there is a gap of that length."""
    return min(a[1], b[1]) - max(a[0], b[0])


def _shorter(a: tuple[float, float], b: tuple[float, float]) -> float:
    return min(a[1] - a[0], b[1] - b[0])


def _columns(lines: Sequence[TextLine]) -> bool | None:
    """Whether lines are columns; None when they are too short to tell."""
    long = [line for line in lines if len(line.text.strip()) > 2]
    upright = sum(len(line.text) for line in long if line.box.h >= UPRIGHT * line.box.w)
    return 2 * upright > sum(len(line.text) for line in long) if long else None


def _thickness(line: TextLine) -> float:
    return min(line.box.w, line.box.h)


def _together(a: TextLine, b: TextLine) -> bool:
    """Whether one of two lines continues or follows the other."""
    thin, thick = sorted((_thickness(a), _thickness(b)))
    orientations = {_columns([a]), _columns([b])} - {None}
    if thick >= SIZE_RATIO * thin or len(orientations) > 1:
        return False
    columns = True in orientations
    one, other = _Span.of(a, columns=columns), _Span.of(b, columns=columns)
    across, along = _overlap(one.across, other.across), _overlap(one.along, other.along)
    follows = along >= 0.3 * _shorter(one.along, other.along) and across >= -LINE_GAP * thin
    continues = across >= 0.7 * thin and along >= -WORD_GAP * thin
    return follows or continues


def _order_within(block: list[TextLine]) -> list[TextLine]:
    """Lines of one block as its script is read: row by row rightwards, or column by column leftwards."""
    columns = bool(_columns(block))
    rows: list[list[tuple[_Span, TextLine]]] = []
    spans = [(_Span.of(line, columns=columns), line) for line in block]
    for span, line in sorted(spans, key=lambda item: sum(item[0].across)):
        # Pieces of one row lie side by side; rows of tight lettering may overlap but lie above each other.
        beside = rows and all(
            _overlap(span.across, other.across) >= 0.6 * _shorter(span.across, other.across)
            and _overlap(span.along, other.along) <= 0.2 * _shorter(span.along, other.along)
            for other, _ in rows[-1]
        )
        if beside:
            rows[-1].append((span, line))
        else:
            rows.append([(span, line)])
    return [line for row in rows for _, line in sorted(row, key=lambda item: item[0].along)]


def _in_order(blocks: list[list[TextLine]], direction: Direction) -> list[list[TextLine]]:
    """Blocks downwards; of those that begin at about the same height, the one on the reading side first."""
    if not blocks:
        return []
    step = SIDE_BY_SIDE * median(_thickness(line) for block in blocks for line in block)
    left = [list(block) for block in blocks]
    ordered = []
    while left:
        top = min(_top(block) for block in left)
        first = min(
            (block for block in left if _top(block) <= top + step),
            key=lambda block: (
                min(line.box.x for line in block)
                if direction is Direction.LTR
                else -max(line.box.right for line in block)
            ),
        )
        left.remove(first)
        ordered.append(first)
    return ordered


def _top(block: list[TextLine]) -> float:
    return min(line.box.y for line in block)


def _join(texts: Sequence[str]) -> str:
    """Lines of one block as running text: hyphenated words whole again, no space inside scripts that use none."""
    joined = ""
    for text in texts:
        line = " ".join(text.split())
        split = SPLIT_WORD.search(joined)
        if not joined:
            joined = line
        elif split and len(split[1]) == 1 and line[0].isalpha():
            joined += line  # a stammer, "W-" "WHAT", not a divided word
        elif split and (line[0].islower() or (split[1].isupper() and line[0].isupper())):
            joined = joined[:-1] + line
        else:
            joined += line if _unspaced(joined[-1], line[0]) else f" {line}"
    return joined


def _unspaced(before: str, after: str) -> bool:
    wide = [CJK_WIDE.match(character) is not None for character in (before, after)]
    if all(wide) or not any(wide):
        return all(wide)
    return not (after if wide[0] else before).isalpha()


def normalise(text: str) -> str:
    """`text` as words for full-text search, separated by single spaces; "" when nothing in it can be searched.

    Compatibility forms, accents and case are folded, punctuation separates, runs of Han, kana and hangul become their
    characters and overlapping pairs: "Œuvre, NAÏVE" is "oeuvre naive", "鳥の" is "鳥 鳥の の".
    """
    words = []
    for run in _runs(text):
        if CJK.match(run):
            for pair in pairwise(run):
                words += [pair[0], "".join(pair)]
            words.append(run[-1])
        else:
            words.append(run)
    return " ".join(words)


def query_terms(words: str) -> list[str]:
    """What text must contain to match `words`, each term once: every one is a word of `normalise` of matching text."""
    terms: list[str] = []
    for run in _runs(words):
        terms += [a + b for a, b in pairwise(run)] if CJK.match(run) and len(run) > 1 else [run]
    return list(dict.fromkeys(terms))


def _runs(text: str) -> list[str]:
    """Folded words of `text`; a change between CJK and other scripts ends a word."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(character for character in folded if _spells(character))
    runs: list[str] = []
    last = " "
    for character in unicodedata.normalize("NFC", bare.translate(PLAIN)):
        kind = unicodedata.category(character)[0]
        if kind in "LN" or (kind == "M" and last not in " 一"):
            cjk = "一" if CJK.match(character) else "a"
            if kind != "M" and cjk != last:
                runs.append("")
                last = cjk
            runs[-1] += character
        elif kind != "M":
            last = " "
    return runs


def _spells(character: str) -> bool:
    """False for accents and for invisible format characters (soft hyphen, joiners, direction marks)."""
    category = unicodedata.category(character)
    if category[0] == "M":
        return unicodedata.combining(character) in SPELLING
    return category != "Cf"
