"""What is active of a page, when two say so at once."""

import threading

import pytest

from services.processes import wait_until
from shared.domain.schema import Box, DetectedObject, Direction, PagePanels
from shared.settings import Settings
from shared.store.active import Source, activate
from shared.store.db import row, rows, unit_of_work
from shared.store.layouts import add_layout
from tests.equipment.rows import add_pages

FOUND = PagePanels(
    width=100,
    height=150,
    kind="panels",
    direction=Direction.LTR,
    panels=[DetectedObject(label="panel", box=Box(0, 0, 50, 50), score=1.0)],
)
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.mark.parametrize("source", ["person", "import"])
def test_a_model_that_waited_for_somebody_who_outranks_it_does_not_replace_what_that_one_said(
    configured: Settings, source: Source
) -> None:
    url = str(configured.database_url)
    [page] = add_pages(url, 1)

    def say(who: Source) -> None:
        with unit_of_work(url) as connection:
            activate(connection, page, "layout_id", add_layout(connection, page, FOUND, source=who), source=who)

    def waiting() -> bool:
        with unit_of_work(url) as connection:
            return bool(rows(connection, WAITING))

    say("model")
    late = threading.Thread(target=say, args=("model",))
    with unit_of_work(url) as connection:
        activate(connection, page, "layout_id", add_layout(connection, page, FOUND, source=source), source=source)
        late.start()
        assert wait_until(waiting, seconds=10)
    late.join()
    with unit_of_work(url) as connection:
        found = row(connection, "SELECT l.source FROM page p JOIN layout l ON l.id = p.layout_id")
    assert found is not None
    assert found["source"] == source
