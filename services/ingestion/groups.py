"""Duplicates as groups, and which of a group to keep."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

NEAR = 0.95  # of the most pixels counts as the most: a crop by two per cent decides nothing


@dataclass(frozen=True, slots=True)
class Pair:
    """Two that look the same, and what a person said of them: that they are, that they are not, or nothing yet."""

    left: int
    right: int
    score: float
    verdict: Literal["same", "distinct"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What speaks for keeping one of a group. `pixels`: of a usual page; `size`: bytes of all its `area` pixels.

    `lost`: its original stayed with the user, and no place is known any more where it lies: another file may be there.
    """

    id: int
    width: int
    height: int
    unreadable: int
    fields: int
    lossless: bool
    size: int
    area: int
    added: datetime
    lost: bool = False

    @property
    def pixels(self) -> int:
        """Of a usual page."""
        return self.width * self.height

    @property
    def weight(self) -> float:
        """Bytes a pixel: more means less compressed."""
        return self.size / max(self.area, 1)


@dataclass(frozen=True, slots=True)
class Group:
    """Members in the order of their ids. `score`: how sure the least sure pair is; `open`: somebody is to decide."""

    members: Sequence[int]
    score: float
    open: bool


def grouped(pairs: Iterable[Pair]) -> list[Group]:
    """Those that belong together, by their lowest; nobody is in a group with one that it is distinct from.

    What a person joined comes first, then the surest pairs.
    """
    pairs = list(pairs)
    apart: dict[int, set[int]] = {}
    for pair in pairs:
        if pair.verdict == "distinct":
            apart.setdefault(pair.left, set()).add(pair.right)
            apart.setdefault(pair.right, set()).add(pair.left)
    group: dict[int, set[int]] = {}
    for pair in sorted(pairs, key=lambda pair: (pair.verdict is None, -pair.score, pair.left, pair.right)):
        left, right = group.setdefault(pair.left, {pair.left}), group.setdefault(pair.right, {pair.right})
        if pair.verdict == "distinct" or left is right or any(apart.get(one, set()) & right for one in left):
            continue
        left |= right
        group.update(dict.fromkeys(right, left))
    found = {min(members): members for members in group.values() if len(members) > 1}
    return [_group(sorted(found[lowest]), pairs) for lowest in sorted(found)]


def _group(members: Sequence[int], pairs: Iterable[Pair]) -> Group:
    inside = set(members)
    own = [pair for pair in pairs if pair.left in inside and pair.right in inside and pair.verdict != "distinct"]
    sure = [1.0 if pair.verdict == "same" else pair.score for pair in own]
    return Group(members, min(sure), any(pair.verdict is None for pair in own))


def connected(pairs: Iterable[Pair]) -> dict[int, list[Pair]]:
    """Pairs by the lowest id that they are connected with, through whatever is not distinct."""
    pairs = list(pairs)
    parent = {one: one for pair in pairs for one in (pair.left, pair.right)}

    def lowest(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for pair in pairs:
        if pair.verdict != "distinct":
            low, high = sorted((lowest(pair.left), lowest(pair.right)))
            parent[high] = low
    found: dict[int, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(lowest(pair.left), []).append(pair)
    return found


def suggested(candidates: Sequence[Candidate]) -> tuple[int, str]:
    """Whom to keep, and why in words: the first question that the group does not answer alike decides."""
    left = [candidate for candidate in candidates if not candidate.lost] or list(candidates)
    if len(left) == 1 < len(candidates):
        return left[0].id, "is still where it was added from; the original of another is not, or is another file now"
    most = max(candidate.pixels for candidate in left)
    worst = min(left, key=lambda candidate: candidate.pixels)
    best = [candidate for candidate in left if candidate.pixels >= NEAR * most]
    if len(best) == 1:
        one = best[0]
        return one.id, f"has the most pixels: {one.width} × {one.height}, another {worst.width} × {worst.height}"
    for question, words in _QUESTIONS:
        answers = [question(candidate) for candidate in best]
        most_of = max(answers)
        chosen = [candidate for candidate, answer in zip(best, answers, strict=True) if answer == most_of]
        if len(chosen) == 1:
            return chosen[0].id, words(chosen[0], best)
        best = chosen
    first = min(best, key=lambda candidate: (candidate.added, candidate.id))
    return first.id, "was added first; nothing else tells them apart"


def _said(value: str, count: int) -> str:
    return f"{count} {value}{'' if count == 1 else 's'}"


_Question = Callable[[Candidate], float]
_Words = Callable[[Candidate, Sequence[Candidate]], str]
_QUESTIONS: tuple[tuple[_Question, _Words], ...] = (
    (
        lambda one: -one.unreadable,
        lambda one, all_: (
            f"has the fewest unreadable pages: {one.unreadable}, another {max(other.unreadable for other in all_)}"
        ),
    ),
    (
        lambda one: one.fields,
        lambda one, all_: (
            f"has the best metadata: {_said('field', one.fields)}, another {min(other.fields for other in all_)}"
        ),
    ),
    (lambda one: one.lossless, lambda *_: "is stored without loss"),
    (
        lambda one: round(one.weight, 2),
        lambda one, all_: (
            f"is compressed least: {one.weight:.2f} bytes a pixel, another {min(other.weight for other in all_):.2f}"
        ),
    ),
)
