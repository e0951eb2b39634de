"""Measures between boxes; arrays are (N, 4) float `[x, y, w, h]` unless a name says xyxy."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.domain.schema import Box

Array = NDArray[np.float64]


def as_array(boxes: Sequence[Box]) -> Array:
    """Boxes as an (N, 4) array, (0, 4) when there are none."""
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)


def intersection(a: Box, b: Box) -> float:
    """Area that two boxes share, square pixels."""
    w = min(a.right, b.right) - max(a.x, b.x)
    h = min(a.bottom, b.bottom) - max(a.y, b.y)
    return max(0.0, w) * max(0.0, h)


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    shared = intersection(a, b)
    union = a.area + b.area - shared
    return shared / union if union > 0 else 0.0


def intersections(a: Array, b: Array) -> Array:
    """Shared areas of (N, 4) and (M, 4) boxes as (N, M)."""
    left = np.maximum(a[:, None, :2], b[None, :, :2])
    right = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    sides = np.clip(right - left, 0.0, None)
    shared: Array = sides[..., 0] * sides[..., 1]
    return shared


def stretched(box: Box, *, across: float, down: float) -> Box:
    """The box on a page that has become wider and higher by these factors."""
    return Box(box.x * across, box.y * down, box.w * across, box.h * down)


def iou_matrix(a: Array, b: Array) -> Array:
    """Intersection over union of (N, 4) and (M, 4) boxes as (N, M)."""
    shared = intersections(a, b)
    union = (a[:, 2] * a[:, 3])[:, None] + (b[:, 2] * b[:, 3])[None, :] - shared
    ratio: Array = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


def clip(box: Box, width: float, height: float) -> Box:
    """The part of `box` that lies on a page of `width` × `height`; may be empty (w or h 0)."""
    x, y = min(max(box.x, 0.0), width), min(max(box.y, 0.0), height)
    right, bottom = min(max(box.right, 0.0), width), min(max(box.bottom, 0.0), height)
    return Box(x, y, max(0.0, right - x), max(0.0, bottom - y))
