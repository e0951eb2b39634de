"""Data cards: what a dataset holds, counted while its pages go by, as JSON and as Markdown."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from shared.domain.dataspec import SPLITS, DataSpec, Split
from shared.domain.training import DatasetCounts

FEW_PAGES = 50  # below, a model learns the pages rather than comics
LISTED = 200  # comics that a card lists by name
SHOWN_REASONS = 20
Kind = TypeVar("Kind")


@dataclass
class Tally:
    """Counts over pages; `add` each once."""

    pages: int = 0
    comics: dict[str, dict[str, Any]] = field(default_factory=dict)
    panels_per_page: Counter[int] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    directions: Counter[str] = field(default_factory=Counter)
    layouts: Counter[str] = field(default_factory=Counter)
    panels_with_text: int = 0
    described: int = 0
    perfect: int = 0
    equal_counts: Counter[str] = field(default_factory=Counter)

    def add(self, page: DataSpec) -> None:
        """Count one page."""
        self._count(page, 1)

    def leave_out(self, page: DataSpec) -> None:
        """Take one page back that has been counted."""
        self._count(page, -1)
        if not self.comics[page.comic.key]["pages"]:
            del self.comics[page.comic.key]

    def _count(self, page: DataSpec, by: int) -> None:
        self.pages += by
        self.perfect += by * page.perfect
        equal = "unknown" if page.equal_counts is None else str(page.equal_counts).lower()
        comic = self.comics.setdefault(
            page.comic.key, {"title": page.comic.title, "split": "train", "pages": 0, "panels": 0}
        )
        comic["pages"] += by
        comic["panels"] += by * len(page.panels)
        _shift(self.panels_per_page, [len(page.panels)], by)
        _shift(self.directions, [page.direction], by)
        _shift(self.layouts, [page.provenance.layout], by)
        _shift(self.equal_counts, [equal], by)
        for panel in page.panels:
            self.panels_with_text += by * bool(panel.literal)
            self.described += by * bool(panel.descriptive)
            _shift(self.verdicts, [panel.verdict], by)
            _shift(self.sources, {piece.source for piece in panel.literal}, by)
            _shift(self.kinds, [piece.kind for piece in panel.literal], by)
            # The words of a page are not a kind of reason.
            _shift(self.reasons, [_without_quotes(panel.reason)] if panel.reason else [], by)

    def hold_out(self, comics: Iterable[str]) -> None:
        """Note which comics are held out; without it, all are for training."""
        for key in comics:
            self.comics[key]["split"] = "held_out"

    def counts(self) -> DatasetCounts:
        """The figures of the dataset's row."""
        sides: dict[Split, list[int]] = {
            side: [comic["pages"] for comic in self.comics.values() if comic["split"] == side] for side in SPLITS
        }
        return DatasetCounts(
            comics=len(self.comics),
            pages=self.pages,
            panels=sum(panels * pages for panels, pages in self.panels_per_page.items()),
            panels_with_text=self.panels_with_text,
            silent_panels=self.verdicts["silent"],
            train_pages=sum(sides["train"]),
            held_out_pages=sum(sides["held_out"]),
            train_comics=len(sides["train"]),
            held_out_comics=len(sides["held_out"]),
        )

    def warnings(self, *, held_out: float) -> list[str]:
        """What a user should know before training on it."""
        counts, found = self.counts(), []
        if counts.comics == 1:
            found.append("There is one comic only: nothing can be held out, so nothing can be measured on new comics.")
        elif counts.held_out_pages == 0 and held_out > 0:
            found.append("All comics share page images with each other: nothing can be held out for measuring.")
        elif counts.held_out_pages == 0:
            found.append("Nothing is held out: how well a model does on new comics cannot be measured.")
        if max(self.panels_per_page, default=0) <= 1:
            found.append("No page has more than one panel: nothing can be learnt about order and context.")
        if counts.pages < FEW_PAGES:
            found.append(f"{counts.pages} pages are few: a model learns these pages by heart; a hundred or more help.")
        if counts.panels_with_text == 0:
            found.append("No panel has text: nothing can be learnt about words.")
        return found


def card_of(
    tally: Tally, *, name: str, fingerprint: str, origin: str, request: Mapping[str, Any], warnings: Sequence[str]
) -> dict[str, Any]:
    """The card as JSON."""
    comics = sorted(tally.comics.items(), key=lambda item: (item[1]["title"], item[0]))
    return {
        "name": name,
        "fingerprint": fingerprint,
        "origin": origin,
        "request": dict(request),
        "counts": tally.counts().model_dump(),
        "warnings": list(warnings),
        "perfect_pages": tally.perfect,
        "panels_described": tally.described,
        "panels_per_page": {str(panels): tally.panels_per_page[panels] for panels in sorted(tally.panels_per_page)},
        "verdicts": dict(tally.verdicts.most_common()),
        "reasons": dict(tally.reasons.most_common(SHOWN_REASONS)),
        "text_sources": dict(tally.sources.most_common()),
        "text_kinds": dict(tally.kinds.most_common()),
        "directions": dict(tally.directions.most_common()),
        "layouts": dict(tally.layouts.most_common()),
        "equal_counts": dict(tally.equal_counts.most_common()),
        "comics": [{"key": key, **comic} for key, comic in comics[:LISTED]],
        "comics_not_listed": max(0, len(comics) - LISTED),
    }


TABLES = {
    "panels_per_page": ("Panels of a page", "Pages"),
    "verdicts": ("Verdict", "Panels"),
    "reasons": ("Why unverified", "Panels"),
    "text_sources": ("Text from", "Panels"),
    "text_kinds": ("Kind of text", "Pieces"),
    "directions": ("Reading direction", "Pages"),
    "layouts": ("Panels from", "Pages"),
    "equal_counts": ("As many panels told as found", "Pages"),
}


def markdown_of(card: Mapping[str, Any]) -> str:
    """The same card as Markdown."""
    counts = card["counts"]
    lines = [
        f"# Dataset {_cell(card['name'] or card['fingerprint'][:16])}",
        "",
        f"{counts['pages']:,} pages of {counts['comics']:,} comics with {counts['panels']:,} panels, "
        f"{counts['panels_with_text']:,} of them with text, {counts['silent_panels']:,} silent. "
        f"{counts['train_pages']:,} pages ({counts['train_comics']:,} comics) to train on, "
        f"{counts['held_out_pages']:,} ({counts['held_out_comics']:,} comics) held out. "
        f"{card['perfect_pages']:,} pages are perfect matches.",
        "",
        f"Fingerprint `{card['fingerprint']}`, {card['origin']}.",
    ]
    if card["warnings"]:
        lines += ["", "## Know before training", "", *(f"- {_cell(warning)}" for warning in card["warnings"])]
    for name, (what, many) in TABLES.items():
        if card[name]:
            lines += ["", f"| {what} | {many} |", "|---|---:|"]
            lines += [f"| {_cell(key)} | {number:,} |" for key, number in card[name].items()]
    lines += ["", "| Comic | Split | Pages | Panels |", "|---|---|---:|---:|"]
    lines += [
        f"| {_cell(comic['title'])} | {comic['split'].replace('_', ' ')} | {comic['pages']:,} | {comic['panels']:,} |"
        for comic in card["comics"]
    ]
    if card["comics_not_listed"]:
        lines += ["", f"… and {card['comics_not_listed']:,} more comics."]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A stranger's text as one plain cell: no markup, no line ends."""
    flat = " ".join(str(text).split())
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in flat)


def _shift(counter: Counter[Kind], kinds: Iterable[Kind], by: int) -> None:
    """Count up or down; what comes to nothing is not listed."""
    for kind in kinds:
        counter[kind] += by
        if not counter[kind]:
            del counter[kind]


def _without_quotes(reason: str) -> str:
    before, mark, rest = reason.partition("“")
    return f"{before}…{_without_quotes(rest.partition('”')[2])}" if mark else reason
