"""The tables of the library: comics, where they came from, what is said about them, their pages and duplicates."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from shared.domain.metadata import ORIGINS, PAGE_LABELS
from shared.store.columns import created, metadata, number, one_of, owner, trace

comic = sa.Table(
    "comic",
    metadata,
    number(),
    sa.Column("sha256", sa.Text, nullable=False, unique=True),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("series", sa.Text),
    sa.Column("number", sa.Text, comment="within the series; a text, for there are 12.5 and 0 and ½"),
    sa.Column("volume", sa.Integer),
    sa.Column("year", sa.Integer),
    sa.Column("language", sa.Text, comment="BCP 47, lower case"),
    sa.Column("publisher", sa.Text),
    sa.Column("source", sa.Text, nullable=False, server_default="upload", comment="where the user has it from"),
    sa.Column("collection", sa.Text, nullable=False, server_default="", comment="what the user calls its shelf"),
    sa.Column("details", JSONB, nullable=False, server_default="{}", comment="all merged metadata, as Metadata"),
    sa.Column("origins", JSONB, nullable=False, server_default="{}", comment="field -> the record it came from"),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("direction", sa.Text, comment="from metadata or a person; NULL: the user's default, or the language's"),
    sa.Column("page_count", sa.Integer, comment="NULL until ingested"),
    sa.Column("hidden", sa.Boolean, nullable=False, server_default="false", comment="a duplicate somebody put aside"),
    sa.Column("reference", sa.Text, comment="path of the original, which stays where it is; NULL: kept as a blob"),
    sa.Column("reference_mtime_ns", sa.BigInteger, comment="of the original when it was hashed"),
    created(),
    sa.CheckConstraint("direction IN ('ltr', 'rtl')", name="direction"),
    sa.CheckConstraint("(reference IS NULL) = (reference_mtime_ns IS NULL)", name="reference"),
    # With the id: a query within a collection of 20,000 comics needs nothing else of them.
    sa.Index("ix_comic_collection", "collection", "source", "id"),
    sa.Index("ix_comic_source", "source", "id"),
    sa.Index("ix_comic_series", "series", "number"),
)

page = sa.Table(
    "page",
    metadata,
    number(),
    owner("comic_id", "comic.id"),
    sa.Column("number", sa.Integer, nullable=False, comment="0-based place in the file's own order"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="ok"),
    sa.Column("error", sa.Text),
    sa.Column("image_sha256", sa.Text),
    sa.Column("media_type", sa.Text),
    sa.Column("width", sa.Integer, comment="as displayed, EXIF orientation applied"),
    sa.Column("height", sa.Integer),
    sa.Column("shape", sa.Text, comment="strip: to be scrolled; spread: two pages side by side; NULL: a plain page"),
    sa.Column("label", sa.Text, comment="page type that the comic's own metadata states"),
    sa.Column("hidden", sa.Text, comment="why no stage works on it; NULL: shown"),
    sa.Column("wanted", sa.Boolean, nullable=False, server_default="false", comment="a person shows what was deleted"),
    trace("layout_id", "layout.id", cycle="fk_page_layout_id", indexed=True),
    trace("ocr_id", "extraction.id", cycle="fk_page_ocr_id", indexed=True),
    trace("vlm_id", "extraction.id", cycle="fk_page_vlm_id", indexed=True),
    sa.UniqueConstraint("comic_id", "number"),
    one_of("state", "ok", "unreadable"),
    one_of("shape", "strip", "spread"),
    one_of("label", *PAGE_LABELS),
    one_of("hidden", "duplicate", "deleted", "person"),
    sa.CheckConstraint("NOT wanted OR hidden IS NULL OR hidden = 'duplicate'", name="wanted"),
    sa.Index("ix_page_image_sha256", "image_sha256"),
    sa.CheckConstraint(
        "CASE state WHEN 'ok' THEN image_sha256 IS NOT NULL AND width > 0 AND height > 0 AND error IS NULL "
        "ELSE error IS NOT NULL END",
        name="image_or_reason",
    ),
)

# What each source says about a comic; `comic` holds what they come to together. A person's record is never rewritten by
# ingestion.
comic_metadata = sa.Table(
    "comic_metadata",
    metadata,
    sa.Column("comic_id", sa.BigInteger, sa.ForeignKey("comic.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("origin", sa.Text, primary_key=True),
    sa.Column("fields", JSONB, nullable=False, comment="as Metadata, without what is not stated"),
    sa.Column("warnings", JSONB, nullable=False, server_default="[]", comment="what was wrong with the record"),
    one_of("origin", *ORIGINS),
)

# Files and folders that were added, so that adding them again costs a look. One comic may lie in several places.
source_file = sa.Table(
    "source_file",
    metadata,
    sa.Column("location", sa.Text, primary_key=True, comment="machine:absolute path"),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("comic_id", sa.BigInteger, sa.ForeignKey("comic.id", ondelete="CASCADE")),
    sa.Column("error", sa.Text, comment="why it was rejected"),
    sa.Column("reader", sa.Integer, comment="version of the reader that rejected it"),
    sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False, unique=True, comment="what decisions name it by"),
    sa.Column("aside", sa.Boolean, nullable=False, server_default="false", comment="a known copy of a comic's file"),
    sa.CheckConstraint("(comic_id IS NULL) = (error IS NOT NULL)", name="comic_or_error"),
    sa.Index("ix_source_file_comic_id", "comic_id"),
)

# What a page looks like, small: two signals by which near-identical pages are told.
page_mark = sa.Table(
    "page_mark",
    metadata,
    sa.Column("page_id", sa.BigInteger, sa.ForeignKey("page.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("phash", sa.BigInteger, nullable=False, comment="64-bit perceptual hash; the first signal"),
    sa.Column("sketch", sa.LargeBinary, nullable=False, comment="the second signal; shared.domain.marks"),
    sa.Column("bands", sa.ARRAY(sa.Integer), nullable=False, comment="parts of the hash by which candidates are found"),
    # At once, without a list of pending entries that every look would read through.
    sa.Index("ix_page_mark_bands", "bands", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
)


def _match(name: str, subject: str, *more: sa.Column[Any]) -> sa.Table:
    """Pairs of comics or pages that look the same, and what a person said about each."""
    return sa.Table(
        name,
        metadata,
        number(),
        owner("a_id", f"{subject}.id"),
        owner("b_id", f"{subject}.id"),
        sa.Column("score", sa.Double, nullable=False, comment="0 to 1, how sure"),
        *more,
        sa.Column("verdict", sa.Text, comment="what a person decided; NULL: nothing yet"),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        created(),
        sa.UniqueConstraint("a_id", "b_id"),
        one_of("verdict", "same", "distinct"),
        sa.CheckConstraint("a_id < b_id", name="order"),
        sa.CheckConstraint("score BETWEEN 0 AND 1", name="score"),
        sa.CheckConstraint("(verdict IS NULL) = (decided_at IS NULL)", name="decided"),
        sa.Index(f"ix_{name}_b_id", "b_id"),
    )


comic_match = _match("comic_match", "comic", sa.Column("shared", sa.Integer, nullable=False, comment="pages in common"))
page_match = _match("page_match", "page")
