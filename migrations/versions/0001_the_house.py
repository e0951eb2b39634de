"""the house

Revision: 0001, after
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# Pages point at what is active of them, and that points back at its page.
CYCLE = {"layout_id": "layout", "ocr_id": "extraction", "vlm_id": "extraction"}


def upgrade() -> None:
    op.create_table(
        "budget",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("limit_usd", sa.Numeric(), nullable=False),
        sa.Column(
            "spent_usd",
            sa.Numeric(),
            server_default="0",
            nullable=False,
            comment="real costs, where known",
        ),
        sa.Column(
            "held_usd",
            sa.Numeric(),
            server_default="0",
            nullable=False,
            comment="worst case of open calls",
        ),
        sa.CheckConstraint("limit_usd >= 0 AND spent_usd >= 0 AND held_usd >= 0", name=op.f("ck_budget_amounts")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_budget")),
    )
    op.create_table(
        "checkpoint",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of weights and configuration together"),
        sa.Column("key", sa.Text(), nullable=False, comment="prefix in the storage"),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "origin",
            sa.Text(),
            nullable=False,
            comment="shipped weights, a configured folder, or a run of our own",
        ),
        sa.Column("active", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('detector', 'encoder')", name=op.f("ck_checkpoint_kind")),
        sa.CheckConstraint("origin IN ('shipped', 'configured', 'trained')", name=op.f("ck_checkpoint_origin")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoint")),
        sa.UniqueConstraint("kind", "sha256", name=op.f("uq_checkpoint_kind_sha256")),
    )
    op.create_index("uq_checkpoint_active", "checkpoint", ["kind"], unique=True, postgresql_where=sa.text("active"))
    op.create_table(
        "comic",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=True, comment="from metadata or a person; NULL: decided per page"),
        sa.Column("page_count", sa.Integer(), nullable=True, comment="NULL until ingested"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("direction IN ('ltr', 'rtl')", name=op.f("ck_comic_direction")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comic")),
        sa.UniqueConstraint("sha256", name=op.f("uq_comic_sha256")),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "comic_id", sa.BigInteger(), nullable=False, comment="the comic the subject belongs to; for progress"
        ),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'running') = (owner IS NOT NULL AND lease_until IS NOT NULL)", name=op.f("ck_job_owned")
        ),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'blocked')", name=op.f("ck_job_state")),
        sa.CheckConstraint("attempt BETWEEN 0 AND max_attempts", name=op.f("ck_job_attempts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("stage", "subject_id", "fingerprint", name=op.f("uq_job_stage_subject_id_fingerprint")),
    )
    op.create_index("ix_job_comic", "job", ["comic_id", "stage", "state"], unique=False)
    op.create_index(
        "ix_job_due", "job", ["stage", "id"], unique=False, postgresql_where=sa.text("state IN ('queued', 'running')")
    )
    op.create_index(
        "ix_job_failed", "job", ["id"], unique=False, postgresql_where=sa.text("state IN ('failed', 'blocked')")
    )
    op.create_table(
        "page",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("comic_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="0-based place in the file's own order"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="ok", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("image_sha256", sa.Text(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True, comment="as displayed, EXIF orientation applied"),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("layout_id", sa.BigInteger(), nullable=True),
        sa.Column("ocr_id", sa.BigInteger(), nullable=True),
        sa.Column("vlm_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "CASE state WHEN 'ok' THEN image_sha256 IS NOT NULL AND width > 0 AND height > 0 AND error IS NULL ELSE error IS NOT NULL END",
            name=op.f("ck_page_image_or_reason"),
        ),
        sa.CheckConstraint("state IN ('ok', 'unreadable')", name=op.f("ck_page_state")),
        sa.ForeignKeyConstraint(["comic_id"], ["comic.id"], name=op.f("fk_page_comic_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["layout_id"], ["layout.id"], name="fk_page_layout_id", ondelete="SET NULL", use_alter=True
        ),
        sa.ForeignKeyConstraint(
            ["ocr_id"], ["extraction.id"], name="fk_page_ocr_id", ondelete="SET NULL", use_alter=True
        ),
        sa.ForeignKeyConstraint(
            ["vlm_id"], ["extraction.id"], name="fk_page_vlm_id", ondelete="SET NULL", use_alter=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_page")),
        sa.UniqueConstraint("comic_id", "number", name=op.f("uq_page_comic_id_number")),
    )
    op.create_table(
        "segment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("checkpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="zarr group in the storage"),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("rows > 0", name=op.f("ck_segment_rows")),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"], ["checkpoint.id"], name=op.f("fk_segment_checkpoint_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sa.UniqueConstraint("key", name=op.f("uq_segment_key")),
    )
    op.create_index("ix_segment_checkpoint_id", "segment", ["checkpoint_id", "id"], unique=False)
    op.create_table(
        "layout",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("page_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column(
            "objects",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="characters, text boxes and faces as DetectedObject",
        ),
        sa.Column("checkpoint_id", sa.BigInteger(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("direction IN ('ltr', 'rtl')", name=op.f("ck_layout_direction")),
        sa.CheckConstraint("kind IN ('panels', 'splash', 'none')", name=op.f("ck_layout_kind")),
        sa.CheckConstraint("source IN ('model', 'import', 'person')", name=op.f("ck_layout_source")),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"], ["checkpoint.id"], name=op.f("fk_layout_checkpoint_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_layout_job_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], name=op.f("fk_layout_page_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_layout")),
    )
    op.create_index("ix_layout_page_id", "layout", ["page_id"], unique=False)
    op.create_table(
        "panel",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("layout_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, comment="0-based place in reading order"),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.Column("w", sa.Double(), nullable=False),
        sa.Column("h", sa.Double(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.CheckConstraint("score BETWEEN 0 AND 1", name=op.f("ck_panel_score")),
        sa.CheckConstraint("w > 0 AND h > 0", name=op.f("ck_panel_area")),
        sa.ForeignKeyConstraint(["layout_id"], ["layout.id"], name=op.f("fk_panel_layout_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_panel")),
        sa.UniqueConstraint("layout_id", "position", name=op.f("uq_panel_layout_id_position")),
    )
    op.create_table(
        "vlm_call",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False, comment="ours, sent along; the server's books have it"),
        sa.Column("budget", sa.Text(), nullable=False),
        sa.Column("page_id", sa.BigInteger(), nullable=True),
        sa.Column("layout_id", sa.BigInteger(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="of the page image and the engine's configuration"),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("model", sa.Text(), nullable=False, comment="asked for"),
        sa.Column("served_model", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("generation_id", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True, comment="raw answer, exactly as it came"),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("reserved_usd", sa.Numeric(), nullable=False),
        sa.Column("cost_usd", sa.Numeric(), nullable=True, comment="NULL: unknown, never 0"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'open') = (completed_at IS NULL)", name=op.f("ck_vlm_call_completed")),
        sa.CheckConstraint("state IN ('open', 'answered', 'failed', 'lost')", name=op.f("ck_vlm_call_state")),
        sa.CheckConstraint("reserved_usd >= 0 AND cost_usd >= 0", name=op.f("ck_vlm_call_amounts")),
        sa.ForeignKeyConstraint(["budget"], ["budget.name"], name=op.f("fk_vlm_call_budget")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_vlm_call_job_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["layout_id"], ["layout.id"], name=op.f("fk_vlm_call_layout_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], name=op.f("fk_vlm_call_page_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vlm_call")),
        sa.UniqueConstraint("request_id", name=op.f("uq_vlm_call_request_id")),
    )
    op.create_index("ix_vlm_call_page_id", "vlm_call", ["page_id", "fingerprint"], unique=False)
    op.create_table(
        "extraction",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("page_id", sa.BigInteger(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column(
            "content",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="PageExtraction (ocr) or PageReading (vlm)",
        ),
        sa.Column("unreadable", sa.Text(), nullable=True, comment="why there is no content"),
        sa.Column("layout_id", sa.BigInteger(), nullable=True),
        sa.Column("vlm_call_id", sa.BigInteger(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("engine IN ('ocr', 'vlm')", name=op.f("ck_extraction_engine")),
        sa.CheckConstraint("source IN ('model', 'import', 'person')", name=op.f("ck_extraction_source")),
        sa.CheckConstraint(
            "(content IS NULL) = (unreadable IS NOT NULL)", name=op.f("ck_extraction_content_or_reason")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_extraction_job_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["layout_id"], ["layout.id"], name=op.f("fk_extraction_layout_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], name=op.f("fk_extraction_page_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["vlm_call_id"], ["vlm_call.id"], name=op.f("fk_extraction_vlm_call_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extraction")),
    )
    op.create_index("ix_extraction_page_id", "extraction", ["page_id"], unique=False)
    op.create_table(
        "panel_text",
        sa.Column("panel_id", sa.BigInteger(), nullable=False),
        sa.Column("literal", sa.Text(), nullable=False),
        sa.Column("descriptive", sa.Text(), nullable=False),
        sa.Column("normalised", sa.Text(), nullable=False, comment="both, through shared.domain.text.normalise"),
        sa.Column(
            "terms",
            postgresql.TSVECTOR(),
            sa.Computed("to_tsvector('simple', normalised)", persisted=True),
            nullable=True,
        ),
        sa.Column("ocr_id", sa.BigInteger(), nullable=True),
        sa.Column("vlm_id", sa.BigInteger(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_panel_text_job_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["ocr_id"], ["extraction.id"], name=op.f("fk_panel_text_ocr_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["panel_id"], ["panel.id"], name=op.f("fk_panel_text_panel_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["vlm_id"], ["extraction.id"], name=op.f("fk_panel_text_vlm_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("panel_id", name=op.f("pk_panel_text")),
    )
    op.create_index("ix_panel_text_terms", "panel_text", ["terms"], unique=False, postgresql_using="gin")
    for column, target in CYCLE.items():
        op.create_foreign_key(f"fk_page_{column}", "page", target, [column], ["id"], ondelete="SET NULL")


def downgrade() -> None:
    for column in CYCLE:
        op.drop_constraint(f"fk_page_{column}", "page")
    op.drop_index("ix_panel_text_terms", table_name="panel_text", postgresql_using="gin")
    op.drop_table("panel_text")
    op.drop_index("ix_extraction_page_id", table_name="extraction")
    op.drop_table("extraction")
    op.drop_index("ix_vlm_call_page_id", table_name="vlm_call")
    op.drop_table("vlm_call")
    op.drop_table("panel")
    op.drop_index("ix_layout_page_id", table_name="layout")
    op.drop_table("layout")
    op.drop_index("ix_segment_checkpoint_id", table_name="segment")
    op.drop_table("segment")
    op.drop_table("page")
    op.drop_index("ix_job_failed", table_name="job", postgresql_where=sa.text("state IN ('failed', 'blocked')"))
    op.drop_index("ix_job_due", table_name="job", postgresql_where=sa.text("state IN ('queued', 'running')"))
    op.drop_index("ix_job_comic", table_name="job")
    op.drop_table("job")
    op.drop_table("comic")
    op.drop_index("uq_checkpoint_active", table_name="checkpoint", postgresql_where=sa.text("active"))
    op.drop_table("checkpoint")
    op.drop_table("budget")
