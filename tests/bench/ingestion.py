"""Area `ingestion`: pages against bare loops, ten thousand comics at once, and how well duplicates are found."""

import subprocess
import sys
from collections.abc import Iterator

from tests.bench.__main__ import PARTS


def figures() -> Iterator[tuple[str, float, str]]:
    """All figures of the area; each part has servers, and hence a process, of its own."""
    for part in PARTS:
        run = subprocess.run([sys.executable, "-m", "tests.bench", part], stdout=subprocess.PIPE, text=True, check=True)
        for line in run.stdout.splitlines():
            if line.startswith("bench "):
                _, name, value, *unit = line.split()
                yield name, float(value), " ".join(unit)
