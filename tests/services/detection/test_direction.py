"""Which way a comic is read: its metadata, the user's default, its language, what detection sees; in that order."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest

from services.detection import tasks
from services.standalone import prepare
from shared.domain.metadata import stated_direction
from shared.domain.pipeline import STAGES
from shared.settings import Settings
from shared.store.blobs import put_blob, storage_of
from shared.store.db import rows, unit_of_work
from shared.work.jobs import Claim
from shared.work.stages import Done, Failed, run_batch
from tests.equipment.rows import add_pages, execute, job_states, plan_stage

DETECT = STAGES["detect"]


@pytest.mark.parametrize(
    ("direction", "language", "usual", "read"),
    [
        ("ltr", "ja", "rtl", "ltr"), ("rtl", "en", "ltr", "rtl"),
        (None, "ja", "ltr", "ltr"), (None, "en", "rtl", "rtl"), (None, None, "rtl", "rtl"),
        (None, "ja", "auto", "rtl"), (None, "ar-eg", "auto", "rtl"), (None, "he", "auto", "rtl"),
        (None, "fa", "auto", "rtl"), (None, "en", "auto", None), (None, None, "auto", None),
        (None, "jam", "auto", None),
    ],
)  # fmt: skip
def test_the_first_that_says_something_decides(
    direction: str | None, language: str | None, usual: Literal["ltr", "rtl", "auto"], read: str | None
) -> None:
    assert stated_direction(direction, language, usual=usual) == read


def add_page_four(configured: Settings, samples: Path, **columns: str) -> int:
    """A comic of one real page, which has two panels side by side, with these columns; the page's id."""
    url, data = str(configured.database_url), (samples / "pepper-carrot-ep17" / "page4.jpg").read_bytes()
    digest = sha256(data).hexdigest()
    put_blob(storage_of(configured), digest, data)
    [page] = add_pages(url, 1)
    execute(url, "UPDATE page SET image_sha256 = :s, width = 992, height = 1373 WHERE id = :p", s=digest, p=page)
    for name, value in columns.items():
        execute(
            url, f"UPDATE comic SET {name} = :v WHERE id = (SELECT comic_id FROM page WHERE id = :p)", v=value, p=page
        )
    return page


def active_layouts(configured: Settings) -> dict[int, tuple[str, bool]]:
    """Of every page with a layout: its direction, and whether its first panel stands left of its second."""
    with unit_of_work(str(configured.database_url)) as connection:
        found = rows(
            connection,
            "SELECT p.id, l.direction, a.x < b.x AS rightwards FROM page p JOIN layout l ON l.id = p.layout_id "
            "JOIN panel a ON a.layout_id = l.id AND a.position = 0 "
            "JOIN panel b ON b.layout_id = l.id AND b.position = 1",
        )
    return {one["id"]: (one["direction"], one["rightwards"]) for one in found}


def test_panels_are_ordered_the_way_the_comic_is_read(configured: Settings, samples: Path) -> None:
    prepare(configured)
    stated = add_page_four(configured, samples, direction="ltr", language="ja")
    told = add_page_four(configured, samples, language="ja")
    seen = add_page_four(configured, samples, language="fr")
    assert plan_stage(configured, "detect") == 3
    run_batch(DETECT, tasks.detect)
    assert active_layouts(configured) == {stated: ("ltr", True), told: ("rtl", False), seen: ("ltr", True)}


def test_a_comic_that_is_turned_while_it_is_detected_keeps_no_layout_of_the_old_way(
    configured: Settings, samples: Path
) -> None:
    prepare(configured)
    page = add_page_four(configured, samples, language="en")
    plan_stage(configured, "detect")

    def detected_while_it_is_turned(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
        for outcome in tasks.detect(claims):
            # A name for the language alone turns nothing; the second change does.
            execute(str(configured.database_url), "UPDATE comic SET language = 'fr', direction = 'rtl'")
            yield outcome

    run_batch(DETECT, detected_while_it_is_turned)
    assert active_layouts(configured) == {}
    assert plan_stage(configured, "detect") == 1
    run_batch(DETECT, tasks.detect)
    assert active_layouts(configured) == {page: ("rtl", False)}


def test_a_page_that_cannot_be_read_any_more_fails_its_own_job_alone(configured: Settings, samples: Path) -> None:
    prepare(configured)
    pages, url = [add_page_four(configured, samples) for _ in range(2)], str(configured.database_url)
    assert plan_stage(configured, "detect") == 2
    execute(url, "UPDATE page SET state = 'unreadable', error = 'x', image_sha256 = NULL WHERE id = :p", p=pages[0])
    assert run_batch(DETECT, tasks.detect) == 2
    assert list(active_layouts(configured)) == [pages[1]]
    assert job_states(url, "detect") == {"done": 1, "failed": 1}
