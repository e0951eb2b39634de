"""Folders for the pictures of runs, on this machine's disk. What killed runs left goes when the next one begins."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

PREFIX = "comics-run-"
HOLDER = "held"  # a file that whoever uses the folder has locked; the kernel lets go of it with its last process


@contextmanager
def run_folder() -> Iterator[Path]:
    """An empty folder while a run lasts."""
    sweep()
    with TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as made, (Path(made) / HOLDER).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pages = Path(made) / "pages"
        pages.mkdir()
        yield pages


def sweep() -> None:
    """Remove the folders that nobody uses any more."""
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        # Not there, not ours, or in use: whoever has made it and not locked it yet has no such file for a moment.
        with suppress(OSError), (folder / HOLDER).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
