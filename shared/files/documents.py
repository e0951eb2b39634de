"""XML of strangers: no entities, nothing external, bounded in size, depth and elements; in any honest encoding."""

import codecs
import re
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from shared.errors import Reject

LARGEST = 4 << 20
DEEPEST = 64
MOST_ELEMENTS = 200_000
UTF8_BOM = codecs.BOM_UTF8
UTF16_SIGNS = (
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0?\0", "utf-16-le"), (b"\0<\0?", "utf-16-be"),
)  # fmt: skip
_DECLARED = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,300}\?>")
# What XML 1.0 forbids even escaped; summaries pasted from elsewhere have them.
_FORBIDDEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class BadDocument(Reject):
    """A document that cannot be read; the text says why and does not repeat the document's name."""


class _Bounded(TreeBuilder):
    """A tree that refuses to grow too deep or too wide, while it grows."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = self._elements = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._depth += 1
        self._elements += 1
        if self._depth > DEEPEST:
            raise BadDocument(f"is nested deeper than {DEEPEST} elements")
        if self._elements > MOST_ELEMENTS:
            raise BadDocument(f"has more than {MOST_ELEMENTS:,} elements")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def parse_xml(data: bytes) -> Element:
    """The root of a document. Raises `BadDocument` for what is too large, not XML, or defines entities."""
    if len(data) > LARGEST:
        raise BadDocument(f"is larger than {LARGEST >> 20} MB")
    # What is declared is often not what was written (.NET says utf-16 and writes utf-8), so the bytes decide.
    text = _DECLARATION.sub("", _FORBIDDEN.sub("", decoded(data)), count=1)
    parser = DefusedXMLParser(target=_Bounded(), encoding="utf-8", forbid_entities=True, forbid_external=True)
    try:
        parser.feed(text.encode())
        root = parser.close()
    except DefusedXmlException as error:
        raise BadDocument("defines entities or refers to other files, which is refused") from error
    except ParseError as error:
        line, column = error.position
        raise BadDocument(f"is not well-formed XML (line {line}, column {column + 1})") from error
    if root is None:
        raise BadDocument("is empty")
    return root


def decoded(data: bytes) -> str:
    """Text by its byte order mark or first bytes, else UTF-8, else by what it declares. Raises `BadDocument`."""
    sign = next((encoding for start, encoding in UTF16_SIGNS if data.startswith(start)), None)
    declared = _DECLARED.match(data[:400].removeprefix(UTF8_BOM))
    encodings = [sign] if sign else ["utf-8-sig", *([declared[1].decode("ascii")] if declared else [])]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    raise BadDocument("is written in an encoding that cannot be read")


def local(tag: object) -> str:
    """The name of an element or attribute without its namespace; empty for comments and instructions."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def children(element: Element | None, name: str) -> list[Element]:
    """Direct children called `name` in any namespace; none of nothing."""
    return [] if element is None else [found for found in element if local(found.tag) == name]


def child(element: Element | None, name: str) -> Element | None:
    """The first of them."""
    return next(iter(children(element, name)), None)


def descendants(element: Element, name: str) -> list[Element]:
    """Every element called `name` below, in document order."""
    return [found for found in element.iter() if local(found.tag) == name]


def words(element: Element | None) -> str:
    """All text of an element, runs of white space as one space."""
    return "" if element is None else " ".join("".join(element.itertext()).split())


def attribute(element: Element, name: str) -> str:
    """An attribute in any namespace, stripped; empty when absent."""
    found = next((value for key, value in element.attrib.items() if local(key) == name), "")
    return found.strip()
