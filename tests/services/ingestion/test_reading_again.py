"""A comic that is read again: what people wished, what was made of its pages, and what is to be done anew."""

import io
from typing import Any

import pymupdf
import pytest
from PIL import Image, ImageDraw

from services.ingestion.records.hiding import hide_comics, wish_page
from services.ingestion.tasks import ingest
from shared.domain.pipeline import STAGES
from shared.domain.schema import Box, DetectedObject, Direction, PageExtraction, PagePanels, TextLine
from shared.settings import Settings, settings
from shared.store.active import activate
from shared.store.db import rows, unit_of_work
from shared.store.layouts import add_layout, layout_of, machines_layout
from shared.store.readings import store_read
from shared.work.stages import run_batch
from tests.equipment.hostile_files import picture, zipped
from tests.equipment.rows import execute, job_states, plan_stage
from tests.services.ingestion.test_ingest_stage import added, pages_of

INFO = b'<ComicInfo><Pages><Page Image="1" Type="Deleted"/></Pages></ComicInfo>'
FRAMES = b"""<ACBF><body><page><image href="p0.jpg"/><frame points="0,0 290,0 290,800 0,800"/>
    <frame points="310,0 600,0 600,800 310,800"/></page></body></ACBF>"""


def scanned(files: dict[str, bytes]) -> bytes:
    """Two pages that look nothing alike, and these files."""
    circles = Image.new("RGB", (600, 800), "white")
    for k in range(9):
        ImageDraw.Draw(circles).ellipse((60 * k, 70 * k, 60 * k + 90, 70 * k + 120), fill="black")
    out = io.BytesIO()
    circles.save(out, "PNG")
    return zipped({"p0.jpg": picture(600, 800), "p1.png": out.getvalue()} | files)


def read_once(configured: Settings, data: bytes, *, name: str = "comic.cbz") -> int:
    comic = added(configured, data, name=name)
    assert run_batch(STAGES["ingest"], ingest) == 1
    return comic


def read_again(configured: Settings) -> None:
    """What another version of the stage does."""
    execute(
        str(configured.database_url),
        "UPDATE job SET fingerprint = concat(fingerprint, ' overtaken ', id) WHERE stage = 'ingest'",
    )
    plan_stage(configured, "ingest")
    assert run_batch(STAGES["ingest"], ingest) == 1
    assert set(job_states(str(configured.database_url), "ingest")) == {"done"}


def hidden(configured: Settings, comic: int) -> list[str | None]:
    return [page["hidden"] for page in pages_of(configured, comic)]


def active_of(configured: Settings) -> list[dict[str, Any]]:
    """Of each page its size, the active layout's source and first panel, and the first line of the active reading."""
    with unit_of_work(str(configured.database_url)) as connection:
        found = rows(
            connection,
            "SELECT p.width, p.height, l.source, n.w, n.h, e.content #> '{lines,0,box}' AS line FROM page p "
            "LEFT JOIN layout l ON l.id = p.layout_id LEFT JOIN panel n ON n.layout_id = l.id AND n.position = 0 "
            "LEFT JOIN extraction e ON e.id = p.ocr_id ORDER BY p.number",
        )
    return [dict(one) for one in found]


def found_on(page: Any, box: Box) -> PagePanels:
    """A layout of one panel."""
    return PagePanels(
        width=page["width"],
        height=page["height"],
        kind="panels",
        direction=Direction.LTR,
        panels=[DetectedObject(label="panel", box=box, score=1.0)],
    )


def give(configured: Settings, page: int, *, width: int, height: int) -> None:
    """A person's layout of one panel, the upper half, and a line read in the middle of it."""
    found = found_on({"width": width, "height": height}, Box(0, 0, width, height / 2))
    line = TextLine(text="A", box=Box(width / 4, height / 4, width / 2, height / 8), confidence=1.0)
    with unit_of_work(str(configured.database_url)) as connection:
        activate(connection, page, "layout_id", add_layout(connection, page, found, source="person"), source="person")
        store_read(connection, page, PageExtraction(engine="ocr", model="m", lines=[line]))


def test_a_page_that_a_person_shows_stays_shown_whatever_the_file_says(configured: Settings) -> None:
    comic = read_once(configured, scanned({"ComicInfo.xml": INFO}))
    assert hidden(configured, comic) == [None, "deleted"]
    page = pages_of(configured, comic)[1]["id"]
    for wish, told in ((False, None), (True, "person")):
        with unit_of_work(str(configured.database_url)) as connection:
            wish_page(connection, page, hidden=wish)
        read_again(configured)
        assert hidden(configured, comic) == [None, told]


def test_work_on_a_page_that_its_file_takes_out_is_withdrawn(configured: Settings) -> None:
    url = str(configured.database_url)
    comic = read_once(configured, scanned({"ComicInfo.xml": INFO}))
    execute(url, "UPDATE page SET hidden = NULL")  # as a version left it that read no ComicInfo
    plan_stage(configured, "read")
    execute(url, "UPDATE job SET state = 'blocked' WHERE stage = 'read'")
    read_again(configured)
    assert hidden(configured, comic) == [None, "deleted"]
    assert job_states(url, "read") == {"blocked": 1}


def test_a_page_that_a_hidden_comic_did_not_have_before_is_hidden_with_it(configured: Settings) -> None:
    comic = read_once(configured, scanned({}))
    with unit_of_work(str(configured.database_url)) as connection:
        hide_comics(connection, [comic])
    execute(str(configured.database_url), "DELETE FROM page WHERE number = 1")
    read_again(configured)
    assert hidden(configured, comic) == ["duplicate", "duplicate"]


def test_panels_that_a_newer_version_finds_in_the_file_are_aligned(configured: Settings) -> None:
    url = str(configured.database_url)
    comic = read_once(configured, scanned({"book.acbf": FRAMES}))
    execute(url, "UPDATE page SET layout_id = NULL")
    execute(url, "DELETE FROM layout")
    with unit_of_work(url) as connection:
        store_read(connection, pages_of(configured, comic)[0]["id"], PageExtraction(engine="ocr", model="m", lines=[]))
    assert job_states(url, "align") == {}
    read_again(configured)
    assert [page["source"] for page in active_of(configured)] == ["import", None]
    assert job_states(url, "align") == {"queued": 1}


def test_what_was_made_of_a_page_fits_the_size_at_which_it_is_drawn_anew(
    configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = pymupdf.open()
    drawn = document.new_page(width=400, height=600)
    drawn.draw_rect((10, 10, 200, 300), fill=(1, 0, 0))
    for k in range(8):
        drawn.insert_text((40 + 30 * k, 350 + 25 * k), f"hello {k}", fontsize=20)
    comic = read_once(configured, document.tobytes(), name="a.pdf")
    [page] = pages_of(configured, comic)
    seen = Box(0, 0, page["width"] / 2, page["height"])
    with unit_of_work(str(configured.database_url)) as connection:
        add_layout(connection, page["id"], found_on(page, seen), source="model")
    give(configured, page["id"], width=page["width"], height=page["height"])
    monkeypatch.setenv("COMICS_PDF_PIXELS", "500000")
    settings.cache_clear()
    read_again(configured)
    [found] = active_of(configured)
    width, height = found["width"], found["height"]
    assert width < page["width"]
    assert (found["source"], found["w"], found["h"]) == ("person", pytest.approx(width), pytest.approx(height / 2))
    assert found["line"] == pytest.approx([width / 4, height / 4, width / 2, height / 8])
    [page] = pages_of(configured, comic)
    with unit_of_work(str(configured.database_url)) as connection:
        machines = machines_layout(connection, page["id"], image=page["image_sha256"])
        assert machines is not None
        assert layout_of(connection, machines).panels[0].box == pytest.approx((0, 0, width / 2, height))


def test_layouts_stay_those_of_a_picture_that_is_only_packed_otherwise(configured: Settings) -> None:
    comic = read_once(configured, scanned({}))
    [page, _] = pages_of(configured, comic)
    execute(str(configured.database_url), "UPDATE page SET image_sha256 = 'as a version left it' WHERE number = 0")
    give(configured, page["id"], width=600, height=800)
    read_again(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        [layout] = rows(connection, "SELECT image_sha256 FROM layout")
    assert layout["image_sha256"] == page["image_sha256"]


def test_what_was_made_of_another_picture_is_kept_but_not_active(configured: Settings) -> None:
    url = str(configured.database_url)
    comic = read_once(configured, scanned({}))
    for page in pages_of(configured, comic):
        give(configured, page["id"], width=600, height=800)
    plan_stage(configured, "read")
    execute(url, "UPDATE job SET state = 'done' WHERE stage = 'read'")
    # As a version left it that had the pages the other way round.
    execute(url, "UPDATE page p SET image_sha256 = o.image_sha256 FROM page o WHERE o.id <> p.id")
    execute(
        url, "UPDATE page_mark m SET sketch = o.sketch, phash = o.phash FROM page_mark o WHERE o.page_id <> m.page_id"
    )
    read_again(configured)
    assert [(page["source"], page["line"]) for page in active_of(configured)] == [(None, None)] * 2
    assert job_states(url, "read") == {"done": 2, "queued": 2}
    with unit_of_work(url) as connection:
        assert len(rows(connection, "SELECT FROM layout")) == len(rows(connection, "SELECT FROM extraction")) == 2
