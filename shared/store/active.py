"""What is active of a page: its layout, its OCR reading, its VLM reading. Everything else is kept beside it."""

from typing import Literal

import sqlalchemy as sa

TABLES = {"layout_id": "layout", "ocr_id": "extraction", "vlm_id": "extraction"}


def activate(
    connection: sa.Connection, page_id: int, column: Literal["layout_id", "ocr_id", "vlm_id"], made: int
) -> None:
    """Make what a model made the page's active one, unless an import's or a person's is: those outrank it."""
    connection.execute(
        sa.text(
            f"UPDATE page SET {column} = :made WHERE id = :page AND NOT EXISTS "
            f"(SELECT FROM {TABLES[column]} a WHERE a.id = page.{column} AND a.source <> 'model')"
        ),
        {"made": made, "page": page_id},
    )
