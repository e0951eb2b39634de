"""An OpenAI-compatible VLM on loopback that answers, misbehaves as told and keeps its own books, in its own process.

python tests/equipment/fake_vlm.py --port 0 --books books.jsonl [--latency 0.5]

`POST /v1/chat/completions`, `GET /v1/models`; and for tests `POST /control`, `GET /books`, `GET /stats`. Every request
is in the books before its answer leaves, so that they can be compared with a client's ledger whatever becomes of the
client. What is answered stands in `fake_vlm_answers.py`, how in `fake_vlm_server.py`.
"""

import argparse
import asyncio
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack, cast

import httpx

sys.path.append(str(Path(__file__).resolve().parents[2]))  # run as a file, only the file's own folder is there

from tests.equipment.fake_vlm_answers import (
    MISBEHAVIOURS,
    expected_cost,
    expected_description,
    expected_text,
    image_sha,
)
from tests.equipment.fake_vlm_server import STARTED, Control, Record, read_books, serve

__all__ = [
    "MISBEHAVIOURS",
    "Control",
    "FakeVlm",
    "Record",
    "expected_cost",
    "expected_description",
    "expected_text",
    "fake_vlm",
    "image_sha",
    "read_books",
]


@dataclass(frozen=True)
class FakeVlm:
    """A running one. `url` ends in /v1, as clients want it; the books' file stays when the server ends.

    `client` is any HTTP client that heeds no proxy, for the control and for tests without one of their own.
    """

    url: str
    path: Path
    process: subprocess.Popen[bytes]
    client: httpx.Client

    @property
    def port(self) -> int:
        """Its port, to start another one at the same address."""
        return int(httpx.URL(self.url).port or 0)

    def books(self) -> list[Record]:
        """Every request this file has seen, in order of arrival."""
        return cast(list[Record], self._get("books"))

    def stats(self) -> dict[str, Any]:
        """`requests`, `in_flight` and `max_in_flight` since this process started, and what is left of `control`."""
        return cast(dict[str, Any], self._get("stats"))

    def control(self, **changes: Unpack[Control]) -> None:
        """Tell it how to behave from now on; raises for a misbehaviour that does not exist."""
        self.client.post(self._address("control"), json=changes).raise_for_status()

    def settled(self, *, seconds: float = 10.0) -> list[Record]:
        """The books once no request is open; AssertionError when some still are after `seconds`."""
        limit = time.monotonic() + seconds
        while self.stats()["in_flight"]:
            assert time.monotonic() < limit, f"requests are still open after {seconds} s"
            time.sleep(0.02)
        return self.books()

    def kill(self) -> None:
        """SIGKILL, by process id; the books keep what had arrived."""
        self.process.kill()
        self.process.wait()

    def _address(self, name: str) -> str:
        return self.url.removesuffix("v1") + name

    def _get(self, name: str) -> object:
        return self.client.get(self._address(name)).raise_for_status().json()


@contextmanager
def fake_vlm(books: Path, latency: float = 0.0, *, port: int = 0, seconds: float = 20.0) -> Iterator[FakeVlm]:
    """A server in a process of its own, ended by its id, or by the end of this process however that comes.

    Raises RuntimeError with the server's own words when it does not listen within `seconds`.
    """
    command = [sys.executable, str(Path(__file__).resolve()), "--books", str(books), "--port", str(port)]
    log = books.with_name(books.name + ".log")
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*command, "--latency", str(latency), "--while-stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        said = _first_line(process, seconds=seconds)
        if not said.startswith(STARTED):
            raise RuntimeError(f"the fake VLM did not start: {log.read_text(errors='replace')[-2000:]}")
        with httpx.Client(trust_env=False, timeout=20) as client:
            yield FakeVlm(said.removeprefix(STARTED) + "/v1", books, process, client)
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _first_line(process: subprocess.Popen[bytes], *, seconds: float) -> str:
    """The first line of its output, without waiting longer than `seconds` for it."""
    assert process.stdout is not None
    limit, said = time.monotonic() + seconds, b""
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, limit - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 4096) if ready else b""
        if not piece:
            break
        said += piece
    return said.decode().strip()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="A fake VLM server for tests.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--books", type=Path, required=True, help="JSON lines; appended to")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--while-stdin", action="store_true", help="end when standard input does")
    told = parser.parse_args()
    asyncio.run(serve(told.books, port=told.port, latency=told.latency, while_stdin=told.while_stdin))


if __name__ == "__main__":
    main()
