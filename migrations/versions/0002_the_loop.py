"""the loop: verdicts, datasets, runs, promotions

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dataset",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="sha256 of its pages and their split"),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="prefix in the storage"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("origin IN ('frozen', 'imported')", name=op.f("ck_dataset_origin")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_dataset_fingerprint")),
    )
    op.create_table(
        "promotion",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("checkpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("previous_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), server_default="embedding", nullable=False),
        sa.Column(
            "skipping", sa.Boolean(), server_default="false", nullable=False, comment="switch without failed pages"
        ),
        sa.Column("back", sa.Boolean(), server_default="false", nullable=False, comment="a rollback of an earlier one"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'embedding') = (finished_at IS NULL)", name=op.f("ck_promotion_finished")),
        sa.CheckConstraint("state IN ('embedding', 'done', 'cancelled')", name=op.f("ck_promotion_state")),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"], ["checkpoint.id"], name=op.f("fk_promotion_checkpoint_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["previous_id"], ["checkpoint.id"], name=op.f("fk_promotion_previous_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion")),
    )
    op.create_index(
        "uq_promotion_open", "promotion", ["state"], unique=True, postgresql_where=sa.text("state = 'embedding'")
    )
    op.create_table(
        "run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("option", sa.Text(), nullable=False),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("start_id", sa.BigInteger(), nullable=True),
        sa.Column("launches", sa.Integer(), server_default="1", nullable=False, comment="1, and one for each resume"),
        sa.Column("stopping", sa.Boolean(), server_default="false", nullable=False, comment="told to stop, or stopped"),
        sa.Column("step", sa.Integer(), server_default="0", nullable=False),
        sa.Column("steps", sa.Integer(), nullable=True, comment="NULL until it has begun"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("option IN ('base', 'denoise', 'context', 'context-denoise')", name=op.f("ck_run_option")),
        sa.CheckConstraint("step >= 0 AND step <= coalesce(steps, step)", name=op.f("ck_run_step")),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_run_dataset_id")),
        sa.ForeignKeyConstraint(["start_id"], ["checkpoint.id"], name=op.f("fk_run_start_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_table(
        "embedding",
        sa.Column("page_id", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("segment_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "inputs", sa.Text(), nullable=False, comment="what the vectors were made from; see shared.work.inputs"
        ),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"], ["checkpoint.id"], name=op.f("fk_embedding_checkpoint_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], name=op.f("fk_embedding_page_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.id"], name=op.f("fk_embedding_segment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("page_id", "checkpoint_id", name=op.f("pk_embedding")),
    )
    op.create_index("ix_embedding_checkpoint_id", "embedding", ["checkpoint_id", "page_id"], unique=False)
    op.create_index("ix_embedding_segment_id", "embedding", ["segment_id"], unique=False)
    op.create_table(
        "run_metric",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Double(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("values", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("kind IN ('train', 'held_out')", name=op.f("ck_run_metric_kind")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_metric_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_metric")),
        sa.UniqueConstraint("run_id", "kind", "step", name=op.f("uq_run_metric_run_id_kind_step")),
    )
    op.create_table(
        "alignment",
        sa.Column("page_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "perfect", sa.Boolean(), nullable=False, comment="every panel has its own verified text or is silent"
        ),
        sa.Column("equal_counts", sa.Boolean(), nullable=True, comment="the older rule; NULL when no VLM was asked"),
        sa.Column(
            "leftovers",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
            comment="texts that belong to no panel",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it is not perfect"),
        sa.Column("layout_id", sa.BigInteger(), nullable=True),
        sa.Column("ocr_id", sa.BigInteger(), nullable=True),
        sa.Column("vlm_id", sa.BigInteger(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("perfect = (reason IS NULL)", name=op.f("ck_alignment_perfect_or_reason")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_alignment_job_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["layout_id"], ["layout.id"], name=op.f("fk_alignment_layout_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["ocr_id"], ["extraction.id"], name=op.f("fk_alignment_ocr_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], name=op.f("fk_alignment_page_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["vlm_id"], ["extraction.id"], name=op.f("fk_alignment_vlm_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("page_id", name=op.f("pk_alignment")),
    )
    op.add_column("checkpoint", sa.Column("run_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key("fk_checkpoint_run_id", "checkpoint", "run", ["run_id"], ["id"], ondelete="SET NULL")
    op.alter_column(
        "job",
        "comic_id",
        existing_type=sa.BIGINT(),
        nullable=True,
        comment="the comic the subject belongs to, if any; for progress",
        existing_comment="the comic the subject belongs to; for progress",
    )
    op.add_column(
        "panel_text",
        sa.Column(
            "pieces",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
            comment="literal text as PieceOfText, in order",
        ),
    )
    op.add_column(
        "panel_text",
        sa.Column(
            "characters", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False, comment="names"
        ),
    )
    op.add_column("panel_text", sa.Column("verdict", sa.Text(), server_default="unverified", nullable=False))
    op.add_column("panel_text", sa.Column("confidence", sa.Double(), server_default="0", nullable=False))
    op.add_column("panel_text", sa.Column("reason", sa.Text(), nullable=True, comment="why it is unverified"))
    op.create_check_constraint(
        op.f("ck_panel_text_verdict"), "panel_text", "verdict IN ('verified', 'silent', 'unverified')"
    )
    op.create_check_constraint(op.f("ck_panel_text_confidence"), "panel_text", "confidence BETWEEN 0 AND 1")


def downgrade() -> None:
    op.execute("DELETE FROM job WHERE comic_id IS NULL")
    op.drop_column("panel_text", "reason")
    op.drop_column("panel_text", "confidence")
    op.drop_column("panel_text", "verdict")
    op.drop_column("panel_text", "characters")
    op.drop_column("panel_text", "pieces")
    op.alter_column(
        "job",
        "comic_id",
        existing_type=sa.BIGINT(),
        nullable=False,
        comment="the comic the subject belongs to; for progress",
        existing_comment="the comic the subject belongs to, if any; for progress",
    )
    op.drop_constraint("fk_checkpoint_run_id", "checkpoint", type_="foreignkey")
    op.drop_column("checkpoint", "run_id")
    op.drop_table("alignment")
    op.drop_table("run_metric")
    op.drop_index("ix_embedding_segment_id", table_name="embedding")
    op.drop_index("ix_embedding_checkpoint_id", table_name="embedding")
    op.drop_table("embedding")
    op.drop_table("run")
    op.drop_index("uq_promotion_open", table_name="promotion", postgresql_where=sa.text("state = 'embedding'"))
    op.drop_table("promotion")
    op.drop_table("dataset")
