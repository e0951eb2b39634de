"""Real drawn pages as material: their panels cut out, so that parts of them can fill made frames, and whole pages."""

import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from PIL import Image

from services.training.generators.made import MadePage, Mark
from services.training.generators.recolouring import as_line_art, recoloured
from shared.domain.geometry import clip, intersection
from shared.domain.reading_order import layout_kind
from shared.domain.schema import Box, DetectedObject, Direction, ObjectLabel, PagePanels

LABELS: dict[int, ObjectLabel] = {1: "panel", 2: "character", 4: "text", 7: "face"}
Labelled = tuple[ObjectLabel, Box]
Kept = TypeVar("Kept")
KEPT = 16
PANEL_SIDE = 720
PAGE_SIDE = 880
# The least share of an object that must be seen; of words in lines a part still reads as text.
SEEN: dict[ObjectLabel, float] = {"character": 1 / 3, "face": 1 / 3, "text": 0.12}
SHARPEST = 1.35  # a part is enlarged no further than this where its panel is large enough


@dataclass(frozen=True)
class Piece:
    """A part of a real panel with what is seen on it, boxes in its own pixels."""

    image: Image.Image
    objects: list[Labelled]


@dataclass(frozen=True)
class RealPage:
    """An annotated page: panels in reading order and the other objects, in pixels of the picture at `path`."""

    path: Path
    width: int
    height: int
    direction: Direction
    panels: list[Box]
    objects: list[Labelled]


@dataclass
class Material:
    """Annotated pages, decoded when they are needed; the last KEPT are kept, made small."""

    pages: list[RealPage]
    _panels: OrderedDict[int, list[Piece]] = field(default_factory=OrderedDict, repr=False)
    _whole: OrderedDict[int, Image.Image] = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        self._with_panels = [k for k, page in enumerate(self.pages) if _whole_panels(page)]

    @classmethod
    def load(cls, coco: Path, folder: Path) -> Self:
        """Reads a COCO file (categories panel 1, character 2, text 4, face 7) about the pictures of a folder.

        ValueError names the file when it is no such file or none of its pictures has a panel that can be cut out.
        """
        try:
            pages = list(_pages(json.loads(coco.read_text()), folder))
        except (json.JSONDecodeError, KeyError, TypeError) as broken:
            raise ValueError(f"{coco.name} is no COCO file with images and annotations: {broken!r}") from broken
        missing = [page.path.name for page in pages if not page.path.is_file()]
        if missing:
            raise ValueError(f"{coco.name} names pictures that are not in {folder.name}: {', '.join(missing[:5])}")
        if not any(_whole_panels(page) for page in pages):
            raise ValueError(f"{coco.name} has no panel to cut out: annotate category 1 boxes first")
        return cls(pages)

    def piece(self, rng: np.random.Generator, width: int, height: int, *, grey: bool = False) -> Piece:
        """A random part of a random panel as `width` × `height` pixels, recoloured, at times mirrored.

        `grey` makes it fit pages in black and white. What is cut by its edge stays, clipped, where a third of it can
        be seen, of words an eighth.
        """
        number = self._with_panels[int(rng.integers(len(self._with_panels)))]
        panels = _remembered(self._panels, number, lambda: _pieces(self.pages[number]))
        tried = [panels[int(k)] for k in rng.integers(len(panels), size=3)]
        shape = np.log(width / height)
        panel = min(tried, key=lambda p: abs(np.log(p.image.width / p.image.height) - shape))
        most = min(panel.image.width / width, panel.image.height / height)
        scale = max(most * float(rng.uniform(0.45, 1.0)), min(most, 1 / SHARPEST))
        w, h = width * scale, height * scale
        left = float(rng.uniform(0, max(0.0, panel.image.width - w)))
        top = float(rng.uniform(0, max(0.0, panel.image.height - h)))
        window = Box(left, top, w, h)
        image = panel.image.resize((width, height), Image.Resampling.BILINEAR, box=(left, top, left + w, top + h))
        objects = seen(panel.objects, window, across=width / w, down=height / h)
        if rng.random() < 0.5:
            image, objects = _mirrored(image, objects)
        return Piece(_repainted(rng, image, grey=grey), objects)

    def page(self, rng: np.random.Generator, long_side: int) -> MadePage:
        """A whole real page with its truth: margins cropped, slightly skewed, recoloured, at times mirrored."""
        number = int(rng.integers(len(self.pages)))
        real = self.pages[number]
        image = _remembered(self._whole, number, lambda: _picture(real.path))
        shrunk = image.width / real.width
        panels = [_moved(box, scale=shrunk) for box in real.panels]
        objects: list[Labelled] = [(label, _moved(box, scale=shrunk)) for label, box in real.objects]
        direction = real.direction
        if rng.random() < 0.5:
            mirrored, flipped = _mirrored(image, [*[("panel", box) for box in panels], *objects])
            if mirrored is not image:
                image, panels = mirrored, [box for label, box in flipped if label == "panel"]
                objects = [(label, box) for label, box in flipped if label != "panel"]
                direction = Direction.LTR if direction is Direction.RTL else Direction.RTL
        return _laid(rng, image, panels, objects, direction=direction, long_side=long_side)


def _remembered(kept: OrderedDict[int, Kept], number: int, make: Callable[[], Kept]) -> Kept:
    """What is kept of a page, made when it is not there; the page that was used longest ago makes room."""
    if number not in kept:
        kept[number] = make()
        if len(kept) > KEPT:
            kept.popitem(last=False)
    kept.move_to_end(number)
    return kept[number]


def _picture(path: Path) -> Image.Image:
    with Image.open(path) as file:
        file.draft("RGB", (PAGE_SIDE, PAGE_SIDE))
        image = file.convert("RGB")
    image.thumbnail((PAGE_SIDE, PAGE_SIDE), Image.Resampling.LANCZOS)
    return image


def _pages(coco: dict[str, Any], folder: Path) -> list[RealPage]:
    by_page: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in coco["annotations"]:
        if annotation["category_id"] in LABELS:
            by_page[annotation["image_id"]].append(annotation)
    pages = []
    for image in coco["images"]:
        found = by_page[image["id"]]
        panels = sorted((a for a in found if a["category_id"] == 1), key=lambda a: a.get("reading_order", a["id"]))
        pages.append(
            RealPage(
                path=folder / Path(image["file_name"]).name,
                width=image["width"],
                height=image["height"],
                direction=Direction(image.get("direction", "ltr")),
                panels=[Box(*a["bbox"]) for a in panels],
                objects=[(LABELS[a["category_id"]], Box(*a["bbox"])) for a in found if a["category_id"] != 1],
            )
        )
    return pages


def _whole_panels(page: RealPage) -> list[Box]:
    """The panels on which no other panel lies: on the others a piece would show a frame that its truth denies."""
    return [
        box
        for k, box in enumerate(page.panels)
        if not any(intersection(box, other) > 0.01 * box.area for n, other in enumerate(page.panels) if n != k)
    ]


def _pieces(page: RealPage) -> list[Piece]:
    """The panels without their frame lines, none with a side above PANEL_SIDE."""
    with Image.open(page.path) as file:
        picture = file.convert("RGB")
    cut = []
    for box in _whole_panels(page):
        rim = 0.006 * page.width
        inner = Box(box.x + rim, box.y + rim, box.w - 2 * rim, box.h - 2 * rim)
        scale = min(1.0, PANEL_SIDE / max(inner.w, inner.h))
        size = (max(8, round(inner.w * scale)), max(8, round(inner.h * scale)))
        image = picture.resize(
            size, Image.Resampling.LANCZOS, box=(inner.x, inner.y, inner.right, inner.bottom), reducing_gap=2.0
        )
        cut.append(Piece(image, seen(page.objects, inner, across=size[0] / inner.w, down=size[1] / inner.h)))
    return cut


def seen(objects: list[Labelled], window: Box, *, across: float, down: float) -> list[Labelled]:
    """The objects of which enough lies in the window, clipped to it, in the window's pixels once scaled."""
    kept: list[Labelled] = []
    for label, box in objects:
        part = clip(Box(box.x - window.x, box.y - window.y, box.w, box.h), window.w, window.h)
        if part.area >= SEEN.get(label, 1.0) * box.area and part.w * across >= 4 and part.h * down >= 4:
            kept.append((label, Box(part.x * across, part.y * down, part.w * across, part.h * down)))
    return kept


def _moved(box: Box, *, scale: float) -> Box:
    return Box(box.x * scale, box.y * scale, box.w * scale, box.h * scale)


def _mirrored(image: Image.Image, objects: list[Labelled]) -> tuple[Image.Image, list[Labelled]]:
    """Mirrors a picture after painting out its texts; the same picture where a text does not stand on plain ground."""
    blank = image.copy()
    pixels = np.asarray(image)
    for label, box in objects:
        if label != "text":
            continue
        left, top, right, bottom = int(box.x) - 1, int(box.y) - 1, int(box.right) + 2, int(box.bottom) + 2
        left, top, right, bottom = max(0, left), max(0, top), min(image.width, right), min(image.height, bottom)
        words = pixels[top:bottom, left:right].reshape(-1, 3).astype(np.int16)
        ground = np.median(words, axis=0)
        if (np.abs(words - ground).max(axis=1) < 30).mean() < 0.55:
            return image, objects
        blank.paste(tuple(int(v) for v in ground), (left, top, right, bottom))
    kept: list[Labelled] = [
        (label, Box(image.width - box.right, box.y, box.w, box.h)) for label, box in objects if label != "text"
    ]
    return blank.transpose(Image.Transpose.FLIP_LEFT_RIGHT), kept


def _repainted(rng: np.random.Generator, image: Image.Image, *, grey: bool) -> Image.Image:
    if grey:
        return as_line_art(rng, image) if rng.random() < 0.6 else recoloured(rng, image.convert("L").convert("RGB"))
    return recoloured(rng, image)


def _laid(
    rng: np.random.Generator,
    image: Image.Image,
    panels: list[Box],
    objects: list[Labelled],
    *,
    direction: Direction,
    long_side: int,
) -> MadePage:
    """The page under a slightly skewed window that cuts into its margins but into no panel."""
    edge = (0.0, 0.0, float(image.width), float(image.height))
    if panels:
        edge = (
            min(b.x for b in panels), min(b.y for b in panels),
            max(b.right for b in panels), max(b.bottom for b in panels),
        )  # fmt: skip
    give = rng.uniform(0, 0.9, 4) * (rng.random(4) < 0.5)
    left, top = edge[0] * float(give[0]), edge[1] * float(give[1])
    right = image.width - (image.width - edge[2]) * float(give[2])
    bottom = image.height - (image.height - edge[3]) * float(give[3])
    scale = long_side / max(right - left, bottom - top)
    width, height = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    turn, lean = (float(v) for v in rng.normal(0, 0.004, 2)) if rng.random() < 0.5 else (0.0, 0.0)
    forward = np.array([[scale, -turn * scale], [(turn + lean) * scale, scale]])
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    shift = np.array([width / 2, height / 2]) - forward @ middle
    back = np.linalg.inv(forward)
    offset = -back @ shift
    ground = image.getpixel((2, 2))
    laid = image.transform(
        (width, height),
        Image.Transform.AFFINE,
        (back[0, 0], back[0, 1], offset[0], back[1, 0], back[1, 1], offset[1]),
        resample=Image.Resampling.BICUBIC,
        fillcolor=ground,
    )

    def moved(box: Box) -> Box:
        corners = np.array([(box.x, box.y), (box.right, box.y), (box.right, box.bottom), (box.x, box.bottom)])
        around = corners @ forward.T + shift
        (x, y), (far_x, far_y) = around.min(axis=0), around.max(axis=0)
        return clip(Box(float(x), float(y), float(far_x - x), float(far_y - y)), width, height)

    boxes = [moved(box) for box in panels]
    here = [(label, moved(box)) for label, box in objects]
    here = [(label, box) for label, box in here if box.w >= 3 and box.h >= 3]
    truth = PagePanels(
        width=width,
        height=height,
        kind=layout_kind(boxes, width=width, height=height),
        direction=direction,
        panels=[DetectedObject(label="panel", box=box, score=1.0) for box in boxes],
        objects=[DetectedObject(label=label, box=box, score=1.0) for label, box in here],
    )
    draw = rng.random()
    laid = as_line_art(rng, laid) if draw < 0.12 else laid.convert("L").convert("RGB") if draw < 0.27 else laid
    marks = [Mark("lettering" if label == "text" else label, box) for label, box in here if label != "panel"]
    return MadePage(recoloured(rng, laid), truth, [[] for _ in boxes], marks)
