"""Pages that the detector is measured on: made ones by class, annotated ones by comic."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from services.training.generators.made import MadePage
from services.training.generators.material import LABELS
from services.training.generators.pages import make_page
from shared.domain.pictures import Picture, decode
from shared.domain.reading_order import layout_kind
from shared.domain.schema import OBJECT_LABELS, Box, DetectedObject, Direction, ObjectLabel
from shared.errors import Reject

TRUTH = Path(__file__).parents[1] / "truth"
# Comics that no training sees; `pepper-carrot-pages`, also annotated, is training material and never measured on.
REAL = ("pepper-carrot-ep17", "pepper-carrot-ep03", "page-blanche", "torinome-vertical")
TRAINED_ON = "pepper-carrot-pages"
# Training draws seeds below 2**48 and measures itself from 2**50 on.
FIRST_SEED, CALIBRATION_SEED = 2**49, 2**49 + 2**40
LONG_SIDE = 900
MANNERS = {"album": "western colour", "american": "american", "manga": "manga", "strip": "strips", "webtoon": "strips"}
CLASSES = ("western colour", "american", "manga", "strips", "spreads", "covers and splashes", "no panels")
SPREAD = 1.05  # width over height


@dataclass(frozen=True)
class EvalPage:
    """A page with its truth. `labels` are the classes annotated on it, `ordered` says that `panels` are as read."""

    set: str
    name: str
    kind: str
    width: int
    height: int
    direction: Direction
    panels: list[Box]
    objects: list[DetectedObject]
    labels: frozenset[ObjectLabel]
    ordered: bool
    load: Callable[[], Picture]

    @property
    def truth(self) -> list[DetectedObject]:
        """Everything a detector should find on it."""
        return [*(DetectedObject(label="panel", box=box, score=1.0) for box in self.panels), *self.objects]


def made_pages(
    each: int, *, first: int = FIRST_SEED, classes: tuple[str, ...] = CLASSES, long_side: int = LONG_SIDE
) -> list[EvalPage]:
    """The first `each` made pages of every class from seed `first` on, in the order of `classes`."""
    found: dict[str, list[EvalPage]] = {kind: [] for kind in classes}
    seed = first
    while any(len(pages) < each for pages in found.values()):
        page = make_page(seed, long_side=long_side)
        kind = class_of(page)
        if len(found.get(kind, [None] * each)) < each:
            found[kind].append(_made(page, name=f"{kind.replace(' ', '-')}-{seed - first}", kind=kind))
        seed += 1
    return [page for pages in found.values() for page in pages]


def class_of(page: MadePage) -> str:
    """One of CLASSES by what the page shows, then by its shape, then by the manner of its drawing."""
    if page.truth.kind == "none":
        return "no panels"
    if page.truth.kind == "splash":
        return "covers and splashes"
    if page.truth.width > SPREAD * page.truth.height:
        return "spreads"
    return MANNERS[page.manner]


def _made(page: MadePage, *, name: str, kind: str) -> EvalPage:
    picture = np.asarray(page.image)
    return EvalPage(
        set="made",
        name=name,
        kind=kind,
        width=page.truth.width,
        height=page.truth.height,
        direction=page.truth.direction,
        panels=[o.box for o in page.truth.panels],
        objects=list(page.truth.objects),
        labels=frozenset(OBJECT_LABELS),
        ordered=True,
        load=lambda: picture,
    )


def real_pages(samples: Path) -> list[EvalPage]:
    """Pages of the comics of REAL that are at `samples`."""
    pages: list[EvalPage] = []
    for name in REAL:
        folder = samples / name
        truth = TRUTH / f"{name}.json"
        if folder.is_dir():
            pages += annotated(truth if truth.is_file() else folder / "ground_truth_coco.json", folder, name=name)
    return pages


def annotated(coco: Path, folder: Path, *, name: str) -> list[EvalPage]:
    """The pages of a COCO file; Reject names it when it cannot be read or its pictures are not in `folder`.

    Categories count by name, or, where they have other names, by the numbers of CoMix (panel 1, character 2, text 4,
    face 7). `page_class`, `direction` of images and `reading_order` of panels are ours, and optional.
    """
    try:
        pages = list(_pages(json.loads(coco.read_text()), folder, name=name))
    except OSError as error:
        raise Reject(f"{coco.name} cannot be opened: {error.strerror}") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise Reject(f"{coco.name} is no COCO file with images and annotations: {error!r}") from error
    missing = [page.name for page in pages if not (folder / page.name).is_file()]
    if missing:
        raise Reject(f"{coco.name} names pictures that are not in {folder.name}: {', '.join(missing[:5])}")
    return pages


def _pages(coco: dict[str, Any], folder: Path, *, name: str) -> Iterator[EvalPage]:
    labels = _labels(coco)
    annotations: dict[Any, list[dict[str, Any]]] = {image["id"]: [] for image in coco["images"]}
    for mark in coco["annotations"]:
        if mark["category_id"] in labels:
            annotations[mark["image_id"]].append(mark)
    present = frozenset(labels[mark["category_id"]] for marks in annotations.values() for mark in marks)
    for image in coco["images"]:
        marks = annotations[image["id"]]
        panels = [mark for mark in marks if labels[mark["category_id"]] == "panel"]
        ordered = all("reading_order" in mark for mark in panels)
        if ordered:
            panels.sort(key=lambda mark: mark["reading_order"])
        boxes = [Box(*mark["bbox"]) for mark in panels]
        direction = Direction(image.get("direction", "ltr"))
        file = folder / Path(image["file_name"]).name
        yield EvalPage(
            set=name,
            name=file.name,
            kind=image.get("page_class") or _class_of(boxes, direction, width=image["width"], height=image["height"]),
            width=image["width"],
            height=image["height"],
            direction=direction,
            panels=boxes,
            objects=[
                DetectedObject(label=labels[mark["category_id"]], box=Box(*mark["bbox"]), score=1.0)
                for mark in marks
                if labels[mark["category_id"]] != "panel"
            ],
            labels=present | {"panel"},
            ordered=ordered,
            load=partial(_read, file, width=image["width"], height=image["height"]),
        )


def _labels(coco: dict[str, Any]) -> dict[Any, ObjectLabel]:
    names = {label: label for label in OBJECT_LABELS}
    named = {c["id"]: names[c["name"].lower()] for c in coco.get("categories", []) if c["name"].lower() in names}
    return named if "panel" in named.values() else dict(LABELS)


def _class_of(panels: list[Box], direction: Direction, *, width: int, height: int) -> str:
    kind = layout_kind(panels, width=width, height=height)
    if kind == "none":
        return "no panels"
    if kind == "splash":
        return "cover"
    return "story" if direction is Direction.LTR else "story, right to left"


def _read(file: Path, *, width: int, height: int) -> Picture:
    image = decode(file.read_bytes(), name=file.name)
    if image.shape[:2] != (height, width):
        raise Reject(f"{file.name} is {image.shape[1]} × {image.shape[0]} pixels, not {width} × {height} as annotated")
    return image
