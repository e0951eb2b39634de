"""Sources and collections, by which comics are chosen everywhere: where the user has them from, where they stand.

Names are exact. Of several sources (or collections) a comic needs one; where both are asked for it needs both, so that
a source and a collection that share no comic admit none.
"""

from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy as sa

from shared.errors import Reject
from shared.store.db import Row, rows

# Of `comic c`, with the parameters of `shelf_parameters`.
ON_SHELF = """(CAST(:sources AS text[]) IS NULL OR c.source = ANY(:sources))
    AND (CAST(:collections AS text[]) IS NULL OR c.collection = ANY(:collections))"""


def shelf_parameters(sources: Sequence[str] | None, collections: Sequence[str] | None) -> dict[str, Any]:
    """What `ON_SHELF` is told; none of a kind means all."""
    return {"sources": list(sources or []) or None, "collections": list(collections or []) or None}


def require_shelves(connection: sa.Connection, *, sources: Sequence[str], collections: Sequence[str]) -> None:
    """`Reject` names the sources and collections that no comic has: whoever asks by one has misspelt it."""
    for what, asked in (("source", sources), ("collection", collections)):
        if asked:
            found = rows(
                connection,
                f"SELECT name FROM unnest(CAST(:names AS text[])) name "
                f"WHERE NOT EXISTS (SELECT FROM comic WHERE {what} = name)",
                names=list(asked),
            )
            if found:
                named = ", ".join(repr(one["name"]) for one in found[:10])
                raise Reject(f"No comic has the {what} {named}; GET /comics/facets lists those there are.")


def shelf_names(
    connection: sa.Connection,
    what: Literal["source", "collection"],
    *,
    sources: Sequence[str] | None = None,
    collections: Sequence[str] | None = None,
) -> Sequence[Row]:
    """The sources or collections of these comics with how many there are (`name`, `comics`), the most first."""
    return rows(
        connection,
        f"SELECT c.{what} AS name, count(*) AS comics FROM comic c WHERE {ON_SHELF} GROUP BY 1 ORDER BY 2 DESC, 1",
        **shelf_parameters(sources, collections),
    )
