import numpy as np

from shared.domain.schema import Box, DetectedObject
from shared.nn.calibration import calibrated, fit_calibration, probability
from shared.nn.detector_config import Calibration


def answers(rng: np.random.Generator, count: int, *, slope: float, offset: float) -> list[tuple[float, bool]]:
    """Scores and whether they were right, as a detector of this true calibration gives them."""
    scores = rng.uniform(0.02, 0.98, count)
    truth = 1 / (1 + np.exp(-(slope * np.log(scores / (1 - scores)) + offset)))
    return list(zip(scores.tolist(), (rng.random(count) < truth).tolist(), strict=True))


def test_a_boastful_detector_is_seen_through() -> None:
    fitted = fit_calibration(answers(np.random.default_rng(1), 20_000, slope=0.6, offset=-1.2))
    assert abs(fitted.slope - 0.6) < 0.05
    assert abs(fitted.offset + 1.2) < 0.08


def test_fitted_scores_are_the_shares_that_are_right() -> None:
    pairs = answers(np.random.default_rng(2), 20_000, slope=2.0, offset=0.7)
    fitted = fit_calibration(pairs)
    for low in (0.2, 0.4, 0.6, 0.8):
        inside = [(p, right) for s, right in pairs if low <= (p := probability(s, fitted)) < low + 0.2]
        assert abs(np.mean([p for p, _ in inside]) - np.mean([right for _, right in inside])) < 0.03


def test_few_answers_and_perfect_ones_leave_a_usable_calibration() -> None:
    assert fit_calibration([]) == Calibration()
    assert fit_calibration([(0.9, True)] * 500) == Calibration()
    perfect = fit_calibration([(0.9, True)] * 200 + [(0.1, False)] * 200)
    assert 0.97 < probability(0.9, perfect) < 1.0
    assert 0.0 < probability(0.1, perfect) < 0.03
    upside_down = fit_calibration([(0.1, True)] * 200 + [(0.9, False)] * 200)
    assert upside_down.slope > 0


def test_calibrating_keeps_the_order_and_other_labels() -> None:
    scores = [0.0, 0.05, 0.3, 0.31, 0.9, 1.0]
    seen = [DetectedObject(label="panel", box=Box(0, 0, 9, 9), score=s) for s in scores]
    text = DetectedObject(label="text", box=Box(0, 0, 9, 9), score=0.4)
    found = calibrated([*seen, text], {"panel": Calibration(slope=0.7, offset=-1.0)})
    assert [o.score for o in found[:-1]] == sorted(o.score for o in found[:-1])
    assert found[-1] == text
