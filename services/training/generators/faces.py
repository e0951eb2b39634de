"""What is on a face: eyes of several schools, brows, nose, mouth, cheeks, wrinkles, glasses, beards."""

import numpy as np

from services.training.generators.artists import mixed
from services.training.generators.canvases import Canvas, Frame, closed_curve, open_curve, oval
from services.training.generators.people import Person
from services.training.generators.skulls import Look, on_ball, outline


def draw_small_features(canvas: Canvas, frame: Frame, look: Look) -> None:
    for angle in (-0.42, 0.42):
        x, seen = on_ball(angle, look.yaw)
        if seen > 0.1:
            canvas.fill(frame.at(oval(x, 0.1, 0.13 * seen, 0.17, n=6)), canvas.artist.ink, line=0)
    x, _ = on_ball(0.0, look.yaw)
    canvas.stroke(frame.at([(x - 0.18, 0.6), (x + 0.12, 0.6)]), width=0.8)


def draw_features(rng: np.random.Generator, canvas: Canvas, who: Person, frame: Frame, look: Look) -> None:
    drop = look.pitch * 1.6 + (0.1 if who.eyes in ("manga", "cartoon") else 0.02)
    ink = canvas.artist.ink
    if who.skin[0] > 150 and not canvas.artist.grey and rng.random() < 0.5:
        for angle in (-0.75, 0.75):
            x, seen = on_ball(angle, look.yaw)
            if seen > 0.2:
                canvas.fill(
                    frame.at(oval(x, 0.42 + drop, 0.17 * seen, 0.12)), mixed(who.skin, (230, 80, 70), 0.28), line=0
                )
    for angle in (-0.43, 0.43):
        x, seen = on_ball(angle, look.yaw)
        if seen > 0.18:
            _eye(canvas, who, frame, look, x=x, y=drop, seen=seen)
            tilt = look.mood * 0.13 * (1 if angle > 0 else -1)
            y = drop - 0.27 * who.eye_size - (0.08 if who.eyes in ("manga", "cartoon") else 0)
            brow = frame.at([(x - 0.2 * seen, y + tilt), (x, y - 0.06), (x + 0.2 * seen, y - tilt)])
            canvas.brush(
                open_curve(brow),
                width=frame.unit * 0.07 * who.brow,
                ink=ink if canvas.artist.grey else mixed(who.hair_colour, ink, 0.5),
            )
    _nose(canvas, who, frame, look, y=drop)
    _mouth(canvas, who, frame, look, y=0.63 + look.pitch)
    if who.glasses:
        for angle in (-0.43, 0.43):
            x, seen = on_ball(angle, look.yaw)
            if seen > 0.18:
                lens = oval(x, drop + 0.02, 0.27 * max(seen, 0.4), 0.22)
                canvas.fill(frame.at(lens), ink if who.glasses == 2 else None, line=1.4)
        if who.glasses == 3:
            canvas.fill(
                frame.at([(-0.72, drop - 0.2), (0.72, drop - 0.2), (0.7, drop + 0.2), (-0.7, drop + 0.2)]), who.extra
            )
            for angle in (-0.43, 0.43):
                x, seen = on_ball(angle, look.yaw)
                canvas.fill(frame.at(oval(x, drop, 0.16 * max(seen, 0.2), 0.08)), (255, 255, 255))
    if who.old and frame.unit > 14:
        for side in (-1, 1):
            x, seen = on_ball(0.32 * side, look.yaw)
            canvas.stroke(
                frame.at(open_curve(np.array([(x, 0.35), (x + 0.1 * side, 0.5), (x + 0.08 * side, 0.7)]))), width=0.7
            )


def _eye(canvas: Canvas, who: Person, frame: Frame, look: Look, *, x: float, y: float, seen: float) -> None:
    ink, size = canvas.artist.ink, who.eye_size
    wide = max(seen, 0.35)
    if look.shut:
        lid = open_curve(
            np.array([(x - 0.2 * wide, y), (x, y + (0.1 if look.mood < 0.3 else -0.1)), (x + 0.2 * wide, y)])
        )
        canvas.stroke(frame.at(lid), width=1.4)
        return
    if who.eyes == "dot":
        canvas.fill(frame.at(oval(x, y, 0.075 * size * wide, 0.1 * size, n=10)), ink, line=0)
        return
    shift = look.gaze * 0.08 + 0.05 * look.yaw
    if who.eyes == "cartoon":
        canvas.fill(frame.at(oval(x, y, 0.25 * size * wide, 0.31 * size)), (255, 255, 255))
        canvas.fill(frame.at(oval(x + shift * 1.6, y + 0.03, 0.07 * size, 0.09 * size, n=10)), ink, line=0)
        return
    if who.eyes == "manga":
        rx, ry = 0.23 * size * wide, 0.27 * size * (0.75 if look.mood < -0.6 else 1.0)
        white = np.array(
            [
                (x - rx, y),
                (x - rx * 0.5, y - ry),
                (x + rx * 0.5, y - ry),
                (x + rx, y),
                (x + rx * 0.55, y + ry),
                (x - rx * 0.55, y + ry),
            ]
        )
        canvas.fill(frame.at(closed_curve(white)), (255, 255, 255), line=0)
        iris = who.eye if not canvas.artist.grey else (40, 40, 40)
        canvas.fill(frame.at(oval(x + shift, y, rx * 0.66, ry * 0.95)), mixed(iris, ink, 0.45), line=0.6)
        if frame.unit > 9:
            canvas.fill(
                frame.at(oval(x + shift, y + ry * 0.35, rx * 0.45, ry * 0.5, n=10)),
                mixed(iris, (255, 255, 255), 0.35),
                line=0,
            )
            canvas.fill(frame.at(oval(x + shift, y, rx * 0.26, ry * 0.4, n=10)), ink, line=0)
            canvas.fill(
                frame.at(oval(x + shift - rx * 0.25, y - ry * 0.45, rx * 0.24, ry * 0.26, n=10)),
                (255, 255, 255),
                line=0,
            )
        lash = open_curve(
            np.array(
                [
                    (x - rx * 1.15, y + ry * 0.1),
                    (x - rx * 0.5, y - ry),
                    (x + rx * 0.5, y - ry),
                    (x + rx * 1.15, y + ry * 0.1),
                ]
            )
        )
        canvas.brush(frame.at(lash), width=frame.unit * 0.13, ink=ink)
        canvas.stroke(frame.at([(x - rx * 0.5, y + ry), (x + rx * 0.5, y + ry)]), width=0.8)
        return
    rx, ry = 0.2 * size * wide, 0.105 * size
    almond = np.array(
        [(x - rx, y + 0.02), (x - rx * 0.3, y - ry), (x + rx * 0.5, y - ry), (x + rx, y), (x + rx * 0.2, y + ry)]
    )
    canvas.fill(frame.at(closed_curve(almond)), (255, 255, 255), line=0.7)
    canvas.fill(
        frame.at(oval(x + shift, y - 0.01, 0.085 * size, 0.1 * size, n=10)),
        mixed(who.eye, ink, 0.4 if frame.unit > 12 else 0.8),
        line=0,
    )
    if frame.unit > 14:
        canvas.fill(frame.at(oval(x + shift, y - 0.01, 0.045 * size, 0.05 * size, n=8)), ink, line=0)
        canvas.fill(frame.at(oval(x + shift - 0.04, y - 0.05, 0.025, 0.03, n=6)), (255, 255, 255), line=0)
    canvas.brush(frame.at(open_curve(almond[:4])), width=frame.unit * 0.06, ink=ink)
    if frame.unit > 16:
        canvas.stroke(frame.at(open_curve(almond[:4] + np.array([0, -0.07]))), width=0.6)


def _nose(canvas: Canvas, who: Person, frame: Frame, look: Look, *, y: float) -> None:
    if look.yaw > 0.8:
        canvas.stroke(frame.at([(0.72, 0.36), (0.8, 0.42)]), width=0.8)
        return
    x, _ = on_ball(0.0, look.yaw)
    tip = x + 0.16 * look.yaw
    if who.nose == 0:
        canvas.stroke(frame.at([(tip - 0.03, 0.4 + y), (tip + 0.05, 0.4 + y)]), width=0.9)
    elif who.nose == 1:
        canvas.stroke(
            frame.at(open_curve(np.array([(x + 0.03, y + 0.05), (tip + 0.12, y + 0.34), (tip, y + 0.41)]))), width=1.0
        )
    elif who.nose == 2:
        wedge = frame.at([(x, y + 0.1), (tip + 0.1, y + 0.38), (tip - 0.04, y + 0.42)])
        canvas.fill(wedge, mixed(who.skin, canvas.artist.ink, 0.3 if not canvas.artist.grey else 0.9), line=0)
    elif who.nose == 3:
        canvas.stroke(
            frame.at(open_curve(np.array([(tip - 0.12, y + 0.36), (tip - 0.02, y + 0.44), (tip + 0.1, y + 0.36)]))),
            width=1.0,
        )
        canvas.stroke(frame.at([(x + 0.07, y), (tip + 0.09, y + 0.28)]), width=0.7)
    else:
        canvas.fill(frame.at(oval(tip, y + 0.34, 0.15, 0.13, n=10)), who.skin, line=1.0)


def _mouth(canvas: Canvas, who: Person, frame: Frame, look: Look, *, y: float) -> None:
    x, seen = on_ball(0.0, look.yaw)
    half = 0.26 * max(seen, 0.45) * (0.7 if who.eyes == "manga" else 1.0)
    if look.yaw > 0.8:
        x, half = 0.58, 0.14
    bend = look.mood * 0.1
    red = (130, 40, 40) if not canvas.artist.grey else (0, 0, 0)
    if look.gape > 0.15:
        tall = 0.1 + 0.26 * look.gape
        knots = np.array(
            [
                (x - half, y - bend),
                (x, y - 0.04),
                (x + half, y - bend),
                (x + half * 0.6, y + tall * 0.8),
                (x, y + tall),
                (x - half * 0.6, y + tall * 0.8),
            ]
        )
        canvas.fill(frame.at(closed_curve(knots)), red)
        if frame.unit > 9:
            teeth = np.array(
                [
                    (x - half * 0.8, y - bend * 0.6),
                    (x, y),
                    (x + half * 0.8, y - bend * 0.6),
                    (x + half * 0.6, y + 0.08),
                    (x - half * 0.6, y + 0.08),
                ]
            )
            canvas.fill(frame.at(teeth), (255, 255, 255), line=0)
            if look.gape > 0.5 and not canvas.artist.grey:
                canvas.fill(frame.at(oval(x, y + tall * 0.8, half * 0.5, tall * 0.22, n=8)), (220, 110, 110), line=0)
        return
    line = open_curve(np.array([(x - half, y - bend), (x, y + bend), (x + half, y - bend)]))
    canvas.stroke(frame.at(line), width=1.2)
    if who.eyes == "western" and frame.unit > 12:
        canvas.stroke(frame.at([(x - half * 0.4, y + 0.13), (x + half * 0.4, y + 0.13)]), width=0.6)


def draw_beard(canvas: Canvas, who: Person, frame: Frame, yaw: float) -> None:
    knots = outline(who, yaw)
    mouth, _ = on_ball(0.0, yaw)
    if who.beard == 1:
        tache = np.array([(mouth - 0.32, 0.62), (mouth, 0.46), (mouth + 0.3, 0.62), (mouth, 0.56)])
        canvas.fill(frame.at(closed_curve(tache)), who.hair_colour, line=0.7)
        return
    low = knots[4:11] * (1.04, 1.0) + np.array([0.0, 0.06 if who.beard == 2 else 0.28 * who.hair_length * 0.5])
    upper = np.array(
        [(knots[10, 0] * 0.8, 0.45), (mouth - 0.2, 0.8), (mouth, 0.86), (mouth + 0.2, 0.8), (knots[4, 0] * 0.8, 0.45)]
    )
    canvas.fill(frame.at(open_curve(np.concatenate([low, upper]))), who.hair_colour, shade=0.4)
