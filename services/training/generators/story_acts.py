"""The actions of made stories as pictures: somebody with a thing that shows how far the action has come."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from services.training.generators.artwork import Colour, Drawn, draw_figure
from services.training.generators.story_canvas import HELD, Stand
from services.training.generators.story_world import INK
from shared.domain.schema import Box


def _lantern(s: Stand) -> Drawn:
    reach = 0.3 + 0.35 * s.progress
    for k in range(12):
        a = k * np.pi / 6
        near, far = ((0.52 + float(np.cos(a)) * r, 0.5 + float(np.sin(a)) * r) for r in (0.24, reach))
        s.stroke([near, far], (255, 236, 90), 0.035)
    drawn = s.figure()
    s.stroke([(0.2, 0.72), (0.56, 0.72), (0.52, 0.64)], (60, 40, 30), 0.04)
    s.arm(s.at(0.3, 0.72))
    s.shape([(0.4, 0.34), (0.64, 0.34), (0.64, 0.6), (0.4, 0.6)], (255, 214, 50))
    s.ball(0.52, 0.45, 0.045 + 0.04 * s.progress, 0.08 + 0.03 * s.progress, (255, 120, 20))
    s.shape([(0.37, 0.6), (0.67, 0.6), (0.52, 0.7)], (40, 40, 50))
    s.shape([(0.37, 0.3), (0.67, 0.3), (0.67, 0.35), (0.37, 0.35)], (40, 40, 50))
    return drawn


def _boat(s: Stand) -> Drawn:
    s.ball(0.1, 0.02, 0.95, 0.15, (40, 130, 220))
    drawn = s.figure(up=0.1)
    s.shape([(-0.55, 0.38), (0.8, 0.38), (0.58, 0.06), (-0.38, 0.06)], (150, 84, 36))
    s.stroke([(-0.5, 0.27), (0.72, 0.27)], (250, 230, 180), 0.04)
    turn = 0.9 - 1.6 * s.progress
    grip, dip = (0.12, 0.52), (0.12 + 0.6 * float(np.sin(turn)), 0.02)
    s.stroke([(2 * grip[0] - 0.6 * dip[0] - 0.05, 0.72), dip], (235, 190, 110), 0.055)
    s.ball(*dip, 0.09, 0.06, (235, 190, 110))
    s.arm(s.at(*grip), up=0.1)
    for k in range(4):
        s.stroke([(-0.7 + 0.4 * k, 0.0), (-0.5 + 0.4 * k, -0.03)], (230, 245, 255), 0.03)
    return drawn


def _book(s: Stand) -> Drawn:
    for k in range(round(4 * s.progress)):
        fill = ((200, 60, 50), (50, 90, 190), (40, 140, 80), (230, 180, 40))[k]
        s.shape([(-0.62, 0.1 * k), (-0.22, 0.1 * k), (-0.22, 0.1 * k + 0.1), (-0.62, 0.1 * k + 0.1)], fill)
    drawn = s.figure()
    s.arm(s.at(0.3, 0.42))
    s.shape([(0.02, 0.28), (0.34, 0.22), (0.66, 0.28), (0.66, 0.62), (0.34, 0.56), (0.02, 0.62)], (190, 30, 40))
    s.shape([(0.05, 0.32), (0.34, 0.26), (0.34, 0.57), (0.05, 0.63)], (255, 252, 240))
    s.shape([(0.34, 0.26), (0.63, 0.32), (0.63, 0.63), (0.34, 0.57)], (255, 252, 240))
    for k in range(4):
        s.stroke([(0.09, 0.56 - 0.06 * k), (0.3, 0.52 - 0.06 * k)], (90, 90, 90), 0.012)
        s.stroke([(0.38, 0.52 - 0.06 * k), (0.59, 0.56 - 0.06 * k)], (90, 90, 90), 0.012)
    return drawn


def _kite(s: Stand) -> Drawn:
    drawn = s.figure()
    along, up = 0.5 + 0.25 * s.progress, 0.55 + 0.62 * s.progress
    s.stroke([(0.25, 0.6), (along * 0.75, up * 0.72), (along, up)], (30, 30, 30), 0.015)
    s.arm(s.at(0.25, 0.6))
    s.stroke(
        [(along, up - 0.2), (along + 0.1, up - 0.32), (along, up - 0.42), (along + 0.08, up - 0.52)],
        (40, 40, 200),
        0.03,
    )
    s.shape([(along, up + 0.24), (along + 0.2, up), (along, up - 0.24), (along - 0.2, up)], (240, 40, 60))
    s.shape([(along, up + 0.24), (along + 0.2, up), (along, up)], (255, 220, 40))
    s.shape([(along, up - 0.24), (along - 0.2, up), (along, up)], (255, 220, 40))
    return drawn


def _sleep(s: Stand) -> Drawn:
    """The figure is drawn standing and laid down on a bed."""
    tall = round(s.tall)
    wide = round(tall * 1.5)
    layer = Image.new("RGBA", (wide, round(tall * 1.3)))
    pose = draw_figure(
        s.canvas.rng, layer, s.who, x=wide / 2, foot=tall * 1.25, height=tall * (1.3 if s.who.beast else 1)
    )
    s.shape([(-0.75, 0.0), (0.75, 0.0), (0.75, 0.16), (-0.75, 0.16)], (130, 80, 40))
    s.shape([(-0.78, 0.0), (-0.7, 0.0), (-0.7, 0.5), (-0.78, 0.5)], (100, 60, 30))
    s.ball(-0.52, 0.24, 0.2, 0.11, (255, 255, 255))
    x, y = s.at(0.0, 0.24)
    if s.who.beast:
        face = pose.face or pose.whole
        left, top = round(x - wide / 2), round(y - tall * 1.1)
    else:
        layer = layer.transpose(Image.Transpose.ROTATE_90 if s.side > 0 else Image.Transpose.ROTATE_270)
        left, top = round(x - layer.width / 2), round(y - layer.height / 2)
        seen = pose.face or Box(wide / 2, tall * 0.25, 1, 1)
        # A quarter turn to the left takes (x, y) to (y, W - x), to the right to (H - y, x).
        turned = (seen.y, wide - seen.right) if s.side > 0 else (layer.width - seen.bottom, seen.x)
        face = Box(*turned, seen.h, seen.w)
    s.canvas.image.paste(layer, (left, top), layer)
    edge = 0.3 - 0.5 * s.progress
    cover = [(edge, 0.1), (0.75, 0.1), (0.75, 0.34), (0.4, 0.42), (edge, 0.36)]
    s.shape(cover, (60, 110, 220))
    for k in range(3):
        along = edge + (k + 0.4) * (0.75 - edge) / 3
        s.stroke([(along, 0.12), (along, 0.36)], (250, 250, 255), 0.05)
    for k in range(1 + round(3 * s.progress)):
        u, v, r = -0.4 + 0.22 * k, 0.5 + 0.13 * k, 0.06 + 0.015 * k
        sign = [(u - r * s.side, v + r), (u + r * s.side, v + r), (u - r * s.side, v - r), (u + r * s.side, v - r)]
        s.stroke(sign, INK, 0.055)
        s.stroke(sign, (255, 255, 255), 0.03)
    (a, b), (p, q) = s.at(-0.8, 0.6), s.at(0.8, 0.0)
    seen = Box(face.x + left, face.y + top, face.w, face.h)
    return Drawn(Box(min(a, p), b, abs(p - a), q - b), seen, (seen.x + seen.w / 2, seen.y + seen.h / 2))


def _sword(s: Stand) -> Drawn:
    size, lean = 0.34 - 0.12 * s.progress, 0.3 * s.progress
    spikes = []
    for k in range(20):
        r = size if k % 2 else size * 0.72
        spikes.append(
            (0.85 + lean * 0.4 + r * float(np.sin(k * np.pi / 10)), size * 0.9 + r * float(np.cos(k * np.pi / 10)))
        )
    s.shape(spikes, (40, 120, 40))
    for k in (-1, 1):
        s.ball(0.8 + lean * 0.4 + 0.1 * k, size * 1.05, 0.06, 0.06, (255, 255, 90))
        s.ball(0.78 + lean * 0.4 + 0.1 * k, size * 1.05, 0.025, 0.03, (200, 0, 0))
    drawn = s.figure()
    angle = 1.25 - 1.15 * s.progress
    tip = (0.28 + 0.62 * float(np.cos(angle)), 0.52 + 0.62 * float(np.sin(angle)))
    s.stroke([(0.28, 0.52), tip], INK, 0.12)
    s.stroke([(0.28, 0.52), tip], (225, 235, 245), 0.08)
    across = (0.13 * float(np.sin(angle)), -0.13 * float(np.cos(angle)))
    s.stroke([(0.3 - across[0], 0.56 - across[1]), (0.3 + across[0], 0.56 + across[1])], (250, 190, 20), 0.07)
    s.arm(s.at(0.27, 0.52))
    return drawn


def _apple(s: Stand) -> Drawn:
    drawn = s.figure()
    size = max(12, round(0.5 * s.tall))
    layer = Image.new("RGBA", (size, size))
    pen = ImageDraw.Draw(layer)
    red = s.canvas.lit((226, 24, 30), amount=HELD)
    for left in (0.06, 0.34):
        pen.ellipse((left * size, 0.2 * size, (left + 0.6) * size, 0.96 * size), red, INK, s.canvas.line)
    pen.ellipse((0.12 * size, 0.26 * size, 0.88 * size, 0.9 * size), red)
    pen.ellipse((0.2 * size, 0.34 * size, 0.34 * size, 0.5 * size), (255, 190, 190))
    pen.line((0.5 * size, 0.26 * size, 0.56 * size, 0.04 * size), (90, 50, 20), max(2, size // 12))
    pen.ellipse((0.56 * size, 0.04 * size, 0.86 * size, 0.2 * size), (60, 180, 60), INK)
    for k in range(round(1 + 3 * s.progress) if s.progress > 0 else 0):
        u, v = ((0.0, 0.5), (1.0, 0.62), (0.05, 0.8), (0.95, 0.35))[k]
        r = 0.27
        pen.ellipse(((u - r) * size, (v - r) * size, (u + r) * size, (v + r) * size), (0, 0, 0, 0), (255, 244, 200), 2)
    x, y = s.at(0.36, 0.6)
    s.arm((x, y + 0.35 * size))
    s.canvas.image.paste(layer, (round(x - size / 2), round(y - size / 2)), layer)
    return drawn


def _wheel(s: Stand) -> Drawn:
    drawn = s.figure(up=0.42)
    x, y = s.at(0, 0.27)
    r = 0.29 * s.tall
    s.canvas.pen.ellipse((x - r, y - r, x + r, y + r), None, INK, max(3, round(0.08 * s.tall)))
    inner = r - 0.03 * s.tall
    s.canvas.pen.ellipse(
        (x - inner, y - inner, x + inner, y + inner), None, (240, 80, 40), max(1, round(0.025 * s.tall))
    )
    for k in range(6):
        a = k * np.pi / 3 + 2.5 * s.progress
        rim = (x + inner * float(np.cos(a)), y + inner * float(np.sin(a)))
        s.canvas.stroke([(x, y), rim], (245, 245, 245), 0.03 * s.tall, amount=HELD)
    s.stroke([(0, 0.27), (0, 0.62)], (250, 200, 40), 0.05)
    s.ball(0, 0.27, 0.05, 0.05, (250, 200, 40))
    for k in range(1 + round(3 * s.progress)):
        s.stroke([(-0.4, 0.1 + 0.16 * k), (-0.75, 0.1 + 0.16 * k)], (255, 255, 255), 0.03)
    return drawn


def _drum(s: Stand) -> Drawn:
    drawn = s.figure()
    s.shape([(0.14, 0.06), (0.72, 0.06), (0.72, 0.42), (0.14, 0.42)], (220, 30, 40))
    zigzag = [(0.14 + 0.0725 * k, 0.1 if k % 2 else 0.36) for k in range(9)]
    s.stroke(zigzag, (255, 240, 200), 0.03)
    s.ball(0.43, 0.06, 0.29, 0.06, (220, 30, 40))
    s.ball(0.43, 0.42, 0.29, 0.08, (250, 246, 230))
    for a, b in ((0.2, 0.62), (0.4, 0.72)):
        s.stroke([(a, b), (a + 0.14, 0.44)], (120, 70, 30), 0.035)
        s.ball(a + 0.14, 0.45, 0.03, 0.03, (255, 230, 160))
    s.arm(s.at(0.2, 0.62))
    for k in range(1 + round(4 * s.progress)):
        u, v = 0.55 + 0.17 * (k % 2) - 0.05 * k, 0.62 + 0.125 * k
        s.stroke([(u + 0.045 * s.side, v), (u + 0.045 * s.side, v + 0.15), (u + 0.11, v + 0.12)], INK, 0.03)
        s.ball(u, v, 0.055, 0.04, (20, 20, 20))
    return drawn


def _hole(s: Stand) -> Drawn:
    deep, wide = 0.3 * s.progress, 0.3 + 0.2 * s.progress
    s.ball(0.05, -0.01, wide, 0.1, (40, 24, 14))
    drawn = s.figure(up=-deep)
    x, y = s.at(0.05, -0.01)
    below = s.canvas.image.height
    if deep > 0:
        # The ground in front of the hole hides the legs.
        s.canvas.block(x - wide * s.tall, y + 0.06 * s.tall, x + wide * s.tall, below, (120, 78, 42), ink=False)
        s.canvas.pen.arc((x - wide * s.tall, y - 0.1 * s.tall, x + wide * s.tall, y + 0.1 * s.tall), 0, 180, INK, 2)
    heap = 0.12 + 0.33 * s.progress
    s.shape(
        [(-0.4 - heap, -0.02), (-0.42 - heap * 0.3, heap), (-0.36 - heap * 0.1, heap * 0.8), (-0.3, -0.02)],
        (120, 74, 36),
    )
    top, end = (0.16, 0.85 - deep), (0.5, 0.16)
    s.stroke([top, end], INK, 0.065)
    s.stroke([top, end], (230, 180, 90), 0.04)
    s.shape([(0.42, 0.24), (0.58, 0.28), (0.66, 0.06), (0.56, -0.02), (0.46, 0.06)], (180, 190, 205))
    s.arm(s.at(0.27, 0.6 - deep), up=-deep)
    return drawn


def _tower(s: Stand) -> Drawn:
    drawn = s.figure()
    fills: list[Colour] = [(230, 40, 50), (40, 110, 230), (255, 210, 40), (40, 170, 80), (250, 130, 30)]
    count = 1 + round(4 * s.progress)
    for k in range(count):
        shift = 0.03 * (k % 2)
        s.shape([(0.32 + shift, 0.21 * k), (0.62 + shift, 0.21 * k), (0.62 + shift, 0.21 * k + 0.21),
                 (0.32 + shift, 0.21 * k + 0.21)], fills[k])  # fmt: skip
        s.ball(0.47 + shift, 0.21 * k + 0.105, 0.05, 0.05, (255, 255, 255))
    s.arm(s.at(0.3, min(0.8, 0.21 * count)))
    return drawn


def _flower(s: Stand) -> Drawn:
    high = 0.16 + 0.62 * s.progress
    s.stroke([(0.72, 0.0), (0.7, high)], (30, 130, 40), 0.06)
    s.ball(0.8, high * 0.4, 0.09, 0.035, (50, 170, 60))
    s.ball(0.62, high * 0.55, 0.09, 0.035, (50, 170, 60))
    size = 0.06 + 0.12 * s.progress
    for k in range(10):
        a = k * np.pi / 5
        s.ball(0.7 + size * float(np.cos(a)), high + size * float(np.sin(a)), size * 0.5, size * 0.5, (255, 200, 20))
    s.ball(0.7, high, size * 0.75, size * 0.75, (110, 60, 20))
    drawn = s.figure()
    s.shape([(0.14, 0.36), (0.4, 0.36), (0.4, 0.6), (0.14, 0.6)], (20, 170, 180))
    s.shape([(0.4, 0.42), (0.56, 0.62), (0.6, 0.58), (0.44, 0.36)], (20, 170, 180))
    for k in range(5):
        s.stroke([(0.56 + 0.05 * k, 0.54 - 0.06 * k), (0.57 + 0.05 * k, 0.44 - 0.06 * k)], (60, 140, 255), 0.03)
    s.arm(s.at(0.2, 0.58))
    return drawn


ACTS: dict[str, Callable[[Stand], Drawn]] = {
    "carries a lantern": _lantern, "rows a boat": _boat, "reads a book": _book, "flies a kite": _kite,
    "sleeps": _sleep, "fights with a sword": _sword, "eats an apple": _apple, "rides a wheel": _wheel,
    "plays a drum": _drum, "digs a hole": _hole, "builds a tower": _tower, "waters a flower": _flower,
}  # fmt: skip
