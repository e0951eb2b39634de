"""What is said about one comic, as its screen shows it: each field with who says so, warnings, where its file lies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from shared.domain.metadata import ORIGINS, stated_direction
from shared.errors import NotFound
from shared.store.db import Row, row, rows

SPOKEN = {
    "person": "you", "command line": "the command line", "comicinfo": "ComicInfo", "calibre": "Calibre",
    "acbf": "ACBF", "epub": "EPUB", "folder": "its folder", "file name": "its file name",
}  # fmt: skip
WAYS = {"ltr": "left to right", "rtl": "right to left"}
EDITED = {
    "title": "Title", "series": "Series", "number": "Number", "volume": "Volume", "year": "Year",
    "publisher": "Publisher", "language": "Language", "direction": "Read", "source": "Source",
    "collection": "Collection",
}  # fmt: skip
TOLD = {
    "count": "Issues in all", "imprint": "Imprint", "genres": "Genres", "tags": "Tags", "characters": "Characters",
    "rating": "Rating", "web": "Web", "summary": "Summary",
}  # fmt: skip
PLACES = "SELECT location, aside FROM source_file WHERE comic_id = :id ORDER BY aside, seen_at, location LIMIT 50"
PANELS = "SELECT count(*) AS n FROM panel n JOIN page p ON p.layout_id = n.layout_id WHERE p.comic_id = :id"
KEPT = """
    SELECT o.id, o.title FROM comic_match t JOIN comic o ON o.id = t.a_id + t.b_id - :id
    WHERE :id IN (t.a_id, t.b_id) AND t.verdict = 'same' AND NOT o.hidden ORDER BY t.score DESC, o.id LIMIT 1"""


@dataclass(frozen=True, kw_only=True)
class Said:
    """One field: `value` as it is stored, None where nobody says anything, and who says so in words."""

    name: str
    label: str
    value: str | int | None
    origin: str | None = None
    shown: str | None = None
    link: bool = False

    @property
    def own(self) -> bool:
        """A person's word, which can be taken back."""
        return self.origin == SPOKEN["person"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the file was added from; `read`: pages are read from there, nothing was copied."""

    location: str
    aside: bool = False
    read: bool = False


@dataclass(frozen=True, kw_only=True)
class About:
    """All of it. `kept`: the comic of which this one is a hidden duplicate; `panels`: of its pages' active layouts."""

    edited: Sequence[Said]
    told: Sequence[Said]
    warnings: Sequence[tuple[str, str]]
    places: Sequence[Place]
    referenced: bool
    kept: Row | None
    panels: int


def about_comic(connection: sa.Connection, comic_id: int, *, usual: Literal["ltr", "rtl", "auto"]) -> About:
    """One comic's; `usual` is the reading direction where nothing says it. NotFound names the id."""
    comic = row(connection, "SELECT * FROM comic WHERE id = :id", id=comic_id)
    if comic is None:
        raise NotFound(f"There is no comic {comic_id}.")
    records = rows(connection, "SELECT origin, warnings FROM comic_metadata WHERE comic_id = :id", id=comic_id)
    panels = row(connection, PANELS, id=comic_id)
    return About(
        edited=[_edited(comic, name, usual) for name in EDITED],
        told=list(_told(comic["details"], comic["origins"])),
        warnings=[
            (SPOKEN[record["origin"]], warning)
            for record in sorted(records, key=lambda record: ORIGINS.index(record["origin"]))
            for warning in record["warnings"]
        ],
        places=list(_places(rows(connection, PLACES, id=comic_id), comic["reference"])),
        referenced=comic["reference"] is not None,
        kept=row(connection, KEPT, id=comic_id) if comic["hidden"] else None,
        panels=panels["n"] if panels else 0,
    )


def _edited(comic: Row, name: str, usual: Literal["ltr", "rtl", "auto"]) -> Said:
    origin = SPOKEN.get(comic["origins"].get(name))
    value, shown = comic[name], None
    if name == "direction":
        way = stated_direction(value, comic["language"], usual=usual)
        shown = WAYS[way or "ltr"]
        origin = origin or ("its language" if way and usual == "auto" else "the usual way")
    elif name == "title":
        origin = origin or SPOKEN["file name"]
    return Said(name=name, label=EDITED[name], value=None if value == "" else value, origin=origin, shown=shown)


def _told(details: Mapping[str, Any], origins: Mapping[str, str]) -> Iterator[Said]:
    """The fields that are shown and not edited here, those that are stated."""

    def said(field: str, label: str, value: object) -> Said:
        text = ", ".join(value) if isinstance(value, list) else str(value)
        link = field == "web" and text.startswith(("https://", "http://")) and " " not in text
        return Said(name=field, label=label, value=text, origin=SPOKEN.get(origins.get(field, "")), link=link)

    date = [details[part] for part in ("year", "month", "day") if part in details]
    if len(date) > 1 and "month" in details:
        yield said("month", "Date", "-".join(f"{part:02}" for part in date))
    for role, names in details.get("people", {}).items():
        yield said("people", role.capitalize(), names)
    for name, label in TOLD.items():
        if name in details:
            yield said(name, label, details[name])
    for field in ("identifiers", "other"):
        for name, value in details.get(field, {}).items():
            yield said(field, name, value)


def _places(found: Sequence[Row], reference: str | None) -> Iterator[Place]:
    for place in found:
        read = reference is not None and place["location"].endswith(f":{reference}")
        yield Place(location=place["location"], aside=place["aside"], read=read)
