"""The stages as data: what each works on, what it waits for, where it runs and for how long.

    ingest(comic) ─┬─> compare(comic)                              duplicates
                   ├─> align(page)                                 panels and words that the file itself states
                   ├─> detect(page) ─┬─────────────> align(page) ─┬─> embed(page)      the encoder that serves queries
                   └─> read(page) ───┤                  ^         └─> reembed(page)    the one being promoted, if any
                          detect ────┴─> extract(page) ─┘   (only with an engine and a budget)

    train(run)     a run that somebody ordered

A stage is planned for every subject whose inputs exist and whose fingerprint is new; `follows` names the stages to
plan and wake when one of its jobs ends. Bump `version` when a stage's output changes for the same input.
"""

from dataclasses import dataclass
from typing import Literal

Queue = Literal["cpu", "io", "gpu", "train"]
Subject = Literal["comic", "page", "run"]
HOUR = 3600
QUEUES: tuple[Queue, ...] = ("cpu", "io", "gpu", "train")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One kind of work. `batch`: jobs claimed at once; `limit`: seconds after which a hung batch is killed."""

    name: str
    service: str
    subject: Subject
    queue: Queue
    follows: tuple[str, ...] = ()
    version: int = 1
    batch: int = 1
    limit: int = 600
    max_attempts: int = 3
    paid: bool = False


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        # Pages that hang are given up one by one, the rest of a comic before this; 20,000 drawn ones take six hours.
        Stage(
            name="ingest", service="ingestion", subject="comic", queue="cpu",
            follows=("detect", "read", "compare", "align"), limit=8 * HOUR, version=2,
        ),
        Stage(name="compare", service="ingestion", subject="comic", queue="cpu", batch=16),
        Stage(name="detect", service="detection", subject="page", queue="gpu", follows=("align", "extract"), batch=8),
        Stage(name="read", service="extraction", subject="page", queue="cpu", follows=("align",), batch=4),
        Stage(
            name="extract", service="extraction", subject="page", queue="io", follows=("align",),
            batch=16, limit=1800, paid=True,
        ),
        Stage(
            name="align", service="dataspec", subject="page", queue="cpu", follows=("embed", "reembed"),
            batch=32, version=3,
        ),
        Stage(name="embed", service="search", subject="page", queue="gpu", batch=32, version=2),
        Stage(name="reembed", service="search", subject="page", queue="gpu", batch=32),
        # The limit is against what hangs; a run's own length is its user's business.
        Stage(name="train", service="training", subject="run", queue="train", limit=14 * 86_400),
    )
}  # fmt: skip


def services_of(queue: Queue) -> tuple[str, ...]:
    """The services whose tasks a worker of `queue` needs, in pipeline order."""
    return tuple(dict.fromkeys(stage.service for stage in STAGES.values() if stage.queue == queue))
