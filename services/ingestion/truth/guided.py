"""Readium Guided Navigation: `guided.json`, a tree of objects that point at parts of page images.

Source: https://readium.org/guided-navigation/ (draft)
"""

import json
from typing import Any

from services.ingestion.truth.fragments import has_region, region, split_reference
from services.ingestion.truth.pages import PageNames, Told, Truths, TruthText, Warnings, whole_page
from shared.files.documents import LARGEST, BadDocument, decoded

DEEPEST = 32
MOST_OBJECTS = 200_000


def is_guided(data: bytes) -> bool:
    """Whether a JSON document is a guided navigation document, at a glance."""
    return len(data) <= LARGEST and b'"guided"' in data and b'"imgref"' in data


def read_guided(data: bytes, names: PageNames, *, name: str) -> Truths:
    """Panels and texts of every page that the document `name` speaks of."""
    warnings = Warnings(name)
    truths = Truths()
    try:
        if len(data) > LARGEST:
            raise BadDocument(f"is larger than {LARGEST >> 20} MB")
        document = json.loads(decoded(data))
    except BadDocument as error:
        warnings.say(f"it {error}; nothing of it is used")
    except (ValueError, RecursionError):
        warnings.say("it is not well-formed JSON; nothing of it is used")
    else:
        listed = document.get("guided") if isinstance(document, dict) else None
        if not isinstance(listed, list):
            warnings.say("it has no list `guided`; nothing of it is used")
            listed = []
        reader = _Reader(names, name, warnings)
        for entry in listed:
            reader.read(entry, depth=0, told=None, panel=None)
        for told in reader.told.values():
            truths.believe(told, form="guided", warnings=warnings)
    truths.warnings = warnings.all()
    return truths


class _Reader:
    """Walks the tree; what is inside of a panel belongs to it."""

    def __init__(self, names: PageNames, name: str, warnings: Warnings) -> None:
        self._names, self._name, self._warnings = names, name, warnings
        self._left = MOST_OBJECTS
        self.told: dict[int, Told] = {}

    def read(self, entry: Any, *, depth: int, told: Told | None, panel: int | None) -> None:
        """One object of the tree on the page and in the panel that it lies in, if it lies in one."""
        self._left -= 1
        if not isinstance(entry, dict) or depth > DEEPEST or self._left < 0:
            self._warnings.say("something in it is no guided navigation object, or lies too deep, and is left out")
            return
        roles, box = _roles(entry), None
        reference = entry.get("imgref")
        if isinstance(reference, str):
            file, fragment = split_reference(reference)
            place = self._names.find(file, document=self._name)
            if place is None:
                self._warnings.say("panels are told of a page that is not in the comic")
                return
            here = self.told.setdefault(place.number, Told(place))
            panel = panel if here is told else None
            told = here
            if has_region(fragment):
                box = region(fragment, width=place.width, height=place.height)
                if "panel" in roles or (panel is None and not roles):
                    told.panels.append(box)
                    panel, box = len(told.panels) - 1, None
                elif box is None:
                    self._warnings.say(f"a part of page {place.number + 1} cannot be read and is left out")
            elif "panel" in roles:
                told.panels.append(whole_page(place))
                panel = len(told.panels) - 1
        text = _text(entry)
        if text and told is not None and (box is not None or panel is not None):
            told.texts.append(TruthText(text, box, panel))
        inside = entry.get("children")
        for child in inside if isinstance(inside, list) else []:
            self.read(child, depth=depth + 1, told=told, panel=panel)


def _roles(entry: dict[str, Any]) -> list[str]:
    stated = entry.get("role")
    return [role for role in (stated if isinstance(stated, list) else [stated]) if isinstance(role, str)]


def _text(entry: dict[str, Any]) -> str:
    """The words of an object: a string, or the plain form of one."""
    stated = entry.get("text")
    if isinstance(stated, dict):
        stated = stated.get("plain")
    return " ".join(stated.split()) if isinstance(stated, str) else ""
