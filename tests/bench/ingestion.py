"""Area `ingestion`: pages against bare loops, ten thousand comics at once, and how well duplicates are found."""

import importlib
from collections.abc import Iterator

PARTS = ("pages", "duplicates", "bulk")


def figures() -> Iterator[tuple[str, float, str]]:
    """All figures of the area."""
    for part in PARTS:
        yield from importlib.import_module(f"tests.bench.ingestion_{part}").figures()
