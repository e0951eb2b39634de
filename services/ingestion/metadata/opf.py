"""Package documents: an EPUB's own, 2 or 3, and the `metadata.opf` that Calibre writes beside each book."""

import re
from xml.etree.ElementTree import Element

from services.ingestion.metadata.drafts import Draft, issue_number, plain_text, shown
from shared.domain.metadata import MetadataRecord, Origin
from shared.files.documents import BadDocument, attribute, child, children, local, parse_xml, words

# MARC relators that comics use; others are kept as they are written.
ROLES = {
    "aut": "writer", "cre": "writer", "ill": "illustrator", "art": "artist", "clr": "colorist", "col": "colorist",
    "ink": "inker", "pnc": "penciller", "ltr": "letterer", "cov": "cover artist", "edt": "editor", "trl": "translator",
    "ctb": "contributor", "aui": "introduction", "aft": "afterword",
}  # fmt: skip
# The program or the person that made the file has no part in the comic.
NO_PART = frozenset({"bkp", "mrk", "pbl", "prg", "mfr"})
NOBODY = frozenset({"unknown", "unbekannt", "inconnu", "desconocido", "sconosciuto", "онбекенд"})
URN = re.compile(r"(?i)^(?:urn:)?([a-z][a-z0-9_-]{1,30}):(?!//)(.+)$")
WRITING_MODES = {"horizontal-rl": "rtl", "vertical-rl": "rtl", "horizontal-lr": "ltr"}


def read_opf(data: bytes, *, origin: Origin = "epub", name: str = "package document") -> MetadataRecord:
    """What a package document says; what is wrong with it is a warning, never an error."""
    draft = Draft(origin, name=name)
    try:
        root = parse_xml(data)
    except BadDocument as error:
        draft.warn(f"it {error}; nothing of it is used")
        return draft.record()
    metadata = child(root, "metadata")
    if local(root.tag) != "package" or metadata is None:
        draft.warn("it is no package document; nothing of it is used")
        return draft.record()
    # EPUB 2 of old wraps the statements once more.
    stated = [*metadata, *(inner for part in ("dc-metadata", "x-metadata") for inner in child(metadata, part) or ())]
    package = _Package(stated)
    _titles(draft, package)
    _series(draft, package)
    _people(draft, package)
    _rest(draft, package)
    _direction(draft, root, package)
    if origin == "calibre":
        draft.say("source", "Calibre")
    return draft.record()


class _Package:
    """The statements of a package document, and what refines them."""

    def __init__(self, stated: list[Element]) -> None:
        self._stated = stated
        self._refinements: dict[str, dict[str, str]] = {}
        self.named: dict[str, str] = {}
        """EPUB 2 and Calibre: `<meta name content>`."""
        for meta in self.all("meta"):
            if attribute(meta, "name"):
                self.named.setdefault(attribute(meta, "name").lower(), attribute(meta, "content"))
            elif target := attribute(meta, "refines").removeprefix("#"):
                self._refinements.setdefault(target, {}).setdefault(attribute(meta, "property"), words(meta))

    def all(self, name: str) -> list[Element]:
        """Every statement called `name`."""
        return [element for element in self._stated if local(element.tag) == name]

    def properties(self, name: str) -> list[Element]:
        """EPUB 3: every `<meta property=name>` that refines nothing."""
        return [m for m in self.all("meta") if attribute(m, "property") == name and not attribute(m, "refines")]

    def refined(self, element: Element, name: str) -> str:
        """A refinement of a statement (EPUB 3), or its attribute of that name (EPUB 2)."""
        return self._refinements.get(attribute(element, "id"), {}).get(name, "") or attribute(element, name)


def _titles(draft: Draft, package: _Package) -> None:
    titles = [title for title in package.all("title") if words(title)]
    main = [title for title in titles if package.refined(title, "title-type") in ("main", "")]
    for title in (main or titles)[:1]:
        draft.say("title", words(title))


def _series(draft: Draft, package: _Package) -> None:
    series, number = package.named.get("calibre:series", ""), package.named.get("calibre:series_index", "")
    for collection in package.properties("belongs-to-collection"):
        if not series and package.refined(collection, "collection-type") in ("series", ""):
            series, number = words(collection), package.refined(collection, "group-position")
    if series:  # Calibre writes an index of 1.0 also where there is no series
        draft.say("series", series)
        draft.say("number", issue_number(number), called="number in the series")


def _people(draft: Draft, package: _Package) -> None:
    for kind, usual in (("creator", "writer"), ("contributor", "contributor")):
        for person in package.all(kind):
            name, code = words(person), package.refined(person, "role").lower()
            if name and name.casefold() not in NOBODY and code not in NO_PART:
                draft.credit(ROLES.get(code, code or usual), [name], called=kind)


def _rest(draft: Draft, package: _Package) -> None:
    for field in ("publisher", "language"):
        for element in package.all(field)[:1]:
            draft.say(field, words(element))
    for description in package.all("description")[:1]:
        draft.say("summary", plain_text("".join(description.itertext())), called="description")
    draft.say("tags", [words(subject) for subject in package.all("subject") if words(subject)], called="subjects")
    dates = package.all("date")
    published = [date for date in dates if attribute(date, "event") == "publication"]
    for date in (published or [date for date in dates if attribute(date, "event") != "modification"])[:1]:
        draft.say_date(words(date))
    for identifier in package.all("identifier"):
        value, scheme = words(identifier), attribute(identifier, "scheme").lower()
        parts = URN.match(value)
        if parts is not None and scheme in ("", parts[1].lower()):
            scheme, value = parts[1].lower(), parts[2]
        draft.add("identifiers", scheme or "identifier", value)


def _direction(draft: Draft, root: Element, package: _Package) -> None:
    for spine in children(root, "spine"):
        stated = attribute(spine, "page-progression-direction").lower()
        if stated in ("ltr", "rtl"):
            draft.say("direction", stated)
        elif stated not in ("", "default"):
            draft.warn(f"page-progression-direction {shown(stated)} is none there is")
    draft.say("direction", WRITING_MODES.get(package.named.get("primary-writing-mode", "").lower()))
