"""Where the page's own pixels show that something begins or ends: frame lines, gutters and the page's rim.

Pictures are RGB (H, W, 3) uint8. A *side* of a box is looked at through a strip of pixels around it, sampled along the
side, so that all four sides are the same problem: outside comes first, inside last. One side of all boxes is looked at
together, as the boxes of a page are many and their strips small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.domain.geometry import Array, as_array
from shared.domain.schema import Box

Side = Literal["left", "top", "right", "bottom"]
SIDES: tuple[Side, ...] = ("left", "top", "right", "bottom")
Picture = NDArray[np.uint8]

# Pixels and longest side of the reduced page, and the part of a side that is looked at: corners are often rounded or
# covered. Strips of fewer lines or rows tell nothing.
REDUCED, LONGEST, SAMPLES, MIDST, LINES, ROWS = 250_000, 8_000, 40, (0.06, 0.94), 3, 8
# Channels differ by so much across an edge; a line of pixels is flat when most differ from its median by no more.
STEP, FLAT, MOSTLY = 24, 14, 0.93
# How far an edge may be from a box's side, as a share of the page's longer side, how much of a side must show it, and
# how much as of the clearest one there.
REACH, NEAR, CLEAR, ALIKE = 0.015, 0.012, 0.6, 0.75
# A side this near to the page's edge, with no gutter between them, ends there; frames are lines of this thickness.
BLEED, FRAME = 0.015, 0.003


def reduced(image: Picture) -> Picture:
    """The page at no more than `REDUCED` pixels and `LONGEST` a side, at least one pixel either way."""
    height, width = image.shape[:2]
    scale = min(1.0, (REDUCED / (height * width)) ** 0.5, LONGEST / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX, reducing_gap=1.0))


@dataclass(frozen=True)
class Strips:
    """One side of N boxes seen from outside inwards; strips that are shorter than the longest repeat their last line.

    `pixels` is (3, N, samples, depth), `first` (N,) the page coordinate of the outer boundary of each first line,
    `depth` (N,) how many lines are a strip's own, 0 where too little of it lies on the page. `inward` is 1 where page
    coordinates grow inwards (left, top), else -1.
    """

    pixels: Picture
    first: NDArray[np.int64]
    depth: NDArray[np.int64]
    inward: int


def strips(image: Picture, boxes: Array, side: Side, *, reach: Array) -> Strips:
    """The pixels within `reach` (N,) of one side of boxes (N, 4)."""
    upright = side in ("left", "right")
    turned = image if upright else image.transpose(1, 0, 2)
    x, y, w, h = boxes.T
    start, length = (y, h) if upright else (x, w)
    at = {"left": x, "right": x + w, "top": y, "bottom": y + h}[side]
    low = np.maximum(0, (at - reach).astype(np.int64))
    high = np.minimum(turned.shape[1], (at + reach).astype(np.int64) + 1)
    along = start[:, None] + length[:, None] * np.linspace(*MIDST, SAMPLES)
    rows = np.clip(along.astype(np.int64), 0, turned.shape[0] - 1)
    depth = np.where(rows[:, -1] - rows[:, 0] + 1 >= ROWS, high - low, 0)
    depth[depth < LINES] = 0
    lines = np.minimum(np.arange(max(LINES, int(depth.max(initial=0)))), np.maximum(depth, 1)[:, None] - 1)
    inward = 1 if side in ("left", "top") else -1
    columns = np.clip(low[:, None] + lines if inward > 0 else high[:, None] - 1 - lines, 0, turned.shape[1] - 1)
    pixels = turned[rows[:, :, None], columns[:, None, :]]
    return Strips(np.ascontiguousarray(pixels.transpose(3, 0, 1, 2)), low if inward > 0 else high, depth, inward)


def edge_shares(seen: Strips) -> Array:
    """Share of the samples at which the picture changes at each boundary before a line, (N, depth); 0 at the first.

    A change over two lines counts too, as scaling and JPEG leave hardly any edge sharp.
    """
    samples = seen.pixels.shape[2]
    shares = np.zeros((seen.pixels.shape[1], seen.pixels.shape[3]))
    shares[:, 1:] = _changes(seen.pixels, 1) / samples
    shares[:, 1:-1] = np.maximum(shares[:, 1:-1], _changes(seen.pixels, 2) / samples * 0.99)
    return shares


def _changes(pixels: Picture, apart: int) -> NDArray[np.uint8]:
    """At how many samples pixels so many lines apart differ, (N, depth - apart)."""
    near, far = pixels[..., :-apart], pixels[..., apart:]
    step = (np.maximum(near, far) - np.minimum(near, far)).max(axis=0) >= STEP
    changes: NDArray[np.uint8] = step.sum(axis=1, dtype=np.uint8)
    return changes


def flat(lines: Picture) -> NDArray[np.bool_]:
    """Which lines of pixels (3, …, samples) have one colour all along, as gutters have, (…)."""
    away = np.abs(lines - np.median(lines, axis=-1, keepdims=True)).max(axis=0)
    one: NDArray[np.bool_] = (away <= FLAT).mean(axis=-1) >= MOSTLY
    return one


def outlines(page: Picture, boxes: Sequence[Box]) -> Array:
    """How much of its least shown side each box has in the picture, (N,) 0..1.

    A line shows a side, a gutter, drawing up to the page's edge. Letters and figures show some sides of the boxes
    around them, panels with frames or gutters show all.
    """
    height, width = page.shape[:2]
    array = as_array(boxes)
    reach = np.full(len(array), max(2.0, NEAR * max(width, height)))
    x, y, w, h = array.T
    gaps = {"left": x, "top": y, "right": width - x - w, "bottom": height - y - h}
    least = np.ones(len(array))
    for side in SIDES:
        seen = strips(page, array, side, reach=reach)
        shown = edge_shares(seen).max(axis=1)
        near = np.flatnonzero(gaps[side] <= reach / 2)
        rim = seen.pixels[:, near, :, :2].swapaxes(2, 3)
        shown[near[~flat(rim).all(axis=1)]] = 1.0
        least = np.where(seen.depth > 0, np.minimum(least, shown), least)
    return least


def snapped(image: Picture, boxes: Sequence[Box]) -> list[Box]:
    """The boxes with their sides on the gutters and lines next to them; a side with no clear edge nearby stays."""
    height, width = image.shape[:2]
    array = as_array(boxes)
    reach = np.minimum(REACH * max(width, height), 0.2 * array[:, 2:].min(axis=1, initial=np.inf))
    left, top, right, bottom = (_snapped(image, array, side, reach=reach) for side in SIDES)
    moved = zip(left, top, right, bottom, strict=True)
    return [
        Box(a, b, c - a, d - b) if r >= 1.5 and c - a >= 0.5 * box.w and d - b >= 0.5 * box.h else box
        for box, r, (a, b, c, d) in zip(boxes, reach, moved, strict=True)
    ]


def _snapped(image: Picture, boxes: Array, side: Side, *, reach: Array) -> list[float]:
    """Where one side of every box comes to lie."""
    height, width = image.shape[:2]
    x, y, w, h = boxes.T
    sides = {"left": x, "top": y, "right": x + w, "bottom": y + h}[side].tolist()
    end = {"left": 0.0, "top": 0.0, "right": float(width), "bottom": float(height)}[side]
    seen = strips(image, boxes, side, reach=reach)
    shares = edge_shares(seen)
    own = np.arange(shares.shape[1]) < seen.depth[:, None]
    clear = own & (shares >= np.maximum(CLEAR, ALIKE * shares.max(axis=1))[:, None])
    # A frame's line is flat like the gutter outside of it, and has an edge on either side: the outer one is meant.
    outer = np.zeros_like(clear)
    box, line = np.nonzero(clear)
    before = np.stack([np.maximum(line - 2, 0), np.maximum(line - 1, 0)])
    outer[box, line] = flat(seen.pixels.transpose(0, 1, 3, 2)[:, box, before]).any(axis=0)
    # But not where it is the neighbour's frame that is flat, with the neighbour's drawing outside of it.
    thick = max(3, round(FRAME * max(width, height)))
    foreign = clear & ~outer
    for back in range(1, thick + 2):
        outer[:, back:] &= ~foreign[:, :-back]
    moved = []
    for n, at in enumerate(sides):
        if not outer[n].any() and seen.depth[n] > 0 and abs(at - end) <= BLEED * max(width, height):
            margin = flat(seen.pixels[:, n, :, : 1 + int(abs(at - end))].swapaxes(1, 2)).all()
            moved.append(at if margin else end)
        elif clear[n].any():
            moved.append(_edge(seen, n, np.flatnonzero(clear[n]), np.flatnonzero(outer[n]), at=at, thick=thick))
        else:
            moved.append(at)
    return moved


def _edge(seen: Strips, n: int, clear: NDArray[np.int64], outer: NDArray[np.int64], *, at: float, thick: int) -> float:
    """Of the clear edges of strip `n` the one meant by the side at `at`: an outer one, where there are any."""
    near = outer if len(outer) else clear
    best = int(near[np.abs(seen.first[n] + seen.inward * near - at).argmin()])
    best = min((int(k) for k in outer if best - thick <= k <= best), default=best)
    return float(seen.first[n] + seen.inward * _sharpest(seen.pixels[:, n, :, : seen.depth[n]], best))


def _sharpest(lines: Picture, line: int) -> int:
    """Of the boundaries next to one the one where the picture changes most."""
    first, last = max(1, line - 1), min(lines.shape[-1], line + 2)
    change = np.abs(np.diff(lines[..., first - 1 : last].astype(np.int16), axis=-1))
    return first + int(change.mean(axis=(0, 1)).argmax())
