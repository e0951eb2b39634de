"""EPUB Region-Based Navigation: a `nav` of type region-based lists parts of pages as links.

Source: EPUB Region-Based Navigation 1.0, https://idpf.org/epub/renditions/region-nav/
"""

from xml.etree.ElementTree import Element

from services.ingestion.truth.fragments import has_region, region, split_reference
from services.ingestion.truth.pages import PageNames, Told, Truths, TruthText, Warnings, whole_page
from shared.files.documents import BadDocument, attribute, children, descendants, local, parse_xml, words

PANEL = {"panel", ""}
TEXTS = {"balloon", "text-area"}
GROUPS = {"panel-group"}


def has_regions(data: bytes) -> bool:
    """Whether a document may be one with regions, at a glance."""
    return b"region-based" in data or b"r\0e\0g\0i\0o\0n\0-\0b\0a\0s\0e\0d" in data


def read_regions(data: bytes, names: PageNames, *, name: str) -> Truths:
    """Panels of every page that the navigation document `name` lists regions of, and the places of texts."""
    warnings = Warnings(name)
    truths = Truths()
    reader = _Reader(names, name, warnings)
    try:
        root = parse_xml(data)
    except BadDocument as error:
        warnings.say(f"it {error}; nothing of it is used")
    else:
        for nav in descendants(root, "nav"):
            if "region-based" in attribute(nav, "type").split():
                reader.read(nav, panel=None, told=None, kind="")
        for told in reader.told.values():
            truths.believe(told, form="epub", warnings=warnings)
    truths.warnings = warnings.all()
    return truths


class _Reader:
    """Walks the lists; a list inside of an entry tells of parts of it."""

    def __init__(self, names: PageNames, name: str, warnings: Warnings) -> None:
        self._names, self._name, self._warnings = names, name, warnings
        self.told: dict[int, Told] = {}

    def read(self, element: Element, *, panel: int | None, told: Told | None, kind: str) -> None:
        """The entries of every list in `element`, which lies in a panel of a page if it lies in one."""
        for listed in children(element, "ol"):
            for entry in children(listed, "li"):
                inside, page = panel, told
                for link, type_ in _links(entry, kind):
                    inside, page = self._link(link, type_, panel=inside, told=page)
                self.read(entry, panel=inside, told=page, kind="balloon" if inside is not None else "")

    def _link(
        self, link: Element, kind: str, *, panel: int | None, told: Told | None
    ) -> tuple[int | None, Told | None]:
        file, fragment = split_reference(attribute(link, "href"))
        place = self._names.find(file, document=self._name)
        if place is None:
            self._warnings.say("regions are told of a page that is not in the comic")
            return panel, told
        here = self.told.setdefault(place.number, Told(place))
        panel = panel if here is told else None
        if has_region(fragment):
            box = region(fragment, width=place.width, height=place.height)
        elif kind == "panel":
            box = whole_page(place)
        else:
            return None, here
        if kind in GROUPS:
            return None, here
        if kind in TEXTS:
            if box is None:
                self._warnings.say(f"a region of page {place.number + 1} cannot be read and is left out")
            else:
                here.texts.append(TruthText(words(link), box, panel))
        elif kind in PANEL:
            here.panels.append(box)
            panel = len(here.panels) - 1
        return panel, here


def _links(entry: Element, usual: str) -> list[tuple[Element, str]]:
    """Links of one entry with what they are: its own, or those in the span that stands for several."""
    found = []
    for holder in entry:
        if local(holder.tag) == "a":
            found.append((holder, _kind(holder) or _kind(entry) or usual))
        elif local(holder.tag) == "span":
            found += [(link, _kind(link) or _kind(holder) or usual) for link in children(holder, "a")]
    return found


def _kind(element: Element) -> str:
    """What a region is called; empty when the document does not say."""
    known = (kind for kind in attribute(element, "type").split() if kind in PANEL | TEXTS | GROUPS)
    return next(known, attribute(element, "type").partition(" ")[0])
