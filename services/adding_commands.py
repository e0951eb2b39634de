"""The command that adds comics: `comics add`. The parser alone: what it takes to add is loaded when it runs."""

import argparse
from pathlib import Path

from services.asking import ClientOf, Command
from shared.settings import Settings

CONNECTIONS = 4


def add_adding_command(command: Command, client_of: ClientOf) -> None:
    """Put `add` into the parser; `client_of` gives a client for the settings."""

    def run(chosen: argparse.Namespace, configured: Settings) -> int:
        from services.additions import add

        with client_of(configured) as client:
            return add(client, chosen)

    parser = command("add", run, "add comics: files, folders of images, or folders of comics")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("-r", "--recursive", action="store_true", help="folders inside folders too")
    parser.add_argument("--watch", action="store_true", help="go on adding what appears, until Ctrl-C")
    parser.add_argument(
        "--reference", action="store_true", help="leave the files where they are: the server reads them there"
    )
    parser.add_argument("--collection", metavar="NAME", help="the shelf they stand on (default: the folder's name)")
    parser.add_argument("--source", metavar="NAME", help="where you have them from: Humble Bundle, 2000AD …")
    parser.add_argument("--rehash", action="store_true", help="read files again whose size and time have not changed")
    parser.add_argument("--retry-rejected", action="store_true", help="send what was rejected again")
    parser.add_argument("--report", type=Path, metavar="FILE.csv", help="write what became of every file")
    parser.add_argument("--jobs", type=int, default=CONNECTIONS, metavar="N", help="files sent at once (default 4)")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until they are searchable")
