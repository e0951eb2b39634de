"""Every table but those of the library and of learning, in the order of a comic's way through the house.

Constraints hold what must always be true. Importing this module makes `metadata` complete.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from shared.store import learning_tables, library_tables
from shared.store.columns import created, number, one_of, owner, trace
from shared.store.columns import metadata as metadata

assert library_tables.comic.metadata is learning_tables.dataset.metadata is metadata

job = sa.Table(
    "job",
    metadata,
    number(),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("subject_id", sa.BigInteger, nullable=False),
    sa.Column("comic_id", sa.BigInteger, comment="the comic the subject belongs to, if any; for progress"),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="queued"),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("lease_until", sa.DateTime(timezone=True)),
    sa.Column("not_before", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    sa.Column("error", sa.Text),
    created(),
    sa.Column("started_at", sa.DateTime(timezone=True)),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.UniqueConstraint("stage", "subject_id", "fingerprint"),
    one_of("state", "queued", "running", "done", "failed", "blocked"),
    sa.CheckConstraint("(state = 'running') = (owner IS NOT NULL AND lease_until IS NOT NULL)", name="owned"),
    sa.CheckConstraint("attempt BETWEEN 0 AND max_attempts", name="attempts"),
    sa.Index("ix_job_due", "stage", "id", postgresql_where=sa.text("state IN ('queued', 'running')")),
    sa.Index("ix_job_comic", "comic_id", "stage", "state"),
    sa.Index("ix_job_failed", "id", postgresql_where=sa.text("state IN ('failed', 'blocked')")),
)

checkpoint = sa.Table(
    "checkpoint",
    metadata,
    number(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False, comment="of weights and configuration together"),
    sa.Column("key", sa.Text, nullable=False, comment="prefix in the storage"),
    sa.Column("config", JSONB, nullable=False),
    sa.Column("origin", sa.Text, nullable=False, comment="shipped weights, a configured folder, or a run of our own"),
    sa.Column("active", sa.Boolean, nullable=False, server_default="false"),
    trace("run_id", "run.id", cycle="fk_checkpoint_run_id"),
    sa.Column("verdict", JSONB, comment="a trained detector beside the one before, on corrections kept aside"),
    created(),
    sa.UniqueConstraint("kind", "sha256"),
    one_of("kind", "detector", "encoder"),
    one_of("origin", "shipped", "configured", "trained"),
    sa.Index("uq_checkpoint_active", "kind", unique=True, postgresql_where=sa.text("active")),
)

layout = sa.Table(
    "layout",
    metadata,
    number(),
    owner("page_id", "page.id"),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, comment="why there is no panel; NULL where there is one"),
    sa.Column("direction", sa.Text, nullable=False),
    sa.Column("objects", JSONB, nullable=False, comment="characters, text boxes and faces as DetectedObject"),
    sa.Column("author", sa.Text, comment="who corrected it, or which file it came from; NULL for models"),
    sa.Column("changes", JSONB, comment="what a person changed of the layout it replaces"),
    trace("replaces_id", "layout.id", indexed=True),
    sa.Column("image_sha256", sa.Text, comment="the page's image that it is of; NULL where nobody noted it"),
    trace("checkpoint_id", "checkpoint.id"),
    trace("job_id", "job.id", indexed=True),
    created(),
    one_of("source", "model", "import", "person"),
    one_of("kind", "panels", "splash", "none"),
    one_of("reason", "blank", "text", "pictures", "nothing_seen"),
    one_of("direction", "ltr", "rtl"),
    sa.CheckConstraint("reason IS NULL OR kind = 'none'", name="reason_of_none"),
    sa.Index("ix_layout_page_id", "page_id"),
)

panel = sa.Table(
    "panel",
    metadata,
    number(),
    owner("layout_id", "layout.id"),
    sa.Column("position", sa.Integer, nullable=False, comment="0-based place in reading order"),
    sa.Column("x", sa.Double, nullable=False),
    sa.Column("y", sa.Double, nullable=False),
    sa.Column("w", sa.Double, nullable=False),
    sa.Column("h", sa.Double, nullable=False),
    sa.Column("score", sa.Double, nullable=False),
    sa.UniqueConstraint("layout_id", "position"),
    sa.CheckConstraint("w > 0 AND h > 0", name="area"),
    sa.CheckConstraint("score BETWEEN 0 AND 1", name="score"),
)

extraction = sa.Table(
    "extraction",
    metadata,
    number(),
    owner("page_id", "page.id"),
    sa.Column("engine", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("content", JSONB, comment="PageExtraction (ocr) or PageReading (vlm)"),
    sa.Column("unreadable", sa.Text, comment="why there is no content"),
    trace("layout_id", "layout.id", indexed=True),
    trace("vlm_call_id", "vlm_call.id"),
    trace("job_id", "job.id", indexed=True),
    created(),
    one_of("engine", "ocr", "vlm"),
    one_of("source", "model", "import", "person"),
    sa.CheckConstraint("(content IS NULL) = (unreadable IS NOT NULL)", name="content_or_reason"),
    sa.Index("ix_extraction_page_id", "page_id"),
)

panel_text = sa.Table(
    "panel_text",
    metadata,
    sa.Column("panel_id", sa.BigInteger, sa.ForeignKey("panel.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("literal", sa.Text, nullable=False),
    sa.Column("descriptive", sa.Text, nullable=False),
    sa.Column("normalised", sa.Text, nullable=False, comment="both, through shared.domain.text.normalise"),
    sa.Column("pieces", JSONB, nullable=False, server_default="[]", comment="literal text as PieceOfText, in order"),
    sa.Column("characters", JSONB, nullable=False, server_default="[]", comment="names"),
    sa.Column("verdict", sa.Text, nullable=False, server_default="unverified"),
    sa.Column("confidence", sa.Double, nullable=False, server_default="0"),
    sa.Column("reason", sa.Text, comment="why it is unverified"),
    sa.Column("terms", TSVECTOR, sa.Computed("to_tsvector('simple', normalised)", persisted=True)),
    trace("ocr_id", "extraction.id", indexed=True),
    trace("vlm_id", "extraction.id", indexed=True),
    trace("job_id", "job.id", indexed=True),
    one_of("verdict", "verified", "silent", "unverified"),
    sa.CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
    sa.Index("ix_panel_text_terms", "terms", postgresql_using="gin"),
)

alignment = sa.Table(
    "alignment",
    metadata,
    sa.Column("page_id", sa.BigInteger, sa.ForeignKey("page.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("perfect", sa.Boolean, nullable=False, comment="every panel has its own verified text or is silent"),
    sa.Column("equal_counts", sa.Boolean, comment="the older rule; NULL when no VLM was asked"),
    sa.Column("leftovers", JSONB, nullable=False, server_default="[]", comment="texts that belong to no panel"),
    sa.Column("reason", sa.Text, comment="why it is not perfect"),
    trace("layout_id", "layout.id", indexed=True),
    trace("ocr_id", "extraction.id", indexed=True),
    trace("vlm_id", "extraction.id", indexed=True),
    trace("job_id", "job.id", indexed=True),
    sa.CheckConstraint("perfect = (reason IS NULL)", name="perfect_or_reason"),
)

budget = sa.Table(
    "budget",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("limit_usd", sa.Numeric, nullable=False),
    sa.Column("spent_usd", sa.Numeric, nullable=False, server_default="0", comment="real costs, where known"),
    sa.Column("held_usd", sa.Numeric, nullable=False, server_default="0", comment="worst case of open calls"),
    sa.CheckConstraint("limit_usd >= 0 AND spent_usd >= 0 AND held_usd >= 0", name="amounts"),
)

vlm_call = sa.Table(
    "vlm_call",
    metadata,
    number(),
    sa.Column(
        "request_id", sa.Text, nullable=False, unique=True, comment="ours, sent along; the server's books have it"
    ),
    sa.Column("budget", sa.Text, sa.ForeignKey("budget.name"), nullable=False),
    trace("page_id", "page.id"),
    trace("layout_id", "layout.id", indexed=True),
    trace("job_id", "job.id", indexed=True),
    sa.Column("fingerprint", sa.Text, nullable=False, comment="of the page image and the engine's configuration"),
    sa.Column("state", sa.Text, nullable=False, server_default="open"),
    sa.Column("model", sa.Text, nullable=False, comment="asked for"),
    sa.Column("served_model", sa.Text),
    sa.Column("provider", sa.Text),
    sa.Column("generation_id", sa.Text),
    sa.Column("http_status", sa.Integer),
    sa.Column("outcome", sa.Text),
    sa.Column("body", sa.LargeBinary, comment="raw answer, exactly as it came"),
    sa.Column("prompt_tokens", sa.Integer),
    sa.Column("completion_tokens", sa.Integer),
    sa.Column("reserved_usd", sa.Numeric, nullable=False),
    sa.Column("cost_usd", sa.Numeric, comment="NULL: unknown, never 0"),
    created(),
    sa.Column("completed_at", sa.DateTime(timezone=True)),
    one_of("state", "open", "answered", "failed", "lost"),
    sa.CheckConstraint("(state = 'open') = (completed_at IS NULL)", name="completed"),
    sa.CheckConstraint("reserved_usd >= 0 AND cost_usd >= 0", name="amounts"),
    sa.Index("ix_vlm_call_page_id", "page_id", "fingerprint"),
)

segment = sa.Table(
    "segment",
    metadata,
    number(),
    owner("checkpoint_id", "checkpoint.id"),
    sa.Column("key", sa.Text, nullable=False, unique=True, comment="zarr group in the storage"),
    sa.Column("rows", sa.Integer, nullable=False),
    created(),
    sa.CheckConstraint("rows > 0", name="rows"),
    sa.Index("ix_segment_checkpoint_id", "checkpoint_id", "id"),
)

embedding = sa.Table(
    "embedding",
    metadata,
    sa.Column("page_id", sa.BigInteger, sa.ForeignKey("page.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("checkpoint_id", sa.BigInteger, sa.ForeignKey("checkpoint.id", ondelete="CASCADE"), primary_key=True),
    owner("segment_id", "segment.id"),
    sa.Column("inputs", sa.Text, nullable=False, comment="what the vectors were made from; see shared.work.inputs"),
    sa.Index("ix_embedding_checkpoint_id", "checkpoint_id", "page_id"),
    sa.Index("ix_embedding_segment_id", "segment_id"),
)
