"""The job table's own guarantees, without any worker process."""

import threading
from collections.abc import Iterator, Sequence

import pytest
import sqlalchemy as sa

from shared.domain.pipeline import STAGES
from shared.errors import Blocked, Reject, Retry
from shared.settings import Settings
from shared.store.db import row, unit_of_work
from shared.work import jobs
from shared.work.broker import WAKEUPS, messages, wake
from shared.work.jobs import Claim, Superseded
from shared.work.stages import Done, Failed, run_batch
from shared.work.sweeper import sweep
from tests.equipment.rows import add_pages, execute, job_states, plan_stage

READ = STAGES["read"]


def claim_batch(configured: Settings, owner: str = "me", lease: float = 60.0) -> list[Claim]:
    with unit_of_work(str(configured.database_url)) as connection:
        return jobs.claim(connection, READ, owner=owner, lease=lease)


def execute_in(connection: sa.Connection, statement: str) -> None:
    connection.execute(sa.text(statement))


def keep(_: object) -> None:
    """A store that writes nothing."""


def test_planning_twice_plans_once(configured: Settings) -> None:
    add_pages(str(configured.database_url), 3)
    assert plan_stage(configured, "read") == 3
    assert plan_stage(configured, "read") == 0


def test_a_new_configuration_is_a_new_job(configured: Settings) -> None:
    add_pages(str(configured.database_url), 3)
    plan_stage(configured, "read")
    other = configured.model_copy(update={"read": "off"})
    assert plan_stage(other, "read") == 0, "reading is off"
    execute(str(configured.database_url), "UPDATE page SET image_sha256 = 'changed' WHERE number = 0")
    assert plan_stage(configured, "read") == 1


def test_the_same_message_delivered_twice_runs_once(configured: Settings) -> None:
    add_pages(str(configured.database_url), 1)
    plan_stage(configured, "read")
    ran: list[int] = []
    together = threading.Barrier(2)

    def handler(claims: Sequence[Claim]) -> list[Done]:
        ran.extend(claim.subject_id for claim in claims)
        return [Done(claims, keep)]

    def deliver() -> None:
        together.wait()
        run_batch(READ, handler)

    deliveries = [threading.Thread(target=deliver) for _ in range(2)]
    for thread in deliveries:
        thread.start()
    for thread in deliveries:
        thread.join()
    assert len(ran) == 1
    assert job_states(str(configured.database_url), "read") == {"done": 1}


def test_two_claims_at_the_same_moment_never_share_a_job(configured: Settings) -> None:
    url = str(configured.database_url)
    add_pages(url, 6)
    plan_stage(configured, "read")
    with unit_of_work(url) as first, unit_of_work(url) as second, unit_of_work(url) as third:
        for connection in (second, third):
            execute_in(connection, "SET LOCAL lock_timeout = '2s'")
        mine = {claim.job_id for claim in jobs.claim(first, READ, owner="a", lease=60)}
        theirs = {claim.job_id for claim in jobs.claim(second, READ, owner="b", lease=60)}
        nobodys = jobs.claim(third, READ, owner="c", lease=60)
    assert (len(mine), len(theirs), nobodys) == (4, 2, [])
    assert not mine & theirs


def test_a_lost_wake_up_still_runs(configured: Settings) -> None:
    add_pages(str(configured.database_url), 2)
    plan_stage(configured, "read")
    assert messages("cpu") == [], "nobody was woken"
    sweep()
    assert len(messages("cpu")) == 1


def test_a_hundred_thousand_jobs_leave_few_messages(configured: Settings) -> None:
    url = str(configured.database_url)
    add_pages(url, 100_000)
    assert plan_stage(configured, "read") == 100_000
    for _ in range(5):
        sweep()
        wake({"read": 100_000, "align": 100_000, "ingest": 100_000})
    waiting = sum(len(messages(queue)) for queue in ("cpu", "io", "gpu", "train"))
    assert WAKEUPS <= waiting < 100


def test_a_zombies_late_write_is_refused(configured: Settings) -> None:
    url = str(configured.database_url)
    pages = add_pages(url, 1)
    plan_stage(configured, "read")
    wrote: list[str] = []

    def slow(claims: Sequence[Claim]) -> list[Done]:
        # While the zombie sleeps its lease runs out and somebody else does the page.
        execute(url, "UPDATE job SET lease_until = now() - interval '1 second'")
        run_batch(READ, lambda again: [Done(again, lambda _: wrote.append("second"))])

        def late(_: object) -> None:
            wrote.append("zombie")

        return [Done(claims, late)]

    run_batch(READ, slow)
    assert wrote == ["second"]
    with unit_of_work(url) as connection:
        found = row(connection, "SELECT attempt, state FROM job WHERE subject_id = :page", page=pages[0])
    assert found is not None
    assert (found["attempt"], found["state"]) == (2, "done")


def test_a_zombies_failure_does_not_touch_the_new_owners_job(configured: Settings) -> None:
    url = str(configured.database_url)
    add_pages(url, 1)
    plan_stage(configured, "read")
    zombie = claim_batch(configured, "zombie")[0]
    execute(url, "UPDATE job SET lease_until = now() - interval '1 second'")
    assert [claim.attempt for claim in claim_batch(configured, "new")] == [2]
    with pytest.raises(Superseded), unit_of_work(url) as connection:
        jobs.fail(connection, zombie, Reject("late"))
    assert job_states(url, "read") == {"running": 1}


def test_first_attempts_come_as_a_batch_and_later_ones_alone(configured: Settings) -> None:
    url = str(configured.database_url)
    add_pages(url, 6)
    plan_stage(configured, "read")
    assert len(claim_batch(configured)) == READ.batch == 4
    execute(url, "UPDATE job SET lease_until = now() - interval '1 second' WHERE state = 'running'")
    for _ in range(4):
        again = claim_batch(configured)
        assert [claim.attempt for claim in again] == [2]
    assert [claim.attempt for claim in claim_batch(configured)] == [1, 1]
    assert claim_batch(configured) == []


def test_a_later_attempt_never_joins_a_batch_of_first_ones(configured: Settings) -> None:
    url = str(configured.database_url)
    pages = add_pages(url, 4)
    plan_stage(configured, "read")
    execute(url, "UPDATE job SET attempt = 1 WHERE subject_id = :page", page=pages[2])
    assert [claim.subject_id for claim in claim_batch(configured)] == [pages[0], pages[1], pages[3]]
    assert [(claim.subject_id, claim.attempt) for claim in claim_batch(configured)] == [(pages[2], 2)]


def test_outputs_and_the_finished_mark_are_one_transaction(configured: Settings) -> None:
    url = str(configured.database_url)
    add_pages(url, 1)
    plan_stage(configured, "read")

    def half(connection: object) -> None:
        execute_on = connection
        execute_on.exec_driver_sql("UPDATE page SET name = 'half'")  # type: ignore[attr-defined]
        raise OSError("the disk is full")

    run_batch(READ, lambda claims: [Done(claims, half)])
    with unit_of_work(url) as connection:
        page = row(connection, "SELECT name FROM page")
        job = row(connection, "SELECT state, error FROM job")
    assert page is not None
    assert job is not None
    assert page["name"] == "0.jpg"
    assert job["state"] == "queued"
    assert "OSError" in job["error"]
    assert "disk is full" not in job["error"], "internal text is for the log"


def test_a_failed_store_concerns_its_own_job_and_no_sibling(configured: Settings) -> None:
    url = str(configured.database_url)
    add_pages(url, 4)
    plan_stage(configured, "read")
    worked: list[int] = []

    def handler(claims: Sequence[Claim]) -> Iterator[Done]:
        for number, claim in enumerate(claims):
            yield Done([claim], keep if number else fails)
            worked.append(number)

    def fails(_: object) -> None:
        raise OSError("the disk is full")

    run_batch(READ, handler)
    assert worked == [0, 1, 2, 3]
    assert job_states(url, "read") == {"queued": 1, "done": 3}


def test_what_was_blocked_by_a_passing_fault_goes_on_by_itself(configured: Settings) -> None:
    url = str(configured.database_url)
    add_pages(url, 9)
    plan_stage(configured, "read")
    refused = [Blocked("the storage refuses access")]

    def handler(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
        for claim in claims:
            yield Failed(claim, refused[0]) if refused else Done([claim], keep)

    while run_batch(READ, handler):
        pass
    assert job_states(url, "read") == {"blocked": 9}
    sweep()
    assert job_states(url, "read") == {"blocked": 9}, "not all the time"
    refused.clear()
    execute(url, "UPDATE job SET not_before = now() - interval '1 second'")
    sweep()
    assert job_states(url, "read") == {"blocked": 8, "queued": 1}, "one finds out"
    while run_batch(READ, handler):
        pass
    assert job_states(url, "read") == {"done": 9}, "and pulls the others"


def test_errors_decide_where_a_job_goes(configured: Settings) -> None:
    url = str(configured.database_url)
    add_pages(url, 4)
    plan_stage(configured, "read")
    claims = claim_batch(configured)
    with unit_of_work(url) as connection:
        states = [
            jobs.fail(connection, claims[0], Reject("page 3 is no image; replace the file")),
            jobs.fail(connection, claims[1], Retry("the server is busy", after=30)),
            jobs.fail(connection, claims[2], Blocked("the budget is spent")),
            jobs.fail(connection, claims[3], OSError("disk")),
        ]
        later = row(
            connection, "SELECT not_before > now() + interval '20 s' AS l FROM job WHERE id = :i", i=claims[1].job_id
        )
        blocked = row(connection, "SELECT attempt FROM job WHERE state = 'blocked'")
    assert states == ["failed", "queued", "blocked", "queued"]
    assert later is not None
    assert later["l"]
    assert blocked is not None
    assert blocked["attempt"] == 0, "waiting for money is no attempt"


def test_a_job_whose_worker_died_in_its_last_attempt_is_swept_to_failed_with_its_error(configured: Settings) -> None:
    url = str(configured.database_url)
    add_pages(url, 1)
    plan_stage(configured, "read")
    for _ in range(READ.max_attempts):
        assert len(claim_batch(configured)) == 1
        execute(url, "UPDATE job SET lease_until = now() - interval '1 second', error = 'out of memory'")
    assert claim_batch(configured) == []
    sweep()
    with unit_of_work(url) as connection:
        job = row(connection, "SELECT state, error FROM job")
    assert job is not None
    assert job["state"] == "failed"
    assert "attempt 3 of 3" in job["error"]
    assert "out of memory" in job["error"]
    with unit_of_work(url) as connection:
        assert jobs.retry(connection) == {"read": 1}
    assert [claim.attempt for claim in claim_batch(configured)] == [1]


def test_two_inputs_that_finish_together_still_plan_what_waits_for_both(configured: Settings) -> None:
    """*align* needs detect and read; their transactions overlap, and neither sees the other's output uncommitted."""
    url = str(configured.database_url)
    page = add_pages(url, 1)[0]
    execute(
        url,
        "INSERT INTO checkpoint (kind, sha256, key, config, origin, active) "
        "VALUES ('detector', 'x', 'x', '{}', 'shipped', true)",
    )
    plan_stage(configured, "read")
    plan_stage(configured, "detect")
    together = threading.Barrier(2)

    def finish(stage: str, output: str) -> None:
        def store(connection: object) -> None:
            connection.exec_driver_sql(output)  # type: ignore[attr-defined]

        def handler(claims: Sequence[Claim]) -> list[Done]:
            together.wait()
            return [Done(claims, store)]

        run_batch(STAGES[stage], handler)

    detect = (
        f"WITH l AS (INSERT INTO layout (page_id, source, kind, direction, objects) VALUES ({page}, 'model', 'none', "
        f"'ltr', '[]') RETURNING id) UPDATE page SET layout_id = (SELECT id FROM l), name = pg_sleep(0.3)::text"
    )
    read = (
        f"WITH e AS (INSERT INTO extraction (page_id, engine, model, source, content) VALUES ({page}, 'ocr', 'm', "
        f"'model', '{{}}') RETURNING id) UPDATE page SET ocr_id = (SELECT id FROM e), name = pg_sleep(0.3)::text"
    )
    threads = [threading.Thread(target=finish, args=pair) for pair in (("detect", detect), ("read", read))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert job_states(url, "align") == {"queued": 1}
