"""One attempt at an OpenAI-compatible `/chat/completions`, OpenRouter or a local server, over httpx.

Nothing here retries, hides or repairs: every attempt may cost money, so each one is a reply the ledger can write down,
with the raw body and a verdict.
"""

import asyncio
import hashlib
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from services.extraction.prompts import PROMPT_VERSION, response_format
from services.extraction.readings import printable
from shared.domain.schema import Usage
from shared.errors import Reject

MILLION = Decimal(1_000_000)
IMAGE_TOKENS = 4_000  # for one image of LONG_SIDE pixels; the dearest count, 2.46 for each of 1,536 patches, is 3,779
IN_FLIGHT = "openrouter_in_flight_budget"
LARGEST_BODY = 16 << 20  # bytes; a reading of a page is some ten thousand
LARGEST_COUNT = (1 << 31) - 1  # tokens, as the ledger stores them
LARGEST_COST = Decimal(100_000)  # USD; more for one call is a mistake, not a price
SERVERS_OWN_CUT = ("content_filter", "refusal")  # it looked and will not say: asking the same again is paid in vain
# The request never left this machine, so nothing can have been charged.
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
CEILING_PRICES = (Decimal(15), Decimal(75))  # USD per million tokens, prompt and completion: dearer than any we know

Outcome = Literal[
    "ok",
    "truncated",  # the content ends at the token limit
    "again",  # a passing fault: network, 408, 429, 5xx, an error or nothing inside HTTP 200
    "unpaid",  # 402: the account is out of credit
    "refused",  # 400, 401, 403, 404 …: the same request will never be answered
]


class VlmEngine(BaseModel):
    """Which server and model are asked, and how. The key never shows in text or errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    model: str
    api_key: SecretStr | None = None
    prompt_price: Decimal | None = Field(None, description="USD per million tokens, where the server names no cost")
    completion_price: Decimal | None = None
    max_tokens: int = 4_096
    timeout: float = 120.0

    def fingerprint(self, image_sha256: str) -> str:
        """What an answer is an answer to: the page's image and everything that shapes the question but its panels."""
        shape = f"{image_sha256}|{self.url}|{self.model}|{PROMPT_VERSION}"
        return hashlib.sha256(shape.encode()).hexdigest()

    def worst_case(self, prompt: str, *, max_tokens: int) -> Decimal:
        """USD an attempt may cost at most, to be reserved before it is made."""
        if self.prompt_price is None or self.completion_price is None:
            prompt_price, completion_price = CEILING_PRICES
        else:
            prompt_price, completion_price = self.prompt_price, self.completion_price
        # A token is hardly ever shorter than two characters; twice the usual count stays on the safe side.
        tokens = IMAGE_TOKENS + len(prompt) // 2
        return (tokens * prompt_price + max_tokens * completion_price) / MILLION


@dataclass(frozen=True)
class VlmRequest:
    """One attempt about to be made; `request_id` is ours and travels along, so that both sides' books can be joined."""

    request_id: str
    prompt: str
    image: str
    max_tokens: int
    temperature: float


@dataclass(frozen=True)
class VlmReply:
    """What came of one attempt. `body` is exactly what arrived, b"" when nothing did."""

    outcome: Outcome
    body: bytes
    usage: Usage
    status: int | None = None
    content: str | None = None
    reason: str | None = None
    retry_after: float | None = None
    model: str | None = None
    provider: str | None = None
    generation_id: str | None = None


def check_address(url: str, api_key: SecretStr | None) -> None:
    """Reject what no request can be made of, before money is reserved for one."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Reject("COMICS_VLM_URL is no address; it looks like https://openrouter.ai/api/v1.") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise Reject("COMICS_VLM_URL is no address; it looks like https://openrouter.ai/api/v1.")
    if api_key is not None and not (api_key.get_secret_value().isascii() and api_key.get_secret_value().isprintable()):
        raise Reject("COMICS_VLM_API_KEY holds characters that no key has; copy it again.")


async def attempt(client: httpx.AsyncClient, engine: VlmEngine, request: VlmRequest) -> VlmReply:
    """Make one attempt; whatever goes wrong on the way is a reply too, never an exception."""
    headers = {"X-Request-Id": request.request_id}
    if engine.api_key is not None:
        headers["Authorization"] = f"Bearer {engine.api_key.get_secret_value()}"
    body, address = bytearray(), f"{engine.url.rstrip('/')}/chat/completions"
    try:
        # httpx counts each read anew, so a server that sends a byte now and then would hold us for ever.
        async with (
            asyncio.timeout(engine.timeout),
            client.stream(
                "POST", address, json=payload(engine, request), headers=headers, timeout=engine.timeout
            ) as answer,
        ):
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > LARGEST_BODY:
                    return _unheard(engine, bytes(body[:LARGEST_BODY]), "the answer does not end")
    except NEVER_SENT as error:
        free = Usage(cost=Decimal(0))
        return _unheard(engine, b"", f"the server cannot be reached ({type(error).__name__})", usage=free)
    except TimeoutError:
        return _unheard(engine, bytes(body), f"no whole answer within {engine.timeout:g} s")
    except httpx.HTTPError as error:
        return _unheard(engine, bytes(body), f"the connection failed ({type(error).__name__})")
    return understood(engine, answer.status_code, answer.headers.get("retry-after"), bytes(body))


def _unheard(engine: VlmEngine, body: bytes, reason: str, *, usage: Usage | None = None) -> VlmReply:
    return VlmReply(outcome="again", body=_without_key(engine, body), usage=usage or Usage(), reason=reason)


def _without_key(engine: VlmEngine, body: bytes) -> bytes:
    """`body` as it may be kept: some servers repeat the key they were given."""
    key = engine.api_key.get_secret_value().encode() if engine.api_key else b""
    return body.replace(key, b"***") if key else body


def payload(engine: VlmEngine, request: VlmRequest) -> dict[str, Any]:
    """The request's JSON: text before the image, a strict schema; on OpenRouter, no data collection by providers."""
    routed = urlsplit(engine.url).hostname == "openrouter.ai"
    routing = {"usage": {"include": True}, "provider": {"data_collection": "deny", "require_parameters": True}}
    return {
        "model": engine.model,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": request.prompt},
                    {"type": "image_url", "image_url": {"url": request.image}},
                ],
            }
        ],
        "response_format": response_format(),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "user": request.request_id,
        **(routing if routed else {}),  # other servers refuse or warn about fields they do not know
    }


def understood(engine: VlmEngine, status: int, retry_after: str | None, body: bytes) -> VlmReply:
    """The verdict on an answer that arrived; errors also hide inside HTTP 200."""
    body = _without_key(engine, body)
    try:
        document = json.loads(body, parse_float=Decimal)  # money never passes through a binary fraction
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        document = {}
    told: dict[str, Any] = {
        "body": body,
        "status": status,
        "usage": usage_of(engine, document.get("usage")),
        "retry_after": _seconds(retry_after),
        "model": _name(document.get("model")),
        "provider": _name(document.get("provider")),
        "generation_id": _name(document.get("id")),
    }
    fault = document.get("error")
    if status != 200:
        outcome = _verdict(status, fault)
        return VlmReply(outcome=outcome, reason=f"HTTP {status}{_message(fault)}", **told)
    if fault is not None:
        code = fault.get("code") if isinstance(fault, dict) else None
        outcome = _verdict(code, fault) if isinstance(code, int) else "again"
        return VlmReply(outcome=outcome, reason=f"an error inside HTTP 200{_message(fault)}", **told)
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return VlmReply(outcome="again", reason="an answer without choices", **told)
    finish = choices[0].get("finish_reason")
    message = choices[0].get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if finish in SERVERS_OWN_CUT or (isinstance(message, dict) and message.get("refusal")):
        return VlmReply(outcome="ok", reason=f"the model declined to answer (finished: {_name(finish)})", **told)
    if finish == "length":
        return VlmReply(
            outcome="truncated",
            content=content if isinstance(content, str) else None,
            reason="cut off at the token limit",
            **told,
        )
    if finish == "error" or not isinstance(content, str) or not content.strip():
        return VlmReply(outcome="again", reason=f"no content (finished: {_name(finish)})", **told)
    return VlmReply(outcome="ok", content=content, **told)


def usage_of(engine: VlmEngine, given: Any) -> Usage:
    """Tokens and cost as the server says; the cost from our prices where it names tokens only; else None."""
    if not isinstance(given, dict):
        return Usage()
    prompt, completion = _count(given.get("prompt_tokens")), _count(given.get("completion_tokens"))
    cost = _money(given.get("cost"))
    priced = engine.prompt_price is not None and engine.completion_price is not None
    if cost is None and priced and prompt is not None and completion is not None:
        assert engine.prompt_price is not None
        assert engine.completion_price is not None
        cost = (prompt * engine.prompt_price + completion * engine.completion_price) / MILLION
    return Usage(prompt_tokens=prompt, completion_tokens=completion, cost=cost)


def _verdict(status: int, fault: Any) -> Outcome:
    if status == 402:
        metadata = fault.get("metadata") if isinstance(fault, dict) else None
        passing = isinstance(metadata, dict) and metadata.get("limit_source") == IN_FLIGHT
        return "again" if passing else "unpaid"
    return "again" if status in (408, 409, 425, 429) or status >= 500 else "refused"


def _message(fault: Any) -> str:
    message = fault.get("message") if isinstance(fault, dict) else fault
    return f": {printable(str(message), limit=200)}" if message else ""


def _name(value: Any) -> str | None:
    """A short name a server gave to something, fit for the ledger."""
    return printable(value, limit=200) if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT else None


def _money(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount <= LARGEST_COST else None


def _seconds(value: str | None) -> float | None:
    """Retry-After, seconds or a date, as seconds from now; at most an hour."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (aware - datetime.now(UTC)).total_seconds()
    return None if math.isnan(seconds) else min(max(seconds, 0.0), 3600.0)
