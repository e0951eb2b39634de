"""Area `ingestion`: pages against bare loops, ten thousand comics at once, and how well duplicates are found."""

from collections.abc import Iterator

from tests.bench import ingestion_bulk, ingestion_duplicates, ingestion_pages

Figure = tuple[str, float, str]


def figures() -> Iterator[Figure]:
    """All figures of the area."""
    for part in (ingestion_pages, ingestion_duplicates, ingestion_bulk):
        yield from part.figures()
