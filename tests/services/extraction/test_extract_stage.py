"""The paid stage on a real database against the fake VLM server: money before and after every request."""

import io
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw

from services.extraction import ledger, tasks
from services.extraction.api import ExtractionOrder, order_extractions, router
from shared.domain.pipeline import STAGES
from shared.errors import Blocked, Conflict
from shared.http.app import create_app
from shared.settings import Settings, settings
from shared.store.blobs import put_blob, storage_of
from shared.store.db import row, rows, unit_of_work
from shared.work.stages import run_batch
from shared.work.sweeper import sweep
from tests.equipment.fake_vlm import FakeVlm, expected_cost, fake_vlm
from tests.equipment.rows import add_pages, execute, job_states, plan_stage

EXTRACT = STAGES["extract"]
PANELS = 3


@pytest.fixture
def vlm(tmp_path: Path) -> Iterator[FakeVlm]:
    with fake_vlm(tmp_path / "books.jsonl") as server:
        yield server


@pytest.fixture
def paying(configured: Settings, vlm: FakeVlm, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with the fake server as the engine and ten dollars to spend."""
    return pay(monkeypatch, configured, vlm, "10")


def pay(monkeypatch: pytest.MonkeyPatch, configured: Settings, vlm: FakeVlm, budget: str, **more: str) -> Settings:
    wanted = {"COMICS_VLM_URL": vlm.url, "COMICS_VLM_MODEL": "fake/reader", "COMICS_VLM_BUDGET": budget, **more}
    wanted["COMICS_VLM_API_KEY"] = "sk-very-secret"
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    with unit_of_work(str(configured.database_url)) as connection:
        ledger.set_limit(connection, Decimal(budget))
    return settings()


def add_drawn_pages(configured: Settings, count: int) -> list[int]:
    """Pages with different pictures and an active layout of three panels each."""
    url = str(configured.database_url)
    pages = add_pages(url, count)
    for number, page in enumerate(pages):
        image = Image.new("RGB", (200, 300), "white")
        ImageDraw.Draw(image).text((20, 20), f"page {number}", fill="black")
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        digest = sha256(buffer.getvalue()).hexdigest()
        put_blob(storage_of(configured), digest, buffer.getvalue())
        execute(
            url,
            "WITH l AS (INSERT INTO layout (page_id, source, kind, direction, objects, image_sha256) "
            "VALUES (:p, 'model', 'panels', 'ltr', '[]', :s) RETURNING id), n AS (INSERT INTO panel "
            "(layout_id, position, x, y, w, h, score) "
            "SELECT l.id, n, 0, n * 100, 200, 100, 1 FROM l, generate_series(0, 2) n) "
            "UPDATE page SET image_sha256 = :s, width = 200, height = 300, layout_id = (SELECT id FROM l) "
            "WHERE id = :p",
            p=page, s=digest,
        )  # fmt: skip
    return pages


def work(_: Settings) -> None:
    """Run the stage until nothing is due."""
    while run_batch(EXTRACT, tasks.extract):
        pass


def calls(configured: Settings) -> list[dict[str, Any]]:
    with unit_of_work(str(configured.database_url)) as connection:
        return [dict(call) for call in rows(connection, "SELECT * FROM vlm_call ORDER BY id")]


def budget(configured: Settings) -> dict[str, Decimal]:
    with unit_of_work(str(configured.database_url)) as connection:
        found = row(connection, "SELECT limit_usd, spent_usd, held_usd FROM budget")
    assert found is not None
    return dict(found)


def test_every_page_is_asked_once_and_both_books_agree(paying: Settings, vlm: FakeVlm) -> None:
    pages = add_drawn_pages(paying, 5)
    assert plan_stage(paying, "extract") == 5
    work(paying)
    assert job_states(str(paying.database_url), "extract") == {"done": 5}
    books, kept = vlm.settled(), calls(paying)
    assert len(books) == len(kept) == 5
    costs = {record["request_id"]: Decimal(record["cost"]) for record in books}
    assert {call["request_id"]: call["cost_usd"] for call in kept} == costs
    assert budget(paying) == {
        "limit_usd": Decimal(10), "spent_usd": 5 * expected_cost(PANELS), "held_usd": Decimal(0)
    }  # fmt: skip
    assert all(call["body"] for call in kept), "the raw answer is kept"
    with unit_of_work(str(paying.database_url)) as connection:
        active = rows(connection, "SELECT e.content, e.layout_id FROM page p JOIN extraction e ON e.id = p.vlm_id")
    assert len(active) == len(pages)
    assert all(len(found["content"]["panels"]) == PANELS for found in active)


def test_nothing_is_planned_without_a_budget_and_nothing_twice_by_itself(paying: Settings, vlm: FakeVlm) -> None:
    add_drawn_pages(paying, 2)
    assert plan_stage(paying.model_copy(update={"vlm_budget": None}), "extract") == 0
    assert plan_stage(paying, "extract") == 2
    work(paying)
    other = paying.model_copy(update={"vlm_model": "another/model"})
    assert plan_stage(other, "extract") == 0, "a new model asks again only by an explicit order"
    assert len(vlm.settled()) == 2


def test_an_order_asks_again_after_the_estimate_was_agreed_to(
    configured: Settings, vlm: FakeVlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    paying = pay(monkeypatch, configured, vlm, "10")
    add_drawn_pages(paying, 2)
    plan_stage(paying, "extract")
    work(paying)
    url = str(paying.database_url)
    newer = pay(monkeypatch, configured, vlm, "10", COMICS_VLM_MODEL="newer/model")
    with pytest.raises(Conflict, match="2 pages"):
        order_extractions(ExtractionOrder(pages=3), url, newer)
    assert order_extractions(ExtractionOrder(pages=2), url, newer) == {"planned": 2}
    work(newer)
    assert Counter(record["model"] for record in vlm.settled()) == {"fake/reader": 2, "newer/model": 2}
    with pytest.raises(Blocked):
        order_extractions(ExtractionOrder(pages=2), url, newer.model_copy(update={"vlm_url": None}))


def test_the_budget_stops_the_stage_before_it_is_exceeded_and_lets_it_go_on_when_raised(
    configured: Settings, vlm: FakeVlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One worst case of 4,096 tokens for 12 USD a million fits; the real cost is far below, so that a second follows.
    prices = {"COMICS_VLM_PROMPT_PRICE": "0", "COMICS_VLM_COMPLETION_PRICE": "12"}
    paying = pay(monkeypatch, configured, vlm, "0.0515", COMICS_VLM_CONCURRENCY="1", **prices)
    add_drawn_pages(paying, 6)
    plan_stage(paying, "extract")
    work(paying)
    url = str(paying.database_url)
    states = job_states(url, "extract")
    assert states == {"done": 2, "blocked": 4}
    assert len(vlm.settled()) == 2
    money = budget(paying)
    assert money["spent_usd"] + money["held_usd"] <= money["limit_usd"]
    execute(url, "UPDATE job SET not_before = now() WHERE state = 'blocked'")
    sweep()
    assert job_states(url, "extract")["queued"] == 1, "one job finds out whether there is money now"
    work(paying)
    assert job_states(url, "extract") == {"done": 2, "blocked": 4}, "still nothing left"
    sweep()
    assert job_states(url, "extract") == {"done": 2, "blocked": 4}, "and it is not asked all the time"
    with unit_of_work(url) as connection:
        blocked = rows(connection, "SELECT attempt, error FROM job WHERE state = 'blocked'")
        ledger.set_limit(connection, Decimal(10))
    assert all(job["attempt"] == 0 and "COMICS_VLM_BUDGET" in job["error"] for job in blocked)
    execute(url, "UPDATE job SET not_before = now() WHERE state = 'blocked'")
    sweep()
    work(paying)
    assert job_states(url, "extract") == {"done": 6}, "the one that got through pulled the others"


def test_a_paid_answer_is_used_when_storing_it_failed_the_first_time(
    paying: Settings, vlm: FakeVlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_drawn_pages(paying, 3)
    plan_stage(paying, "extract")
    url = str(paying.database_url)
    whole = tasks._store_reading

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(tasks, "_store_reading", full_disk)
    run_batch(EXTRACT, tasks.extract)
    assert job_states(url, "extract") == {"queued": 3}
    monkeypatch.setattr(tasks, "_store_reading", whole)
    execute(url, "UPDATE job SET not_before = now()")
    work(paying)
    assert job_states(url, "extract") == {"done": 3}
    assert len(vlm.settled()) == 3, "nobody was asked again"


def test_a_call_whose_worker_died_is_lost_and_stays_held(paying: Settings, vlm: FakeVlm) -> None:
    pages = add_drawn_pages(paying, 1)
    plan_stage(paying, "extract")
    url = str(paying.database_url)
    with unit_of_work(url) as connection:
        page = row(connection, "SELECT p.*, j.id AS job FROM page p JOIN job j ON j.subject_id = p.id")
    assert page is not None
    fingerprint = tasks.engine_of(paying).fingerprint(page["image_sha256"])
    ledger.reserve(
        url, request_id="of-the-dead", page_id=pages[0], layout_id=page["layout_id"], job_id=page["job"],
        fingerprint=fingerprint, model="fake/reader", worst_case=Decimal("0.05"),
    )  # fmt: skip
    work(paying)
    assert [call["state"] for call in calls(paying)] == ["lost", "answered"]
    assert calls(paying)[0]["cost_usd"] is None
    assert budget(paying)["held_usd"] == Decimal("0.05")
    assert len(vlm.settled()) == 1


def test_a_page_that_never_parses_is_visibly_unreadable_after_one_fresh_call(paying: Settings, vlm: FakeVlm) -> None:
    vlm.control(always="invalid_json")
    add_drawn_pages(paying, 1)
    plan_stage(paying, "extract")
    work(paying)
    assert job_states(str(paying.database_url), "extract") == {"done": 1}
    assert [call["state"] for call in calls(paying)] == ["failed", "failed"]
    assert budget(paying)["spent_usd"] == sum(Decimal(record["cost"]) for record in vlm.settled())
    with unit_of_work(str(paying.database_url)) as connection:
        found = row(connection, "SELECT content, unreadable FROM extraction")
    assert found is not None
    assert found["content"] is None
    assert "invalid answer" in found["unreadable"]


def test_an_unknown_cost_is_null_and_its_worst_case_stays_held(paying: Settings, vlm: FakeVlm) -> None:
    vlm.control(always="no_cost")
    add_drawn_pages(paying, 1)
    plan_stage(paying, "extract")
    work(paying)
    assert [call["cost_usd"] for call in calls(paying)] == [None]
    money = budget(paying)
    assert money["spent_usd"] == 0
    assert money["held_usd"] == calls(paying)[0]["reserved_usd"] > 0


@pytest.mark.parametrize(
    ("misbehaviour", "state"), [("payment", "blocked"), ("unauthorized", "failed"), ("bad_request", "failed")]
)
def test_refusals_block_or_fail_without_a_second_call_or_the_key(
    paying: Settings, vlm: FakeVlm, misbehaviour: str, state: str
) -> None:
    vlm.control(always=misbehaviour)
    add_drawn_pages(paying, 1)
    plan_stage(paying, "extract")
    work(paying)
    assert job_states(str(paying.database_url), "extract") == {state: 1}
    assert len(vlm.settled()) == 1
    with unit_of_work(str(paying.database_url)) as connection:
        job = row(connection, "SELECT error FROM job")
    assert job is not None
    assert "sk-very-secret" not in job["error"]
    assert budget(paying) == {"limit_usd": Decimal(10), "spent_usd": Decimal(0), "held_usd": Decimal(0)}


def test_one_task_keeps_as_many_calls_in_flight_as_allowed(
    configured: Settings, vlm: FakeVlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    paying = pay(monkeypatch, configured, vlm, "10", COMICS_VLM_CONCURRENCY="3")
    vlm.control(latency=0.2)
    add_drawn_pages(paying, 9)
    plan_stage(paying, "extract")
    work(paying)
    assert vlm.stats()["max_in_flight"] == 3


def test_an_estimate_is_of_the_pages_that_would_be_asked_about(paying: Settings) -> None:
    url = str(paying.database_url)
    hidden, *_ = add_drawn_pages(paying, 3)
    add_drawn_pages(paying, 2)
    execute(url, "UPDATE page SET hidden = 'person' WHERE id = :p", p=hidden)
    execute(url, "UPDATE comic SET source = 'Calibre', collection = '2000AD' WHERE page_count = 2")
    with TestClient(create_app("extraction", [router])) as api:
        for asked, order, pages in (
            ("", {}, 4),
            ("?source=Calibre", {"sources": ["Calibre"]}, 2),
            ("?collection=2000AD&source=upload", {"collections": ["2000AD"], "sources": ["upload"]}, 0),
        ):
            assert api.get(f"/vlm/estimate{asked}").json()["pages"] == pages
            assert api.post("/extractions", json={**order, "pages": pages + 1}).status_code == 409
        assert api.get("/vlm/estimate?source=Calibr").status_code == 422, "misspelt: nobody agrees to that"
        agreed = api.post("/extractions", json={"sources": ["Calibre"], "pages": 2})
        assert agreed.json() == {"planned": 2}


def test_a_page_that_cannot_be_read_any_more_is_not_asked_about(paying: Settings) -> None:
    pages, url = add_drawn_pages(paying, 2), str(paying.database_url)
    plan_stage(paying, "extract")
    execute(url, "UPDATE page SET state = 'unreadable', error = 'x', image_sha256 = NULL WHERE id = :p", p=pages[0])
    assert run_batch(EXTRACT, tasks.extract) == 2
    assert job_states(url, "extract") == {"done": 1, "failed": 1}
