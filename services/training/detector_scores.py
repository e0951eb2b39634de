"""How well boxes were found: precision, recall and average precision of a class, over pages.

Source: Lin et al. 2014 (COCO): a found box is right when it is the best not yet taken of its page to overlap a true
box of its class by the threshold; average precision is interpolated at 101 recalls.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain.geometry import as_array, iou_matrix
from shared.domain.schema import DetectedObject, ObjectLabel


@dataclass(frozen=True)
class Judged:
    """Every found box of a class: its score and whether it is right; `true` is how many there were to find."""

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    true: int

    def average_precision(self) -> float:
        """Area under precision over recall, 0..1; NaN where there was nothing to find."""
        if not self.true:
            return float("nan")
        order = np.argsort(-self.scores, kind="mergesort")
        hits = np.cumsum(self.right[order])
        precision = hits / np.arange(1, len(hits) + 1)
        recall = hits / self.true
        best = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
        return float(np.mean([best[k] if k < len(best) else 0.0 for k in at]))

    def f1(self, floor: float) -> float:
        """Harmonic mean of precision and recall of the boxes scored `floor` or better; 1 for nothing of nothing."""
        kept = self.scores >= floor
        found = int(kept.sum())
        return 2 * int(self.right[kept].sum()) / (found + self.true) if found + self.true else 1.0


def judge(
    truth: Sequence[Sequence[DetectedObject]],
    found: Sequence[Sequence[DetectedObject]],
    *,
    label: ObjectLabel,
    threshold: float = 0.5,
) -> Judged:
    """Found boxes of a class against the true ones, page by page."""
    scores: list[float] = []
    right: list[bool] = []
    total = 0
    for true_page, found_page in zip(truth, found, strict=True):
        true = [o.box for o in true_page if o.label == label]
        seen = sorted((o for o in found_page if o.label == label), key=lambda o: -o.score)
        total += len(true)
        free = np.ones(len(true), bool)
        overlaps = iou_matrix(as_array([o.box for o in seen]), as_array(true))
        for k, one in enumerate(seen):
            best = int(np.argmax(np.where(free, overlaps[k], -1.0))) if len(true) else -1
            hit = best >= 0 and bool(free[best]) and bool(overlaps[k, best] >= threshold)
            if hit:
                free[best] = False
            scores.append(one.score)
            right.append(hit)
    return Judged(np.array(scores, np.float64), np.array(right, bool), total)


def scores_of(
    truth: Sequence[Sequence[DetectedObject]], found: Sequence[Sequence[DetectedObject]], *, prefix: str
) -> dict[str, float]:
    """Average precision of every class that is there, and of panels F1 at its best floor, as metric values."""
    values: dict[str, float] = {}
    labels: tuple[ObjectLabel, ...] = ("panel", "character", "text", "face")
    for label in labels:
        judged = judge(truth, found, label=label)
        if judged.true:
            values[f"{prefix}_{label}_ap"] = judged.average_precision()
        if label == "panel" and judged.true:
            values[f"{prefix}_panel_f1"] = max(judged.f1(floor) for floor in np.arange(0.1, 0.95, 0.05))
    return values
