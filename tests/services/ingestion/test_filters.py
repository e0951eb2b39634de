"""Comics are listed by source, collection, series and whether they are hidden; facets say what there is."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.standalone import create_standalone
from shared.settings import Settings
from tests.equipment.rows import execute

SHELVES = [
    ("Humble Bundle", "2000AD", "Judge", False),
    ("Humble Bundle", "2000AD", "Rogue", False),
    ("Humble Bundle", "Dark Horse", "Hellboy", True),
    ("Calibre", "2000AD", "Judge", False),
    ("upload", "", None, False),
]


@pytest.fixture
def api(configured: Settings) -> TestClient:
    for number, (source, collection, series, hidden) in enumerate(SHELVES):
        execute(
            str(configured.database_url),
            "INSERT INTO comic (sha256, file_name, title, size, media_type, source, collection, series, hidden) "
            "VALUES (:n, :n, :n, 1, 'x', :source, :collection, :series, :hidden)",
            n=f"Book {number}", source=source, collection=collection, series=series, hidden=hidden,
        )  # fmt: skip
    return TestClient(create_standalone())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("source=Calibre", [3]),
        ("source=Calibre&source=upload", [3, 4]),
        ("collection=2000AD", [0, 1, 3]),
        ("collection=2000AD&source=Humble Bundle", [0, 1]),
        ("collection=Dark Horse&source=Calibre", []),
        ("collection=", [4]),
        ("collection=2000ad", []),
        ("series=Judge", [0, 3]),
        ("series=Judge&source=Calibre&title=book", [3]),
        ("hidden=true", [2]),
        ("hidden=false&source=Humble Bundle", [0, 1]),
        ("hidden=all", [0, 1, 2, 3, 4]),
    ],
)
def test_comics_are_listed_by_what_is_known_of_them(api: TestClient, query: str, found: list[int]) -> None:
    listed, after = [], 0
    while after is not None:
        answer = api.get(f"/comics?limit=2&after={after}&{query}")
        assert answer.status_code == 200, answer.text
        listed += answer.json()["items"]
        after = answer.json()["next"]
    assert [comic["title"] for comic in listed] == [f"Book {number}" for number in found]
    assert [comic["hidden"] for comic in listed] == [SHELVES[number][3] for number in found]


def test_facets_count_what_there_is_to_filter_by(api: TestClient) -> None:
    def counted(query: str = "") -> dict[str, Any]:
        answer = api.get(f"/comics/facets?{query}").json()
        return {kind: {facet["name"]: facet["comics"] for facet in answer[kind]} for kind in answer}

    assert counted() == {
        "sources": {"Humble Bundle": 3, "Calibre": 1, "upload": 1},
        "collections": {"2000AD": 3, "": 1, "Dark Horse": 1},
    }
    assert list(counted()["sources"]) == ["Humble Bundle", "Calibre", "upload"], "the most first, then by name"
    assert counted("source=Humble Bundle")["collections"] == {"2000AD": 2, "Dark Horse": 1}
    assert counted("collection=2000AD")["sources"] == {"Humble Bundle": 2, "Calibre": 1}
    assert counted("source=nobody") == {"sources": counted()["sources"], "collections": {}}


def test_jobs_are_listed_by_where_their_comics_are_from(api: TestClient, configured: Settings) -> None:
    execute(
        str(configured.database_url),
        "INSERT INTO job (stage, subject_id, comic_id, fingerprint, max_attempts, state) "
        "SELECT 'ingest', id, id, title, 3, 'failed' FROM comic",
    )
    for query, count in (("", 5), ("source=Calibre&source=upload", 2), ("collection=2000AD&source=Calibre", 1)):
        assert len(api.get(f"/jobs?{query}").json()["items"]) == count
