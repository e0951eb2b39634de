"""Pages nobody would draw, pages that are none, and what pages that are decoded ahead do to each other."""

import io
import threading
import time
from collections.abc import Callable
from hashlib import sha256

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from services.detection import api, tasks
from services.detection.detector import Detector
from services.detection.pages_ahead import Page, Ready, Room, ahead
from services.standalone import prepare
from services.training.generators.pages import make_page
from shared.domain.geometry import iou
from shared.domain.pipeline import STAGES
from shared.domain.schema import PagePanels
from shared.errors import Reject
from shared.nn.detector_config import DetectorConfig
from shared.settings import Settings
from shared.store.blobs import put_blob, storage_of
from shared.store.db import rows, unit_of_work
from shared.work.stages import run_batch
from tests.equipment.rows import add_pages, execute, plan_stage

NOISE = np.random.default_rng(1)


def stored(picture: NDArray[np.uint8] | Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(buffer, kind, quality=92)
    return buffer.getvalue()


def noise(width: int, height: int) -> bytes:
    return stored(NOISE.integers(0, 256, (height, width, 3), dtype=np.uint8))


def flat(level: int) -> bytes:
    return stored(np.full((700, 500, 3), level, np.uint8))


STRANGE = {
    "noise": noise(500, 700),
    "white": flat(255),
    "black": flat(0),
    "line": noise(1, 10_000),
    "strip": noise(20_000, 30),
}


def test_strange_pages_get_a_layout_and_undecodable_ones_fail_with_their_reason(configured: Settings) -> None:
    prepare(configured)
    url, cut = str(configured.database_url), STRANGE["noise"][:5000]
    contents = [*STRANGE.values(), cut]
    pages = add_pages(url, len(contents))
    for page, content in zip(pages, contents, strict=True):
        digest = sha256(content).hexdigest()
        put_blob(storage_of(configured), digest, content)
        execute(url, "UPDATE page SET image_sha256 = :s WHERE id = :p", s=digest, p=page)
    plan_stage(configured, "detect")
    while run_batch(STAGES["detect"], tasks.detect):
        pass
    with unit_of_work(url) as connection:
        jobs = rows(connection, "SELECT subject_id, state, error FROM job WHERE stage = 'detect' ORDER BY subject_id")
        laid_out = {one["page_id"] for one in rows(connection, "SELECT page_id FROM layout")}
    assert [job["state"] for job in jobs] == ["done"] * len(STRANGE) + ["failed"]
    assert "5.jpg is damaged or cut off" in jobs[-1]["error"]
    assert laid_out == set(pages[:-1])


def test_strange_pictures_are_answered_over_http(configured: Settings) -> None:
    prepare(configured)
    client = TestClient(api.app)
    for name, content in STRANGE.items():
        answer = client.post("/detect", files={"file": (f"{name}.png", content)})
        assert answer.status_code == 200, (name, answer.text)
        page = PagePanels.model_validate(answer.json())
        assert (page.reason is None) == bool(page.panels), name
    assert client.post("/detect", files={"file": ("cut.png", STRANGE["noise"][:5000])}).status_code == 422


def test_too_many_pictures_at_once_are_asked_to_come_back(
    configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(configured)
    monkeypatch.setattr(api.looking, "most", 0)
    answer = TestClient(api.app).post("/detect", files={"file": ("a.png", STRANGE["white"])})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_large_picture_is_answered_in_its_own_pixels(configured: Settings) -> None:
    prepare(configured)
    page = make_page(11, long_side=700).image.convert("RGB")
    large = page.resize((page.width * 5, page.height * 5), Image.Resampling.BICUBIC)
    client = TestClient(api.app)
    answers = [
        PagePanels.model_validate(client.post("/detect?direction=ltr", files={"file": ("a.jpg", content)}).json())
        for content in (stored(page, "JPEG"), stored(large, "JPEG"))
    ]
    assert (answers[1].width, answers[1].height) == large.size
    for a, b in zip(answers[0].panels, answers[1].panels, strict=True):
        assert iou(a.box, type(a.box)(*(v / 5 for v in b.box))) > 0.95


def test_a_page_is_laid_out_alike_alone_and_among_others_good_and_bad() -> None:
    detector = Detector()
    contents = [stored(make_page(seed, long_side=500).image.convert("RGB"), "JPEG") for seed in (3, 4, 5)]

    def page(content: bytes) -> Page:
        return Page("a page", lambda: content)

    alone = [next(detector.detect_ahead([page(content)])) for content in contents]
    bad = page(b"no image")
    among = list(detector.detect_ahead([bad, *(page(content) for content in contents), bad]))
    assert [type(one) for one in among] == [Reject, PagePanels, PagePanels, PagePanels, Reject]
    assert among[1:-1] == alone


def test_no_more_pages_are_begun_than_may_be_in_memory() -> None:
    begun: list[int] = []
    content = stored(np.zeros((60, 40, 3), np.uint8))

    def number(n: int) -> Callable[[], bytes]:
        return lambda: begun.append(n) or content  # type: ignore[func-returns-value]

    pages = ahead((Page("a page", number(n)) for n in range(50)), DetectorConfig(), most=3, threads=2)
    for taken in range(1, 6):
        assert isinstance(next(pages), Ready)
        assert len(begun) <= taken + 2
    pages.close()
    assert len(begun) <= 7


def test_a_page_that_fills_the_room_is_worked_alone() -> None:
    room, inside = Room(10), threading.Event()

    def large() -> None:
        with room.taken(1000):
            inside.set()

    with room.taken(4), room.taken(5):
        waiting = threading.Thread(target=large)
        waiting.start()
        time.sleep(0.05)
        assert not inside.is_set()
    assert inside.wait(5)
    waiting.join()
