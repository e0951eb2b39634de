"""Bodies of people in any pose, seen from the front, the side or behind, clothed, with folds and patterns."""

import math

import numpy as np

from services.training.generators.artists import mixed
from services.training.generators.artwork import Colour, Drawn
from services.training.generators.canvases import Canvas, Frame, Points, closed_curve, open_curve
from services.training.generators.creatures import draw_animal, draw_creature
from services.training.generators.heads import draw_head
from services.training.generators.people import Person
from services.training.generators.poses import Joints, invent_pose, joints
from services.training.generators.skulls import Look, invent_look
from shared.domain.schema import Box

# From three joints to five points along a limb, and from these to its direction at each.
ALONG = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1.0]])
SLOPE = np.array(
    [[-1, 1, 0, 0, 0], [-0.5, 0, 0.5, 0, 0], [0, -0.5, 0, 0.5, 0], [0, 0, -0.5, 0, 0.5], [0, 0, 0, -1, 1.0]]
)
TINY = 26  # figures lower than this get no folds and no fingers


def draw_person(
    rng: np.random.Generator,
    canvas: Canvas,
    who: Person,
    *,
    x: float,
    foot: float,
    height: float,
    quiet: bool = False,
    close: bool = False,
) -> Drawn:
    """Draws somebody `height` pixels tall when upright, feet about (x, foot); `close` shows a face to the viewer."""
    if who.kind == "animal":
        return draw_animal(rng, canvas, who, x=x, foot=foot, height=height * 0.62)
    if who.kind == "creature":
        return draw_creature(rng, canvas, who, x=x, foot=foot, height=height * 0.85)
    canvas.scale = float(np.clip((height / canvas.width) ** 0.4, 0.6, 1.5))
    look = invent_look(rng, back=0.02 if close else 0.12)
    pose = invent_pose(rng, quiet=quiet or close)
    front = 0.25 if look.yaw > 0.8 and not look.back else float(rng.uniform(0.7, 1.0))
    body = joints(who, pose, front=front)
    flip = bool(rng.random() < 0.5)
    turn = np.radians(pose.turn)
    place = Frame(0.0, 0.0, height, turn=-turn if flip else turn, flip=flip)
    ends = place.at(np.concatenate([*body.legs, *body.arms[:1], body.head[None] + (0, -body.head_unit)]))
    frame = Frame(x - float(ends[:, 0].mean()) * 0.5, foot - float(ends[:, 1].max()), height, place.turn, flip)
    _body(rng, canvas, who, body, frame, look, height)
    at = frame.at(body.head[None])[0]
    tilt = float(rng.normal(0, 0.13)) + frame.turn * (0.75 if abs(pose.turn) > 30 else 1.0)
    side = flip if rng.random() < 0.85 else not flip
    head = Frame(float(at[0]), float(at[1]), body.head_unit * height, tilt, side)
    face, mouth = draw_head(rng, canvas, who, head, look)
    if pose.name in ("think", "fight", "crossed", "point", "reach"):
        _arm(canvas, who, body.arms[1], frame, body)
    return Drawn(canvas.extent(), face, mouth)


def by(point: Points, x: float, y: float) -> Points:
    """The point moved."""
    moved: Points = np.add(point, (x, y))
    return moved


def _tube(points: Points, widths: tuple[float, float, float]) -> Points:
    """The outline of a limb through three joints with a half width at each, in the joints' units."""
    path = ALONG @ points
    a, b, c = widths
    wide = np.array([a, (a + b) * 0.52, b, (b + c) * 0.55, c])
    step = SLOPE @ path
    side = step[:, ::-1] * (-1.0, 1.0) * (wide / (np.sqrt((step * step).sum(axis=1)) + 1e-9))[:, None]
    return closed_curve(np.concatenate([path + side, (path - side)[::-1]]))


def _arm(canvas: Canvas, who: Person, arm: Points, frame: Frame, body: Joints) -> None:
    thick = body.head_unit * 0.34 * who.build
    bare = who.pattern == 4 and who.garment in ("shirt", "dress")
    palm_centre = arm[2] + (arm[2] - arm[1]) * 0.12
    r = body.head_unit * 0.3
    skin: Colour = who.skin if who.kind == "human" else who.extra
    if frame.unit > TINY * 2:
        away = (arm[2] - arm[1]) / (float(np.hypot(*(arm[2] - arm[1]))) + 1e-9)
        across = np.array([-away[1], away[0]])
        palm = [
            palm_centre + across * r * 0.7,
            palm_centre + away * r * 1.3 + across * r * 0.5,
            palm_centre + away * r * 1.5 - across * r * 0.3,
            palm_centre - across * r * 0.8,
            palm_centre - away * r * 0.8,
        ]
        canvas.fill(frame.at(closed_curve(np.array(palm))), skin)
        for k in (-0.3, 0.15):
            canvas.stroke(
                frame.at(
                    np.array(
                        [palm_centre + away * r * 0.5 + across * r * k, palm_centre + away * r * 1.3 + across * r * k]
                    )
                ),
                width=0.6,
            )
    else:
        canvas.fill(
            frame.at(
                np.array([by(palm_centre, r, 0), by(palm_centre, 0, r), palm_centre - (r, 0), palm_centre - (0, r)])
            ),
            skin,
        )
    if bare:
        canvas.fill(frame.at(_tube(arm, (thick, thick * 0.75, thick * 0.6))), who.skin)
        sleeve = np.stack([arm[0], arm[0] * 0.7 + arm[1] * 0.3, arm[0] * 0.45 + arm[1] * 0.55])
        canvas.fill(frame.at(_tube(sleeve, (thick * 1.2, thick * 1.15, thick * 1.1))), who.top, shade=0.5)
        return
    loose = 1.35 if who.garment in ("coat", "robe", "jacket") else 1.1
    flare = 1.7 if who.garment == "robe" else 1.0
    canvas.fill(
        frame.at(_tube(arm, (thick * loose, thick * loose * 0.9, thick * loose * 0.75 * flare))), who.top, shade=0.5
    )
    if frame.unit > TINY * 3:
        elbow = arm[1]
        for k in (-0.5, 0.4):
            canvas.stroke(
                frame.at(np.array([by(elbow, thick * k, -thick * 0.5), by(elbow, -thick * k * 0.3, thick * 0.2)])),
                width=0.7,
            )


def _leg(canvas: Canvas, who: Person, leg: Points, frame: Frame, body: Joints) -> None:
    thick = body.head_unit * 0.46 * who.build
    bare = who.garment == "dress" or who.pattern == 3
    cloth = who.skin if bare and who.kind == "human" else who.legs
    toe = leg[2] + np.array([body.head_unit * 0.9, body.head_unit * 0.1])
    heel = leg[2] + np.array([-body.head_unit * 0.3, body.head_unit * 0.22])
    canvas.fill(frame.at(_tube(leg, (thick, thick * 0.75, thick * 0.5))), cloth, shade=0.5)
    shoe = np.array(
        [
            leg[2] + (-thick * 0.6, -thick * 0.8),
            leg[2] + (thick * 0.6, -thick * 0.8),
            by(toe, 0, -thick * 0.2),
            by(toe, 0, body.head_unit * 0.14),
            heel,
        ]
    )
    canvas.fill(frame.at(shoe), who.shoes, shade=0.4)
    if frame.unit > TINY * 3 and not bare:
        knee = leg[1]
        canvas.stroke(frame.at(np.array([by(knee, -thick * 0.6, 0.0), by(knee, thick * 0.3, thick * 0.35)])), width=0.7)


def _body(
    rng: np.random.Generator,
    canvas: Canvas,
    who: Person,
    body: Joints,
    frame: Frame,
    look: Look,
    height: float,
) -> None:
    s, h, neck, unit = body.shoulder, body.hip, body.neck, body.head_unit
    if who.cape and not look.back:
        _cape(rng, canvas, who, body, frame)
    hidden, shown = (body.arms[0], body.arms[1])
    _arm(canvas, who, hidden, frame, body)
    upright = abs(math.sin(frame.turn)) < 0.3
    below = upright and frame.at([(0.0, 0.0)])[0, 1] - 0.08 * frame.unit > canvas.height  # legs out of the picture
    for leg in () if below else body.legs:
        _leg(canvas, who, leg, frame, body)
    canvas.fill(
        frame.at(
            np.array(
                [
                    by(neck, -unit * 0.3, unit * 0.35),
                    by(neck, -unit * 0.26, -unit * 0.5),
                    by(neck, unit * 0.26, -unit * 0.5),
                    by(neck, unit * 0.3, unit * 0.35),
                ]
            )
        ),
        who.skin if who.kind == "human" else who.extra,
        shade=0.4,
    )
    waist = neck * 0.35
    side, thigh = s * 0.72 * who.build**0.5, h * 1.25
    left = [by(neck, -unit * 0.35, 0), by(neck * 0.95, -s, 0), by(waist, -side, 0), (-thigh, unit * 0.5)]
    right = [(thigh, unit * 0.5), by(waist, side, 0), by(neck * 0.95, s, 0), by(neck, unit * 0.35, 0)]
    knots = left + right
    torso = frame.at(closed_curve(np.array(knots, np.float64)))
    canvas.fill(torso, who.top, shade=0.7)
    if who.garment in ("coat", "dress", "robe") and not below:
        _skirt(rng, canvas, who, body, frame)
    if height > TINY * 1.5:
        _details(rng, canvas, who, body, frame, look)
    _arm(canvas, who, shown, frame, body)
    if who.cape and look.back:
        _cape(rng, canvas, who, body, frame)
    if who.kind == "robot" and height > TINY:
        canvas.stroke(frame.at(np.array([by(waist, -s * 0.7, 0), by(waist, s * 0.7, 0)])), width=1.5)


def _skirt(rng: np.random.Generator, canvas: Canvas, who: Person, body: Joints, frame: Frame) -> None:
    """What hangs from the waist over the legs, following them."""
    share = {"coat": 0.8, "dress": 0.75, "robe": 1.0}[who.garment]
    waist = body.neck * 0.3
    far, near = (leg[1] + (leg[2] - leg[1]) * (share - 0.5) * 1.6 for leg in body.legs)
    left, right = (far, near) if far[0] < near[0] else (near, far)
    flare = body.hip * (1.0 if who.garment == "coat" else 1.7)
    width = body.shoulder * 0.72
    hem = np.linspace(by(right, flare, 0), by(left, -flare, 0), 7)
    hem[:, 1] += rng.normal(0, 0.012, 7)
    knots = np.concatenate(
        [[by(waist, -width, 0), by(waist, width, 0), (body.hip * 1.5, 0.05)], hem, [(-body.hip * 1.5, 0.05)]]
    )
    canvas.fill(frame.at(knots), who.top if who.garment != "dress" or who.pattern else who.extra, shade=0.7)
    if frame.unit > TINY * 2:
        for k in (1, 3, 5):
            canvas.stroke(frame.at(np.stack([hem[k], hem[k] * 0.4 + waist * 0.6])), width=0.7)


def _cape(rng: np.random.Generator, canvas: Canvas, who: Person, body: Joints, frame: Frame) -> None:
    blow = float(rng.uniform(-0.5, 0.1))
    top = body.neck * 0.97
    down = 0.3 + 0.1 * float(rng.random())
    hem = np.linspace((-body.shoulder * 2 + blow, down), (body.shoulder * 1.6 + blow * 0.5, down), 9)
    hem[:, 1] += np.where(np.arange(9) % 2, -0.03, 0.02)
    knots = np.concatenate([[by(top, body.shoulder, 0), by(top, -body.shoulder, 0)], hem])
    canvas.fill(frame.at(knots), who.extra, shade=0.7)
    for k in (2, 4, 6):
        canvas.stroke(frame.at(np.stack([hem[k], hem[k] * 0.3 + top * 0.7])), width=0.8)


def _details(rng: np.random.Generator, canvas: Canvas, who: Person, body: Joints, frame: Frame, look: Look) -> None:
    """Collar, buttons, belt, emblem, pattern and folds on the chest."""
    s, neck, unit = body.shoulder, body.neck, body.head_unit
    waist = neck * 0.3
    ink = canvas.artist.ink
    mark = ink if sum(who.top) > 150 else mixed(who.top, (255, 255, 255), 0.5)
    if who.pattern == 1:
        for t in np.linspace(0.2, 0.85, 5):
            y = neck * t
            canvas.stroke(frame.at(np.array([by(y, -s * 0.68, 0), by(y, s * 0.68, 0)])), width=2.2, ink=who.extra)
    elif who.pattern == 2:
        for a, b in np.random.default_rng(who.seed).uniform(-0.6, 0.6, (9, 2)):
            spot = neck * (0.5 + b * 0.6) + (a * s, 0)
            r = unit * 0.1
            canvas.fill(
                frame.at(np.array([by(spot, r, 0), by(spot, 0, r), spot - (r, 0), spot - (0, r)])), who.extra, line=0
            )
    if look.back:
        canvas.stroke(frame.at(np.array([neck * 0.9, waist])), width=0.6, ink=mark)
        return
    middle = s * 0.35 * look.yaw
    if who.garment in ("jacket", "coat", "robe"):
        opening = np.array([by(neck, -unit * 0.3, 0), neck * 0.6 + (middle, 0), by(neck, unit * 0.3, 0)])
        canvas.fill(frame.at(opening), who.extra if who.garment != "robe" else who.skin)
        canvas.stroke(frame.at(np.array([neck * 0.6 + (middle, 0), (middle, unit)])), width=1.0, ink=mark)
        collar = np.array([by(neck, -unit * 0.38, -unit * 0.1), neck * 0.75 + (-s * 0.4, 0), neck * 0.65 + (middle, 0)])
        canvas.stroke(frame.at(collar), width=1.0, ink=mark)
    elif who.garment == "suit":
        emblem = neck * 0.7 + (middle, 0.0)
        r = unit * 0.4
        canvas.fill(frame.at(np.array([by(emblem, -r, -r), by(emblem, r, -r), by(emblem, 0, r)])), who.extra)
    elif who.garment == "armour":
        for t in (0.35, 0.6, 0.8):
            canvas.stroke(
                frame.at(
                    open_curve(
                        np.array([neck * t + (-s * 0.75, 0), neck * t + (0, unit * 0.2), neck * t + (s * 0.75, 0)])
                    )
                ),
                width=1.0,
                ink=mark,
            )
    if who.garment in ("shirt", "suit", "armour", "jacket"):
        belt = np.array(
            [
                waist * 0.3 + (-s * 0.68, 0),
                waist * 0.3 + (s * 0.68, 0),
                (s * 0.68, unit * 0.15),
                (-s * 0.68, unit * 0.15),
            ]
        )
        canvas.fill(frame.at(belt), who.shoes)
    for side in (-1, 1):
        a, b = rng.uniform(0.3, 0.7, 2)
        fold = np.array([by(waist, side * s * 0.6, 0), neck * a + (side * s * 0.3 * b, 0)])
        canvas.stroke(frame.at(fold), width=0.6, ink=mark)


def drawn_box(points: Points) -> Box:
    """The box around points."""
    low, high = points.min(axis=0), points.max(axis=0)
    return Box(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
