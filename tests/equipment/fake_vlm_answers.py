"""What the fake VLM answers: a pure function of the question and of the misbehaviour it was told.

The text of an answer is made of a hash of the image and the panel's number, so that a test can recompute which page and
which panel any stored description is about. Field names and error bodies follow OpenRouter's documentation.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

PANEL = re.compile(r"^Panel (\d+): ", re.MULTILINE)
PROVIDER = "fake-provider"
MODEL = "fake/reader-1"
SLOW = 5.0  # seconds
ODD_COST = Decimal("0.00123456789")
NOTHING = Decimal(0)

# Refused before anything was generated: status, message, metadata.
REFUSALS: dict[str, tuple[int, str, dict[str, str]]] = {
    "rate_limited": (429, "Rate limit exceeded", {}),
    "unavailable": (503, "No provider is available for this model", {}),
    "server_error": (500, "Internal server error", {}),
    "payment": (402, "Insufficient credits", {}),
    "in_flight": (402, "Too much is in flight", {"limit_source": "openrouter_in_flight_budget"}),
    "unauthorized": (401, "No auth credentials found", {}),
    "forbidden": (403, "Input was flagged by moderation", {"reasons": "violence"}),
    "bad_request": (400, "The request is invalid", {}),
}
# Faults inside HTTP 200 that cost nothing, and those that are charged because a model had answered.
UNCHARGED = ("html", "error_body", "null_choices")
CHARGED = (
    "finish_error",
    "truncated",
    "invalid_json",
    "fenced",
    "missing_panel",
    "extra_field",
    "reordered",
    "slow",
    "cut",
    "no_usage",
    "no_cost",
    "odd_cost",
)
MISBEHAVIOURS: frozenset[str] = frozenset((*REFUSALS, *UNCHARGED, *CHARGED))


@dataclass(frozen=True)
class Question:
    """What a request asked: the first image as its data URL ("" without one) and the panels' numbers, in order."""

    image: str
    panels: tuple[int, ...]
    document: dict[str, Any]

    @property
    def model(self) -> str:
        """The model asked for, or the first of its fallbacks."""
        named = self.document.get("model") or next(iter(self.document.get("models") or ()), MODEL)
        return str(named)


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer and what it was charged, in USD, whether or not the answer says so."""

    status: int
    body: bytes
    cost: Decimal = NOTHING
    prompt_tokens: int = 0
    completion_tokens: int = 0
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


def image_sha(image_data_url: str) -> str:
    """The short name of an image, 12 hexadecimal digits: the key of `per_image` and `image_sha` in the books."""
    return hashlib.sha256(image_data_url.encode()).hexdigest()[:12]


def expected_description(image_data_url: str, number: int) -> str:
    """The description that panel `number` of this image gets."""
    return f"Image {image_sha(image_data_url)}, panel {number}: somebody crosses the street."


def expected_text(image_data_url: str, number: int) -> str:
    """The first piece of lettering that panel `number` of this image gets."""
    return f"Words {image_sha(image_data_url)} {number}"


def expected_cost(panels: int) -> Decimal:
    """USD that an answer about so many panels costs, `odd_cost` apart."""
    return Decimal("0.0013") + panels * Decimal("0.00001")


def question(body: bytes) -> Question:
    """The request's body understood; ValueError, with text for the client, when it is no chat completion request."""
    document = json.loads(body)
    messages = document.get("messages") if isinstance(document, dict) else None
    if not isinstance(messages, list) or not messages:
        raise ValueError("`messages` must be a list that is not empty")
    texts: list[str] = []
    images: list[str] = []
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, str | list):
            raise ValueError("every message needs `content`, a text or a list of parts")
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            match part:
                case {"type": "text", "text": str(text)}:
                    texts.append(text)
                case {"type": "image_url", "image_url": {"url": str(url)}} if url.startswith("data:image/"):
                    images.append(url)
                case _:
                    raise ValueError("a content part must be text, or an image_url that is a data URL of an image")
    form = document.get("response_format")
    if form is not None and not (isinstance(form, dict) and form.get("type") in ("text", "json_object", "json_schema")):
        raise ValueError("`response_format` is not known")
    numbers = dict.fromkeys(int(number) for number in PANEL.findall("\n".join(texts)))
    return Question(images[0] if images else "", tuple(numbers), document)


def reading(asked: Question) -> dict[str, Any]:
    """A valid `PageReading` as a document, every panel "ok" and in the order asked."""
    return {
        "summary": f"A page of {len(asked.panels)} panels, image {image_sha(asked.image)}.",
        "panels": [
            {
                "number": number,
                "status": "ok",
                "description": expected_description(asked.image, number),
                "characters": ["Pepper"] if number % 2 else [],
                "texts": [
                    {"kind": "dialogue", "speaker": "Pepper", "text": expected_text(asked.image, number)},
                    {"kind": "sound", "speaker": None, "text": "KRAK"},
                ],
            }
            for number in asked.panels
        ],
        "missed": [],
    }


def refused(message: str, *, status: int = 400, **metadata: str) -> Answer:
    """An error in OpenRouter's form, nothing charged."""
    fault: dict[str, Any] = {"code": status, "message": message}
    if metadata:
        fault["metadata"] = metadata
    headers = {"Content-Type": "application/json"}
    if status == 429:
        headers["Retry-After"] = "1"
    return Answer(status, json.dumps({"error": fault}).encode(), headers=headers)


def answer(asked: Question, *, misbehaviour: str | None, generation_id: str) -> Answer:
    """The answer to one question; `misbehaviour` is one of `MISBEHAVIOURS` or None.

    "slow" and "cut" are good answers here: the server delays or breaks off their delivery.
    """
    if misbehaviour in REFUSALS:
        status, message, metadata = REFUSALS[misbehaviour]
        return refused(message, status=status, **metadata)
    if misbehaviour == "html":
        page = b"<!DOCTYPE html><html><body><h1>One moment, please</h1></body></html>"
        return Answer(200, page, headers={"Content-Type": "text/html; charset=utf-8"})
    top: dict[str, Any] = {"id": generation_id, "object": "chat.completion", "model": asked.model, "provider": PROVIDER}
    if misbehaviour == "error_body":
        return Answer(200, json.dumps({**top, "error": {"code": 502, "message": "The provider failed"}}).encode())
    if misbehaviour == "null_choices":
        return Answer(200, json.dumps({**top, "choices": None}).encode())

    cost = ODD_COST if misbehaviour == "odd_cost" else expected_cost(len(asked.panels))
    prompt_tokens, completion_tokens = 3_000 + 40 * len(asked.panels), 80 + 90 * len(asked.panels)
    usage: dict[str, Any] = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "cost": str(cost) if misbehaviour == "odd_cost" else float(cost),
    }
    if misbehaviour == "no_cost":
        del usage["cost"]
    content: str | None = _content(reading(asked), misbehaviour)
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    if misbehaviour == "truncated":
        choice["finish_reason"] = "length"
    if misbehaviour == "finish_error":
        choice["finish_reason"] = "error"
        choice["error"] = {"code": 502, "message": "The provider broke off"}
        choice["message"]["content"] = ""
    document = {**top, "choices": [choice]} | ({} if misbehaviour == "no_usage" else {"usage": usage})
    body = json.dumps(document, ensure_ascii=False).encode()
    return Answer(200, body, cost, prompt_tokens, completion_tokens)


def _content(document: dict[str, Any], misbehaviour: str | None) -> str:
    """The model's own text, spoilt as told."""
    panels = document["panels"]
    spoilt: dict[str, Callable[[], dict[str, Any]]] = {
        "missing_panel": lambda: {**document, "panels": panels[:-1]},
        "extra_field": lambda: {**document, "confidence": 0.9},
        "reordered": lambda: {**document, "panels": panels[::-1]},
    }
    text = json.dumps(spoilt.get(misbehaviour or "", lambda: document)(), ensure_ascii=False)
    if misbehaviour == "truncated":
        return text[: len(text) * 2 // 3]
    if misbehaviour == "invalid_json":
        return text[:-1] + ",}"
    if misbehaviour == "fenced":
        return f"```json\n{text}\n```"
    return text
