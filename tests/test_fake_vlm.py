"""The fake VLM is what proves the paid path, so it is proved too: each misbehaviour on the wire, books that last."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from shared.domain.schema import PageReading
from tests.equipment.fake_vlm import (
    MISBEHAVIOURS,
    FakeVlm,
    expected_cost,
    expected_description,
    expected_text,
    fake_vlm,
    image_sha,
    read_books,
)

ROOT = Path(__file__).resolve().parents[1]
IMAGE = "data:image/jpeg;base64,AAAA"
OTHER = "data:image/jpeg;base64,BBBB"


def asked(image: str = IMAGE, *, panels: int = 3) -> dict[str, Any]:
    """A request as a client of OpenRouter makes it."""
    listed = "\n".join(f"Panel {number}: [0, {number}, 10, 10]" for number in range(1, panels + 1))
    content = [
        {"type": "text", "text": f"One page.\n\n{listed}\n\nAnswer. Panel 99: is no line of its own."},
        {"type": "image_url", "image_url": {"url": image}},
    ]
    return {
        "model": "some/model",
        "messages": [{"role": "user", "content": content}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "page_reading", "strict": True, "schema": PageReading.model_json_schema()},
        },
        "max_tokens": 4096,
        "temperature": 0.2,
        "user": "from-user",
        "provider": {"data_collection": "deny"},
    }


def ask(server: FakeVlm, request_id: str = "r1", *, image: str = IMAGE, panels: int = 3) -> httpx.Response:
    """One question, X-Request-Id in its header."""
    headers = {"X-Request-Id": request_id}
    address = f"{server.url}/chat/completions"
    return server.client.post(address, json=asked(image, panels=panels), headers=headers)


def content_of(answer: httpx.Response) -> str:
    """The model's own text."""
    assert answer.status_code == 200
    return str(answer.json()["choices"][0]["message"]["content"])


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeVlm]:
    """One process for every test that leaves it running."""
    with fake_vlm(tmp_path_factory.mktemp("vlm") / "books.jsonl") as started:
        yield started


@pytest.fixture
def server(shared_server: FakeVlm) -> FakeVlm:
    """The shared one, well-mannered again."""
    shared_server.control(script=[], always=None, latency=0.0, per_image={})
    return shared_server


def test_a_good_answer_is_about_the_image_and_the_panels_asked_about(server: FakeVlm) -> None:
    answer = ask(server)
    document = answer.json()
    read = PageReading.model_validate_json(content_of(answer))
    assert [panel.number for panel in read.panels] == [1, 2, 3]
    assert [panel.description for panel in read.panels] == [expected_description(IMAGE, n) for n in (1, 2, 3)]
    assert [panel.texts[0].text for panel in read.panels] == [expected_text(IMAGE, n) for n in (1, 2, 3)]
    assert expected_description(IMAGE, 1) != expected_description(OTHER, 1)
    assert (document["choices"][0]["finish_reason"], document["model"]) == ("stop", "some/model")
    assert document["id"].startswith("gen-")
    assert document["provider"]
    cost = json.loads(answer.text, parse_float=Decimal)["usage"]["cost"]
    assert cost == expected_cost(3) == Decimal("0.00133")


def test_the_models_are_listed_with_prices_and_modalities(server: FakeVlm) -> None:
    (model,) = server.client.get(f"{server.url}/models").json()["data"]
    assert Decimal(model["pricing"]["prompt"]) > 0
    assert "image" in model["architecture"]["input_modalities"]


REFUSED = {
    "rate_limited": 429,
    "unavailable": 503,
    "server_error": 500,
    "payment": 402,
    "in_flight": 402,
    "unauthorized": 401,
    "forbidden": 403,
    "bad_request": 400,
}


@pytest.mark.parametrize(("name", "status"), REFUSED.items())
def test_a_refusal_has_its_status_an_error_body_and_no_cost(server: FakeVlm, name: str, status: int) -> None:
    server.control(script=[name])
    answer = ask(server)
    fault = answer.json()["error"]
    assert (answer.status_code, fault["code"]) == (status, status)
    assert answer.headers.get("Retry-After") == ("1" if name == "rate_limited" else None)
    limit = fault.get("metadata", {}).get("limit_source")
    assert limit == ("openrouter_in_flight_budget" if name == "in_flight" else None)
    record = server.settled()[-1]
    assert (record["misbehaviour"], record["status"], record["cost"], record["answered"]) == (name, status, "0", True)


def test_faults_inside_http_200_are_html_an_error_body_null_choices_and_an_error_finish(server: FakeVlm) -> None:
    server.control(script=["html", "error_body", "null_choices", "finish_error"])
    html, error, null, finish = (ask(server) for _ in range(4))
    assert {answer.status_code for answer in (html, error, null, finish)} == {200}
    assert html.headers["Content-Type"].startswith("text/html")
    assert html.text.startswith("<!DOCTYPE html>")
    assert error.json()["error"]["code"] == 502
    assert "choices" not in error.json()
    assert null.json()["choices"] is None
    assert finish.json()["choices"][0]["finish_reason"] == "error"
    assert [record["cost"] for record in server.settled()[-4:]] == ["0", "0", "0", str(expected_cost(3))]


def test_content_that_is_no_json_is_truncated_malformed_or_fenced(server: FakeVlm) -> None:
    server.control(script=["truncated", "invalid_json", "fenced"])
    truncated, malformed, fenced = (ask(server) for _ in range(3))
    for answer, finish in ((truncated, "length"), (malformed, "stop"), (fenced, "stop")):
        assert answer.json()["choices"][0]["finish_reason"] == finish
        with pytest.raises(json.JSONDecodeError):
            json.loads(content_of(answer))
    inside = content_of(fenced).removeprefix("```json\n").removesuffix("\n```")
    assert PageReading.model_validate_json(inside)
    whole = inside
    assert whole.startswith(content_of(truncated))


def test_valid_json_with_the_wrong_panels_or_fields(server: FakeVlm) -> None:
    server.control(script=["missing_panel", "extra_field", "reordered"])
    missing, extra, reordered = (content_of(ask(server)) for _ in range(3))
    assert [panel.number for panel in PageReading.model_validate_json(missing).panels] == [1, 2]
    with pytest.raises(ValidationError, match="extra_forbidden"):
        PageReading.model_validate_json(extra)
    turned = PageReading.model_validate_json(reordered).panels
    assert [panel.number for panel in turned] == [3, 2, 1]
    assert [panel.description for panel in turned] == [expected_description(IMAGE, n) for n in (3, 2, 1)]


def test_usage_is_absent_without_cost_or_odd_while_the_books_know_what_was_charged(server: FakeVlm) -> None:
    server.control(script=["no_usage", "no_cost", "odd_cost"])
    without, costless, odd = (ask(server).json() for _ in range(3))
    assert "usage" not in without
    assert costless["usage"]["prompt_tokens"] > 0
    assert "cost" not in costless["usage"]
    assert odd["usage"]["cost"] == "0.00123456789"
    charged = [Decimal(record["cost"]) for record in server.settled()[-3:]]
    assert charged == [expected_cost(3), expected_cost(3), Decimal("0.00123456789")]


def test_a_slow_answer_takes_five_seconds_and_is_good(server: FakeVlm) -> None:
    server.control(script=["slow"])
    began = time.monotonic()
    answer = ask(server)
    assert time.monotonic() - began >= 5
    assert PageReading.model_validate_json(content_of(answer))


def test_a_cut_answer_breaks_off_inside_its_body_and_is_charged(server: FakeVlm) -> None:
    server.control(script=["cut"])
    received: list[bytes] = []
    with server.client.stream("POST", f"{server.url}/chat/completions", json=asked()) as answer:
        with pytest.raises(httpx.RemoteProtocolError):
            received.extend(answer.iter_raw())
        assert answer.status_code == 200
        assert 0 < answer.num_bytes_downloaded < int(answer.headers["Content-Length"])
    assert b"".join(received).startswith(b'{"id"')
    record = server.settled()[-1]
    assert (record["outcome"], record["answered"], record["cost"]) == ("cut", False, str(expected_cost(3)))


def test_every_misbehaviour_differs_from_a_good_answer_on_the_wire(server: FakeVlm) -> None:
    def wire(name: str | None) -> tuple[int, str]:
        server.control(script=[name])
        answer = ask(server)
        document = answer.json() if answer.headers["Content-Type"] == "application/json" else answer.text
        return answer.status_code, json.dumps({**document, "id": ""} if isinstance(document, dict) else document)

    seen = [wire(name) for name in (None, *sorted(MISBEHAVIOURS - {"slow", "cut"}))]
    assert len(set(seen)) == len(seen)


def test_who_decides_is_the_image_then_the_script_then_always(server: FakeVlm) -> None:
    images: dict[str, str | list[str | None]] = {image_sha(IMAGE): ["payment"], image_sha(OTHER): "forbidden"}
    server.control(per_image=images, script=["server_error", None], always="rate_limited")
    here = [ask(server).status_code for _ in range(4)]
    there = [ask(server, image=OTHER).status_code for _ in range(3)]
    assert here == [402, 500, 200, 429]
    assert there == [403, 403, 403]
    server.control(always=None)
    assert ask(server).status_code == 200


def test_a_misbehaviour_that_does_not_exist_is_refused_and_changes_nothing(server: FakeVlm) -> None:
    server.control(always="payment")
    for wrong in ({"script": ["paymnt"]}, {"always": "x"}, {"per_image": {"a": ["y"]}}, {"latncy": 1}):
        told = server.client.post(server.url.removesuffix("v1") + "control", json={"always": None, **wrong})
        assert told.status_code == 422
    assert server.stats()["control"]["always"] == "payment"


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b'{"messages": []}',
        b'{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.jpg"}}]}]}',
    ],
)
def test_what_is_no_chat_completion_request_is_a_400_in_the_books(server: FakeVlm, body: bytes) -> None:
    answer = server.client.post(f"{server.url}/chat/completions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert server.settled()[-1]["status"] == 400


def test_the_books_say_who_asked_what_and_what_was_charged(server: FakeVlm) -> None:
    ask(server, "by-header", panels=5)
    server.client.post(f"{server.url}/chat/completions", json=asked())
    first, second = server.settled()[-2:]
    assert (first["request_id"], first["user"], second["request_id"]) == ("by-header", "from-user", "from-user")
    assert (first["image_sha"], first["panels"], first["model"]) == (image_sha(IMAGE), [1, 2, 3, 4, 5], "some/model")
    assert (first["max_tokens"], first["temperature"], first["routing"]) == (4096, 0.2, {"data_collection": "deny"})
    assert (first["answered"], first["outcome"], first["cost"]) == (True, "answered", "0.00135")
    assert first["ended_at"] is not None
    assert first["arrived_at"] <= first["ended_at"]


def test_64_requests_are_open_at_once_and_counted(server: FakeVlm) -> None:
    server.control(latency=1.0)

    async def together() -> list[int]:
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(limits=limits, timeout=30, trust_env=False) as client:
            calls = (client.post(f"{server.url}/chat/completions", json=asked()) for _ in range(64))
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    before = server.stats()["requests"]
    assert asyncio.run(together()) == [200] * 64
    stats = server.stats()
    assert (stats["requests"] - before, stats["in_flight"], stats["max_in_flight"]) == (64, 0, 64)


def test_a_large_image_on_a_kept_alive_connection_arrives_whole(server: FakeVlm) -> None:
    image = "data:image/jpeg;base64," + "Zm9v" * 1_000_000
    with httpx.Client(trust_env=False, timeout=20) as client:
        answers = [client.post(f"{server.url}/chat/completions", json=asked(image, panels=1)) for _ in range(2)]
    for answer in answers:
        assert PageReading.model_validate_json(content_of(answer)).panels[0].description == expected_description(
            image, 1
        )


CLIENT = """
import json, sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {"X-Request-Id": "killed"})
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read()
"""


def test_a_client_killed_while_it_waits_stays_in_the_books_as_charged_and_not_answered(server: FakeVlm) -> None:
    server.control(latency=1.0)
    address = f"{server.url}/chat/completions"
    client = subprocess.Popen([sys.executable, "-c", CLIENT, address, json.dumps(asked())])
    try:
        limit = time.monotonic() + 20
        while not any(record["request_id"] == "killed" for record in server.books()):
            assert time.monotonic() < limit
            time.sleep(0.02)
        arrived = server.books()[-1]
        assert (arrived["outcome"], arrived["answered"]) == (None, False)  # written before the answer left
    finally:
        os.kill(client.pid, signal.SIGKILL)
        client.wait()
    record = server.settled()[-1]
    assert (record["request_id"], record["outcome"], record["answered"]) == ("killed", "abandoned", False)
    assert record["cost"] == str(expected_cost(3))
    server.control(latency=0.0)
    assert ask(server).status_code == 200


def test_books_survive_a_kill_of_the_server_and_go_on_at_the_same_address(tmp_path: Path) -> None:
    books = tmp_path / "books.jsonl"
    with fake_vlm(books) as first:
        ask(first, "before")
        first.settled()
        first.control(latency=30.0)
        with pytest.raises(httpx.TimeoutException):
            first.client.post(f"{first.url}/chat/completions", json=asked(), timeout=0.5)
        port = first.port
        first.kill()
    assert [record["request_id"] for record in read_books(books)] == ["before", "from-user"]
    with fake_vlm(books, port=port) as second:
        assert second.url == first.url
        ask(second, "after")
        told = [(record["request_id"], record["outcome"]) for record in second.settled()]
    assert told == [("before", "answered"), ("from-user", None), ("after", "answered")]


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time\n"
        "from tests.equipment.fake_vlm import fake_vlm\n"
        "with fake_vlm(pathlib.Path(sys.argv[1])) as server:\n"
        "    print(server.url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "books.jsonl")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        address = parent.stdout.readline().strip() + "/models"
        assert httpx.get(address, trust_env=False).status_code == 200
        parent.kill()
    limit = time.monotonic() + 10
    while True:
        try:
            httpx.get(address, trust_env=False)
        except httpx.TransportError:
            break
        assert time.monotonic() < limit, "the server outlived the process that started it"
        time.sleep(0.05)


def test_the_command_line_says_where_it_listens(tmp_path: Path) -> None:
    program = [sys.executable, str(ROOT / "tests" / "equipment" / "fake_vlm.py"), "--port", "0"]
    options = ["--books", str(tmp_path / "b.jsonl"), "--latency", "0.3"]
    with subprocess.Popen([*program, *options], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline().strip()
            assert said.startswith("listening on http://127.0.0.1:")
            began = time.monotonic()
            address = said.removeprefix("listening on ") + "/v1/chat/completions"
            assert httpx.post(address, json=asked(), trust_env=False).status_code == 200
            assert time.monotonic() - began >= 0.3
        finally:
            process.terminate()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="FileNotFoundError"), fake_vlm_in_no_folder(tmp_path):
        pass


def fake_vlm_in_no_folder(tmp_path: Path) -> Any:
    """Books that cannot be opened: a dangling link."""
    books = tmp_path / "books.jsonl"
    books.symlink_to(tmp_path / "absent" / "books.jsonl")
    return fake_vlm(books)
