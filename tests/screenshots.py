"""Pictures of every screen: light, dark and on a phone, into out/screenshots.

python -m tests.screenshots        (make screenshots)

The comics in them are made stories, so that the pictures may go wherever this project goes.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from services.training.generators.stories import make_story
from shared.domain.arrivals import Shelf
from shared.domain.training import DatasetRequest, RunConfig, RunRequest
from shared.http.client import Client
from tests.equipment.installation import ROOT, Installation, data_folder, running, wait_for_end

OUT = ROOT / "out" / "screenshots"
BUNDLE, SCANS = Shelf(source="Humble Bundle", collection="Short days"), Shelf(source="Scans")
# Seed, shelf and scale of each comic; one is there twice. The newest stands first.
COMICS = ((12, BUNDLE, 1), (12, SCANS, 0.7), (3, BUNDLE, 1), (8, SCANS, 1), (0, BUNDLE, 1))
KINDS = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844}, "color_scheme": "light", "device_scale_factor": 2,
        "has_touch": True, "is_mobile": True,
    },
}  # fmt: skip


def screens(client: Client, dataset: int, run: int) -> dict[str, str]:
    """An address by name for every screen worth a picture."""
    comic = max(client.comics(), key=lambda found: found.id)
    page = list(client.pages(comic.id))[1]
    panel = next((found.id for found in client.panels(page.id)), 1)
    return {
        "library": "/ui/", "duplicates": "/ui/duplicates", "comic": f"/ui/comics/{comic.id}",
        "page": f"/ui/pages/{page.id}#panel-{panel}",
        "search": "/ui/search", "words": "/ui/search?q=drum", "alike": f"/ui/search?panel={panel}",
        "training": "/ui/training", "dataset": f"/ui/datasets/{dataset}", "run": f"/ui/runs/{run}",
        "costs": "/ui/costs", "work": "/ui/work",
    }  # fmt: skip


def fill(client: Client, folder: Path) -> tuple[int, int]:
    """Comics, a dataset of them and a run on it; the ids of the last two."""
    for seed, shelf, scale in COMICS:
        story = make_story(seed, pages=5, width=1000, height=1400)
        made = folder / (story.title if scale == 1 else f"{story.title} (scan)")
        made.mkdir()
        for number, page in enumerate(story.pages):
            size = (round(page.image.width * scale), round(page.image.height * scale))
            page.image.resize(size).save(made / f"{number:02}.png")
        comic = client.add(made, shelf=shelf).id
        client.edit(comic, series="Somebody's day", number=str(seed), year=2026)
        wait_for_end(client, comic, seconds=300)
    dataset = client.freeze(DatasetRequest(name="Everything so far", quality="any", held_out=0.3))
    config = RunConfig(epochs=6, steps_per_epoch=10, stories=20)
    run = client.train(RunRequest(dataset_id=dataset.id, config=config))
    deadline = time.monotonic() + 600
    while client.run(run.id).state in ("queued", "running"):
        assert time.monotonic() < deadline, "the run does not end"
        time.sleep(1)
    return dataset.id, run.id


def take(browser: Browser, installation: Installation, addresses: dict[str, str]) -> int:
    """A picture of every address in every kind; how many."""
    for kind, options in KINDS.items():
        context = browser.new_context(base_url=installation.api, **options)  # type: ignore[arg-type]
        tab = context.new_page()
        for name, address in addresses.items():
            tab.goto(address, wait_until="networkidle" if name not in ("run",) else "load")
            tab.wait_for_timeout(800)
            tab.screenshot(path=OUT / f"{name}-{kind}.png")
        context.close()
    return len(KINDS) * len(addresses)


def main() -> None:
    """Start an installation, fill it, take the pictures, stop it."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with (
        tempfile.TemporaryDirectory() as scratch,
        data_folder() as home,
        running(home) as installation,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        count = take(browser, installation, {"welcome": "/ui/"})
        with installation.client() as client:
            dataset, run = fill(client, Path(scratch))
            count += take(browser, installation, screens(client, dataset, run))
        browser.close()
    sys.stdout.write(f"{count} pictures in {OUT.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
