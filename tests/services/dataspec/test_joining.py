"""Old detections and VLM files join by whole paths and by place, and the report says why when they do not."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.dataspec.api import app
from services.dataspec.joining import join_dataspecs
from shared.domain.dataspec import DataSpec
from shared.errors import Reject
from tests.equipment.hostile_files import picture, turned, zipped

SIZE = (96, 64)
LEFT, RIGHT = [2, 2, 44, 60], [50, 2, 44, 60]
CATEGORIES = [{"id": 1, "name": "panel"}, {"id": 4, "name": "text"}]


class Library:
    """A folder of pictures, a COCO file about them and VLM files."""

    def __init__(self, top: Path) -> None:
        self.images, self.vlm, self.coco, self.out = top / "images", top / "vlm", top / "predictions.json", top / "out"
        self.vlm.mkdir()
        self.pages: list[dict[str, Any]] = []
        self.found: list[dict[str, Any]] = []

    def page(self, path: str, *boxes: list[int], data: bytes | None = None, recorded: str | None = None) -> None:
        file = self.images / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data or picture(*SIZE, seed=len(self.pages)))
        name = recorded or path
        self.pages.append({"id": f"id {name}", "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        self.found += [
            {"id": k, "image_id": f"id {name}", "category_id": 1, "bbox": box, "score": 0.9, "iscrowd": 0}
            for k, box in enumerate(boxes)
        ]

    def told(self, file: str, panels: Any, **more: Any) -> None:
        target = self.vlm / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps({"panels": panels, **more}))

    def join(self, detections: Path | None = None) -> tuple[list[DataSpec], dict[str, dict[str, str]]]:
        """The pages, and the report's rows by page, or by VLM file for those of no page."""
        self.coco.write_text(
            json.dumps({"images": self.pages, "annotations": self.found, "categories": CATEGORIES}, indent=1)
        )
        joined = join_dataspecs(detections or self.coco, self.vlm, self.out, images=self.images)
        with joined.report_file.open(newline="") as table:
            rows = list(csv.DictReader(table))
        pages = [DataSpec.model_validate_json(text) for text in joined.pages_file.read_text().splitlines()]
        assert joined.pages == len(pages)
        return pages, {row["page"] or row["vlm_file"]: row for row in rows}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def grounded(text: str, *box: float) -> dict[str, Any]:
    """A panel told with its place, `box` as [ymin, xmin, ymax, xmax] in thousandths."""
    return {"box_2d": list(box), "description": f"seen {text}", "text_content": [{"label": "caption", "text": text}]}


def plain(text: str) -> dict[str, Any]:
    return {"caption": "A caption.", "speakers": [{"character": "Ann", "dialogue": text, "speech_type": "thought"}]}


def test_grounded_answers_go_to_their_places_whatever_their_order(library: Library) -> None:
    library.page("Book/p1.jpg", RIGHT, LEFT)
    library.told(
        "Book/p1.json", [grounded("right", 30, 520, 970, 980), grounded("left", 30, 20, 970, 480)], model="gemini"
    )
    (page,), report = library.join()
    assert [(panel.box.x, panel.text) for panel in page.panels] == [(2, "left"), (50, "right")]
    assert page.panels[0].literal[0].kind == "narration"
    assert {panel.verdict for panel in page.panels} == {"unverified"}
    assert page.panels[0].confidence > 0.8
    assert (page.comic.key, page.comic.title, page.number, page.name) == ("Book", "Book", 0, "p1.jpg")
    assert (page.width, page.height, page.equal_counts, page.perfect) == (*SIZE, True, False)
    assert page.provenance.model_dump() == {"layout": "import", "detector": None, "ocr": None, "vlm": "gemini"}
    row = report["Book/p1.jpg"]
    assert (row["status"], row["evidence"], row["matched"]) == ("joined", "its path, whole", "2")


def test_answers_without_places_go_by_count_and_say_so(library: Library) -> None:
    library.page("Book/p1.jpg", RIGHT, LEFT)
    library.page("Book/p2.jpg", LEFT)
    library.told("Book/p1.json", [plain("one"), plain("two")])
    library.told("Book/p2.json", [plain("one"), plain("two")])
    (first, second), report = library.join()
    assert [panel.text for panel in first.panels] == ["one", "two"]
    assert {(panel.verdict, panel.reason, panel.confidence) for panel in first.panels} == {
        ("unverified", "by count, not by place", 0.1)
    }
    piece = first.panels[0].literal[0]
    assert (piece.kind, piece.speaker, first.panels[0].descriptive) == ("thought", "Ann", "A caption.\nAnn")
    assert [panel.text for panel in second.panels] == [""]
    assert second.equal_counts is False
    assert (report["Book/p2.jpg"]["status"], report["Book/p2.jpg"]["panels"]) == ("unmatched", "1")
    assert "1 panels were found, 2 told of" in report["Book/p2.jpg"]["reason"]


def test_a_bare_file_name_joins_nothing(library: Library) -> None:
    for book in ("A", "B"):
        library.page(f"{book}/p1.jpg", LEFT)
    library.told("p1.json", [plain("whose?")], canonical_id="p1")
    library.told("C/p1.json", [plain("of neither")], canonical_id="p1")
    pages, report = library.join()
    assert [panel.text for page in pages for panel in page.panels] == ["", ""]
    assert {page.comic.key for page in pages} == {"A", "B"}
    for file in ("p1.json", "C/p1.json"):
        assert (report[file]["status"], report[file]["reason"]) == (
            "unused", "no page has its path; bare file names are not enough",
        )  # fmt: skip


def test_a_bare_name_is_a_whole_path_only_at_the_top(library: Library) -> None:
    library.page("p1.jpg", LEFT)
    library.page("p2.jpg", LEFT)
    library.told("p1.json", [plain("its own")])
    library.told("Other book/p2.json", [plain("of another book")], canonical_id="p2")
    (first, second), report = library.join()
    assert (first.panels[0].text, second.panels[0].text) == ("its own", "")
    assert report["Other book/p2.json"]["status"] == "unused"


def test_paths_of_other_systems_and_flattened_names_are_found(library: Library) -> None:
    library.page("lib/Book One/p1.jpg", LEFT, recorded=r"E:\extracted\lib\Book One\p1.jpg")
    library.page("lib/Book Two/p1.jpg", LEFT, recorded=r"E:\extracted\lib\Book Two\p1.jpg")
    library.told("1.json", [plain("first")], source_image_path="/mnt/e/extracted/lib/Book One/p1.jpg")
    library.told("Book Two_p1.json", [plain("second")])
    pages, report = library.join()
    assert [(page.comic.key, page.panels[0].text) for page in pages] == [("Book One", "first"), ("Book Two", "second")]
    assert [row["evidence"] for row in report.values()] == ["the end of the id in it", "its flattened path"]


def test_what_fits_several_pages_is_reported_and_not_guessed(library: Library) -> None:
    library.page("x/A/p1.jpg", LEFT)
    library.page("y/A/p1.jpg", LEFT)
    library.page("z/B/p1.jpg", LEFT)
    library.told("A_p1.json", [plain("?")])
    library.told("1.json", [plain("?")], canonical_id="A/p1")
    library.told("2.json", [plain("?")], canonical_id="x/A/p1", source_image_path="z/B/p1.jpg")
    library.told("3.json", [plain("?")], canonical_id="z/B/p1")
    library.told("4.json", [plain("?")], canonical_id="z/B/p1")
    pages, report = library.join()
    assert {panel.text for page in pages for panel in page.panels} == {""}
    assert "fits several pages" in report["A_p1.json"]["reason"]
    assert "fits several pages" in report["1.json"]["reason"]
    assert "name different pages" in report["2.json"]["reason"]
    assert report["z/B/p1.jpg"]["status"] == "ambiguous"
    assert "2 VLM files" in report["z/B/p1.jpg"]["reason"]
    assert report["3.json"]["status"] == report["4.json"]["status"] == "unused"


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ({"panels": {"2": plain("two"), "1": plain("one")}}, ["one", "two"]),
        ([plain("one"), plain("two")], ["one", "two"]),
        ({"panels": [plain("one"), None, plain("two")]}, ["one", "two"]),
        ({"panels": [{"description": ["a", "b"], "text_content": None}, {"description": None}]}, ["", ""]),
        ({"panels": [{**plain("one"), "box_2d": [1, None, 2, 3]}, {**plain("two"), "box_2d": "x"}]}, ["one", "two"]),
        ({"panels": [grounded("l", 30, 20, 970, 480), {**plain("?"), "box_2d": None}]}, ["l", ""]),
        (
            {"model": "glm-4.6v", "panels": [{**plain("right"), "box_2d": ["520", "30", "980", "970"]}]},
            ["", "right"],
        ),
    ],
)
def test_deviations_of_old_files_are_taken_as_far_as_they_are_clear(
    library: Library, content: Any, texts: list[str]
) -> None:
    library.page("Book/p1.jpg", LEFT, RIGHT)
    (library.vlm / "Book").mkdir()
    (library.vlm / "Book" / "p1.json").write_text(json.dumps(content))
    (page,), _ = library.join()
    assert [panel.text for panel in page.panels] == texts


def test_no_page_without_its_own_picture(library: Library) -> None:
    library.page("Book/gone.jpg", LEFT)
    (library.images / "Book" / "gone.jpg").unlink()
    library.page("Book/cut.jpg", LEFT, data=picture(400, 300)[:-500])
    library.page("Book/other.jpg", LEFT, data=picture(50, 50))
    library.page("Book/turned.jpg", LEFT, data=turned(6))
    library.page("Book/good.jpg", LEFT)
    pages, report = library.join()
    assert [(page.name, page.number) for page in pages] == [("good.jpg", 2)]
    assert {row["status"] for name, row in report.items() if name != "Book/good.jpg"} == {"no image"}
    assert report["Book/good.jpg"]["status"] == "no vlm"
    assert "damaged or cut off" in report["Book/cut.jpg"]["reason"]
    assert "another picture" in report["Book/other.jpg"]["reason"]
    assert "64 × 96" in report["Book/turned.jpg"]["reason"]


def test_a_folder_of_one_file_a_page_is_read_too(library: Library, tmp_path: Path) -> None:
    library.page("Book/p1.jpg")
    folder = tmp_path / "pages" / "Book"
    folder.mkdir(parents=True)
    seen = {"label": "panel", "score": 0.8, "box_xyxy": [2, 2, 46, 62]}
    found = [seen, {**seen, "score": 0.3}, {**seen, "label": "text"}]
    (folder / "p1.json").write_text(
        json.dumps({"canonical_id": "Book/p1", "image_size_wh": [*SIZE], "detections": found})
    )
    (folder / "p2.json").write_text(json.dumps({"canonical_id": "Book/p2", "error": "out of memory"}))
    library.told("x.json", [grounded("words", 30, 20, 970, 480)], canonical_id="Book/p1")
    (page,), report = library.join(tmp_path / "pages")
    assert [(panel.box, panel.text) for panel in page.panels] == [((2, 2, 44, 60), "words")]
    assert report["Book/p2"]["reason"] == "detection failed: out of memory"


def test_names_of_categories_go_before_their_usual_numbers(library: Library) -> None:
    library.page("Book/p1.jpg", LEFT)
    library.found.append({**library.found[0], "id": 9, "category_id": 2, "bbox": RIGHT})
    library.page("Book/p2.jpg")
    CATEGORIES.append({"id": 2, "name": "panel"})
    try:
        pages, _ = library.join()
    finally:
        CATEGORIES.pop()
    assert [len(page.panels) for page in pages] == [2, 0]
    assert pages[1].kind == "none"


def test_detections_nobody_understands_are_counted(library: Library) -> None:
    library.page("Book/p1.jpg", LEFT)
    library.found += [{**library.found[0], "bbox": None}, {**library.found[0], "score": "high"}]
    library.page("Book/p2.jpg", *[LEFT] * 101)
    (page,), report = library.join()
    assert len(page.panels) == 1
    assert "2 of its detections cannot be understood" in report["Book/p1.jpg"]["reason"]
    assert report["Book/p2.jpg"]["reason"] == "it has more than 100 panels"


def test_a_cut_off_coco_file_is_refused_and_leaves_no_result(library: Library) -> None:
    library.page("Book/p1.jpg", LEFT)
    library.join()
    whole = library.coco.read_text()
    before = (library.out / "pages.jsonl").read_bytes()
    library.coco.write_text(whole[: len(whole) // 2])
    with pytest.raises(Reject, match="no whole JSON"):
        join_dataspecs(library.coco, library.vlm, library.out, images=library.images)
    assert (library.out / "pages.jsonl").read_bytes() == before


def zip_of(folder: Path) -> bytes:
    """A folder as a zip, as `comics dataset --import` packs it."""
    return zipped(
        {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    )


@pytest.mark.usefixtures("configured")
def test_what_was_joined_is_imported_as_it_is(library: Library) -> None:
    for book in "ABC":
        for k in (1, 2):
            library.page(f"{book}/p{k}.jpg", RIGHT, LEFT)
            library.told(f"{book}/p{k}.json", [grounded(f"words of {book} {k}", 30, 20, 970, 480)])
    pages, _ = library.join()
    folder = library.out / "v0.3"
    assert {file.name for file in folder.iterdir()} == {"dataspecs", "images", "train.txt", "held_out.txt"}
    assert sum(len((folder / name).read_text().splitlines()) for name in ("train.txt", "held_out.txt")) == 6
    originals = {file.read_bytes() for file in library.images.rglob("*.jpg")}
    assert {file.read_bytes() for file in folder.rglob("*.jpg")} == originals
    with TestClient(app) as api:
        answer = api.post("/datasets/import", files={"file": ("v0.3.zip", zip_of(folder))})
        assert answer.status_code == 201, answer.text
        assert not any("Not imported" in warning or "new split" in warning for warning in answer.json()["warnings"])
        assert answer.json()["counts"]["held_out_comics"] == 1
        found = api.get(f"/datasets/{answer.json()['id']}/pages").json()["items"]
    assert [DataSpec.model_validate(line["page"]) for line in found] == pages
    held = [line["page"]["comic"]["key"] for line in found if line["split"] == "held_out"]
    assert len(set(held)) == 1
    assert len(held) == 2


def test_joining_again_replaces_the_folder_and_nobody_elses(library: Library) -> None:
    library.page("Book/p1.jpg", LEFT)
    library.page("Book/p2.jpg", LEFT)
    library.join()
    library.pages.pop()
    library.join()
    folder = library.out / "v0.3"
    assert len([*folder.rglob("*.json")]) == len([*folder.rglob("*.jpg")]) == 1
    assert not (library.out / "v0.3.part").exists()
    (folder / "notes.md").write_text("mine")
    with pytest.raises(Reject, match=r"notes\.md"):
        library.join()
    assert (folder / "notes.md").read_text() == "mine"
