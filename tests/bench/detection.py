"""Area `detection`: the whole stage against the bare network on the same pages, and what large pages cost.

The peer has the pages decoded, resized and on the device already, and sees them in the batches and with the threads of
the stage. Rounds of the two alternate, so that a busy machine is as busy for both.
"""

import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread

import torch
from PIL import Image

from services.detection.detector import Detector
from services.detection.pages_ahead import Page, ahead, batches
from services.detection.tasks import detect, loaded
from services.standalone import prepare
from services.training.generators.pages import make_comic
from shared.domain.pipeline import STAGES
from shared.errors import Reject
from shared.nn.detector import on_device
from shared.settings import Settings
from shared.store import checkpoints
from shared.store.blobs import put_blob, storage_of
from shared.store.db import unit_of_work
from shared.work.stages import run_batch
from tests.equipment.rows import add_pages, execute, job_states, plan_stage
from tests.equipment.servers import fresh_settings, running_servers

PAGES, ROUNDS = 64, 3
SMALL, LARGE = 1_000_000, 12_000_000  # pixels
ALIKE, LARGE_ROUNDS = 8, 3
Figure = tuple[str, float, str]


def figures() -> Iterator[Figure]:
    """All figures of the area."""
    # As a worker of the queue "gpu" has them on a single machine: half of the cores.
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    pages = [page.image.convert("RGB") for page in make_comic(1, pages=PAGES)]
    with (
        running_servers() as servers,
        tempfile.TemporaryDirectory(prefix="comics-bench-") as folder,
        fresh_settings(servers, Path(folder)) as configured,
    ):
        yield from throughput(configured, [jpeg(page) for page in pages])
        yield from sizes(_detector(configured), pages[:ALIKE])


def throughput(configured: Settings, pages: Sequence[bytes]) -> Iterator[Figure]:
    """Pages a second of the stage, from claims to layouts, and over those of the bare network."""
    prepare(configured)
    ids = _kept(configured, pages)
    plan_stage(configured, "detect", ids)
    detector = _detector(configured)
    ready = [page for page in ahead(_pages(pages), detector.config, most=4, threads=1) if not isinstance(page, Reject)]
    shown = [
        on_device([page.shown.pixels for page in part], detector.device) for part in batches(ready, most=detector.batch)
    ]
    rates, ratios = [], []
    for number in range(ROUNDS + 1):
        before = len(ids) / _seconds(lambda: detector.forward(shown))
        ours = len(ids) / _seconds(lambda: _staged(configured))
        after = len(ids) / _seconds(lambda: detector.forward(shown))
        execute(str(configured.database_url), "UPDATE job SET state = 'queued', attempt = 0 WHERE stage = 'detect'")
        if number:  # the first warms both
            rates.append(ours)
            ratios.append(2 * ours / (before + after))
    yield "detect_pages_per_s", statistics.median(rates), "pages/s"
    yield "detect_vs_model", statistics.median(ratios), "ratio"


def sizes(detector: Detector, pages: Sequence[Image.Image]) -> Iterator[Figure]:
    """Seconds a page of 12 megapixels takes over one of a megapixel, and the memory that the large ones take."""
    small, large = ([jpeg(_of(page, pixels)) for page in pages] for pixels in (SMALL, LARGE))
    ratios = []
    for number in range(LARGE_ROUNDS + 1):
        taken = [_seconds(partial(_detect_all, detector, some)) for some in (small, large)]
        if number:
            ratios.append(taken[1] / taken[0])
    yield "detect_large_vs_small", statistics.median(ratios), "ratio"
    yield "detect_mb_large", _peak(lambda: _detect_all(detector, large * 2)) / 1e6, "MB"


def jpeg(page: Image.Image) -> bytes:
    """A page as most comics hold it."""
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _of(page: Image.Image, pixels: int) -> Image.Image:
    scale = (pixels / (page.width * page.height)) ** 0.5
    return page.resize((round(page.width * scale), round(page.height * scale)), Image.Resampling.BICUBIC)


def _pages(contents: Sequence[bytes]) -> list[Page]:
    return [Page(f"{number}.jpg", partial(bytes, content)) for number, content in enumerate(contents)]


def _detect_all(detector: Detector, contents: Sequence[bytes]) -> None:
    for _ in detector.detect_ahead(_pages(contents)):
        pass


def _kept(configured: Settings, pages: Sequence[bytes]) -> list[int]:
    """A comic of these pages; their ids."""
    url, storage = str(configured.database_url), storage_of(configured)
    ids = add_pages(url, len(pages))
    for page, content in zip(ids, pages, strict=True):
        digest = sha256(content).hexdigest()
        put_blob(storage, digest, content)
        execute(url, "UPDATE page SET image_sha256 = :s, width = 1000, height = 1400 WHERE id = :p", s=digest, p=page)
    return ids


def _detector(configured: Settings) -> Detector:
    """The one that the stage uses in this process."""
    with unit_of_work(str(configured.database_url)) as connection:
        key = checkpoints.active(connection, "detector")["key"]
    return loaded(key, configured.device)


def _staged(configured: Settings) -> None:
    while run_batch(STAGES["detect"], detect):
        pass
    assert job_states(str(configured.database_url), "detect") == {"done": PAGES}


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _peak(work: Callable[[], object]) -> float:
    """Bytes that the process has in memory at most while it works, over what it had before."""
    done, before = Event(), _resident()
    peak = [before]

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], _resident())

    watcher = Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return float(peak[0] - before)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
