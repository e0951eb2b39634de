"""Files of checkpoints and of training state, written so that no crash leaves half of one."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file in one step: after a crash it holds the old content or the new, and on a full disk the old."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
