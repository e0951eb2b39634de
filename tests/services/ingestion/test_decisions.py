"""Decisions leave something to see, name what they cannot do, and are found again."""

from collections.abc import Sequence

import pytest
from fastapi.testclient import TestClient

from services.ingestion.api import app
from services.ingestion.records import comparison
from services.ingestion.records.arrivals import note_place
from services.ingestion.records.comparison import surroundings
from shared.domain.arrivals import SourceFile
from shared.settings import Settings
from shared.store.db import rows, unit_of_work
from tests.equipment.rows import add_pages, execute

Pair = tuple[int, int]


@pytest.fixture
def url(configured: Settings) -> str:
    return str(configured.database_url)


@pytest.fixture
def api() -> TestClient:
    return TestClient(app)


def comics(url: str, count: int, *, pages: int = 2) -> list[list[int]]:
    """Comics; the page ids of each."""
    return [add_pages(url, pages) for _ in range(count)]


def ids(url: str, made: Sequence[Sequence[int]]) -> list[int]:
    """Ids of comics by their pages."""
    with unit_of_work(url) as connection:
        found = {page["id"]: page["comic_id"] for page in rows(connection, "SELECT id, comic_id FROM page")}
    return [found[pages[0]] for pages in made]


def match(url: str, kind: str, *pairs: Pair, verdict: str | None = None) -> None:
    """Pairs that look the same, and what was decided about them."""
    shared = ", shared" if kind == "comic" else ""
    for a, b in pairs:
        execute(
            url,
            f"INSERT INTO {kind}_match (a_id, b_id, score, verdict, decided_at{shared}) VALUES (:a, :b, .9, "
            f"CAST(:verdict AS text), CASE WHEN CAST(:verdict AS text) IS NULL THEN NULL ELSE now() END"
            f"{', 2' if shared else ''})",
            a=a, b=b, verdict=verdict,
        )  # fmt: skip


def shown(url: str, pages: Sequence[int]) -> list[bool]:
    with unit_of_work(url) as connection:
        found = {page["id"]: page["hidden"] for page in rows(connection, "SELECT id, hidden FROM page")}
    return [found[page] is None for page in pages]


def decided(api: TestClient, status: int = 200, **decision: object) -> str:
    answer = api.post("/duplicates/decisions", json=decision)
    assert answer.status_code == status, answer.text
    return answer.text


def test_what_stays_hidden_cannot_be_what_is_kept(url: str, api: TestClient) -> None:
    made = comics(url, 3)
    (kept, _), (other, aside), (third, _) = made
    comic = ids(url, made)
    api.patch(f"/pages/{kept}", json={"hidden": True})
    told = decided(api, 422, kind="page", keep=kept, hide=[other])
    assert "hidden by a person" in told
    assert f"PATCH /pages/{kept}" in told
    execute(url, "UPDATE page SET hidden = 'deleted' WHERE id = :id", id=kept)
    assert "its comic's own metadata" in decided(api, 422, kind="page", keep=kept, hide=[other])
    decided(api, kind="comic", keep=comic[2], hide=[comic[1]])
    assert f"in comic {comic[1]}, which is put aside" in decided(api, 422, kind="page", keep=aside, hide=[third])
    execute(url, "UPDATE page SET hidden = 'person' WHERE comic_id = :id", id=comic[0])
    assert "has no page that is shown" in decided(api, 422, kind="comic", keep=comic[0], hide=[comic[2]])
    assert shown(url, [other, third]) == [False, True], "nothing was hidden by what was refused"


def test_hiding_a_comic_shows_the_pages_that_were_hidden_for_one_of_it(url: str, api: TestClient) -> None:
    made = comics(url, 3)
    (kept, _), (copy, _), (advert, _) = made
    comic = ids(url, made)
    match(url, "page", (copy, advert))
    decided(api, kind="page", keep=copy, hide=[advert])
    assert shown(url, [copy, advert]) == [True, False]
    decided(api, kind="comic", keep=comic[0], hide=[comic[1]])
    assert shown(url, [kept, copy, advert]) == [True, False, True]


def test_the_comic_to_keep_gets_the_page_back_that_was_hidden_for_the_other(url: str, api: TestClient) -> None:
    made = comics(url, 2)
    (own, _), (others, _) = made
    match(url, "page", (own, others))
    decided(api, kind="page", keep=others, hide=[own])
    first, second = ids(url, made)
    decided(api, kind="comic", keep=first, hide=[second])
    assert shown(url, [own, others]) == [True, False]


def test_what_was_hidden_for_one_that_is_hidden_now_stays_hidden_for_the_new_keeper(url: str, api: TestClient) -> None:
    (first, _), (second, _), (third, _) = comics(url, 3)
    decided(api, kind="page", keep=second, hide=[third])
    decided(api, kind="page", keep=first, hide=[second])
    assert shown(url, [first, second, third]) == [True, False, False]
    (group,) = api.get("/duplicates?kind=page").json()["items"]
    assert (group["state"], group["keep"], group["why"]) == ("decided", first, "was kept by a person")


def test_a_decided_group_is_listed_although_it_hangs_on_an_open_one(url: str, api: TestClient) -> None:
    one, two, three, four = ids(url, comics(url, 4))
    match(url, "comic", (one, two), (two, three))
    match(url, "comic", (three, four), verdict="same")
    match(url, "comic", (one, three), verdict="distinct")
    (group,) = api.get("/duplicates?state=decided").json()["items"]
    assert sorted(member["id"] for member in group["members"]) == [three, four]
    (group,) = api.get("/duplicates?state=open").json()["items"]
    assert sorted(member["id"] for member in group["members"]) == [one, two]


def test_a_comic_whose_original_was_replaced_is_not_the_one_to_keep(url: str, api: TestClient) -> None:
    ghost, good = ids(url, comics(url, 2))
    place = SourceFile(location="desk:/comics/one.cbz", size=1, mtime_ns=1)
    execute(url, "UPDATE comic SET reference = '/comics/one.cbz', reference_mtime_ns = 1")
    execute(url, "UPDATE page SET width = 900, height = 1350 WHERE comic_id = :id", id=ghost)
    match(url, "comic", (ghost, good))
    for comic in (ghost, good):
        with unit_of_work(url) as connection:
            note_place(connection, place, comic_id=comic)
    (group,) = api.get("/duplicates").json()["items"]
    assert (group["keep"], "is still where it was added from" in group["why"]) == (good, True)


def test_a_comics_own_pages_take_no_place_among_the_like(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own, (*_, newest) = comics(url, 2, pages=5)
    monkeypatch.setattr(comparison, "POPULAR", 1)
    execute(
        url,
        "INSERT INTO page_mark (page_id, phash, sketch, bands) "
        "SELECT id, 5, decode(repeat('00', 972), 'hex'), '{1, 2}' FROM page",
    )
    with unit_of_work(url) as connection:
        (comic,) = rows(connection, "SELECT DISTINCT comic_id AS id FROM page WHERE id = ANY(:own)", own=own)
        met = surroundings(connection, comic["id"])
    assert sorted(met.pairs) == [(page, newest) for page in own]
