"""Names of pages inside a comic: which entries are pages, in which order they are read, how a name may be shown."""

import re
import unicodedata
from pathlib import PurePosixPath

# Formats that Pillow cannot decode (HEIC, JPEG XL) are listed too: such a page is shown with a reason, never dropped.
IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2", ".j2k",
     ".jxl", ".heic", ".heif")
)  # fmt: skip
LONGEST_NAME = 200

Chunk = tuple[str, int, str]
NaturalKey = tuple[tuple[tuple[Chunk, ...], ...], str]

_CHUNK = re.compile(r"([^0-9]*)([0-9]*)")
_DRIVE = re.compile(r"^[A-Za-z]:(?=/|$)")
_FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def natural_key(name: str) -> NaturalKey:
    """Sort key under which `p2` comes before `p10`, folder by folder, in letters of either case.

    Numbers are compared by their value however long they are; the raw name decides between equals, so that the order
    is total and the same everywhere.
    """
    *folders, last = _parts(name) or [""]
    stem, _, suffix = last.rpartition(".")
    words = [*folders, stem, suffix] if stem else [*folders, last]
    return tuple(_chunks(word) for word in words), name


def is_page_name(name: str) -> bool:
    """Whether an entry is a page by its name: an image suffix, and no litter such as `__MACOSX/`, `._p1.jpg`."""
    parts = _parts(name)
    if not parts or name.endswith(("/", "\\")) or is_litter(name):
        return False
    return PurePosixPath(parts[-1]).suffix.lower() in IMAGE_SUFFIXES


def is_litter(name: str) -> bool:
    """Whether a name is hidden or what macOS leaves beside files; a climbing `..` is not, it is reported elsewhere."""
    return any(part == "__MACOSX" or (part.startswith(".") and part not in {".", ".."}) for part in _parts(name))


def climbs(name: str) -> bool:
    """Whether a name tries to leave its folder: a `..` between slashes of either kind."""
    return ".." in _parts(name)


def display_name(name: str) -> str:
    """A name of a stranger made safe to show: relative, one line, at most 200 characters, its end kept.

    Control and direction-changing characters, drive letters, leading slashes and `..` disappear; never used as a path.
    """
    parts = [part for part in _parts(_DRIVE.sub("", name.replace("\\", "/"))) if part not in {".", ".."}]
    shown = "".join(char for char in "/".join(parts) if unicodedata.category(char) not in _FORBIDDEN).strip()
    if len(shown) > LONGEST_NAME:
        shown = "…" + shown[1 - LONGEST_NAME :]
    return shown or "unnamed"


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part]


def _chunks(word: str) -> tuple[Chunk, ...]:
    # NFKC makes full-width digits plain ones; a number is compared by (length, digits), which no length can overflow.
    found = _CHUNK.findall(unicodedata.normalize("NFKC", word).casefold())
    stripped = ((text, digits.lstrip("0") or digits[-1:]) for text, digits in found if text or digits)
    return tuple((text, len(digits), digits) for text, digits in stripped)
