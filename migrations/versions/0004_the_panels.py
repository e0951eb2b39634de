"""the panels: layouts that say why there is none and what a person changed, runs that train detectors

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OF_KIND = "(kind = 'encoder') = (dataset_id IS NOT NULL) AND (kind = 'encoder') = (option IS NOT NULL)"


def upgrade() -> None:
    op.add_column(
        "checkpoint",
        sa.Column(
            "verdict", postgresql.JSONB(), comment="a trained detector beside the one before, on corrections kept aside"
        ),
    )
    op.add_column("layout", sa.Column("reason", sa.Text(), comment="why there is no panel; NULL where there is one"))
    op.add_column(
        "layout",
        sa.Column("author", sa.Text(), comment="who corrected it, or which file it came from; NULL for models"),
    )
    op.add_column(
        "layout", sa.Column("changes", postgresql.JSONB(), comment="what a person changed of the layout it replaces")
    )
    op.add_column("layout", sa.Column("replaces_id", sa.BigInteger()))
    op.add_column(
        "layout",
        sa.Column("image_sha256", sa.Text(), comment="the page's image that it is of; NULL where nobody noted it"),
    )
    # Of the inactive ones nobody knows: the page may have got another image since.
    op.execute("UPDATE layout SET image_sha256 = p.image_sha256 FROM page p WHERE p.layout_id = layout.id")
    op.create_foreign_key(
        op.f("fk_layout_replaces_id"), "layout", "layout", ["replaces_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index(op.f("ix_layout_replaces_id"), "layout", ["replaces_id"])
    op.create_check_constraint(
        op.f("ck_layout_reason"), "layout", "reason IN ('blank', 'text', 'pictures', 'nothing_seen')"
    )
    op.create_check_constraint(op.f("ck_layout_reason_of_none"), "layout", "reason IS NULL OR kind = 'none'")
    op.alter_column(
        "page_mark", "sketch", existing_type=sa.LargeBinary(), existing_nullable=False,
        comment="the second signal; shared.domain.marks",
    )  # fmt: skip
    op.add_column("run", sa.Column("kind", sa.Text(), server_default="encoder", nullable=False))
    op.alter_column("run", "dataset_id", existing_type=sa.BigInteger(), nullable=True, comment="NULL for detectors")
    op.alter_column("run", "option", existing_type=sa.Text(), nullable=True, comment="NULL for detectors")
    op.create_check_constraint(op.f("ck_run_kind"), "run", "kind IN ('encoder', 'detector')")
    op.create_check_constraint(op.f("ck_run_dataset"), "run", OF_KIND)


def downgrade() -> None:
    op.execute("DELETE FROM run WHERE kind = 'detector'")
    op.drop_constraint(op.f("ck_run_dataset"), "run")
    op.drop_constraint(op.f("ck_run_kind"), "run")
    op.alter_column("run", "option", existing_type=sa.Text(), nullable=False, comment=None)
    op.alter_column("run", "dataset_id", existing_type=sa.BigInteger(), nullable=False, comment=None)
    op.drop_column("run", "kind")
    op.alter_column(
        "page_mark", "sketch", existing_type=sa.LargeBinary(), existing_nullable=False,
        comment="the second signal; services.ingestion.marks",
    )  # fmt: skip
    for column in ("image_sha256", "replaces_id", "changes", "author", "reason"):
        op.drop_column("layout", column)
    op.drop_column("checkpoint", "verdict")
