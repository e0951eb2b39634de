"""Whether OCR and a VLM read the same: pieces of text matched by their letters, whatever stands between those."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from shared.domain.dataspec import PieceOfText
from shared.domain.readings import letters
from shared.domain.schema import SpokenText

ALIKE = 0.8  # similarity from which two readings are one text
PART = 0.75  # share of a piece's letters found in a text, from which it is a part of that text
LONG = 4_000_000  # product of two texts' lengths above which an exact comparison takes too long
RUN = 3  # shortest run of equal letters that counts; shorter ones occur by chance


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What two readers make together.

    `pieces`: OCR's, with the kind and speaker of the VLM's text they belong to, and where it was told what only the VLM
    read, with the share of it that OCR supports as its confidence. `similarity` of the worst agreeing text;
    `difference` says where the readers differ, None when they agree.
    """

    pieces: list[PieceOfText]
    similarity: float
    difference: str | None


def compare(read: Sequence[PieceOfText], spoken: Sequence[SpokenText]) -> Comparison:
    """OCR's pieces of a panel (in reading order) against the texts a VLM told of it."""
    told = [text for text in spoken if letters(text.text)]
    heard, seen = [letters(text.text) for text in told], [letters(piece.text) for piece in read]
    match = _Matcher(long=sum(map(len, heard)) * sum(map(len, seen)) > LONG)
    parts = [_belongs_to(piece, heard, match) for piece in seen]
    pieces = [
        piece if k is None else piece.model_copy(update={"kind": told[k].kind, "speaker": told[k].speaker})
        for piece, k in zip(read, parts, strict=True)
    ]
    own = ["".join(piece for piece, part in zip(seen, parts, strict=True) if part == k) for k in range(len(told))]
    alike = [match.ratio(mine, text) for mine, text in zip(own, heard, strict=True)]
    whole = match.ratio("".join(seen), "".join(heard))
    if told and read and whole >= ALIKE and _nothing_missing(seen, heard, match):  # only divided differently
        return Comparison(pieces=pieces, similarity=whole, difference=None)
    difference = None
    for k, text in enumerate(told):
        if alike[k] < ALIKE:
            how = f"; OCR read otherwise (similarity {alike[k]:.2f})" if k in parts else ", OCR did not"
            difference = difference or f"the VLM read {_quoted(text.text)}{how}"
    stray = next((piece.text for piece, k in zip(read, parts, strict=True) if k is None and letters(piece.text)), None)
    if difference is None and stray is not None:
        difference = f"OCR read {_quoted(stray)}, the VLM did not"
    for k, text in enumerate(told):
        if k not in parts:
            unread = PieceOfText(
                kind=text.kind, text=text.text, source="vlm", confidence=alike[k], speaker=text.speaker
            )
            place = _place(k, parts)
            pieces.insert(place, unread)
            parts.insert(place, k)
    return Comparison(pieces=pieces, similarity=min(alike, default=1.0), difference=difference)


def _place(k: int, parts: Sequence[int | None]) -> int:
    """Where a text that OCR did not read stands among the pieces: after those of the texts told before it."""
    before = [place + 1 for place, part in enumerate(parts) if part is not None and part < k]
    behind = [place for place, part in enumerate(parts) if part is not None and part > k]
    return max(before, default=min(behind, default=len(parts)))


class _Matcher:
    """How alike two strings of letters are. Of `long` texts the triples of letters are counted, in linear time."""

    def __init__(self, *, long: bool) -> None:
        self._long = long

    def ratio(self, a: str, b: str) -> float:
        """Similarity from 0 to 1: twice what they share over all they have."""
        if not a or not b:
            return 0.0
        if self._long:
            return 2 * self._shared(a, b) / (len(_triples(a)) + len(_triples(b)))
        return SequenceMatcher(None, a, b, autojunk=False).ratio()

    def held(self, a: str, b: str) -> float:
        """Share of `a` that stands in `b` in runs."""
        if self._long:
            return self._shared(a, b) / len(_triples(a))
        blocks = SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
        return sum(block.size for block in blocks if block.size >= min(RUN, len(a))) / len(a)

    def _shared(self, a: str, b: str) -> int:
        return (Counter(_triples(a)) & Counter(_triples(b))).total()


def _triples(text: str) -> list[str]:
    return [text[k : k + RUN] for k in range(max(1, len(text) - RUN + 1))]


def _nothing_missing(seen: Sequence[str], heard: Sequence[str], match: _Matcher) -> bool:
    """Whether each piece of either reader stands in all that the other read."""
    both = ((seen, "".join(heard)), (heard, "".join(seen)))
    return all(match.held(piece, other) >= PART for pieces, other in both for piece in pieces if piece)


def _belongs_to(piece: str, told: Sequence[str], match: _Matcher) -> int | None:
    """The text that holds most of a piece's letters in runs, or is as like it; None when none does."""
    best, found = 0.0, None
    for k, text in enumerate(told if piece else ()):
        alike = match.ratio(piece, text)
        held = max(match.held(piece, text), alike if alike >= ALIKE else 0.0)
        # Of texts that hold it all, the one it is nearest to in length: "no" is in many words.
        if held >= PART and held + 0.01 * alike > best:
            best, found = held + 0.01 * alike, k
    return found


def _quoted(text: str) -> str:
    flat = " ".join(text.split())
    return f"“{flat[:39]}…”" if len(flat) > 40 else f"“{flat}”"
