"""Whether two sketches show the same page: laid over one another as a scan or a crop may have moved them, then compared
in their detail only.

Two pages of text from one template agree in light and layout and still differ in every word. Where there is little
text, its lines alone look alike; hence the detail along the lines, written across or down, must agree too.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.domain.marks import EDGE, HIGH, WIDE, Tones, detail, tones_of

SAME = 0.62  # likeness from which two pages are near-identical; copies have 0.7 and more, other pages 0.5 and less
ROUNDS = (9, 7, 5, 3, 1)  # surroundings that the pictures are smoothed over, from the coarsest; one round each
FARTHEST = 3.0  # tones that a picture may be moved or stretched by; two per cent at both edges make 1.8
PIECE = 256  # pairs compared at once, some 40 MB

_ACROSS, _DOWN = np.arange(WIDE, dtype=np.float32), np.arange(HIGH, dtype=np.float32)
_WIDTH: Tones = _ACROSS / np.float32(WIDE - 1) - np.float32(0.5)
_HEIGHT: Tones = _DOWN / np.float32(HIGH - 1) - np.float32(0.5)
_INNER = slice(EDGE, -EDGE)


def likeness(pairs: Sequence[tuple[bytes, bytes]]) -> NDArray[np.float64]:
    """How alike the two sketches of each pair are: correlations of detail, 1 for the same picture."""
    found = [_likeness(*_tones(pairs[k : k + PIECE])) for k in range(0, len(pairs), PIECE)]
    return np.concatenate(found) if found else np.empty(0)


def _tones(pairs: Sequence[tuple[bytes, bytes]]) -> tuple[Tones, Tones]:
    """The tones of the first sketches and of the second ones, each (n, 36, 54)."""
    left, right = (np.stack([tones_of(pair[side]) for pair in pairs]) for side in (0, 1))
    return left, right


def _likeness(left: Tones, right: Tones) -> NDArray[np.float64]:
    moved = _aligned(left, right)
    sizes = ((5, 5), (1, 5), (5, 1))
    details = [[detail(tones, down=down, across=across) for tones in (left, moved)] for down, across in sizes]
    return np.asarray(np.stack([_correlation(a, b) for a, b in details]).min(axis=0), np.float64)


def _correlation(left: Tones, right: Tones) -> NDArray[np.float64]:
    a, b = (tones[:, _INNER, _INNER].reshape(len(tones), -1) for tones in (left, right))
    a, b = (tones - tones.mean(axis=1, keepdims=True) for tones in (a, b))
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.asarray((a * b).sum(axis=1) / np.maximum(norms, 1e-6), np.float64)


def _aligned(left: Tones, right: Tones) -> Tones:
    """`right` moved and stretched onto `left`, along each axis, by steps of least squares (Lucas and Kanade 1981)."""
    way = np.zeros((len(left), 4), np.float32)
    for size in ROUNDS:
        goal, moved = (tones - detail(tones, down=size, across=size) if size > 1 else tones for tones in (left, right))
        moved = _warped(moved, way)
        down, across = (np.asarray(np.gradient(moved, axis=axis)) for axis in (1, 2))
        parts = [across, across * _WIDTH, down, down * _HEIGHT[:, None], moved, np.ones_like(moved)]
        slopes = np.stack([part[:, _INNER, _INNER].reshape(len(left), -1) for part in parts], axis=2)
        target = goal[:, _INNER, _INNER].reshape(len(left), -1, 1)
        turned = slopes.transpose(0, 2, 1)
        matrix = turned @ slopes + 0.01 * np.eye(6, dtype=np.float32)
        found = np.linalg.solve(matrix, turned @ target)[..., 0]
        way += np.clip(found[:, :4] / np.maximum(found[:, 4:5], 0.3), -1.5, 1.5)
        np.clip(way, -FARTHEST, FARTHEST, out=way)
    return _warped(right, way)


def _warped(tones: Tones, way: Tones) -> Tones:
    """Tones read at moved and stretched places: `way` holds shift and stretch across, then down, in tones."""
    across: Tones = _ACROSS + way[:, :1] + way[:, 1:2] * _WIDTH
    down: Tones = _DOWN + way[:, 2:3] + way[:, 3:4] * _HEIGHT
    return _read(_read(tones, down).transpose(0, 2, 1), across).transpose(0, 2, 1)


def _read(tones: Tones, places: Tones) -> Tones:
    """Rows of each picture at `places` (n, rows), linear between two."""
    places = np.clip(places, np.float32(0), np.float32(places.shape[1] - 1.001))
    first = places.astype(np.intp)
    share = (places - first)[:, :, None].astype(np.float32)
    before, after = (np.take_along_axis(tones, (first + step)[:, :, None], axis=1) for step in (0, 1))
    return np.asarray(before * (1 - share) + after * share, np.float32)
