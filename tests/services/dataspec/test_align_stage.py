"""Stage *align* on a real database: what it writes, and what it must not overwrite."""

import json
from collections.abc import Sequence

from services.dataspec import tasks
from services.dataspec.views import specs_of
from shared.domain.pipeline import STAGES
from shared.domain.training import DatasetFilter
from shared.settings import Settings
from shared.store.db import row, rows, unit_of_work
from shared.work.jobs import Claim
from shared.work.stages import run_batch
from tests.equipment.rows import add_pages, execute, job_states, plan_stage

ALIGN = STAGES["align"]


def add_reading(url: str, page: int, engine: str, content: dict[str, object]) -> int:
    """An active extraction of the page's active layout; its id."""
    column = "ocr_id" if engine == "ocr" else "vlm_id"
    with unit_of_work(url) as connection:
        made = row(
            connection,
            "INSERT INTO extraction (page_id, engine, model, source, content, layout_id) "
            "SELECT id, :engine, 'm', 'model', CAST(:content AS jsonb), layout_id FROM page WHERE id = :page "
            "RETURNING id",
            engine=engine,
            content=json.dumps(content),
            page=page,
        )
    assert made is not None
    execute(url, f"UPDATE page SET {column} = :made WHERE id = :page", made=made["id"], page=page)
    return int(made["id"])


def add_page(configured: Settings) -> int:
    """A page of two panels, one above the other, and one line of text in the lower one."""
    url = str(configured.database_url)
    page = add_pages(url, 1)[0]
    execute(
        url,
        "WITH l AS (INSERT INTO layout (page_id, source, kind, direction, objects) VALUES (:p, 'model', 'panels', "
        "'ltr', '[]') RETURNING id), n AS (INSERT INTO panel (layout_id, position, x, y, w, h, score) "
        "SELECT l.id, n, 0, n * 75, 100, 70, 1 FROM l, generate_series(0, 1) n) "
        "UPDATE page SET layout_id = (SELECT id FROM l) WHERE id = :p",
        p=page,
    )
    line = {"text": "Héllo", "box": [10, 100, 40, 10], "confidence": 0.9}
    add_reading(url, page, "ocr", {"engine": "ocr", "model": "m", "lines": [line]})
    return page


def told(number: int) -> dict[str, object]:
    """A VLM's answer about one panel."""
    return {"number": number, "status": "ok", "description": f"seen {number}", "characters": [], "texts": []}


def texts(url: str) -> list[tuple[str, str, str]]:
    with unit_of_work(url) as connection:
        found = rows(connection, "SELECT t.* FROM panel_text t JOIN panel n ON n.id = t.panel_id ORDER BY n.position")
    return [(text["literal"], text["descriptive"], text["normalised"]) for text in found]


def test_text_goes_to_its_panel_and_is_made_searchable(configured: Settings) -> None:
    url = str(configured.database_url)
    page = add_page(configured)
    assert plan_stage(configured, "align") == 1
    run_batch(ALIGN, tasks.align)
    assert texts(url) == [("", "", ""), ("Héllo", "", "hello")]
    add_reading(url, page, "vlm", {"summary": "s", "panels": [told(1), told(2)], "missed": []})
    assert plan_stage(configured, "align") == 1
    run_batch(ALIGN, tasks.align)
    assert [text[:2] for text in texts(url)] == [("", "seen 1"), ("Héllo", "seen 2")]


def test_what_is_searched_and_embedded_is_what_a_dataspec_says(configured: Settings) -> None:
    url = str(configured.database_url)
    page = add_page(configured)
    second = told(2) | {"texts": [{"kind": "sound", "speaker": None, "text": "KABOOM"}]}
    add_reading(url, page, "vlm", {"summary": "s", "panels": [told(1), second], "missed": []})
    plan_stage(configured, "align")
    run_batch(ALIGN, tasks.align)
    with unit_of_work(url) as connection:
        (spec,) = specs_of(connection, DatasetFilter(), quality="any")
    assert texts(url)[1] == ("Héllo\nKABOOM", "seen 2", "hello kaboom seen 2")
    assert [(panel.text, panel.descriptive) for panel in spec.panels] == [text[:2] for text in texts(url)]


def test_verdicts_are_written_and_shown_with_their_reasons(configured: Settings) -> None:
    from fastapi.testclient import TestClient

    from services.dataspec.api import app

    url = str(configured.database_url)
    page = add_page(configured)
    api = TestClient(app)
    assert api.get(f"/alignment/{page}").json()["aligned"] is False
    plan_stage(configured, "align")
    run_batch(ALIGN, tasks.align)
    shown = api.get(f"/alignment/{page}").json()
    assert (shown["aligned"], shown["perfect"], shown["reason"], shown["equal_counts"]) == (True, True, None, None)
    assert [panel["verdict"] for panel in shown["panels"]] == ["silent", "verified"]
    assert [piece["text"] for piece in shown["panels"][1]["pieces"]] == ["Héllo"]
    second = told(2) | {"texts": [{"kind": "dialogue", "speaker": None, "text": "Something else"}]}
    add_reading(url, page, "vlm", {"summary": "s", "panels": [told(1), second], "missed": []})
    # A verdict about an older reading is no verdict about the page.
    assert api.get(f"/alignment/{page}").json()["aligned"] is False
    plan_stage(configured, "align")
    run_batch(ALIGN, tasks.align)
    shown = api.get(f"/alignment/{page}").json()
    assert (shown["perfect"], shown["equal_counts"]) == (False, True)
    assert shown["panels"][1]["reason"] == "the VLM read “Something else”, OCR did not"


def test_a_page_without_panels_is_judged_too(configured: Settings) -> None:
    url = str(configured.database_url)
    page = add_page(configured)
    execute(url, "DELETE FROM panel")
    plan_stage(configured, "align")
    run_batch(ALIGN, tasks.align)
    with unit_of_work(url) as connection:
        judged = row(connection, "SELECT * FROM alignment WHERE page_id = :page", page=page)
    assert judged is not None
    assert (judged["perfect"], judged["reason"]) == (False, "the page has no panels")
    assert [left["text"] for left in judged["leftovers"]] == ["Héllo"]


def test_nothing_is_silent_where_ocr_looked_into_boxes_only(configured: Settings) -> None:
    add_page(configured)
    execute(str(configured.database_url), "UPDATE extraction SET content = content || '{\"whole_page\": false}'")
    plan_stage(configured, "align")
    run_batch(ALIGN, tasks.align)
    with unit_of_work(str(configured.database_url)) as connection:
        found = rows(connection, "SELECT t.verdict FROM panel_text t JOIN panel n ON n.id = t.panel_id ORDER BY n.id")
    assert [text["verdict"] for text in found] == ["unverified", "verified"]


def test_a_page_whose_inputs_come_back_while_they_are_aligned_is_aligned_to_them(configured: Settings) -> None:
    url = str(configured.database_url)
    page = add_page(configured)
    plan_stage(configured, "align")
    add_reading(url, page, "vlm", {"summary": "s", "panels": [told(1), told(2)], "missed": []})

    def taken_back(claims: Sequence[Claim]) -> object:
        for outcome in tasks.align(claims):
            execute(url, "UPDATE page SET vlm_id = NULL WHERE id = :page", page=page)
            assert plan_stage(configured, "align") == 0, "the running job was planned for these inputs"
            yield outcome

    run_batch(ALIGN, taken_back)  # type: ignore[arg-type]
    assert job_states(url, "align") == {"done": 1, "queued": 1}


def test_a_late_align_never_overwrites_a_newer_one(configured: Settings) -> None:
    """Between its reading and its writing a paid answer arrives and is aligned by somebody else."""
    url = str(configured.database_url)
    page = add_page(configured)
    plan_stage(configured, "align")

    def overtaken(claims: Sequence[Claim]) -> object:
        for outcome in tasks.align(claims):
            add_reading(url, page, "vlm", {"summary": "s", "panels": [told(1), told(2)], "missed": []})
            plan_stage(configured, "align")
            run_batch(ALIGN, tasks.align)
            yield outcome

    run_batch(ALIGN, overtaken)  # type: ignore[arg-type]
    assert [text[1] for text in texts(url)] == ["seen 1", "seen 2"]
    assert job_states(url, "align") == {"done": 2}
    # What was not written is planned again should its inputs become active once more.
    execute(url, "UPDATE page SET vlm_id = NULL WHERE id = :page", page=page)
    assert plan_stage(configured, "align") == 1
