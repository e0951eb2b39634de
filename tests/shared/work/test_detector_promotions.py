"""A detector takes over only when it is better, leaves alone what people stated, and gives back what it took."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import sqlalchemy as sa

from services.detection.tasks import in_use
from shared.domain.schema import Box
from shared.domain.training import DetectorVerdict
from shared.errors import Conflict, NotFound
from shared.settings import Settings
from shared.store import checkpoints
from shared.store.active import activate
from shared.store.db import row, rows, unit_of_work
from shared.work import promotions
from shared.work.detector_promotions import outdated
from tests.equipment.comics import add_layout
from tests.equipment.rows import add_pages, execute, job_states, plan_stage

BOXES = [Box(0, 0, 100, 75), Box(0, 75, 100, 75)]


def add_detector(configured: Settings, name: str, *, origin: str = "trained", active: bool = False) -> int:
    """A checkpoint nobody loads; its id."""
    with unit_of_work(str(configured.database_url)) as connection:
        made = row(
            connection,
            "INSERT INTO checkpoint (kind, sha256, key, config, origin, active) "
            "VALUES ('detector', :name, :name, '{}', :origin, :active) RETURNING id",
            name=name,
            origin=origin,
            active=active,
        )
    assert made is not None
    return int(made["id"])


def judge(configured: Settings, checkpoint_id: int, *, beside: int, better: bool) -> None:
    figures = {"f1": 0.5, "pages_right": 0.25}
    found = DetectorVerdict(
        better=better, held_out_pages=4, beside=beside, old=figures, new={**figures, "f1": 0.625}, why="0.500, 0.625"
    )
    execute(
        str(configured.database_url),
        "UPDATE checkpoint SET verdict = CAST(:verdict AS jsonb) WHERE id = :id",
        verdict=json.dumps(found.model_dump()),
        id=checkpoint_id,
    )


def promote(configured: Settings, checkpoint_id: int) -> dict[str, int]:
    with unit_of_work(str(configured.database_url)) as connection:
        return promotions.begin(connection, configured, checkpoint_id)


def roll_back(configured: Settings) -> dict[str, int]:
    with unit_of_work(str(configured.database_url)) as connection:
        return promotions.roll_back(connection, configured, "detector")


def active(configured: Settings) -> int:
    with unit_of_work(str(configured.database_url)) as connection:
        return int(checkpoints.active(connection, "detector")["id"])


def shown(configured: Settings) -> list[int]:
    """The active layouts, by page."""
    with unit_of_work(str(configured.database_url)) as connection:
        found = rows(connection, "SELECT layout_id FROM page WHERE layout_id IS NOT NULL ORDER BY id")
    return [page["layout_id"] for page in found]


def detected(configured: Settings, pages: Sequence[int]) -> list[int]:
    """What the stage leaves of its queued jobs: layouts of the detector in use, the pages' active ones; their ids."""
    url, made = str(configured.database_url), []
    for page_id in pages:
        layout = add_layout(configured, page_id, BOXES)
        execute(
            url,
            "UPDATE layout SET checkpoint_id = (SELECT id FROM checkpoint WHERE kind = 'detector' AND active), "
            "job_id = (SELECT max(id) FROM job WHERE stage = 'detect' AND subject_id = :page AND state = 'queued') "
            "WHERE id = :id",
            page=page_id,
            id=layout,
        )
        made.append(layout)
    for stage in ("detect", "align"):
        plan_stage(configured, stage)
        execute(url, "UPDATE job SET state = 'done', finished_at = now() WHERE stage = :stage", stage=stage)
    return made


@pytest.fixture
def quiet(configured: Settings) -> Settings:
    """Nothing is read, so that text waits for panels alone."""
    return configured.model_copy(update={"read": "off"})


@pytest.fixture
def old(quiet: Settings) -> int:
    return add_detector(quiet, "old", origin="shipped", active=True)


def test_a_detector_that_was_not_found_better_is_refused_with_the_figures(quiet: Settings, old: int) -> None:
    new, other = add_detector(quiet, "new"), add_detector(quiet, "other", origin="configured")
    with pytest.raises(Conflict, match="was not measured"):
        promote(quiet, new)
    judge(quiet, new, beside=old, better=False)
    with pytest.raises(Conflict, match=r"not better than the detector in use\. 0\.500, 0\.625"):
        promote(quiet, new)
    judge(quiet, new, beside=other, better=True)
    with pytest.raises(Conflict, match=f"beside checkpoint {other}, and checkpoint {old} is in use now"):
        promote(quiet, new)
    with pytest.raises(Conflict, match="detects panels already"):
        promote(quiet, old)
    with pytest.raises(NotFound, match="replaced no other"):
        roll_back(quiet)
    assert active(quiet) == old
    assert promote(quiet, other) == {"detect": 0, "align": 0}, "who configured it knows why"


def test_pages_whose_panels_are_stated_stay_as_they_are_and_the_others_are_detected_and_never_paid_for_again(
    quiet: Settings, old: int
) -> None:
    url = str(quiet.database_url)
    pages = add_pages(url, 4)
    plan_stage(quiet, "detect")
    layouts = detected(quiet, pages)
    for layout, source in zip(layouts[2:], ("person", "import"), strict=True):
        execute(url, "UPDATE layout SET source = :source WHERE id = :id", source=source, id=layout)
    new = add_detector(quiet, "new")
    judge(quiet, new, beside=old, better=True)
    paying = quiet.model_copy(update={"vlm_url": "http://nobody", "vlm_model": "any", "vlm_budget": Decimal(1)})
    assert paying.vlm_configured
    execute(
        url,
        "INSERT INTO job (stage, subject_id, fingerprint, state, max_attempts) "
        "SELECT 'extract', id, id::text, 'done', 3 FROM page",
    )
    assert promote(paying, new) == {"detect": 2, "align": 0}
    assert active(quiet) == new
    assert shown(quiet) == layouts, "the old panels are shown until there are new ones"
    with unit_of_work(url) as connection:
        waiting = rows(connection, "SELECT stage, subject_id FROM job WHERE state = 'queued' ORDER BY id")
    assert [(job["stage"], job["subject_id"]) for job in waiting] == [("detect", page) for page in pages[:2]]


def test_a_rollback_shows_the_old_panels_at_once_and_aligns_them_anew(quiet: Settings, old: int) -> None:
    url = str(quiet.database_url)
    pages = add_pages(url, 3)
    plan_stage(quiet, "detect")
    before = detected(quiet, pages)
    new = add_detector(quiet, "new")
    judge(quiet, new, beside=old, better=True)
    promote(quiet, new)
    after = detected(quiet, pages[:2])  # the last one is not due yet
    execute(url, "UPDATE layout SET source = 'person' WHERE id = :id", id=after[1])
    assert shown(quiet) == [after[0], after[1], before[2]]
    assert roll_back(quiet) == {"detect": 0, "align": 2}
    assert active(quiet) == old
    assert shown(quiet) == [before[0], after[1], before[2]], "what a person said meanwhile stays"
    assert job_states(url, "align")["queued"] == 2
    assert promote(quiet, new)["detect"] == 0, "found better once, it may come again; its pages are known"
    assert shown(quiet)[0] == after[0]


def test_pages_that_nobody_has_looked_at_yet_are_looked_at_once(quiet: Settings, old: int) -> None:
    pages = add_pages(str(quiet.database_url), 3)
    assert plan_stage(quiet, "detect") == 3
    new = add_detector(quiet, "new")
    judge(quiet, new, beside=old, better=True)
    assert promote(quiet, new) == {"detect": len(pages), "align": 0}
    assert job_states(str(quiet.database_url), "detect") == {"queued": len(pages)}


def adopt(configured: Settings, checkpoint_id: int) -> None:
    with unit_of_work(str(configured.database_url)) as connection:
        promotions.adopt(connection, configured, "detector", checkpoint_id)


def look_again(configured: Settings) -> tuple[int, dict[str, int]]:
    """How many pages are outdated, and what is planned for them."""
    with unit_of_work(str(configured.database_url)) as connection:
        return outdated(connection), promotions.look_again(connection, configured)


def test_a_release_with_a_new_detector_leaves_the_pages_it_finds_to_whoever_asks(quiet: Settings, old: int) -> None:
    url = str(quiet.database_url)
    pages = add_pages(url, 3)
    plan_stage(quiet, "detect")
    before = detected(quiet, pages)
    execute(url, "UPDATE layout SET source = 'person' WHERE id = :id", id=before[2])
    new = add_detector(quiet, "new", origin="shipped")
    adopt(quiet, new)
    assert active(quiet) == new
    assert plan_stage(quiet, "detect") == 1, "the page whose machine's layout is not known"
    add_pages(url, 1)
    assert plan_stage(quiet, "detect") == 1, "new pages are looked at"
    assert look_again(quiet) == (2, {"detect": 2, "align": 0})
    assert shown(quiet) == before
    after = detected(quiet, pages[:2])
    assert look_again(quiet) == (0, {"detect": 0, "align": 0})
    adopt(quiet, old)  # the release before, started again
    assert look_again(quiet) == (2, {"detect": 0, "align": 2}), "what it saw is known"
    assert shown(quiet) == before
    assert after != before[:2]


def test_what_a_person_says_while_a_detector_takes_over_stands(quiet: Settings, old: int) -> None:
    url = str(quiet.database_url)
    pages = add_pages(url, 2)
    plan_stage(quiet, "detect")
    before = detected(quiet, pages)
    new = add_detector(quiet, "new")
    judge(quiet, new, beside=old, better=True)
    promote(quiet, new)
    after = detected(quiet, pages)
    said = add_layout(quiet, pages[0], BOXES[:1])
    execute(url, "UPDATE layout SET source = 'person' WHERE id = :id", id=said)
    execute(url, "UPDATE page SET layout_id = :after WHERE id = :page", after=after[0], page=pages[0])
    with ThreadPoolExecutor(1) as pool:
        with unit_of_work(url) as connection:
            activate(connection, pages[0], "layout_id", said, source="person")
            rolled = pool.submit(roll_back, quiet)
            wait_for_a_lock(url)
        assert rolled.result(timeout=20)["align"] == 2
    assert shown(quiet) == [said, before[1]]


def test_a_detection_that_ends_while_another_detector_takes_over_does_not_show_its_panels(
    quiet: Settings, old: int
) -> None:
    url = str(quiet.database_url)
    (page,) = add_pages(url, 1)
    new = add_detector(quiet, "new")

    def ends() -> bool:
        with unit_of_work(url) as connection:
            return in_use(connection, {"id": old}, page)  # type: ignore[arg-type]

    assert ends()
    with ThreadPoolExecutor(1) as pool:
        with unit_of_work(url) as connection:
            connection.execute(sa.text("SELECT FROM page FOR NO KEY UPDATE"))
            checkpoints.activate(connection, "detector", new)
            ended = pool.submit(ends)
            wait_for_a_lock(url)
        assert not ended.result(timeout=20)


def wait_for_a_lock(url: str) -> None:
    """Until somebody waits for what another transaction holds."""
    deadline = time.monotonic() + 20
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while time.monotonic() < deadline:
        with unit_of_work(url) as connection:
            if row(connection, waiting) is not None:
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")
