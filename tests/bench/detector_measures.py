"""What is told of a detector: panels and their order as the layouts have them, average precision by COCO's evaluator.

Precision, recall, F1, pages and order are of finished layouts; average precision is of everything the detector saw,
with its scores, whatever the layout made of it.
"""

import contextlib
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from shared.domain.schema import OBJECT_LABELS, DetectedObject, ObjectLabel, PagePanels
from tests.bench.detection_truth import PanelScore, score_page
from tests.bench.detector_sets import EvalPage

LOOSE, TIGHT = 0.5, 0.7


@dataclass(frozen=True)
class Measured:
    """A page, everything that was seen on it, best first, and the layout that was made of that."""

    page: EvalPage
    seen: list[DetectedObject]
    layout: PagePanels

    def panels(self, threshold: float = LOOSE) -> PanelScore:
        """Counts of its panels."""
        found = [o.box for o in self.layout.panels]
        return score_page(self.page.panels, found, threshold=threshold, ordered=self.page.ordered)

    @property
    def failed(self) -> bool:
        """Whether anything is wrong with its panels at either threshold, or with their order."""
        loose = self.panels()
        return not loose.exact or loose.pairs_right < loose.pairs or not self.panels(TIGHT).exact


@dataclass(frozen=True)
class Precision:
    """Average precision of a class at IoU 0.5, and averaged over 0.5 to 0.95; NaN where there is nothing to find."""

    loose: float
    all: float


@dataclass(frozen=True)
class Figures:
    """Everything that is told of some pages."""

    loose: PanelScore
    tight: PanelScore
    precision: dict[ObjectLabel, Precision]


def figures(pages: Iterable[Measured]) -> Figures:
    """All figures of some pages together; a class counts on the pages on which it is annotated."""
    measured = list(pages)
    precision: dict[ObjectLabel, Precision] = {}
    for label in OBJECT_LABELS:
        shown = [m for m in measured if label in m.page.labels]
        precision[label] = average_precision([m.page.truth for m in shown], [m.seen for m in shown], label=label)
    return Figures(
        loose=sum((m.panels() for m in measured), PanelScore()),
        tight=sum((m.panels(TIGHT) for m in measured), PanelScore()),
        precision=precision,
    )


def average_precision(
    truth: Sequence[Sequence[DetectedObject]], found: Sequence[Sequence[DetectedObject]], *, label: ObjectLabel
) -> Precision:
    """Average precision of a class, page by page in both, by the COCO evaluator itself (pycocotools)."""
    marks = [
        {"id": 0, "image_id": k, "category_id": 1, "bbox": list(o.box), "area": o.box.area, "iscrowd": 0}
        for k, page in enumerate(truth)
        for o in page
        if o.label == label
    ]
    for number, mark in enumerate(marks, start=1):
        mark["id"] = number
    answers = [
        {"image_id": k, "category_id": 1, "bbox": list(o.box), "score": o.score}
        for k, page in enumerate(found)
        for o in page
        if o.label == label
    ]
    if not marks:
        return Precision(math.nan, math.nan)
    if not answers:
        return Precision(0.0, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # it reports every step
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": k} for k in range(len(truth))],
            "categories": [{"id": 1, "name": label}],
            "annotations": marks,
        }
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(answers), "bbox")
        evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"][:, :, 0, 0, -1]  # thresholds × recalls, with up to 100 boxes a page
    return Precision(float(precision[0].mean()), float(precision.mean()))


COLUMNS = "pages  panels |  P.5   R.5  F1.5 |  P.7   R.7  F1.7 | right.5 right.7  order | " + " ".join(
    f"{label + ' AP.5/AP':>17}" for label in OBJECT_LABELS
)


def line(told: Figures) -> str:
    """The figures below COLUMNS."""
    loose, tight = told.loose, told.tight
    order = f"{loose.order:.3f}" if loose.pairs else "-"
    return (
        f"{loose.pages:5d}  {loose.true:6d} | {loose.precision:.3f} {loose.recall:.3f} {loose.f1:.3f} | "
        f"{tight.precision:.3f} {tight.recall:.3f} {tight.f1:.3f} | {loose.exact:7d} {tight.exact:7d}  {order:>5} | "
        + " ".join(f"{_shown(p.loose)} / {_shown(p.all)}".rjust(17) for p in told.precision.values())
    )


def _shown(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"
