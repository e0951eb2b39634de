"""Part `duplicates` of the area `ingestion`: how many are found, how many are none, and what a larger library costs."""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from services.ingestion.records.comparison import POPULAR, surroundings
from shared.domain.marks import BAND
from shared.settings import Settings
from shared.store.db import rows, unit_of_work
from tests.equipment.made_library import made_library, measured
from tests.equipment.rows import add_pages, execute
from tests.equipment.servers import fresh_settings, running_servers

COMICS, PLANTED, PROSE = (int(part) for part in os.environ.get("BENCH_DUPLICATES", "500,60,200").split(","))
SIZES = (10_000, 100_000)
LOGOS = 0.05  # share of the synthetic pages that all look nearly the same
ASKED = 20  # comics of 20 pages
Figure = tuple[str, float, str]

# Pages that share a band with a page, as the stage looks them up: each band at most so often.
MET = """
    SELECT count(DISTINCT f.page_id) AS n FROM page_mark o CROSS JOIN LATERAL unnest(o.bands) v(value)
    CROSS JOIN LATERAL (SELECT page_id FROM page_mark WHERE bands @> ARRAY[v.value] LIMIT :popular) f
    WHERE o.page_id = :page AND f.page_id <> o.page_id"""


def figures() -> Iterator[Figure]:
    """All figures of the part."""
    with running_servers() as servers:
        home = Path(tempfile.mkdtemp(prefix="comics-bench-"))
        with fresh_settings(servers, home / "made") as configured:
            library = made_library(comics=COMICS, planted=PLANTED, prose=PROSE)
            for kind, found in measured(configured, library).items():
                yield f"dup_{kind}_precision", found.precision, "share"
                yield f"dup_{kind}_recall", found.recall, "share"
        for size in SIZES:
            with fresh_settings(servers, home / str(size)) as configured:
                yield from scaling(configured, size)


def scaling(configured: Settings, size: int) -> Iterator[Figure]:
    """Pages met by a page through its bands, and milliseconds to find what is near a comic of 20 pages."""
    url = str(configured.database_url)
    rng = np.random.default_rng(size)
    pages = [page for _ in range(size // 20) for page in add_pages(url, 20)]
    logo = rng.integers(0, 2, 160)
    for start in range(0, size, 5_000):
        told = [_synthetic(rng, page, logo) for page in pages[start : start + 5_000]]
        execute(
            url,
            "INSERT INTO page_mark (page_id, phash, sketch, bands) SELECT page_id, phash, "
            "decode(repeat('00', 972), 'hex'), ARRAY(SELECT jsonb_array_elements_text(bands)::int) "
            "FROM jsonb_to_recordset(CAST(:marks AS jsonb)) AS m(page_id bigint, phash bigint, bands jsonb)",
            marks=json.dumps(told),
        )
    execute(url, "ANALYZE page_mark")
    name = f"{size // 1000}k"
    with unit_of_work(url) as connection:
        asked = rng.choice(pages, 200, replace=False).tolist()
        met = [rows(connection, MET, page=page, popular=POPULAR)[0]["n"] for page in asked]
        chosen = rows(connection, "SELECT id FROM comic ORDER BY md5(id::text) LIMIT :n", n=ASKED)
        begun = time.perf_counter()
        for comic in chosen:
            surroundings(connection, comic["id"])
        taken = (time.perf_counter() - begun) / len(chosen)
    yield f"dup_candidates_{name}", float(np.median(met)), "pages"
    yield f"dup_candidates_most_{name}", float(max(met)), "pages"
    yield f"dup_look_ms_{name}", taken * 1000, "ms/comic"


def _synthetic(rng: np.random.Generator, page: int, logo: "np.typing.NDArray[np.int64]") -> dict[str, object]:
    """A mark of unrelated signs, or one of the many near-identical ones."""
    alike = rng.random() < LOGOS
    signs = (logo ^ (rng.random(160) < 0.01)) if alike else rng.integers(0, 2, 160)
    bands = []
    for number, chosen in enumerate(signs.reshape(8, BAND)):
        value = number << BAND | int(chosen @ (1 << np.arange(BAND)))
        bands += [value, value ^ 1 << int(rng.integers(BAND))]
    phash = int(np.packbits(signs[:64].astype(bool)).view(">i8")[0])
    return {"page_id": page, "phash": phash, "bands": bands}
