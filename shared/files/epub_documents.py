"""What the documents of an EPUB say: which package, which spine, which files a document shows, what is encrypted."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Literal
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from shared.domain.page_order import is_page_name
from shared.files.documents import BadDocument, attribute, decoded, descendants, local, parse_xml

DOCUMENT_TYPES = (
    "application/xhtml+xml",
    "text/html",
    "image/svg+xml",
    "application/x-dtbook+xml",
    "text/x-oeb1-document",
)
DOCUMENT_SUFFIXES = (".xhtml", ".html", ".htm", ".svg", ".xml")
ABOUT_PROPERTIES = {"nav", "data-nav"}
GUIDED_NAVIGATION = "application/guided-navigation+json"
# Embedded fonts may be scrambled so that they are of no use elsewhere; that protects no page.
FONT_SCRAMBLING = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
SHOWING = {"img": "src", "image": "href", "object": "data", "embed": "src"}
MOST_FALLBACKS = 8  # one after the other; they may lead in a circle
# A broken document is searched with patterns of bounded length: html.parser takes minutes for a hostile one.
_TAG = re.compile(r"<(?:[A-Za-z]{1,20}:)?(?:img|image)\s([^<>]{1,4000})")
_SOURCE = re.compile(r"(?:^|[\s:])(?:src|href)\s{0,9}=\s{0,9}(?:\"([^\"]*)\"|'([^']*)')")
_MARKUP = re.compile(r"<(?:style|script)\b[^<>]*>[^<]*|<[^<>]*>")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the book by its whole name in the container."""

    name: str
    media_type: str = ""

    @property
    def kind(self) -> Literal["image", "document", "other"]:
        """What it is by its declared type, else by its name."""
        suffix = posixpath.splitext(self.name)[1].lower()
        if self.media_type in DOCUMENT_TYPES or (not self.media_type and suffix in DOCUMENT_SUFFIXES):
            return "document"
        if self.media_type.startswith("image/") or is_page_name(self.name):
            return "image"
        return "document" if suffix in DOCUMENT_SUFFIXES else "other"


@dataclass(frozen=True, slots=True)
class Package:
    """The spine in reading order, all items by name, and the documents that speak about the pages."""

    spine: list[Item] = field(default_factory=list)
    items: dict[str, Item] = field(default_factory=dict)
    about: list[str] = field(default_factory=list)


def package_name(container: bytes) -> str:
    """The package document that META-INF/container.xml names. Raises `BadDocument`."""
    for rootfile in descendants(parse_xml(container), "rootfile"):
        name = resolved(attribute(rootfile, "full-path"), base="")
        if name:
            return name
    raise BadDocument("names no package document")


def parse_package(data: bytes, *, name: str) -> Package:
    """Manifest and spine of the package document called `name`. Raises `BadDocument`."""
    root = parse_xml(data)
    by_id: dict[str, tuple[Item, str]] = {}
    about: list[str] = []
    for element in descendants(root, "item"):
        target = resolved(attribute(element, "href"), base=name)
        if not target:
            continue
        item = Item(target, attribute(element, "media-type").lower())
        by_id.setdefault(attribute(element, "id"), (item, attribute(element, "fallback")))
        if ABOUT_PROPERTIES & set(attribute(element, "properties").split()) or item.media_type == GUIDED_NAVIGATION:
            about.append(target)
    for element in descendants(root, "link"):
        guides = any(word.endswith("guided-navigation") for word in attribute(element, "rel").split())
        target = resolved(attribute(element, "href"), base=name)
        if target and (guides or attribute(element, "media-type") == GUIDED_NAVIGATION):
            about.append(target)
    spine = [_usable(attribute(element, "idref"), by_id) for element in descendants(root, "itemref")]
    items = {item.name: item for item, _ in by_id.values()}
    return Package([item for item in spine if item is not None], items, about)


def _usable(key: str, by_id: Mapping[str, tuple[Item, str]]) -> Item | None:
    """The first of an item and its fallbacks that can show something."""
    for _ in range(MOST_FALLBACKS):
        if key not in by_id:
            break
        item, key = by_id[key]
        if item.kind != "other":
            return item
    return None


def shown_files(data: bytes, *, name: str) -> list[str]:
    """Whole names of the pictures and drawings that the document called `name` shows, in its order."""
    try:
        sources = list(_sources(parse_xml(data)))
    except BadDocument:
        sources = _loose_sources(data)
    found = (resolved(source, base=name) for source in sources)
    return [target for target in found if target]


def letters(data: bytes) -> int:
    """How many letters the text of a document has, about: without white space, tags, styles and scripts."""
    return len("".join(_MARKUP.sub(" ", _text(data)).split()))


def _sources(root: Element) -> Iterator[str]:
    for element in root.iter():
        key = SHOWING.get(local(element.tag))
        if key is not None:
            yield attribute(element, key)


def _loose_sources(data: bytes) -> list[str]:
    first, *others = _text(data).split("<!--")
    uncommented = first + "".join(other.partition("-->")[2] for other in others)
    tags = (_SOURCE.search(attributes) for attributes in _TAG.findall(uncommented))
    return [unescape(tag[1] or tag[2] or "") for tag in tags if tag]


def _text(data: bytes) -> str:
    try:
        return decoded(data)
    except BadDocument:
        return data.decode("latin-1")


def resolved(reference: str, *, base: str) -> str | None:
    """The whole name that a relative reference in the file `base` means; None for what lies outside of the book."""
    path = reference.partition("#")[0].partition("?")[0]
    if not path or _SCHEME.match(path):
        return None
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(path))).lstrip("/")
    return None if joined in ("", ".", "..") or joined.startswith("../") else joined


def encrypts_content(data: bytes) -> bool:
    """Whether META-INF/encryption.xml speaks of more than scrambled fonts; so it does when it cannot be read."""
    try:
        root = parse_xml(data)
    except BadDocument:
        return True
    methods = [attribute(element, "Algorithm") for element in descendants(root, "EncryptionMethod")]
    return len(descendants(root, "EncryptedData")) > len(methods) or any(
        method not in FONT_SCRAMBLING for method in methods
    )
