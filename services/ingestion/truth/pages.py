"""What a comic's own files state about its pages, checked: panels in the stated order, texts and where they stand."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Literal
from urllib.parse import unquote

from shared.domain.geometry import clip, iou
from shared.domain.metadata import spoken
from shared.domain.schema import Box

Form = Literal["acbf", "guided", "epub"]
# No page has more; files that say so lie, and are not cut down to something that looks true.
MOST_PANELS = 200
MOST_TEXTS = 1000
LONGEST_TEXT = 10_000
MOST_WARNINGS = 50
FARTHEST = 1e7  # pixels; beyond it nobody means a place on a page
WHOLE = 0.97  # share of both sides from which a frame is the whole page
SAME = 0.95  # overlap from which a frame is another one told again
SMALLEST = 0.0005  # share of the page


@dataclass(frozen=True)
class PagePlace:
    """A page as the container has it. `targets`: names by which its files speak of the page; sizes None: unreadable."""

    number: int
    targets: tuple[str, ...]
    width: int | None
    height: int | None


@dataclass(frozen=True)
class TruthText:
    """A text of a page. `box` None: the file says only which panel it belongs to; `text` empty: only where it is."""

    text: str
    box: Box | None
    panel: int | None = None
    """Index into the page's panels, where the file says so."""


@dataclass(frozen=True)
class PageTruth:
    """Panels and texts of one page in page pixels, in the order the file states."""

    form: Form
    panels: list[Box]
    texts: list[TruthText]


@dataclass
class Told:
    """What one document says about one page before it is checked. Boxes may lie anywhere; None is no place at all."""

    place: PagePlace
    panels: list[Box | None] = field(default_factory=list)
    texts: list[TruthText] = field(default_factory=list)


@dataclass
class Truths:
    """What was read of one document, by page number, and what was wrong with it."""

    pages: dict[int, PageTruth] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def believe(self, told: "Told", *, form: Form, warnings: "Warnings") -> None:
        """Take what holds of what a document says about a page; of a page that it tells of twice, the first counts."""
        found = checked(told, form=form, warnings=warnings)
        if found is not None:
            self.pages.setdefault(told.place.number, found)


class Warnings:
    """Warnings of one document: each once, and no more than somebody would read."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._texts: dict[str, None] = {}

    def say(self, text: str) -> None:
        """Note what was wrong."""
        self._texts.setdefault(spoken(f"{self._name}: {text}"))

    def all(self) -> list[str]:
        """The first of them, and how many more there are."""
        texts = list(self._texts)
        more = [f"{self._name}: and {len(texts) - MOST_WARNINGS} more"] if len(texts) > MOST_WARNINGS else []
        return texts[:MOST_WARNINGS] + more


class PageNames:
    """Finds the page that a reference of a document means."""

    def __init__(self, places: Iterable[PagePlace]) -> None:
        self._whole: dict[str, PagePlace] = {}
        self._last: dict[str, PagePlace | None] = {}
        self._folders: set[str] = set()
        for place in places:
            for target in place.targets:
                name = normpath(target).casefold()
                self._whole.setdefault(name, place)
                self._folders.add(PurePosixPath(name).parent.as_posix())
                last = PurePosixPath(name).name
                known = self._last.setdefault(last, place)
                if known is not place:
                    self._last[last] = None  # two folders have one of that name: it tells nothing

    def find(self, reference: str, *, document: str) -> PagePlace | None:
        """The page that `reference` (without its fragment) means in a document of that name; None when there is none.

        References are relative to the document. Where nothing lies there, a name that only one page has will do, unless
        a folder is named and the pages lie in several.
        """
        name = unquote(reference).replace("\\", "/").strip().casefold()
        if not name or len(name) > 2000:
            return None
        inside = normpath(str(PurePosixPath(document.casefold()).parent / name)) if not name.startswith("/") else name
        found = self._whole.get(inside.lstrip("/")) or self._whole.get(normpath(name).lstrip("/"))
        if found is None and ("/" not in name or len(self._folders) == 1):
            found = self._last.get(PurePosixPath(name).name)
        return found


def whole_page(place: PagePlace) -> Box | None:
    """The box that a page is; None of an unreadable one."""
    return None if place.width is None or place.height is None else Box(0.0, 0.0, place.width, place.height)


def checked(told: Told, *, form: Form, warnings: Warnings) -> PageTruth | None:
    """What can be believed of what a document says about a page; None when nothing is left."""
    place = told.place
    page = f"page {place.number + 1}"
    if place.width is None or place.height is None:
        warnings.say(f"{page} cannot be read; what is said about it is left out")
        return None
    if len(told.panels) > MOST_PANELS or len(told.texts) > MOST_TEXTS:
        warnings.say(f"{page} has {len(told.panels)} panels and {len(told.texts)} texts; all are left out")
        return None
    boxes = [_on_page(box, place.width, place.height) for box in told.panels]
    whole = [box is not None and _is_whole(box, place.width, place.height) for box in boxes]
    parts = any(box is not None and not is_whole for box, is_whole in zip(boxes, whole, strict=True))
    kept: list[Box] = []
    position: dict[int, int] = {}  # of the panel as it was told -> among those kept
    for k, box in enumerate(boxes):
        if box is None:
            warnings.say(f"a panel on {page} is no place on it and is left out")
        elif whole[k] and parts:
            warnings.say(f"a panel on {page} is the whole page beside others and is left out")
        else:
            again = next((n for n, other in enumerate(kept) if _same(box, other)), None)
            if again is not None:
                warnings.say(f"a panel on {page} is told twice; the first counts")
            position[k] = len(kept) if again is None else again
            kept += [box] if again is None else []
    texts = [
        text
        for text in (_text(one, position, place.width, place.height, page, warnings) for one in told.texts)
        if text is not None
    ]
    return PageTruth(form, kept, texts) if kept or texts else None


def _text(
    told: TruthText, position: dict[int, int], width: int, height: int, page: str, warnings: Warnings
) -> TruthText | None:
    box = None if told.box is None else _on_page(told.box, width, height)
    panel = None if told.panel is None else position.get(told.panel)
    if box is None and (told.box is not None or panel is None):
        warnings.say(f"a text on {page} has no place on it and is left out")
        return None
    if len(told.text) > LONGEST_TEXT:
        warnings.say(f"a text on {page} is longer than {LONGEST_TEXT} characters and is left out")
        return None
    return TruthText(spoken(told.text), box, panel)


def _on_page(box: Box | None, width: int, height: int) -> Box | None:
    """The part of a box on the page; None when it is no honest box, or hardly on it."""
    if box is None or not all(math.isfinite(side) and abs(side) <= FARTHEST for side in box):
        return None
    inside = clip(box, width, height)
    return inside if inside.w >= 2 and inside.h >= 2 and inside.area >= SMALLEST * width * height else None


def _same(box: Box, other: Box) -> bool:
    """Whether two boxes overlap by `SAME`; those whose corners lie apart, nearly all, are told at a glance."""
    near = abs(box.x - other.x) <= 0.1 * box.w and abs(box.y - other.y) <= 0.1 * box.h
    return near and iou(box, other) >= SAME


def _is_whole(box: Box, width: int, height: int) -> bool:
    return box.w >= WHOLE * width and box.h >= WHOLE * height


def around(points: Sequence[tuple[float, float]]) -> Box | None:
    """The box around a polygon; None when there are no two points."""
    if len(points) < 2:
        return None
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
