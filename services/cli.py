"""The `comics` command. Talks to a server (`COMICS_SERVER`), but for `up`, `detect`, `migrate` and `worker`.

Imports what a command needs when it runs: `comics --help` answers at once.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from services.adding_commands import add_adding_command
from services.amounts import counted
from services.dataset_commands import add_dataset_commands
from services.detect_command import add_detect_command
from services.detector_commands import offered
from services.duplicates_commands import add_duplicates_command
from services.exchange_commands import add_exchange_commands
from services.following import follow
from services.layout_commands import add_layout_commands
from services.metadata_commands import add_metadata_commands
from services.promotion_commands import add_promotion_commands
from services.removal_commands import add_removal_commands
from services.run_commands import add_run_commands
from services.wrong_calls import Parser, WrongCall, checked, plainly
from shared.domain.pipeline import QUEUES
from shared.errors import ComicsError
from shared.settings import Settings, settings

if TYPE_CHECKING:
    from shared.http.client import Client


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0, 1 when it failed, 2 when it was called wrongly."""
    chosen = parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen, settings()) or 0)
    except ComicsError as error:
        print(f"comics: {plainly(error)}", file=sys.stderr)
        return 2 if isinstance(error, WrongCall) else 1
    except BrokenPipeError:  # whoever read our lines has enough of them, as `head` does
        sys.stdout = None  # or Python would try to flush it at the end
        return 0
    except KeyboardInterrupt:
        print("\nno longer watching; the server goes on with its work", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    top = Parser(prog="comics", description="Search inside your own digital comics.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    command("up", _up, "start everything on this machine, until Ctrl-C")
    add_adding_command(command, _client)
    status = command("status", _status, "how far the work is, and what failed")
    status.add_argument("--follow", action="store_true", help="watch until nothing is left to do")
    status.add_argument("--retry", action="store_true", help="try everything that failed again")
    search = command("search", _search, "find panels by words, by a picture, or like a panel")
    search.add_argument("words", nargs="*", help="words in the panels' text")
    like = search.add_mutually_exclusive_group()
    like.add_argument("--image", type=Path, metavar="FILE", help="a picture file to look for")
    like.add_argument("--panel", type=int, metavar="ID", help="a panel's number: more like this one")
    search.add_argument(
        "--comic", type=int, action="append", default=[], metavar="ID", help="only in this comic (repeatable)"
    )
    _add_shelves(search)
    search.add_argument("--pages", action="store_true", help="find pages instead of panels")
    search.add_argument("--limit", type=int, default=10, metavar="N", help="results at most (default 10)")
    search.add_argument("--json", action="store_true", help="the answer as JSON")
    show = command("show", _show, "a comic with its pages, panels and text, or one panel's provenance")
    show.add_argument("comic", type=int, nargs="?", help="a comic's number; all comics when left out")
    show.add_argument("--panel", type=int, help="a panel's number")
    _add_shelves(show)
    add_detect_command(command)
    add_layout_commands(command, _client)
    add_exchange_commands(command, _client)
    add_metadata_commands(command, _client)
    add_duplicates_command(command, _client)
    add_removal_commands(command, _client)
    add_dataset_commands(command, _client)
    add_run_commands(command, _client)
    add_promotion_commands(command, _client)
    command("migrate", _migrate, "create or update the database, register models, plan missing work")
    worker = command("worker", _worker, "be a worker of one queue")
    worker.add_argument("queue", choices=QUEUES)
    worker.add_argument("--concurrency", type=int, help="processes")
    return top


def _add_shelves(command: argparse.ArgumentParser) -> None:
    for name, what in (("source", "from this source"), ("collection", "of this collection")):
        command.add_argument(
            f"--{name}", action="append", default=[], metavar="NAME", help=f"only comics {what} (repeatable)"
        )


def _up(_: argparse.Namespace, configured: Settings) -> None:
    from services.standalone import run

    run(configured, say=lambda line: print(line, flush=True))


def _status(chosen: argparse.Namespace, configured: Settings) -> int:
    with _client(configured) as client:
        failed = [*client.jobs(), *client.jobs(state="blocked")]
        if chosen.retry:
            for job in failed:
                client.retry(job.id)
            print(f"{len(failed)} jobs queued again")
            failed = []
        if chosen.follow:
            follow(client)
        progress = client.status()
        print(f"{'stage':10} {'queued':>8} {'running':>8} {'done':>8} {'failed':>8} {'blocked':>8}")
        for name, counts in progress.stages.items():
            numbers = (counts.queued, counts.running, counts.done, counts.failed, counts.blocked)
            print(f"{name:10} " + " ".join(f"{number:8}" for number in numbers))
        if outdated := client.outdated_layouts().pages:
            print(offered(outdated))
        for job in failed[:20]:
            of = f"comic {job.comic_id}" if job.comic_id is not None else f"run {job.subject_id}"
            print(f"job {job.id} {job.stage} of {of}: {job.error}")
        if failed:
            print(f"{len(failed)} failed or blocked; `comics status --retry` tries them again")
    return 1 if failed else 0


def _search(chosen: argparse.Namespace, configured: Settings) -> int:
    from shared.domain.answers import SearchFilters, SearchRequest

    filters = checked(
        SearchFilters,
        {
            "comics": chosen.comic,
            "sources": chosen.source,
            "collections": chosen.collection,
            "kind": "page" if chosen.pages else "panel",
        },
        sources="--source",
        collections="--collection",
    )
    wanted = checked(
        SearchRequest,
        {"panel_id": chosen.panel, "words": " ".join(chosen.words) or None, "filters": filters, "limit": chosen.limit},
        panel_id="--panel",
        words="WORDS",
    )
    with _client(configured) as client:
        answer = client.search(
            panel_id=wanted.panel_id,
            image=_read(chosen.image) if chosen.image else None,
            words=wanted.words,
            filters=wanted.filters,
            limit=wanted.limit,
        )
    if chosen.json:
        print(answer.model_dump_json(indent=2))
        return 0
    divided = answer.by != "words"
    for hit in answer.hits:
        if hit.why == "alike" and not divided:
            print("not written in these, but alike:")
            divided = True
        what = f"panel {hit.panel_id}" if hit.panel_id else f"page {hit.page_id}"
        text = " ".join(hit.text.split())
        print(f"{hit.score:6.3f}  {what:12} {hit.comic}, page {hit.page_number + 1}: {text[:90]}")
    print(f"{len(answer.hits)} results by {answer.by} in {answer.milliseconds:.1f} ms")
    return 0 if answer.hits else 1


def _show(chosen: argparse.Namespace, configured: Settings) -> None:
    with _client(configured) as client:
        if chosen.panel is not None:
            print(client.provenance(chosen.panel).model_dump_json(indent=2))
            return
        if chosen.comic is None:
            for comic in client.comics(sources=chosen.source, collections=chosen.collection):
                remark = comic.error or ("hidden" if comic.hidden else "")
                print(f"{comic.id:5} {comic.state:8} {comic.page_count or 0:5} pages  {comic.title}  {remark}")
            return
        comic = client.comic(chosen.comic)
        print(f"{comic.title} ({comic.file_name}): {comic.state}, {counted(comic.page_count or 0, 'page')}")
        for page in client.pages(comic.id):
            what = page.error or page.layout_kind or "not detected yet"
            print(f"page {page.number + 1} (id {page.id}) {page.name}: {what}")
            for panel in client.panels(page.id):
                text = " ".join(panel.literal.split())
                box = ", ".join(f"{number:.0f}" for number in panel.box)
                print(f"  panel {panel.id} [{box}] {text[:100]}")


def _migrate(_: argparse.Namespace, configured: Settings) -> None:
    from services.standalone import prepare

    if configured.database_url is None:
        raise ComicsError("DATABASE_URL is not set; `comics up` migrates its own database by itself.")
    planned = prepare(configured, say=print)
    print("migrated; planned " + ", ".join(f"{count} {stage}" for stage, count in planned.items()))


def _worker(chosen: argparse.Namespace, configured: Settings) -> None:
    from shared.work.broker import work

    usual = {"cpu": configured.cpu_workers, "io": configured.io_workers, "gpu": 1, "train": 1}
    work(chosen.queue, concurrency=chosen.concurrency or usual[chosen.queue])


def _client(configured: Settings) -> "Client":
    from shared.http.client import Client

    token = configured.api_token.get_secret_value() if configured.api_token else None
    return Client(configured.server, token=token)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ComicsError(f"{path} cannot be read: {error.strerror}") from error


if __name__ == "__main__":
    raise SystemExit(main())
