import numpy as np
import pytest

from services.training.detector_scores import judge
from shared.domain.schema import Box, DetectedObject
from tests.bench.detector_measures import average_precision

Pages = list[list[DetectedObject]]


def random_pages(seed: int) -> tuple[Pages, Pages]:
    """True boxes, and found ones: true ones moved a little, some of them twice, some missed, and false ones."""
    rng = np.random.default_rng(seed)
    truth: Pages = []
    found: Pages = []
    for _ in range(12):
        true, seen = [], []
        for _ in range(int(rng.integers(0, 9))):
            x, y, w, h = rng.uniform(0, 500, 2).tolist() + rng.uniform(40, 300, 2).tolist()
            true.append(DetectedObject(label="panel", box=Box(x, y, w, h), score=1.0))
            for _ in range(int(rng.choice([0, 1, 1, 1, 2]))):
                a, b, c, d = rng.normal(0, 0.12, 4).tolist()
                moved = Box(x + a * w, y + b * h, w * (1 + c), h * (1 + d))
                seen.append(DetectedObject(label="panel", box=moved, score=float(rng.random())))
        for _ in range(int(rng.integers(0, 4))):
            box = Box(*rng.uniform(0, 500, 2).tolist(), *rng.uniform(40, 300, 2).tolist())
            seen.append(DetectedObject(label="panel", box=box, score=float(rng.random())))
        truth.append(true)
        found.append(seen)
    return truth, found


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_the_coco_evaluator(seed: int) -> None:
    truth, found = random_pages(seed)
    coco = average_precision(truth, found, label="panel")
    ours = [judge(truth, found, label="panel", threshold=t).average_precision() for t in np.linspace(0.5, 0.95, 10)]
    assert 0.2 < coco.loose < 0.95
    assert ours[0] == pytest.approx(coco.loose, abs=1e-6)
    assert np.mean(ours) == pytest.approx(coco.all, abs=1e-6)


def test_average_precision_of_a_class_that_nobody_annotated_is_no_number() -> None:
    truth, found = random_pages(1)
    assert np.isnan(average_precision(truth, found, label="face").loose)
    assert average_precision(truth, [[] for _ in truth], label="panel").loose == 0.0
