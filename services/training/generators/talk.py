"""One panel's talk while it is placed: what may not be covered, and taking down what was drawn."""

from dataclasses import dataclass, field

import numpy as np

from services.training.generators.artwork import Drawn
from services.training.generators.balloons import Spoken
from services.training.generators.layouts import Cell
from services.training.generators.lettering import Lettering, lettering, sentence, signs
from services.training.generators.made import MarkKind
from services.training.generators.sheets import Sheet, hand_of
from shared.domain.geometry import intersection
from shared.domain.schema import Box

People = list[tuple[Drawn, Box]]


@dataclass
class Talk:
    """One panel's talk while it is placed: where it is, who is there, what may not be covered, what was said."""

    sheet: Sheet
    cell: Cell
    people: People
    covered: list[Box]
    said: list[Spoken] = field(default_factory=list)

    @property
    def box(self) -> Box:
        """The cell in which is spoken."""
        return self.cell.box

    def free(self, spot: Box) -> bool:
        """Whether neither lettering nor a panel that lies on this one is at the spot."""
        return not any(intersection(spot, other) > 0 for other in [*self.sheet.taken, *self.covered])

    def keep(self, kind: MarkKind, made: Spoken, *, speaker: Drawn | None = None) -> None:
        """Takes down what was drawn, and forgets what it hides."""
        if kind in ("balloon", "caption"):
            self.sheet.cover(made.outer)
        self.sheet.taken.append(made.outer)
        whole = speaker.whole if speaker is not None else None
        self.sheet.add_spoken(kind, words=made.words, outline=made.outer, text=made.text, home=self.box, speaker=whole)
        self.said.append(made)


def piece_of_speech(
    rng: np.random.Generator, sheet: Sheet, *, widest: float, tallest: float, words: int, wide: bool = False
) -> Lettering:
    """Some speech of `words` sentences (0: one word) in the page's hand; `wide` lines use all the width there is.

    A foreign hand keeps to the room given; a Latin one about, and may be too high for it.
    """
    hand = hand_of(rng, sheet)
    size = max(6, int(sheet.image.width * sheet.style.letter * float(rng.uniform(0.85, 1.25))))
    if hand.script != "latin":
        size = max(7, int(size * 0.95))
        return signs(rng, hand, size=size, widest=widest, tallest=tallest)
    text = " ".join(sentence(rng) for _ in range(words)) if words else sentence(rng).split()[-1]
    letters = widest / (size * (0.66 if hand.upper else 0.52))
    if not wide:
        letters = min(letters, 6 + len(text) ** 0.5 * float(rng.uniform(1.5, 2.6)))
    return lettering(rng, text, size=size, letters=max(5, int(letters)), hand=hand)


def hides(spot: Box, people: People) -> bool:
    """Whether a face lies at the spot."""
    return any(d.face is not None and intersection(spot, d.face) > 0 for d, _ in people)
