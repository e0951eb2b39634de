"""A record while it is read: each statement is checked by itself, and what is wrong becomes a warning."""

import html
import re
from collections.abc import Iterable, Sized
from typing import Any

from pydantic import ValidationError

from shared.domain.metadata import LONGEST_NUMBER, MOST_ENTRIES, Metadata, MetadataRecord, Origin, spoken

MOST_WARNINGS = 50
SHOWN = 60
# No comic is older than print, and a library's program writes 101 where it does not know.
FIRST_YEAR, LAST_YEAR = 1500, 2100
UNKNOWN_YEARS = (0, 1, 101, 9999)
INTEGER = re.compile(r"[+-]?\d{1,9}")
DATE = re.compile(r"(\d{1,4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?(?![\d-])")


class Draft:
    """Statements of one record; `record()` is what could be believed of them."""

    def __init__(self, origin: Origin, *, name: str = "") -> None:
        self.origin: Origin = origin
        self._name = name
        self._fields: dict[str, Any] = {}
        self._entries: dict[str, dict[str, Any]] = {}
        self._warnings: dict[str, None] = {}

    def warn(self, text: str) -> None:
        """Note what was wrong, once."""
        self._warnings.setdefault(spoken(f"{self._name}: {text}" if self._name else text))

    def has(self, field: str) -> bool:
        """Whether the field has been stated."""
        return field in self._fields

    def say(self, field: str, value: Any, *, called: str | None = None) -> None:
        """State a field unless it has been; one that breaks the contract is left out with a warning.

        `called` is the name the record itself has for it.
        """
        value = _spoken(value)
        if value in (None, "", []) or field in self._fields:
            return
        stated = self._checked(field, value, of=value, called=called or field)
        if stated is not None:
            self._fields[field] = stated

    def add(self, field: str, key: str, text: str, *, called: str | None = None) -> None:
        """State one entry of `identifiers` or `other` unless it has been; those beyond `MOST_ENTRIES` are left out."""
        key, text = _spoken(key), _spoken(text)
        entries = self._entries.setdefault(field, {})
        if text and key not in entries and self._room(entries, of=field):
            entries.update(self._checked(field, {key: text}, of=text, called=called or key) or {})

    def credit(self, role: str, names: Iterable[str], *, called: str | None = None) -> None:
        """State people of a role; those of a role stated twice are joined, those beyond `MOST_ENTRIES` left out."""
        role, roles = _spoken(role), self._entries.setdefault("people", {})
        for name in map(_spoken, names):
            known = roles.get(role, [])
            if not name or name in known:
                continue
            if not self._room(known or roles, of=called or role):
                break
            stated = self._checked("people", {role: [name]}, of=name, called=called or role)
            if stated is not None:
                roles[role] = [*known, *stated[role]]

    def say_year(self, value: int | None, *, called: str = "year") -> None:
        """State a year that can be one."""
        if value is None or value in UNKNOWN_YEARS:
            return
        if not FIRST_YEAR <= value <= LAST_YEAR:
            self.warn(f"{called} {value} is left out: no comic is of that year")
            return
        self.say("year", value, called=called)

    def say_date(self, text: str, *, called: str = "date") -> None:
        """State year, month and day of a text that begins with an ISO date, or with part of one."""
        found = DATE.match(text.strip())
        if found is None:
            if text.strip():
                self.warn(f"{called} {shown(text)} is left out: it is no date")
            return
        year, month, day = (int(part) if part else None for part in found.groups())
        self.say_year(year, called=called)
        if self.has("year") and self._fields["year"] == year:
            self.say("month", month)
            self.say("day", day if self.has("month") else None)

    def record(self) -> MetadataRecord:
        """What is believed, and the warnings, of which only the first are kept."""
        warnings = list(self._warnings)
        if len(warnings) > MOST_WARNINGS:
            warnings = [*warnings[:MOST_WARNINGS], f"and {len(warnings) - MOST_WARNINGS} more"]
        fields = Metadata(**self._fields, **self._entries)
        return MetadataRecord(origin=self.origin, fields=fields, warnings=warnings)

    def _checked(self, field: str, value: Any, *, of: object, called: str) -> Any:
        """A statement as the contract has it; None, with a warning that shows `of`, when it breaks the contract."""
        try:
            return getattr(Metadata.model_validate({field: value}), field)
        except ValidationError as error:
            self.warn(f"{called} {shown(of)} is left out: {_reason(error)}")
            return None

    def _room(self, entries: Sized, *, of: str) -> bool:
        """Whether one more entry may be taken; a warning when not."""
        if len(entries) >= MOST_ENTRIES:
            self.warn(f"{of}: there are more than {MOST_ENTRIES}; the rest is left out")
        return len(entries) < MOST_ENTRIES


def integer(text: str) -> int | None:
    """A whole number as XML Schema writes one; None for anything else."""
    return int(text) if INTEGER.fullmatch(text.strip()) else None


def listed(text: str) -> list[str]:
    """Names between commas, without empty ones."""
    return distinct(text.split(","))


def distinct(texts: Iterable[str]) -> list[str]:
    """Texts in order, white space tidied, each once, without empty ones."""
    return list(dict.fromkeys(tidy for tidy in (" ".join(text.split()) for text in texts) if tidy))


def issue_number(text: str) -> str:
    """A number within a series without what only sorts it: `012` and `12.0` are 12, `012a` is 12a, `12.50` is 12.5."""
    text = text.strip()
    # The pattern takes the square of its time over a long text of zeros, which is no number anyway.
    parts = re.fullmatch(r"(-?)0*(\d+)(?:\.(\d+))?(\D.*)?", text) if len(text) <= LONGEST_NUMBER else None
    if parts is None:
        return text
    sign, whole, part, rest = parts.groups(default="")
    part = part.rstrip("0")
    return sign + whole + (f".{part}" if part else "") + rest


def plain_text(markup: str) -> str:
    """A description without its HTML: paragraphs become lines."""
    text = re.sub(r"(?i)<\s*(br|/p|/div|/li)\b[^<>]*>", "\n", markup[:100_000])
    text = html.unescape(re.sub(r"<[^<>]*>", "", text))
    return "\n".join(line for line in (" ".join(line.split()) for line in text.splitlines()) if line)


def shown(value: object) -> str:
    """A value of a stranger, short enough to repeat."""
    text = " ".join(str(value).split())
    return f"“{text}”" if len(text) <= SHOWN else f"“{text[: SHOWN - 1]}…”"


def _spoken(value: Any) -> Any:
    """A value with all texts in it tidied; names that are listed twice are listed once."""
    match value:
        case str():
            return spoken(value).strip()
        case list():
            return list(dict.fromkeys(text for text in map(_spoken, value) if text))
        case _:
            return value


def _reason(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    match found["type"]:
        case "string_too_long":
            return f"it is longer than {found['ctx']['max_length']} characters"
        case "too_long":
            return f"it lists more than {found['ctx']['max_length']}"
        case "string_pattern_mismatch":
            return "it is no language code" if found["loc"] == ("language",) else "it is no address of the web"
        case _:
            return str(found["msg"]).replace("Input should", "it should")
