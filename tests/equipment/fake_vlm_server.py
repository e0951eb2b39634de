"""The fake VLM's server: one process, one event loop, its books on disk before any answer leaves.

Plain asyncio over h11, because a test needs to know whether a client was still there and to break an answer off midway.
"""

import asyncio
import json
import sys
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

import h11

from tests.equipment.fake_vlm_answers import MISBEHAVIOURS, MODEL, SLOW, Answer, answer, image_sha, question, refused

STARTED = "listening on "
MODEL_ENTRY = {
    "id": MODEL,
    "name": "Fake reader",
    "context_length": 128_000,
    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
    "pricing": {"prompt": "0.0000001", "completion": "0.0000004"},
    "supported_parameters": ["max_tokens", "temperature", "response_format", "structured_outputs"],
}


class Record(TypedDict):
    """One request in the books. `cost` is what was charged, USD in decimal digits, told to the client or not.

    `outcome` is "answered" (every byte was handed to the network), "abandoned" (the client had left), "cut" (broken off
    as told) or None: still open, or the server itself was killed.
    """

    entry: str
    request_id: str
    user: str | None
    arrived_at: str
    image_sha: str
    panels: list[int]
    model: str
    max_tokens: int | None
    temperature: float | None
    routing: dict[str, Any] | None
    misbehaviour: str | None
    status: int
    cost: str
    prompt_tokens: int
    completion_tokens: int
    answered: bool
    outcome: str | None
    ended_at: str | None


class Control(TypedDict, total=False):
    """What the server is told; a part not named stays as it is.

    Who decides about a request: `per_image` (a list is used up, a name stays), then `script` (used up; None is a good
    answer), then `always`. `latency` in seconds is for every answer.
    """

    script: list[str | None]
    always: str | None
    latency: float
    per_image: dict[str, str | list[str | None]]


@dataclass
class Manners:
    """The control's state."""

    script: list[str | None] = field(default_factory=list)
    always: str | None = None
    latency: float = 0.0
    per_image: dict[str, str | list[str | None]] = field(default_factory=dict)

    def change(self, told: dict[str, Any]) -> None:
        """Take over the named parts; ValueError, and nothing changed, for a name that is not known."""
        named = [told.get("always"), *told.get("script", ())]
        for names in told.get("per_image", {}).values():
            named.extend([names] if isinstance(names, str) else names)
        unknown = (set(told) - set(asdict(self))) | (set(named) - MISBEHAVIOURS - {None})
        if unknown:
            raise ValueError(f"not known: {', '.join(sorted(map(str, unknown)))}")
        for name, value in told.items():
            setattr(self, name, value)

    def take(self, image: str) -> str | None:
        """The misbehaviour for the next request, about this image."""
        special = self.per_image.get(image)
        if isinstance(special, str):
            return special
        if special:
            return special.pop(0)
        return self.script.pop(0) if self.script else self.always


def read_books(path: Path) -> list[Record]:
    """The books of a file in order of arrival, each request joined with its end; works without the server."""
    joined: dict[str, Any] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        entry = json.loads(line)
        joined.setdefault(entry["entry"], {}).update(entry)
    return list(joined.values())


class Server:
    """The server's state: its manners, its books and how many requests are open."""

    def __init__(self, books: Path, *, latency: float) -> None:
        self.path = books
        self.file = books.open("a", encoding="utf-8")
        self.manners = Manners(latency=latency)
        self.requests = self.in_flight = self.max_in_flight = 0

    def note(self, **entry: Any) -> None:
        """One more line in the books, out of this process's hands when it returns."""
        self.file.write(json.dumps(entry) + "\n")
        self.file.flush()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One keep-alive connection until either side ends it."""
        writer.transport.set_write_buffer_limits(high=0)  # so that drained means handed to the network
        http = h11.Connection(h11.SERVER)
        try:
            while (received := await _request(http, reader, writer)) is not None:
                head, body = received
                if (head.method, head.target) == (b"POST", b"/v1/chat/completions"):
                    await self.completion(http, reader, writer, head, body)
                else:
                    await _send(http, writer, self.other(head, body))
                if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                    break
                http.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError):
            pass  # the client left; what it had asked stands in the books
        finally:
            writer.close()

    async def completion(
        self,
        http: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        head: h11.Request,
        body: bytes,
    ) -> None:
        """Answer one question: books, delay, answer, books."""
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        entry, outcome = uuid.uuid4().hex, None
        try:
            made, misbehaviour = self.arrived(entry, head, body)
            await asyncio.sleep(self.manners.latency + (SLOW if misbehaviour == "slow" else 0))
            if reader.at_eof() or reader.exception() or writer.is_closing():
                raise ConnectionResetError("the client left before its answer")
            await _send(http, writer, made, cut=misbehaviour == "cut")
            outcome = "cut" if misbehaviour == "cut" else "answered"
        except ConnectionError:
            outcome = "abandoned"
            raise
        finally:
            self.in_flight -= 1
            if outcome:  # None where this server itself is being ended
                self.note(entry=entry, outcome=outcome, answered=outcome == "answered", ended_at=_now())

    def arrived(self, entry: str, head: h11.Request, body: bytes) -> tuple[Answer, str | None]:
        """Decide on the answer and write the request down."""
        misbehaviour: str | None = None
        document: dict[str, Any] = {}
        model, image, panels = MODEL, "", list[int]()
        try:
            asked = question(body)
        except ValueError as error:
            made = refused(str(error))
        else:
            document, model, panels, image = asked.document, asked.model, list(asked.panels), image_sha(asked.image)
            misbehaviour = self.manners.take(image)
            made = answer(asked, misbehaviour=misbehaviour, generation_id=f"gen-{entry[:16]}")
        user = document.get("user")
        record = Record(
            entry=entry,
            request_id=dict(head.headers).get(b"x-request-id", b"").decode("ascii", "replace") or str(user or ""),
            user=user,
            arrived_at=_now(),
            image_sha=image,
            panels=panels,
            model=model,
            max_tokens=document.get("max_tokens"),
            temperature=document.get("temperature"),
            routing=document.get("provider"),
            misbehaviour=misbehaviour,
            status=made.status,
            cost=str(made.cost),
            prompt_tokens=made.prompt_tokens,
            completion_tokens=made.completion_tokens,
            answered=False,
            outcome=None,
            ended_at=None,
        )
        self.note(**record)
        return made, misbehaviour

    def other(self, head: h11.Request, body: bytes) -> Answer:
        """Everything but completions."""
        match head.method, head.target:
            case b"GET", b"/v1/models":
                return _json({"object": "list", "data": [MODEL_ENTRY]})
            case b"GET", b"/books":
                return _json(read_books(self.path))
            case b"GET", b"/stats":
                counts = {name: getattr(self, name) for name in ("requests", "in_flight", "max_in_flight")}
                return _json({**counts, "control": asdict(self.manners)})
            case b"POST", b"/control":
                try:
                    self.manners.change(json.loads(body))
                except ValueError as error:
                    return refused(str(error), status=422)
                return _json(asdict(self.manners))
        return refused("There is nothing here", status=404)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _json(document: object) -> Answer:
    return Answer(200, json.dumps(document).encode())


async def _request(
    http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[h11.Request, bytes] | None:
    """The next whole request; None when the client closed between two."""
    head: h11.Request | None = None
    pieces: list[bytes] = []
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            if http.they_are_waiting_for_100_continue:
                writer.write(http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            http.receive_data(await reader.read(1 << 18))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            pieces.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return head, b"".join(pieces)
        else:
            return None


async def _send(http: h11.Connection, writer: asyncio.StreamWriter, made: Answer, *, cut: bool = False) -> None:
    """Write an answer, or its first half only, and wait until the network has it."""
    headers = {**made.headers, "Content-Length": str(len(made.body))}
    head = h11.Response(status_code=made.status, headers=list(headers.items()))
    body = made.body[: len(made.body) // 2] if cut else made.body
    writer.write((http.send(head) or b"") + (http.send(h11.Data(data=body)) or b""))
    if not cut:
        http.send(h11.EndOfMessage())
    await writer.drain()


async def serve(books: Path, *, port: int, latency: float, while_stdin: bool) -> None:
    """Listen until killed, or until standard input ends where that is asked: no server outlives its test run."""
    state = Server(books, latency=latency)
    listening = await asyncio.start_server(state.connection, "127.0.0.1", port, backlog=512)
    sys.stdout.write(f"{STARTED}http://127.0.0.1:{listening.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    if while_stdin:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
