"""Files that state some of a page's panels and words: what they leave out is neither silent nor lost."""

from collections.abc import Callable

import pytest

from services.dataspec.tasks import align
from services.ingestion.describing import Description
from services.ingestion.truth.contracts import is_layout
from services.ingestion.truth.pages import PageTruth, TruthText
from shared.domain.pipeline import STAGES
from shared.domain.schema import Box, Direction, PageExtraction, PagePanels, TextLine
from shared.settings import Settings
from shared.store.active import activate
from shared.store.db import rows, unit_of_work
from shared.store.layouts import add_layout
from shared.store.readings import store_read
from shared.work.stages import run_batch
from tests.equipment.rows import plan_stage
from tests.services.ingestion.test_describing import active, add_comic, describe_again

LEFT, RIGHT = Box(0, 0, 48, 150), Box(52, 0, 48, 150)
TITLE = TruthText("Title card", Box(5, 5, 40, 20))
STATED = Description([], truths={0: PageTruth("acbf", [LEFT, RIGHT], [TITLE])})
READ = PageExtraction(
    engine="ocr",
    model="m",
    lines=[
        TextLine(text="TITLE CARD", box=Box(6, 8, 36, 8), confidence=0.9),
        TextLine(text="Help me", box=Box(55, 10, 40, 8), confidence=0.9),
    ],
)


def aligned(configured: Settings) -> list[tuple[str, str]]:
    """Text and verdict of each panel."""
    plan_stage(configured, "align")
    run_batch(STAGES["align"], align)
    with unit_of_work(str(configured.database_url)) as connection:
        found = rows(connection, "SELECT literal, verdict FROM panel_text ORDER BY panel_id")
    return [(panel["literal"], panel["verdict"]) for panel in found]


@pytest.mark.parametrize("stated_first", [True, False])
def test_words_that_the_file_leaves_out_stay_and_stated_ones_stand_once(
    configured: Settings, stated_first: bool
) -> None:
    comic_id, pages = add_comic(configured, pages=1)

    def state() -> None:
        describe_again(configured, comic_id, pages, STATED)

    def read() -> None:
        with unit_of_work(str(configured.database_url)) as connection:
            store_read(connection, pages[0], READ)

    steps: list[Callable[[], None]] = [state, read] if stated_first else [read, state]
    for step in steps:
        step()
    expected = [("Title card", "verified"), ("Help me", "verified")]
    assert aligned(configured) == expected
    read()
    state()
    assert aligned(configured) == expected, "nothing changes when either says it again"


def test_nothing_is_silent_where_only_the_file_has_spoken(configured: Settings) -> None:
    comic_id, pages = add_comic(configured, pages=1)
    describe_again(configured, comic_id, pages, STATED)
    assert aligned(configured) == [("Title card", "verified"), ("", "unverified")]


@pytest.mark.parametrize(
    ("panels", "all_of_it"),
    [
        ([LEFT, RIGHT], True),
        ([Box(2, 2, 96, 146)], True),
        ([LEFT], False),
        ([Box(0, 0, 20, 20), Box(25, 0, 20, 20)], False),
    ],
)
def test_single_stated_regions_do_not_replace_the_detectors_panels(
    configured: Settings, panels: list[Box], all_of_it: bool
) -> None:
    truth = PageTruth("guided", panels, [])
    assert is_layout(truth, width=100, height=150) is all_of_it
    comic_id, pages = add_comic(configured, pages=1)
    seen = PagePanels(width=100, height=150, kind="none", direction=Direction.LTR, panels=[])
    with unit_of_work(str(configured.database_url)) as connection:
        activate(connection, pages[0], "layout_id", add_layout(connection, pages[0], seen, source="model"))
    describe_again(configured, comic_id, pages, Description([], truths={0: truth}))
    assert active(configured, pages[0])["source"] == ("import" if all_of_it else "model")
