"""Pages, alignments and datasets as the API shows them: the queries behind the answers."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from services.dataspec.specs import spec_of
from shared.domain.dataspec import DataSpec
from shared.domain.training import DatasetFilter, DatasetView
from shared.errors import NotFound, Reject
from shared.store.dataset_images import with_deletions
from shared.store.db import Row, row, rows
from shared.store.shelves import ON_SHELF, require_shelves, shelf_parameters

FETCHED = 200  # pages in memory at once

# The alignment of a page counts only while it is about the page's active layout and text.
FROM = """
    FROM page p JOIN comic c ON c.id = p.comic_id
    LEFT JOIN layout l ON l.id = p.layout_id
    LEFT JOIN alignment a ON a.page_id = p.id AND a.layout_id = p.layout_id
         AND a.ocr_id IS NOT DISTINCT FROM p.ocr_id AND a.vlm_id IS NOT DISTINCT FROM p.vlm_id
    LEFT JOIN LATERAL (
         SELECT count(*) AS panels, count(*) FILTER (WHERE jsonb_array_length(t.pieces) > 0) AS with_text,
                count(*) FILTER (WHERE t.verdict = 'unverified') AS unverified
         FROM panel n LEFT JOIN panel_text t ON t.panel_id = n.id WHERE n.layout_id = p.layout_id) m ON true"""
OF_COMICS = f" WHERE (CAST(:comics AS bigint[]) IS NULL OR c.id = ANY(:comics)) AND {ON_SHELF}"
SELECTED = f"""{OF_COMICS} AND p.state = 'ok' AND p.hidden IS NULL AND l.id IS NOT NULL
    AND m.panels BETWEEN :least AND :most"""
QUALITY = {
    "perfect": " AND a.perfect",
    "text": " AND a.page_id IS NOT NULL AND m.with_text > 0",
    "any": "",
}

SPECS = f"""
    SELECT c.sha256 AS comic_sha256, c.title, c.file_name, p.number, p.name, p.image_sha256, p.media_type, p.width,
           p.height, l.direction, l.kind, l.source AS layout_source, k.sha256 AS detector, a.perfect, a.equal_counts,
           o.model AS ocr_model, coalesce(call.served_model, call.model, v.model) AS vlm_model,
           (SELECT json_agg(json_build_object('x', n.x, 'y', n.y, 'w', n.w, 'h', n.h, 'score', n.score,
                'pieces', t.pieces, 'descriptive', t.descriptive, 'characters', t.characters, 'verdict', t.verdict,
                'confidence', t.confidence, 'reason', t.reason) ORDER BY n.position)
            FROM panel n LEFT JOIN panel_text t ON t.panel_id = n.id WHERE n.layout_id = l.id) AS panels
    {FROM}
    LEFT JOIN checkpoint k ON k.id = l.checkpoint_id
    LEFT JOIN extraction o ON o.id = a.ocr_id LEFT JOIN extraction v ON v.id = a.vlm_id
    LEFT JOIN vlm_call call ON call.id = v.vlm_call_id"""

MISSING = f"""
    SELECT count(*) AS pages, count(*) FILTER (WHERE p.state <> 'ok') AS unreadable,
           count(*) FILTER (WHERE p.state = 'ok' AND p.hidden IS NOT NULL) AS hidden,
           count(*) FILTER (WHERE p.state = 'ok' AND l.id IS NULL) AS undetected,
           count(*) FILTER (WHERE m.panels = 0 AND l.id IS NOT NULL) AS without_panels,
           count(*) FILTER (WHERE m.panels > 0 AND m.panels NOT BETWEEN :least AND :most) AS other_sizes,
           count(*) FILTER (WHERE m.panels > 0 AND a.page_id IS NULL) AS unaligned,
           count(*) FILTER (WHERE a.page_id IS NOT NULL AND m.unverified > 0) AS unverified,
           count(*) FILTER (WHERE a.page_id IS NOT NULL AND m.panels > 0 AND m.with_text = 0) AS without_text,
           count(*) FILTER (WHERE NOT a.perfect AND m.panels > 0 AND m.unverified = 0) AS incomplete
    {FROM}{OF_COMICS}"""


def specs_of(connection: sa.Connection, wanted: DatasetFilter, *, quality: str) -> Iterator[DataSpec]:
    """DataSpecs of all pages that qualify, by comic key and page number, a few in memory at a time.

    One statement, hence one moment of the database. The connection is busy until the last one is taken.
    """
    # Byte order, whatever the database's language: the fingerprint depends on it.
    statement = sa.text(SPECS + SELECTED + QUALITY[quality] + ' ORDER BY c.sha256 COLLATE "C", p.number')
    found = connection.execution_options(yield_per=FETCHED).execute(statement, _bound(wanted))
    for page in found.mappings():
        yield spec_of(dict(page))


def require_comics(connection: sa.Connection, wanted: DatasetFilter) -> None:
    """`Reject` names comics, sources and collections of the filter that do not exist."""
    known = {found["id"] for found in rows(connection, "SELECT id FROM comic WHERE id = ANY(:ids)", ids=wanted.comics)}
    unknown = [str(comic) for comic in wanted.comics if comic not in known]
    if unknown:
        raise Reject(f"There is no comic {', '.join(unknown[:10])}; GET /comics lists those there are.")
    require_shelves(connection, sources=wanted.sources, collections=wanted.collections)


def why_none(connection: sa.Connection, wanted: DatasetFilter, *, quality: str) -> Reject:
    """Why no page qualifies, with counts and what to try."""
    found = row(connection, MISSING, **_bound(wanted))
    assert found is not None
    if not found["pages"] and (wanted.comics or wanted.sources or wanted.collections):
        return Reject(
            "No page is of these comics, sources and collections together: leave one of the filters out, or wait until "
            "their pages are there."
        )
    if not found["pages"]:
        return Reject("There are no pages yet: add comics first (POST /comics), or wait until their pages are there.")
    reasons = {
        "unreadable": "cannot be read",
        "hidden": "are hidden",
        "undetected": "have no panels yet because detection has not run",
        "without_panels": "have no panels",
        "other_sizes": "have fewer or more panels than the filter allows",
        "unaligned": "wait for their text to be read or aligned",
        "unverified": "have unverified text",
        "without_text": "have no text",
        "incomplete": "miss panels that the VLM tells of",
    }
    skipped = {"perfect": {"without_text"}, "text": {"unverified", "incomplete"}, "any": set(reasons) - set(HARD)}
    listed = [f"{found[name]} {what}" for name, what in reasons.items() if found[name] and name not in skipped[quality]]
    kind = {"perfect": "are perfect matches", "text": "have text", "any": "have panels"}[quality]
    other = {"perfect": "; try quality 'text' or 'any'", "text": "; try quality 'any'", "any": ""}[quality]
    return Reject(f"0 of {found['pages']} pages {kind}: {', '.join(listed)}{other}.")


HARD = ("unreadable", "hidden", "undetected", "without_panels", "other_sizes")


def dataset_of(connection: sa.Connection, dataset_id: int) -> Row:
    """A dataset's row; NotFound names the id."""
    found = row(connection, "SELECT * FROM dataset WHERE id = :id", id=dataset_id)
    if found is None:
        raise NotFound(f"There is no dataset {dataset_id}; GET /datasets lists those there are.")
    return found


def dataset_views(connection: sa.Connection, found: Sequence[Row]) -> list[DatasetView]:
    """Datasets' rows as shown."""
    told = with_deletions(connection, found)
    return [DatasetView(**{name: dataset[name] for name in DatasetView.model_fields}) for dataset in told]


def datasets_of(connection: sa.Connection, *, before: int | None, limit: int) -> Sequence[Row]:
    """Datasets, newest first."""
    return rows(
        connection,
        "SELECT * FROM dataset WHERE CAST(:before AS bigint) IS NULL OR id < :before ORDER BY id DESC LIMIT :limit",
        before=before,
        limit=limit,
    )


def _bound(wanted: DatasetFilter) -> dict[str, Any]:
    shelves = shelf_parameters(wanted.sources, wanted.collections)
    return {"comics": wanted.comics or None, "least": wanted.min_panels, "most": wanted.max_panels, **shelves}


def aligned_panels(connection: sa.Connection, layout_id: int | None) -> Sequence[Row]:
    """Panels of a layout in reading order with their text; its columns are NULL where there is none yet."""
    return rows(
        connection,
        "SELECT n.*, t.literal, t.descriptive, t.pieces, t.characters, t.verdict, t.confidence, t.reason "
        "FROM panel n LEFT JOIN panel_text t ON t.panel_id = n.id WHERE n.layout_id = :layout ORDER BY n.position",
        layout=layout_id,
    )
