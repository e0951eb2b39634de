"""Scores of found panels against a COCO ground truth."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.domain.geometry import as_array, iou_matrix
from shared.domain.schema import Box


@dataclass(frozen=True)
class PanelScore:
    """Counts over pages: matched true panels, true panels, found panels, pages exactly right, pages in true order."""

    matched: int
    true: int
    found: int
    exact: int
    ordered: int
    pages: int

    @property
    def false(self) -> int:
        """Found panels that match no true one."""
        return self.found - self.matched

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 1 when there was nothing to find and nothing was."""
        return 2 * self.matched / (self.true + self.found) if self.true + self.found else 1.0


def read_truth(path: Path) -> dict[str, list[Box]]:
    """True panels of every page in reading order; pages without panels have an empty list."""
    coco = json.loads(path.read_text())
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    pages: dict[str, list[tuple[int, Box]]] = {name: [] for name in names.values()}
    for mark in coco["annotations"]:
        pages[names[mark["image_id"]]].append((mark["reading_order"], Box(*mark["bbox"])))
    return {name: [box for _, box in sorted(marks)] for name, marks in pages.items()}


def matches(true: list[Box], found: list[Box], *, threshold: float = 0.5) -> list[tuple[int, int]]:
    """Pairs (true, found) at `threshold` IoU or better; the largest overlaps are matched first."""
    overlap = iou_matrix(as_array(true), as_array(found))
    candidates = sorted(
        ((float(overlap[t, f]), int(t), int(f)) for t, f in np.argwhere(overlap >= threshold)), reverse=True
    )
    pairs: list[tuple[int, int]] = []
    for _, t, f in candidates:
        if all(t != a and f != b for a, b in pairs):
            pairs.append((t, f))
    return pairs


def score_panels(truth: dict[str, list[Box]], found: dict[str, list[Box]], *, threshold: float = 0.5) -> PanelScore:
    """Counts over the pages of `truth`; a page missing from `found` counts as a page where nothing was found."""
    matched = exact = ordered = 0
    for name, true in truth.items():
        boxes = found.get(name, [])
        pairs = matches(true, boxes, threshold=threshold)
        matched += len(pairs)
        exact += len(pairs) == len(true) == len(boxes)
        in_order = [c for _, c in sorted(pairs)]
        ordered += in_order == sorted(in_order)
    return PanelScore(
        matched=matched,
        true=sum(map(len, truth.values())),
        found=sum(len(found.get(name, [])) for name in truth),
        exact=exact,
        ordered=ordered,
        pages=len(truth),
    )
