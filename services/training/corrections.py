"""Corrected pages as training data: which of them are kept aside, and a COCO file with their pictures.

What is kept aside is chosen by the hashes of comics alone: whole comics, copies of one together, so that a detector is
never measured on what it has learnt by heart. Of a single comic some pages are, which is weaker, and is said.
"""

import json
from collections.abc import Callable, Iterable, Sequence, Set
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from shared.domain.geometry import intersection
from shared.domain.pictures import decode
from shared.domain.schema import Box, Contract, Direction, ObjectLabel
from shared.domain.splits import Families
from shared.errors import Conflict

CATEGORIES: dict[ObjectLabel, int] = {"panel": 1, "character": 2, "text": 4, "face": 7}
SHARE = 0.2  # of the pages, kept aside
MOST_TRAINED, MOST_HELD_OUT = 1000, 200  # pages; training keeps all its pictures in memory
LONGEST = 1600  # pixels of a side of the pictures: more than any detector is shown
QUALITY = 95
NOTHING = (
    "There is nothing to train on: it takes two pages or more, with panels, that somebody has corrected. Correct the "
    "panels of pages where they are wrong, or include the panels that files state."
)


class CorrectedPage(Contract):
    """A page as somebody says it is: panels in reading order and the other objects, in pixels of the page."""

    page_id: int
    comic: str
    image_sha256: str
    source: Literal["person", "import"]
    width: int
    height: int
    direction: Direction
    panels: list[Box]
    objects: list[tuple[ObjectLabel, Box]]


class Corrections(Contract):
    """The pages of a run, frozen. `by`: what was kept aside whole; `seen`: an earlier detector was trained on some."""

    by: Literal["comic", "page"]
    seen: bool
    train: list[CorrectedPage]
    held_out: list[CorrectedPage]


def divided(
    pages: Iterable[CorrectedPage], *, same: Iterable[tuple[str, str]] = (), seen: Set[str] = frozenset()
) -> Corrections:
    """Corrected pages of a run, some kept aside. `Conflict` says what to do when they are too few.

    `same` are comics that look the same, two by two; `seen` are images that the detector in use, or one before it, was
    trained on: others are kept aside first.
    """
    kept = _kept(pages)
    families = Families()
    for page in kept:
        families.add(page.comic, page.image_sha256)
    families.join(same)
    groups = [[page for page in kept if page.comic in group] for group in map(set, families.groups())]
    by: Literal["comic", "page"] = "comic"
    held = _held(groups, seen)
    if not held:
        by = "page"
        images = dict.fromkeys(page.image_sha256 for page in kept)
        held = _held([[page for page in kept if page.image_sha256 == image] for image in images], seen)
    if not held:
        raise Conflict(NOTHING)
    aside = {page.page_id for page in held}
    return Corrections(
        by=by,
        seen=any(page.image_sha256 in seen for page in held),
        train=[page for page in kept if page.page_id not in aside][:MOST_TRAINED],
        held_out=held[:MOST_HELD_OUT],
    )


def written(pages: Sequence[CorrectedPage], folder: Path, picture: Callable[[CorrectedPage], bytes]) -> Path:
    """Writes the pages into a folder as JPEG files, made smaller where they are large, and `pages.json` in COCO's form.

    `picture` gives a page's image as it is stored; what it and `decode` raise is raised.
    """
    images, annotations = [], list[dict[str, Any]]()
    for number, page in enumerate(pages, start=1):
        name = f"{page.image_sha256}.jpg"
        shown = Image.fromarray(decode(picture(page), name=f"page {page.page_id}"))
        shown.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        shown.save(folder / name, quality=QUALITY)
        across, down = shown.width / page.width, shown.height / page.height
        images.append(
            {
                "id": number, "file_name": name, "width": shown.width, "height": shown.height,
                "direction": page.direction.value,
            }
        )  # fmt: skip
        panels: list[tuple[ObjectLabel, Box]] = [("panel", box) for box in page.panels]
        for label, box in [*panels, *page.objects]:
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": number, "category_id": CATEGORIES[label], "iscrowd": 0,
                    "bbox": [box.x * across, box.y * down, box.w * across, box.h * down],
                    "area": box.area * across * down,
                }
            )  # fmt: skip
    categories = [{"id": number, "name": label} for label, number in CATEGORIES.items()]
    file = folder / "pages.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return file


def _kept(pages: Iterable[CorrectedPage]) -> list[CorrectedPage]:
    """As many as can be taken, a person's first, in an order that has nothing to do with when they were corrected."""
    ordered = sorted(pages, key=lambda p: (p.source != "person", _ticket(p.comic), p.comic, p.page_id))
    return sorted(ordered[: MOST_TRAINED + MOST_HELD_OUT], key=lambda p: (p.comic, p.page_id))


def _held(groups: Sequence[Sequence[CorrectedPage]], seen: Set[str]) -> list[CorrectedPage]:
    """Whole groups, about SHARE of the pages, so that panels are on both sides; nothing where that cannot be."""
    able = [group for group in groups if any(_has_clear_panel(page) for page in group)]
    able.sort(key=lambda group: (_known(group, seen), _ticket(group[0].comic, group[0].image_sha256)))
    wanted, chosen, count = SHARE * sum(map(len, groups)), list[Sequence[CorrectedPage]](), 0
    for group in able:
        if len(chosen) + 1 < len(able) and count + len(group) / 2 <= wanted:
            chosen.append(group)
            count += len(group)
    if not chosen and len(able) > 1:
        chosen = [min(able, key=lambda group: (_known(group, seen), len(group)))]
    held = [page for group in chosen for page in group]
    aside = {page.page_id for page in held}
    rest = {page.image_sha256 for group in groups for page in group if page.page_id not in aside}
    # An image in comics of both sides, an advertisement say, is learnt from and not measured on.
    held = [page for page in held if page.image_sha256 not in rest]
    return held if any(_has_clear_panel(page) for page in held) else []


def _known(group: Sequence[CorrectedPage], seen: Set[str]) -> bool:
    return any(page.image_sha256 in seen for page in group)


def _has_clear_panel(page: CorrectedPage) -> bool:
    """Whether a panel can be cut out: one on which no other lies."""
    return any(
        all(other is box or intersection(box, other) <= 0.01 * box.area for other in page.panels) for box in page.panels
    )


def _ticket(*names: str) -> str:
    return sha256(":".join(names).encode()).hexdigest()
