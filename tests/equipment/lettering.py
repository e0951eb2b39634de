"""How far read text is from the true text."""

import unicodedata
from collections.abc import Iterable


def error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Character error rate over (true, read) pairs: edits over true characters, of letters and digits only."""
    edits = characters = 0
    for true, read in pairs:
        wanted, got = plain(true), plain(read)
        edits += distance(wanted, got)
        characters += len(wanted)
    return edits / characters if characters else 0.0


def plain(text: str) -> str:
    """Letters and digits only, case folded."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", text).casefold() if sign.isalnum())


def distance(a: str, b: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, right in enumerate(b, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]
