"""The tables of learning: datasets, runs with their metrics, promotions."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from shared.store.columns import created, metadata, number, one_of, owner, trace

dataset = sa.Table(
    "dataset",
    metadata,
    number(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False, unique=True, comment="sha256 of its pages and their split"),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("request", JSONB, nullable=False),
    sa.Column("counts", JSONB, nullable=False),
    sa.Column("warnings", JSONB, nullable=False),
    sa.Column("key", sa.Text, nullable=False, comment="prefix in the storage"),
    created(),
    one_of("origin", "frozen", "imported"),
)

# Images that frozen pages show: deleting a comic leaves them.
dataset_image = sa.Table(
    "dataset_image",
    metadata,
    sa.Column("dataset_id", sa.BigInteger, sa.ForeignKey("dataset.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("image_sha256", sa.Text, primary_key=True),
    sa.Index("ix_dataset_image_image_sha256", "image_sha256"),
)

# Comics of ours that a frozen dataset was made of, so that it can say which have been deleted since.
dataset_comic = sa.Table(
    "dataset_comic",
    metadata,
    sa.Column("dataset_id", sa.BigInteger, sa.ForeignKey("dataset.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("comic_sha256", sa.Text, primary_key=True),
)

run = sa.Table(
    "run",
    metadata,
    number(),
    sa.Column("kind", sa.Text, nullable=False, server_default="encoder"),
    sa.Column("dataset_id", sa.BigInteger, sa.ForeignKey("dataset.id"), comment="NULL for detectors"),
    sa.Column("option", sa.Text, comment="NULL for detectors"),
    sa.Column("config", JSONB, nullable=False),
    trace("start_id", "checkpoint.id"),
    sa.Column("launches", sa.Integer, nullable=False, server_default="1", comment="1, and one for each resume"),
    sa.Column("stopping", sa.Boolean, nullable=False, server_default="false", comment="told to stop, or stopped"),
    sa.Column("step", sa.Integer, nullable=False, server_default="0"),
    sa.Column("steps", sa.Integer, comment="NULL until it has begun"),
    created(),
    one_of("kind", "encoder", "detector"),
    one_of("option", "base", "denoise", "context", "context-denoise"),
    sa.CheckConstraint(
        "(kind = 'encoder') = (dataset_id IS NOT NULL) AND (kind = 'encoder') = (option IS NOT NULL)", name="dataset"
    ),
    sa.CheckConstraint("step >= 0 AND step <= coalesce(steps, step)", name="step"),
)

run_metric = sa.Table(
    "run_metric",
    metadata,
    number(),
    owner("run_id", "run.id"),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("epoch", sa.Double, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("values", JSONB, nullable=False),
    sa.UniqueConstraint("run_id", "kind", "step"),
    one_of("kind", "train", "held_out"),
)

promotion = sa.Table(
    "promotion",
    metadata,
    number(),
    owner("checkpoint_id", "checkpoint.id"),
    trace("previous_id", "checkpoint.id"),
    sa.Column("state", sa.Text, nullable=False, server_default="embedding"),
    sa.Column("skipping", sa.Boolean, nullable=False, server_default="false", comment="switch without failed pages"),
    sa.Column("back", sa.Boolean, nullable=False, server_default="false", comment="a rollback of an earlier one"),
    created(),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    one_of("state", "embedding", "done", "cancelled"),
    sa.CheckConstraint("(state = 'embedding') = (finished_at IS NULL)", name="finished"),
    sa.Index("uq_promotion_open", "state", unique=True, postgresql_where=sa.text("state = 'embedding'")),
)
