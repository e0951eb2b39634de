"""Duplicates are found, shown as groups with a suggestion, and decided once; through the real stage and database."""

import io
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
from fastapi.testclient import TestClient

from services.ingestion.api import app
from services.ingestion.tasks import compare
from services.training.generators.pages import make_page
from shared.domain.pipeline import STAGES
from shared.settings import Settings
from shared.store.db import row, rows, unit_of_work
from shared.work.stages import run_batch
from tests.equipment.made_library import add_comic, compare_all, made_library, measured
from tests.equipment.rows import execute, job_states, plan_stage

COMPARE = STAGES["compare"]


@cache
def page(seed: int, *, quality: int = 88, scale: float = 1.0) -> bytes:
    """A drawn page, as one source or another has it."""
    picture = make_page(7000 + seed, long_side=600).image.convert("RGB")
    picture = picture.resize((int(picture.width * scale), int(picture.height * scale)))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def issue(configured: Settings, seeds: list[int], *, title: str, quality: int = 88, scale: float = 1.0) -> int:
    """A comic of these drawn pages; its id."""
    pages = add_comic(configured, [page(seed, quality=quality, scale=scale) for seed in seeds], title=title)
    with unit_of_work(str(configured.database_url)) as connection:
        found = row(connection, "SELECT comic_id FROM page WHERE id = :id", id=pages[0])
    assert found is not None
    return int(found["comic_id"])


def matched(configured: Settings, kind: str) -> list[tuple[int, int, str | None]]:
    with unit_of_work(str(configured.database_url)) as connection:
        found = rows(connection, f"SELECT a_id, b_id, verdict FROM {kind}_match ORDER BY a_id, b_id")
    return [(pair["a_id"], pair["b_id"], pair["verdict"]) for pair in found]


def page_ids(configured: Settings, comic: int) -> list[int]:
    with unit_of_work(str(configured.database_url)) as connection:
        found = rows(connection, "SELECT id FROM page WHERE comic_id = :comic ORDER BY number", comic=comic)
    return [one["id"] for one in found]


def hidden(configured: Settings, comic: int) -> list[str | None]:
    with unit_of_work(str(configured.database_url)) as connection:
        found = rows(connection, "SELECT hidden FROM page WHERE comic_id = :comic ORDER BY number", comic=comic)
    return [one["hidden"] for one in found]


@pytest.fixture
def api() -> TestClient:
    return TestClient(app)


def decide(api: TestClient, **decision: object) -> dict[str, object]:
    answer = api.post("/duplicates/decisions", json=decision)
    assert answer.status_code == 200, answer.text
    told: dict[str, object] = answer.json()
    return told


def test_planted_duplicates_are_found_and_nothing_else(configured: Settings) -> None:
    library = made_library(comics=18, planted=3, prose=20, seed=5)
    for kind, found in measured(configured, library).items():
        assert (found.precision, found.recall) == (1, 1), kind


def test_issues_that_share_advertisements_are_two_comics_with_duplicate_pages(configured: Settings) -> None:
    first = issue(configured, [0, 1, 2, 3, 50, 51], title="first")
    second = issue(configured, [10, 11, 12, 13, 50, 51], title="second", quality=60)
    compare_all(configured)
    assert matched(configured, "comic") == []
    pairs = zip(page_ids(configured, first)[4:], page_ids(configured, second)[4:], strict=True)
    assert matched(configured, "page") == [(*pair, None) for pair in pairs]


def test_a_collected_edition_is_not_the_issue_in_it(configured: Settings) -> None:
    issue(configured, [0, 1, 2, 3], title="issue")
    issue(configured, [60, 0, 1, 2, 3, 10, 11, 12, 13], title="collected")
    compare_all(configured)
    assert matched(configured, "comic") == []
    assert len(matched(configured, "page")) == 4


def test_a_translation_is_neither_the_same_comic_nor_full_of_duplicates(configured: Settings) -> None:
    url = str(configured.database_url)
    for title, language in (("one", "en"), ("un", "fr-be")):
        comic = issue(configured, [0, 1, 2, 3], title=title, quality=80)
        execute(url, "UPDATE comic SET language = :language WHERE id = :id", language=language, id=comic)
    compare_all(configured)
    assert matched(configured, "comic") == matched(configured, "page") == []


def test_a_page_repeated_in_its_own_comic_is_no_duplicate(configured: Settings) -> None:
    issue(configured, [0, 1, 1, 0], title="quotes itself")
    compare_all(configured)
    assert matched(configured, "page") == []


def test_two_comics_compared_at_the_same_time_find_each_other(configured: Settings) -> None:
    comics = [issue(configured, [0, 1, 2, 3], title=f"copy {k}", quality=90 - 8 * k) for k in range(4)]
    for comic in comics:
        plan_stage(configured, "compare", [comic])
    single = STAGES["compare"].__class__(name="compare", service="ingestion", subject="comic", queue="cpu", batch=1)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: run_batch(single, compare), range(4))) == 4
    assert job_states(str(configured.database_url), "compare") == {"done": 4}
    assert {pair[:2] for pair in matched(configured, "comic")} == {
        (a, b) for k, a in enumerate(comics) for b in comics[k + 1 :]
    }


def test_a_comparison_done_again_changes_nothing_and_keeps_what_was_decided(
    configured: Settings, api: TestClient
) -> None:
    comics = [issue(configured, [0, 1, 2, 3, 50], title=f"{k}", quality=90 - 8 * k) for k in range(2)]
    other = issue(configured, [20, 21, 22, 50], title="other")
    compare_all(configured)
    decide(api, kind="comic", distinct=comics)
    shared = [page_ids(configured, comics[0])[4], page_ids(configured, other)[3]]
    decide(api, kind="page", keep=shared[0], hide=[shared[1]])
    before = matched(configured, "comic"), matched(configured, "page")
    execute(str(configured.database_url), "UPDATE job SET state = 'queued', attempt = 0 WHERE stage = 'compare'")
    compare_all(configured)
    assert (matched(configured, "comic"), matched(configured, "page")) == before
    assert before[0] == [(*comics, "distinct")]
    assert (*shared, "same") in before[1]
    assert api.get("/duplicates?kind=comic").json()["items"] == []


def test_what_is_no_match_any_more_goes(configured: Settings) -> None:
    first = issue(configured, [0, 1, 2, 50], title="first")
    issue(configured, [10, 11, 12, 50], title="second")
    compare_all(configured)
    assert len(matched(configured, "page")) == 1
    url = str(configured.database_url)
    execute(
        url,
        "UPDATE page_mark SET sketch = (SELECT sketch FROM page_mark WHERE page_id = :from) WHERE page_id = :to",
        **{"from": page_ids(configured, first)[0], "to": page_ids(configured, first)[3]},
    )
    execute(url, "UPDATE job SET state = 'queued', attempt = 0 WHERE stage = 'compare' AND subject_id = :c", c=first)
    compare_all(configured)
    assert matched(configured, "page") == []


def test_a_comic_without_marks_is_compared_once_it_has_them(configured: Settings) -> None:
    """A library of an earlier version: its comics are read again before they are compared."""
    comic = issue(configured, [0, 1], title="old")
    execute(str(configured.database_url), "DELETE FROM page_mark")
    assert plan_stage(configured, "compare") == 0
    execute(
        str(configured.database_url),
        "INSERT INTO page_mark (page_id, phash, sketch, bands) SELECT id, 1, '', '{}' FROM page WHERE comic_id = :c",
        c=comic,
    )
    assert plan_stage(configured, "compare") == 1


def test_a_group_says_whom_to_keep_and_why(configured: Settings, api: TestClient) -> None:
    small = issue(configured, [0, 1, 2, 3], title="small", scale=0.7)
    large = issue(configured, [0, 1, 2, 3], title="large")
    compare_all(configured)
    (group,) = api.get("/duplicates").json()["items"]
    assert (group["id"], group["kind"], group["state"]) == (f"comic-{small}", "comic", "open")
    assert group["keep"] == large
    assert group["why"].startswith("has the most pixels: ")
    assert [member["id"] for member in group["members"]] == [large, small]
    assert group["members"][0]["image"].startswith("/images/")
    decide(api, kind="comic", keep=large, hide=[small])
    assert api.get("/duplicates?state=open").json()["items"] == []
    (group,) = api.get("/duplicates?state=decided").json()["items"]
    assert (group["keep"], group["why"]) == (large, "was kept by a person")
    third = issue(configured, [0, 1, 2, 3], title="third", quality=70)
    compare_all(configured)
    (group,) = api.get("/duplicates?state=open").json()["items"]
    assert (group["id"], group["count"]) == (f"comic-{small}", 3), "a newcomer opens the group again"
    assert {member["id"]: member["hidden"] for member in group["members"]} == {small: True, large: False, third: False}


def test_hiding_a_comic_hides_its_pages_and_undoing_shows_them_but_for_a_persons_own_wishes(
    configured: Settings, api: TestClient
) -> None:
    kept = issue(configured, [0, 1, 2, 3, 4], title="kept")
    copy = issue(configured, [0, 1, 2, 3, 4], title="copy", quality=60)
    compare_all(configured)
    pages = page_ids(configured, copy)
    execute(str(configured.database_url), "UPDATE page SET hidden = 'deleted' WHERE id = :id", id=pages[1])
    assert api.patch(f"/pages/{pages[2]}", json={"hidden": True}).json()["hidden"] == "person"
    told = decide(api, kind="comic", keep=kept, hide=[copy])
    assert told["hidden_pages"] == 3
    assert hidden(configured, copy) == ["duplicate", "deleted", "person", "duplicate", "duplicate"]
    assert hidden(configured, kept) == [None] * 5
    told = decide(api, kind="comic", undo=[kept, copy])
    assert told["shown_pages"] == 3
    assert hidden(configured, copy) == [None, "deleted", "person", None, None]
    assert matched(configured, "comic") == [(kept, copy, None)]
    assert api.patch(f"/pages/{pages[2]}", json={"hidden": False}).json()["hidden"] is None


def test_the_keeper_may_be_changed(configured: Settings, api: TestClient) -> None:
    comics = [issue(configured, [0, 1, 2], title=f"{k}", quality=90 - 5 * k) for k in range(2)]
    compare_all(configured)
    decide(api, kind="comic", keep=comics[0], hide=[comics[1]])
    decide(api, kind="comic", keep=comics[1], hide=[comics[0]])
    assert [hidden(configured, comic)[0] for comic in comics] == ["duplicate", None]
    decide(api, kind="comic", distinct=comics)
    assert [hidden(configured, comic)[0] for comic in comics] == [None, None], "distinct comics are both shown"


def test_a_person_may_join_what_no_comparison_found_and_take_it_back(configured: Settings, api: TestClient) -> None:
    comics = [issue(configured, seeds, title=f"{seeds}") for seeds in ([0, 1], [10, 11])]
    decide(api, kind="comic", keep=comics[0], hide=[comics[1]])
    assert [group["state"] for group in api.get("/duplicates").json()["items"]] == ["decided"]
    decide(api, kind="comic", undo=comics)
    assert matched(configured, "comic") == []
    assert hidden(configured, comics[1]) == [None, None]


def test_what_was_hidden_for_a_comic_is_shown_when_that_one_is_deleted(configured: Settings, api: TestClient) -> None:
    kept, *copies = (issue(configured, [0, 1, 2], title=f"{k}", quality=90 - 8 * k) for k in range(3))
    compare_all(configured)
    decide(api, kind="comic", keep=kept, hide=copies)
    assert api.delete(f"/comics/{kept}").status_code == 200
    assert [hidden(configured, comic)[0] for comic in copies] == [None, None]
    assert matched(configured, "comic") == [(*copies, None)], "which of them to keep is to be decided anew"


def test_one_hidden_comic_can_be_shown_again_alone(configured: Settings, api: TestClient) -> None:
    kept, first, second = (issue(configured, [0, 1, 2], title=f"{k}", quality=90 - 8 * k) for k in range(3))
    compare_all(configured)
    decide(api, kind="comic", keep=kept, hide=[first, second])
    assert decide(api, kind="comic", undo=[first])["shown_pages"] == 3
    assert [hidden(configured, comic)[0] for comic in (kept, first, second)] == [None, None, "duplicate"]
    answer = api.post("/duplicates/decisions", json={"kind": "comic", "undo": [first]})
    assert (answer.status_code, "is not hidden" in answer.text) == (422, True)


def test_a_file_in_several_places_is_a_group_of_its_places(configured: Settings, api: TestClient) -> None:
    url, comic = str(configured.database_url), issue(configured, [0], title="twice")
    for place in ("a", "b"):
        execute(
            url,
            "INSERT INTO source_file (location, size, mtime_ns, comic_id) VALUES (:at, 1, 1, :comic)",
            at=f"desk:/{place}/twice.cbz", comic=comic,
        )  # fmt: skip
    execute(url, "UPDATE comic SET reference = '/b/twice.cbz', reference_mtime_ns = 1 WHERE id = :id", id=comic)
    (group,) = api.get("/duplicates?kind=bytes&state=open").json()["items"]
    places = {member["location"]: member["id"] for member in group["members"]}
    assert group["keep"] == places["desk:/b/twice.cbz"]
    assert group["why"] == "is where the library reads it from"
    decide(api, kind="bytes", keep=group["keep"], hide=[places["desk:/a/twice.cbz"]])
    assert api.get("/duplicates?kind=bytes&state=open").json()["items"] == []
    assert api.get("/duplicates?kind=bytes&state=decided").json()["items"][0]["id"] == f"bytes-{comic}"
    assert hidden(configured, comic) == [None], "the comic itself is there once"
    decide(api, kind="bytes", undo=list(places.values()))
    assert len(api.get("/duplicates?kind=bytes&state=open").json()["items"]) == 1


def test_groups_come_in_slices_in_a_stable_order(configured: Settings, api: TestClient) -> None:
    firsts = []
    for work in range(5):
        copies = [
            issue(configured, [work * 10 + k for k in range(3)], title=f"{work} {q}", quality=q) for q in (90, 70)
        ]
        firsts.append(copies[0])
    compare_all(configured)
    seen, after = [], 0
    while after is not None:
        answer = api.get("/duplicates", params={"limit": 2, "after": after}).json()
        assert len(answer["items"]) <= 2
        seen += [group["id"] for group in answer["items"]]
        after = answer["next"]
    assert seen == [f"comic-{first}" for first in firsts]


@pytest.mark.parametrize(
    ("decision", "status", "said"),
    [
        ({"kind": "comic", "keep": 1}, 422, "go together"),
        ({"kind": "comic", "keep": 1, "hide": [1]}, 422, "kept and hidden at once"),
        ({"kind": "comic", "hide": [1]}, 422, "go together"),
        ({"kind": "comic", "keep": 1, "hide": [2], "distinct": [1, 2]}, 422, "send `keep`"),
        ({"kind": "comic", "distinct": [4]}, 422, "two or more"),
        ({"kind": "bytes", "distinct": [1, 2]}, 422, "nothing to tell apart"),
        ({"kind": "comic"}, 422, "send `keep`"),
        ({"kind": "comic", "keep": 71, "hide": [72]}, 404, "no comic 71, 72"),
        ({"kind": "page", "undo": [71, 72]}, 404, "no page 71, 72"),
    ],
)
def test_a_decision_that_cannot_be_meant_says_why(
    configured: Settings, api: TestClient, decision: dict[str, object], status: int, said: str
) -> None:
    assert configured.database_url
    answer = api.post("/duplicates/decisions", json=decision)
    assert answer.status_code == status
    assert said in answer.json()["detail"]
