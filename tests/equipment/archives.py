"""Archives made on the fly: tar by Python, 7z and unusual zips by the 7-Zip program; and what they must not leave."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from shared.files.seven_zip import program

LONG_AGO = 1_000_000_000
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gz": partial(gzip.compress, mtime=0),
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


def seven_zipped(folder: Path, entries: Mapping[str, bytes], *, kind: str = "7z", options: Iterable[str] = ()) -> bytes:
    """An archive of named entries, made in `folder` by `7zz a` with `options` (`-ms=on`, `-mm=Deflate64` …)."""
    made = Path(tempfile.mkdtemp(dir=folder))
    for name, data in entries.items():
        (made / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (made / "in" / name).write_bytes(data)
        os.utime(made / "in" / name, (LONG_AGO, LONG_AGO))
    command = [program(), "a", f"-t{kind}", *options, "--", str(made / "out"), *entries]
    subprocess.run(command, cwd=made / "in", check=True, capture_output=True)
    # A format's suffix is added to a name that has none.
    (found,) = (path for path in made.iterdir() if path.is_file())
    return found.read_bytes()


def tarred(entries: Iterable[tuple[str | tarfile.TarInfo, bytes]], *, packed: str = "") -> bytes:
    """A tar of entries, by name or by a whole header; `packed` as a whole with gz, bz2 or xz."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for header, data in entries:
            entry = tarfile.TarInfo(header) if isinstance(header, str) else header
            if entry.isreg():
                entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return PACKERS[packed](out.getvalue())


def special(name: str, kind: bytes, *, target: str = "") -> tarfile.TarInfo:
    """The header of a link, a device or a pipe, by the constants of `tarfile`."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def child_processes() -> set[int]:
    """Ids of this process's children, ended ones that nobody waited for among them."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        found.update(map(int, (task / "children").read_text().split()))
    return found


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fails when the block leaves a process, an open file or a temporary file behind."""
    outside = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        before, files = child_processes(), len(os.listdir("/proc/self/fd"))
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = outside
        assert child_processes() <= before
        assert os.listdir(folder) == []
        assert len(os.listdir("/proc/self/fd")) <= files
