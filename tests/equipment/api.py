"""The whole REST interface in this process, over a test's own database, where the command line finds it."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from services.processes import wait_until
from services.standalone import create_standalone
from shared.settings import Settings, settings


@contextmanager
def running_api(configured: Settings) -> Iterator[str]:
    """Serve over `configured`, the settings of now, on a free port that COMICS_SERVER names meanwhile; the address."""
    server = uvicorn.Server(uvicorn.Config(create_standalone(), log_level="warning", timeout_graceful_shutdown=1))
    before = os.environ.get("COMICS_SERVER")
    with socket.create_server((configured.host, 0)) as listening:
        address = f"http://{configured.host}:{listening.getsockname()[1]}"
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        serving.start()
        os.environ["COMICS_SERVER"] = address
        settings.cache_clear()
        try:
            assert wait_until(lambda: server.started, seconds=20)
            yield address
        finally:
            server.should_exit = True
            serving.join(timeout=20)
            if before is None:
                del os.environ["COMICS_SERVER"]
            else:
                os.environ["COMICS_SERVER"] = before
            settings.cache_clear()
