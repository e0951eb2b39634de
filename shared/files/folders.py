"""A folder of images on this machine."""

from collections.abc import Iterator
from pathlib import Path

from shared.domain.page_order import display_name, is_page_name, natural_key
from shared.errors import Reject, TooLarge
from shared.files.containers import Container, Limits, RawPage


class ImageFolder(Container):
    """The images that lie directly in a folder, in natural order of their names; links are not followed."""

    media_type = "inode/directory"

    def __init__(self, path: Path, *, name: str, limits: Limits) -> None:
        self.name = name
        self._limits = limits
        found = (file for file in path.iterdir() if is_page_name(file.name) and not file.is_dir())
        self._files = sorted(found, key=lambda file: natural_key(file.name))
        if not self._files:
            raise Reject(f"{name} holds no page images. Expected a folder of JPEG, PNG or WebP files.")
        if len(self._files) > limits.entries:
            raise TooLarge(f"{name} holds more than {limits.entries} images; split it into separate comics")

    def __len__(self) -> int:
        return len(self._files)

    def pages(self, *, start: int = 0, stop: int | None = None) -> Iterator[RawPage]:
        """Every page, verbatim; a file that cannot be read is a page with a reason."""
        for number, file in enumerate(self._files[start:stop], start=start):
            shown = display_name(file.name)
            if file.is_symlink() or not file.is_file():
                yield RawPage(number, shown, None, "is a link or a device, not a picture")
                continue
            try:
                with file.open("rb") as opened:
                    data = opened.read(self._limits.page_bytes + 1)
            except OSError as error:
                yield RawPage(number, shown, None, f"cannot be read: {error.strerror or 'the disk fails'}")
                continue
            if len(data) > self._limits.page_bytes:
                yield RawPage(number, shown, None, f"is over the limit of {self._limits.page_bytes >> 20} MB a page")
            else:
                yield RawPage(number, shown, data)
