"""Panels in other people's formats: read, matched with pages, in force below a person's, and written back the same."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from PIL import Image

from services.cli import main
from services.dataspec.tasks import align
from services.detection.api import app
from services.detection.exchange.formats import opened
from services.detection.exchange.mapping import Told, read_mapping
from services.detection.exchange.matching import KnownPage, PageFinder
from services.detection.exchange.stated import StatedImage, StatedObjects, layout_of
from shared.domain.marks import mark_of
from shared.domain.panel_exchange import PanelImport
from shared.domain.pipeline import STAGES
from shared.domain.schema import Box, DetectedObject, Direction, PagePanels
from shared.errors import Reject
from shared.settings import Settings
from shared.store.active import activate
from shared.store.db import row, rows, unit_of_work
from shared.store.layouts import add_layout
from shared.store.layouts import layout_of as stored_layout
from shared.work.stages import run_batch
from tests.equipment.api import running_api
from tests.equipment.rows import add_pages, execute, job_states

LEFT, RIGHT, BELOW = [0, 0, 45, 70], [50, 0, 50, 70], [0, 75, 100, 75]


def coco(
    *images: Mapping[str, Any], panels: Sequence[Sequence[Any]] = (BELOW, RIGHT, LEFT), **more: Any
) -> dict[str, Any]:
    """The research format: the same integer boxes on every image, ids of images as texts, the score always 1."""
    annotations = [
        {"id": k, "image_id": image["id"], "category_id": 1, "bbox": box, "area": 1, "iscrowd": 0, "score": 1.0}
        for image in images
        for k, box in enumerate(panels)
    ]
    return {"images": list(images), "annotations": annotations, "categories": [{"id": 1, "name": "panel"}], **more}


def research_image(comic: str, name: str, *, drive: str = "E:\\Calibre_extracted") -> dict[str, Any]:
    folder = f"{drive}\\{comic}"
    return {"id": f"{folder}_{name}", "file_name": f"{folder}\\{name}", "width": 100, "height": 150}


def written(folder: Path, content: object, name: str = "predictions.json") -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def read(file: Path) -> dict[str, list[tuple[str, Box, float]]]:
    """Everything that a file states, by image."""
    stated = opened(file, name=file.name)
    keys = [image.key for image in stated.images()]
    found = stated.objects(set(keys))
    return {key: [(o.label, o.box, o.score) for o, _ in found.get(key, StatedObjects())] for key in keys}


def test_every_format_is_told_by_its_beginning_and_read(tmp_path: Path) -> None:
    image = research_image("Tales 01", "p1.jpg")
    many = coco(image, panels=[LEFT])
    many["annotations"] += [
        {"image_id": image["id"], "category_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5},
        {"image_id": "another", "category_id": 1, "bbox": [1, 2, 3, 4]},
    ]
    many["categories"].append({"id": 7, "name": "Face"})
    assert read(written(tmp_path, many)) == {
        image["id"]: [("panel", Box(0, 0, 45, 70), 1.0), ("face", Box(1, 2, 3, 4), 0.5)]
    }
    pages = [
        {"canonical_id": "Tales 01/p1", "image_size_wh": [100, 150],
         "detections": [{"label": "text", "score": 0.75, "box_xyxy": [1, 2, 11, 22]}]},
        {"canonical_id": "Tales 01/p2", "error": "out of memory"},
    ]  # fmt: skip
    assert read(written(tmp_path, pages))["Tales 01/p1"] == [("text", Box(1, 2, 10, 20), 0.75)]
    kumiko = [{"filename": "p1.jpg", "size": [100, 150], "numbering": "rtl", "panels": [LEFT], "processing_time": 1}]
    assert read(written(tmp_path, kumiko)) == {"p1.jpg": [("panel", Box(0, 0, 45, 70), 1.0)]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no whole JSON"),
        ("{", "no whole JSON"),
        ('{"images": [', "no whole JSON"),
        ("[]", "no pages"),
        ("{}", "no pages"),
        ("[1, 2]", "no file of panels"),
        ('{"images": [3]}', "is no object"),
        ('{"images": [], "annotations": [{}]}', "no images"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(Reject, match=said) as refused:
        read(written(tmp_path, content))
    assert str(tmp_path) not in str(refused.value)


def test_what_cannot_be_used_is_counted_by_its_reason(tmp_path: Path) -> None:
    image = {"id": 3, "file_name": "a.jpg", "width": 100, "height": 150}
    boxes: list[Any] = [[0, 0, float("nan"), 9], [0, 0, -5, 9], [0, 0, 1e300, 9], [1, 2, 3], "box", None, LEFT]
    content = coco(image, {"id": True}, {"id": [1]}, panels=boxes)
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] == 3]
    content["annotations"] += [
        {"image_id": 3, "category_id": 9, "bbox": LEFT},
        {"image_id": 3, "category_id": "1", "bbox": LEFT},
        {"image_id": 3, "category_id": 1, "bbox": LEFT, "score": 1.5},
        {"image_id": None, "category_id": 1, "bbox": LEFT},
    ]
    stated = opened(written(tmp_path, content), name="x.json")
    assert [(found.key, found.path) for found in stated.images()] == [("3", "a.jpg")]
    assert len(list(stated.objects({"3"})["3"])) == 1
    assert dict(stated.left_out) == {
        "image without an id that is a text or a whole number": 2,
        "annotation that has no usable box": 6,
        "annotation of category 9": 1,
        "annotation of category 1": 1,
        "annotation that has no usable score": 1,
        "annotation of no image": 1,
    }
    twice = opened(written(tmp_path, coco(image, image)), name="x.json")
    assert [found.error for found in twice.images()] == ["two images of the file have its id"]


IMAGE = StatedImage(key="a", path="a.jpg", width=100, height=150)


def stated(*boxes: Sequence[float], score: float = 1.0, places: Sequence[int] = ()) -> StatedObjects:
    seen = StatedObjects()
    for k, box in enumerate(boxes):
        seen.add("panel", Box(*box), score, places[k] if places else -1)
    return seen


def laid(image: StatedImage, seen: StatedObjects, way: Direction = Direction.LTR) -> list[list[float]]:
    layout = layout_of(image, seen, width=100, height=150, direction=way)
    return [list(panel.box) for panel in layout.panels]


def test_panels_come_in_our_order_unless_the_file_has_one() -> None:
    seen = stated(BELOW, RIGHT, LEFT)
    assert laid(IMAGE, seen) == [LEFT, RIGHT, BELOW]
    assert laid(IMAGE, seen, Direction.RTL) == [RIGHT, LEFT, BELOW]
    assert laid(IMAGE, stated(BELOW, RIGHT, LEFT, places=[1, 0, 2])) == [RIGHT, BELOW, LEFT]
    assert laid(IMAGE, stated(LEFT, BELOW, places=[1, 1])) == [LEFT, BELOW], "one place for two is no order"
    assert laid(IMAGE, stated(LEFT, [0, 0, 45, 71], BELOW)) == [LEFT, BELOW], "the same panel twice"


def test_boxes_of_another_size_of_the_picture_are_stretched_and_of_another_picture_refused() -> None:
    small = StatedImage(key="a", path="a.jpg", width=50, height=75)
    assert laid(small, stated([0, 0, 50, 37.5])) == [[0, 0, 100, 75]]
    for image, boxes, said in (
        (StatedImage(key="a", path="a.jpg", width=150, height=100), [LEFT], "turned since"),
        (StatedImage(key="a", path="a.jpg", width=200, height=100), [LEFT], "another picture"),
        (IMAGE, [[60, 0, 50, 70]], r"panel \[60, 0, 50, 70\] is not on the page"),
        (IMAGE, [], "states no panel"),
        (IMAGE, [[k, k, 2, 2] for k in range(0, 90)] * 3, "no page has so many"),
    ):
        with pytest.raises(Reject, match=said):
            laid(image, stated(*boxes))
    with pytest.raises(Reject, match="states no panel"):
        laid(IMAGE, stated(LEFT, score=0.4))
    none = StatedImage(key="a", path="a.jpg", kind="none", reason="text")
    found = layout_of(none, StatedObjects(), width=100, height=150, direction=Direction.LTR)
    assert (found.kind, found.reason, found.panels) == ("none", "text", [])


PAGES = [
    KnownPage(1, 1, "p1.jpg", ("Tales 01.cbz", "/shelf/Ann/Tales 01.cbz")),
    KnownPage(2, 1, "p2.jpg", ("Tales 01.cbz", "/shelf/Ann/Tales 01.cbz")),
    KnownPage(3, 2, "p1.jpg", ("Other.cbr",)),
    KnownPage(4, 3, "Inside/p1.jpg", ("Deep.zip",)),
    KnownPage(5, 4, "p1.jpg", ("Tales 01.cbz", "/shelf/Bob/Tales 01.cbz")),
    KnownPage(6, 5, "a_b.png", ("My_Comic.cbz",)),
]


@pytest.mark.parametrize(
    ("path", "page", "how"),
    [
        ("E:\\lib\\Other\\p1.jpg", 3, "path"),
        ("e:/lib/OTHER/P1.JPG", 3, "path"),
        ("Other/p1", 3, "path"),
        ("Other.cbr/p1.jpg", 3, "path"),
        ("/x/Deep/p1.jpg", 4, "path"),
        ("/x/Deep/Inside/p1.jpg", 4, "path"),
        ("/x/Deep/Elsewhere/p1.jpg", None, "none"),
        ("/y/Ann/Tales 01/p1.jpg", 1, "path"),
        ("/y/Bob/Tales 01/p1.jpg", 5, "path"),
        ("/y/Cid/Tales 01/p1.jpg", None, "several"),
        ("/y/Cid/Tales 01/p2.jpg", 2, "path"),
        ("E:\\lib\\Other_p1.jpg", 3, "path"),
        ("E:\\lib\\My_Comic_a_b.png", 6, "path"),
        ("p1.jpg", None, "none"),
        ("Inside/p1.jpg", None, "none"),
        ("Unknown/p1.jpg", None, "none"),
        ("", None, "none"),
    ],
)
def test_a_path_must_name_the_comic_and_is_never_matched_by_a_bare_name(path: str, page: int | None, how: str) -> None:
    found = PageFinder(PAGES).find(path)
    assert (found.page_id, found.how) == (page, how)


def test_a_mapping_is_csv_or_json_and_every_row_says_which_page() -> None:
    digest = "a" * 64
    assert read_mapping(f"image_id,page_id,comic,page,sha256\na,7,,,\nb,,T.cbz,p1.jpg,\n\"c,d\",,,,{digest}\n") == {
        "a": Told(page_id=7), "b": Told(comic="T.cbz", page="p1.jpg"), "c,d": Told(sha256=digest),
    }  # fmt: skip
    assert read_mapping('{"a": 7, "b": {"comic": 3, "page": "p1.jpg"}}') == {
        "a": Told(page_id=7), "b": Told(comic="3", page="p1.jpg"),
    }  # fmt: skip
    assert read_mapping('[{"image_id": "a", "page_id": "7"}]') == {"a": Told(page_id=7)}
    for wrong, said in (
        ("", "empty"), ("image,page\n", "no column image_id"), ("image_id,page_id\na,x\n", "no page's id"),
        ("image_id,page_id\na,7\na,8\n", "twice"), ('{"a": true}', "no page's id"), ("{", "no readable JSON"),
        ("[3]", "list of objects"), ('{"a": {"comic": "T"}}', "which page a is"), ("image_id,page_id\n", "no image"),
    ):  # fmt: skip
        with pytest.raises(Reject, match=said):
            read_mapping(wrong)


def layouts(url: str, page: int) -> list[tuple[str, str | None, bool]]:
    """Source, author and whether it is in force, of each layout of a page in the order they came."""
    with unit_of_work(url) as connection:
        found = rows(
            connection,
            "SELECT l.source, l.author, p.layout_id = l.id AS active FROM layout l JOIN page p ON p.id = l.page_id "
            "WHERE p.id = :page ORDER BY l.id",
            page=page,
        )
    return [(one["source"], one["author"], bool(one["active"])) for one in found]


def put_layout(url: str, page: int, source: Any, *boxes: Sequence[float], **more: Any) -> int:
    panels = [DetectedObject(label="panel", box=Box(*box), score=0.9) for box in boxes]
    told = PagePanels(width=100, height=150, kind="panels", direction=Direction.LTR, panels=panels, **more)
    with unit_of_work(url) as connection:
        made = add_layout(connection, page, told, source=source)
        activate(connection, page, "layout_id", made, source=source)
    return made


def sent(file: Path, *, mapping: str = "", dry_run: bool = False) -> PanelImport:
    with file.open("rb") as content:
        answer = TestClient(app).post(
            "/layouts/import",
            params={"dry_run": dry_run},
            data={"mapping": mapping} if mapping else {},
            files={"file": (file.name, content)},
        )
    assert answer.status_code == 200, answer.text
    return PanelImport.model_validate(answer.json())


def counts(found: PanelImport) -> dict[str, int]:
    return {status: count for status, count in found.counts.items() if count}


def test_an_import_replaces_a_models_layout_never_a_persons_and_adds_nothing_twice(
    configured: Settings, tmp_path: Path
) -> None:
    url = str(configured.database_url)
    pages = add_pages(url, 4, title="Tales 01.cbz")
    for page in pages[:3]:
        put_layout(url, page, "model", BELOW)
    put_layout(url, pages[1], "person", LEFT)
    images = [research_image("Tales 01", f"{k}.jpg") for k in (0, 1, 3)]
    file = written(tmp_path, coco(*images, research_image("Tales 01", "99.jpg"), {"id": "p1.jpg"}))
    before = sent(file, dry_run=True)
    assert counts(before) == {"added": 2, "outranked": 1, "orphaned": 2}
    assert [len(layouts(url, page)) for page in pages] == [1, 2, 1, 0]
    assert job_states(url, "align") == {}
    found = sent(file)
    assert (found.images, found.matched, found.by, found.comics) == (5, 3, {"path": 3}, 1)
    assert counts(found) == counts(before)
    assert [one.page_id for one in found.examples["outranked"]] == [pages[1]]
    assert layouts(url, pages[0]) == [("model", None, False), ("import", "predictions.json", True)]
    assert layouts(url, pages[1])[1:] == [("person", None, True), ("import", "predictions.json", False)]
    assert layouts(url, pages[2]) == [("model", None, True)]
    assert counts(sent(file)) == {"unchanged": 3, "orphaned": 2}
    assert [len(layouts(url, page)) for page in pages] == [2, 3, 1, 1]


def test_text_follows_imported_panels_also_when_they_come_back(configured: Settings, tmp_path: Path) -> None:
    url = str(configured.database_url)
    page = add_pages(url, 1, title="Tales 01.cbz")[0]
    put_layout(url, page, "model", BELOW)
    first = written(tmp_path, coco(research_image("Tales 01", "0.jpg")))
    second = written(tmp_path, coco(research_image("Tales 01", "0.jpg"), panels=[BELOW]), "second.json")
    with unit_of_work(url) as connection:
        extraction = row(
            connection,
            "INSERT INTO extraction (page_id, engine, model, source, content) VALUES (:page, 'ocr', 'm', 'model', "
            "CAST(:content AS jsonb)) RETURNING id",
            page=page,
            content=json.dumps({"engine": "m", "model": "m", "lines": []}),
        )
        assert extraction is not None
        activate(connection, page, "ocr_id", extraction["id"])
    for file, panels in ((first, 3), (second, 1), (first, 3)):
        sent(file)
        run_batch(STAGES["align"], align)
        with unit_of_work(url) as connection:
            told = row(
                connection,
                "SELECT count(*) AS n FROM alignment a JOIN page p ON p.id = a.page_id AND p.layout_id = a.layout_id "
                "JOIN panel n ON n.layout_id = p.layout_id JOIN panel_text t ON t.panel_id = n.id",
            )
        assert told is not None
        assert told["n"] == panels
    assert [source for source, _, _ in layouts(url, page)] == ["model", "import", "import"]


def test_pages_that_may_not_be_touched_or_are_claimed_twice_say_so(configured: Settings, tmp_path: Path) -> None:
    url = str(configured.database_url)
    pages = add_pages(url, 3, title="Tales 01.cbz")
    add_pages(url, 1, title="Tales 01.cbr")
    execute(url, "UPDATE page SET hidden = 'person' WHERE id = :page", page=pages[1])
    file = written(
        tmp_path,
        coco(*[research_image("Tales 01", name) for name in ("0.jpg", "1.jpg", "2.jpg")],
             research_image("Tales 01", "2.jpg", drive="F:\\again")),
    )  # fmt: skip
    found = sent(file)
    assert counts(found) == {"ambiguous": 3, "refused": 1}
    assert {one.reason for one in found.examples["ambiguous"]} == {
        f"it may be page {pages[0]}, {pages[2] + 1}", "2 images are this page",
    }  # fmt: skip
    assert "hidden" in str(found.examples["refused"][0].reason)
    by_id = sent(file, mapping=f"image_id,page_id\n{research_image('Tales 01', '0.jpg')['id']},{pages[0]}\n")
    assert counts(by_id) == {"added": 1, "ambiguous": 2, "refused": 1}
    assert by_id.by["mapping"] == 1


def test_images_are_told_by_their_bytes(
    configured: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = str(configured.database_url)
    pages = add_pages(url, 2, title="renamed since")
    folder = tmp_path / "scans"
    folder.mkdir()
    for name, page in (("front.jpg", pages[0]), ("back.jpg", pages[1])):
        (folder / name).write_bytes(name.encode())
        digest = sha256(name.encode()).hexdigest()
        execute(url, "UPDATE page SET image_sha256 = :sha WHERE id = :id", sha=digest, id=page)
    kumiko = [
        {"filename": name, "size": [100, 150], "numbering": "rtl", "gutters": [1, 1], "license": None,
         "panels": [LEFT, RIGHT], "processing_time": 0.1}
        for name in ("front.jpg", str(folder / "back.jpg"), "absent.jpg")
    ]  # fmt: skip
    file = written(tmp_path, kumiko, "kumiko.json")
    with running_api(configured, service="detection"):
        assert main(["import-panels", str(file), "--images", str(folder), "--dry-run"]) == 1
        assert "nothing was stored" in capsys.readouterr().out
        assert main(["import-panels", str(file), "--images", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "2 are pages of 1 comic (2 by content)" in " ".join(said.split())
    assert "absent.jpg: no page" in said
    with unit_of_work(url) as connection:
        active = row(connection, "SELECT layout_id FROM page WHERE id = :id", id=pages[0])
        assert active is not None
        layout = stored_layout(connection, active["layout_id"])
    assert layout.direction == "rtl"
    assert [list(panel.box) for panel in layout.panels] == [RIGHT, LEFT]


def picture(seed: int) -> Image.Image:
    """Something drawn, in large strokes."""
    tones = np.random.default_rng(seed).integers(0, 256, (12, 8), dtype=np.uint8)
    return Image.fromarray(tones).resize((800, 1200), Image.Resampling.BICUBIC)


def test_a_copy_of_the_picture_is_told_by_its_looks(configured: Settings, tmp_path: Path) -> None:
    url = str(configured.database_url)
    pages = add_pages(url, 3, title="renamed since")
    with unit_of_work(url) as connection:
        for seed, page in enumerate(pages):
            mark = mark_of(picture(min(seed, 1)).reduce(8))
            connection.execute(
                sa.text(
                    "INSERT INTO page_mark (page_id, phash, sketch, bands) VALUES (:page, :phash, :sketch, :bands)"
                ),
                {"page": page, "phash": mark.phash, "sketch": mark.sketch, "bands": mark.bands},
            )
    folder = tmp_path / "scans"
    folder.mkdir()
    for seed, name in enumerate(("once.jpg", "twice.jpg", "strange.jpg")):
        picture(seed).resize((400, 600)).save(folder / name, quality=70)
    panel = {"numbering": "ltr", "panels": [[0, 0, 400, 600]]}
    kumiko = [{"filename": name, "size": [400, 600], **panel} for name in ("once.jpg", "twice.jpg", "strange.jpg")]
    file = written(tmp_path, kumiko, "kumiko.json")
    with running_api(configured, service="detection"):
        assert main(["import-panels", str(file), "--images", str(folder)]) == 1
    assert [len(layouts(url, page)) for page in pages] == [1, 0, 0], "one is twice in the library, one not at all"
    with unit_of_work(url) as connection:
        panels = rows(connection, "SELECT x, y, w, h FROM panel")
    assert [dict(found) for found in panels] == [{"x": 0, "y": 0, "w": 100, "h": 150}]


def test_what_is_exported_comes_back_equal_elsewhere(
    configured: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = str(configured.database_url)
    pages = add_pages(url, 4, title="Tales 01.cbz")
    words = [
        DetectedObject(label="text", box=Box(60.25, 5, 30, 10), score=0.75, panel=0),
        DetectedObject(label="face", box=Box(5, 80, 20, 20), score=1 / 3 + 0.5, panel=2),
    ]
    told = PagePanels(
        width=100, height=150, kind="panels", direction=Direction.RTL, objects=words,
        panels=[
            DetectedObject(label="panel", box=Box(*box), score=score)
            for box, score in ((RIGHT, 0.31), (LEFT, 0.9), (BELOW, 0.77))
        ],
    )  # fmt: skip
    none = PagePanels(width=100, height=150, kind="none", reason="text", direction=Direction.LTR, panels=[])
    splash = PagePanels(
        width=100, height=150, kind="splash", direction=Direction.LTR,
        panels=[DetectedObject(label="panel", box=Box(0, 0, 100, 150), score=0.5)],
    )  # fmt: skip
    given = dict(zip(pages, (told, none, splash), strict=False))
    # One picture twice in a comic: its place there tells which is which.
    execute(url, "UPDATE page SET image_sha256 = repeat(md5(least(number, 1)::text), 2)")
    with unit_of_work(url) as connection:
        for page, layout in given.items():
            activate(connection, page, "layout_id", add_layout(connection, page, layout, source="model"))
    out = tmp_path / "panels.json"
    with running_api(configured, service="detection"):
        assert main(["export-panels", "--out", str(out)]) == 0
        assert main(["export-panels", "--comic", "999", "--out", str(tmp_path / "no.json")]) == 1
    assert "no comic 999" in capsys.readouterr().err
    assert not (tmp_path / "no.json").exists()
    content = json.loads(out.read_text())
    assert [image["source"] for image in content["images"]] == ["model"] * 3
    assert [(one["id"], one["name"]) for one in content["categories"]] == [
        (1, "panel"), (2, "character"), (4, "text"), (7, "face"),
    ]  # fmt: skip
    execute(url, "UPDATE page SET layout_id = NULL")
    execute(url, "DELETE FROM layout")
    found = sent(out)
    assert (counts(found), found.by) == ({"added": 3}, {"content": 1, "path": 2})
    with unit_of_work(url) as connection:
        for page, layout in given.items():
            active = row(connection, "SELECT layout_id FROM page WHERE id = :id", id=page)
            assert active is not None
            assert stored_layout(connection, active["layout_id"]) == layout


def test_a_cut_off_or_foreign_upload_changes_nothing(configured: Settings, tmp_path: Path) -> None:
    url = str(configured.database_url)
    page = add_pages(url, 1, title="Tales 01.cbz")[0]
    whole = json.dumps(coco(research_image("Tales 01", "0.jpg")))
    client = TestClient(app)
    for content, mapping in ((whole[:-30], ""), ("a comic", ""), (whole, "image_id\n")):
        data = {"mapping": mapping} if mapping else {}
        answer = client.post("/layouts/import", data=data, files={"file": ("p.json", content)})
        assert answer.status_code == 422
        assert str(tmp_path) not in answer.text
    assert client.post("/layouts/import", json={}).status_code == 422
    assert layouts(url, page) == []


def test_the_research_codes_folder_of_pages_goes_in_as_one_file(
    configured: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = str(configured.database_url)
    pages = add_pages(url, 2, title="Tales 01.cbz")
    folder = tmp_path / "out" / "Tales 01"
    folder.mkdir(parents=True)
    good = {"canonical_id": "Tales 01/0", "image_size_wh": [100, 150],
            "detections": [{"label": "panel", "score": 0.9, "box_xyxy": [0, 0, 100, 150]}]}  # fmt: skip
    (folder / "0.json").write_text(json.dumps(good))
    (folder / "1.json").write_text("{broken")
    with running_api(configured, service="detection"):
        assert main(["import-panels", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert "no readable JSON" in said
    assert [len(layouts(url, page)) for page in pages] == [1, 0]
