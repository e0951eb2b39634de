"""ComicInfo.xml 1.0, 2.0 and 2.1, checked against tables of our own that say what the schemas say.

Source: the schemas of the Anansi project; page types are a list there, and `Story` its default says nothing: a page
without the attribute has no label.
"""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from xml.etree.ElementTree import Element

from services.ingestion.metadata.drafts import Draft, integer, listed, shown
from shared.domain.metadata import MetadataRecord, PageLabel
from shared.files.documents import BadDocument, attribute, local, parse_xml

TEXTS = {
    "Title": "title", "Series": "series", "Number": "number", "Summary": "summary", "Publisher": "publisher",
    "Imprint": "imprint", "Web": "web", "LanguageISO": "language",
}  # fmt: skip
PEOPLE = {
    "Writer": "writer", "Penciller": "penciller", "Inker": "inker", "Colorist": "colorist", "Letterer": "letterer",
    "CoverArtist": "cover artist", "Editor": "editor", "Translator": "translator",
}  # fmt: skip
LISTS = {"Genre": "genres", "Tags": "tags", "Characters": "characters"}
NUMBERS = {"Count": "count", "Volume": "volume", "Month": "month", "Day": "day"}
# Kept by their own names: nothing in the house asks for them, and a user's record should not lose them.
OTHER_TEXTS = (
    "AlternateSeries", "AlternateNumber", "Notes", "Format", "Teams", "Locations", "ScanInformation", "StoryArc",
    "StoryArcNumber", "SeriesGroup", "MainCharacterOrTeam", "Review",
)  # fmt: skip
OTHER_NUMBERS = ("AlternateCount",)
ENUMERATIONS = {
    "BlackAndWhite": ("Unknown", "No", "Yes"),
    "Manga": ("Unknown", "No", "Yes", "YesAndRightToLeft"),
    "AgeRating": (
        "Unknown", "Adults Only 18+", "Early Childhood", "Everyone", "Everyone 10+", "G", "Kids to Adults", "M",
        "MA15+", "Mature 17+", "PG", "R18+", "Rating Pending", "Teen", "X18+",
    ),
}  # fmt: skip
ELEMENTS = frozenset(
    (*TEXTS, *PEOPLE, *LISTS, *NUMBERS, *OTHER_TEXTS, *OTHER_NUMBERS, *ENUMERATIONS, "Year", "PageCount",
     "CommunityRating", "GTIN", "Pages")
)  # fmt: skip
# Deleted is no label: such a page is skipped.
PAGE_TYPES: dict[str, PageLabel | None] = {
    "FrontCover": "cover", "InnerCover": "inner_cover", "Roundup": "text", "Story": "story",
    "Advertisement": "advertisement", "Editorial": "text", "Letters": "text", "Preview": "advertisement",
    "BackCover": "back_cover", "Other": "other", "Deleted": None,
}  # fmt: skip
PAGE_INTEGERS = ("Image", "ImageSize", "ImageWidth", "ImageHeight")
PAGE_ATTRIBUTES = frozenset((*PAGE_INTEGERS, "Type", "DoublePage", "Key", "Bookmark"))
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
RATING = re.compile(r"\+?\d(\.\d*)?")
# xs:long of a page's size in bytes may be longer than what we count with.
LONG = re.compile(r"[+-]?\d{1,19}")


@dataclass(frozen=True)
class ComicInfo:
    """One document: the record, and what it says about pages, by their 0-based number."""

    record: MetadataRecord
    labels: dict[int, PageLabel] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    spreads: set[int] = field(default_factory=set)


def read_comicinfo(data: bytes, *, pages: int, name: str = "ComicInfo.xml") -> ComicInfo:
    """What a ComicInfo.xml of a comic of `pages` pages says; what is wrong with it is a warning, never an error."""
    draft = Draft("comicinfo", name=name)
    try:
        root = parse_xml(data)
    except BadDocument as error:
        draft.warn(f"it {error}; nothing of it is used")
        return ComicInfo(draft.record())
    if local(root.tag) != "ComicInfo":
        draft.warn(f"its root is {shown(local(root.tag))}, not ComicInfo; nothing of it is used")
        return ComicInfo(draft.record())
    found = ComicInfo(draft.record())
    seen: set[str] = set()
    for element in root:
        tag = local(element.tag)
        if not tag:
            continue
        if tag not in ELEMENTS:
            draft.warn(f"{shown(tag)} is no element of ComicInfo 1.0 to 2.1")
        elif tag in seen:
            draft.warn(f"{tag} stands there more than once; the first counts")
        elif tag == "Pages":
            _pages(draft, found, element, count=pages)
        else:
            _statement(draft, tag, (element.text or "").strip(), pages=pages)
        seen.add(tag)
    return ComicInfo(draft.record(), found.labels, found.deleted, found.spreads)


def _statement(draft: Draft, tag: str, text: str, *, pages: int) -> None:
    if not text:
        return
    if tag in TEXTS:
        draft.say(TEXTS[tag], text, called=tag)
    elif tag in PEOPLE:
        draft.credit(PEOPLE[tag], listed(text), called=tag)
    elif tag in LISTS:
        draft.say(LISTS[tag], listed(text), called=tag)
    elif tag in OTHER_TEXTS:
        draft.add("other", tag, text, called=tag)
    elif tag in ENUMERATIONS:
        _choice(draft, tag, text)
    elif tag == "GTIN":
        draft.add("identifiers", "gtin", text, called=tag)
    elif tag == "CommunityRating":
        _rating(draft, text)
    else:
        _number(draft, tag, text, pages=pages)


def _number(draft: Draft, tag: str, text: str, *, pages: int) -> None:
    value = integer(text)
    if value is None:
        draft.warn(f"{tag} {shown(text)} is left out: it is no whole number")
    elif value == -1:
        return  # the schema's way to say nothing
    elif tag == "Year":
        draft.say_year(value, called=tag)
    elif tag in NUMBERS:
        draft.say(NUMBERS[tag], value, called=tag)
    elif tag in OTHER_NUMBERS:
        draft.add("other", tag, str(value), called=tag)
    elif tag == "PageCount" and value not in (0, pages):
        draft.warn(f"PageCount says {value}, but there are {pages} pages")


def _choice(draft: Draft, tag: str, text: str) -> None:
    value = next((known for known in ENUMERATIONS[tag] if known.casefold() == text.casefold()), None)
    if value is None:
        draft.warn(f"{tag} {shown(text)} is left out: it is none of the values there are")
    elif value == "Unknown":
        return
    elif tag == "Manga":
        draft.say("direction", "rtl" if value == "YesAndRightToLeft" else None)
        draft.add("other", tag, value)
    elif tag == "AgeRating":
        draft.say("rating", value)
    else:
        draft.add("other", tag, value)


def _rating(draft: Draft, text: str) -> None:
    if RATING.fullmatch(text) and Decimal(text) <= 5:
        draft.add("other", "CommunityRating", text)
    else:
        draft.warn(f"CommunityRating {shown(text)} is left out: it is no number from 0 to 5")


def _pages(draft: Draft, found: ComicInfo, element: Element, *, count: int) -> None:
    seen: set[int] = set()
    for page in element:
        if not local(page.tag):
            continue
        if local(page.tag) != "Page":
            draft.warn(f"{shown(local(page.tag))} stands among the pages and is none")
            continue
        for unknown in sorted({local(key) for key in page.attrib} - PAGE_ATTRIBUTES - {"nil"}):
            draft.warn(f"{shown(unknown)} is no attribute of a page")
        written = attribute(page, "Image")
        number = integer(written)
        if number is None or not 0 <= number < count:
            draft.warn(f"a page has Image {shown(written)}, but pages count from 0 to {count - 1}")
            continue
        if number in seen:
            draft.warn(f"page {number} stands there more than once; the first counts")
            continue
        seen.add(number)
        _page(draft, found, page, number)


def _page(draft: Draft, found: ComicInfo, page: Element, number: int) -> None:
    for name in PAGE_INTEGERS:
        if (text := attribute(page, name)) and not LONG.fullmatch(text):
            draft.warn(f"page {number} has {name} {shown(text)}, which is no whole number")
    double = attribute(page, "DoublePage").lower()
    if double and double not in BOOLEANS:
        draft.warn(f"page {number} has DoublePage {shown(double)}, which is neither true nor false")
    if BOOLEANS.get(double):
        found.spreads.add(number)
    for kind in attribute(page, "Type").split():
        if kind not in PAGE_TYPES:
            draft.warn(f"page {number} has Type {shown(kind)}, which is no type of page")
            continue
        label = PAGE_TYPES[kind]
        if label is None:
            found.deleted.add(number)
        else:
            found.labels.setdefault(number, label)
