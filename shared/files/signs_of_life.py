"""Signs of life of a child that waits for a program which has a limit of its own: its parent waits on, too.

Only `seven_zip` gives them. Decoding gives none: a page that hangs its decoder is found out by the silence.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

EVERY = 0.5  # seconds between two signs, well below any silence that ends a child


class _Line:
    """Where signs go in this process: nowhere unless it is a child at work."""

    say: Callable[[], None] | None = None
    said = 0.0


@contextmanager
def heard(say: Callable[[], None]) -> Iterator[None]:
    """Have `say` called now and then while the block waits."""
    _Line.say, _Line.said = say, monotonic()
    try:
        yield
    finally:
        _Line.say = None


def alive() -> None:
    """Called while something is waited for, as often as one likes."""
    if _Line.say is not None and monotonic() - _Line.said >= EVERY:
        _Line.said = monotonic()
        _Line.say()
