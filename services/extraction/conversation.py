"""The talk with a VLM about one page: transport retries and content retries in different loops, with budgets apart.

A busy server is asked again with the same request. An answer that is cut off or does not validate costs one fresh
call: hotter, and with more tokens when it was cut off. Then the page is visibly unreadable. Before and after every
attempt the ledger is told, through the two functions given.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from services.extraction.readings import InvalidReading, validate
from services.extraction.vlm import VlmReply, VlmRequest
from shared.domain.schema import PageReading
from shared.errors import Blocked, Reject, Retry

CONTENT_TRIES = 2
TRANSPORT_TRIES = 3
TEMPERATURES = (0.0, 0.6)
LONGEST_WAIT = 20.0  # seconds slept here for a busy server; longer waits give the job back
FIRST_WAIT = 0.5


class Ledger(Protocol):
    """What the talk needs of the books."""

    async def reserve(self, request: VlmRequest) -> int:
        """Write down a request about to be made; the call's id. Blocked when the budget does not allow it."""

    async def complete(self, call: int, reply: VlmReply, *, usable: bool, reason: str | None) -> None:
        """Write down what came of it."""


@dataclass(frozen=True)
class Question:
    """What is asked: the prompt, the image as a data URL, how many panels it lists, tokens at first."""

    prompt: str
    image: str
    panels: int
    max_tokens: int


@dataclass(frozen=True)
class Answer:
    """A validated reading and the call it came from; or no reading, and why."""

    call: int
    reading: PageReading | None
    reason: str | None = None


async def ask(question: Question, send: Callable[[VlmRequest], Awaitable[VlmReply]], ledger: Ledger) -> Answer:
    """Talk until there is a reading, or until it is clear that there will be none.

    Errors: Retry when the server stays busy, Blocked without budget or credit, Reject when the request is refused.
    """
    max_tokens, call, reason = question.max_tokens, 0, "never asked"
    for number in range(CONTENT_TRIES):
        temperature = TEMPERATURES[min(number, len(TEMPERATURES) - 1)]
        call, reply, reading, reason = await _until_content(question, send, ledger, max_tokens, temperature)
        if reading is not None:
            return Answer(call, reading)
        if reply.outcome == "truncated":
            max_tokens *= 2
    return Answer(call, None, reason)


async def _until_content(
    question: Question,
    send: Callable[[VlmRequest], Awaitable[VlmReply]],
    ledger: Ledger,
    max_tokens: int,
    temperature: float,
) -> tuple[int, VlmReply, PageReading | None, str]:
    wait = FIRST_WAIT
    for number in range(TRANSPORT_TRIES):
        request = VlmRequest(uuid.uuid4().hex, question.prompt, question.image, max_tokens, temperature)
        call = await ledger.reserve(request)
        reply = await send(request)
        reading, reason = understand(reply, panels=question.panels)
        await ledger.complete(call, reply, usable=reading is not None, reason=reason)
        if reply.outcome in ("ok", "truncated"):
            return call, reply, reading, reason or ""
        if reply.outcome == "unpaid":
            raise Blocked(
                f"The VLM server wants payment ({reply.reason}); add credit, the pages then go on by themselves."
            )
        if reply.outcome == "refused":
            raise Reject(f"The VLM server refuses the request ({reply.reason}); check its address, model and key.")
        wait = reply.retry_after if reply.retry_after is not None else wait
        if wait > LONGEST_WAIT:
            break
        if number + 1 < TRANSPORT_TRIES:
            await asyncio.sleep(wait)
        wait *= 2
    raise Retry(f"The VLM server did not answer ({reply.reason}).", after=max(wait, 5.0))


def understand(reply: VlmReply, *, panels: int) -> tuple[PageReading | None, str | None]:
    """The reading in a reply, or why there is none."""
    if reply.outcome != "ok" or reply.content is None:
        return None, reply.reason
    try:
        return validate(reply.content, panels=panels), None
    except InvalidReading as error:
        return None, f"invalid answer: {error}"
