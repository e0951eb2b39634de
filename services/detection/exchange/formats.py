"""Which format a file of panels has, told by how it begins."""

from pathlib import Path

from services.detection.exchange.coco import CocoFile
from services.detection.exchange.page_files import KumikoPages, ResearchPages
from services.detection.exchange.stated import StatedFile
from shared.errors import Reject
from shared.files.json_elements import elements

EXPECTED = "expected COCO, Kumiko's JSON, or a list of pages with `canonical_id` and `detections`"


def opened(file: Path, *, name: str) -> StatedFile:
    """The file as its format reads it; `name` is what it is called towards its owner. `Reject` when it has none."""
    try:
        part, first = next(elements(file, ("", "images", "annotations", "categories")), ("none", None))
    except Reject as error:
        raise Reject(f"{name} is no whole JSON file; {EXPECTED}") from error
    if part == "none":
        raise Reject(f"{name} holds no pages; {EXPECTED}")
    if part:
        return CocoFile(file, name=name)
    if isinstance(first, dict) and "canonical_id" in first:
        return ResearchPages(file, name=name)
    if isinstance(first, dict) and "filename" in first:
        return KumikoPages(file, name=name)
    raise Reject(f"{name} is no file of panels that is known here; {EXPECTED}")
