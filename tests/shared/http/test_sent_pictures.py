"""Pictures that come with a query are decoded elsewhere: what they do to a decoder they do to no service."""

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from starlette.datastructures import UploadFile

from services.detection import api as detection
from services.search import api as search
from shared.domain.pictures import Picture, decode
from shared.errors import Reject, TooLarge
from shared.http import sent_pictures
from shared.http.app import create_app
from shared.http.sent_pictures import sent_picture
from shared.settings import Settings
from tests.equipment.hostile_files import picture


def sent(configured: Settings, content: bytes, **limits: int) -> Picture:
    file = UploadFile(io.BytesIO(content), filename="a.jpg")
    return asyncio.run(sent_picture(configured, file, **limits))


def stored(size: tuple[int, int], kind: str, **options: object) -> bytes:
    """A picture whose left half is black."""
    image = Image.new("RGB", size, "white")
    image.paste("black", (0, 0, size[0] // 2, size[1]))
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_a_picture_arrives_as_displayed_and_smaller_only_where_that_will_do(tmp_path: Path) -> None:
    configured = Settings(home=tmp_path)
    content = picture(300, 200)
    assert np.array_equal(sent(configured, content), decode(content))
    assert np.array_equal(sent(configured, content, enough=300 * 200), decode(content))
    assert sent(configured, stored((3000, 1000), "PNG"), enough=30_000).shape == (100, 300, 3)
    assert sent(configured, stored((3000, 1000), "PNG"), enough=200_000).shape == (334, 1000, 3)
    turned = Image.Exif()
    turned[0x0112] = 6
    small = sent(configured, stored((3000, 1000), "JPEG", exif=turned), enough=30_000)
    assert small.shape == (375, 125, 3), "by eighths"
    assert (small[:180].max(), small[200:].min()) == (0, 255)


def test_a_picture_over_a_limit_or_damaged_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = Settings(home=tmp_path)
    with pytest.raises(TooLarge, match=r"a\.jpg has 300 × 200 pixels; make it smaller than 59,999"):
        sent(configured, picture(300, 200), most_pixels=59_999)
    for content in (b"", b"no image", picture(300, 200)[:2000]):
        with pytest.raises(Reject, match=r"a\.jpg is "):
            sent(configured, content)
    monkeypatch.setattr(sent_pictures, "MOST_BYTES", 1000)
    with pytest.raises(TooLarge, match=r"a\.jpg is over the limit of 1,000 bytes"):
        sent(configured, picture(300, 200))


@pytest.mark.usefixtures("configured")
def test_a_decoder_that_crashes_over_a_query_takes_no_service_along(monkeypatch: pytest.MonkeyPatch) -> None:
    api = TestClient(create_app("both", [detection.router, search.router]))
    wide = stored((8001, 5000), "PNG")
    assert api.post("/detect", files={"file": ("w.png", wide)}).status_code == 413, "over the limit of /detect"
    monkeypatch.setattr(sent_pictures, "DECODE", "tests.equipment.falling:crashes")
    for address, field in (("/detect", "file"), ("/search", "image")):
        answer = api.post(address, files={field: ("a.jpg", picture(300, 200))})
        assert answer.status_code == 422
        assert "a.jpg cannot be read: it makes the decoder crash (SIGSEGV)" in answer.json()["detail"]
