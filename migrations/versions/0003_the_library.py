"""the library: metadata by origin, files and where they lie, marks and duplicates

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Columns by which a comic that goes is forgotten elsewhere: without an index each of its rows costs a look at all.
TRACES = {
    "page": ("layout_id", "ocr_id", "vlm_id"),
    "layout": ("job_id",),
    "extraction": ("layout_id", "job_id"),
    "panel_text": ("ocr_id", "vlm_id", "job_id"),
    "alignment": ("layout_id", "ocr_id", "vlm_id", "job_id"),
    "vlm_call": ("layout_id", "job_id"),
}


def upgrade() -> None:
    op.create_table(
        "comic_match",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("a_id", sa.BigInteger(), nullable=False),
        sa.Column("b_id", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False, comment="0 to 1, how sure"),
        sa.Column("shared", sa.Integer(), nullable=False, comment="pages in common"),
        sa.Column("verdict", sa.Text(), nullable=True, comment="what a person decided; NULL: nothing yet"),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("verdict IN ('same', 'distinct')", name=op.f("ck_comic_match_verdict")),
        sa.CheckConstraint("(verdict IS NULL) = (decided_at IS NULL)", name=op.f("ck_comic_match_decided")),
        sa.CheckConstraint("a_id < b_id", name=op.f("ck_comic_match_order")),
        sa.CheckConstraint("score BETWEEN 0 AND 1", name=op.f("ck_comic_match_score")),
        sa.ForeignKeyConstraint(["a_id"], ["comic.id"], name=op.f("fk_comic_match_a_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["b_id"], ["comic.id"], name=op.f("fk_comic_match_b_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comic_match")),
        sa.UniqueConstraint("a_id", "b_id", name=op.f("uq_comic_match_a_id_b_id")),
    )
    op.create_index("ix_comic_match_b_id", "comic_match", ["b_id"], unique=False)
    op.create_table(
        "comic_metadata",
        sa.Column("comic_id", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column(
            "fields",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="as Metadata, without what is not stated",
        ),
        sa.Column(
            "warnings",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
            comment="what was wrong with the record",
        ),
        sa.CheckConstraint(
            "origin IN ('person', 'command line', 'comicinfo', 'calibre', 'acbf', 'epub', 'folder', 'file name')",
            name=op.f("ck_comic_metadata_origin"),
        ),
        sa.ForeignKeyConstraint(
            ["comic_id"], ["comic.id"], name=op.f("fk_comic_metadata_comic_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("comic_id", "origin", name=op.f("pk_comic_metadata")),
    )
    op.create_table(
        "dataset_image",
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("image_sha256", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name=op.f("fk_dataset_image_dataset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("dataset_id", "image_sha256", name=op.f("pk_dataset_image")),
    )
    op.create_index("ix_dataset_image_image_sha256", "dataset_image", ["image_sha256"], unique=False)
    op.create_table(
        "dataset_comic",
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("comic_sha256", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name=op.f("fk_dataset_comic_dataset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("dataset_id", "comic_sha256", name=op.f("pk_dataset_comic")),
    )
    op.create_table(
        "source_file",
        sa.Column("location", sa.Text(), nullable=False, comment="machine:absolute path"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("comic_id", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True, comment="why it was rejected"),
        sa.Column("reader", sa.Integer(), nullable=True, comment="version of the reader that rejected it"),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="what decisions name it by"
        ),
        sa.Column(
            "aside", sa.Boolean(), server_default="false", nullable=False, comment="a known copy of a comic's file"
        ),
        sa.CheckConstraint("(comic_id IS NULL) = (error IS NOT NULL)", name=op.f("ck_source_file_comic_or_error")),
        sa.ForeignKeyConstraint(["comic_id"], ["comic.id"], name=op.f("fk_source_file_comic_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("location", name=op.f("pk_source_file")),
        sa.UniqueConstraint("id", name=op.f("uq_source_file_id")),
    )
    op.create_index("ix_source_file_comic_id", "source_file", ["comic_id"], unique=False)
    op.create_table(
        "page_mark",
        sa.Column("page_id", sa.BigInteger(), nullable=False),
        sa.Column("phash", sa.BigInteger(), nullable=False, comment="64-bit perceptual hash; the first signal"),
        sa.Column("sketch", sa.LargeBinary(), nullable=False, comment="the second signal; services.ingestion.marks"),
        sa.Column(
            "bands", sa.ARRAY(sa.Integer()), nullable=False, comment="parts of the hash by which candidates are found"
        ),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], name=op.f("fk_page_mark_page_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("page_id", name=op.f("pk_page_mark")),
    )
    op.create_index(
        "ix_page_mark_bands",
        "page_mark",
        ["bands"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    op.create_table(
        "page_match",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("a_id", sa.BigInteger(), nullable=False),
        sa.Column("b_id", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False, comment="0 to 1, how sure"),
        sa.Column("verdict", sa.Text(), nullable=True, comment="what a person decided; NULL: nothing yet"),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("verdict IN ('same', 'distinct')", name=op.f("ck_page_match_verdict")),
        sa.CheckConstraint("(verdict IS NULL) = (decided_at IS NULL)", name=op.f("ck_page_match_decided")),
        sa.CheckConstraint("a_id < b_id", name=op.f("ck_page_match_order")),
        sa.CheckConstraint("score BETWEEN 0 AND 1", name=op.f("ck_page_match_score")),
        sa.ForeignKeyConstraint(["a_id"], ["page.id"], name=op.f("fk_page_match_a_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["b_id"], ["page.id"], name=op.f("fk_page_match_b_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_page_match")),
        sa.UniqueConstraint("a_id", "b_id", name=op.f("uq_page_match_a_id_b_id")),
    )
    op.create_index("ix_page_match_b_id", "page_match", ["b_id"], unique=False)
    op.add_column("comic", sa.Column("series", sa.Text(), nullable=True))
    op.add_column(
        "comic",
        sa.Column(
            "number", sa.Text(), nullable=True, comment="within the series; a text, for there are 12.5 and 0 and ½"
        ),
    )
    op.add_column("comic", sa.Column("volume", sa.Integer(), nullable=True))
    op.add_column("comic", sa.Column("year", sa.Integer(), nullable=True))
    op.add_column("comic", sa.Column("language", sa.Text(), nullable=True, comment="BCP 47, lower case"))
    op.add_column("comic", sa.Column("publisher", sa.Text(), nullable=True))
    op.add_column(
        "comic",
        sa.Column("source", sa.Text(), server_default="upload", nullable=False, comment="where the user has it from"),
    )
    op.add_column(
        "comic",
        sa.Column("collection", sa.Text(), server_default="", nullable=False, comment="what the user calls its shelf"),
    )
    op.add_column(
        "comic",
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="all merged metadata, as Metadata",
        ),
    )
    op.add_column(
        "comic",
        sa.Column(
            "origins",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="field -> the record it came from",
        ),
    )
    op.add_column(
        "comic",
        sa.Column(
            "hidden", sa.Boolean(), server_default="false", nullable=False, comment="a duplicate somebody put aside"
        ),
    )
    op.add_column(
        "comic",
        sa.Column(
            "reference",
            sa.Text(),
            nullable=True,
            comment="path of the original, which stays where it is; NULL: kept as a blob",
        ),
    )
    op.add_column(
        "comic",
        sa.Column("reference_mtime_ns", sa.BigInteger(), nullable=True, comment="of the original when it was hashed"),
    )
    op.alter_column(
        "comic",
        "direction",
        existing_type=sa.TEXT(),
        comment="from metadata or a person; NULL: the user's default, or the language's",
        existing_comment="from metadata or a person; NULL: decided per page",
        existing_nullable=True,
    )
    op.create_index("ix_comic_collection", "comic", ["collection", "source", "id"], unique=False)
    op.create_index("ix_comic_source", "comic", ["source", "id"], unique=False)
    op.create_index("ix_comic_series", "comic", ["series", "number"], unique=False)
    op.add_column(
        "page",
        sa.Column(
            "shape",
            sa.Text(),
            nullable=True,
            comment="strip: to be scrolled; spread: two pages side by side; NULL: a plain page",
        ),
    )
    op.add_column(
        "page", sa.Column("label", sa.Text(), nullable=True, comment="page type that the comic's own metadata states")
    )
    op.add_column(
        "page", sa.Column("hidden", sa.Text(), nullable=True, comment="why no stage works on it; NULL: shown")
    )
    op.add_column(
        "page",
        sa.Column(
            "wanted", sa.Boolean(), server_default="false", nullable=False, comment="a person shows what was deleted"
        ),
    )
    op.create_index("ix_page_image_sha256", "page", ["image_sha256"], unique=False)
    for table, columns in TRACES.items():
        for column in columns:
            op.create_index(f"ix_{table}_{column}", table, [column], unique=False)
    op.create_check_constraint(
        op.f("ck_comic_reference"), "comic", "(reference IS NULL) = (reference_mtime_ns IS NULL)"
    )
    op.create_check_constraint(op.f("ck_page_shape"), "page", "shape IN ('strip', 'spread')")
    op.create_check_constraint(
        op.f("ck_page_label"),
        "page",
        "label IN ('cover', 'back_cover', 'inner_cover', 'story', 'advertisement', 'text', 'other')",
    )
    op.create_check_constraint(op.f("ck_page_hidden"), "page", "hidden IN ('duplicate', 'deleted', 'person')")
    op.create_check_constraint(op.f("ck_page_wanted"), "page", "NOT wanted OR hidden IS NULL OR hidden = 'duplicate'")


def downgrade() -> None:
    for table, columns in TRACES.items():
        for column in columns:
            op.drop_index(f"ix_{table}_{column}", table_name=table)
    for name in ("wanted", "hidden", "label", "shape"):
        op.drop_constraint(op.f(f"ck_page_{name}"), "page")
    op.drop_constraint(op.f("ck_comic_reference"), "comic")
    op.drop_index("ix_page_image_sha256", table_name="page")
    op.drop_column("page", "wanted")
    op.drop_column("page", "hidden")
    op.drop_column("page", "label")
    op.drop_column("page", "shape")
    op.drop_index("ix_comic_series", table_name="comic")
    op.drop_index("ix_comic_source", table_name="comic")
    op.drop_index("ix_comic_collection", table_name="comic")
    op.alter_column(
        "comic",
        "direction",
        existing_type=sa.TEXT(),
        comment="from metadata or a person; NULL: decided per page",
        existing_comment="from metadata or a person; NULL: the user's default, or the language's",
        existing_nullable=True,
    )
    op.drop_column("comic", "reference_mtime_ns")
    op.drop_column("comic", "reference")
    op.drop_column("comic", "hidden")
    op.drop_column("comic", "origins")
    op.drop_column("comic", "details")
    op.drop_column("comic", "collection")
    op.drop_column("comic", "source")
    op.drop_column("comic", "publisher")
    op.drop_column("comic", "language")
    op.drop_column("comic", "year")
    op.drop_column("comic", "volume")
    op.drop_column("comic", "number")
    op.drop_column("comic", "series")
    op.drop_index("ix_page_match_b_id", table_name="page_match")
    op.drop_table("page_match")
    op.drop_index("ix_page_mark_bands", table_name="page_mark", postgresql_using="gin")
    op.drop_table("page_mark")
    op.drop_index("ix_source_file_comic_id", table_name="source_file")
    op.drop_table("source_file")
    op.drop_index("ix_dataset_image_image_sha256", table_name="dataset_image")
    op.drop_table("dataset_image")
    op.drop_table("dataset_comic")
    op.drop_table("comic_metadata")
    op.drop_index("ix_comic_match_b_id", table_name="comic_match")
    op.drop_table("comic_match")
