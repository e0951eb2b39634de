"""The whole product in a real browser, as a stranger uses it: add, read, search, train, promote, search again."""

import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Dialog, FilePayload, Page, expect, sync_playwright

from services.embedded import free_port
from services.processes import wait_until
from services.training.generators.stories import make_story
from shared.domain.arrivals import Shelf
from shared.settings import Settings
from tests.conftest import absent
from tests.equipment.hostile_files import comic
from tests.equipment.installation import ROOT, Installation, data_folder, running, wait_for_end

pytestmark = pytest.mark.timeout(300)
HOSTILE = '<img src=x onerror=alert(1)>"><script>alert(1)<script>'
REFUSAL = "the server responded with a status of 422"  # how a browser notes that a broken file was refused
SOON, LONG = 15_000, 90_000  # milliseconds


def chromium() -> str:
    """The browser's program."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        absent("no Chromium is installed")
    return str(found)


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """One installation for the whole module."""
    program = chromium()
    assert program
    with data_folder() as home, running(home) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, installation: Installation) -> Iterator[Page]:
    """A tab; it fails the test when anything was complained about in the console or when a dialog came up."""
    context = browser.new_context(base_url=installation.api, viewport={"width": 1280, "height": 800})
    tab = context.new_page()
    complaints: list[str] = []

    def dismissed(dialog: Dialog) -> None:
        complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    tab.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("dialog", dismissed)
    yield tab
    context.close()
    assert [said for said in complaints if REFUSAL not in said] == []


@pytest.fixture(scope="module")
def ep17(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first pages of the comic as a file."""
    packed = tmp_path_factory.mktemp("comics") / "pepper-carrot-ep17.cbz"
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(1, 5):  # enough to train on, and half the waiting
            archive.write(samples / "pepper-carrot-ep17" / f"page{number}.jpg", f"page{number}.jpg")
    return packed


def test_added_comics_are_read_before_ones_eyes(page: Page, installation: Installation, ep17: Path) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="Start with a comic")).to_be_visible()
    hostile: FilePayload = {"name": f"{HOSTILE}.cbz", "mimeType": "application/zip", "buffer": comic(2)}
    refused: FilePayload = {"name": "holiday.txt", "mimeType": "text/plain", "buffer": b"no comic"}
    broken: FilePayload = {
        "name": "broken.cbz",
        "mimeType": "application/zip",
        "buffer": b"PK\x03\x04 and then nothing",
    }
    page.locator("#files").set_input_files(ep17)
    uploads = page.get_by_role("region", name="Files being added")
    expect(uploads.get_by_text("added: pepper-carrot-ep17")).to_be_visible(timeout=SOON)
    page.locator("#files").set_input_files([hostile, refused, broken])
    expect(uploads.get_by_text("Not a comic this program opens")).to_be_visible()
    expect(uploads.get_by_text("broken.cbz").last).to_be_visible(timeout=SOON)
    expect(page.locator(".card")).to_have_count(2, timeout=SOON)
    expect(page.locator(".card-title", has_text=HOSTILE)).to_be_visible(timeout=SOON)
    page.locator("#files").set_input_files(ep17)
    expect(uploads.get_by_text("here already: pepper-carrot-ep17")).to_be_visible(timeout=SOON)
    # No reload: the cards follow the server's events.
    expect(page.locator("[data-busy]")).to_have_count(0, timeout=LONG)
    expect(page.locator(".card", has_text="pepper-carrot-ep17")).to_contain_text("4 pages")
    with installation.client() as client:
        wait_for_end(client, 1)
    page.locator("#title").fill("carrot")
    expect(page.locator(".card")).to_have_count(1)
    assert "title=carrot" in page.url


def test_a_page_shows_its_panels_their_text_and_where_it_comes_from(page: Page) -> None:
    page.goto("/ui/comics/1")
    expect(page.locator(".pages .card")).to_have_count(4)
    page.get_by_role("link", name=re.compile("Page 2")).click()
    expect(page.locator(".zone")).to_have_count(5)
    told = page.locator(".told-panel", has_text="compass")
    told.hover()
    assert "on" in (
        page.locator(f".zone[data-panel='{told.get_attribute('data-panel')}']").get_attribute("class") or ""
    )
    told.get_by_role("button", name="Where from").click()
    expect(told.get_by_text("rapidocr")).to_be_visible()
    expect(told.get_by_text("nobody: no vision model was asked")).to_be_visible()
    page.keyboard.press("o")
    expect(page.locator(".overlay circle").first).to_be_hidden()
    page.keyboard.press("o")
    expect(page.locator(".overlay circle").first).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_title(re.compile("^Page 3 of pepper-carrot-ep17"))
    page.wait_for_load_state("load")
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_title(re.compile("^Page 2"))
    page.wait_for_load_state("load")
    page.keyboard.press("/")
    expect(page).to_have_url(re.compile("/ui/search$"))


def test_panels_are_found_by_words_by_more_like_this_and_by_a_picture(page: Page, samples: Path) -> None:
    page.goto("/ui/search")
    page.keyboard.type("map and compass")
    page.keyboard.press("Enter")
    hits = page.locator(".hit")
    expect(hits.first).to_contain_text("compass", timeout=SOON)
    expect(page.locator("#summary")).to_contain_text("ms")
    assert "q=map+and+compass" in page.url
    hits.first.hover()
    hits.first.get_by_role("link", name="More like this").click()
    expect(page).to_have_url(re.compile(r"panel=\d+"))
    expect(page.locator("#summary")).to_contain_text("by a panel", timeout=SOON)
    page.reload()
    expect(page.locator("#summary")).to_contain_text("by a panel", timeout=SOON)
    page.go_back()
    expect(page.locator("#words")).to_have_value("map and compass")
    expect(hits.first).to_contain_text("compass", timeout=SOON)
    with Image.open(samples / "pepper-carrot-ep17" / "page3.jpg") as whole:
        cut = whole.crop((whole.width // 10, whole.height // 4, whole.width * 9 // 10, whole.height * 2 // 5))
    buffer = io.BytesIO()
    cut.save(buffer, "JPEG")
    picture: FilePayload = {"name": f"{HOSTILE}.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}
    page.locator("#words").fill("")
    page.locator("#image").set_input_files(picture)
    expect(page.locator("#summary")).to_contain_text("your picture", timeout=SOON)
    expect(hits.first).to_contain_text("page 3")
    page.locator("#chip button").click()
    page.goto("/ui/search?q=zyzzyva")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible(timeout=SOON)
    page.get_by_role("radio", name="Pages").check()
    expect(page).to_have_url(re.compile("kind=page"))


def test_a_dataset_is_frozen_an_encoder_trained_on_it_promoted_and_searched_with(page: Page) -> None:
    page.goto("/ui/training")
    page.get_by_label("Name").fill(HOSTILE)
    page.get_by_text("All pages with panels").click()
    page.get_by_role("button", name="Freeze dataset").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page.get_by_text("pages are few")).to_be_visible()
    page.get_by_text("Its card, for publication").click()
    expect(page.locator(".card-text")).to_contain_text("#", timeout=SOON)
    page.get_by_role("radio", name="base").first.check()
    page.get_by_label("Epochs").fill("1")
    page.get_by_label("Pages in a batch").fill("4")
    page.get_by_role("button", name="Start training").click()
    expect(page).to_have_url(re.compile(r"/ui/runs/\d+$"))
    promote = page.get_by_role("button", name="Promote encoder")
    expect(promote).to_be_visible(timeout=LONG)
    expect(page.locator("#plot-train canvas")).to_be_visible()
    promote.click()
    expect(page.get_by_text("serves the search")).to_be_visible(timeout=LONG)
    page.goto("/ui/training")
    encoders = page.get_by_role("region", name="Encoders")
    expect(encoders.locator("li", has_text="in use")).to_contain_text("made by run")
    expect(encoders.get_by_role("button", name="Roll back")).to_be_visible()
    page.goto("/ui/search?panel=2")
    expect(page.locator(".hit").first).to_be_visible(timeout=LONG)


def packed_story(folder: Path, *, scale: float) -> Path:
    """A made comic of two pages, drawn at a scale."""
    file = folder / f"kite at {scale}.cbz"
    with zipfile.ZipFile(file, "w") as archive:
        for number, drawn in enumerate(make_story(5, pages=2).pages):
            image = drawn.image.resize((round(drawn.image.width * scale), round(drawn.image.height * scale)))
            with archive.open(f"{number}.png", "w") as entry:
                image.save(entry, "PNG")
    return file


def test_a_duplicate_is_hidden_and_shown_again_and_a_comic_told_about_and_removed(
    page: Page, installation: Installation, tmp_path: Path
) -> None:
    with installation.client() as client:
        shelves = {1.0: Shelf(source="Humble Bundle", collection=HOSTILE), 0.8: Shelf(source="Calibre")}
        comics = [client.add(packed_story(tmp_path, scale=scale), shelf=shelf).id for scale, shelf in shelves.items()]
        client.edit(comics[1], title=HOSTILE)
    assert wait_until(lambda: bool(httpx.get(f"{installation.api}/duplicates").json()["items"]), seconds=60)
    page.goto("/ui/")
    page.get_by_role("link", name="Duplicates").click()
    group = page.locator(".group")
    expect(group).to_contain_text(f"Humble Bundle, {HOSTILE}")
    expect(group.locator(".member", has_text="suggested")).to_contain_text("480 × 680")
    page.keyboard.press("j")
    page.keyboard.press("1")
    expect(group).to_contain_text("hid the other")
    page.goto("/ui/?source=Calibre")
    expect(page.locator(".card.aside")).to_contain_text("hidden, a duplicate")
    page.locator(".card.aside a").click()
    expect(page.locator(".notice")).to_contain_text("Hidden as a duplicate of kite at 1.0")
    page.goto("/ui/duplicates?state=decided")
    group.get_by_role("button", name="Undo").click()
    expect(group.get_by_role("button", name="Not duplicates")).to_be_visible()
    page.goto("/ui/?source=Calibre")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".aside")).to_have_count(0)
    page.goto(f"/ui/comics/{comics[0]}")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Title").fill(HOSTILE)
    page.get_by_label("Year").fill("1999")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page.locator("#known div", has_text="Year")).to_have_text("Year1999you")
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Take back Title").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("kite at 1.0")
    page.locator(".card", has_text="1").first.hover()
    page.get_by_role("button", name="Hide page 1").click()
    expect(page.locator(".card.aside")).to_contain_text("hidden by you")
    for comic_id in comics:
        page.goto(f"/ui/comics/{comic_id}")
        page.get_by_role("button", name="Remove").click()
        expect(page.get_by_role("dialog")).to_contain_text("2 pages")
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(page).to_have_url(re.compile("/ui/$"))
        expect(page.locator(".toast")).to_contain_text("Removed")
        expect(page.locator(f"#comic-{comic_id}")).to_have_count(0)


def test_the_screens_fit_a_phone_and_remember_their_colours(browser: Browser, installation: Installation) -> None:
    context = browser.new_context(base_url=installation.api, viewport={"width": 390, "height": 844}, has_touch=True)
    tab = context.new_page()
    for address in ("/ui/", "/ui/duplicates", "/ui/comics/1", "/ui/pages/2", "/ui/search?q=carrot", "/ui/training",
                    "/ui/runs/1", "/ui/datasets/1", "/ui/costs", "/ui/work"):  # fmt: skip
        tab.goto(address)
        tab.wait_for_load_state("load")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    dark = "getComputedStyle(document.documentElement).backgroundColor"
    before = tab.evaluate(dark)
    tab.locator("#theme").click()
    tab.locator("#theme").click()
    assert tab.evaluate(dark) != before
    tab.goto("/ui/")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    context.close()


@pytest.fixture
def guarded(configured: Settings) -> Iterator[str]:
    """The address of an API that asks for a token."""
    assert configured.database_url
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "services.standalone:create_standalone",
        "--factory",
        "--port",
        str(port),
    ]
    environment = {**os.environ, "COMICS_API_TOKEN": "secret-token"}
    process = subprocess.Popen([*command, "--log-level", "warning"], cwd=ROOT, env=environment)
    try:
        address = f"http://127.0.0.1:{port}"
        assert wait_until(lambda: _answers(address), seconds=60)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").status_code == 200
    except httpx.TransportError:
        return False


class Elsewhere(BaseHTTPRequestHandler):
    """A page that is not ours."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<p>elsewhere")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_signing_in_leads_to_where_one_wanted_to_go_and_everything_works_from_there(
    browser: Browser, guarded: str
) -> None:
    context = browser.new_context(base_url=guarded)
    tab = context.new_page()
    tab.goto("/ui/work")
    expect(tab).to_have_url(re.compile(r"/ui/login\?next="))
    tab.get_by_label("Token").fill("wrong")
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("alert")).to_contain_text("not the token")
    tab.get_by_label("Token").fill("secret-token")
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("heading", name="Work")).to_be_visible()
    small: FilePayload = {"name": "small.cbz", "mimeType": "application/zip", "buffer": comic(1)}
    tab.goto("/ui/")
    tab.locator("#files").set_input_files(small)
    expect(tab.locator(".card")).to_have_count(1, timeout=SOON)
    assert tab.evaluate("document.cookie") == "", "no script can read the session"
    tab.get_by_role("button", name="Sign out").click()
    expect(tab.get_by_label("Token")).to_be_visible()
    tab.goto("/ui/work")
    expect(tab.get_by_label("Token")).to_be_visible()
    # A page of another origin, here another port of this machine, cannot make this browser act.
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as elsewhere:
        Thread(target=elsewhere.serve_forever, daemon=True).start()
        tab.goto(f"http://127.0.0.1:{elsewhere.server_port}/")
        with tab.expect_response(re.compile("/ui/logout")) as refused:
            tab.evaluate(f"fetch('{guarded}/ui/logout', {{method: 'POST', mode: 'no-cors', credentials: 'include'}})")
        elsewhere.shutdown()
    assert refused.value.status == 403
    context.close()
