"""Queries within sources and collections: by vector and by words, as they stand now, and never into hidden pages."""

import pytest

from services.search import queries
from services.search.library import Library
from services.search.queries import search
from services.standalone import prepare
from shared.domain.answers import SearchFilters
from shared.errors import Reject
from shared.settings import Settings
from shared.store.db import rows, unit_of_work
from tests.equipment.rows import execute
from tests.services.search.test_embedding import add_made_comic, embed

SHELVES = {"a": ("Calibre", "2000AD"), "b": ("Calibre", "Dark Horse"), "c": ("upload", "2000AD")}


@pytest.fixture
def comics(configured: Settings) -> dict[str, int]:
    """Three comics of two pages whose panels all say "carrot", on shelves; their ids."""
    prepare(configured)
    url, made = str(configured.database_url), {}
    for seed, (name, (source, collection)) in enumerate(SHELVES.items()):
        page = add_made_comic(configured, seed=seed + 5, count=2)[0]
        with unit_of_work(url) as connection:
            made[name] = int(rows(connection, "SELECT comic_id FROM page WHERE id = :id", id=page)[0]["comic_id"])
        execute(
            url,
            "UPDATE comic SET source = :source, collection = :collection WHERE id = :id",
            source=source, collection=collection, id=made[name],
        )  # fmt: skip
    execute(url, "UPDATE panel_text SET literal = 'carrot', normalised = 'carrot'")
    embed(configured)
    return made


def test_sources_and_collections_filter_vectors_and_words_alike(configured: Settings, comics: dict[str, int]) -> None:
    library, url = Library(configured), str(configured.database_url)
    with unit_of_work(url) as connection:
        panel = rows(connection, "SELECT min(id) AS id FROM panel")[0]["id"]

        def found(**filters: object) -> str:
            """Names of the comics that answer, which must be the same by vector, by words and by both."""
            answers = [
                search(connection, library, filters=SearchFilters(kind=kind, **filters), limit=100, **query)
                for kind in ("panel", "page")
                for query in ({"panel_id": panel}, {"words": "carrot"}, {"panel_id": panel, "words": "carrot"})
            ]
            among = [{hit.comic_id for hit in answer.hits} for answer in answers]
            assert all(one == among[0] for one in among)
            return "".join(sorted(name for name, comic in comics.items() if comic in among[0]))

        assert found() == "abc"
        assert found(sources=["Calibre"]) == "ab"
        assert found(sources=["Calibre", "upload"]) == "abc"
        assert found(collections=["2000AD"]) == "ac"
        assert found(collections=["2000AD"], sources=["Calibre"]) == "a"
        assert found(collections=["2000AD"], comics=[comics["b"], comics["c"], comics["c"]]) == "c"
        assert found(collections=["Dark Horse"], sources=["upload"]) == "", "they contradict each other"
        assert found(collections=["Dark Horse"], comics=[comics["a"]]) == ""


def test_a_comic_that_moves_to_another_shelf_is_found_there_at_once(
    configured: Settings, comics: dict[str, int]
) -> None:
    library, url = Library(configured), str(configured.database_url)
    with unit_of_work(url) as connection:
        panel = rows(connection, "SELECT min(id) AS id FROM panel")[0]["id"]

    def found() -> set[int]:
        with unit_of_work(url) as connection:
            filters = SearchFilters(collections=["Dark Horse"])
            answer = search(connection, library, panel_id=panel, filters=filters, limit=100)
        return {hit.comic_id for hit in answer.hits}

    assert found() == {comics["b"]}
    execute(url, "UPDATE comic SET collection = 'Dark Horse' WHERE id = :id", id=comics["c"])
    assert found() == {comics["b"], comics["c"]}


def test_a_name_that_no_comic_has_is_a_mistake_and_named(configured: Settings, comics: dict[str, int]) -> None:
    assert comics
    library = Library(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        for filters, named in (
            (SearchFilters(collections=["2000AD", "2000ad"]), "collection '2000ad';"),
            (SearchFilters(sources=["Humbel"]), "source 'Humbel';"),
        ):
            with pytest.raises(Reject, match=f"No comic has the {named}"):
                search(connection, library, words="carrot", filters=filters, limit=5)


def test_hidden_pages_are_not_found(configured: Settings, comics: dict[str, int]) -> None:
    url, library = str(configured.database_url), Library(configured)
    execute(url, "UPDATE page SET hidden = 'duplicate' WHERE comic_id = :id", id=comics["b"])
    with unit_of_work(url) as connection:
        panel = rows(connection, "SELECT min(id) AS id FROM panel")[0]["id"]
        for kind in ("panel", "page"):
            for query in ({"panel_id": panel}, {"words": "carrot"}):
                answer = search(connection, library, filters=SearchFilters(kind=kind), limit=100, **query)
                assert {hit.comic_id for hit in answer.hits} == {comics["a"], comics["c"]}


def test_hidden_pages_at_the_top_of_a_ranking_leave_room_for_those_below(
    configured: Settings, comics: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(configured.database_url)
    monkeypatch.setattr(queries, "SPARE", 0)
    with unit_of_work(url) as connection:
        found = rows(connection, "SELECT n.id FROM panel n JOIN page p ON p.layout_id = n.layout_id "
                     "WHERE p.comic_id = :a", a=comics["a"])  # fmt: skip
    execute(url, "UPDATE page SET hidden = 'duplicate' WHERE comic_id <> :a", a=comics["a"])
    library, panels = Library(configured), [panel["id"] for panel in found]
    with unit_of_work(url) as connection:
        for query in ({"panel_id": panels[0]}, {"panel_id": panels[0], "words": "carrot"}):
            answer = search(connection, library, filters=SearchFilters(), limit=len(panels) - 1, **query)
            assert {hit.comic_id for hit in answer.hits} == {comics["a"]}
            assert len(answer.hits) == len(panels) - 1
