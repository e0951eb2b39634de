"""Queries over what is stored: by vector through the index, by words through PostgreSQL's full text, or both."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from services.search.fusion import fuse
from services.search.index import Filters, VectorIndex
from services.search.library import Library, Space
from shared.domain.addresses import page_address, panel_address
from shared.domain.answers import SearchAnswer, SearchFilters, SearchHit
from shared.domain.pictures import Picture
from shared.domain.schema import Box
from shared.domain.text import query_terms
from shared.errors import NotFound, Reject, Retry
from shared.store.db import Row, row, rows
from shared.store.shelves import ON_SHELF, require_shelves, shelf_parameters
from shared.store.vectors import CONTEXT, PAGE, PANEL

KINDS = {"panel": PANEL, "page": PAGE, "context": CONTEXT}
SPARE = 50  # extra rows asked of a ranking: what is hidden or of a layout no longer active falls out of it
DEPTHS = (1, 4, 16, 64, 256)  # times as many, while too few are left
By = Literal["panel", "image", "words", "panel and words", "image and words"]


class Found(NamedTuple):
    """What a ranking is about: PANEL or PAGE, and its id."""

    kind: int
    id: int


Ranking = Sequence[tuple[Found, float]]


def search(
    connection: sa.Connection,
    library: Library,
    *,
    panel_id: int | None = None,
    image: Picture | None = None,
    words: str | None = None,
    filters: SearchFilters,
    limit: int,
) -> SearchAnswer:
    """Answer a query by panel or image, by words, or by both; results best first.

    Filters that contradict each other admit nothing, which is an empty answer. Hidden pages are never found.
    Errors: Reject when nothing is asked, or a panel and an image at once, or for a source or collection that no comic
    has; NotFound for an unknown panel.
    """
    begun = time.perf_counter()
    words = words.strip() if words else None
    if panel_id is not None and image is not None:
        raise Reject("Ask by a panel or by an image, not by both.")
    if panel_id is None and image is None and not words:
        raise Reject("Ask by panel_id, by words, by an image, or by words with one of the others.")
    if filters.kind == "context" and panel_id is None:
        raise Reject("Ask for `context`, panels in a like place of a like story, by a panel: send its panel_id.")
    require_shelves(connection, sources=filters.sources, collections=filters.collections)
    written = _by_words(connection, words, filters=filters, limit=limit + SPARE) if words else []
    query: NDArray[np.float32] | None = None
    if panel_id is not None or image is not None:
        space = library.space(connection)
        query = _vector(connection, space, panel_id, image, kind=KINDS[filters.kind])
    elif words and library.reads(connection):
        space = library.space(connection)
        query = space.encode_words(words)
    alone = panel_id is None and image is None  # the words
    rankings: Iterable[Ranking] = [written]
    if query is not None:
        wanted = _wanted(connection, filters, panel_id=panel_id)
        rankings = (
            _joined(alike, written, alone=alone) if words else alike
            for alike in _nearest(space.index, query, wanted, limit=limit)
        )
    hits = _first_shown(connection, rankings, limit)
    if words:
        told = {key for key, _ in written} if alone else None
        hits = [hit.model_copy(update={"why": _why(hit, told)}) for hit in hits]
    source = "panel" if panel_id is not None else "image" if image is not None else ""
    by: By = " and ".join(part for part in (source, "words" if words else "") if part)  # type: ignore[assignment]
    return SearchAnswer(hits=hits, by=by, milliseconds=round((time.perf_counter() - begun) * 1000, 3))


def _why(hit: SearchHit, written: set[Found] | None) -> str:
    if written is None:
        return "fused"
    key = Found(PAGE, hit.page_id) if hit.panel_id is None else Found(PANEL, hit.panel_id)
    return "written" if key in written else "alike"


def _vector(
    connection: sa.Connection, space: Space, panel_id: int | None, image: Picture | None, *, kind: int
) -> NDArray[np.float32]:
    if image is not None:
        return space.encode_picture(image)
    assert panel_id is not None
    # A panel looks for pages by its own vector; for its like in a context, by its vector in its context.
    stored = space.index.vector(CONTEXT if kind == CONTEXT else PANEL, panel_id)
    if stored is not None:
        return stored
    if kind == CONTEXT and space.index.vector(PANEL, panel_id) is not None:
        raise Reject("The encoder in use knows no context; train one with `comics train` and promote it.")
    found = row(
        connection,
        "SELECT n.layout_id = p.layout_id AS active FROM panel n JOIN layout l ON l.id = n.layout_id "
        "JOIN page p ON p.id = l.page_id WHERE n.id = :id",
        id=panel_id,
    )
    if found is None:
        raise NotFound(f"There is no panel {panel_id}; GET /layouts?page_id= lists a page's panels.")
    if not found["active"]:
        raise NotFound(f"Panel {panel_id} is of a layout that is no longer active; ask by one of the active layout.")
    raise Retry(f"Panel {panel_id} is not embedded yet; its page is still being worked on.")


def _wanted(connection: sa.Connection, filters: SearchFilters, *, panel_id: int | None) -> Filters:
    return Filters(
        kind=KINDS[filters.kind],
        comic_ids=_comics(connection, filters),
        page_ids=np.unique(filters.pages) if filters.pages else None,
        exclude=frozenset({(PANEL, panel_id), (CONTEXT, panel_id)}) if panel_id is not None else frozenset(),
    )


def _nearest(index: VectorIndex, query: NDArray[np.float32], wanted: Filters, *, limit: int) -> Iterator[Ranking]:
    """The nearest rows, and for whoever asks again more of them, until there are no more or it is deep enough."""
    for times in DEPTHS:
        count = times * (limit + SPARE)
        hits = index.search(query, count, filters=wanted)
        yield [(Found(PANEL if hit.kind == CONTEXT else hit.kind, hit.id), hit.score) for hit in hits]
        if len(hits) < count:
            return


def _joined(alike: Ranking, written: Ranking, *, alone: bool) -> Ranking:
    """A ranking by vector and one by words as one. Words alone: where they are written comes first, then their like."""
    if not alone:
        return fuse([[key for key, _ in ranking] for ranking in (alike, written)])
    keys = {key for key, _ in written}
    return [*written, *(found for found in alike if found[0] not in keys)]


# As the bytes of numbers: arrays of ids are taken apart one by one, which takes ten times as long.
COMICS = f"SELECT string_agg(int8send(c.id), ''::bytea) AS ids FROM comic c WHERE {ON_SHELF}"


def _comics(connection: sa.Connection, filters: SearchFilters) -> NDArray[np.int64] | None:
    """The comics that may answer, distinct; None when all may."""
    named = np.unique(np.array(filters.comics, np.int64)) if filters.comics else None
    if not filters.sources and not filters.collections:
        return named
    found = row(connection, COMICS, **shelf_parameters(filters.sources, filters.collections))
    assert found is not None
    standing = np.frombuffer(found["ids"] or b"", ">i8").astype(np.int64)
    return standing if named is None else np.intersect1d(named, standing, assume_unique=True)


# Hidden pages fall out at the end: before it has statistics PostgreSQL believes that nearly all pages are, and would
# join accordingly.
WORDS = """
    SELECT {group} AS id, sum(ts_rank_cd(t.terms, q.every, 1) * 2 + ts_rank_cd(t.terms, q.some, 1)) AS score
    FROM (SELECT to_tsquery('simple', :every) AS every, to_tsquery('simple', :some) AS some) q
    JOIN panel_text t ON t.terms @@ q.some
    JOIN panel n ON n.id = t.panel_id JOIN page p ON p.layout_id = n.layout_id
    WHERE (:all_comics OR p.comic_id = ANY(:comics)) AND (:all_pages OR p.id = ANY(:pages)) {shelf}
    GROUP BY 1 HAVING bool_and(p.hidden IS NULL AND p.state = 'ok') ORDER BY score DESC, id LIMIT :limit"""


def _by_words(
    connection: sa.Connection, words: str, *, filters: SearchFilters, limit: int
) -> list[tuple[Found, float]]:
    terms = query_terms(words)
    if not terms:
        raise Reject(f"{words[:80]!r} holds no letter or digit to look for.")
    shelved = filters.sources or filters.collections
    found = rows(
        connection,
        WORDS.format(
            group="p.id" if filters.kind == "page" else "n.id",
            shelf=f"AND EXISTS (SELECT FROM comic c WHERE c.id = p.comic_id AND {ON_SHELF})" if shelved else "",
        ),
        every=" & ".join(terms),
        some=" | ".join(terms),
        all_comics=not filters.comics,
        comics=filters.comics,
        all_pages=not filters.pages,
        pages=filters.pages,
        limit=limit,
        **(shelf_parameters(filters.sources, filters.collections) if shelved else {}),
    )
    kind = PAGE if filters.kind == "page" else PANEL
    return [(Found(kind, found_row["id"]), float(found_row["score"])) for found_row in found]


HYDRATE = """
    SELECT n.id AS panel_id, n.x, n.y, n.w, n.h, coalesce(t.literal, '') AS text, p.id AS page_id, p.number, p.comic_id,
           p.image_sha256, p.state, p.hidden, c.title
    FROM panel n JOIN page p ON p.layout_id = n.layout_id JOIN comic c ON c.id = p.comic_id
    LEFT JOIN panel_text t ON t.panel_id = n.id WHERE n.id = ANY(:ids)"""

HYDRATE_PAGES = """
    SELECT p.id AS page_id, p.number, p.comic_id, p.image_sha256, p.state, p.hidden, c.title,
           coalesce((SELECT string_agg(t.literal, E'\\n' ORDER BY n.position) FROM panel n
                     JOIN panel_text t ON t.panel_id = n.id WHERE n.layout_id = p.layout_id), '') AS text
    FROM page p JOIN comic c ON c.id = p.comic_id WHERE p.id = ANY(:ids)"""


def _first_shown(connection: sa.Connection, rankings: Iterable[Ranking], limit: int) -> list[SearchHit]:
    """The first `limit` that still exist, are active and readable and are not hidden, with what a person wants to see.

    The next ranking, which reaches deeper, is asked for while this one has too few.
    """
    seen: set[Found] = set()
    shown: dict[Found, Row] = {}
    hits: list[SearchHit] = []
    for ranking in rankings:
        fresh = [found for found, _ in ranking if found not in seen]
        seen.update(fresh)
        shown |= _shown(connection, fresh)
        hits = [_hit(found, score, shown[found]) for found, score in ranking if found in shown][:limit]
        if len(hits) == limit:
            break
    return hits


def _shown(connection: sa.Connection, among: Sequence[Found]) -> dict[Found, Row]:
    panels = rows(connection, HYDRATE, ids=[found.id for found in among if found.kind == PANEL])
    pages = rows(connection, HYDRATE_PAGES, ids=[found.id for found in among if found.kind == PAGE])
    known = {Found(PANEL, panel["panel_id"]): panel for panel in panels}
    known |= {Found(PAGE, page["page_id"]): page for page in pages}
    return {found: about for found, about in known.items() if about["state"] == "ok" and not about["hidden"]}


def _hit(found: Found, score: float, shown: Row) -> SearchHit:
    panel, image = (found.id if found.kind == PANEL else None), shown["image_sha256"]
    box = Box(shown["x"], shown["y"], shown["w"], shown["h"]) if panel is not None else None
    return SearchHit(
        score=score,
        comic_id=shown["comic_id"],
        comic=shown["title"],
        page_id=shown["page_id"],
        page_number=shown["number"],
        panel_id=panel,
        box=box,
        text=shown["text"],
        page_image=page_address(image),
        panel_image=panel_address(panel, image, box) if panel is not None and box is not None else None,
    )
