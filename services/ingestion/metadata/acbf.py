"""Advanced Comic Book Format: what its book-info and publish-info say. Its frames are read by `truth.acbf_frames`.

Source: ACBF 1.1, https://acbf.fandom.com/wiki/Advanced_Comic_Book_Format_Wiki
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from services.ingestion.metadata.drafts import Draft, integer, issue_number, listed, shown
from shared.domain.languages import language_code
from shared.domain.metadata import MetadataRecord
from shared.files.documents import BadDocument, attribute, child, children, local, parse_xml, words

ROLES = {"": "writer", "coverartist": "cover artist", "assistanteditor": "assistant editor"}
DIRECTIONS = {"ltr": "ltr", "rtl": "rtl"}


def read_acbf(data: bytes, *, name: str = "ACBF document") -> MetadataRecord:
    """What an ACBF document says about its comic; what is wrong with it is a warning, never an error."""
    draft = Draft("acbf", name=name)
    try:
        root = parse_xml(data)
    except BadDocument as error:
        draft.warn(f"it {error}; nothing of it is used")
        return draft.record()
    about = child(root, "meta-data")
    book = child(about, "book-info")
    if local(root.tag) != "ACBF" or book is None:
        draft.warn("it has no book-info; nothing of it is used")
        return draft.record()
    language = own_language(root)
    _book(draft, book, language)
    _published(draft, child(about, "publish-info"))
    draft.say("language", language)
    return draft.record()


def own_language(root: Element) -> str | None:
    """The language that is drawn into the pictures, else the first that the document names; None when none is."""
    layers = children(child(child(child(root, "meta-data"), "book-info"), "languages"), "text-layer")
    layers = [layer for layer in layers if attribute(layer, "lang")]
    drawn = [layer for layer in layers if attribute(layer, "show").lower() == "false"]
    return next((attribute(layer, "lang") for layer in (*drawn, *layers)), None)


def in_language(elements: Sequence[Element], language: str | None) -> Element | None:
    """The one of several versions in a language; else the one without any, else the first."""
    wanted = language_code(language) if language else None
    codes = [language_code(attribute(element, "lang")) for element in elements]
    for acceptable in (wanted, None):
        if acceptable in codes:
            return elements[codes.index(acceptable)]
    return next(iter(elements), None)


def _book(draft: Draft, book: Element, language: str | None) -> None:
    draft.say("title", words(in_language(children(book, "book-title"), language)), called="book-title")
    for author in children(book, "author"):
        role = attribute(author, "activity").lower()
        draft.credit(ROLES.get(role.replace(" ", ""), role), [_person(author)], called="author")
    draft.say("genres", [words(genre) for genre in children(book, "genre") if words(genre)])
    draft.say("characters", [words(found) for found in children(child(book, "characters"), "name") if words(found)])
    draft.say("tags", listed(words(in_language(children(book, "keywords"), language))), called="keywords")
    annotation = in_language(children(book, "annotation"), language)
    lines = [words(paragraph) for paragraph in children(annotation, "p")] or [words(annotation)]
    draft.say("summary", "\n".join(line for line in lines if line), called="annotation")
    for sequence in children(book, "sequence")[:1]:
        draft.say("series", attribute(sequence, "title"), called="sequence")
        draft.say("number", issue_number(words(sequence)), called="sequence")
        volume = attribute(sequence, "volume")
        if volume and integer(volume) is None:
            draft.warn(f"volume {shown(volume)} is left out: it is no whole number")
        draft.say("volume", integer(volume), called="volume")
    for rating in children(book, "content-rating")[:1]:
        draft.say("rating", words(rating), called="content-rating")
    for reference in children(book, "databaseref"):
        draft.add("identifiers", attribute(reference, "dbname").lower() or "database", words(reference))
    stated = words(child(book, "reading-direction")).lower()
    if stated and stated not in DIRECTIONS:
        draft.warn(f"reading-direction {shown(stated)} is none there is")
    draft.say("direction", DIRECTIONS.get(stated))


def _published(draft: Draft, published: Element | None) -> None:
    if published is None:
        return
    draft.say("publisher", words(child(published, "publisher")))
    draft.add("identifiers", "isbn", words(child(published, "isbn")))
    for date in children(published, "publish-date")[:1]:
        draft.say_date(attribute(date, "value") or words(date), called="publish-date")


def _person(author: Element) -> str:
    names = [words(child(author, part)) for part in ("first-name", "middle-name", "last-name")]
    return " ".join(name for name in names if name) or words(child(author, "nickname")) or words(author)
