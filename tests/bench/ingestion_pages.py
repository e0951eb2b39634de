"""Part `pages` of the area `ingestion`: the whole stage against bare loops over the same pages, on all cores.

The floor of a CBZ reads, hashes and decodes every page once at an eighth of its size; the peer of a PDF draws every
page with PyMuPDF at the same scale and saves it in the same kind of file. Both have a process for each core, warm.
"""

import io
import math
import os
import random
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

import pymupdf
from PIL import Image

from services.ingestion.tasks import ingest
from services.training.generators.pages import make_comic
from shared.domain.pipeline import STAGES
from shared.files.children import children_of
from shared.files.pdf import JPEG_QUALITY
from shared.settings import Settings
from shared.store.blobs import put_blob_file, storage_of
from shared.store.db import row, unit_of_work
from shared.work.stages import run_batch
from tests.equipment.rows import execute, plan_stage
from tests.equipment.servers import fresh_settings, running_servers

SAMPLES = Path(os.environ.get("COMIC_SAMPLES") or Path(__file__).resolve().parents[3] / "shared" / "comics")
ROUNDS = 5
CBZ_PAGES, PDF_PAGES = 288, 48
LETTER = (612, 792)  # points
CORES = len(os.sched_getaffinity(0))
Figure = tuple[str, float, str]
Bare = Callable[[str, int], int]


def figures() -> Iterator[Figure]:
    """All figures of the part."""
    with running_servers() as servers, tempfile.TemporaryDirectory(prefix="comics-bench-") as folder:
        home = Path(folder)
        with fresh_settings(servers, home / "data") as configured, get_context("spawn").Pool(CORES) as pool:
            archive, document = cbz(home / "bench.cbz"), pdf(home / "bench.pdf")
            for name, path, bare, ratio in (
                ("cbz", archive, bare_loop, "cbz_vs_floor"),
                ("pdf", document, partial(bare_pymupdf, str(home)), "pdf_vs_pymupdf"),
            ):
                rates, ratios = compared(configured, pool, path, bare)
                yield f"{name}_pages_per_s", statistics.median(rates), "pages/s"
                yield ratio, statistics.median(ratios), "ratio"
            children_of(configured).close()


def compared(configured: Settings, pool: Pool, path: Path, bare: Bare) -> tuple[list[float], list[float]]:
    """Pages a second of the stage, and over those of the bare loop, for each round after the one that warms both."""
    rates, ratios = [], []
    for number in range(ROUNDS + 1):
        floor = _rate(lambda: sum(pool.starmap(bare, [(str(path), part) for part in range(CORES)], chunksize=1)))
        ours = _ingested(configured, path, number)
        if number:
            rates.append(ours)
            ratios.append(ours / floor)
    return rates, ratios


def _rate(work: Callable[[], int]) -> float:
    begun = time.perf_counter()
    pages = work()
    return pages / (time.perf_counter() - begun)


def _ingested(configured: Settings, path: Path, number: int) -> float:
    """Pages a second of the stage: claim, open, check, mark, store images and rows, finish, plan what follows."""
    url, storage = str(configured.database_url), storage_of(configured)
    # Or the second round would find every page kept already; their folders stay, as those of a library do.
    storage.delete_all(list(storage.list("blobs")))
    digest = sha256(path.read_bytes() + bytes([number])).hexdigest()
    put_blob_file(storage, digest, path)
    execute(
        url,
        "INSERT INTO comic (sha256, file_name, title, size, media_type) VALUES (:sha, :name, :name, 1, 'x')",
        sha=digest,
        name=path.name,
    )
    plan_stage(configured, "ingest")

    def work() -> int:
        assert run_batch(STAGES["ingest"], ingest) == 1
        with unit_of_work(url) as connection:
            found = row(
                connection,
                "SELECT c.page_count, (SELECT count(*) FROM page WHERE comic_id = c.id AND state = 'ok') AS ok "
                "FROM comic c WHERE sha256 = :sha",
                sha=digest,
            )
        assert found is not None
        assert found["page_count"] == found["ok"]
        return int(found["ok"])

    return _rate(work)


def bare_loop(path: str, part: int) -> int:
    """Read, hash and decode every n-th page of a zip, beginning with `part`; how many."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()[part::CORES]
        for name in names:
            data = archive.read(name)
            sha256(data).hexdigest()
            with Image.open(io.BytesIO(data)) as image:
                image.draft("L", (image.width // 8, image.height // 8))
                image.load()
    return len(names)


def bare_pymupdf(folder: str, path: str, part: int) -> int:
    """Draw and save every n-th page of a PDF, beginning with `part`; how many."""
    document = pymupdf.open(path)
    numbers = range(part, document.page_count, CORES)
    for number in numbers:
        page = document[number]
        scale = math.sqrt(4_000_000 / (page.rect.width * page.rect.height))
        pixels = page.get_pixmap(matrix=pymupdf.Matrix(scale, scale), alpha=False)
        if page.get_images():
            pixels.pil_save(f"{folder}/bare-{number}.jpg", quality=JPEG_QUALITY, subsampling=0)
        else:
            pixels.save(f"{folder}/bare-{number}.png")
    return len(numbers)


def cbz(path: Path) -> Path:
    """An archive of real pages, made ones where there are none; a comment in each makes its bytes its own."""
    pages = [page.read_bytes() for page in sorted(SAMPLES.glob("*/*.jpg"))] or _made()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number in range(CBZ_PAGES):
            page = pages[number % len(pages)]
            comment = f"{number:04}".encode()
            archive.writestr(f"{number:04}.jpg", page[:2] + b"\xff\xfe\x00\x06" + comment + page[2:])
    return path


def _made() -> list[bytes]:
    found = []
    for made in make_comic(1, pages=24):
        buffer = io.BytesIO()
        made.image.convert("RGB").save(buffer, "JPEG", quality=92)
        found.append(buffer.getvalue())
    return found


def pdf(path: Path) -> Path:
    """A document of drawn pages: every third a scan with lettering over it, the others lines, areas and text."""
    scans = _made()
    document, chance = pymupdf.open(), random.Random(1)
    for number in range(PDF_PAGES):
        page = document.new_page(width=LETTER[0], height=LETTER[1])
        if number % 3 == 0:
            page.insert_image(page.rect, stream=scans[number % len(scans)])
        else:
            _artwork(page, chance)
        for line in range(12):
            page.insert_text((40, 60 + line * 60), f"Page {number}: and then they argued on the rooftop.", fontsize=11)
    document.save(path, deflate=True)
    return path


def _artwork(page: pymupdf.Page, chance: random.Random) -> None:
    shape = page.new_shape()
    for _ in range(150):
        x, y = chance.uniform(0, LETTER[0]), chance.uniform(0, LETTER[1])
        ends = [(x + chance.uniform(-90, 90), y + chance.uniform(-90, 90)) for _ in range(3)]
        shape.draw_bezier((x, y), *ends)
        fill = tuple(chance.random() for _ in range(3)) if chance.random() < 0.3 else None
        shape.finish(color=(0, 0, 0), fill=fill, width=chance.uniform(0.3, 3))
    shape.commit()
