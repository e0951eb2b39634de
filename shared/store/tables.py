"""Every table, in the order of a comic's way through the house. Constraints hold what must always be true."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True)


def _created() -> sa.Column[object]:
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)


def _owner(column: str, target: str) -> sa.Column[int]:
    """A part of `target`: it goes when the whole goes."""
    return sa.Column(column, sa.BigInteger, sa.ForeignKey(target, ondelete="CASCADE"), nullable=False)


def _trace(column: str, target: str, *, cycle: str | None = None) -> sa.Column[int | None]:
    """Where something came from, or what is active; forgotten, not followed, when `target` goes.

    `cycle` names the constraint where two tables point at each other.
    """
    key = sa.ForeignKey(target, ondelete="SET NULL", use_alter=cycle is not None, name=cycle)
    return sa.Column(column, sa.BigInteger, key)


def _one_of(column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


job = sa.Table(
    "job",
    metadata,
    _id(),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("subject_id", sa.BigInteger, nullable=False),
    sa.Column("comic_id", sa.BigInteger, nullable=False, comment="the comic the subject belongs to; for progress"),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="queued"),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("lease_until", sa.DateTime(timezone=True)),
    sa.Column("not_before", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    sa.Column("error", sa.Text),
    _created(),
    sa.Column("started_at", sa.DateTime(timezone=True)),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.UniqueConstraint("stage", "subject_id", "fingerprint"),
    _one_of("state", "queued", "running", "done", "failed", "blocked"),
    sa.CheckConstraint("(state = 'running') = (owner IS NOT NULL AND lease_until IS NOT NULL)", name="owned"),
    sa.CheckConstraint("attempt BETWEEN 0 AND max_attempts", name="attempts"),
    sa.Index("ix_job_due", "stage", "id", postgresql_where=sa.text("state IN ('queued', 'running')")),
    sa.Index("ix_job_comic", "comic_id", "stage", "state"),
    sa.Index("ix_job_failed", "id", postgresql_where=sa.text("state IN ('failed', 'blocked')")),
)

comic = sa.Table(
    "comic",
    metadata,
    _id(),
    sa.Column("sha256", sa.Text, nullable=False, unique=True),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("direction", sa.Text, comment="from metadata or a person; NULL: decided per page"),
    sa.Column("page_count", sa.Integer, comment="NULL until ingested"),
    _created(),
    sa.CheckConstraint("direction IN ('ltr', 'rtl')", name="direction"),
)

page = sa.Table(
    "page",
    metadata,
    _id(),
    _owner("comic_id", "comic.id"),
    sa.Column("number", sa.Integer, nullable=False, comment="0-based place in the file's own order"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="ok"),
    sa.Column("error", sa.Text),
    sa.Column("image_sha256", sa.Text),
    sa.Column("media_type", sa.Text),
    sa.Column("width", sa.Integer, comment="as displayed, EXIF orientation applied"),
    sa.Column("height", sa.Integer),
    _trace("layout_id", "layout.id", cycle="fk_page_layout_id"),
    _trace("ocr_id", "extraction.id", cycle="fk_page_ocr_id"),
    _trace("vlm_id", "extraction.id", cycle="fk_page_vlm_id"),
    sa.UniqueConstraint("comic_id", "number"),
    _one_of("state", "ok", "unreadable"),
    sa.CheckConstraint(
        "CASE state WHEN 'ok' THEN image_sha256 IS NOT NULL AND width > 0 AND height > 0 AND error IS NULL "
        "ELSE error IS NOT NULL END",
        name="image_or_reason",
    ),
)

checkpoint = sa.Table(
    "checkpoint",
    metadata,
    _id(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False, comment="of weights and configuration together"),
    sa.Column("key", sa.Text, nullable=False, comment="prefix in the storage"),
    sa.Column("config", JSONB, nullable=False),
    sa.Column("origin", sa.Text, nullable=False, comment="shipped weights, a configured folder, or a run of our own"),
    sa.Column("active", sa.Boolean, nullable=False, server_default="false"),
    _created(),
    sa.UniqueConstraint("kind", "sha256"),
    _one_of("kind", "detector", "encoder"),
    _one_of("origin", "shipped", "configured", "trained"),
    sa.Index("uq_checkpoint_active", "kind", unique=True, postgresql_where=sa.text("active")),
)

layout = sa.Table(
    "layout",
    metadata,
    _id(),
    _owner("page_id", "page.id"),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("direction", sa.Text, nullable=False),
    sa.Column("objects", JSONB, nullable=False, comment="characters, text boxes and faces as DetectedObject"),
    _trace("checkpoint_id", "checkpoint.id"),
    _trace("job_id", "job.id"),
    _created(),
    _one_of("source", "model", "import", "person"),
    _one_of("kind", "panels", "splash", "none"),
    _one_of("direction", "ltr", "rtl"),
    sa.Index("ix_layout_page_id", "page_id"),
)

panel = sa.Table(
    "panel",
    metadata,
    _id(),
    _owner("layout_id", "layout.id"),
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
    _id(),
    _owner("page_id", "page.id"),
    sa.Column("engine", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("content", JSONB, comment="PageExtraction (ocr) or PageReading (vlm)"),
    sa.Column("unreadable", sa.Text, comment="why there is no content"),
    _trace("layout_id", "layout.id"),
    _trace("vlm_call_id", "vlm_call.id"),
    _trace("job_id", "job.id"),
    _created(),
    _one_of("engine", "ocr", "vlm"),
    _one_of("source", "model", "import", "person"),
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
    sa.Column("terms", TSVECTOR, sa.Computed("to_tsvector('simple', normalised)", persisted=True)),
    _trace("ocr_id", "extraction.id"),
    _trace("vlm_id", "extraction.id"),
    _trace("job_id", "job.id"),
    sa.Index("ix_panel_text_terms", "terms", postgresql_using="gin"),
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
    _id(),
    sa.Column(
        "request_id", sa.Text, nullable=False, unique=True, comment="ours, sent along; the server's books have it"
    ),
    sa.Column("budget", sa.Text, sa.ForeignKey("budget.name"), nullable=False),
    _trace("page_id", "page.id"),
    _trace("layout_id", "layout.id"),
    _trace("job_id", "job.id"),
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
    _created(),
    sa.Column("completed_at", sa.DateTime(timezone=True)),
    _one_of("state", "open", "answered", "failed", "lost"),
    sa.CheckConstraint("(state = 'open') = (completed_at IS NULL)", name="completed"),
    sa.CheckConstraint("reserved_usd >= 0 AND cost_usd >= 0", name="amounts"),
    sa.Index("ix_vlm_call_page_id", "page_id", "fingerprint"),
)

segment = sa.Table(
    "segment",
    metadata,
    _id(),
    _owner("checkpoint_id", "checkpoint.id"),
    sa.Column("key", sa.Text, nullable=False, unique=True, comment="zarr group in the storage"),
    sa.Column("rows", sa.Integer, nullable=False),
    _created(),
    sa.CheckConstraint("rows > 0", name="rows"),
    sa.Index("ix_segment_checkpoint_id", "checkpoint_id", "id"),
)
