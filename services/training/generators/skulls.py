"""The shapes of heads turned any way, and where on them features stand.

A head's own unit is half its height: crown at y = -1, chin at y = 1, x to the side it looks to. Turned by `yaw` (0 to
the front, 1 in profile) its outline blends between three drawn ones and its features move as on a ball.
"""

from dataclasses import dataclass

import numpy as np

from services.training.generators.canvases import Points
from services.training.generators.people import Person

FRONT = np.array([
    (0, -1), (0.42, -0.93), (0.70, -0.58), (0.75, -0.05), (0.69, 0.36), (0.52, 0.70), (0.25, 0.94), (0, 1.0),
    (-0.25, 0.94), (-0.52, 0.70), (-0.69, 0.36), (-0.75, -0.05), (-0.70, -0.58), (-0.42, -0.93),
])  # fmt: skip
TURNED = np.array([
    (0, -1), (0.45, -0.92), (0.70, -0.56), (0.67, -0.08), (0.72, 0.24), (0.58, 0.66), (0.38, 0.93), (0.14, 1.0),
    (-0.12, 0.90), (-0.42, 0.62), (-0.62, 0.34), (-0.82, -0.02), (-0.80, -0.56), (-0.46, -0.93),
])  # fmt: skip
PROFILE = np.array([
    (0, -1), (0.45, -0.91), (0.70, -0.52), (0.69, -0.14), (0.98, 0.30), (0.74, 0.46), (0.70, 0.90), (0.46, 1.0),
    (0.10, 0.82), (-0.16, 0.56), (-0.48, 0.46), (-0.88, 0.04), (-0.86, -0.54), (-0.50, -0.93),
])  # fmt: skip
RADIUS = 0.75
QUARTER = 1.2  # how far a full yaw turns the ball that carries the features, in radians


@dataclass(frozen=True)
class Look:
    """How a head is held and what its face does; `mood` -1 is angry or sad, 1 glad; `gape` opens the mouth."""

    yaw: float = 0.0
    pitch: float = 0.0
    back: bool = False
    mood: float = 0.0
    gape: float = 0.0
    shut: bool = False
    gaze: float = 0.0


def invent_look(rng: np.random.Generator, *, back: float = 0.1) -> Look:
    """A way to look: to the front, half turned, in profile, or away (chance `back`)."""
    yaw = float(rng.choice([rng.uniform(0, 0.2), rng.uniform(0.25, 0.62), rng.uniform(0.86, 1.0)], p=[0.3, 0.45, 0.25]))
    return Look(
        yaw=yaw,
        pitch=float(rng.normal(0, 0.1)),
        back=bool(rng.random() < back),
        mood=float(rng.uniform(-1, 1)),
        gape=float(rng.choice([0.0, rng.uniform(0.2, 1.0)], p=[0.55, 0.45])),
        shut=bool(rng.random() < 0.12),
        gaze=float(rng.uniform(-0.5, 0.5)),
    )


def outline(who: Person, yaw: float) -> Points:
    """The 14 knots of a head's outline in its own units, clockwise from the crown."""
    near, far, share = (FRONT, TURNED, yaw / 0.55) if yaw < 0.55 else (TURNED, PROFILE, (yaw - 0.55) / 0.45)
    knots: Points = near + (far - near) * share
    low = knots[:, 1] > 0.1
    knots[low, 0] *= 1 + (who.jaw - 1) * (1 - 0.7 * yaw)
    knots[low, 1] = 0.1 + (knots[low, 1] - 0.1) * who.chin
    return knots


def on_ball(angle: float, yaw: float) -> tuple[float, float]:
    """Where a feature at an azimuth stands (x) and how much of its width is left (cosine; negative: hidden)."""
    turned = angle + yaw * QUARTER
    return RADIUS * float(np.sin(turned)), float(np.cos(turned))
