"""Pictures over REST: named by their content, sent in part, drawn at few sizes, by children that may die."""

import io
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from services.standalone import create_standalone
from shared.http import drawing
from shared.http.client import ApiError, Client
from shared.http.drawing import drawing_of
from shared.settings import Settings, settings
from shared.store.blobs import put_blob, storage_of
from shared.store.db import rows, unit_of_work
from shared.store.page_images import page_image
from tests.equipment.api import running_api
from tests.equipment.hostile_files import picture, zipped
from tests.equipment.rows import add_pages, execute

SIZE = (900, 600)
FOREVER, ASK_AGAIN = "private, max-age=31536000, immutable", "private, no-cache"


@pytest.fixture
def api(configured: Settings) -> TestClient:
    assert configured.database_url
    return TestClient(create_standalone())


def add_image(configured: Settings, content: bytes, size: tuple[int, int] = SIZE) -> tuple[int, str]:
    """A page with this image; its id and the image's hash."""
    digest = sha256(content).hexdigest()
    put_blob(storage_of(configured), digest, content)
    [page] = add_pages(str(configured.database_url), 1)
    execute(
        str(configured.database_url),
        "UPDATE page SET image_sha256 = :sha, width = :w, height = :h WHERE id = :page",
        sha=digest, w=size[0], h=size[1], page=page,
    )  # fmt: skip
    return page, digest


def add_panel(configured: Settings, page: int) -> int:
    url = str(configured.database_url)
    execute(
        url,
        "WITH l AS (INSERT INTO layout (page_id, source, kind, direction, objects) "
        "  VALUES (:page, 'model', 'panels', 'ltr', '[]') RETURNING id) "
        "INSERT INTO panel (layout_id, position, x, y, w, h, score) SELECT id, 0, 300, 150, 450, 300, 1 FROM l",
        page=page,
    )
    with unit_of_work(url) as connection:
        return int(rows(connection, "SELECT max(id) AS id FROM panel")[0]["id"])


def opened(answer: Any) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def test_an_image_is_kept_for_ever_under_its_hash_and_asked_about_under_its_page(
    api: TestClient, configured: Settings
) -> None:
    content = picture(*SIZE)
    page, digest = add_image(configured, content)
    for address, kept in ((f"/images/{digest}", FOREVER), (f"/images/{page}", ASK_AGAIN)):
        answer = api.get(address)
        assert answer.content == content
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == kept
        assert answer.headers["etag"] == f'"{digest}"'
        for known in (f'"{digest}"', f'"other", W/"{digest}"', "*"):
            again = api.get(address, headers={"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert (again.headers["etag"], again.headers["cache-control"]) == (f'"{digest}"', kept)
        assert api.get(address, headers={"If-None-Match": '"other"'}).status_code == 200
    assert api.get(f"/images/{page}").headers["content-location"] == f"/images/{digest}"


def test_only_images_of_pages_are_served(api: TestClient, configured: Settings) -> None:
    stray = picture(seed=9)
    put_blob(storage_of(configured), sha256(stray).hexdigest(), stray)
    assert api.get(f"/images/{sha256(stray).hexdigest()}").status_code == 404
    assert api.get("/images/77").status_code == 404
    for nothing in ("0", "x", "A" * 64, "a" * 63, "99999999999999999999999"):
        assert api.get(f"/images/{nothing}").status_code in (404, 422), nothing
    [unreadable] = add_pages(str(configured.database_url), 1)
    execute(
        str(configured.database_url),
        "UPDATE page SET state = 'unreadable', error = 'is cut off', image_sha256 = NULL WHERE id = :id",
        id=unreadable,
    )
    answer = api.get(f"/images/{unreadable}")
    assert answer.status_code == 404
    assert "is cut off" in answer.json()["detail"]


def test_verbatim_bytes_come_in_ranges(api: TestClient, configured: Settings) -> None:
    content = picture(*SIZE)
    _, digest = add_image(configured, content)
    address, size = f"/images/{digest}", len(content)
    for asked, start, stop in (
        ("bytes=0-9", 0, 10), ("bytes=10-", 10, size), ("bytes=-7", size - 7, size), (f"bytes=5-{size * 2}", 5, size),
        (f"bytes=-{size * 2}", 0, size),
    ):  # fmt: skip
        part = api.get(address, headers={"Range": asked, "If-Range": f'"{digest}"'})
        assert part.status_code == 206, asked
        assert part.content == content[start:stop]
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
    for beyond in (f"bytes={size}-", "bytes=-0"):
        refused = api.get(address, headers={"Range": beyond})
        assert refused.status_code == 416
        assert refused.headers["content-range"] == f"bytes */{size}"
    for whole in ("bytes=9-3", "bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=a-b", "bytes=" + "9" * 5000 + "-"):
        answer = api.get(address, headers={"Range": whole})
        assert (answer.status_code, answer.content) == (200, content), whole
    changed = api.get(address, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (changed.status_code, changed.content) == (200, content)
    assert changed.headers["accept-ranges"] == "bytes"


def test_pages_are_drawn_at_the_steps_of_a_ladder_and_only_once(api: TestClient, configured: Settings) -> None:
    _, digest = add_image(configured, picture(*SIZE))
    address = f"/images/{digest}"
    small = api.get(f"{address}?width=450")
    assert (opened(small).format, opened(small).size) == ("WEBP", (480, 320))
    assert small.headers["content-type"] == "image/webp"
    assert small.headers["cache-control"] == FOREVER
    jpeg = api.get(f"{address}?width=480&format=jpeg")
    assert (opened(jpeg).format, opened(jpeg).size) == ("JPEG", (480, 320))
    assert opened(api.get(f"{address}?format=webp")).size == SIZE
    assert opened(api.get(f"{address}?width=4096")).size == SIZE
    assert api.get(f"{address}?width=480").headers["etag"] == small.headers["etag"] != jpeg.headers["etag"]
    assert api.get(f"{address}?width=470", headers={"If-None-Match": small.headers["etag"]}).status_code == 304
    for wrong in ("width=15", "width=4097", "width=x", "format=png"):
        assert api.get(f"{address}?{wrong}").status_code == 422
    storage_of(configured).delete_folder("blobs")
    assert api.get(f"{address}?width=480").content == small.content, "kept in the cache"


def test_a_panel_is_cut_out_and_kept_for_ever_under_the_address_it_names(api: TestClient, configured: Settings) -> None:
    page, digest = add_image(configured, picture(*SIZE))
    panel = add_panel(configured, page)
    named = api.get(f"/panels/{panel}").json()["image"]
    whole = api.get(named)
    assert (opened(whole).format, opened(whole).size) == ("WEBP", (450, 300))
    assert whole.headers["cache-control"] == FOREVER
    plain = api.get(f"/panels/{panel}/image")
    assert (plain.content, plain.headers["cache-control"]) == (whole.content, ASK_AGAIN)
    etag = plain.headers["etag"]
    assert etag.startswith(f'"{digest}-300.150.750.450-450x300-')
    assert api.get(f"/panels/{panel}/image", headers={"If-None-Match": etag}).status_code == 304
    small = api.get(f"{named}&width=100&format=jpeg")
    assert (opened(small).format, opened(small).size) == ("JPEG", (120, 80))
    assert small.headers["cache-control"] == FOREVER
    execute(str(configured.database_url), "UPDATE panel SET x = 301 WHERE id = :id", id=panel)
    moved = api.get(named)
    assert moved.headers["cache-control"] == ASK_AGAIN, "the address named another picture"
    assert moved.headers["etag"] != etag
    assert api.get("/panels/77/image").status_code == 404


def test_pictures_are_drawn_from_originals_that_stay_where_they_are(
    api: TestClient, configured: Settings, tmp_path: Path
) -> None:
    original, content = tmp_path / "book.cbz", picture(*SIZE)
    original.write_bytes(zipped({"p1.jpg": content}))
    [page] = add_pages(str(configured.database_url), 1)
    digest = sha256(content).hexdigest()
    execute(
        str(configured.database_url),
        "WITH c AS (UPDATE comic SET reference = :path, reference_mtime_ns = :mtime, size = :size "
        "  WHERE id = (SELECT comic_id FROM page WHERE id = :page)) "
        "UPDATE page SET image_sha256 = :sha, width = :w, height = :h WHERE id = :page",
        path=str(original), mtime=original.stat().st_mtime_ns, size=original.stat().st_size,
        page=page, sha=digest, w=SIZE[0], h=SIZE[1],
    )  # fmt: skip
    address = f"/images/{digest}"
    assert opened(api.get(f"{address}?width=120")).size == (120, 80)
    assert api.get(address, headers={"Range": "bytes=5-9"}).content == content[5:10]
    original.unlink()
    shutil.rmtree(configured.home / "cache")
    gone = api.get(f"{address}?width=120")
    assert gone.status_code == 404
    assert "The original of made for a test" in gone.json()["detail"]
    assert str(tmp_path) not in gone.text


def test_who_asks_for_the_head_of_a_picture_learns_all_but_its_bytes(configured: Settings) -> None:
    page, digest = add_image(configured, picture(*SIZE))
    panel = add_panel(configured, page)
    with running_api(configured) as address, httpx.Client(base_url=address) as http:
        for path in (f"/images/{digest}", f"/images/{page}", f"/images/{page}?width=64", f"/panels/{panel}/image"):
            whole, head = http.get(path), http.head(path)
            assert (head.status_code, head.content) == (200, b"")
            for name in ("content-length", "content-type", "etag", "cache-control"):
                assert head.headers[name] == whole.headers[name], (path, name)
        assert http.head("/images/77").status_code == 404


def test_the_client_asks_for_a_width_behind_any_address(configured: Settings) -> None:
    page, digest = add_image(configured, picture(*SIZE))
    panel = add_panel(configured, page)
    with running_api(configured) as address, Client(address) as client:
        [shown] = client.pages(next(client.comics()).id)
        assert shown.image == f"/images/{digest}"
        assert client.picture(shown.image) == picture(*SIZE)
        small = client.picture(client.panel(panel).image, width=120, form="jpeg")
        assert Image.open(io.BytesIO(small)).size == (120, 80)
        with pytest.raises(ApiError, match="damaged"):
            client.picture(f"/images/{add_image(configured, picture(*SIZE)[:2000])[1]}", width=64)


def test_a_decoder_that_crashes_is_told_and_takes_nothing_along(
    api: TestClient, configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, digest = add_image(configured, picture(*SIZE))
    with monkeypatch.context() as broken:
        broken.setattr(drawing, "DRAW", "tests.equipment.falling:crashes")
        answer = api.get(f"/images/{digest}?width=64")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "0.jpg cannot be drawn: it makes the decoder crash (SIGSEGV)."
    assert api.get(f"/images/{digest}?width=64").status_code == 422, "no second child is sent after it"
    assert opened(api.get(f"/images/{digest}?width=120")).width == 120
    assert api.get(f"/images/{digest}").status_code == 200
    later = time.monotonic() + drawing.FORGIVEN
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert opened(api.get(f"/images/{digest}?width=64")).width == 64, "perhaps the machine was to blame"


def test_a_picture_that_took_too_long_once_is_tried_again(
    configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMICS_DECODER_SECONDS", "2")
    settings.cache_clear()
    api = TestClient(create_standalone())
    _, digest = add_image(configured, picture(*SIZE))
    with monkeypatch.context() as busy:
        busy.setattr(drawing, "DRAW", "tests.equipment.falling:hangs")
        assert "takes longer than 2 s" in api.get(f"/images/{digest}?width=64").json()["detail"]
    assert opened(api.get(f"/images/{digest}?width=64")).width == 64


def test_nothing_is_drawn_by_way_of_the_folder_for_temporary_files(
    api: TestClient, configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(configured.home / "as good as full"))
    _, digest = add_image(configured, picture(*SIZE))
    assert opened(api.get(f"/images/{digest}?width=64")).width == 64


def test_a_bomb_takes_no_more_memory_than_a_child_is_given(
    configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMICS_DECODER_MEMORY", str(400 << 20))
    settings.cache_clear()
    api = TestClient(create_standalone())
    side = 9_000  # 9,000² pixels of three bytes are 243 MB, twice while they are converted
    buffer = io.BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "PNG")
    _, digest = add_image(configured, buffer.getvalue(), (side, side))
    answer = api.get(f"/images/{digest}?width=64")
    assert answer.status_code == 422
    assert "needs more memory than 400 MB" in answer.json()["detail"]


def test_only_so_many_pictures_wait_and_the_rest_are_told_when_to_ask_again(
    api: TestClient, configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "MOST_WAITING", 2)
    gate, entered = threading.Event(), threading.Semaphore(0)

    def held(configured: Settings, digest: str) -> bytes:
        entered.release()
        assert gate.wait(20)
        return page_image(configured, digest)

    monkeypatch.setattr(drawing, "page_image", held)
    _, digest = add_image(configured, picture(*SIZE))
    address = f"/images/{digest}?width="
    with ThreadPoolExecutor(4) as browsers:
        waiting = [browsers.submit(api.get, f"{address}{width}") for width in (64, 64, 120)]
        entered.acquire(timeout=20)
        while len(drawing_of(configured).drawers) < 2:
            threading.Event().wait(0.01)
        refused = api.get(f"{address}240")
        answered = api.get("/comics")
        whole = browsers.submit(api.get, f"/images/{digest}")
        gate.set()
        sizes = [opened(one.result()).width for one in waiting]
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert answered.status_code == 200, "pictures that wait keep nobody else"
    assert whole.result().status_code == 200
    assert sizes == [64, 64, 120]
    assert opened(api.get(f"{address}240")).width == 240
