"""What is active of a page: its layout, its OCR reading, its VLM reading. Everything else is kept beside it."""

from typing import Literal

import sqlalchemy as sa

Source = Literal["model", "import", "person"]
TABLES = {"layout_id": "layout", "ocr_id": "extraction", "vlm_id": "extraction"}
OUTRANKED_BY: dict[Source, list[Source]] = {"model": ["import", "person"], "import": ["person"], "person": []}


def activate(
    connection: sa.Connection,
    page_id: int,
    column: Literal["layout_id", "ocr_id", "vlm_id"],
    made: int,
    *,
    source: Source = "model",
) -> None:
    """Make what `source` made the page's active one, unless the present one outranks it: a person's an import's, and
    an import's a model's. Nor is a layout of an image that the page had before.
    """
    present = ""
    if column == "layout_id":
        present = "AND NOT EXISTS (SELECT FROM layout m WHERE m.id = :made AND m.image_sha256 <> page.image_sha256)"
    # In a statement of its own: an UPDATE that waits for the row would judge by what was active before it waited.
    connection.execute(sa.text("SELECT FROM page WHERE id = :page FOR NO KEY UPDATE"), {"page": page_id})
    connection.execute(
        sa.text(
            f"UPDATE page SET {column} = :made WHERE id = :page AND NOT EXISTS "
            f"(SELECT FROM {TABLES[column]} a WHERE a.id = page.{column} AND a.source = ANY(:above)) {present}"
        ),
        {"made": made, "page": page_id, "above": OUTRANKED_BY[source]},
    )
