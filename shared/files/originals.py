"""Files that stay where the user has them: whether one is still what it was, and single pages out of it."""

import errno
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shared.domain import packing
from shared.errors import Conflict, NotFound, Reject, Retry
from shared.files.containers import Container, Limits
from shared.files.formats import open_container

Stamp = packing.Stamp
stamp_of = packing.stamp
FOR_GOOD = frozenset((errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.EINVAL))


def require_unchanged(path: Path, *, name: str, stamp: Stamp) -> None:
    """`NotFound` when an original is not where it was, `Conflict` when it is not what it was."""
    try:
        found = stamp_of(path)
    except OSError as error:
        raise cannot_read(f"The original of {name}", error) from error
    if found != stamp:
        raise changed(name)


def changed(name: str) -> Conflict:
    """What to tell somebody whose original is another than the one that was added."""
    return Conflict(f"The original of {name} has changed since it was added; add it again.")


def request_for(path: Path, *, name: str, limits: Limits, **more: Any) -> dict[str, Any]:
    """What a child is told to open."""
    return {"path": str(path), "name": name, "limits": asdict(limits), **more}


def opened(request: dict[str, Any]) -> Container:
    """Called in a child: the container of a request. Raises what `open_container` does, and `cannot_read`."""
    name = request["name"]
    try:
        return open_container(Path(request["path"]), name=name, limits=Limits(**request["limits"]))
    except OSError as error:
        raise cannot_read(name, error) from error


def cannot_read(name: str, error: OSError) -> Reject | Retry:
    """What to tell somebody whose file the system does not give us."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFound(f"{name} is not where it was; put it back, or add it at its new place.")
    if isinstance(error, PermissionError):
        return Reject(f"{name} may not be read; give this program access to it.")
    if error.errno in FOR_GOOD:
        return Reject(f"{name} cannot be read: {error.strerror}; check the links and names on its path.")
    return Retry(f"{name} cannot be read: {error.strerror or 'the disk fails'}.", after=30)


def page_bytes(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Called in a child: the bytes of page `number` as they lie in the container.

    Of a solid archive also the pages before it, which had to be unpacked anyway, and `ahead` pages after it.
    """
    number, ahead = request["number"], request["ahead"]
    with opened(request) as container:
        first, last = (0, number + ahead) if container.solid else (number, number)
        for page in container.pages(start=first, stop=last + 1):
            yield {"number": page.number, "error": page.error}, page.data or b""
