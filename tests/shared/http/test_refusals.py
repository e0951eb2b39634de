"""Whatever a request holds, it is refused for what it is: no defect of the server, and no wrong hint."""

import errno
import json

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from services.standalone import create_standalone, prepare
from shared.http.app import create_app
from shared.settings import Settings
from tests.equipment.hostile_files import picture

DEEP = "[" * 200_000
JSON = {"Content-Type": "application/json"}


def test_what_cannot_be_stored_or_is_nested_too_deeply_is_not_acceptable(configured: Settings) -> None:
    prepare(configured)
    image = {"image": ("a.png", picture(60, 90))}
    with TestClient(create_standalone(), raise_server_exceptions=False) as api:

        def search(**query: object) -> int:
            return api.post("/search", content=json.dumps(query), headers=JSON).status_code

        assert api.post("/search", content=DEEP, headers=JSON).status_code == 422
        assert api.post("/search", files=image, data={"filters": DEEP}).status_code == 422
        for number in (2**63, 2**70, 0):
            wrong = {"comics": [number]}
            assert api.post("/search", files=image, data={"filters": json.dumps(wrong)}).status_code == 422
            assert search(words="a", filters=wrong) == search(panel_id=1, filters={"pages": [number]}) == 422
        for text in ("\ud800", "a\ud83d b", "\0"):
            for field in ("sources", "collections"):
                assert search(words="a", filters={field: [text]}) == 422, text
            answer = api.post("/datasets", content=json.dumps({"name": text}), headers=JSON)
            assert answer.status_code == 422, text
        assert api.patch("/comics/1", content=json.dumps({"title": "\ud800"}), headers=JSON).status_code == 422
        assert api.get("/comics", params={"title": "\0"}).status_code == 422
        for address in ("/comics", "/images", "/panels", "/layouts", "/datasets", "/runs"):
            assert api.get(f"{address}/{2**70}").status_code in (404, 422), address


@pytest.mark.usefixtures("configured")
def test_a_full_disk_is_told_to_whoever_may_try_again_and_nothing_else_is_taken_for_it() -> None:
    router = APIRouter()

    @router.get("/fails/{number}")
    def fails(number: int) -> None:
        raise OSError(number, "said by the system")

    api = TestClient(create_app("fails", [router]), raise_server_exceptions=False)
    full = api.get(f"/fails/{errno.ENOSPC}")
    assert (full.status_code, full.headers["retry-after"]) == (503, "60")
    assert api.get(f"/fails/{errno.EIO}").status_code == 500
    assert "said by" not in full.text
