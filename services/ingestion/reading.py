"""Comics read in children that may die of them: verdicts, what is in a file, and its pages on all cores."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

from services.ingestion.describing import WRITTEN, Description, describe
from shared.domain.marks import Mark
from shared.errors import Reject, Unable
from shared.files.children import Answer, ChildDied, ChildLost, Children
from shared.files.containers import Limits
from shared.files.originals import request_for

JUDGE = "services.ingestion.pages:judge"
SURVEY = "services.ingestion.pages:survey"
TELL = "services.ingestion.pages:tell"
READ = "services.ingestion.pages:read"
MOST_LOST = 8  # pages that may bring a child down before the rest of the comic is left alone
LONGEST = 7 * 3600.0  # seconds after which the rest is left alone, well below the limit of the stage
MOST_TOLD = 20  # animations that are named
RUN = 4  # pages after each other that one child reads: few, so that all end together
TOGETHER = 8  # pages that are handed over to be kept at once

Range = tuple[int, int]
Keep = Callable[[Mapping[str, Path]], object]
"""Takes files to be kept, by the sha256 of what is in them."""


@dataclass(frozen=True, slots=True)
class Image:
    """A page's image without its bytes; `frames` of an animation, whose first is the page."""

    sha256: str
    media_type: str
    width: int
    height: int
    frames: int


@dataclass(frozen=True, slots=True)
class ReadPage:
    """One page: its image, or the reason (a sentence that names the page) why there is none; never both.

    `file` holds the bytes to keep, None where the original does.
    """

    number: int
    name: str
    error: str | None
    image: Image | None = None
    file: Path | None = None
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What is in a comic's file: its pages' names, in order."""

    media_type: str
    names: list[str]
    solid: bool


def require_comic(path: Path, *, name: str, limits: Limits, children: Children) -> str:
    """The media type of a file that is worth keeping.

    `Reject` unless it opens and at least one page can be read; a PDF, whose pages may take long, need only open.
    """
    return str(_told(children, JUDGE, request_for(path, name=name, limits=limits)).about["media_type"])


def survey(path: Path, *, name: str, limits: Limits, children: Children) -> Survey:
    """Open a file and see what is in it, decoding no page. Raises `Reject` as `open_container` does."""
    return Survey(**_told(children, SURVEY, request_for(path, name=name, limits=limits)).about)


def description(
    path: Path, *, name: str, sizes: Sequence[tuple[int, int] | None], limits: Limits, children: Children
) -> Description:
    """What a file says about itself, with the sizes of its pages, None for those that are unreadable.

    Where that brings the child down nothing is said but by the file's name, and a warning.
    """
    request = request_for(path, name=name, limits=limits, sizes=list(sizes))
    try:
        (answer,) = children.call(TELL, request)
    except ChildLost as lost:
        said = describe([], file_name=name, pages=[])
        said.records[0].warnings.append(f"what the file says about itself {lost}; nothing of it is used")
        return said
    return WRITTEN.validate_json(answer.data)


def _told(children: Children, function: str, request: dict[str, Any]) -> Answer:
    """The one answer about a file; `Reject` where that brings the child down."""
    try:
        (answer,) = children.call(function, request)
    except ChildLost as lost:
        raise _deadly(request["name"], lost) from lost
    return answer


def _deadly(name: str, lost: ChildLost) -> Reject:
    """What to tell of a file over which a child went down: only a crash is surely the file's own doing."""
    kind = Reject if isinstance(lost, ChildDied) and not lost.doubtful else Unable
    return kind(f"{name} {lost}. It may be damaged or made to do harm; get another copy.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a comic is read: its file, the children and how many of them, and where the bytes of pages go.

    `referenced`: the file stays where it is, and only what it does not hold itself, drawn and converted pages, is kept.
    """

    path: Path
    name: str
    limits: Limits
    children: Children
    parts: int
    folder: Path
    referenced: bool = False

    def pages(self, found: Survey, *, keep: Keep) -> list[ReadPage]:
        """Every page once, in order; `keep` is handed the files of a few pages at a time, from several threads.

        A page that brings its child down is unreadable for that reason; its siblings are read by another child. What
        is not reached within `LONGEST` is unreadable, too.
        """
        stop, lost, until = Event(), list[int](), monotonic() + LONGEST

        def work(share: Sequence[Range]) -> list[ReadPage]:
            read: list[ReadPage] = []
            kept: dict[str, Path] = {}
            for page in self._share(share, found.names, lost=lost, until=until):
                read.append(page)
                if page.image is not None and page.file is not None:
                    kept[page.image.sha256] = page.file
                if len(kept) == TOGETHER:
                    keep(kept)
                    kept = {}
                if stop.is_set():
                    break
            keep(kept)
            return read

        shares = shared_out(len(found.names), 1 if found.solid else self.parts)
        with ThreadPoolExecutor(max(1, len(shares)), thread_name_prefix="reading") as readers:
            working = [readers.submit(work, share) for share in shares]
            for one in working:
                one.add_done_callback(lambda ended: stop.set() if ended.exception() else None)
        return sorted((page for one in working for page in one.result()), key=lambda page: page.number)

    def _share(
        self, share: Sequence[Range], names: Sequence[str], *, lost: list[int], until: float
    ) -> Iterator[ReadPage]:
        left = deque(number for start, stop in share for number in range(start, stop))
        request = request_for(
            self.path, name=self.name, limits=self.limits, folder=str(self.folder), referenced=self.referenced
        )
        missing = "is not where the file's table of contents says"
        doubted: int | None = None
        while left:
            if len(lost) >= MOST_LOST:
                missing = f"was not tried, because {len(lost)} others brought the decoder down"
                break
            opened = False
            try:
                for about, sketch in self.children.call(READ, request | {"ranges": ranges_of(left)}):
                    if opened:
                        yield self._page(left.popleft(), about, sketch)
                    opened = True
                    if monotonic() > until:
                        missing = f"was not tried, because the comic takes longer than {LONGEST / 3600:g} hours to read"
                        break
            except ChildLost as fault:
                if not opened:
                    raise _deadly(self.name, fault) from fault
                if not left:  # it went down over the end of the file, with nothing left to lose
                    break
                if fault.doubtful and left[0] != doubted:
                    doubted = left[0]
                    continue
                lost.append(left[0])
                yield _failed(left[0], names[left.popleft()], str(fault))
            else:
                break
        for number in left:
            yield _failed(number, names[number], missing)

    def _page(self, number: int, about: dict[str, Any], sketch: bytes) -> ReadPage:
        if about["number"] != number:
            raise RuntimeError(f"page {about['number']} came instead of {number}")
        if about["error"] is not None:
            return ReadPage(number, about["name"], about["error"])
        mark = about["mark"]
        return ReadPage(
            number,
            about["name"],
            None,
            Image(**about["image"]),
            self.folder / str(number) if about["kept"] else None,
            Mark(mark["phash"], sketch, mark["bands"]) if mark else None,
        )


def _failed(number: int, name: str, reason: str) -> ReadPage:
    return ReadPage(number, name, f"{name} {reason}")


def animations(pages: Sequence[ReadPage]) -> list[str]:
    """What to tell about pages that move; of the first few."""
    moving = [page for page in pages if page.image is not None and page.image.frames > 1]
    return [
        f"{page.name} is an animation of {page.image.frames} pictures; only its first is read"
        for page in moving[:MOST_TOLD]
        if page.image is not None
    ]


def shared_out(count: int, parts: int) -> list[list[Range]]:
    """Numbers 0 to `count` in short runs for each of at most `parts` readers in turn, so that all have like pages."""
    runs = [(start, min(start + RUN, count)) for start in range(0, count, RUN)] if parts > 1 else [(0, count)]
    return [share for share in (runs[part::parts] for part in range(parts)) if share]


def ranges_of(numbers: Sequence[int]) -> list[Range]:
    """Ascending numbers as ranges, stop excluded."""
    ranges: list[Range] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number:
            ranges[-1] = (ranges[-1][0], number + 1)
        else:
            ranges.append((number, number + 1))
    return ranges
