"""`make demo`: the main job on one comic, from nothing to a contact sheet, and nothing left running.

    python -m services.demo [COMIC] [--out FILE.png] [--begun EPOCH_SECONDS]

Starts everything in a temporary data folder, adds the comic (or one it makes), waits, asks by panel, by picture and by
words taken from the comic; then trains an encoder on its pages, promotes it, asks the same again, and says what came of
it. The last line is for machines.
"""

import argparse
import io
import random
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image, ImageEnhance

from services.following import follow, follow_run, wait_for_promotion
from services.search.contact_sheet import ContactRow, contact_sheet
from services.standalone import up
from services.training.generators.pages import make_comic
from shared.domain.answers import ComicView, PanelView, SearchAnswer
from shared.domain.pictures import Picture, decode
from shared.domain.training import DatasetRequest, DatasetView, RunConfig, RunRequest
from shared.errors import ComicsError
from shared.http.client import ApiError, Client
from shared.settings import read_settings

SEED = 20261122
HITS = 6
TIMED = 30  # queries whose median is the figure
LESSON = RunConfig(stories=30, epochs=3, steps_per_epoch=20)  # a minute on two cores
RECALLS = ("crop_to_panel_r10", "image_to_text_r10", "text_to_image_r10")
WORD = re.compile(r"[^\W\d_]{4,}")


def main() -> int:
    """Run the demo; 0 when everything reached a good end."""
    parser = argparse.ArgumentParser(description="The main job on one comic, end to end.")
    parser.add_argument("comic", nargs="?", type=Path, help="a CBZ, PDF or folder of images; else one is made")
    parser.add_argument("--out", type=Path, default=Path("out/demo.png"), help="the contact sheet")
    parser.add_argument("--begun", type=float, help="when set-up began, in seconds since 1970")
    chosen = parser.parse_args()
    begun = time.time()
    home = Path(tempfile.mkdtemp(prefix="comics-demo-"))
    home.chmod(0o755)
    try:
        comic = chosen.comic or made_comic(home / "The made comic")
        # Nothing of the caller's environment: neither their library, nor their token, nor their money.
        configured = read_settings({"COMICS_HOME": str(home / "data"), "COMICS_PORT": "0", "COMICS_FLOWER_PORT": "0"})
        with (
            up(configured, say=lambda line: print(f"· {line}", flush=True)) as addresses,
            Client(addresses.api) as client,
        ):
            line = show(client, comic, chosen.out)
    except ComicsError as error:
        print(f"demo failed: {error}")
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    seconds = time.time() - begun
    if chosen.begun is not None:
        print(f"{seconds:.1f} s without set-up, {time.time() - chosen.begun:.1f} s with it")
    failed = int(line.split("failed=")[1].split()[0])
    print(f"demo {'ok' if failed == 0 else 'FAILED'} {line} seconds={seconds:.1f}")
    return 0 if failed == 0 else 1


def made_comic(folder: Path) -> Path:
    """A comic nobody drew: a folder of eight made pages."""
    folder.mkdir(parents=True)
    for number, page in enumerate(make_comic(SEED, pages=8), start=1):
        page.image.convert("RGB").save(folder / f"page{number:02}.jpg", quality=90)
    return folder


def show(client: Client, path: Path, out: Path) -> str:
    """Add, wait, ask, draw and tell; the counts of the last line."""
    print(f"adding {path.name}")
    comic: ComicView = client.add(path)
    begun = time.perf_counter()
    follow(client, comic.id)
    worked = time.perf_counter() - begun
    comic = client.comic(comic.id)
    if comic.state == "failed":
        raise ComicsError(f"{comic.error}")
    pages = list(client.pages(comic.id))
    panels = [panel for page in pages for panel in client.panels(page.id)]
    worded = [panel for panel in panels if panel.literal.strip()]
    failures = [page.error for page in pages if page.error] + [job.error for job in client.jobs(comic_id=comic.id)]
    for failure in failures:
        print(f"failed: {failure}")
    print(f"{len(pages)} pages, {len(panels)} panels, {len(worded)} with text, in {worked:.1f} s of work")
    rows = queries(client, panels, worded, by="starter")
    milliseconds, vectors = timed(client, panels), client.embeddings().rows
    learnt = learn(client)
    rows += queries(client, panels, worded, by="trained")
    out.parent.mkdir(parents=True, exist_ok=True)
    subtitle = f"{len(pages)} pages, {len(panels)} panels, {len(worded)} of them with text"
    contact_sheet(rows, title=comic.title, subtitle=subtitle).save(out)
    print(f"queries and results: {out}")
    return (
        f"pages={len(pages)} panels={len(panels)} panels_with_text={len(worded)} vectors={vectors} "
        f"failed={len(failures)} query_ms={milliseconds:.1f} {learnt}"
    )


def learn(client: Client) -> str:
    """Freeze the pages, train on them and on made stories, promote what came of it; the end of the last line.

    Measured on made stories that were kept aside: `recall10` is the mean, over the panels of those, of finding a panel
    by a changed piece of it, its text by its picture and its picture by its text among the first ten.
    """
    dataset = frozen(client)
    if dataset is None:
        return "run=skipped"
    run = client.train(RunRequest(dataset_id=dataset.id, option="context-denoise", config=LESSON))
    print(f"training on {dataset.counts.pages} pages of the comic and {LESSON.stories} made stories")
    run = follow_run(client, run.id)
    if run.state != "done" or run.checkpoint_id is None:
        raise ComicsError(f"The run {run.state}: {run.error}")
    measured = [point.values for point in client.run_points(run.id) if point.kind == "held_out"]
    before, after = (fmean(values[name] for name in RECALLS) for values in (measured[0], measured[-1]))
    promotion = wait_for_promotion(client, client.promote(run.checkpoint_id))
    if promotion.state != "done":
        raise ComicsError(f"The promotion of checkpoint {run.checkpoint_id} was {promotion.state}.")
    print(f"promoted checkpoint {run.checkpoint_id}: {promotion.embedded} pages embedded anew")
    return f"run=ok checkpoint={run.checkpoint_id} recall10_before={before:.3f} recall10_after={after:.3f}"


def frozen(client: Client) -> DatasetView | None:
    """A dataset of the pages whose text is verified; where there is none, of all pages with panels, and said so."""
    for quality in ("perfect", "any"):
        try:
            return client.freeze(DatasetRequest.model_validate({"quality": quality, "name": "demo"}))
        except ApiError as error:
            print(f"dataset: {error}")
    return None


def queries(client: Client, panels: list[PanelView], worded: list[PanelView], *, by: str) -> list[ContactRow]:
    """Three searches and their pictures: by a panel, by a changed picture of one, by words of one.

    `by` names the encoder that answers; the questions are always the same.
    """
    if not panels:
        return []
    chance = random.Random(SEED)
    by_panel, by_image = chance.choice(panels), chance.choice(panels)
    rows = [
        row(client, f"{by}: like panel {by_panel.id}", client.search(panel_id=by_panel.id, limit=HITS), of=by_panel)
    ]
    changed = altered(client.picture(by_image.image))
    answer = client.search(image=changed, limit=HITS)
    found = any(hit.panel_id == by_image.id for hit in answer.hits[:1])
    place = "found first" if found else "not found first"
    print(f"{by}, by picture: panel {by_image.id} cut, darkened and shrunk, {place}")
    rows.append(row(client, f"{by}: picture of panel {by_image.id}, changed", answer, image=decode(changed)))
    if worded:
        source = chance.choice(worded)
        words = " ".join((WORD.findall(source.literal) or source.literal.split())[:3])
        answer = client.search(words=words, limit=HITS)
        found = any(hit.panel_id == source.id for hit in answer.hits)
        print(f"{by}, by words: {words!r} from panel {source.id}, {'found' if found else 'NOT found'}")
        rows.append(row(client, f"{by}: words of panel {source.id}", answer, text=words))
    return rows


def row(
    client: Client,
    title: str,
    answer: SearchAnswer,
    *,
    of: PanelView | None = None,
    image: Picture | None = None,
    text: str | None = None,
) -> ContactRow:
    """One query and its results as the contact sheet shows them."""
    if of is not None:
        image = decode(client.picture(of.image))
    hits = [
        (
            decode(client.picture(hit.panel_image or hit.page_image)),
            f"{hit.score:.2f} · page {hit.page_number + 1}\n{' '.join(hit.text.split())[:60]}",
        )
        for hit in answer.hits
    ]
    return ContactRow(title=title, query_image=image, query_text=text, hits=hits)


def altered(picture: bytes) -> bytes:
    """A panel as another scan would show it: a tenth cut from each side, darker, half the size, recompressed."""
    image = Image.fromarray(decode(picture))
    width, height = image.size
    image = image.crop((width // 10, height // 10, width - width // 10, height - height // 10))
    image = ImageEnhance.Brightness(image).enhance(0.8)
    image = image.resize((max(1, image.width // 2), max(1, image.height // 2)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()


def timed(client: Client, panels: list[PanelView]) -> float:
    """Median milliseconds of a query by panel over HTTP, as the client sees it."""
    taken = []
    for number in range(TIMED if panels else 0):
        begun = time.perf_counter()
        client.search(panel_id=panels[number % len(panels)].id)
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken) if taken else float(np.nan)


if __name__ == "__main__":
    raise SystemExit(main())
