"""Commands about what comics are: `comics edit`."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from services.asking import ClientOf, Command
from services.wrong_calls import WrongCall, checked, flag
from shared.domain.metadata import MetadataChanges
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.http.client import Client

# A word for the value of each field, and what it is: of one value, of several, of several each with its key.
FIELDS = {
    "title": ("TITLE", "what the comic is called"),
    "series": ("SERIES", "the series it belongs to"),
    "number": ("N", "its number in the series: 12, 12.5, ½"),
    "volume": ("N", "its volume"),
    "year": ("YEAR", "when it came out"),
    "language": ("CODE", "of its lettering: en, ja, pt-br"),
    "publisher": ("NAME", "who brought it out"),
    "direction": ("WAY", "which way it is read: ltr or rtl; its panels are ordered anew"),
    "source": ("NAME", "where it is from"),
    "collection": ("NAME", "the shelf it stands on"),
    "count": ("N", "issues of the series in all"),
    "month": ("N", "when it came out"),
    "day": ("N", "when it came out"),
    "imprint": ("NAME", "who brought it out, within the publisher"),
    "summary": ("TEXT", "what it tells"),
    "rating": ("TEXT", "from which age on"),
    "web": ("ADDRESS", "where to read about it"),
}
LISTS = {
    "genres": ("NAME", "a genre"),
    "tags": ("NAME", "a tag"),
    "characters": ("NAME", "somebody in it"),
}
KEYED = {
    "people": ("ROLE=NAME", "somebody who made it: writer=Alan Moore"),
    "identifiers": ("SCHEME=VALUE", "what somebody lists it under: isbn=9781401207922"),
    "other": ("NAME=TEXT", "anything else"),
}


def add_metadata_commands(command: Command, client_of: ClientOf) -> None:
    """Put these commands into the parser; `client_of` gives a client for the settings."""

    def run(chosen: argparse.Namespace, configured: Settings) -> int:
        changes = _changes(chosen)
        with client_of(configured) as client:
            return _edit(client, chosen.comic, changes)

    edit = command("edit", run, "say what a comic is, or show what is said about it and by whom")
    edit.add_argument("comic", type=int, metavar="ID", help="a comic's number")
    for name, (metavar, text) in FIELDS.items():
        edit.add_argument(flag(name), metavar=metavar, help=text)
    for name, (metavar, text) in {**LISTS, **KEYED}.items():
        edit.add_argument(
            flag(name), action="append", metavar=metavar, help=f"{text} (repeatable; in place of all that were stated)"
        )
    edit.add_argument(
        "--forget", action="append", choices=tuple(MetadataChanges.model_fields), default=[], metavar="FIELD",
        help="take back what was said of a field, so that the comic's own records speak (repeatable)",
    )  # fmt: skip


def _shown(value: object) -> Iterator[str]:
    """A value in lines: one of one value or a list, one for each key; none where nothing is stated."""
    if isinstance(value, dict):
        yield from (f"{key}: {', '.join(one) if isinstance(one, list) else one}" for key, one in value.items())
    elif isinstance(value, list):
        yield from [", ".join(value)] if value else []
    elif value not in (None, ""):
        yield str(value)


def _changes(chosen: argparse.Namespace) -> dict[str, Any]:
    """The fields to send, checked here so that a wrong one is told by its option."""
    given = ((name, getattr(chosen, name)) for name in MetadataChanges.model_fields)
    said = {name: _keyed(name, value) if name in KEYED else value for name, value in given if value is not None}
    both = next((name for name in chosen.forget if name in said), None)
    if both is not None:
        raise WrongCall(f"`{flag(both)}` and `--forget {both}` contradict each other; give one of them")
    return {
        **checked(MetadataChanges, said).model_dump(exclude_unset=True),
        **dict.fromkeys(chosen.forget),
    }


def _keyed(name: str, stated: list[str]) -> dict[str, Any]:
    """Values by their keys; of people several by each."""
    found: dict[str, Any] = {}
    for one in stated:
        key, sign, value = one.partition("=")
        if not sign:
            raise WrongCall(f"`{flag(name)}`: must be {KEYED[name][0]}, not {one}")
        if name == "people":
            found.setdefault(key, []).append(value)
        else:
            found[key] = value
    return found


def _edit(client: "Client", comic_id: int, changes: dict[str, Any]) -> int:
    comic = client.edit(comic_id, **changes) if changes else client.comic(comic_id)
    about = client.metadata(comic_id)
    for name in (*FIELDS, *LISTS, *KEYED):
        value = getattr(comic, name, None) or getattr(about.merged, name)
        for line in _shown(value):
            print(f"{name:11} {line}  ({about.origins.get(name, 'by default')})")
    for record in about.records:
        for warning in record.warnings:
            print(f"{record.origin}: {warning}")
    for place in about.files:
        print(f"lies in {place}")
    return 0
