"""Duplicates counted, listed, decided and undone, also from the command line."""

import pytest
from fastapi.testclient import TestClient

from services.cli import main
from services.ingestion.api import app
from shared.settings import Settings
from tests.equipment.api import running_api
from tests.equipment.made_library import compare_all
from tests.services.ingestion.test_duplicates import decide, hidden, issue


@pytest.fixture
def api() -> TestClient:
    return TestClient(app)


def test_what_was_told_apart_is_listed_two_at_a_time_so_that_one_can_be_undone(
    configured: Settings, api: TestClient
) -> None:
    comics = [issue(configured, [0, 1, 2], title=f"{k}", quality=90 - 8 * k) for k in range(3)]
    compare_all(configured)
    assert api.get("/duplicates/counts").json() == {"comic": 1, "page": 0, "bytes": 0, "more": False}
    decide(api, kind="comic", distinct=comics)
    assert api.get("/duplicates/counts").json()["comic"] == 0
    apart, after = [], 0
    while after is not None:
        answer = api.get("/duplicates", params={"state": "distinct", "limit": 1, "after": after}).json()
        apart += [[member["id"] for member in group["members"]] for group in answer["items"]]
        after = answer["next"]
    assert sorted(apart) == [[comics[0], comics[1]], [comics[0], comics[2]], [comics[1], comics[2]]]
    decide(api, kind="comic", undo=apart[0])
    assert api.get("/duplicates/counts").json()["comic"] == 1
    assert len(api.get("/duplicates?state=distinct").json()["items"]) == 2
    assert api.get("/duplicates?kind=bytes&state=distinct").json()["items"] == []


def test_the_command_lists_groups_and_hides_all_only_when_told_so(
    configured: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    comics = [issue(configured, [0, 1, 2], title=f"copy {k}", quality=90 - 8 * k) for k in range(3)]
    compare_all(configured)
    with running_api(configured):
        assert main(["duplicates"]) == 0
        shown = capsys.readouterr().out
        assert f"comic-{comics[0]}  3 comics that look the same, " in shown
        assert "1 open group of kind comic" in shown
        assert main(["duplicates", "--hide-all"]) == 0
        assert "2 comics to hide" in capsys.readouterr().out
        assert [hidden(configured, comic)[0] for comic in comics] == [None] * 3
        assert main(["duplicates", "--hide-all", "--yes"]) == 0
        assert sorted(str(hidden(configured, comic)[0]) for comic in comics) == ["None", "duplicate", "duplicate"]
        assert main(["duplicates", "--undo", *map(str, comics)]) == 0
        assert main(["duplicates", "--distinct", *map(str, comics)]) == 0
        capsys.readouterr()
        assert main(["duplicates", "--kind", "comic", "--told-apart"]) == 0
        assert f"comic-{comics[0]}-{comics[1]}  2 comics that look the same, " in capsys.readouterr().out
        assert main(["duplicates", "--kind", "comic"]) == 0
        assert capsys.readouterr().out == "0 open groups of kind comic\n"
        assert main(["duplicates", "--keep", "1"]) == 2
        assert "go together" in capsys.readouterr().err
