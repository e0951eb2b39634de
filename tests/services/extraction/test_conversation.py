"""The talk about a page: what is asked again, what is given up, and every attempt in the books on both sides."""

import asyncio
import socket
from dataclasses import dataclass, field, replace
from decimal import Decimal

import httpx
import pytest
from pydantic import SecretStr

from services.extraction import conversation
from services.extraction.conversation import Answer, Question, ask
from services.extraction.prompts import page_prompt
from services.extraction.vlm import VlmEngine, VlmReply, VlmRequest, attempt
from shared.domain.schema import Box, Direction
from shared.errors import Blocked, ComicsError, Reject, Retry
from tests.equipment.fake_vlm import FakeVlm, Record, expected_cost, expected_description

PANELS = [Box(0, 0, 50, 90), Box(50, 0, 50, 90)]
PROMPT = page_prompt(PANELS, width=100, height=90, direction=Direction.LTR)
QUESTION = Question(PROMPT, "data:image/jpeg;base64,AAAA", panels=2, max_tokens=900)


@dataclass
class Books:
    """A ledger in memory that remembers what it was told, in order."""

    events: list[str] = field(default_factory=list)
    requests: list[VlmRequest] = field(default_factory=list)
    replies: list[VlmReply] = field(default_factory=list)
    usable: list[bool] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)
    calls_allowed: int = 100

    async def reserve(self, request: VlmRequest) -> int:
        if len(self.requests) == self.calls_allowed:
            raise Blocked("the budget is spent")
        self.events.append("reserve")
        self.requests.append(request)
        return len(self.requests)

    async def complete(self, call: int, reply: VlmReply, *, usable: bool, reason: str | None) -> None:
        self.events.append(f"complete {call}")
        self.replies.append(reply)
        self.usable.append(usable)
        self.reasons.append(reason)


@dataclass
class Talk:
    """What came of one talk with the fake server."""

    books: Books
    served: list[Record]
    answer: Answer | None = None
    error: ComicsError | None = None


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "FIRST_WAIT", 0.01)


def talk(vlm: FakeVlm, script: list[str | None], *, books: Books | None = None) -> Talk:
    """One talk, the server behaving as the script says and well after it; both sides' books agree on its calls."""
    before = len(vlm.books())
    vlm.control(script=script)
    engine = VlmEngine(url=vlm.url, model="fake/reader", api_key=SecretStr("secret"), timeout=10)
    made = Talk(books or Books(), [])
    try:
        made.answer = asyncio.run(_talk(engine, made.books))
    except ComicsError as error:
        made.error = error
    made.served = vlm.settled()[before:]
    assert [request.request_id for request in made.books.requests] == [record["request_id"] for record in made.served]
    assert len(made.books.replies) == len(made.served)
    return made


async def _talk(engine: VlmEngine, books: Books) -> Answer:
    async with httpx.AsyncClient(trust_env=False) as client:

        async def send(request: VlmRequest) -> VlmReply:
            books.events.append("send")
            return await attempt(client, engine, request)

        return await ask(QUESTION, send, books)


def test_a_good_answer_costs_one_call(vlm: FakeVlm) -> None:
    done = talk(vlm, [])
    assert done.answer is not None
    assert done.answer.reading is not None
    assert [panel.description for panel in done.answer.reading.panels] == [
        expected_description(QUESTION.image, 1),
        expected_description(QUESTION.image, 2),
    ]
    assert done.books.events == ["reserve", "send", "complete 1"]
    assert done.books.usable == [True]


def test_every_call_is_written_down_before_it_is_made_and_completed_before_the_next(vlm: FakeVlm) -> None:
    done = talk(vlm, ["server_error", "invalid_json"])
    one = ["reserve", "send"]
    assert done.books.events == [*one, "complete 1", *one, "complete 2", *one, "complete 3"]
    assert len({request.request_id for request in done.books.requests}) == 3


@pytest.mark.parametrize(
    "fault", ["server_error", "unavailable", "html", "error_body", "null_choices", "finish_error", "cut", "in_flight"]
)
def test_a_passing_fault_is_tried_again_with_the_same_question(vlm: FakeVlm, fault: str) -> None:
    done = talk(vlm, [fault])
    assert done.answer is not None
    assert (done.answer.call, done.books.usable) == (2, [False, True])
    first, second = done.books.requests
    assert replace(second, request_id=first.request_id) == first


def test_a_busy_server_is_left_alone_as_long_as_it_says(vlm: FakeVlm, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    done = talk(vlm, ["rate_limited"])
    assert done.answer is not None
    assert slept == [1.0]


def test_a_server_that_stays_busy_gives_the_job_back_for_later(vlm: FakeVlm) -> None:
    done = talk(vlm, ["server_error"] * 9)
    assert isinstance(done.error, Retry)
    assert done.error.after >= 5
    assert len(done.served) == conversation.TRANSPORT_TRIES


def test_a_server_that_is_down_charges_nothing_and_gives_the_job_back() -> None:
    books = Books()
    with socket.socket() as taken:  # bound and not listening
        taken.bind(("127.0.0.1", 0))
        engine = VlmEngine(url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1", model="fake/reader")
        with pytest.raises(Retry):
            asyncio.run(_talk(engine, books))
    assert [reply.usage.cost for reply in books.replies] == [Decimal(0)] * conversation.TRANSPORT_TRIES


@pytest.mark.parametrize("fault", ["invalid_json", "missing_panel", "extra_field"])
def test_an_unusable_answer_costs_one_fresh_and_hotter_call(vlm: FakeVlm, fault: str) -> None:
    done = talk(vlm, [fault])
    assert done.answer is not None
    assert done.answer.reading is not None
    first, second = done.books.requests
    assert second.temperature > first.temperature
    assert second.max_tokens == first.max_tokens
    assert done.books.usable == [False, True]
    assert [reply.usage.cost for reply in done.books.replies] == [expected_cost(2)] * 2


def test_an_answer_cut_off_gets_more_tokens(vlm: FakeVlm) -> None:
    done = talk(vlm, ["truncated"])
    assert done.answer is not None
    assert done.answer.reading is not None
    assert [request.max_tokens for request in done.books.requests] == [900, 1800]


def test_reordered_and_fenced_answers_are_answers(vlm: FakeVlm) -> None:
    for manner in ("reordered", "fenced"):
        done = talk(vlm, [manner])
        assert done.answer is not None
        assert done.answer.reading is not None
        assert [panel.number for panel in done.answer.reading.panels] == [1, 2]
        assert len(done.served) == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (["invalid_json", "missing_panel"], r"answers for panels [1] where 1 to 2"),
        (["missing_panel", "invalid_json"], "invalid answer: document: Invalid JSON"),
        (["truncated", "truncated"], "cut off at the token limit"),
    ],
)
def test_a_page_that_is_never_answered_is_unreadable_and_says_why(
    vlm: FakeVlm, script: list[str | None], reason: str
) -> None:
    done = talk(vlm, script)
    assert done.error is None
    assert done.answer is not None
    assert done.answer.reading is None
    assert reason in (done.answer.reason or "")
    assert len(done.served) == conversation.CONTENT_TRIES


def test_passing_faults_do_not_use_up_the_fresh_call(vlm: FakeVlm) -> None:
    done = talk(vlm, ["server_error", "html", "invalid_json", "cut", "unavailable"])
    assert done.answer is not None
    assert done.answer.reading is not None
    assert done.books.usable == [False, False, False, False, False, True]


def test_no_credit_stops_the_talk_until_a_person_pays(vlm: FakeVlm) -> None:
    done = talk(vlm, ["payment"])
    assert isinstance(done.error, Blocked)
    assert len(done.served) == 1


@pytest.mark.parametrize("fault", ["unauthorized", "forbidden", "bad_request"])
def test_a_refused_request_is_never_repeated(vlm: FakeVlm, fault: str) -> None:
    done = talk(vlm, [fault])
    assert isinstance(done.error, Reject)
    assert len(done.served) == 1
    assert "secret" not in str(done.error)


def test_without_budget_nothing_is_sent(vlm: FakeVlm) -> None:
    done = talk(vlm, ["invalid_json"], books=Books(calls_allowed=1))
    assert isinstance(done.error, Blocked)
    assert done.books.events == ["reserve", "send", "complete 1"]
