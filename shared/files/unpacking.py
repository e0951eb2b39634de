"""Archives as the 7-Zip program sees them: what they list, and the bytes of chosen entries.

The program prints the chosen entries one after the other, in the order of its listing: the sizes of the listing say
where one ends, its checksums prove it. A solid archive is so unpacked once, not once for every page.
"""

import zlib
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from itertools import pairwise
from typing import Literal

from shared.errors import Reject, TooLarge
from shared.files.containers import Limits, Unreadable
from shared.files.entries import CUT_OFF, DAMAGED, DEVICE, LINK, over_page_limit, protected, too_many
from shared.files.seven_zip import LIST, MEMORY, PACKED_TARS, UNPACK, EndlessLine, Output, TooSlow

RARS = ("rar", "rar5")
# What one run may hold in memory to put its pages in order; more pages cost more runs.
WINDOW, SOLID_WINDOW = 64 << 20, 256 << 20
NAMES_BYTES = 100_000  # as arguments of a program
MOST_FAULTS, MOST_BLOCK_FAULTS = 200, 2
IN_PARTS = "is one part of an archive in several parts. Unpack all parts together and add the folder instead."


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a listing. Entries of one `block` are packed together: damage in one spoils those after it.

    `path` is as the program prints it, with bytes that are no UTF-8 as surrogates. `size` and `crc` are None where the
    archive does not say.
    """

    path: str
    kind: Literal["file", "folder", "link", "device"]
    size: int | None
    crc: int | None
    method: str
    block: int
    encrypted: bool
    in_parts: bool


def listing(file: FileIO, *, kind: str, name: str, limits: Limits) -> list[Listed]:
    """Every entry of an archive in its own order.

    Raises `Reject` for what is damaged, cut off, protected or one part of several, `TooLarge` for what lists too much.
    """
    entries: list[Listed] = []
    names_bytes = 0
    with Output(LIST, file=file, kind=kind, seconds=limits.seconds) as output:
        try:
            for fields in _records(output.lines()):
                entries.append(_listed(fields, kind=kind, before=entries))
                names_bytes += len(entries[-1].path)
                if len(entries) > limits.entries or names_bytes > limits.listing_bytes:
                    raise too_many(name, limits)
            said = output.errors()
        except TooSlow as error:
            raise TooLarge(f"{name} takes longer than {limits.seconds} seconds to list. Repack it.") from error
        except EndlessLine as error:
            raise too_many(name, limits) from error
    if "encrypted" in said or "Wrong password" in said:
        raise protected(name)
    if "Missing volume" in said or any(entry.in_parts for entry in entries):
        raise Reject(f"{name} {IN_PARTS}")
    if "allocate" in said:
        raise TooLarge(f"{name} needs more than {MEMORY >> 30} GB of memory to open. Repack it as an ordinary zip.")
    if "Unexpected end" in said:
        raise Reject(f"{name} is cut off before its end, or one part of several. Get a complete copy.")
    if said:
        raise Reject(f"{name} is damaged: its table of contents cannot be read. Get a complete copy.")
    return entries


def _records(lines: Iterator[bytes]) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    for line in lines:
        key, given, value = line.decode("utf-8", "surrogateescape").partition(" = ")
        if given or key.endswith(" ="):
            fields[key.removesuffix(" =")] = value
        elif not line:
            if "Path" in fields:
                yield fields
            fields = {}
    if "Path" in fields:
        yield fields


def _listed(fields: dict[str, str], *, kind: str, before: Sequence[Listed]) -> Listed:
    last = before[-1].block if before else -1
    if kind in RARS:
        block = last + (fields.get("Solid") != "+")
    elif kind in PACKED_TARS:
        block = 0
    elif kind == "7z" and fields.get("Block", "").isdigit():
        block = int(fields["Block"])
    else:
        block = len(before)
    attributes = fields.get("Attributes", "")
    mode = fields.get("Mode") or attributes.split(" ")[-1]
    links = ("Symbolic Link", "Hard Link", "Copy Link")
    what: Literal["file", "folder", "link", "device"] = "file"
    if fields.get("Folder") == "+" or attributes.startswith("D"):
        what = "folder"
    elif mode.startswith("l") or any(fields.get(link) for link in links):
        what = "link"
    elif mode.startswith(("c", "b", "p", "s")):
        what = "device"
    size, crc = fields.get("Size", ""), fields.get("CRC", "")
    return Listed(
        path=fields["Path"],
        kind=what,
        size=int(size) if size.isdecimal() else None,
        crc=int(crc, 16) if len(crc) == 8 else None,
        method=fields.get("Method", ""),
        block=block,
        encrypted=fields.get("Encrypted") == "+",
        in_parts="+" in (fields.get("Split Before"), fields.get("Split After"))
        or (kind in RARS and bool(fields.get("Volume Index"))),
    )


class Unpacker:
    """Reads entries of one listed archive; close it to end a run that is under way."""

    def __init__(self, file: FileIO, *, kind: str, entries: Sequence[Listed], limits: Limits) -> None:
        self._file = file
        self._kind = kind
        self._entries = entries
        self._limits = limits
        self._patience: float = limits.seconds
        self._running: set[Output] = set()
        blocks = [entry.block for entry in entries if entry.kind == "file" and entry.size]
        # Names are printed with some characters replaced: only a checksum proves that a name brought its own bytes.
        self._by_name = all(entry.crc is not None for entry in entries if entry.kind == "file" and entry.size)
        self.solid = not self._by_name or len(set(blocks)) < len(blocks)

    def read(self, places: Sequence[int], *, largest: int) -> Iterator[bytes | Unreadable]:
        """The bytes of these entries (places in the listing) in the order they are asked for, or why there are none.

        Over `largest` bytes is a reason. All of it together may take the seconds of the limits.
        """
        self._patience = self._limits.seconds
        for window in self._windows(places):
            contents = self._in_archive_order(sorted(window), largest=largest)
            if all(before < after for before, after in pairwise(window)):
                yield from contents
            else:
                kept = dict(zip(sorted(window), contents, strict=True))
                yield from (kept.pop(place) for place in window)

    def close(self) -> None:
        """End the program if it runs."""
        for output in self._running:
            output.close()

    def _windows(self, places: Sequence[int]) -> Iterator[list[int]]:
        """Pieces of `places` that rise as in the archive, or are small enough to be reordered in memory."""
        window: list[int] = []
        size, rising = 0, True
        for place in places:
            more = self._entries[place].size or 0
            rises = rising and (not window or place > window[-1])
            if window and not rises and size + more > (SOLID_WINDOW if self.solid else WINDOW):
                yield window
                window, size, rises = [], 0, True
            window.append(place)
            size, rising = size + more, rises
        if window:
            yield window

    def _in_archive_order(self, places: Sequence[int], *, largest: int) -> Iterator[bytes | Unreadable]:
        reasons = {place: reason for place in places if (reason := self._reason(place, largest=largest))}
        contents = self._unpacked([place for place in places if place not in reasons])
        for place in places:
            yield reasons[place] if place in reasons else next(contents)

    def _reason(self, place: int, *, largest: int) -> Unreadable | None:
        entry = self._entries[place]
        if entry.kind != "file":
            return Unreadable(LINK if entry.kind == "link" else DEVICE)
        if entry.size is None:
            return Unreadable(DAMAGED)
        return over_page_limit(entry.size, largest=largest) if entry.size > largest else None

    def _unpacked(self, places: Sequence[int]) -> Iterator[bytes | Unreadable]:
        """One run for all, and after each fault one for the rest, unless a block or the whole archive is hopeless."""
        rest = deque(places)
        faults: Counter[int] = Counter()
        hopeless: Unreadable | None = None
        while rest:
            try:
                for data in self._run(list(rest)):
                    rest.popleft()
                    yield data
                if not rest:
                    return
                content = self._alone(rest[0])
            except TooSlow:
                content = hopeless = Unreadable(
                    f"takes longer than {self._limits.seconds} seconds to unpack; repack the comic as an ordinary zip"
                )
            block = self._entries[rest.popleft()].block
            yield content
            if isinstance(content, Unreadable):
                faults[block] += 1
                if faults.total() > MOST_FAULTS:
                    hopeless = content
            while rest and (hopeless or (faults[block] > MOST_BLOCK_FAULTS and self._entries[rest[0]].block == block)):
                rest.popleft()
                yield hopeless or Unreadable(DAMAGED)

    def _run(self, places: Sequence[int]) -> Iterator[bytes]:
        """The bytes of entries in the archive's order, up to the first that is not as the listing says."""
        wanted = {self._entries[place].path for place in places}
        if not self._by_name or sum(map(len, wanted)) > NAMES_BYTES:
            names, printed = [], [place for place, entry in enumerate(self._entries) if entry.kind != "folder"]
        else:
            # A name may stand in the listing more than once.
            names = sorted(wanted)
            printed = [place for place, entry in enumerate(self._entries) if entry.path in wanted]
        asked = set(places)
        with self._output(names) as output:
            for place in printed:
                entry = self._entries[place]
                if place not in asked:
                    output.skip(entry.size or 0)
                    continue
                data = output.read(entry.size or 0)
                if not _whole(data, entry):
                    return
                yield data

    def _alone(self, place: int) -> bytes | Unreadable:
        """One entry that did not come out as expected among others: its bytes after all, or why there are none."""
        entry = self._entries[place]
        namesakes = [other.size or 0 for other in self._entries[:place] if other.path == entry.path]
        with self._output([entry.path]) as output:
            output.skip(sum(namesakes))
            data = output.read(entry.size or 0)
            if _whole(data, entry):
                return data
            said = output.errors() if len(data) < (entry.size or 0) else ""
        if "Unsupported Method" in said:
            method = entry.method or "an unknown method"
            return Unreadable(f"is packed with {method}, which is not supported; repack the comic as an ordinary zip")
        if "allocate" in said:
            return Unreadable(f"needs more than {MEMORY >> 30} GB of memory to unpack; repack it as an ordinary zip")
        if said.startswith("ended with -"):
            return Unreadable("makes the program that unpacks it fail; repack the comic as an ordinary zip")
        return Unreadable(CUT_OFF if "Unexpected end" in said else DAMAGED)

    @contextmanager
    def _output(self, names: Sequence[str]) -> Iterator[Output]:
        with Output(UNPACK, file=self._file, kind=self._kind, seconds=self._patience, names=names) as output:
            self._running.add(output)
            try:
                yield output
            finally:
                self._running.discard(output)
                self._patience = output.patience


def _whole(data: bytes, entry: Listed) -> bool:
    return len(data) == entry.size and entry.crc in (None, zlib.crc32(data))
