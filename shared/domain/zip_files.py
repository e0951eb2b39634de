"""What every reader of a stranger's zip needs: the faults to expect, and a file that refuses endless listings."""

import lzma
import struct
import zipfile
import zlib
from io import BufferedReader

from shared.errors import TooLarge

# What the standard library raises for damaged archives, found by feeding it damaged ones.
FAULTS = (zipfile.BadZipFile, struct.error, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError, IndexError)
ENCRYPTED = 0x1
TAIL = 1 << 17  # zipfile looks for the end of a zip in its last 64 kB and a few bytes


class GuardedFile(BufferedReader):
    """A file that refuses longer single reads than `longest`: zipfile reads a table of contents in one piece."""

    longest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes; `TooLarge` when more than `longest` are wanted and there."""
        wanted = size if size is not None and size >= 0 else self.longest + 1
        data = super().read(min(wanted, self.longest + 1))
        if len(data) > self.longest:
            raise TooLarge("its table of contents is over the limit")
        return data
