"""The main job on a real comic, over a real installation: what a user gets, measured against the truth."""

import io
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image, ImageOps

from services.processes import wait_until
from services.training.generators.pages import make_comic
from shared.domain.answers import PanelView, SearchFilters
from shared.domain.schema import Box
from shared.http.client import ApiError, Client
from tests.bench.detection_truth import matches, read_truth, score_panels
from tests.equipment.hostile_files import REFUSED, UNREADABLE, pdf
from tests.equipment.installation import ROOT, Installation, data_folder, running, wait_for_end
from tests.equipment.lettering import error_rate

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """One installation for the whole module."""
    with data_folder() as home, running(home) as started:
        yield started


@pytest.fixture(scope="module")
def client(installation: Installation) -> Iterator[Client]:
    with installation.client() as connected:
        yield connected


@pytest.fixture(scope="module")
def pictures(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comic's pages alone: the panels that its `guided.json` states would outrank what is found."""
    folder = tmp_path_factory.mktemp("comic") / "pepper-carrot-ep17"
    folder.mkdir()
    for page in (samples / "pepper-carrot-ep17").glob("page*.jpg"):
        shutil.copy(page, folder)
    return folder


@pytest.fixture(scope="module")
def ep17(client: Client, pictures: Path) -> int:
    """The comic's id, everything about it done."""
    comic = client.add(pictures)
    wait_for_end(client, comic.id)
    return comic.id


@pytest.fixture(scope="module")
def panels(client: Client, ep17: int) -> dict[str, list[PanelView]]:
    """Panels by the page's file name, in reading order."""
    return {page.name: client.panels(page.id) for page in client.pages(ep17)}


def annotations(samples: Path) -> dict[str, list[dict[str, object]]]:
    """True panels by file name in reading order, with their dialogue."""
    coco = json.loads((samples / "pepper-carrot-ep17" / "ground_truth_coco.json").read_text())
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    pages: dict[str, list[dict[str, object]]] = {name: [] for name in names.values()}
    for mark in sorted(coco["annotations"], key=lambda mark: mark["reading_order"]):
        pages[names[mark["image_id"]]].append(mark)
    return pages


def test_every_page_reached_its_end_without_a_failure(client: Client, ep17: int) -> None:
    progress = client.progress(ep17)
    assert progress.finished
    assert progress.failed == 0
    done = {name: counts.done for name, counts in progress.stages.items()}
    assert done == {"ingest": 1, "compare": 1, "detect": 8, "read": 8, "align": 8, "embed": 8}
    assert client.comic(ep17).state == "ready"


def test_the_true_panels_are_found_in_order(samples: Path, panels: dict[str, list[PanelView]]) -> None:
    truth = read_truth(samples / "pepper-carrot-ep17" / "ground_truth_coco.json")
    score = score_panels(truth, {name: [panel.box for panel in found] for name, found in panels.items()})
    assert score.true == 29
    assert score.matched >= 28
    assert score.false <= 1
    assert score.ordered == score.pages


def test_the_text_of_the_panels_is_read(samples: Path, panels: dict[str, list[PanelView]]) -> None:
    """Text on all 17 panels that have any and on at most two others; dialogue at a character error rate of 6 %."""
    said: list[tuple[str, str]] = []
    worded = silent = 0
    for name, true in annotations(samples).items():
        found = panels[name]
        for t, f in matches([Box(*mark["bbox"]) for mark in true], [panel.box for panel in found]):  # type: ignore[misc]
            dialogue = true[t]["dialogue"]
            assert isinstance(dialogue, list)
            written = found[f].literal.strip()
            if not dialogue:
                silent += bool(written)
                continue
            worded += bool(written)
            if all("sound" not in piece["role"] for piece in dialogue):
                said.append((" ".join(piece["text"] for piece in dialogue), written))
    assert worded == 17
    assert silent <= 2
    assert error_rate(said) <= 0.06


def test_a_panel_finds_itself_by_a_changed_picture_and_others_by_likeness(
    client: Client, panels: dict[str, list[PanelView]]
) -> None:
    everything = [panel for found in panels.values() for panel in found]
    first = 0
    for panel in everything:
        picture = Image.open(io.BytesIO(client.picture(panel.image))).convert("RGB")
        width, height = picture.size
        cut = picture.crop((width // 12, height // 12, width - width // 12, height - height // 12))
        buffer = io.BytesIO()
        ImageOps.autocontrast(cut.resize((max(1, cut.width // 2), max(1, cut.height // 2)))).save(buffer, "JPEG")
        first += client.search(image=buffer.getvalue(), limit=3).hits[0].panel_id == panel.id
    assert first >= 0.8 * len(everything)
    alike = client.search(panel_id=everything[0].id, limit=10)
    assert everything[0].id not in [hit.panel_id for hit in alike.hits], "more like this, not this"
    assert [hit.score for hit in alike.hits] == sorted((hit.score for hit in alike.hits), reverse=True)


def test_words_find_their_panel_ranked(client: Client, ep17: int) -> None:
    answer = client.search(words="get out the MAP and compass")
    assert "compass" in answer.hits[0].text
    assert answer.hits[0].page_number == 1
    assert answer.by == "words"
    both = client.search(words="witches", panel_id=answer.hits[0].panel_id)
    assert both.by == "panel and words"
    assert "witches" in both.hits[0].text.lower()
    assert client.search(words="zyzzyva").hits == []
    one = client.search(words="carrot", filters=SearchFilters(pages=[answer.hits[0].page_id]))
    assert {hit.page_id for hit in one.hits} == {answer.hits[0].page_id}
    assert client.search(words="carrot", filters=SearchFilters(comics=[ep17 + 1000])).hits == []
    pages = client.search(words="carrot", filters=SearchFilters(kind="page"))
    assert pages.hits
    assert all(hit.panel_id is None for hit in pages.hits)


def test_a_panel_tells_where_it_and_its_text_come_from(client: Client, panels: dict[str, list[PanelView]]) -> None:
    told = client.provenance(next(panel for found in panels.values() for panel in found if panel.literal).id)
    assert told.comic == "pepper-carrot-ep17"
    assert told.layout_source == "model"
    assert told.layout_job is not None
    assert told.layout_job.stage == "detect"
    assert told.detector is not None
    assert told.ocr_model is not None
    assert told.ocr_model.startswith("rapidocr")
    assert told.text_job is not None
    assert told.text_job.stage == "align"
    assert (told.vlm_model, told.vlm_cost) == (None, None)


def test_a_repeat_is_recognised_and_stored_once(
    client: Client, installation: Installation, pictures: Path, ep17: int
) -> None:
    before = stored(installation)
    assert client.add(pictures, name="again.cbz").id == ep17
    assert stored(installation) == before


def stored(installation: Installation) -> set[str]:
    """Every file in the storage, and what lies in its scratch folder."""
    storage = installation.home / "storage"
    return {str(path.relative_to(storage)) for path in storage.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [*REFUSED, *UNREADABLE])
def test_a_bad_file_is_refused_by_name_and_leaves_nothing(
    client: Client, installation: Installation, name: str
) -> None:
    before, comics = stored(installation), len(list(client.comics()))
    path = installation.home / name
    path.write_bytes((REFUSED | UNREADABLE)[name]())
    with pytest.raises(ApiError) as refused:
        client.add(path)
    path.unlink()
    assert refused.value.http_status in (413, 422)
    assert name in str(refused.value)
    assert str(installation.home) not in str(refused.value)
    assert stored(installation) == before
    assert len(list(client.comics())) == comics


def test_an_upload_cut_off_midway_leaves_nothing(client: Client, installation: Installation) -> None:
    before = stored(installation)
    address = urlsplit(installation.api)
    with socket.create_connection((address.hostname, address.port)) as wire:
        head = "POST /comics?filename=cut.cbz HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"
        wire.sendall(head.encode() + b"PK\x03\x04" + bytes(3_000_000))
        assert wait_until(lambda: stored(installation) != before, seconds=10), "the server is receiving"
    assert wait_until(lambda: stored(installation) == before, seconds=10)
    assert client.status().failed == 0


def test_one_bad_page_is_visible_and_the_others_go_on(client: Client, installation: Installation) -> None:
    folder = installation.home / "half good"
    folder.mkdir()
    for number, made in enumerate(make_comic(3, pages=2)):
        made.image.convert("RGB").save(folder / f"{number}.jpg")
    whole = (folder / "1.jpg").read_bytes()
    (folder / "2.jpg").write_bytes(whole[: len(whole) // 2])
    comic = client.add(folder)
    wait_for_end(client, comic.id)
    pages = list(client.pages(comic.id))
    assert [page.state for page in pages] == ["ok", "ok", "unreadable"]
    assert "2.jpg" in (pages[2].error or "")
    assert client.comic(comic.id).unreadable == 1
    assert all(page.layout_id for page in pages[:2])


def test_a_pdf_goes_the_same_way(client: Client, installation: Installation) -> None:
    path = installation.home / "two pages.pdf"
    path.write_bytes(pdf(pages=2))
    comic = client.add(path)
    wait_for_end(client, comic.id)
    assert client.comic(comic.id).page_count == 2
    assert client.progress(comic.id).failed == 0


def test_two_uploads_of_one_file_at_once_are_one_comic(installation: Installation) -> None:
    folder = installation.home / "twice"
    folder.mkdir()
    make_comic(4, pages=1)[0].image.convert("RGB").save(folder / "1.png")

    def add(_: int) -> int:
        with installation.client() as own:
            return own.add(folder).id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(add, range(4)))) == 1


def test_the_events_of_a_comic_end_with_it(client: Client, ep17: int) -> None:
    told = list(client.follow(ep17))
    assert told[-1].finished
    assert told[-1].ended == told[-1].total


def test_errors_are_problem_documents(installation: Installation) -> None:
    with httpx.Client(base_url=installation.api) as http:
        for answer, status in (
            (http.get("/comics/999999"), 404),
            (http.get("/nowhere"), 404),
            (http.get("/comics", params={"limit": 0}), 422),
            (http.post("/search", json={"words": "x", "nonsense": 1, "limit": "many"}), 422),
            (http.post("/search", json={}), 422),
            (http.post("/search", content=b"{"), 422),
            (http.post("/search", files={"image": ("a.jpg", b"no image")}), 422),
            (http.delete("/comics"), 405),
        ):
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            body = answer.json()
            assert body["status"] == status
            assert body["title"]
            assert body["detail"]
            assert body["instance"]


def test_lists_are_sliced_by_key(client: Client, installation: Installation, ep17: int) -> None:
    with httpx.Client(base_url=installation.api) as http:
        first = http.get(f"/comics/{ep17}/pages", params={"limit": 3}).json()
        assert [page["number"] for page in first["items"]] == [0, 1, 2]
        second = http.get(f"/comics/{ep17}/pages", params={"limit": 3, "after": first["next"]}).json()
        assert [page["number"] for page in second["items"]] == [3, 4, 5]
    assert len(list(client.pages(ep17))) == 8


def test_flower_shows_the_four_queues_and_their_workers(installation: Installation) -> None:
    with httpx.Client(base_url=installation.flower) as flower:

        def queues() -> set[str]:
            workers = flower.get("/api/workers", params={"refresh": "1"}).json()
            return {queue["name"] for worker in workers.values() for queue in worker.get("active_queues", [])}

        assert wait_until(lambda: queues() == {"cpu", "io", "gpu", "train"}, seconds=60)
        lengths = flower.get("/api/queues/length").json()["active_queues"]
        assert {queue["name"] for queue in lengths} == {"cpu", "io", "gpu", "train"}


def test_the_api_describes_itself_with_examples(installation: Installation) -> None:
    document = httpx.get(f"{installation.api}/openapi.json").json()
    assert {"/comics", "/search", "/panels/{panel_id}/provenance", "/images/{page_id}"} <= set(document["paths"])
    assert "examples" in json.dumps(document)
    assert "comics_jobs{" in httpx.get(f"{installation.api}/metrics").text


def test_the_curl_lines_of_the_readme_work(
    installation: Installation, samples: Path, tmp_path: Path, ep17: int
) -> None:
    assert ep17
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("curl ")]
    assert len(lines) >= 5
    shutil.make_archive(str(tmp_path / "comic"), "zip", samples / "pepper-carrot-ep17")
    (tmp_path / "comic.zip").rename(tmp_path / "comic.cbz")
    shutil.copy(samples / "pepper-carrot-ep17" / "page3.jpg", tmp_path / "panel.jpg")
    for line in lines:
        command = line.replace("http://localhost:8000", installation.api)
        done = subprocess.run(
            ["bash", "-c", command.replace("curl ", "curl --fail-with-body -sS ", 1)],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_the_command_line_finds_and_shows(installation: Installation, ep17: int) -> None:
    def comics(*arguments: str) -> str:
        environment = {"COMICS_SERVER": installation.api, "PATH": "/usr/bin:/bin"}
        command = [str(ROOT / ".venv" / "bin" / "comics"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "compass" in comics("search", "map", "and", "compass")
    assert "pepper-carrot-ep17" in comics("show")
    assert "8 pages" in comics("show", str(ep17))
    assert "embed" in comics("status")
