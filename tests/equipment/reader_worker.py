"""A worker process for tests of the job protocol: a real Celery worker whose *read* stage notes what it does.

    python tests/equipment/reader_worker.py NOTES SECONDS [POISON_SUBJECT]

Every page appends `subject attempt pid` to NOTES before and `… done` after SECONDS of work; the poison subject kills
its process with SIGKILL, as the kernel does when memory runs out.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shared.work.broker import work
from shared.work.jobs import Claim
from shared.work.stages import Done, stage

NOTES, SECONDS = Path(sys.argv[1]), float(sys.argv[2])
POISON = int(sys.argv[3]) if len(sys.argv) > 3 else None


def note(line: str) -> None:
    """Append one line; a single small write is atomic."""
    with NOTES.open("a") as notes:
        notes.write(line + "\n")


@stage("read")
def read(claims: Sequence[Claim]) -> Iterator[Done]:
    """Pretend nothing: claim, note, take time, store into the database."""
    for claim in claims:
        note(f"{claim.subject_id} {claim.attempt} {os.getpid()}")
        if claim.subject_id == POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(SECONDS)
        yield Done([claim], lambda connection: None)  # noqa: ARG005
        note(f"{claim.subject_id} {claim.attempt} done")


if __name__ == "__main__":
    work("cpu", concurrency=2, modules=[])
