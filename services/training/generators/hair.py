"""Hair, behind a head and above its face, and hats."""

import numpy as np

from services.training.generators.artists import mixed
from services.training.generators.artwork import Colour
from services.training.generators.canvases import Canvas, Frame, Points, closed_curve, open_curve, oval
from services.training.generators.people import Person
from services.training.generators.skulls import QUARTER, RADIUS, Look, outline


def draw_hair_behind(rng: np.random.Generator, canvas: Canvas, who: Person, frame: Frame, look: Look) -> None:
    v, back = who.volume, -0.25 * look.yaw
    hair = who.hair_colour
    if who.hair in ("long", "bob", "fringe"):
        down = {"long": 1.0 + who.hair_length, "bob": 0.95, "fringe": 1.2}[who.hair]
        flare = 0.95 + 0.2 * float(rng.random())
        knots = [
            (back, -0.9 * v),
            (0.75 * v + back, -0.3),
            (flare + back * 2, down * 0.6),
            (0.6 + back * 2, down),
            (back * 2, down * 1.05),
            (-0.7 + back * 2, down),
            (-flare + back * 2, down * 0.6),
            (-0.8 * v + back, -0.3),
        ]
        curve = closed_curve(np.array(knots))
        canvas.fill(frame.at(curve), hair, shade=0.5)
        _strands(rng, canvas, who, frame, x0=-0.7 + back, x1=0.5 + back, top=-0.2, bottom=down)
    elif who.hair == "tail":
        side = -1.0 if look.yaw > 0.2 or rng.random() < 0.5 else 1.0
        end = (side * (0.9 + who.hair_length * 0.6), float(rng.uniform(-0.2, 1.4)))
        path = open_curve(
            np.array([(side * 0.5, -0.6), (side * 1.1, -0.55), ((side * 1.2 + end[0]) / 2, end[1] * 0.5), end])
        )
        wide = np.sin(np.linspace(0.4, np.pi, len(path)))[:, None] * np.array([[0.1, 0.3]])
        canvas.fill(frame.at(np.concatenate([path - wide, (path + wide)[::-1]])), hair, shade=0.5)
    elif who.hair == "braids":
        for side in (-1, 1):
            for k in range(int(3 + who.hair_length * 3)):
                canvas.fill(frame.at(oval(side * (0.7 + 0.02 * k) + back, 0.35 + 0.25 * k, 0.17, 0.17, n=8)), hair)
    elif who.hair == "bun":
        canvas.fill(frame.at(oval(back * 2, -1.1, 0.4, 0.35)), hair, shade=0.5)


def _strands(
    rng: np.random.Generator,
    canvas: Canvas,
    who: Person,
    frame: Frame,
    *,
    x0: float,
    x1: float,
    top: float,
    bottom: float,
) -> None:
    if frame.unit < 9:
        return
    ink = canvas.artist.ink if sum(who.hair_colour) > 150 else mixed(who.hair_colour, (255, 255, 255), 0.35)
    for x in rng.uniform(x0, x1, 5):
        path = np.array([(x, top), (x + 0.06, (top + bottom) / 2), (x + float(rng.normal(0, 0.1)), bottom)])
        canvas.stroke(frame.at(open_curve(path)), width=0.6, ink=ink)


def draw_hair_above(canvas: Canvas, who: Person, frame: Frame, look: Look) -> None:
    if who.hair == "bald":
        return
    same = np.random.default_rng(who.seed)
    v, hair, yaw = who.volume, who.hair_colour, look.yaw
    if look.back:
        line = np.array([(0.8, 0.3), (0.5, 0.75), (0.0, 0.85), (-0.5, 0.75), (-0.8, 0.3)])
    else:
        line = _hairline(same, who, yaw)
    over = outline(who, min(yaw, 0.6))[[10, 11, 12, 13, 0, 1, 2, 3]] * v
    over[:, 1] = np.minimum(over[:, 1], 0.35)
    if look.back:
        over[-1, 1] = 0.3
    else:
        over = over[:-1]
        over[0] = (over[0, 0], 0.45 if yaw > 0.3 else 0.25)
    if who.hair == "spiky":
        out = over[1:-1]
        spikes = np.repeat(over, 2, axis=0)[1:]
        lift = same.uniform(1.15, 1.6, len(spikes))[:, None]
        lift[::2] = 1.0
        cap = np.concatenate([spikes * lift, line])
        del out
    elif who.hair == "curly":
        for x, y in open_curve(over)[::3]:
            canvas.fill(frame.at(oval(x, y, 0.27, 0.27, n=9)), hair)
        cap = np.concatenate([open_curve(over), line])
    else:
        cap = np.concatenate([open_curve(over), line])
    canvas.fill(frame.at(cap), hair, shade=0.6)
    if frame.unit > 9:
        light = mixed(hair, (255, 255, 255), 0.45)
        for k in range(4):
            t = (k + 0.7) / 5
            start = over[0] + (over[-1] - over[0]) * t
            path = np.array([(start[0] * 0.6, -0.93), (start[0] * 0.9, -0.75), (start[0] * 1.05, -0.5)])
            ink = canvas.artist.ink if sum(hair) > 200 else light
            canvas.stroke(frame.at(open_curve(path)), width=0.7, ink=ink)
        if canvas.artist.kind in ("manga", "cel") and hair[0] < 100:
            shine = np.array([(-0.45, -0.68), (-0.1, -0.78), (0.3, -0.72)])
            canvas.brush(frame.at(open_curve(shine)), width=frame.unit * 0.09, ink=light)


def _hairline(same: np.random.Generator, who: Person, yaw: float) -> Points:
    """From the far temple over the brow to the near ear and the nape: where hair meets skin."""
    spikes = {"fringe": 8, "spiky": 6, "bob": 7, "long": 5}.get(who.hair, int(same.integers(2, 7)))
    azimuth = np.linspace(1.45, -1.5, 2 * spikes + 1)
    turned = azimuth + yaw * QUARTER
    kept = turned < np.pi / 2
    high = -0.62 + 0.28 * np.abs(azimuth) ** 2 / 2.1
    depth = {"fringe": 0.42, "spiky": 0.34, "bob": 0.3}.get(who.hair, 0.16) * same.uniform(0.5, 1.3, len(azimuth))
    low = high + np.where(np.arange(len(azimuth)) % 2 == 1, depth, 0.0)
    points = np.stack([RADIUS * np.sin(np.clip(turned, -1.57, 1.57)), low], 1)[kept]
    if who.hair in ("long", "bob", "fringe", "braids"):
        points[-1, 1] = 0.5 if who.hair != "long" else 0.8
    if yaw > 0.3:
        ear = points[-1]
        points = np.concatenate([points, [(ear[0] - 0.05, 0.3), (-0.5, 0.5)]])
    return points


def draw_hat(canvas: Canvas, who: Person, frame: Frame) -> None:
    c: Colour = who.extra
    if who.hat == "witch":
        canvas.fill(frame.at([(-0.8, -0.5), (-0.35, -1.5), (-0.7, -2.3), (0.25, -1.6), (0.8, -0.5)]), c, shade=0.7)
        canvas.fill(frame.at(oval(0, -0.52, 1.6, 0.28)), c, shade=0.4)
        canvas.fill(frame.at([(-0.78, -0.8), (0.72, -0.8), (0.82, -0.6), (-0.84, -0.6)]), who.legs)
    elif who.hat == "cap":
        canvas.fill(frame.at(oval(0, -0.45, 0.86, 0.75, start=np.pi, end=2 * np.pi, n=14)), c, shade=0.6)
        canvas.fill(frame.at([(0.1, -0.5), (1.25, -0.45), (1.2, -0.32), (0.1, -0.35)]), who.legs)
    elif who.hat == "hood":
        ring = np.concatenate(
            [oval(0, 0.0, 1.05, 1.2, start=2.4, end=7.0, n=20), oval(0, 0.05, 0.74, 0.85, start=7.0, end=2.4, n=20)]
        )
        canvas.fill(frame.at(ring), c, shade=0.5)
    elif who.hat == "helmet":
        canvas.fill(frame.at(oval(0, -0.35, 0.92, 0.85, start=np.pi * 0.95, end=2.05 * np.pi, n=14)), c, shade=0.8)
        canvas.stroke(frame.at([(0, -1.2), (0, -0.35)]), width=1.2)
    elif who.hat == "top":
        canvas.fill(frame.at([(-0.6, -0.75), (-0.68, -1.9), (0.68, -1.9), (0.6, -0.75)]), c, shade=0.7)
        canvas.fill(frame.at(oval(0, -0.72, 1.1, 0.16)), c)
    elif who.hat == "band":
        canvas.fill(frame.at([(-0.8, -0.6), (0.74, -0.6), (0.76, -0.35), (-0.8, -0.35)]), c)
