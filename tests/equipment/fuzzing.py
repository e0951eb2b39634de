"""Damage done on purpose: recipes that spoil real files in the ways that find bugs, and the count of what was tried.

A recipe is a few small numbers and not bytes, so that a failing one can be read, shrunk and run again.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 2**64 - 1)
FORMS = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")
SNIPPETS = (b"\0", b"<", b"]]>", b"&", b"\"'", b"../", b"\n\n", b"PK\x01\x02", b"PK\x05\x06", b"%", b"\xff\xd9", b"obj")

Step = tuple[str, int, int, int]
Recipe = tuple[str, Sequence[Step]]
# Beginnings and ends are where formats keep what they say about themselves.
PLACES = st.one_of(st.integers(0, 300), st.integers(-300, -1), st.integers(0, 1 << 20))
STEPS = st.tuples(
    st.sampled_from(("cut", "flip", "flip", "number", "number", "splice", "repeat", "remove", "insert", "zero")),
    PLACES,
    st.integers(0, 255),
    st.integers(0, 1 << 12),
)


def recipes(seeds: Mapping[str, bytes]) -> st.SearchStrategy[Recipe]:
    """Which seed, and what is done to it, one step after the other."""
    return st.tuples(st.sampled_from(sorted(seeds)), st.lists(STEPS, min_size=1, max_size=5))


def cooked(recipe: Recipe, seeds: Mapping[str, bytes]) -> bytes:
    """The spoilt file."""
    name, steps = recipe
    data, names = bytearray(seeds[name]), sorted(seeds)
    for kind, place, which, length in steps:
        at = place % (len(data) + 1)
        if kind == "cut":
            del data[at:]
        elif kind == "flip" and at < len(data):
            data[at] ^= which or 0x80
        elif kind == "number":
            form = FORMS[which % len(FORMS)]
            size = struct.calcsize(form)
            number = NUMBERS[length % len(NUMBERS)] & ((1 << 8 * size) - 1)
            data[at : at + size] = struct.pack(form, number)
        elif kind == "splice":
            other = seeds[names[which % len(names)]]
            begin = (length * 37) % (len(other) + 1)
            data[at : at + length] = other[begin : begin + length]
        elif kind == "repeat":
            data[at:at] = data[at : at + length] * (which % 8)
        elif kind == "remove":
            del data[at : at + length]
        elif kind == "insert":
            data[at:at] = SNIPPETS[which % len(SNIPPETS)] * (length % 64)
        elif kind == "zero":
            data[at : at + length] = bytes(min(length, max(0, len(data) - at)))
    return bytes(data)


@dataclass
class Tally:
    """What a fuzz run comes to; every test that fuzzes hands in one."""

    inputs: int = 0
    opened: int = 0
    refused: int = 0
    pages: int = 0
    crashes: int = 0
    temp_leaks: int = 0
    processes_left: int = 0
