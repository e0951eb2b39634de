import io
from pathlib import Path

import pytest
from PIL import Image

from services.detection.panel_files import detect_folder
from services.training.generators.pages import make_comic
from shared.errors import Reject


def stored(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_every_image_is_answered_and_unreadable_ones_are_named_apart(tmp_path: Path) -> None:
    page = make_comic(5, pages=2, width=500, height=700)[1]
    (tmp_path / "page10.png").write_bytes(stored(page.image))
    (tmp_path / "page2.jpg").write_bytes(stored(page.image, "JPEG"))
    (tmp_path / "page3.jpg").write_bytes(stored(page.image, "JPEG")[:4000])
    (tmp_path / "page4.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no page")
    calls: list[tuple[int, int]] = []
    panels, unread = detect_folder(tmp_path, direction="auto", progress=lambda done, of: calls.append((done, of)))
    assert list(panels) == ["page2.jpg", "page10.png"]
    assert len(panels["page10.png"]) > 1
    assert list(unread) == ["page3.jpg", "page4.png"]
    assert all(name in reason for name, reason in unread.items())
    assert str(tmp_path) not in "".join(unread.values())
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Reject, match="no page images"):
        detect_folder(tmp_path)
    with pytest.raises(Reject, match="no folder"):
        detect_folder(tmp_path / "absent")
