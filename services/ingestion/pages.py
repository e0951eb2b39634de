"""From a container to checked pages, on several cores, in order, a handful in memory at a time."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from shared.errors import Reject
from shared.files.containers import DEFAULT_LIMITS, Container, Limits, RawPage, Unreadable
from shared.files.images import PageImage, drawn, examine


@dataclass(frozen=True, slots=True)
class Page:
    """One page: an image, or the reason (a sentence that names the page) why there is none; never both."""

    number: int
    """From 0, in reading order."""
    name: str
    image: PageImage | None
    error: str | None


def read_pages(container: Container, *, limits: Limits = DEFAULT_LIMITS, threads: int = 2) -> Iterator[Page]:
    """Every page in reading order, each decoded exactly once; unreadable pages are among them.

    Reading happens in the caller's thread, checking in `threads` others (Pillow and hashlib leave the interpreter
    lock). Raises `Reject` after the last page when not one could be read: such a comic must not be kept.
    """
    first_error: str | None = None
    readable = False
    for page in _checked(container, limits=limits, threads=threads):
        readable = readable or page.image is not None
        first_error = first_error or page.error
        yield page
    if not readable:
        raise _nothing_readable(container, first_error)


def require_readable(container: Container, *, limits: Limits = DEFAULT_LIMITS) -> None:
    """Verdict before anything is stored: `Reject` unless some page can be read. Stops at the first that can."""
    first_error: str | None = None
    for raw in container.pages():
        page = _check(raw, limits)
        if page.image is not None:
            return
        first_error = first_error or page.error
    raise _nothing_readable(container, first_error)


def _nothing_readable(container: Container, reason: str | None) -> Reject:
    count = len(container)
    which = "its only page cannot be read" if count == 1 else f"not one of its {count} pages can be read; the first"
    return Reject(f"{container.name}: {which}: {reason or 'there are none'}")


def _checked(container: Container, *, limits: Limits, threads: int) -> Iterator[Page]:
    waiting: deque[Future[Page]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="page") as pool:
        for raw in container.pages():
            waiting.append(pool.submit(_check, raw, limits))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _check(raw: RawPage, limits: Limits) -> Page:
    if raw.data is None:
        return Page(raw.number, raw.name, None, f"{raw.name} {raw.error}")
    try:
        image = drawn(raw.data, size=raw.size) if raw.size else examine(raw.data, limits=limits)
    except Unreadable as error:
        return Page(raw.number, raw.name, None, f"{raw.name} {error}")
    return Page(raw.number, raw.name, image, None)
