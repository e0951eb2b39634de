"""Narrowing the library: by words of title and series, by source, by collection."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

import sqlalchemy as sa

from shared.store.db import Row
from shared.store.shelves import ON_SHELF, shelf_names, shelf_parameters

NOWHERE = " "  # chosen instead of a collection: in none. No collection is called so, names have no space at their ends

# Every word somewhere in what a card says a comic is.
NARROWED = f"""{ON_SHELF} AND NOT EXISTS (SELECT FROM unnest(CAST(:words AS text[])) word
    WHERE position(lower(word) IN lower(concat_ws(' ', c.title, c.series, c.number))) = 0)"""


@dataclass(frozen=True, kw_only=True)
class Narrowing:
    """What somebody narrowed the library to; an empty text narrows nothing."""

    title: str = ""
    source: str = ""
    collection: str = ""

    def __bool__(self) -> bool:
        return bool(self.title or self.source or self.collection)

    @property
    def sources(self) -> list[str]:
        """Sources a comic may be from; none: any."""
        return [self.source] if self.source else []

    @property
    def collections(self) -> list[str]:
        """Collections a comic may stand in; none: any."""
        return [self.collection.strip()] if self.collection else []

    def parameters(self) -> dict[str, Any]:
        """What `NARROWED` is told."""
        return {"words": self.title.split(), **shelf_parameters(self.sources, self.collections)}

    def address(self, *, before: int | None = None) -> str:
        """The screen that shows these comics, or those below the id `before`."""
        said = {"title": self.title, "source": self.source, "collection": self.collection, "before": before}
        asked = urlencode({name: value for name, value in said.items() if value})
        return f"/ui/?{asked}" if asked else "/ui/"

    def twin(self) -> str:
        """The same shelves in JSON, where a title is one text and no words."""
        asked = [("source", name) for name in self.sources] + [("collection", name) for name in self.collections]
        return f"/comics?{urlencode(asked)}" if asked else "/comics"


@dataclass(frozen=True)
class Choice:
    """One to choose: what is sent for it, what it is called, and how many comics it admits."""

    value: str
    name: str
    comics: int


Choices = dict[Literal["source", "collection"], list[Choice]]


def choices(connection: sa.Connection, narrowing: Narrowing) -> Choices:
    """The sources and collections by name, each counted among what the other one admits; none where nothing differs."""
    sources = shelf_names(connection, "source", collections=narrowing.collections)
    collections = shelf_names(connection, "collection", sources=narrowing.sources)
    return {
        "source": _choices(sources, chosen=narrowing.source),
        "collection": _choices(collections, chosen=narrowing.collection),
    }


def _choices(found: Sequence[Row], *, chosen: str) -> list[Choice]:
    made = [Choice(one["name"] or NOWHERE, one["name"] or "In no collection", one["comics"]) for one in found]
    if chosen and chosen not in (choice.value for choice in made):
        made.append(Choice(chosen, chosen, 0))
    if len(made) < 2 and not chosen:
        return []
    return sorted(made, key=lambda choice: (choice.value == NOWHERE, choice.name.lower()))
