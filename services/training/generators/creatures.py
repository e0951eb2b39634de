"""Animals and monsters: four legs, wings, scales, tentacles, each with a face where it has one to show."""

import numpy as np

from services.training.generators.artists import mixed
from services.training.generators.artwork import Colour, Drawn
from services.training.generators.canvases import Canvas, Frame, Points, closed_curve, open_curve, oval
from services.training.generators.people import Person
from shared.domain.schema import Box

WHITE: Colour = (255, 255, 255)


def _box(points: Points) -> Box:
    low, high = points.min(axis=0), points.max(axis=0)
    return Box(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))


def draw_animal(
    rng: np.random.Generator, canvas: Canvas, who: Person, *, x: float, foot: float, height: float
) -> Drawn:
    """A cat, dog, bird or dragon about `height` tall with its feet, or in flight its belly, near (x, foot)."""
    frame = Frame(x, foot, max(8.0, height), turn=float(rng.normal(0, 0.05)), flip=bool(rng.random() < 0.5))
    if who.beast == "bird":
        return _bird(rng, canvas, who, frame)
    return _beast(rng, canvas, who, frame)


def _beast(rng: np.random.Generator, canvas: Canvas, who: Person, frame: Frame) -> Drawn:
    coat, belly = who.top, who.extra
    long = float(rng.uniform(0.7, 1.1))
    sits = rng.random() < 0.35
    if who.beast == "dragon":
        for side in (0.0, 0.12):
            tip = (-0.5 - long * 0.5, -1.5 - side)
            wing = [(0.1, -0.6), tip, (-0.9, -0.9), (-0.8, -0.55), (-0.5, -0.7), (-0.4, -0.4)]
            canvas.fill(frame.at(wing), mixed(belly, canvas.artist.ink, side), shade=0.6)
    tail = np.array([(-long * 0.5, -0.5), (-long * 0.8, -0.7), (-long * 0.95, -1.0 - 0.3 * float(rng.random()))])
    if who.beast == "dragon" or rng.random() < 0.4:
        tail = np.array([(-long * 0.5, -0.45), (-long * 0.9, -0.2), (-long * 1.3, -0.25)])
    path = open_curve(tail)
    wide = np.linspace(0.1, 0.03, len(path))[:, None] * np.array([[0.6, 1.0]])
    canvas.fill(frame.at(np.concatenate([path - wide, (path + wide)[::-1]])), coat)
    stride = float(rng.uniform(-0.12, 0.12))
    for k, leg in enumerate((-0.4, 0.28, -0.28, 0.4)):
        a = leg * long
        step = stride * (1 if k % 2 else -1)
        shape = [
            (a - 0.08, -0.45),
            (a + 0.09, -0.45),
            (a + 0.06 + step, -0.03),
            (a + 0.13 + step, 0.0),
            (a - 0.05 + step, 0.0),
        ]
        canvas.fill(frame.at(shape), mixed(coat, canvas.artist.ink, 0.0 if k > 1 else 0.25), shade=0.3)
    hips = -0.3 if sits else -0.56
    body = [
        (-long * 0.55, hips - 0.05),
        (-long * 0.3, hips - 0.25),
        (long * 0.3, -0.78),
        (long * 0.52, -0.62),
        (long * 0.4, -0.36),
        (-long * 0.4, hips + 0.22),
    ]
    canvas.fill(frame.at(closed_curve(np.array(body))), coat, shade=0.8)
    if who.pattern and frame.unit > 24:
        for t in np.linspace(-0.35, 0.3, 5):
            stripe = frame.at(open_curve(np.array([(t * long, -0.78), (t * long + 0.04, -0.66), (t * long, -0.56)])))
            canvas.brush(stripe, width=frame.unit * 0.06, ink=mixed(coat, canvas.artist.ink, 0.6))
    hx, hy, r = long * 0.58, -0.92, 0.26 * (1.3 if who.heads < 5 else 1.0)
    neck = [(long * 0.25, -0.75), (hx - 0.08, hy), (hx + 0.12, hy), (long * 0.5, -0.5)]
    canvas.fill(frame.at(neck), coat, line=0)
    return _muzzle(rng, canvas, who, frame, hx, hy, r)


def _muzzle(
    rng: np.random.Generator, canvas: Canvas, who: Person, frame: Frame, hx: float, hy: float, r: float
) -> Drawn:
    """The head of a beast, to the front or to the side."""
    coat, ink = who.top, canvas.artist.ink
    side = rng.random() < 0.5
    drop = who.beast == "dog" and who.seed % 2
    for k in (-1.0, 1.0):
        if drop:
            ear = oval(hx + k * r * 0.95, hy + r * 0.1, r * 0.28, r * 0.65, n=10)
        else:
            ear = np.array(
                [
                    (hx + k * r * 0.95, hy - r * 0.2),
                    (hx + k * r * 0.85, hy - r * 1.45),
                    (hx + k * r * 0.2, hy - r * 0.8),
                ]
            )
        canvas.fill(frame.at(ear), coat, shade=0.3)
    if who.beast == "dragon":
        for k in (-0.3, 0.3):
            canvas.fill(
                frame.at(
                    [
                        (hx + k * r - 0.04, hy - r * 0.8),
                        (hx + k * r - 0.15, hy - r * 1.7),
                        (hx + k * r + 0.05, hy - r * 0.8),
                    ]
                ),
                who.extra,
            )
    skull = oval(hx, hy, r * 1.05, r * 0.9)
    long = 2.1 if who.beast == "dragon" else 1.75
    if side:
        snout = [
            (hx, hy - r * 0.35),
            (hx + r * long * 0.8, hy - r * 0.05),
            (hx + r * long, hy + r * 0.2),
            (hx + r * long * 0.85, hy + r * 0.62),
            (hx, hy + r * 0.85),
        ]
        canvas.fill(frame.at(skull), coat, shade=0.6)
        canvas.fill(frame.at(closed_curve(np.array(snout))), coat)
        canvas.fill(frame.at(skull * 0.98 + np.array([hx, hy]) * 0.02), coat, line=0)
        canvas.fill(frame.at(oval(hx + r * long * 0.95, hy + r * 0.1, r * 0.16, r * 0.13, n=8)), ink)
        canvas.stroke(frame.at([(hx + r * 0.5, hy + r * 0.45), (hx + r * long * 0.85, hy + r * 0.42)]), width=1.0)
        eyes, mouth = [hx + r * 0.25], (hx + r * long * 0.7, hy + r * 0.5)
        face = np.concatenate([skull, np.array(snout)])
    else:
        canvas.fill(frame.at(skull), coat, shade=0.6)
        canvas.fill(frame.at(oval(hx, hy + r * 0.38, r * 0.55, r * 0.4, n=12)), who.extra, line=0.6)
        canvas.fill(
            frame.at([(hx - r * 0.16, hy + r * 0.12), (hx + r * 0.16, hy + r * 0.12), (hx, hy + r * 0.32)]), ink
        )
        canvas.stroke(
            frame.at([(hx - r * 0.25, hy + r * 0.5), (hx, hy + r * 0.42), (hx + r * 0.25, hy + r * 0.5)]), width=0.9
        )
        for k in (-1, 1):
            canvas.stroke(frame.at([(hx + k * r * 0.5, hy + r * 0.35), (hx + k * r * 1.3, hy + r * 0.25)]), width=0.5)
        eyes, mouth, face = [hx - r * 0.42, hx + r * 0.42], (hx, hy + r * 0.5), skull
    yellow = who.seed % 3 == 0 and not canvas.artist.grey
    for ex in eyes:
        if rng.random() < 0.15:
            canvas.stroke(frame.at([(ex - r * 0.2, hy - r * 0.1), (ex + r * 0.2, hy - r * 0.1)]), width=1.2)
            continue
        canvas.fill(
            frame.at(oval(ex, hy - r * 0.12, r * 0.25, r * 0.25, n=10)),
            (230, 210, 80) if yellow else WHITE,
        )
        canvas.fill(frame.at(oval(ex + 0.01, hy - r * 0.1, r * 0.1, r * 0.19, n=8)), ink, line=0)
    spot = frame.at([mouth])[0]
    return Drawn(canvas.extent(), _box(frame.at(face)), (float(spot[0]), float(spot[1])))


def _bird(rng: np.random.Generator, canvas: Canvas, who: Person, frame: Frame) -> Drawn:
    """A bird on its feet or with wings spread."""
    coat, ink = who.top, canvas.artist.ink
    flies = rng.random() < 0.55
    if flies:
        for k in (1.0, 0.75):
            spread = float(rng.uniform(0.9, 1.6)) * k
            tips = np.linspace((-spread, -1.35 * k), (-0.45, -0.45), 7)
            notched = np.repeat(tips, 2, axis=0)
            notched[1::2] += (0.12, 0.0)
            canvas.fill(
                frame.at(np.concatenate([[(0.2, -0.6), (-0.1, -1.0 * k)], notched])), mixed(coat, ink, 0.15), shade=0.5
            )
    canvas.fill(frame.at([(-0.4, -0.45), (-0.95, -0.5), (-0.98, -0.3), (-0.4, -0.25)]), mixed(coat, ink, 0.2))
    if not flies:
        for k in (-0.1, 0.12):
            canvas.stroke(frame.at([(k, -0.2), (k + 0.02, 0.0), (k + 0.15, 0.0)]), width=1.5)
    body = [(-0.5, -0.4), (0.0, -0.68), (0.4, -0.6), (0.42, -0.3), (0.0, -0.15)]
    canvas.fill(frame.at(closed_curve(np.array(body))), coat, shade=0.8)
    canvas.stroke(frame.at(open_curve(np.array([(-0.35, -0.4), (0.0, -0.3), (0.2, -0.45)]))), width=0.9)
    hx, hy, r = 0.48, -0.78, 0.2
    head = oval(hx, hy, r, r)
    beak = np.array([(hx + r * 0.8, hy - r * 0.4), (hx + r * 1.9, hy + r * 0.25), (hx + r * 0.8, hy + r * 0.5)])
    canvas.fill(frame.at(beak), who.extra)
    canvas.fill(frame.at(head), coat, shade=0.4)
    canvas.fill(frame.at(oval(hx + r * 0.3, hy - r * 0.15, r * 0.3, r * 0.3, n=10)), WHITE)
    canvas.fill(frame.at(oval(hx + r * 0.35, hy - r * 0.15, r * 0.13, r * 0.15, n=8)), ink, line=0)
    face = _box(frame.at(np.concatenate([head, beak])))
    spot = frame.at([(hx + r * 1.5, hy)])[0]
    return Drawn(canvas.extent(), face, (float(spot[0]), float(spot[1])))


def draw_creature(
    rng: np.random.Generator, canvas: Canvas, who: Person, *, x: float, foot: float, height: float
) -> Drawn:
    """A monster: a lump with a face, horns or stalks, arms or tentacles, on short legs."""
    same = np.random.default_rng(who.seed)
    frame = Frame(x, foot, max(8.0, height), turn=float(rng.normal(0, 0.06)), flip=bool(rng.random() < 0.5))
    ink, skin = canvas.artist.ink, who.skin
    wide = float(same.uniform(0.25, 0.5))
    for k in (-0.5, 0.5):
        canvas.fill(
            frame.at([(k * wide - 0.1, -0.3), (k * wide + 0.1, -0.3), (k * wide + 0.16, 0.0), (k * wide - 0.12, 0.0)]),
            skin,
            shade=0.4,
        )
    for k in (-1, 1):
        reach = rng.uniform(-0.5, 0.3, 2)
        path = open_curve(
            np.array(
                [
                    (k * wide * 0.8, -0.55),
                    (k * (wide + 0.2), -0.5 + reach[0] * 0.5),
                    (k * (wide + 0.4), -0.4 + reach[1]),
                ]
            )
        )
        thick = np.linspace(0.09, 0.04, len(path))[:, None] * np.array([[0.7, 1.0]])
        canvas.fill(frame.at(np.concatenate([path - thick, (path + thick)[::-1]])), skin, shade=0.3)
    lumps = same.uniform(0.88, 1.1, 9)
    t = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    body = np.stack([wide * np.cos(t) * lumps, -0.55 + 0.45 * np.sin(t) * lumps], 1)
    if same.random() < 0.6:
        for k in (-0.6, 0.6):
            canvas.fill(
                frame.at([(k * wide - 0.06, -0.85), (k * wide * 1.6, -1.15), (k * wide + 0.06, -0.8)]), who.extra
            )
    canvas.fill(frame.at(closed_curve(body)), skin, shade=0.9)
    if who.pattern and frame.unit > 30:
        for a, b in same.uniform(-0.7, 0.7, (6, 2)):
            canvas.fill(frame.at(oval(a * wide, -0.4 + b * 0.3, 0.03, 0.03, n=8)), who.extra, line=0.5)
    look = float(rng.uniform(-0.1, 0.1))
    count = int(same.choice([1, 2, 2, 3]))
    for ex in np.linspace(-1, 1, count) * wide * 0.42 * (count > 1):
        r = 0.09 if count > 1 else 0.14
        canvas.fill(frame.at(oval(ex + look, -0.72, r, r * 1.1)), WHITE)
        canvas.fill(frame.at(oval(ex + look * 1.3, -0.71, r * 0.4, r * 0.5, n=8)), ink, line=0)
    half, tall = wide * 0.5, float(rng.uniform(0.02, 0.16))
    grin = [
        (look - half, -0.55),
        (look, -0.53),
        (look + half, -0.55),
        (look + half * 0.6, -0.5 + tall),
        (look - half * 0.6, -0.5 + tall),
    ]
    canvas.fill(frame.at(closed_curve(np.array(grin))), (120, 30, 40) if not canvas.artist.grey else (0, 0, 0))
    if tall > 0.06:
        for k in np.linspace(-0.7, 0.7, 4):
            tooth = [(look + k * half - 0.025, -0.545), (look + k * half + 0.025, -0.545), (look + k * half, -0.49)]
            canvas.fill(frame.at(tooth), WHITE, line=0)
    face = frame.at(
        [
            (look - wide * 0.75, -0.88),
            (look + wide * 0.75, -0.88),
            (look + wide * 0.75, -0.4),
            (look - wide * 0.75, -0.4),
        ]
    )
    spot = frame.at([(look, -0.5)])[0]
    return Drawn(canvas.extent(), _box(face), (float(spot[0]), float(spot[1])))
