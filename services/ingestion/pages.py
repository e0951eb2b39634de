"""The child's side of reading: what runs where a stranger's file may do its worst. Called by `reading` by name."""

import errno
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL.Image import Image

from services.ingestion.describing import WRITTEN, PagePlace, describe
from shared.domain.marks import Mark, mark_of
from shared.domain.page_order import display_name
from shared.errors import Reject, Retry
from shared.files.containers import DEFAULT_LIMITS, Container, Limits, RawPage, Unreadable
from shared.files.images import Look, PageImage, drawn, examine
from shared.files.originals import opened

Told = Iterator[tuple[dict[str, Any], bytes]]
PDF = "application/pdf"
MOST_TRIED = 20  # pages that cannot be read before a verdict is left to the stage
PATIENCE = 5.0  # seconds, likewise
SHOWN = ("sha256", "media_type", "width", "height", "frames")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: an image, or the reason (a sentence that names the page) why there is none; never both."""

    number: int
    """From 0, in reading order."""
    name: str
    image: PageImage | None
    error: str | None


def check(raw: RawPage, *, limits: Limits = DEFAULT_LIMITS, look: Look | None = None) -> Page:
    """Decode a page exactly once; `look` is shown the page as `examine` does."""
    if raw.data is None:
        return Page(raw.number, raw.name, None, f"{raw.name} {raw.error}")
    try:
        if raw.size is None:
            return Page(raw.number, raw.name, examine(raw.data, limits=limits, look=look), None)
        if look is not None and raw.small is not None:
            look(raw.small)
        return Page(raw.number, raw.name, drawn(raw.data, size=raw.size), None)
    except Unreadable as error:
        return Page(raw.number, raw.name, None, f"{raw.name} {error}")


def require_readable(container: Container, *, limits: Limits = DEFAULT_LIMITS) -> None:
    """`Reject` unless some page can be read. Stops at the first that can.

    Also when many cannot, or it takes long: somebody waits for the verdict, and *ingest* finds out about the rest.
    """
    first_error, until = None, time.monotonic() + PATIENCE
    for tried, raw in enumerate(container.pages(), start=1):
        page = check(raw, limits=limits)
        first_error = first_error or page.error
        if page.image is not None or (tried < len(container) and (tried == MOST_TRIED or time.monotonic() > until)):
            return
    raise nothing_readable(container.name, len(container), first_error)


def nothing_readable(name: str, count: int, reason: str | None) -> Reject:
    """The verdict on a comic of `count` pages that are all unreadable, the first for this reason."""
    which = "its only page cannot be read" if count == 1 else f"not one of its {count} pages can be read; the first"
    return Reject(f"{name}: {which}: {reason or 'there are none'}")


def judge(request: dict[str, Any]) -> Told:
    """Whether a file is a comic worth keeping: one answer, its media type."""
    with opened(request) as container:
        if container.media_type != PDF:  # drawing a page may take long: the stage's business
            require_readable(container, limits=Limits(**request["limits"]))
        yield {"media_type": container.media_type}, b""


def survey(request: dict[str, Any]) -> Told:
    """What is in a comic and what its pages are called, no page decoded: one answer."""
    with opened(request) as container:
        entries = [next(iter(container.targets(number)), None) for number in range(len(container))]
        names = [display_name(entry) if entry else f"page {number}" for number, entry in enumerate(entries, start=1)]
        yield {"media_type": container.media_type, "names": names, "solid": container.solid}, b""


def tell(request: dict[str, Any]) -> Told:
    """What a comic's file says about itself: one answer, a `Description`.

    `sizes` are the width and height of each page, null for one that is unreadable.
    """
    with opened(request) as container:
        places = [
            PagePlace(number, container.targets(number), *(size or (None, None)))
            for number, size in zip(range(len(container)), request["sizes"], strict=False)
        ]
        said = describe(container.attachments(), file_name=request["name"], pages=places)
    yield {}, WRITTEN.dump_json(said)


def read(request: dict[str, Any]) -> Told:
    """Pages of a comic: `ranges` of their numbers, each checked, hashed and marked in one decoding.

    Answers that it is open, then for every page what it came to. The bytes go into files in `folder`, named by the
    page's number; with `referenced` only those that the original does not hold.
    """
    limits, folder = Limits(**request["limits"]), Path(request["folder"])
    with opened(request) as container:
        yield {"opened": True}, b""
        for start, stop in request["ranges"]:
            for raw in container.pages(start=start, stop=stop):
                marks: list[Mark] = []
                page = check(raw, limits=limits, look=partial(_mark, marks))
                about: dict[str, Any] = {"number": page.number, "name": page.name, "error": page.error}
                if page.image is None:
                    yield about, b""
                    continue
                made = raw.size is not None or page.image.data is not raw.data
                if made or not request["referenced"]:
                    _write(folder / str(page.number), page.image.data)
                mark = marks[0] if marks else None
                about |= {
                    "image": {name: getattr(page.image, name) for name in SHOWN},
                    "kept": made or not request["referenced"],
                    "mark": {"phash": mark.phash, "bands": mark.bands} if mark else None,
                }
                yield about, mark.sketch if mark else b""


def _mark(marks: list[Mark], small: Image) -> None:
    marks.append(mark_of(small))


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        if error.errno in FULL:
            raise Retry("No space left to read a comic; free some disk space.", after=60) from error
        raise
