"""A folder of images on this machine."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.domain.packing import PLAINLY, folder_files
from shared.domain.page_order import is_page_name
from shared.errors import Reject, TooLarge
from shared.files.containers import Limits, Unreadable
from shared.files.entries import DEVICE, EntryContainer, over_page_limit


class ImageFolder(EntryContainer):
    """The images that lie directly in a folder, in natural order of their names; links are left out."""

    media_type = "inode/directory"

    def __init__(self, path: Path, *, name: str, limits: Limits) -> None:
        self.name = name
        self._limits = limits
        files = folder_files(path)
        if len(files) > limits.entries:
            raise TooLarge(f"{name} holds more than {limits.entries} images; split it into separate comics")
        self._files = [file.path for file in files]
        self._names = [file.name for file in files]
        self._pages = [place for place, file in enumerate(self._names) if is_page_name(file)]
        if not self._pages:
            raise Reject(f"{name} holds no page images. Expected a folder of JPEG, PNG or WebP files.")

    def _contents(self, places: Sequence[int], *, largest: int) -> Iterator[bytes | Unreadable]:
        return (_read(self._files[place], largest=largest) for place in places)


def _read(file: Path, *, largest: int) -> bytes | Unreadable:
    try:
        opened = os.open(file, os.O_RDONLY | PLAINLY)
        with open(opened, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                return Unreadable(DEVICE)
            data = stream.read(largest + 1) if status.st_size <= largest else b""
    except OSError as error:
        if file.is_symlink():
            return Unreadable(DEVICE)
        return Unreadable(f"cannot be read: {error.strerror or 'the disk fails'}")
    size = max(status.st_size, len(data))
    return over_page_limit(size, largest=largest) if size > largest else data
