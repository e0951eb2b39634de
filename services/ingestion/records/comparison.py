"""What stage *compare* reads and writes: marks by their bands, and matches."""

from collections.abc import Sequence

import sqlalchemy as sa

from services.ingestion.comparison import Matches, SeenComic, SeenPage, Surroundings, partners
from shared.domain.marks import FAR
from shared.store.db import rows

POPULAR = 400  # pages looked at that share one band, the newest; half the library has a logo in common
NEAREST = 64  # pages looked at more closely, for each page

# Pages a person or the comic's own metadata took out are no duplicates of anything; hidden duplicates stay in.
COMPARED = "m.bands <> '{}' AND (p.hidden IS NULL OR p.hidden = 'duplicate')"
# Newest first by a minus: else the index of ids might be read from its end, page by page, until enough have the band.
NEAR = f"""
    WITH own AS MATERIALIZED (
        SELECT m.page_id, m.phash, m.bands FROM page p JOIN page_mark m ON m.page_id = p.id
        WHERE p.comic_id = :comic AND {COMPARED}),
    mark AS MATERIALIZED (SELECT phash, bands FROM own GROUP BY phash, bands),
    bearer AS MATERIALIZED (
        SELECT b.value, f.page_id, f.phash FROM (SELECT DISTINCT unnest(bands) AS value FROM mark) b
        CROSS JOIN LATERAL
            (SELECT page_id, phash FROM page_mark WHERE bands @> ARRAY[b.value]
             AND page_id NOT IN (SELECT id FROM page WHERE comic_id = :comic)
             ORDER BY -page_id LIMIT :popular) f),
    met AS (
        SELECT DISTINCT o.phash, o.bands, f.page_id AS other_id,
               bit_count(CAST(o.phash # f.phash AS bit(64))) AS apart
        FROM mark o CROSS JOIN LATERAL unnest(o.bands) v(value) JOIN bearer f ON f.value = v.value
        WHERE bit_count(CAST(o.phash # f.phash AS bit(64))) <= :far),
    ranked AS (
        SELECT *, row_number() OVER (PARTITION BY phash, bands ORDER BY apart, other_id) AS place FROM met)
    SELECT o.page_id AS own_id, t.other_id FROM ranked t JOIN own o USING (phash, bands) WHERE t.place <= :nearest
    UNION
    SELECT o.page_id, CASE o.page_id WHEN t.a_id THEN t.b_id ELSE t.a_id END
    FROM own o JOIN page_match t ON o.page_id IN (t.a_id, t.b_id) WHERE t.verdict IS NULL"""
PAGES = f"""
    SELECT p.id, p.comic_id, p.number, m.phash, m.sketch FROM page p JOIN page_mark m ON m.page_id = p.id
    WHERE {COMPARED} AND """
LOCK = "duplicates"  # what is found and what is decided about duplicates is written under this one lock


def surroundings(connection: sa.Connection, comic_id: int) -> Surroundings:
    """A comic with everything that may look like its pages."""
    # The index of bands, whatever the statistics of a table that has just been filled say.
    connection.execute(sa.text("SELECT set_config('enable_seqscan', 'off', true)"))
    comic = next(iter(seen_comics(connection, [comic_id])), SeenComic(comic_id, None, []))
    nearest = partners(len(comic.pages), most=NEAREST)
    pairs = rows(connection, NEAR, comic=comic_id, popular=POPULAR, nearest=nearest, far=FAR)
    others = rows(connection, f"{PAGES} p.id = ANY(:ids)", ids=sorted({pair["other_id"] for pair in pairs}))
    known = rows(
        connection,
        "SELECT a_id + b_id - :comic AS id FROM comic_match WHERE :comic IN (a_id, b_id) AND verdict IS NULL",
        comic=comic_id,
    )
    return Surroundings(
        comic=comic,
        others={page["id"]: SeenPage(**page) for page in others},
        pairs=[(pair["own_id"], pair["other_id"]) for pair in pairs],
        matched=frozenset(comic["id"] for comic in known),
    )


def seen_comics(connection: sa.Connection, ids: Sequence[int]) -> list[SeenComic]:
    """These comics with their pages that have content."""
    if not ids:
        return []
    pages: dict[int, list[SeenPage]] = {comic_id: [] for comic_id in ids}
    for page in rows(connection, f"{PAGES} p.comic_id = ANY(:ids) ORDER BY p.number", ids=list(ids)):
        pages[page["comic_id"]].append(SeenPage(**page))
    languages = rows(connection, "SELECT id, language FROM comic WHERE id = ANY(:ids)", ids=list(ids))
    return [SeenComic(comic["id"], comic["language"], pages[comic["id"]]) for comic in languages]


def store_matches(connection: sa.Connection, comic_id: int, found: Matches) -> None:
    """Write what a comparison found. What a person decided stays; what is no match any more goes."""
    lock(connection)
    connection.execute(
        sa.text(
            "DELETE FROM page_match t USING unnest(CAST(:a AS bigint[]), CAST(:b AS bigint[])) AS gone(a, b) "
            "WHERE t.a_id = gone.a AND t.b_id = gone.b AND t.verdict IS NULL"
        ),
        {"a": [pair[0] for pair in found.unlike], "b": [pair[1] for pair in found.unlike]},
    )
    connection.execute(
        sa.text(
            "DELETE FROM comic_match WHERE :comic IN (a_id, b_id) AND verdict IS NULL "
            "AND a_id + b_id - :comic <> ALL(CAST(:same AS bigint[]))"
        ),
        {"comic": comic_id, "same": list(found.comics)},
    )
    # Joined with what is still there: a comic may have been deleted since it was read.
    connection.execute(
        sa.text(
            "INSERT INTO page_match (a_id, b_id, score) SELECT a.id, b.id, f.score FROM unnest(CAST(:a AS bigint[]), "
            "CAST(:b AS bigint[]), CAST(:scores AS float8[])) AS f(a, b, score) JOIN page a ON a.id = f.a "
            "JOIN page b ON b.id = f.b ON CONFLICT (a_id, b_id) DO UPDATE SET score = EXCLUDED.score"
        ),
        {
            "a": [pair[0] for pair in found.pages],
            "b": [pair[1] for pair in found.pages],
            "scores": list(found.pages.values()),
        },
    )
    connection.execute(
        sa.text(
            "INSERT INTO comic_match (a_id, b_id, score, shared) SELECT least(a.id, b.id), greatest(a.id, b.id), "
            "f.score, f.shared FROM unnest(CAST(:others AS bigint[]), CAST(:scores AS float8[]), "
            "CAST(:shared AS int[])) AS f(other, score, shared) JOIN comic a ON a.id = :comic "
            "JOIN comic b ON b.id = f.other "
            "ON CONFLICT (a_id, b_id) DO UPDATE SET score = EXCLUDED.score, shared = EXCLUDED.shared"
        ),
        {
            "comic": comic_id,
            "others": list(found.comics),
            "scores": [score for score, _ in found.comics.values()],
            "shared": [shared for _, shared in found.comics.values()],
        },
    )


def lock(connection: sa.Connection) -> None:
    """Wait until nobody else writes about duplicates, and keep it so until the transaction ends."""
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": LOCK})
