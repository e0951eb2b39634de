"""Nothing is done for a hidden page and it holds nothing up; shown again, it lacks nothing.

That it is not found stands in the tests of search, that it is not frozen in those of datasets.
"""

from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from services.ingestion.api import app
from services.search.tasks import reembed
from services.standalone import prepare
from shared.domain.pipeline import STAGES
from shared.settings import Settings
from shared.store.checkpoints import active
from shared.store.db import rows, unit_of_work
from shared.work import promotions
from shared.work.hidden import PAGE_STAGES
from shared.work.stages import run_batch
from tests.equipment.rows import add_pages, execute, job_states, plan_stage
from tests.services.search.test_embedding import add_made_comic, embed
from tests.services.search.test_promotion import another_encoder, begin

# Every stage that works on pages, with settings under which each has something to do.
ENGINE = {"vlm_url": "http://127.0.0.1:1/v1", "vlm_model": "m", "vlm_budget": Decimal(1)}


def hide(page: int, *, hidden: bool = True) -> None:
    assert TestClient(app).patch(f"/pages/{page}", json={"hidden": hidden}).status_code == 200


def jobs_of(configured: Settings, page: int) -> dict[str, str]:
    with unit_of_work(str(configured.database_url)) as connection:
        found = rows(
            connection,
            "SELECT stage, state FROM job WHERE subject_id = :page AND stage <> ALL(ARRAY['ingest', 'compare'])",
            page=page,
        )
    return {job["stage"]: job["state"] for job in found}


def test_no_stage_is_planned_for_a_hidden_page(configured: Settings) -> None:
    prepare(configured)
    paying = configured.model_copy(update=ENGINE)
    pages = add_made_comic(configured, count=2)
    url = str(configured.database_url)
    with unit_of_work(url) as connection:
        encoder = active(connection, "encoder")["id"]
        other = rows(
            connection,
            "INSERT INTO checkpoint (kind, sha256, key, config, origin) SELECT kind, 'other', key, config, 'trained' "
            "FROM checkpoint WHERE id = :id RETURNING id",
            id=encoder,
        )[0]["id"]
        connection.execute(
            sa.text("INSERT INTO promotion (checkpoint_id, previous_id) VALUES (:new, :old)"),
            {"new": other, "old": encoder},
        )
    execute(url, "UPDATE page SET ocr_id = NULL")
    execute(url, "UPDATE page SET hidden = 'person' WHERE id = :id", id=pages[1])
    for stage in PAGE_STAGES:
        plan_stage(paying if stage.paid else configured.model_copy(update={"read": "full"}), stage.name)
    plan_stage(configured.model_copy(update={"read": "off"}), "align")
    assert set(jobs_of(configured, pages[0])) == {stage.name for stage in PAGE_STAGES}
    assert jobs_of(configured, pages[1]) == {}


def test_hiding_removes_what_nobody_has_begun_and_showing_plans_it_again(configured: Settings) -> None:
    prepare(configured)
    url, (page, other) = str(configured.database_url), add_pages(str(configured.database_url), 2)
    for stage in ("detect", "read"):
        plan_stage(configured, stage)
    execute(
        url,
        "UPDATE job SET state = 'running', owner = 'me', lease_until = now() + interval '1 minute', attempt = 1 "
        "WHERE stage = 'detect' AND subject_id = :page",
        page=page,
    )
    hide(page)
    assert jobs_of(configured, page) == {"detect": "running"}, "what is running may finish"
    assert jobs_of(configured, other) == {"detect": "queued", "read": "queued"}
    execute(url, "UPDATE job SET state = 'done', owner = NULL, lease_until = NULL WHERE state = 'running'")
    hide(page, hidden=False)
    assert jobs_of(configured, page) == {"detect": "done", "read": "queued"}


@pytest.mark.parametrize("state", ["blocked", "failed"])
def test_no_retry_revives_the_work_on_a_hidden_page(configured: Settings, state: str) -> None:
    prepare(configured)
    url, (page,) = str(configured.database_url), add_pages(str(configured.database_url), 1)
    plan_stage(configured, "read")
    execute(url, "UPDATE job SET state = :state WHERE stage = 'read'", state=state)
    hide(page)
    assert job_states(url, "read") == {}


def test_a_hidden_page_holds_no_promotion_up(configured: Settings, tmp_path: Path) -> None:
    prepare(configured)
    url, pages = str(configured.database_url), add_made_comic(configured)
    embed(configured)
    new = another_encoder(configured, tmp_path)
    begin(configured, new)
    hide(pages[0])
    with unit_of_work(url) as connection:
        assert promotions.promotions(connection)[0].total == 2
    while run_batch(STAGES["reembed"], reembed):
        pass
    with unit_of_work(url) as connection:
        promotions.advance(connection, configured)
        assert active(connection, "encoder")["id"] == new
    hide(pages[0], hidden=False)
    assert jobs_of(configured, pages[0])["embed"] == "queued", "shown again, it lacks vectors of the new encoder"
