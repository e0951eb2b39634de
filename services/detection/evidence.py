"""What speaks for and against a box being a panel, in log-odds: its score, and what the page's own pixels show."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.detection.cuts import crossed
from services.detection.looks import Look
from services.detection.rules import Rules
from shared.domain.geometry import as_array, intersections, iou_matrix
from shared.domain.schema import Box
from shared.nn.calibration import log_odds

# Weights were fitted beside the score on made and on real pages: most of this a detector has seen itself.
# A wholly shown outline is worth so much more than none; one that is shown so far speaks neither way.
OUTLINE, USUAL = 0.5, 0.7
# Boxes that a cut finds as well, at this IoU; boxes crossed by a gutter; unlikely ones that fill a hole.
ALIKE, CUT, CROSSED, HOLE = 0.85, 1.0, -0.5, 1.0
# What fills a hole lies on others by this share at most, is drawing, not paper, to this share, and is a hole only where
# the others cover this share of the page: two letters of a title leave no holes.
APART, DRAWN, COVERED = 0.1, 0.5, 0.4

Gains = NDArray[np.float64]


def score_gains(scores: Sequence[float], rules: Rules) -> Gains:
    """Log-odds of every score over those of the threshold, (N,)."""
    return np.asarray(log_odds(np.array(scores, np.float64)) - log_odds(rules.threshold))


def picture_gains(boxes: Sequence[Box], look: Look, rules: Rules) -> Gains:
    """What the picture says about boxes, (N,)."""
    gains = np.zeros(len(boxes))
    if rules.outline and boxes:
        gains += OUTLINE * (look.outlines(boxes) - USUAL)
    if rules.cuts and boxes and look.cuts:
        gains += np.where(iou_matrix(as_array(boxes), as_array(look.cuts)).max(axis=1) >= ALIKE, CUT, 0.0)
    if rules.gutters:
        gains += [CROSSED if crossed(look.cutting, box) else 0.0 for box in boxes]
    return gains


def hole_gains(boxes: Sequence[Box], chosen: Sequence[int], look: Look) -> Gains:
    """What boxes gain because they fill what the chosen ones leave free of the page, (N,)."""
    array = as_array(boxes)
    areas = array[:, 2] * array[:, 3]
    gains = np.zeros(len(boxes))
    if areas[list(chosen)].sum() < COVERED * look.width * look.height:
        return gains
    taken = intersections(array, array[list(chosen)]).sum(axis=1) / np.maximum(areas, 1e-9)
    for k in np.flatnonzero(taken <= APART).tolist():
        if look.drawn_share(boxes[k]) >= DRAWN:
            gains[k] = HOLE
    return gains
