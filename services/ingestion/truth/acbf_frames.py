"""Frames and text areas of an ACBF document: polygons in page pixels, texts in several languages."""

import re
from xml.etree.ElementTree import Element

from services.ingestion.metadata.acbf import in_language, own_language
from services.ingestion.truth.pages import (
    MOST_PANELS,
    PageNames,
    Told,
    Truths,
    TruthText,
    Warnings,
    around,
)
from shared.domain.schema import Box
from shared.files.documents import BadDocument, attribute, child, children, local, parse_xml, words

MOST_POINTS = 1000
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.\d{1,9})?")


def read_frames(data: bytes, names: PageNames, *, name: str) -> Truths:
    """Panels and texts of every page that the document `name` speaks of; texts in its own language."""
    warnings = Warnings(name)
    truths = Truths()
    try:
        root = parse_xml(data)
    except BadDocument:
        return truths  # whoever reads its metadata says so
    if local(root.tag) != "ACBF":
        return truths
    language = own_language(root)
    cover = child(child(child(root, "meta-data"), "book-info"), "coverpage")
    for page in [*([cover] if cover is not None else []), *children(child(root, "body"), "page")]:
        told = _page(page, names, language, name=name, warnings=warnings)
        if told is not None:
            truths.believe(told, form="acbf", warnings=warnings)
    truths.warnings = warnings.all()
    return truths


def _page(page: Element, names: PageNames, language: str | None, *, name: str, warnings: Warnings) -> Told | None:
    frames, layers = children(page, "frame"), children(page, "text-layer")
    if not frames and not layers:
        return None
    image = child(page, "image")
    reference = attribute(image, "href") if image is not None else ""
    place = names.find(reference.rpartition("!")[2].removeprefix("file://"), document=name)
    if place is None:
        warnings.say("panels are told of a page that is not in the comic")
        return None
    if len(frames) > MOST_PANELS:
        warnings.say(f"page {place.number + 1} has {len(frames)} frames; all are left out")
        return None
    layer = in_language(layers, language)
    return Told(
        place,
        [_box(attribute(frame, "points")) for frame in frames],
        [TruthText(_lines(area), _box(attribute(area, "points"))) for area in children(layer, "text-area")],
    )


def _box(points: str) -> Box | None:
    """The box around `x,y x,y …`; None when that is no polygon."""
    pairs = points.split()
    if not 2 <= len(pairs) <= MOST_POINTS:
        return None
    corners = []
    for pair in pairs:
        x, _, y = pair.partition(",")
        if not _NUMBER.fullmatch(x) or not _NUMBER.fullmatch(y):
            return None
        corners.append((float(x), float(y)))
    return around(corners)


def _lines(area: Element) -> str:
    paragraphs = [words(paragraph) for paragraph in children(area, "p")] or [words(area)]
    return "\n".join(line for line in paragraphs if line)
