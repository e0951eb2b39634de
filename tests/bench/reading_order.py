"""Reading order against published rules: `python -m tests.bench.reading_order [PAGES]` prints one table.

Rule by set: the share of all pairs of panels in true order, and of pages wholly in order. Sets: made pages of both
directions, the same with every edge moved by up to half a hundredth of the page and every twentieth panel unseen, the
named difficult layouts of the tests, and real pages ordered by hand. PAGES is the number of made pages a direction.
"""

import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.training.generators.pages import make_page
from shared.domain.reading_order import reading_order
from shared.domain.schema import Box, Direction
from tests.bench.reading_rules import RULES, Rule
from tests.shared.domain.reading_layouts import LAYOUTS, mirrored

ROOT = Path(__file__).parents[2]
FIRST_SEED, LONG_SIDE = 500_000, 320
JITTER, UNSEEN = 0.005, 0.05


@dataclass(frozen=True)
class OrderScore:
    """Counts over pages with at least two panels."""

    pairs: int
    right: int
    pages: int
    whole: int


def ours(boxes: Sequence[Box]) -> list[int]:
    """The rule of this project."""
    return reading_order(boxes, direction=Direction.LTR)


def score(pages: Sequence[Sequence[Box]], rule: Rule) -> OrderScore:
    """How a rule orders pages, read from left to right and listed in true order, when they come shuffled."""
    rng = random.Random(len(pages))
    pairs = right = whole = count = 0
    for boxes in pages:
        if len(boxes) < 2:
            continue
        shuffle = rng.sample(range(len(boxes)), len(boxes))
        place = {shuffle[k]: at for at, k in enumerate(rule([boxes[k] for k in shuffle]))}
        here = sum(place[a] < place[b] for a in place for b in place if a < b)
        every = len(boxes) * (len(boxes) - 1) // 2
        pairs, right, count, whole = pairs + every, right + here, count + 1, whole + (here == every)
    return OrderScore(pairs=pairs, right=right, pages=count, whole=whole)


def made(direction: Direction, *, pages: int) -> list[list[Box]]:
    """Panels of made pages of one direction, turned to be read from left to right."""
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + pages):
        truth = make_page(seed, long_side=LONG_SIDE, direction=direction).truth
        boxes = [o.box for o in truth.panels]
        found.append(boxes if direction is Direction.LTR else mirrored(boxes, truth.width))
    return found


def roughened(pages: Sequence[Sequence[Box]], *, seed: int) -> list[list[Box]]:
    """The pages as a detector might see them: edges a little off, some panels missed."""
    rng = random.Random(seed)
    rough = []
    for boxes in pages:
        far = JITTER * max((max(box.right, box.bottom) for box in boxes), default=0.0)
        seen = []
        for box in boxes:
            x, y, right, bottom = (v + rng.uniform(-far, far) for v in (box.x, box.y, box.right, box.bottom))
            if rng.random() >= UNSEEN:
                seen.append(Box(x, y, max(1.0, right - x), max(1.0, bottom - y)))
        rough.append(seen)
    return rough


def annotated(path: Path) -> Iterator[list[Box]]:
    """Panels of real pages in the order a person gave them, turned to be read from left to right."""
    coco = json.loads(path.read_text())
    for image in coco["images"]:
        marks = [
            (mark["reading_order"], Box(*mark["bbox"]))
            for mark in coco["annotations"]
            if mark["image_id"] == image["id"] and mark["category_id"] == 1
        ]
        boxes = [box for _, box in sorted(marks)]
        yield boxes if image.get("direction", "ltr") == "ltr" else mirrored(boxes, image["width"])


def sets(*, pages: int) -> dict[str, list[list[Box]]]:
    """All sets by name, as many of the real ones as are here."""
    found = {f"made {direction}": made(direction, pages=pages) for direction in Direction}
    found |= {f"{name}, rough": roughened(found[name], seed=k) for k, name in enumerate(list(found))}
    found["named"] = list(LAYOUTS.values())
    samples = Path(os.environ.get("COMIC_SAMPLES", ROOT.parent / "shared" / "comics"))
    truths = [samples / "pepper-carrot-ep17" / "ground_truth_coco.json", *sorted((ROOT / "tests/truth").glob("*.json"))]
    for path in truths:
        if path.is_file():
            found[path.parent.name if path.parent.parent == samples else path.stem] = list(annotated(path))
    return found


def main() -> int:
    """Print the table."""
    found = sets(pages=int(sys.argv[1]) if len(sys.argv) > 1 else 400)
    print("| rule | " + " | ".join(found) + " |")
    print("|---" * (len(found) + 1) + "|")
    for name, rule in {**RULES, "ours": ours}.items():
        scores = [score(pages, rule) for pages in found.values()]
        print(f"| {name} | " + " | ".join(f"{s.right / s.pairs:.3f} ({s.whole}/{s.pages})" for s in scores) + " |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
