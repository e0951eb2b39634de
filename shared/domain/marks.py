"""What a page looks like, small: a perceptual hash, the bands by which its like are found, and a finer sketch.

The hash is the signs of the 64 longest cosine waves in the page, under a window that fades towards the edges: a scan's
border or a crop of two per cent then changes little. Two near-identical pages differ in some 3 of the 64 signs, two
unrelated ones in 32; but pages set in type from one template may differ in 5 only, hence the sketch. It is the page in
54 × 36 tones, fine enough to tell lines of words apart (`shared.domain.likeness`). A page number or a letter is
too small for it: such pages are near-identical.

A page without content (blank, one tone, a shadow, a lone page number) is like no other: its mark is empty.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Tones = NDArray[np.float32]

WAVES = 80  # the first 64 are the hash; all of them make the bands
WIDE, HIGH = 54, 36  # tones of a sketch, two in a byte; finer across, where words differ
EDGE = 3  # tones at each edge that may be a scan's border: they are drawn but do not set the contrast
BORDER = 0.02  # share of the page at each edge that the window leaves out
FADE = 0.25  # share of the page over which the window rises from nothing to one, at each edge
BAND = 20  # waves in a band: a hundred thousand unrelated pages share few by chance
BANDS = 8  # each wave is in two
FAR = 12  # differing signs of two hashes, of 64, up to which a pair is looked at; copies differ in 10 at most
FLAT = 2.5  # grey levels (of 255) of detail, below which a page has no content

# By frequency, from the longest: (1, 0), (0, 1), (1, 1) … Marks are stored, so nothing here may ever change by itself.
_PLACES = sorted(((u, v) for u in range(12) for v in range(12) if u + v), key=lambda w: (w[0] ** 2 + w[1] ** 2, w))
_DOWN, _ACROSS = (np.array(places) for places in zip(*_PLACES[:WAVES], strict=True))
_HALF = BANDS // 2
_CHOSEN = [
    np.array([wave for wave in range(WAVES) if (wave + turn * (wave // _HALF)) % _HALF == band])
    for turn in (0, 1)
    for band in range(_HALF)
]
_POWERS = 1 << np.arange(BAND)


@dataclass(frozen=True, slots=True)
class Mark:
    """`phash`: 64 bits as a signed number. `sketch`: 972 bytes, see `tones_of`. `bands`: 16 numbers, of which two
    near-identical pages have at least one in common. All three are empty (0) for a page without content."""

    phash: int
    sketch: bytes
    bands: list[int]


NOTHING = Mark(0, b"", [])


def mark_of(small: Image.Image) -> Mark:
    """The mark of a page from its picture in mode L, upright, at about an eighth of the page's size."""
    sketch = np.asarray(small.resize((WIDE, HIGH), Image.Resampling.BILINEAR), np.float32)
    inner = sketch[EDGE:-EDGE, EDGE:-EDGE]
    if float(detail(sketch)[EDGE:-EDGE, EDGE:-EDGE].std()) < FLAT:
        return NOTHING
    waves = _waves(np.asarray(small, np.float32))
    signs = waves > 0
    phash = int(np.packbits(signs[:64]).view(">i8")[0])
    darkest, lightest = float(inner.min()), float(inner.max())
    deep = (sketch - darkest) * (15 / (lightest - darkest))
    tones = np.clip(np.rint(deep), 0, 15).astype(np.uint8).ravel()
    return Mark(phash, (tones[::2] << 4 | tones[1::2]).tobytes(), _bands(waves, signs))


def tones_of(sketch: bytes) -> Tones:
    """The tones of a sketch, 36 rows of 54, from 0, the darkest of the page, to 15, the lightest."""
    pairs = np.frombuffer(sketch, np.uint8)
    return np.stack([pairs >> 4, pairs & 15], axis=1).reshape(HIGH, WIDE).astype(np.float32)


def detail(tones: Tones, *, down: int = 5, across: int = 5) -> Tones:
    """Tones less their surroundings of that size: words and lines stay, light and layout go. Of one sketch or many."""
    above, before = down // 2, across // 2
    padded = np.pad(tones, [(0, 0)] * (tones.ndim - 2) + [(above, above), (before, before)], mode="edge")
    rows: Tones = np.add.reduce([padded[..., k : k + tones.shape[-2], :] for k in range(down)])
    around: Tones = np.add.reduce([rows[..., k : k + tones.shape[-1]] for k in range(across)])
    return tones - around / np.float32(down * across)


def _waves(picture: Tones) -> Tones:
    """Strengths of the waves in the windowed picture, without resampling it: any size gives the same waves."""
    (down, fade_down), (across, fade_across) = _basis(picture.shape[0]), _basis(picture.shape[1])
    level = fade_down @ picture @ fade_across
    spectrum = down @ (picture - level) @ across.T
    return np.asarray(spectrum[_DOWN, _ACROSS], np.float32)


@lru_cache(maxsize=256)
def _basis(length: int) -> tuple[Tones, Tones]:
    """The twelve longest cosines under the window, and the window itself with sum 1."""
    places = (np.arange(length) + 0.5) / length
    window = np.sin(np.clip((np.minimum(places, 1 - places) - BORDER) / FADE, 0, 1) * np.pi / 2) ** 2
    window /= window.sum()
    cosines = np.cos(np.arange(12)[:, None] * places * np.pi) * window
    return cosines.astype(np.float32), window.astype(np.float32)


def _bands(waves: Tones, signs: NDArray[np.bool_]) -> list[int]:
    """Each band as it is and with its weakest wave's sign turned, the likeliest to differ in a copy."""
    found = []
    for number, chosen in enumerate(_CHOSEN):
        value = number << BAND | int(signs[chosen] @ _POWERS)
        weakest = int(np.abs(waves[chosen]).argmin())
        found += [value, value ^ 1 << weakest]
    return found
