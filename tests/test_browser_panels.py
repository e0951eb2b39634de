"""A person corrects a page's panels in a real browser: with the mouse, and with keys alone."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from shared.domain.schema import Box
from shared.http.client import Client
from shared.settings import Settings
from shared.store.blobs import put_blob, storage_of
from tests.equipment.api import running_api
from tests.equipment.comics import add_layout
from tests.equipment.hostile_files import picture
from tests.equipment.rows import add_pages, execute
from tests.test_browser import chromium

WIDTH, HEIGHT = 600, 800
UPPER, LOWER = Box(20, 20, 560, 370), Box(20, 410, 560, 370)
CONFLICT = "status of 409"  # how a browser notes that somebody else was quicker


@pytest.fixture
def api(configured: Settings) -> Iterator[Client]:
    """All of the interface over a page of two panels."""
    url, data = str(configured.database_url), picture(WIDTH, HEIGHT)
    [page] = add_pages(url, 1)
    digest = sha256(data).hexdigest()
    put_blob(storage_of(configured), digest, data)
    execute(
        url, "UPDATE page SET image_sha256 = :s, width = :w, height = :h WHERE id = :p",
        s=digest, w=WIDTH, h=HEIGHT, p=page,
    )  # fmt: skip
    add_layout(configured, page, [UPPER, LOWER])
    with running_api(configured, services=("ingestion", "detection", "web")) as address, Client(address) as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def tab(browser: Browser, api: Client) -> Iterator[Page]:
    """The page's screen; it fails the test when anything was complained about in the console."""
    page = browser.new_page(base_url=api.server, viewport={"width": 1280, "height": 960})
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/ui/pages/1")
    yield page
    page.close()
    assert [said for said in complaints if CONFLICT not in said] == []


def drag(tab: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one place of the page to another, in page pixels."""
    place: Any = tab.locator(".cuts").bounding_box()
    at = [(place["x"] + x * place["width"] / WIDTH, place["y"] + y * place["height"] / HEIGHT) for x, y in (start, end)]
    tab.mouse.move(*at[0])
    tab.mouse.down()
    tab.mouse.move(*at[1], steps=4)
    tab.mouse.up()


def act(tab: Page, name: str) -> Locator:
    return tab.locator("#corrector").get_by_role("button", name=name)


def near(box: Box) -> Any:
    return pytest.approx(tuple(box), abs=3)


def test_panels_are_drawn_stretched_numbered_and_stored_with_the_mouse(tab: Page, api: Client) -> None:
    tab.get_by_role("button", name="Correct").click()
    cuts = tab.locator(".cut")
    expect(cuts).to_have_count(2)
    drag(tab, (300, 600), (300, 610))  # chosen, and moved a little
    drag(tab, (580, 600), (300, 600))  # its right edge
    drag(tab, (330, 430), (570, 770))  # a new one where nothing is any more
    expect(cuts).to_have_count(3)
    act(tab, "Number by clicking").click()
    for place in ((450, 600), (150, 600), (300, 200)):
        drag(tab, place, place)
    tab.get_by_label("Your name").fill("Ann")
    act(tab, "Save panels").click()
    expect(tab.locator(".told-head")).to_contain_text("drawn by Ann")
    expect(tab.locator(".zone")).to_have_count(3)
    shown = api.active_layout(1)
    assert [tuple(panel.box) for panel in shown.panels] == [
        near(Box(330, 430, 240, 340)), near(Box(20, 420, 280, 370)), near(UPPER),
    ]  # fmt: skip
    assert shown.changes is not None
    assert [change.what for change in shown.changes.panels] == ["added", "moved", "kept"]
    # What the machine said is one button away.
    tab.keyboard.press("e")
    act(tab, "Back to the machine's").click()
    expect(tab.locator(".zone")).to_have_count(2)
    assert [layout.source for layout in api.layouts(1)] == ["model", "person"]


def test_panels_are_corrected_with_keys_alone_and_nobody_is_overwritten(tab: Page, api: Client) -> None:
    tab.evaluate("[1, 2].forEach(() => document.getElementById('correct').click())")  # one of them is enough
    expect(tab.locator(".cuts")).to_be_focused()
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("button", name="Panel 1 of 2")).to_be_focused()
    tab.keyboard.press(".")  # read later
    tab.keyboard.press("Shift+ArrowRight")
    tab.keyboard.press("n")
    expect(tab.locator(".cut")).to_have_count(3)
    tab.keyboard.press("Delete")
    tab.keyboard.press("Delete")
    expect(tab.locator(".cut")).to_have_count(1)
    tab.keyboard.press("Control+z")
    expect(tab.locator(".cut")).to_have_count(2)
    tab.evaluate(
        "fetch('/pages/1/panels', {method: 'PUT', headers: {'Content-Type': 'application/json'}, "
        "body: JSON.stringify({panels: [[0, 0, 600, 800]], author: 'Bob'})})"
    )
    act(tab, "Save panels").click()
    expect(tab.get_by_role("alert")).to_contain_text("Bob has corrected page 1")
    act(tab, "Replace it all the same").click()
    expect(tab.locator(".cuts")).to_have_count(0)
    assert [tuple(panel.box)[:2] for panel in api.panels(1)] == [LOWER[:2], UPPER[:2]]
    tab.keyboard.press("e")
    tab.get_by_label("This page has").select_option("only text or credits")
    expect(tab.locator(".cut")).to_have_count(0)
    act(tab, "Save panels").click()
    expect(tab.locator(".told-head")).to_contain_text("a page of text or credits")
    assert (api.active_layout(1).kind, api.active_layout(1).reason) == ("none", "text")


def test_panels_that_nobody_has_seen_before_are_read_as_the_comic_is(
    tab: Page, api: Client, configured: Settings
) -> None:
    url = str(configured.database_url)
    execute(url, "UPDATE page SET layout_id = NULL")
    execute(url, "UPDATE comic SET direction = 'rtl'")
    tab.reload()
    tab.keyboard.press("e")
    expect(tab.locator("#corrector-direction")).to_have_value("rtl")
    act(tab, "One picture").click()
    act(tab, "Save panels").click()
    expect(tab.locator(".zone")).to_have_count(1)
    assert api.active_layout(1).direction == "rtl"
