"""One attempt: whatever a server does becomes a reply with a verdict, the raw body, and a true or unknown cost."""

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import httpx
import pytest
from pydantic import SecretStr

from services.extraction import vlm as client_side
from services.extraction.prompts import page_prompt
from services.extraction.vlm import Outcome, VlmEngine, VlmReply, VlmRequest, attempt, payload, understood
from shared.domain.schema import Box, Direction
from tests.equipment.fake_vlm import MISBEHAVIOURS, FakeVlm, expected_cost
from tests.equipment.fake_vlm_answers import ODD_COST

KEY = "sk-or-v1-0123456789abcdef"
PROMPT = page_prompt([Box(0, 0, 50, 90), Box(50, 0, 50, 90)], width=100, height=90, direction=Direction.LTR)
COST = expected_cost(2)


def engine(url: str = "http://vlm.test/v1", *, timeout: float = 10, priced: bool = False) -> VlmEngine:
    price = Decimal("0.10") if priced else None
    return VlmEngine(
        url=url,
        model="fake/reader",
        api_key=SecretStr(KEY),
        prompt_price=price,
        completion_price=price and 4 * price,
        timeout=timeout,
    )


def request() -> VlmRequest:
    return VlmRequest(uuid.uuid4().hex, PROMPT, "data:image/jpeg;base64,AAAA", max_tokens=900, temperature=0.0)


def sent(asked: VlmEngine, *, transport: httpx.AsyncBaseTransport | None = None) -> tuple[VlmRequest, VlmReply]:
    """One attempt, made."""

    async def make() -> tuple[VlmRequest, VlmReply]:
        made = request()
        async with httpx.AsyncClient(trust_env=False, transport=transport) as client:
            return made, await attempt(client, asked, made)

    return asyncio.run(make())


def reply_to(document: object, *, status: int = 200, after: str | None = None, priced: bool = False) -> VlmReply:
    """The verdict on a body, `document` as JSON or as it is."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return understood(engine(priced=priced), status, after, body)


def answered(usage: object = None, *, finish: object = "stop", content: object = "{}", **message: object) -> object:
    choice = {"finish_reason": finish, "message": {"content": content} | message}
    return {"choices": [choice], "usage": usage}


# --- every misbehaviour of a real server -----------------------------------------------------------------------------

VERDICTS: dict[str, tuple[Outcome, Decimal | None, str]] = {
    "rate_limited": ("again", None, "HTTP 429: Rate limit exceeded"),
    "unavailable": ("again", None, "HTTP 503"),
    "server_error": ("again", None, "HTTP 500"),
    "payment": ("unpaid", None, "HTTP 402: Insufficient credits"),
    "in_flight": ("again", None, "HTTP 402"),
    "unauthorized": ("refused", None, "HTTP 401"),
    "forbidden": ("refused", None, "HTTP 403: Input was flagged by moderation"),
    "bad_request": ("refused", None, "HTTP 400"),
    "html": ("again", None, "without choices"),
    "error_body": ("again", None, "an error inside HTTP 200: The provider failed"),
    "null_choices": ("again", None, "without choices"),
    "finish_error": ("again", COST, "finished: error"),
    "truncated": ("truncated", COST, "token limit"),
    "invalid_json": ("ok", COST, ""),
    "fenced": ("ok", COST, ""),
    "missing_panel": ("ok", COST, ""),
    "extra_field": ("ok", COST, ""),
    "reordered": ("ok", COST, ""),
    "cut": ("again", None, "the connection failed"),
    "no_usage": ("ok", None, ""),
    "no_cost": ("ok", None, ""),
    "odd_cost": ("ok", ODD_COST, ""),
}


def test_every_misbehaviour_has_its_verdict() -> None:
    assert set(VERDICTS) | {"slow"} == MISBEHAVIOURS


@pytest.mark.parametrize("name", sorted(VERDICTS))
def test_a_misbehaving_server_gets_its_verdict_and_the_true_cost(vlm: FakeVlm, name: str) -> None:
    vlm.control(always=name)
    made, reply = sent(engine(vlm.url))
    outcome, cost, reason = VERDICTS[name]
    assert (reply.outcome, reply.usage.cost) == (outcome, cost)
    assert reason in (reply.reason or "")
    record = vlm.settled()[-1]
    assert (record["request_id"], record["user"]) == (made.request_id, made.request_id)
    if cost is not None:
        assert Decimal(record["cost"]) == cost
    if name != "cut":
        assert reply.status == record["status"]
        assert reply.body


def test_a_good_answer_names_who_served_it_and_what_it_used(vlm: FakeVlm) -> None:
    _, reply = sent(engine(vlm.url))
    assert (reply.outcome, reply.status, reply.model, reply.provider) == ("ok", 200, "fake/reader", "fake-provider")
    assert reply.generation_id == json.loads(reply.body)["id"]
    assert json.loads(reply.content or "")["panels"][1]["number"] == 2
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3080, 260)


def test_tokens_without_a_cost_are_priced_by_us_when_we_know_the_prices(vlm: FakeVlm) -> None:
    vlm.control(always="no_cost")
    _, reply = sent(engine(vlm.url, priced=True))
    assert reply.usage.cost == Decimal("0.000412")  # 3,080 × 0.10 and 260 × 0.40 USD a million
    vlm.control(always="no_usage")
    _, reply = sent(engine(vlm.url, priced=True))
    assert reply.usage.cost is None


def test_a_server_that_takes_too_long_may_have_charged(vlm: FakeVlm) -> None:
    vlm.control(latency=2.0)
    _, reply = sent(engine(vlm.url, timeout=0.3))
    assert (reply.outcome, reply.usage.cost, reply.status) == ("again", None, None)


def test_a_server_that_is_not_there_cannot_have_charged() -> None:
    with socket.socket() as taken:  # bound and not listening: nobody answers at this port
        taken.bind(("127.0.0.1", 0))
        _, reply = sent(engine(f"http://127.0.0.1:{taken.getsockname()[1]}/v1"))
    assert (reply.outcome, reply.usage.cost) == ("again", Decimal(0))
    assert "cannot be reached" in (reply.reason or "")


def test_a_server_that_trickles_is_left_at_the_time_limit() -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=trickle()))
    _, reply = sent(engine(timeout=0.2), transport=transport)
    assert reply.outcome == "again"
    assert "no whole answer within 0.2 s" in (reply.reason or "")


def test_an_answer_without_end_is_left_at_the_size_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_side, "LARGEST_BODY", 10_000)

    async def flood() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 1_000

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=flood()))
    _, reply = sent(engine(), transport=transport)
    assert (reply.outcome, len(reply.body)) == ("again", 10_000)


# --- what else a body may hold ---------------------------------------------------------------------------------------


NONSENSE = (
    b"",
    b"null",
    b"[]",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"choices": {}}',
    b'{"choices": []}',
    b'{"choices": [null]}',
    b'{"choices": [{}]}',
    b'{"choices": [{"message": null}]}',
    b'{"choices": [{"message": {"content": []}}]}',
    b'{"choices": [{"message": {"content": "  "}}]}',
    b'{"error": "down"}',
    b'{"error": {"code": "x"}}',
)


@pytest.mark.parametrize("body", NONSENSE, ids=range(len(NONSENSE)))
def test_a_body_that_makes_no_sense_is_worth_another_try(body: bytes) -> None:
    reply = reply_to(body)
    assert (reply.outcome, reply.content, reply.body) == ("again", None, body)


@pytest.mark.parametrize(
    ("code", "outcome"), [(429, "again"), (502, "again"), (402, "unpaid"), (401, "refused"), (403, "refused")]
)
def test_an_error_inside_http_200_is_judged_by_its_code(code: int, outcome: Outcome) -> None:
    assert reply_to({"error": {"code": code, "message": "m"}}).outcome == outcome


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(301, "refused"), (404, "refused"), (413, "refused"), (408, "again"), (504, "again"), (529, "again")],
)
def test_a_status_is_worth_another_try_or_not(status: int, outcome: Outcome) -> None:
    assert reply_to(b"", status=status).outcome == outcome


@pytest.mark.parametrize(
    ("finish", "message"), [("content_filter", {}), ("refusal", {}), ("stop", {"refusal": "I won't."})]
)
def test_a_model_that_declines_is_not_asked_like_a_busy_server(finish: str, message: dict[str, object]) -> None:
    reply = reply_to(answered(finish=finish, content=None, **message))
    assert (reply.outcome, reply.content) == ("ok", None)
    assert "declined" in (reply.reason or "")


@pytest.mark.parametrize(
    ("cost", "known"),
    [("0.000001", "0.000001"), (0, "0"), (1.5, "1.5")],
)
def test_a_cost_is_what_the_server_says(cost: object, known: str) -> None:
    assert reply_to(answered({"cost": cost})).usage.cost == Decimal(known)


@pytest.mark.parametrize("cost", [None, True, -1, "free", "NaN", "Infinity", 1e300, [0.1], {"usd": 1}])
def test_a_cost_that_cannot_be_is_unknown_and_not_nothing(cost: object) -> None:
    assert reply_to(answered({"cost": cost})).usage.cost is None


def test_a_cost_never_passes_through_a_binary_fraction() -> None:
    body = b'{"choices": [], "usage": {"cost": 0.1234567890123456789012345}}'
    assert reply_to(body).usage.cost == Decimal("0.1234567890123456789012345")
    assert reply_to(b'{"choices": [], "usage": {"cost": NaN}}').usage.cost is None


@pytest.mark.parametrize("tokens", [-1, True, 1.5, "7", None, 10**20])
def test_tokens_that_cannot_be_are_unknown(tokens: object) -> None:
    usage = reply_to(answered({"prompt_tokens": tokens, "completion_tokens": 3}), priced=True).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cost) == (None, 3, None)


def test_names_and_reasons_fit_the_ledger() -> None:
    told = {"id": "g\x00" * 500, "model": 7, "provider": "a\x1bb", "error": {"code": 400, "message": "x\x00" * 5_000}}
    reply = reply_to(told, status=400)
    assert (reply.generation_id, reply.model, reply.provider) == ("g" * 200, None, "ab")
    assert len(reply.reason or "") < 300
    assert "\x00" not in (reply.reason or "")


@pytest.mark.parametrize(
    ("after", "seconds"),
    [(None, None), ("7", 7), ("0.5", 0.5), ("-3", 0), ("99999", 3600), ("inf", 3600), ("nan", None), ("soon", None)],
)
def test_retry_after_is_heeded_within_reason(after: str | None, seconds: float | None) -> None:
    assert reply_to(b"", status=429, after=after).retry_after == seconds


def test_retry_after_may_be_a_date() -> None:
    after = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert reply_to(b"", status=429, after=after).retry_after == pytest.approx(30, abs=2)


# --- what is sent, and what is never shown ---------------------------------------------------------------------------


def test_the_key_is_in_the_header_and_nowhere_else() -> None:
    seen: list[httpx.Request] = []

    def echo(asked: httpx.Request) -> httpx.Response:
        seen.append(asked)
        message = f"Incorrect API key provided: {asked.headers['Authorization']}"
        return httpx.Response(401, json={"error": {"code": 401, "message": message}})

    asked = engine()
    _, reply = sent(asked, transport=httpx.MockTransport(echo))
    assert seen[0].headers["Authorization"] == f"Bearer {KEY}"
    assert KEY.encode() not in seen[0].content
    assert KEY not in repr(reply) + repr(asked) + str(asked) + asked.model_dump_json()
    assert "Incorrect API key provided" in (reply.reason or "")


def test_a_server_without_a_key_gets_none() -> None:
    def keyless(asked: httpx.Request) -> httpx.Response:
        assert "Authorization" not in asked.headers
        return httpx.Response(200, json={"id": str(asked.url)})

    _, reply = sent(VlmEngine(url="http://vlm.test/v1/", model="local"), transport=httpx.MockTransport(keyless))
    assert reply.generation_id == "http://vlm.test/v1/chat/completions"


def test_pages_go_to_outside_providers_only_without_data_collection() -> None:
    outside = payload(engine("https://openrouter.ai/api/v1"), request())
    assert outside["provider"] == {"data_collection": "deny", "require_parameters": True}
    assert "provider" not in payload(engine("http://127.0.0.1:8080/v1"), request())


def test_the_request_is_text_before_image_with_its_limits() -> None:
    made = request()
    asked = payload(engine(), made)
    assert [part["type"] for part in asked["messages"][0]["content"]] == ["text", "image_url"]
    assert (asked["max_tokens"], asked["temperature"], asked["user"]) == (900, 0.0, made.request_id)
    assert asked["response_format"]["json_schema"]["strict"] is True


def test_the_worst_case_covers_what_was_really_charged(vlm: FakeVlm) -> None:
    priced = engine(vlm.url, priced=True)
    vlm.control(always="no_cost")
    _, reply = sent(priced)
    assert reply.usage.cost is not None
    assert reply.usage.cost <= priced.worst_case(PROMPT, max_tokens=900)
    assert priced.worst_case(PROMPT, max_tokens=1800) - priced.worst_case(PROMPT, max_tokens=900) == Decimal("0.00036")
    assert engine().worst_case(PROMPT, max_tokens=900) > 0
