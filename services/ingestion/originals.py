"""Originals that stay where they are: which may be read, and what their bytes are."""

import stat
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from shared.domain.packing import pack_folder
from shared.errors import Conflict, NotFound, Reject, Retry
from shared.files.originals import Stamp, cannot_read, require_unchanged, stamp_of

PIECE = 1 << 20


class Fingerprint(NamedTuple):
    """What an original is: the hash of the bytes it would be sent as, and the stamp it had then."""

    sha256: str
    stamp: Stamp


def original_of(path: str, *, name: str, folders: Sequence[Path]) -> Path:
    """The real place of an original, links followed; `Reject` unless it is there, inside one of `folders`."""
    if not Path(path).is_absolute():
        raise Reject(f"{name} was named by a path that is not absolute; name it from the root of the file system.")
    try:
        real = Path(path).resolve()
        allowed = [folder.resolve() for folder in folders]
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise Reject(f"{name} cannot be reached by the server; check the links on its path.") from error
    if not any(real.is_relative_to(folder) for folder in allowed):
        raise Reject(
            f"{name} does not lie in a folder that the server may read comics from. Name the folder in "
            "COMICS_LIBRARY (several with ':' between them) where the server starts, or add it without --reference."
        )
    try:
        mode = real.stat().st_mode
    except FileNotFoundError as error:
        raise NotFound(
            f"The server finds no {name} at this place; it must see the same folders as you, under the same paths."
        ) from error
    except OSError as error:
        raise cannot_read(name, error) from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise Reject(f"{name} is neither a file nor a folder.")
    return real


def fingerprint(original: Path, *, name: str) -> Fingerprint:
    """Hash an original in pieces; a folder as the zip it is packed into when it is sent, so that both are one comic.

    `Conflict` when it changes meanwhile; what `cannot_read` says when it cannot be read.
    """
    digest = sha256()
    try:
        before = stamp_of(original)
        for piece in pack_folder(original) if original.is_dir() else _pieces(original):
            digest.update(piece)
        after = stamp_of(original)
    except OSError as error:
        raise cannot_read(name, error) from error
    if before != after:
        raise Conflict(f"{name} changed while it was read; add it again when it is whole.")
    return Fingerprint(digest.hexdigest(), after)


def still_there(original: Path, stamp: Stamp) -> bool:
    """Whether an original lies where it lay and is what it was."""
    try:
        require_unchanged(original, name=original.name, stamp=stamp)
    except (Reject, Retry):
        return False
    return True


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
