"""Whole heads: hair behind, skull, face, hair above, hat, in the order in which they cover each other."""

import numpy as np

from services.training.generators.canvases import Canvas, Frame, closed_curve, oval
from services.training.generators.faces import draw_beard, draw_features, draw_small_features
from services.training.generators.hair import draw_hair_above, draw_hair_behind, draw_hat
from services.training.generators.people import Person
from services.training.generators.skulls import Look, on_ball, outline
from shared.domain.schema import Box


def draw_head(
    rng: np.random.Generator, canvas: Canvas, who: Person, frame: Frame, look: Look
) -> tuple[Box | None, tuple[float, float]]:
    """Draws a head; returns the box of its face in pixels (None from behind) and the place of the mouth."""
    small = frame.unit < 5
    draw_hair_behind(rng, canvas, who, frame, look)
    yaw = look.yaw
    shape = closed_curve(outline(who, yaw))
    if look.back:
        _ear(canvas, who, frame, -0.76)
        _ear(canvas, who, frame, 0.76)
        canvas.fill(frame.at(shape), who.hair_colour if who.hair != "bald" else who.skin, shade=0.5)
        draw_hair_above(canvas, who, frame, look)
        draw_hat(canvas, who, frame)
        centre = frame.at([(0.0, 0.6)])[0]
        return None, (float(centre[0]), float(centre[1]))
    near, seen = on_ball(-1.5, yaw)
    if yaw < 0.3:
        _ear(canvas, who, frame, near)
        _ear(canvas, who, frame, on_ball(1.5, 0)[0])
    canvas.fill(frame.at(shape), who.skin, shade=0.6)
    if yaw >= 0.3 and seen > 0 and who.hair not in ("long", "bob"):
        _ear(canvas, who, frame, near)
    if small:
        draw_small_features(canvas, frame, look)
    else:
        draw_features(rng, canvas, who, frame, look)
    if who.beard:
        draw_beard(canvas, who, frame, yaw)
    draw_hair_above(canvas, who, frame, look)
    draw_hat(canvas, who, frame)
    top = -0.62 if who.hair != "bald" else -0.8
    contour = shape[shape[:, 1] > top]
    right = float(contour[:, 0].max())
    left = max(float(contour[:, 0].min()), near - 0.1 if yaw > 0.3 else -0.84)
    corners = frame.at([(left, top), (right, top), (right, who.chin), (left, who.chin)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    mouth = frame.at([(on_ball(0.0, yaw)[0], 0.62)])[0]
    box = Box(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
    return box, (float(mouth[0]), float(mouth[1]))


def _ear(canvas: Canvas, who: Person, frame: Frame, x: float) -> None:
    canvas.fill(frame.at(oval(x, 0.12, 0.13, 0.22, n=10)), who.skin)
    if frame.unit > 12:
        canvas.stroke(frame.at(oval(x, 0.12, 0.06, 0.12, start=-1.5, end=2.0, n=6)), width=0.7)
