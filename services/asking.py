"""Commands that ask a server."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.settings import Settings

if TYPE_CHECKING:
    from shared.http.client import Client

Run = Callable[[argparse.Namespace, Settings], int]
Command = Callable[[str, Run, str], argparse.ArgumentParser]
ClientOf = Callable[[Settings], "Client"]


def asking(client_of: ClientOf, work: Callable[["Client", argparse.Namespace], int]) -> Run:
    """The work as a command's, with a client while it lasts."""

    def run(chosen: argparse.Namespace, configured: Settings) -> int:
        with client_of(configured) as client:
            return work(client, chosen)

    return run
