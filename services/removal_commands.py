"""Commands about what goes: `comics remove | gc`."""

import argparse
import sys
from typing import TYPE_CHECKING

from services.amounts import amount, counted
from services.asking import ClientOf, Command, asking
from services.wrong_calls import WrongCall, plainly
from shared.errors import ComicsError

if TYPE_CHECKING:
    from shared.domain.answers import ComicView
    from shared.http.client import Client

KINDS = {
    "blobs": "files and images that nothing refers to",
    "segments": "stored vectors that are in no index",
    "scratch": "unfinished files of killed writers",
    "cache": "cached pictures that are over the limit or of nothing any more",
    "jobs": "jobs of comics that are gone",
    "source_files": "files rejected long ago",
    "checkpoints": "models that are not registered (never freed)",
    "runs": "states of runs that have ended (never freed)",
}


def add_removal_commands(command: Command, client_of: ClientOf) -> None:
    """Put these commands into the parser; `client_of` gives a client for the settings."""

    remove = command("remove", asking(client_of, _remove), "delete comics with their pages, text and vectors")
    remove.add_argument("comics", type=int, nargs="+", metavar="ID", help="a comic's number")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    remove.add_argument(
        "--force", action="store_true", help="even when datasets lose images that only an unreadable original has"
    )
    collect = command("gc", asking(client_of, _collect), "what lies around that nobody needs")
    collect.add_argument("--free", action="store_true", help="free it")


def _remove(client: "Client", chosen: argparse.Namespace) -> int:
    comics = [client.comic(comic_id) for comic_id in dict.fromkeys(chosen.comics)]
    for comic in comics:
        print(_told(comic))
    if not chosen.yes and not _agreed(len(comics)):
        print("nothing was deleted")
        return 1
    failed = 0
    for comic in comics:
        try:
            gone = client.remove(comic.id, force=chosen.force)
        except ComicsError as error:
            failed += 1
            print(f"comics: {plainly(error)}", file=sys.stderr)
            continue
        print(
            f"deleted comic {gone.id}: {counted(gone.pages, 'page')}, {counted(gone.panels, 'panel')}, "
            f"{counted(gone.vectors, 'vector')}; {amount(gone.bytes)} freed"
        )
        if gone.left:
            print("some of its bytes could not be freed now; `comics gc --free` does it later", file=sys.stderr)
    return 1 if failed else 0


def _told(comic: "ComicView") -> str:
    """A comic, and what goes with it."""
    pages = "not read yet" if comic.page_count is None else counted(comic.page_count, "page")
    what = "the original stays where it is" if comic.referenced else f"with its file of {amount(comic.size)}"
    return f"comic {comic.id}: {comic.title}, {pages}, {what}"


def _agreed(count: int) -> bool:
    if not sys.stdin.isatty():
        raise WrongCall("say `--yes` where nobody can be asked; nothing was deleted")
    what = "this comic" if count == 1 else f"these {count} comics"
    try:
        return input(f"Delete {what} with all panels, text and vectors? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _collect(client: "Client", chosen: argparse.Namespace) -> int:
    found = client.free_garbage() if chosen.free else client.garbage()
    for name, held in found.kinds().items():
        print(f"{held.count:10,}  {amount(held.bytes):>10}  {KINDS[name]}")
    freeable = [held for name, held in found.kinds().items() if name not in ("checkpoints", "runs")]
    total = amount(sum(held.bytes for held in freeable))
    if found.left:
        print("comics are being stored: not everything could be freed now; do it again later", file=sys.stderr)
    if found.freed:
        print(f"{total} freed")
    elif any(held.count or held.bytes for held in freeable):
        print(f"{total} could be freed; `comics gc --free` does it")
    else:
        print("nothing to free")
    return 0
