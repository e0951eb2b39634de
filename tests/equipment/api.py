"""The REST interface over a test's own database: all of it in this process, or ingestion's in one of its own."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import uvicorn

from services.embedded import free_port
from services.processes import wait_until
from services.standalone import create_standalone
from shared.http.app import create_app
from shared.settings import Settings, settings


@contextmanager
def running_api(configured: Settings, *, service: str | None = None, services: Sequence[str] = ()) -> Iterator[str]:
    """Serve over `configured`, the settings of now, on a free port that COMICS_SERVER names meanwhile; the address.

    `service`, or `services`: only this one's interface, or theirs together, which start sooner.
    """
    if services:
        app = create_app("some", [import_module(f"services.{name}.api").router for name in services])
    else:
        app = create_standalone() if service is None else import_module(f"services.{service}.api").app
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
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


@contextmanager
def ingestion_process(port: int | None = None) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """The ingestion service as its container runs it, over the settings of this environment; process and address."""
    port = port or free_port()
    command = [sys.executable, "-m", "uvicorn", "services.ingestion.api:app", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--log-level", "error", "--no-access-log"], cwd=Path(__file__).resolve().parents[2]
    )
    try:
        assert wait_until(lambda: _listens(port) or process.poll() is not None, seconds=60)
        assert process.poll() is None, "the ingestion service did not start"
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
