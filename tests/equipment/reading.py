"""Pages of a container, checked as ingestion checks them but in this process."""

from services.ingestion.pages import Page, check
from shared.files.containers import DEFAULT_LIMITS, Container, Limits


def read_pages(container: Container, *, limits: Limits = DEFAULT_LIMITS) -> list[Page]:
    """Every page in reading order, the unreadable ones among them."""
    return [check(raw, limits=limits) for raw in container.pages()]
