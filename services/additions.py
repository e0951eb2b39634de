"""One call of `comics add`, from the walk to the report and the wait for the work."""

import argparse
import sys
import threading
import traceback
from typing import TYPE_CHECKING

from services.adding import add_all
from services.adding_display import Display, Total
from services.following import FOLLOWED, follow, follow_work
from services.outcomes import Tally
from services.sending import PATIENCE, Manner, Sender
from services.shelves import Shelves
from services.watching import watched
from services.wrong_calls import WrongCall, checked
from shared.domain.arrivals import Shelf
from shared.domain.walk import find_comics
from shared.errors import ComicsError

if TYPE_CHECKING:
    from shared.http.client import Client

FAILURES = 50  # that are told at the end


def add(client: "Client", chosen: argparse.Namespace) -> int:
    """Add what was named; the exit status: 0, 1 when anything is missing, 130 when it was interrupted.

    WrongCall when the options cannot be meant; `Unreachable` or `ApiError` when the server takes no more.
    """
    if not 1 <= chosen.jobs <= 64:
        raise WrongCall(f"`--jobs`: must be 1 to 64, not {chosen.jobs}")
    said = checked(Shelf, {"collection": chosen.collection, "source": chosen.source})
    client.known([])  # a server that is not there is told at once; one that goes away later is waited for
    with Tally(chosen.report) as tally, Shelves(said) as shelves:
        interrupted = crashed = False
        try:
            _send(client, chosen, tally, shelves)
        except KeyboardInterrupt:
            interrupted = True
        except ComicsError:
            raise
        except Exception:  # a defect of ours is shown above what was reached all the same
            traceback.print_exc()
            crashed = True
        finally:
            for line in [*shelves.warnings, *tally.summary()]:
                print(line)
    if crashed:
        print("comics: stopped by a defect; the same command goes on where this one was", file=sys.stderr)
        return 1
    if interrupted and not chosen.watch:
        print("stopped; the same command goes on where this one was", file=sys.stderr)
        return 130
    failed = tally.failed or (not tally.done and not chosen.watch)
    if tally.comics and not (chosen.no_wait or chosen.watch):
        failed = _wait(client, tally) or failed
    return 1 if failed else 0


def _send(client: "Client", chosen: argparse.Namespace, tally: Tally, shelves: Shelves) -> None:
    """Everything up to the last file, or until somebody stops it."""
    stop = threading.Event()
    paths, recursive = chosen.paths, chosen.recursive
    patience = float("inf") if chosen.watch else PATIENCE
    sender = Sender(client, shelves, Manner(reference=chosen.reference, rehash=chosen.rehash, patience=patience), stop)
    walk = watched(paths, recursive=recursive, stop=stop) if chosen.watch else find_comics(paths, recursive=recursive)
    total = Total(lambda: find_comics(paths, recursive=recursive), stop)
    try:
        with Display(tally, total, sender) as display:
            add_all(
                client,
                walk,
                sender=sender,
                shelves=shelves,
                report=display.outcome,
                stop=stop,
                connections=chosen.jobs,
                trust=not chosen.rehash,
                retry_rejected=chosen.retry_rejected,
            )
    finally:
        stop.set()


def _wait(client: "Client", tally: Tally) -> bool:
    """Follow the work on what was added to its end; whether anything failed."""
    if len(tally.comics) <= FOLLOWED:
        follow(client, *tally.comics)
        return sum(_failures(client, comic_id) for comic_id in tally.comics) > 0
    if tally.first_added is None:
        return False
    follow_work(client)
    told = 0
    for state in ("failed", "blocked"):
        for job in client.jobs(state=state):
            if job.comic_id is None or job.comic_id < tally.first_added:
                continue
            told += 1
            if told > FAILURES:
                print("and more: `comics status` counts them, `comics status --retry` tries them again")
                return True
            print(f"comic {job.comic_id}, {job.stage} job {job.id}: {job.error}", file=sys.stderr)
    return told > 0


def _failures(client: "Client", comic_id: int) -> int:
    """What became of one comic, a line each; how many things failed."""
    comic = client.comic(comic_id)
    if comic.state == "failed":
        print(f"comic {comic_id}: {comic.error}", file=sys.stderr)
        return 1
    unreadable = [page for page in client.pages(comic_id) if page.state == "unreadable"]
    for page in unreadable:
        print(f"comic {comic_id}, page {page.number + 1}: {page.error}", file=sys.stderr)
    jobs = [*client.jobs(comic_id=comic_id), *client.jobs(state="blocked", comic_id=comic_id)]
    for job in jobs:
        print(f"comic {comic_id}, {job.stage} job {job.id}: {job.error}", file=sys.stderr)
    return len(unreadable) + len(jobs)
