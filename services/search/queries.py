"""Queries over what is stored: by vector through the index, by words through PostgreSQL's full text, or both."""

import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from services.search.fusion import fuse
from services.search.index import Filters
from services.search.library import Library, Space
from shared.domain.answers import SearchAnswer, SearchFilters, SearchHit
from shared.domain.pictures import Picture
from shared.domain.schema import Box
from shared.domain.text import query_terms
from shared.errors import NotFound, Reject, Retry
from shared.store.db import row, rows
from shared.store.vectors import CONTEXT, PAGE, PANEL

KINDS = {"panel": PANEL, "page": PAGE, "context": CONTEXT}
SPARE = 50  # extra rows asked of a ranking: panels of layouts that are no longer active fall out of it
By = Literal["panel", "image", "words", "panel and words", "image and words"]


class Found(NamedTuple):
    """What a ranking is about: PANEL or PAGE, and its id."""

    kind: int
    id: int


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

    Errors: Reject when nothing is asked, or a panel and an image at once; NotFound for an unknown panel.
    """
    begun = time.perf_counter()
    words = words.strip() if words else None
    if panel_id is not None and image is not None:
        raise Reject("Ask by a panel or by an image, not by both.")
    if panel_id is None and image is None and not words:
        raise Reject("Ask by panel_id, by words, by an image, or by words with one of the others.")
    if filters.kind == "context" and panel_id is None:
        raise Reject("Ask for `context`, panels in a like place of a like story, by a panel: send its panel_id.")
    rankings: list[list[tuple[Found, float]]] = []
    if panel_id is not None or image is not None:
        space = library.space(connection)
        query = _vector(connection, space, panel_id, image, kind=KINDS[filters.kind])
        rankings.append(_nearest(space, query, panel_id=panel_id, filters=filters, limit=limit))
    if words:
        rankings.append(_by_words(connection, words, filters=filters, limit=limit + SPARE))
    keys = [[key for key, _ in ranking] for ranking in rankings]
    scored = rankings[0] if len(rankings) == 1 else fuse(keys)
    if words and len(rankings) == 1 and library.reads(connection):
        # Where the words are written comes first, then what they mean.
        space = library.space(connection)
        alike = _nearest(space, space.encode_words(words), panel_id=None, filters=filters, limit=limit)
        written = set(keys[0])
        scored = [*rankings[0], *(found for found in alike if found[0] not in written)]
    hits = _hits(connection, scored, limit)
    if words:
        told = {key for key, _ in rankings[-1]} if len(rankings) == 1 else None
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


def _nearest(
    space: Space, query: NDArray[np.float32], *, panel_id: int | None, filters: SearchFilters, limit: int
) -> list[tuple[Found, float]]:
    wanted = Filters(
        kind=KINDS[filters.kind],
        comic_ids=frozenset(filters.comics) if filters.comics else None,
        page_ids=frozenset(filters.pages) if filters.pages else None,
        exclude=frozenset({(PANEL, panel_id), (CONTEXT, panel_id)}) if panel_id is not None else frozenset(),
    )
    hits = space.index.search(query, limit + SPARE, filters=wanted)
    return [(Found(PANEL if hit.kind == CONTEXT else hit.kind, hit.id), hit.score) for hit in hits]


WORDS = """
    SELECT {group} AS id, sum(ts_rank_cd(t.terms, q.every, 1) * 2 + ts_rank_cd(t.terms, q.some, 1)) AS score
    FROM (SELECT to_tsquery('simple', :every) AS every, to_tsquery('simple', :some) AS some) q
    JOIN panel_text t ON t.terms @@ q.some
    JOIN panel n ON n.id = t.panel_id JOIN page p ON p.layout_id = n.layout_id
    WHERE (:all_comics OR p.comic_id = ANY(:comics)) AND (:all_pages OR p.id = ANY(:pages))
    GROUP BY 1 ORDER BY score DESC, id LIMIT :limit"""


def _by_words(
    connection: sa.Connection, words: str, *, filters: SearchFilters, limit: int
) -> list[tuple[Found, float]]:
    terms = query_terms(words)
    if not terms:
        raise Reject(f"{words[:80]!r} holds no letter or digit to look for.")
    found = rows(
        connection,
        WORDS.format(group="p.id" if filters.kind == "page" else "n.id"),
        every=" & ".join(terms),
        some=" | ".join(terms),
        all_comics=not filters.comics,
        comics=filters.comics,
        all_pages=not filters.pages,
        pages=filters.pages,
        limit=limit,
    )
    kind = PAGE if filters.kind == "page" else PANEL
    return [(Found(kind, found_row["id"]), float(found_row["score"])) for found_row in found]


HYDRATE = """
    SELECT n.id AS panel_id, n.x, n.y, n.w, n.h, coalesce(t.literal, '') AS text, p.id AS page_id, p.number, p.comic_id,
           c.title
    FROM panel n JOIN page p ON p.layout_id = n.layout_id JOIN comic c ON c.id = p.comic_id
    LEFT JOIN panel_text t ON t.panel_id = n.id WHERE n.id = ANY(:ids)"""

HYDRATE_PAGES = """
    SELECT p.id AS page_id, p.number, p.comic_id, c.title,
           coalesce((SELECT string_agg(t.literal, E'\\n' ORDER BY n.position) FROM panel n
                     JOIN panel_text t ON t.panel_id = n.id WHERE n.layout_id = p.layout_id), '') AS text
    FROM page p JOIN comic c ON c.id = p.comic_id WHERE p.id = ANY(:ids)"""


def _hits(connection: sa.Connection, scored: Sequence[tuple[Found, float]], limit: int) -> list[SearchHit]:
    """The first `limit` that still exist and are active, with what a person wants to see."""
    panels = rows(connection, HYDRATE, ids=[found.id for found, _ in scored if found.kind == PANEL])
    pages = rows(connection, HYDRATE_PAGES, ids=[found.id for found, _ in scored if found.kind == PAGE])
    known = {Found(PANEL, panel["panel_id"]): panel for panel in panels}
    known |= {Found(PAGE, page["page_id"]): page for page in pages}
    hits = []
    for found, score in scored:
        shown = known.get(found)
        if shown is None:
            continue
        panel = found.id if found.kind == PANEL else None
        hits.append(
            SearchHit(
                score=score,
                comic_id=shown["comic_id"],
                comic=shown["title"],
                page_id=shown["page_id"],
                page_number=shown["number"],
                panel_id=panel,
                box=Box(shown["x"], shown["y"], shown["w"], shown["h"]) if panel is not None else None,
                text=shown["text"],
                page_image=f"/images/{shown['page_id']}",
                panel_image=f"/panels/{panel}/image" if panel is not None else None,
            )
        )
        if len(hits) == limit:
            break
    return hits
