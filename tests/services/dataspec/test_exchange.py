"""Folders of the research format: read in every shape it has, and nothing of a hostile one is taken."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.dataspec.api import app
from services.dataspec.folders import OldFolder, packed
from services.dataspec.zips import Limits, OpenedZip, zip_pieces
from shared.domain.dataspec import (
    DatasetLine,
    DataSpec,
    PieceOfText,
    SpecComic,
    SpecPanel,
    SpecProvenance,
)
from shared.domain.schema import Box, Direction
from shared.errors import Reject
from shared.settings import Settings
from tests.equipment.hostile_files import encrypted_zip, overlapping_zip, picture, zip_bomb, zipped

SIZE = (96, 64)
PANEL = {"panel_coords": [2, 2, 40, 60], "text": {"dialogue": ["Hi"], "narration": ["Later"], "sfx": ["Boom"]}}


def old(panels: Any = (PANEL,), image: str = "images/a/p1.jpg", **more: Any) -> bytes:
    return json.dumps({"page_image_path": image, "panels": list(panels), **more}).encode()


def folder(
    tmp_path: Path, files: dict[str, bytes], *, limits: Limits | None = None
) -> tuple[list[DataSpec], OldFolder]:
    """The pages of a zip of these files, and what was said about them."""
    file = tmp_path / "set.zip"
    file.write_bytes(zipped(files))
    with OpenedZip(file, name="set.zip", limits=limits) as archive:
        read = OldFolder(archive)
        read.scan()
        return list(read.pages(lambda _sha256, _data: None)), read


def one(tmp_path: Path, panels: Any = (PANEL,), **more: Any) -> tuple[DataSpec | None, str]:
    """The page of a folder of one, None when it was refused; and everything that was said."""
    (pages, read) = folder(tmp_path, {"dataspecs/a/p1.json": old(panels, **more), "images/a/p1.jpg": picture(*SIZE)})
    return (pages[0] if pages else None), " ".join(read.found.listed())


def test_a_research_page_becomes_an_unverified_one(tmp_path: Path) -> None:
    page, said = one(tmp_path, source_book="My Book")
    assert page is not None
    assert said == ""
    assert page.comic.model_dump() == {"key": "v0.3:My Book", "title": "My Book", "file_name": ""}
    assert (page.width, page.height, page.media_type, page.perfect, page.number) == (*SIZE, "image/jpeg", False, 0)
    assert page.provenance.layout == "import"
    panel = page.panels[0]
    assert panel.box == (2, 2, 40, 60)
    assert [(piece.kind, piece.text, piece.source) for piece in panel.literal] == [
        ("dialogue", "Hi", "import"), ("narration", "Later", "import"), ("sound", "Boom", "import"),
    ]  # fmt: skip
    assert (panel.verdict, panel.reason) == ("unverified", "imported; nobody has verified whose text this is")


@pytest.mark.parametrize(
    ("panel", "box", "doubt"),
    [
        ({"bbox": [2, 2, 40, 60]}, (2, 2, 40, 60), ""),
        ({"box": [2.5, 2, 40, 60]}, (2.5, 2, 40, 60), ""),
        ({"rect": [0.0, 0.0, 0.5, 1.0]}, (0, 0, 48, 64), "shares of the page"),
        ({"panel_coords": [50, 10, 90, 60]}, (50, 10, 40, 50), "[x1, y1, x2, y2]"),
        ({"polygon": [[2, 2], [40, 4], [38, 60]]}, (2, 2, 38, 58), "around its polygon"),
        ({"segmentation": [[2, 2, 40, 4, 38, 60]]}, (2, 2, 38, 58), "around its segmentation"),
        ({"panel_coords": [-4, 2, 44, 60]}, (0, 2, 40, 60), "cut off at the page's edge"),
    ],
)
def test_boxes_are_read_in_every_shape_and_doubts_are_said(
    tmp_path: Path, panel: dict[str, Any], box: tuple[float, ...], doubt: str
) -> None:
    page, said = one(tmp_path, [panel])
    assert page is not None
    assert page.panels[0].box == pytest.approx(box)
    assert (doubt in said) if doubt else said == ""


@pytest.mark.parametrize(
    "box",
    [None, "x", [1, 2, 3], [1, 2, 3, "4"], [500, 500, 20, 20], [2, 2, 0, 60], [50, 10, 300, 60], [True, 2, 3, 4], 7],
)
def test_a_page_with_a_panel_nobody_can_place_is_refused(tmp_path: Path, box: Any) -> None:
    page, said = one(tmp_path, [PANEL, {"panel_coords": box}])
    assert page is None
    assert said == "Not imported: dataspecs/a/p1.json has no usable box for panel 2"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello", [("other", "Hello")]),
        (["Hello", "", None, "you"], [("other", "Hello"), ("other", "you")]),
        ({"dialogue": "Hello", "odd": ["x"], "sfx": None}, [("dialogue", "Hello"), ("other", "x")]),
        (None, []),
        (12, []),
    ],
)
def test_text_is_read_in_every_shape(tmp_path: Path, text: Any, pieces: list[tuple[str, str]]) -> None:
    page, _ = one(tmp_path, [{"bbox": [2, 2, 40, 60], "text": text}])
    assert page is not None
    assert [(piece.kind, piece.text) for piece in page.panels[0].literal] == pieces


def test_panels_come_in_reading_order(tmp_path: Path) -> None:
    page, _ = one(tmp_path, [{"bbox": [50, 2, 40, 60], "text": "second"}, {"bbox": [2, 8, 40, 54], "text": "first"}])
    assert page is not None
    assert [panel.text for panel in page.panels] == ["first", "second"]


@pytest.mark.parametrize("key", ["image_path", "image", "IMAGE_PATH"])
def test_images_have_many_names(tmp_path: Path, key: str) -> None:
    content = json.dumps({key: r"C:\work\images\a\p1.jpg", "panels": [PANEL]}).encode()
    pages, read = folder(tmp_path, {"x/p1.json": content, "images/a/p1.jpg": picture(*SIZE)})
    assert len(pages) == 1
    assert "images/a/p1.jpg is taken for it" in read.found.listed()[0]


def test_an_image_is_never_found_by_its_bare_name(tmp_path: Path) -> None:
    files = {"d/1.json": old(image="p1.jpg"), "d/2.json": old(image="images/a/p2.jpg"), "images/a/p2.jpg": picture()}
    pages, read = folder(tmp_path, {**files, "images/a/p1.jpg": picture(seed=4)})
    assert [page.name for page in pages] == ["p2.jpg"]
    assert read.found.refused == ["d/1.json names the image p1.jpg, which is not in the archive"]
    twice = {"x/a/p1.jpg": picture(), "y/a/p1.jpg": picture(), "d/1.json": old(image="/other/a/p1.jpg")}
    with pytest.raises(Reject, match="fits several images"):
        folder(tmp_path, twice)


def test_what_cannot_be_used_is_refused_with_its_reason(tmp_path: Path) -> None:
    files = {
        "1.json": b"{not json", "2.json": b"[" * 100_000, "3.json": b"[]", "4.json": b'{"panels": []}',
        "5.json": old(panels=[7]), "8.json": old(panels=[PANEL] * 101),
        "6.json": old(image="images/a/cut.jpg"), "7.json": old(image="images/a/text.jpg"),
        "good.json": old(), "images/a/p1.jpg": picture(*SIZE), "images/a/cut.jpg": picture(400, 300)[:-300],
        "images/a/text.jpg": b"<html>", "notes.txt": b"x",
    }  # fmt: skip
    pages, read = folder(tmp_path, files)
    assert len(pages) == 1
    told = dict(refusal.split(" ", 1) for refusal in read.found.refused)
    assert set(told) == {f"{k}.json" for k in range(1, 9)}
    assert told["2.json"] == "is no JSON that can be read"
    assert told["4.json"].startswith("names no image")
    assert "damaged or cut off" in told["6.json"]
    assert "is no JPEG" in told["7.json"]
    assert any("notes.txt is not train.txt" in line for line in read.found.listed())


def spec() -> DataSpec:
    """A page that uses everything a DataSpec can say."""
    data = picture(*SIZE)
    from hashlib import sha256

    pieces = [
        PieceOfText(kind="thought", text="Où? “je”\n…", source="vlm", confidence=0.25, speaker="Ann"),
        PieceOfText(kind="sound", text="Boom", source="ocr", confidence=0.9),
    ]
    panel = SpecPanel(
        box=Box(1.25, 2.5, 40.125, 55), score=0.75, literal=pieces, descriptive="A girl.", characters=["Ann"],
        verdict="unverified", confidence=0.5, reason="doubt",
    )  # fmt: skip
    return DataSpec(
        comic=SpecComic(key="k" * 64, title="../Über | comic", file_name="a.cbz"), number=3, name="p4.jpg",
        image_sha256=sha256(data).hexdigest(), media_type="image/jpeg", width=SIZE[0], height=SIZE[1],
        direction=Direction.RTL, kind="panels", panels=[panel], perfect=False, equal_counts=True,
        provenance=SpecProvenance(layout="person", detector="d", ocr="o", vlm="v"),
    )  # fmt: skip


def exported(page: DataSpec) -> dict[str, bytes]:
    lines = [DatasetLine(split="held_out", page=page)]
    archive = b"".join(zip_pieces(packed(lines, lambda _sha256: picture(*SIZE))))
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def test_a_page_comes_back_as_it_went(tmp_path: Path) -> None:
    files = exported(spec())
    assert all(name.isascii() and ".." not in name for name in files)
    pages, read = folder(tmp_path, files)
    assert pages == [spec()]
    assert read.splits == {"k" * 64: {"held_out"}}
    assert read.found.listed() == []


def test_an_edited_export_counts_as_it_was_edited(tmp_path: Path) -> None:
    files = exported(spec())
    name = next(name for name in files if name.endswith(".json"))
    content = json.loads(files[name])
    content["panels"][0]["text"]["dialogue"] = ["Corrected"]
    pages, read = folder(tmp_path, {**files, name: json.dumps(content).encode()})
    assert [piece.text for piece in pages[0].panels[0].literal] == ["Corrected", "Boom"]
    assert pages[0].provenance.layout == "import"
    assert "was edited after its export" in read.found.listed()[0]
    swapped = {**files, next(name for name in files if name.endswith(".jpg")): picture(*SIZE, seed=9)}
    _, read = folder(tmp_path, swapped)
    assert "another image" in read.found.refused[0]


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "climbing": (lambda: zipped({"../../x.json": old(), "images/a/p1.jpg": picture()}), "points outside"),
    "climbing backwards": (lambda: zipped({"..\\x.json": old()}), "points outside"),
    "absolute": (lambda: zipped({"/etc/x.json": old()}), "points outside"),
    "a drive": (lambda: zipped({"C:/x.json": old()}), "points outside"),
    "bomb": (zip_bomb, "zip bomb"),
    "overlapping": (overlapping_zip, "overlap"),
    "locked": (encrypted_zip, "password"),
    "twice": (lambda: zipped([("a.json", old()), ("a.json", old())]), "twice"),
    "nothing": (bytes, "no zip"),
    "cut off": (lambda: zipped({"a.json": old(), "images/a/p1.jpg": picture()})[:-60], "no zip"),
    "no pages": (lambda: zipped({"readme.md": b"x"}), "holds no page of DataSpec v0.3"),
    "wrong JSON": (lambda: zipped({"a.json": b"{"}), "is no JSON that can be read"),
}


@pytest.fixture
def api(configured: Settings) -> Iterator[TestClient]:
    assert configured.database_url
    with TestClient(app) as client:
        yield client


@pytest.mark.filterwarnings("ignore:Duplicate name")  # of the zip that is made on purpose
def test_hostile_archives_are_refused_and_leave_nothing(api: TestClient, configured: Settings) -> None:
    for name, (make, reason) in HOSTILE.items():
        answer = api.post("/datasets/import", params={"filename": f"{name}.zip"}, content=make())
        assert answer.status_code in (413, 422), name
        assert reason in answer.json()["detail"], (name, answer.text)
    assert api.get("/datasets").json() == []
    assert [path for path in (configured.home / "storage").rglob("*") if path.is_file()] == []


def test_a_split_that_tears_a_comic_apart_is_made_anew(api: TestClient) -> None:
    files = {f"images/{book}/p{k}.jpg": picture(seed=10 * ord(book) + k) for book in "abc" for k in (1, 2)}
    files |= {f"d/{book}/p{k}.json": old(image=f"images/{book}/p{k}.jpg") for book in "abc" for k in (1, 2)}
    torn = {"train.txt": b"d/a/p1.json\nd/b/p1.json\nd/b/p2.json\n", "held_out.txt": b"d/a/p2.json\n"}
    answer = api.post("/datasets/import", files={"file": ("x.zip", zipped({**files, **torn}))})
    assert answer.status_code == 201, answer.text
    assert any("a new split by comics was made" in warning for warning in answer.json()["warnings"])
    assert answer.json()["counts"]["held_out_comics"] == 1
    kept = {
        "train.txt": b"d/a/p1.json\nd/a/p2.json\n",
        "held_out.txt": b"d/b/p1.json\nd/b/p2.json\nd/c/p1.json\nd/c/p2.json",
    }
    # A whole comic whose images cannot be read does not disturb the split of the others.
    broken = {name: b"x" if name.startswith("images/c/") else data for name, data in files.items()}
    for images, pages in ((files, 4), (broken, 2)):
        answer = api.post("/datasets/import", files={"file": ("x.zip", zipped({**images, **kept}))})
        assert answer.json()["counts"]["held_out_pages"] == pages


def test_an_import_over_the_upload_limit_is_refused(
    api: TestClient, configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.http.app import current_settings

    monkeypatch.setitem(
        app.dependency_overrides, current_settings, lambda: configured.model_copy(update={"upload_limit": 99})
    )
    answer = api.post("/datasets/import", files={"file": ("x.zip", bytes(200))})
    assert answer.status_code == 413
    assert "over the limit of 99 bytes" in answer.json()["detail"]


def test_limits_hold_for_entries_and_totals(tmp_path: Path) -> None:
    files = {"a.json": old(), "images/a/p1.jpg": picture()}
    for limits, reason in ((Limits(entries=1), "more than 1 files"), (Limits(total_bytes=10), "would unpack to")):
        with pytest.raises(Reject, match=reason):
            folder(tmp_path, files, limits=limits)
