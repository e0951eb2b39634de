"""Questions about this process's own children."""

import os
from pathlib import Path


def zombies() -> list[int]:
    """Children of this process that ended and were not waited for."""
    found = []
    for process in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        try:
            state, parent = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just gone
        if state == "Z" and int(parent) == os.getpid():
            found.append(process)
    return found
