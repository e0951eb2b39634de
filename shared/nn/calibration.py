"""Scores as probabilities: Platt scaling, fitted to what of a detector's answers was right.

Source: Platt 1999, "Probabilistic outputs for support vector machines", with its smoothed targets; the logistic
regression is solved by Newton's method. A detector's order of boxes stays as it was: the slope is positive.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.domain.schema import DetectedObject, ObjectLabel
from shared.nn.detector_config import Calibration

# Scores are kept this far from 0 and 1, whose log-odds are infinite.
LEAST = 1e-4
# Fewer answers than this, or fewer right or wrong ones, tell nothing: the scores stay as they are.
ANSWERS, OF_A_KIND = 40, 5
# Weight of the prior that a score is a probability already (slope 1, offset 0): a few answers move it little.
PRIOR, ROUNDS, STEEPEST = 1.0, 50, (0.2, 5.0)


def log_odds(probability: ArrayLike) -> NDArray[np.float64]:
    """ln(p / (1 - p)) of probabilities of any shape; finite also at 0 and 1."""
    p = np.clip(np.asarray(probability, np.float64), LEAST, 1.0 - LEAST)
    odds: NDArray[np.float64] = np.log(p / (1.0 - p))
    return odds


def fit_calibration(pairs: Iterable[tuple[float, bool]]) -> Calibration:
    """Slope and offset of one class from (score, whether the box was right) pairs; the identity where they are few."""
    table = np.array([(score, matched) for score, matched in pairs], np.float64).reshape(-1, 2)
    right = table[:, 1].sum()
    wrong = len(table) - right
    if len(table) < ANSWERS or min(right, wrong) < OF_A_KIND:
        return Calibration()
    # Platt's targets keep a class that was told apart perfectly from becoming infinitely sure.
    target = np.where(table[:, 1] > 0, (right + 1) / (right + 2), 1 / (wrong + 2))
    known = np.stack([log_odds(table[:, 0]), np.ones(len(table))], axis=1)
    start = np.array([1.0, 0.0])
    weights = start.copy()
    for _ in range(ROUNDS):
        p = 1.0 / (1.0 + np.exp(-np.clip(known @ weights, -30, 30)))
        slope = known.T @ (p - target) + PRIOR * (weights - start)
        curve = (known * (p * (1.0 - p))[:, None]).T @ known + PRIOR * np.eye(2)
        step = np.linalg.solve(curve, slope)
        # A Newton step taken far from the answer can overshoot; a bounded one arrives a few rounds later.
        weights -= step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(slope=float(np.clip(weights[0], *STEEPEST)), offset=float(weights[1]))


def calibrated(found: Iterable[DetectedObject], calibration: Mapping[ObjectLabel, Calibration]) -> list[DetectedObject]:
    """The same objects with probabilities for scores; those of a label without a calibration as they are."""
    return [
        o.model_copy(update={"score": probability(o.score, calibration[o.label])}) if o.label in calibration else o
        for o in found
    ]


def probability(score: float, calibration: Calibration) -> float:
    """The probability that a box of this score is right."""
    return float(1.0 / (1.0 + np.exp(-(calibration.slope * log_odds(score) + calibration.offset))))
