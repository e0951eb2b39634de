"""DataSpec v0.3, the research format of one JSON file a page: written exactly, read in all the shapes it was written.

What v0.3 cannot say (verdicts, speakers, hashes) travels under one more key that its loaders ignore. On the way back
that key counts only while the v0.3 fields still say what it says; else somebody has edited them, and they count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from pydantic import ValidationError

from shared.domain.dataspec import DataSpec, PieceOfText, SpecPanel
from shared.domain.geometry import clip
from shared.domain.reading_order import reading_order
from shared.domain.schema import Box, Direction, TextKind

EXTENSION = "dataspec_1_0"
IMAGE_KEYS = ("page_image_path", "image_path", "image", "IMAGE_PATH")
BOX_KEYS = ("panel_coords", "bbox", "box", "rect", "polygon", "segmentation")
BUCKETS: dict[str, TextKind] = {"dialogue": "dialogue", "thought": "thought", "narration": "narration", "sfx": "sound"}
MOST_PANELS = 100  # no page has more; the reading order of a thousand boxes takes for ever
NORMALISED = 1.1  # coordinates up to this are shares of the page, as the research loader takes them
OVERHANG = 1.02  # boxes may reach this far over the page before their reading as [x, y, w, h] is doubted
NOT_VERIFIED = "imported; nobody has verified whose text this is"


class Unusable(Exception):
    """A file that cannot become a page; the text is the reason."""


@dataclass(frozen=True, kw_only=True)
class OldPage:
    """What a v0.3 file says, before its image is seen. `boxes` are raw, see `panels_of`."""

    image_path: str
    book: str | None
    name: str | None
    panels: list[Mapping[str, Any]]
    extension: DataSpec | None
    warnings: list[str] = field(default_factory=list)


def old_page(page: DataSpec, *, image_path: str, relative_path: str) -> dict[str, Any]:
    """A page as v0.3: `image_path` is what its loader opens, `relative_path` the page's place among its book's."""
    return {
        "page_id": f"{page.comic.key}/{page.number:04d}",
        "page_image_path": image_path,
        "source_book": page.comic.title,
        "source_rel_image_path": relative_path,
        "page_size": [page.width, page.height],
        "reading_order": [f"{k}→{k + 1}" for k in range(len(page.panels) - 1)],
        "characters": [],
        "faces": [],
        "texts": [],
        "panels": [_old_panel(panel) for panel in page.panels],
        EXTENSION: page.model_dump(mode="json"),
    }


def _old_panel(panel: SpecPanel) -> dict[str, Any]:
    text: dict[str, list[str]] = {"dialogue": [], "narration": [], "sfx": []}
    for piece in panel.literal:
        # As the research code sorts them: a caption is narration, a sound is a sound, all else is said.
        text[{"narration": "narration", "sound": "sfx"}.get(piece.kind, "dialogue")].append(piece.text)
    return {"panel_coords": [round(side) for side in panel.box], "text": text, "confidence": panel.score}


def read_old_page(content: Any) -> OldPage:
    """Take a v0.3 file apart. `Unusable` when it has no image or no list of panels."""
    if not isinstance(content, Mapping):
        raise Unusable("is no JSON object")
    image = next((content[key] for key in IMAGE_KEYS if isinstance(content.get(key), str) and content[key]), None)
    if image is None:
        raise Unusable(f"names no image ({', '.join(IMAGE_KEYS)})")
    panels = content.get("panels")
    if not isinstance(panels, list) or not all(isinstance(panel, Mapping) for panel in panels):
        raise Unusable("has no list of panels")
    if len(panels) > MOST_PANELS:
        raise Unusable(f"has more than {MOST_PANELS} panels")
    warnings: list[str] = []
    extension = _extension(content, warnings)
    book = content.get("source_book")
    name = content.get("source_rel_image_path")
    return OldPage(
        image_path=image,
        book=book if isinstance(book, str) and book.strip() else None,
        name=name if isinstance(name, str) and name.strip() else None,
        panels=panels,
        extension=extension,
        warnings=warnings,
    )


def panels_of(page: OldPage, *, width: int, height: int) -> tuple[list[SpecPanel], list[str]]:
    """A page's panels in reading order on an image of `width` × `height`, and what is doubtful about them.

    `Unusable` when a panel has no box that can be understood: leaving one out would shift all text behind it.
    """
    warnings: list[str] = []
    panels = []
    for k, panel in enumerate(page.panels, start=1):
        doubts: list[str] = []
        box = _box_of(panel, width=width, height=height, doubts=doubts)
        if box is None:
            raise Unusable(f"has no usable box for panel {k}")
        warnings += [f"panel {k}: {doubt}" for doubt in doubts]
        score = panel.get("confidence", 1.0)
        usable = isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1
        panels.append(
            SpecPanel(
                box=box,
                score=float(score) if usable else 1.0,
                literal=_pieces(panel.get("text")),
                reason=NOT_VERIFIED,
            )
        )
    order = reading_order([panel.box for panel in panels], direction=Direction.LTR)
    return [panels[k] for k in order], warnings


def _extension(content: Mapping[str, Any], warnings: list[str]) -> DataSpec | None:
    """What we wrote ourselves into the file, if the file still says the same."""
    if EXTENSION not in content:
        return None
    try:
        page: DataSpec | None = DataSpec.model_validate(content[EXTENSION])
    except ValidationError:
        page = None
    if page is None or not all(isfinite(side) for panel in page.panels for side in panel.box):
        warnings.append(f"its {EXTENSION} part is no DataSpec 1.0; the v0.3 fields are taken")
        return None
    written = old_page(page, image_path="", relative_path="")
    if all(content.get(key) == written[key] for key in ("panels", "page_size", "page_id")):
        return page
    warnings.append(f"was edited after its export; the v0.3 fields are taken, not its {EXTENSION} part")
    return None


def _box_of(panel: Mapping[str, Any], *, width: int, height: int, doubts: list[str]) -> Box | None:
    key = next((key for key in BOX_KEYS if panel.get(key) is not None), None)
    if key is None:
        return None
    numbers = _numbers(panel[key])
    if key in ("polygon", "segmentation"):
        if len(numbers) < 6 or len(numbers) % 2:
            return None
        xs, ys = numbers[::2], numbers[1::2]
        numbers = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
        doubts.append(f"the box around its {key} is taken")
    if len(numbers) != 4:
        return None
    if all(0 <= number <= NORMALISED for number in numbers):
        doubts.append("coordinates up to 1.1 are taken for shares of the page")
        numbers = [number * side for number, side in zip(numbers, (width, height, width, height), strict=True)]
    box = Box(*numbers)
    if box.right > OVERHANG * width or box.bottom > OVERHANG * height:
        corners = Box(box.x, box.y, box.w - box.x, box.h - box.y)
        if corners.w <= 0 or corners.h <= 0 or box.w > OVERHANG * width or box.h > OVERHANG * height:
            return None
        doubts.append("as [x, y, w, h] it leaves the page; it is taken for [x1, y1, x2, y2]")
        box = corners
    inside = clip(box, width, height)
    if inside != box:
        doubts.append("it is cut off at the page's edge")
    return inside if inside.area > 0 else None


def _numbers(raw: Any) -> list[float]:
    """The finite numbers of a (nested) list; empty when anything else is in it."""
    if isinstance(raw, Sequence) and len(raw) == 1 and isinstance(raw[0], Sequence) and not isinstance(raw[0], str):
        raw = raw[0]  # COCO's segmentation is a list of polygons
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        return []
    flat: list[Any] = []
    for item in raw:
        flat += item if isinstance(item, list | tuple) else [item]
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e7 for n in flat):
        return []
    return [float(n) for n in flat]


def _pieces(text: Any) -> list[PieceOfText]:
    """Text as a string, a list or the buckets of v0.3; what it cannot be is nothing."""
    sorted_: Mapping[str, Any] = text if isinstance(text, Mapping) else {"other": text}
    pieces = []
    for bucket, found in sorted_.items():
        for piece in [found] if isinstance(found, str) else found if isinstance(found, list) else []:
            if isinstance(piece, str) and piece.strip():
                kind: TextKind = BUCKETS.get(bucket, "other")
                pieces.append(PieceOfText(kind=kind, text=piece, source="import", confidence=0.0))
    return pieces
