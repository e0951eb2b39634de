"""Scores of found panels against a COCO ground truth."""

import json
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from shared.domain.geometry import as_array, iou_matrix
from shared.domain.schema import Box

PANEL = 1  # the category of panels, as in CoMix


@dataclass(frozen=True)
class PanelScore:
    """Counts over pages: matched true panels, true panels, found panels, pages exactly right, pages in true order.

    `pairs` are all pairs of true panels of a page, `pairs_right` those of which both were found, in true order.
    """

    matched: int = 0
    true: int = 0
    found: int = 0
    exact: int = 0
    ordered: int = 0
    pages: int = 0
    pairs: int = 0
    pairs_right: int = 0

    def __add__(self, other: Self) -> "PanelScore":
        return PanelScore(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def false(self) -> int:
        """Found panels that match no true one."""
        return self.found - self.matched

    @property
    def precision(self) -> float:
        """Share of the found panels that are true; 1 when nothing was found."""
        return self.matched / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the true panels that were found; 1 when there was nothing to find."""
        return self.matched / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 1 when there was nothing to find and nothing was."""
        return 2 * self.matched / (self.true + self.found) if self.true + self.found else 1.0

    @property
    def order(self) -> float:
        """Share of all pairs of true panels that were found in true order; a missed panel counts against it."""
        return self.pairs_right / self.pairs if self.pairs else 1.0


def read_truth(path: Path) -> dict[str, list[Box]]:
    """True panels of every page in reading order; pages without panels have an empty list."""
    coco = json.loads(path.read_text())
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    pages: dict[str, list[tuple[int, Box]]] = {name: [] for name in names.values()}
    for mark in coco["annotations"]:
        if mark["category_id"] == PANEL:
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


def score_page(true: list[Box], found: list[Box], *, threshold: float = 0.5, ordered: bool = True) -> PanelScore:
    """Counts of one page, both lists in reading order; a true list in no order (`ordered` False) has no pairs."""
    pairs = matches(true, found, threshold=threshold)
    order = [f for _, f in sorted(pairs)]
    return PanelScore(
        matched=len(pairs),
        true=len(true),
        found=len(found),
        exact=len(pairs) == len(true) == len(found),
        ordered=order == sorted(order),
        pages=1,
        pairs=len(true) * (len(true) - 1) // 2 if ordered else 0,
        pairs_right=sum(a < b for k, a in enumerate(order) for b in order[k + 1 :]) if ordered else 0,
    )


def score_panels(truth: dict[str, list[Box]], found: dict[str, list[Box]], *, threshold: float = 0.5) -> PanelScore:
    """Counts over the pages of `truth`; a page missing from `found` counts as a page where nothing was found."""
    pages = (score_page(true, found.get(name, []), threshold=threshold) for name, true in truth.items())
    return sum(pages, PanelScore())
