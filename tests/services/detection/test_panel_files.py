import io
from pathlib import Path

import pytest
from PIL import Image

from services.cli import main
from services.detection import panel_files
from services.detection.exchange.formats import opened
from services.detection.exchange.stated import layout_of
from services.detection.panel_files import detect_folder
from services.training.generators.pages import make_comic
from shared.domain.schema import Direction
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
    found = detect_folder(tmp_path, direction="auto", progress=lambda done, of: calls.append((done, of)))
    panels, unread = found.panels, found.unread
    assert list(panels) == ["page2.jpg", "page10.png"]
    assert len(panels["page10.png"]) > 1
    assert list(unread) == ["page3.jpg", "page4.png"]
    assert all(name in reason for name, reason in unread.items())
    assert str(tmp_path) not in "".join(unread.values())
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_folders_below_are_read_too_each_in_its_own_direction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = stored(make_comic(5, pages=2, width=500, height=700)[1].image)
    for name in ("b c/page 10.png", "b c/page 2.png", "漫画/頁１.png", "cover.png", "__MACOSX/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(page)
    monkeypatch.setattr(
        panel_files, "guess_direction", lambda pages: Direction.RTL if len(list(pages)) == 2 else Direction.LTR
    )
    found = detect_folder(tmp_path)
    assert list(found.panels) == ["cover.png", "b c/page 2.png", "b c/page 10.png", "漫画/頁１.png"]
    assert [layout.direction for layout in found.pages.values()] == ["ltr", "rtl", "rtl", "ltr"]


def test_what_is_written_as_coco_is_read_back_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "comic"
    folder.mkdir()
    (folder / "page1.png").write_bytes(stored(make_comic(5, pages=2, width=500, height=700)[1].image))
    found = detect_folder(folder)
    (tmp_path / "boxes.json").write_bytes(b"".join(found.coco()))
    file = opened(tmp_path / "boxes.json", name="boxes.json")
    [image] = file.images()
    assert (image.path, image.sha256) == ("page1.png", found.digests["page1.png"])
    assert image.direction is not None
    page = found.pages["page1.png"]
    again = layout_of(
        image, file.objects({image.key})[image.key], width=500, height=700, direction=image.direction
    )  # fmt: skip
    assert again == page
    assert len(page.panels) > 1


def test_the_command_says_what_is_wrong_before_it_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.png").write_bytes(stored(Image.new("L", (300, 400), 255)))
    here = str(tmp_path)
    for wrong, said in (
        (["--out", f"{here}/absent/panels.json"], "is no folder"),
        (["--out", here], "name a file"),
        (["--out", f"{here}/p.json", "--coco", f"{here}/absent/c.json"], "is no folder"),
        (["--out", f"{here}/p.json", "--weights", here], "is no detector"),
    ):
        assert main(["detect", here, *wrong]) == 1
        assert said in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.png"]


def test_nothing_is_written_by_a_command_that_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(panel_files, "Detector", stopped)
    (tmp_path / "page.png").write_bytes(b"")
    (tmp_path / "panels.json").write_text("{}")
    assert main(["detect", str(tmp_path), "--out", str(tmp_path / "panels.json")]) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert (tmp_path / "panels.json").read_text() == "{}"


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Reject, match="no page images"):
        detect_folder(tmp_path)
    with pytest.raises(Reject, match="no folder"):
        detect_folder(tmp_path / "absent")
