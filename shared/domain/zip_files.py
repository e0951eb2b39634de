"""What every reader of a stranger's zip needs: the faults to expect, a guard against endless listings, true names."""

import lzma
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from io import BufferedReader

from shared.errors import TooLarge

# What the standard library raises for damaged archives, found by feeding it damaged ones.
FAULTS = (zipfile.BadZipFile, struct.error, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError, IndexError)
ENCRYPTED = 0x1
UTF8 = 0x800
TAIL = 1 << 17  # zipfile looks for the end of a zip in its last 64 kB and a few bytes
CENTRAL = b"PK\x01\x02"


class GuardedFile(BufferedReader):
    """A file that refuses longer single reads than `longest`: zipfile reads a table of contents in one piece.

    `most`, while it is set, is how many entries such a piece may list: they cost far more than their bytes.
    """

    longest = 0
    most: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes; `TooLarge` when more than `longest` are wanted and there."""
        wanted = size if size is not None and size >= 0 else self.longest + 1
        data = super().read(min(wanted, self.longest + 1))
        if len(data) > self.longest or (self.most is not None and data.count(CENTRAL) > self.most):
            raise TooLarge("its table of contents is over the limit")
        return data


def entry_names(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The names of a zip's entries as they were meant, with `/` or, from old Windows programs, `\\` between folders."""
    names = [entry.filename for entry in entries]
    unmarked = [place for place, entry in enumerate(entries) if not entry.flag_bits & UTF8]
    raw = [entries[place].orig_filename.split("\0")[0].encode("cp437") for place in unmarked]
    for place, name in zip(unmarked, meant_names(raw), strict=True):
        names[place] = name
    return names


def meant_names(names: Sequence[bytes]) -> list[str]:
    """Names in bytes that say nothing about their encoding. All of one archive come from one program.

    They are UTF-8 when all can be, else Shift-JIS when that reads like Japanese, else code page 437 as zips have it.
    """
    encoding = _encoding([name for name in names if not name.isascii()])
    decoded = (_decoded(name, encoding) for name in names)
    return [text if text is not None else name.decode("cp437") for text, name in zip(decoded, names, strict=True)]


def _encoding(names: Sequence[bytes]) -> str:
    if all(_decoded(name, "utf-8") is not None for name in names):
        return "utf-8"
    japanese = [text for name in names if (text := _decoded(name, "cp932")) is not None]
    return "cp932" if len(japanese) * 2 > len(names) and _reads_japanese(japanese) else "cp437"


def _decoded(name: bytes, encoding: str) -> str | None:
    try:
        return name.decode(encoding)
    except UnicodeDecodeError:
        return None


def _reads_japanese(texts: Sequence[str]) -> bool:
    """Whether most characters beyond ASCII are Japanese ones in places where they make sense.

    An accented letter misread as Japanese is a lone character between Latin letters, or a narrow katakana.
    """
    likely = unlikely = 0
    for text in texts:
        padded = f" {text} "
        for before, char, after in zip(padded, padded[1:], padded[2:], strict=False):
            if char.isascii():
                continue
            alone = before.isascii() and after.isascii()
            beside_letter = before.isalpha() or after.isalpha()
            wide = unicodedata.east_asian_width(char) in "WF"
            if wide and not (alone and beside_letter):
                likely += 1
            else:
                unlikely += 1
    return likely > unlikely
