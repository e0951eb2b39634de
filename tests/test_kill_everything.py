"""SIGKILL of every process in the middle of a 40-page import with a paid VLM, then `comics up` again."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.processes import wait_until
from services.training.generators.pages import make_comic
from shared.http.client import Client
from tests.equipment.fake_vlm import fake_vlm
from tests.equipment.installation import kill_everything, processes_of, running, start, wait_for_end

PAGES = 40
CONCURRENCY = 4


def forty_pages(folder: Path) -> Path:
    """A comic of 40 different pages, quick to make and to read: eight made ones, each five times with another edge."""
    folder.mkdir()
    for number, made in enumerate(make_comic(40, pages=8, width=500, height=700)):
        image = made.image.convert("RGB")
        for turn in range(5):
            image.crop((0, 0, image.width - turn, image.height)).save(folder / f"{number:02}-{turn}.jpg", quality=85)
    return folder


@pytest.mark.timeout(400)
def test_no_page_is_lost_and_no_answer_is_paid_twice(tmp_path: Path, home: Path) -> None:
    comic_folder = forty_pages(tmp_path / "forty")
    with fake_vlm(tmp_path / "books.jsonl", latency=0.4) as vlm:
        environment = {
            "COMICS_VLM_URL": vlm.url,
            "COMICS_VLM_MODEL": "fake/reader",
            "COMICS_VLM_BUDGET": "50",
            "COMICS_VLM_CONCURRENCY": str(CONCURRENCY),
            "READ": "boxes",  # reading whole pages is most of the time and none of the point
        }
        first = start(home, environment)
        with first.client() as client:
            comic = client.add(comic_folder)
            reached = wait_until(lambda: 8 <= len(vlm.books()) < PAGES, seconds=120)
            assert reached, "the kill must come while the VLM is being asked"
        kill_everything(first)
        assert processes_of(home) == []
        vlm.settled()
        at_kill = Counter(record["outcome"] for record in vlm.books())
        with running(home, environment) as second:
            with second.client() as client:
                wait_for_end(client, comic.id, seconds=240)
                progress = client.progress(comic.id)
                assert progress.failed == 0
                assert {name: counts.done for name, counts in progress.stages.items() if name != "align"} == {
                    "ingest": 1, "compare": 1, "detect": PAGES, "read": PAGES, "extract": asked_pages(client, comic.id),
                    "embed": PAGES,
                }  # fmt: skip
                assert all(page.layout_id for page in client.pages(comic.id))
            books = vlm.settled()
            ledger = calls(home)
        pages = len({record["image_sha"] for record in books})
        in_flight = sum(call["state"] == "lost" for call in ledger)
        assert in_flight <= CONCURRENCY * 2, "two io processes, each with its own places"
        assert len(books) <= pages + in_flight
        assert at_kill.total() >= 8
        by_request = {call["request_id"]: call for call in ledger}
        assert {record["request_id"] for record in books} <= set(by_request), "every call is in the ledger"
        # An answer that had reached us is never asked for again: one recorded answer a page.
        answered = Counter(call["page_id"] for call in ledger if call["state"] == "answered")
        assert set(answered.values()) == {1}
        assert len(answered) == pages
        for record in books:
            call = by_request[record["request_id"]]
            if call["state"] == "answered":
                assert call["cost_usd"] == Decimal(record["cost"])
            else:
                assert call["state"] == "lost"
                assert call["cost_usd"] is None
                assert Decimal(record["cost"]) <= call["reserved_usd"]
        known = sum((call["cost_usd"] for call in ledger if call["cost_usd"] is not None), Decimal(0))
        served = sum(
            (Decimal(record["cost"]) for record in books if by_request[record["request_id"]]["state"] == "answered"),
            Decimal(0),
        )
        assert known == served


def asked_pages(client: Client, comic_id: int) -> int:
    """Pages a VLM is asked about: those with panels."""
    return sum(page.layout_kind != "none" for page in client.pages(comic_id))


def calls(home: Path) -> list[dict[str, Any]]:
    """The whole ledger."""
    sockets = (home / "postgres" / "postmaster.pid").read_text().splitlines()[4]
    address = f"postgresql://postgres@/comics?host={sockets}"
    with psycopg.connect(address, row_factory=psycopg.rows.dict_row) as connection:
        return connection.execute("SELECT * FROM vlm_call ORDER BY id").fetchall()
