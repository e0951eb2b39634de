"""What spoils a panel on its way to us: poor scans and covered parts of pictures, misread and lost words."""

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

# What OCR takes one letter for, as in lettering by hand.
MISREAD = {
    "o": "0", "0": "o", "l": "1", "1": "l", "i": "l", "e": "c", "c": "e", "s": "5", "5": "s", "b": "8", "g": "q",
    "u": "v", "v": "u", "h": "b", "n": "h", "a": "o", "t": "f", "f": "t", "r": "n", "m": "rn", "w": "vv", "d": "cl",
}  # fmt: skip


def noisy_picture(rng: np.random.Generator, picture: Picture) -> Picture:
    """An RGB picture (S, S, 3) with grain, washed out colours and up to three covered patches."""
    pixels = picture.astype(np.float32)
    size = len(picture)
    wash = float(rng.uniform(0, 0.45))
    pixels = pixels * (1 - wash) + float(rng.uniform(60, 220)) * wash
    coarse = size // 4
    grain = rng.normal(0, rng.uniform(8, 40), (coarse, coarse, 3)).repeat(4, 0).repeat(4, 1)
    pixels[: 4 * coarse, : 4 * coarse] += grain
    pixels += rng.normal(0, rng.uniform(4, 30), pixels.shape)
    for _ in range(int(rng.integers(0, 4))):
        tall, wide = (int(side) for side in rng.uniform(0.15, 0.45, 2) * size)
        top, left = int(rng.integers(0, size - tall)), int(rng.integers(0, size - wide))
        pixels[top : top + tall, left : left + wide] = rng.uniform(0, 255, 3)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def noisy_text(rng: np.random.Generator, text: str) -> str:
    """A text as poor OCR gives it: words lost and out of order, letters misread or dropped; never nothing at all."""
    words = text.split()
    lost, wrong = float(rng.uniform(0, 0.4)), float(rng.uniform(0.02, 0.2))
    kept = [word for word in words if rng.random() >= lost] or words[:1]
    if rng.random() < 0.3:
        kept = [kept[place] for place in rng.permutation(len(kept))]
    spoiled = ["".join(_letter(rng, letter, wrong) for letter in word) for word in kept]
    return " ".join(word for word in spoiled if word) or text


def fewer_words(rng: np.random.Generator, text: str) -> str:
    """A text with some of its lines and words left out, never all: no single word or line may carry everything."""
    lines = [line for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if rng.random() >= 0.25] or [lines[int(rng.integers(len(lines)))]]
    words = [line.split() for line in lines]
    return "\n".join(" ".join([word for word in line if rng.random() >= 0.1] or line[:1]) for line in words)


def _letter(rng: np.random.Generator, letter: str, wrong: float) -> str:
    if rng.random() >= wrong:
        return letter
    if rng.random() < 0.3:
        return ""
    return MISREAD.get(letter.lower(), letter)
