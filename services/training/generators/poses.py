"""How bodies are held: angles of the limbs, and where that puts the joints."""

from dataclasses import dataclass

import numpy as np

from services.training.generators.canvases import Points
from services.training.generators.people import Person


@dataclass(frozen=True)
class Pose:
    """Angles in degrees, 0 straight down, positive to the front; pairs are far and near limb, upper and lower part."""

    name: str
    lean: float
    arms: tuple[tuple[float, float], tuple[float, float]]
    legs: tuple[tuple[float, float], tuple[float, float]]
    turn: float = 0.0  # of the whole body: 90 lies on its back


POSES = (
    Pose("stand", 0, ((-8, 4), (8, 10)), ((-5, -3), (5, 3))),
    Pose("stand", 2, ((-14, 20), (10, 60)), ((-8, -6), (6, 2))),
    Pose("hips", 0, ((-40, 60), (40, -70)), ((-9, -7), (9, 5))),
    Pose("walk", 5, ((-28, -5), (28, 45)), ((-24, -38), (24, 8))),
    Pose("run", 16, ((-55, 30), (50, 130)), ((-38, -95), (62, -10))),
    Pose("sit", 4, ((10, 60), (20, 75)), ((80, 2), (86, -5))),
    Pose("crouch", 28, ((20, 70), (35, 90)), ((95, -40), (100, -30))),
    Pose("kneel", 4, ((5, 40), (20, 60)), ((85, 0), (5, -85))),
    Pose("lie", 0, ((-20, 10), (30, 60)), ((-4, -2), (18, -20)), 88),
    Pose("prone", -6, ((120, 60), (100, 40)), ((-6, -10), (8, -2)), -84),
    Pose("fly", 0, ((150, 165), (170, 175)), ((-12, -30), (8, -10)), 62),
    Pose("jump", 8, ((-120, -150), (130, 150)), ((20, -60), (60, -30))),
    Pose("cheer", -3, ((-155, -170), (155, 172)), ((-10, -8), (10, 8))),
    Pose("point", 3, ((-15, 5), (85, 92)), ((-10, -10), (12, 6))),
    Pose("reach", 12, ((70, 85), (85, 95)), ((-18, -24), (18, 4))),
    Pose("fight", 8, ((40, 130), (80, 110)), ((-32, -40), (34, 2))),
    Pose("kick", -16, ((-40, 40), (40, 110)), ((-6, -8), (95, 85))),
    Pose("think", 4, ((10, 90), (25, 150)), ((-6, -4), (6, 4))),
    Pose("crossed", 0, ((12, 95), (-2, 85)), ((-7, -5), (7, 5))),
    Pose("fall", -10, ((-100, -130), (110, 90)), ((40, -20), (70, 10)), 120),
    Pose("ride", 20, ((40, 60), (50, 65)), ((50, -40), (62, -35))),
)
STANDING = tuple(p for p in POSES if p.name in ("stand", "hips", "walk", "point", "think", "crossed", "cheer"))


def invent_pose(rng: np.random.Generator, *, quiet: bool = False) -> Pose:
    """A pose with small deviations of its own; `quiet` ones stand."""
    pool = STANDING if quiet or rng.random() < 0.35 else POSES
    pose = pool[int(rng.integers(len(pool)))]
    a = rng.normal(0, 7, 8)
    return Pose(
        pose.name,
        pose.lean + float(rng.normal(0, 3)),
        ((pose.arms[0][0] + a[0], pose.arms[0][1] + a[1]), (pose.arms[1][0] + a[2], pose.arms[1][1] + a[3])),
        ((pose.legs[0][0] + a[4], pose.legs[0][1] + a[5]), (pose.legs[1][0] + a[6], pose.legs[1][1] + a[7])),
        pose.turn + float(rng.normal(0, 3)) * (pose.turn != 0),
    )


@dataclass(frozen=True)
class Joints:
    """Joints in shares of the standing height, hips at the origin, y down, before the body's turn; limbs are (3, 2)."""

    neck: Points
    head: Points
    arms: tuple[Points, Points]
    legs: tuple[Points, Points]
    shoulder: float
    hip: float
    head_unit: float


def _chain(start: Points, first: float, second: float, angles: tuple[float, float]) -> Points:
    a, b = np.radians(angles[0]), np.radians(angles[1])
    knee = start + first * np.array([np.sin(a), np.cos(a)])
    return np.stack([start, knee, knee + second * np.array([np.sin(b), np.cos(b)])])


def joints(who: Person, pose: Pose, *, front: float) -> Joints:
    """Where the joints are; `front` 1 is seen from the front or behind, 0 from the side."""
    unit = 0.5 / who.heads
    leg = (1.0 - 2 * unit) * 0.54
    torso = (1.0 - 2 * unit) * 0.42
    lean = np.radians(pose.lean)
    up = np.array([np.sin(lean), -np.cos(lean)])
    across = np.array([-up[1], up[0]])
    neck = up * torso
    shoulder = (0.075 + 0.35 * unit) * who.build * (0.45 + 0.55 * front)
    hip = shoulder * 0.55
    arm = leg * 0.43
    top = neck * 0.93
    arms = tuple(
        _chain(top + across * side * shoulder * 0.95, arm, arm * 0.95, angles)
        for side, angles in zip((-1, 1), pose.arms, strict=True)
    )
    legs = tuple(
        _chain(np.array([side * hip * 0.6, 0.0]), leg * 0.5, leg * 0.5, angles)
        for side, angles in zip((-1, 1), pose.legs, strict=True)
    )
    head = neck + up * unit * 1.05
    return Joints(neck, head, (arms[0], arms[1]), (legs[0], legs[1]), shoulder, hip, unit)
