"""Comics that are known to look the same: what is learnt from one must not be measured on the other."""

import sqlalchemy as sa

from shared.store.db import rows


def same_comics(connection: sa.Connection) -> list[tuple[str, str]]:
    """Keys of comics that look the same and that nobody told apart, two by two."""
    found = rows(
        connection,
        "SELECT a.sha256 AS a, b.sha256 AS b FROM comic_match m JOIN comic a ON a.id = m.a_id "
        "JOIN comic b ON b.id = m.b_id WHERE m.verdict IS DISTINCT FROM 'distinct'",
    )
    return [(pair["a"], pair["b"]) for pair in found]
