"""What comics say about themselves, in the database: who outranks whom, and what reading a file again leaves alone."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from services.dataspec.tasks import align
from services.ingestion.describing import Description, PagePlace, describe
from services.ingestion.records.describing import (
    edit,
    merge_comic,
    metadata_of,
    plan_turned,
    put_record,
    store_description,
)
from services.ingestion.truth.contracts import layout_of
from services.ingestion.truth.pages import PageTruth, TruthText
from services.ingestion.views import COMIC, comic_view
from shared.domain.metadata import ORIGINS, Metadata, MetadataChanges, MetadataRecord, Origin
from shared.domain.pipeline import STAGES
from shared.domain.schema import Box, Direction
from shared.errors import NotFound
from shared.files.containers import Attachment
from shared.settings import Settings
from shared.store.active import activate
from shared.store.db import row, rows, unit_of_work
from shared.store.layouts import add_layout
from shared.work.stages import run_batch
from tests.equipment.rows import add_pages, execute, job_states, plan_stage

PANELS = [Box(50, 0, 50, 75), Box(0, 0, 50, 75), Box(0, 75, 100, 75)]
TRUTH = PageTruth("acbf", PANELS, [TruthText("Hello there", Box(10, 80, 40, 20)), TruthText("Bye", None, 0)])


def add_comic(configured: Settings, *, pages: int = 2) -> tuple[int, dict[int, int]]:
    """A comic of readable pages 100 × 150; its id and its pages' ids by number."""
    ids = add_pages(str(configured.database_url), pages, title="old title")
    with unit_of_work(str(configured.database_url)) as connection:
        found = row(connection, "SELECT comic_id FROM page WHERE id = :id", id=ids[0])
    assert found is not None
    execute(str(configured.database_url), "UPDATE comic SET file_name = 'Some_Comic 012 (2014).cbz'")
    return int(found["comic_id"]), dict(enumerate(ids))


def describe_again(configured: Settings, comic_id: int, page_ids: dict[int, int], said: Description) -> None:
    """What ingestion does with a description, in a transaction of its own."""
    with unit_of_work(str(configured.database_url)) as connection:
        store_description(connection, comic_id, said, page_ids)


def put(configured: Settings, comic_id: int, origin: Origin, **fields: Any) -> bool:
    """State one record and merge; whether the comic is read the other way now."""
    with unit_of_work(str(configured.database_url)) as connection:
        put_record(connection, comic_id, MetadataRecord(origin=origin, fields=Metadata(**fields)))
        return merge_comic(connection, comic_id)


def person(configured: Settings, comic_id: int, **changes: Any) -> bool:
    """A person's edit; whether the comic is read the other way now."""
    with unit_of_work(str(configured.database_url)) as connection:
        edit(connection, comic_id, MetadataChanges(**changes))
        return merge_comic(connection, comic_id)


def comic_row(configured: Settings, comic_id: int) -> dict[str, Any]:
    with unit_of_work(str(configured.database_url)) as connection:
        found = row(connection, "SELECT * FROM comic WHERE id = :id", id=comic_id)
    assert found is not None
    return dict(found)


def said(*records: tuple[Origin, dict[str, Any]]) -> Description:
    return Description([MetadataRecord(origin=origin, fields=Metadata(**fields)) for origin, fields in records])


def test_a_list_of_comics_does_not_carry_all_that_is_said_of_each(configured: Settings) -> None:
    add_comic(configured, pages=1)
    with unit_of_work(str(configured.database_url)) as connection:
        [listed] = rows(connection, COMIC)
    assert comic_view(listed).title == "old title"
    assert "details" not in listed


def test_each_field_is_the_word_of_the_best_origin_that_has_one(configured: Settings) -> None:
    comic_id, pages = add_comic(configured)
    for rank, origin in enumerate(reversed(ORIGINS)):
        put(configured, comic_id, origin, title=origin, tags=[origin], volume=rank)
        found = comic_row(configured, comic_id)
        assert (found["title"], found["volume"], found["details"]["tags"]) == (origin, rank, [origin])
    put(configured, comic_id, "epub", title="epub", publisher="P", tags=["a", "b"])
    put(configured, comic_id, "person")  # an empty record takes everything back
    found = comic_row(configured, comic_id)
    assert (found["title"], found["publisher"]) == ("command line", "P")
    assert found["origins"] == {
        "title": "command line", "tags": "command line", "volume": "command line", "publisher": "epub",
    }  # fmt: skip
    assert set(pages) == {0, 1}


def test_a_persons_word_survives_reading_the_file_again_and_can_be_taken_back(configured: Settings) -> None:
    comic_id, pages = add_comic(configured)
    first = said(("comicinfo", {"title": "Theirs", "series": "S", "year": 2001}), ("file name", {"number": "12"}))
    describe_again(configured, comic_id, pages, first)
    person(configured, comic_id, title="Mine", series="My series")
    put(configured, comic_id, "calibre", publisher="C", source="Calibre")
    describe_again(configured, comic_id, pages, said(("comicinfo", {"title": "Theirs 2", "series": "S 2"})))
    found = comic_row(configured, comic_id)
    assert (found["title"], found["series"], found["publisher"]) == ("Mine", "My series", "C")
    # What the file no longer says is gone; what others say about it is not.
    assert (found["year"], found["number"], found["source"]) == (None, None, "Calibre")
    person(configured, comic_id, title=None)
    found = comic_row(configured, comic_id)
    assert (found["title"], found["series"]) == ("Theirs 2", "My series")
    assert found["origins"]["title"] == "comicinfo"


def test_people_and_records_that_speak_at_once_are_all_heard(configured: Settings) -> None:
    comic_id, pages = add_comic(configured)
    calls: list[Callable[[], object]] = [
        partial(person, configured, comic_id, title="T"),
        partial(person, configured, comic_id, series="S"),
        partial(person, configured, comic_id, publisher="P"),
        partial(put, configured, comic_id, "calibre", tags=["calibre"], source="Calibre"),
        partial(put, configured, comic_id, "folder", collection="C"),
        partial(describe_again, configured, comic_id, pages, said(("comicinfo", {"year": 1999}))),
    ]
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()
    found = comic_row(configured, comic_id)
    told = {name: found[name] for name in ("title", "series", "publisher", "source", "collection", "year")}
    assert told == {
        "title": "T", "series": "S", "publisher": "P", "source": "Calibre", "collection": "C", "year": 1999,
    }  # fmt: skip


def test_a_comic_that_nobody_names_has_its_files_name_and_no_shelf(configured: Settings) -> None:
    comic_id, pages = add_comic(configured)
    describe_again(configured, comic_id, pages, said(("file name", {"number": "12"})))
    found = comic_row(configured, comic_id)
    assert (found["title"], found["source"], found["collection"]) == ("Some Comic 012 (2014)", "upload", "")
    put(configured, comic_id, "folder", collection="2000AD", source="Humble Bundle")
    put(configured, comic_id, "command line", collection="Weeklies")
    found = comic_row(configured, comic_id)
    assert (found["source"], found["collection"]) == ("Humble Bundle", "Weeklies")


def test_warnings_are_kept_with_their_record_and_the_comic_is_whole(configured: Settings) -> None:
    comic_id, pages = add_comic(configured)
    broken = Attachment("ComicInfo.xml", b"<ComicInfo><Year>soon</Year><Title>T</Title></ComicInfo>")
    places = [PagePlace(number, (f"{number}.jpg",), 100, 150) for number in pages]
    describe_again(configured, comic_id, pages, describe([broken], file_name="a 03.cbz", pages=places))
    execute(str(configured.database_url), "INSERT INTO source_file VALUES ('here:/a', 1, 1, :id)", id=comic_id)
    with unit_of_work(str(configured.database_url)) as connection:
        about = metadata_of(connection, comic_id)
    assert [(record.origin, record.fields.stated()) for record in about.records] == [
        ("comicinfo", {"title": "T"}), ("file name", {"series": "a", "number": "3"}),
    ]  # fmt: skip
    assert about.records[0].warnings == ["ComicInfo.xml: Year “soon” is left out: it is no whole number"]
    assert (about.merged.title, about.origins["number"], about.files) == ("T", "file name", ["here:/a"])


@pytest.mark.parametrize("call", [put, person, describe_again])
def test_a_comic_that_is_gone_is_named(configured: Settings, call: Any) -> None:
    more: tuple[Any, ...] = {put: ("epub",), person: (), describe_again: ({}, Description([]))}[call]
    with pytest.raises(NotFound, match="no comic 77"):
        call(configured, 77, *more)


def active(configured: Settings, page_id: int) -> dict[str, Any]:
    """The active layout and reading of a page, and how many of each it has."""
    with unit_of_work(str(configured.database_url)) as connection:
        found = row(
            connection,
            "SELECT l.source, l.kind, l.direction, l.objects, e.source AS read_by, e.engine, e.model, e.content, "
            "p.layout_id, p.ocr_id, (SELECT count(*) FROM layout WHERE page_id = p.id) AS layouts, "
            "(SELECT count(*) FROM extraction WHERE page_id = p.id) AS readings "
            "FROM page p LEFT JOIN layout l ON l.id = p.layout_id LEFT JOIN extraction e ON e.id = p.ocr_id "
            "WHERE p.id = :id",
            id=page_id,
        )
        assert found is not None
        panels = rows(
            connection, "SELECT x, y, w, h FROM panel WHERE layout_id = :id ORDER BY position", id=found["layout_id"]
        )
    return {**found, "panels": [Box(**panel) for panel in panels]}


def test_stated_panels_and_texts_become_the_active_ones_once(configured: Settings) -> None:
    comic_id, pages = add_comic(configured)
    told = Description([], truths={0: TRUTH})
    describe_again(configured, comic_id, pages, told)
    found = active(configured, pages[0])
    assert (found["source"], found["kind"], found["panels"]) == ("import", "panels", PANELS)
    assert (found["read_by"], found["engine"], found["model"]) == ("import", "ocr", "acbf")
    # Nobody says which way it is read, but the first panel stands on the right.
    assert found["direction"] == "rtl"
    assert [seen["label"] for seen in found["objects"]] == ["text"]
    assert " ".join(line["text"] for line in found["content"]["lines"]) == "Hello there Bye"
    assert active(configured, pages[1])["layout_id"] is None
    describe_again(configured, comic_id, pages, told)
    again = active(configured, pages[0])
    assert again == found
    assert (again["layouts"], again["readings"]) == (1, 1)
    moved = PageTruth("acbf", [*PANELS[:2], Box(0, 75, 100, 70)], TRUTH.texts)
    describe_again(configured, comic_id, pages, Description([], truths={0: moved}))
    changed = active(configured, pages[0])
    assert (changed["panels"], changed["layouts"], changed["readings"]) == (moved.panels, 2, 1)
    # What it said before comes back without a third layout.
    describe_again(configured, comic_id, pages, told)
    assert active(configured, pages[0]) == {**found, "layouts": 2}


def set_active(configured: Settings, page_id: int, source: str) -> int:
    """Give a page an active layout and reading of that source; the layout's id."""
    url = str(configured.database_url)
    content = json.dumps({"engine": "e", "model": "m", "lines": []})
    with unit_of_work(url) as connection:
        made = row(
            connection,
            "WITH l AS (INSERT INTO layout (page_id, source, kind, direction, objects) "
            "VALUES (:p, :source, 'none', 'ltr', '[]') RETURNING id), e AS (INSERT INTO extraction "
            "(page_id, engine, model, source, content) VALUES (:p, 'ocr', 'm', :source, CAST(:content AS jsonb)) "
            "RETURNING id) UPDATE page SET layout_id = l.id, ocr_id = e.id FROM l, e WHERE page.id = :p "
            "RETURNING page.layout_id",
            p=page_id,
            source=source,
            content=content,
        )
    assert made is not None
    return int(made["layout_id"])


@pytest.mark.parametrize(("source", "stays"), [("model", False), ("import", False), ("person", True)])
def test_a_persons_layout_outranks_the_files_and_the_files_a_models(
    configured: Settings, source: str, stays: bool
) -> None:
    comic_id, pages = add_comic(configured)
    before = set_active(configured, pages[0], source)
    describe_again(configured, comic_id, pages, Description([], truths={0: TRUTH}))
    found = active(configured, pages[0])
    assert (found["layout_id"] == before) is stays
    assert (found["layouts"], found["readings"]) == (2, 2)


@pytest.mark.parametrize(
    ("usual", "fields", "direction"),
    [
        ("auto", {"direction": "ltr"}, "ltr"),
        ("auto", {"language": "ja"}, "rtl"),
        ("ltr", {"language": "ja"}, "ltr"),
        ("auto", {"language": "en"}, "rtl"),  # says nothing about the direction: the panels' own order does
    ],
)
def test_the_direction_of_stated_panels(
    configured: Settings, monkeypatch: pytest.MonkeyPatch, usual: str, fields: dict[str, Any], direction: str
) -> None:
    from shared.settings import settings

    monkeypatch.setenv("COMICS_DIRECTION", usual)
    settings.cache_clear()
    comic_id, pages = add_comic(configured)
    records = [MetadataRecord(origin="comicinfo", fields=Metadata(**fields))]
    describe_again(configured, comic_id, pages, Description(records, truths={0: TRUTH}))
    assert active(configured, pages[0])["direction"] == direction


def test_a_model_never_takes_the_place_of_what_the_file_states(configured: Settings) -> None:
    comic_id, pages = add_comic(configured)
    describe_again(configured, comic_id, pages, Description([], truths={0: TRUTH}))
    before = active(configured, pages[0])
    found = layout_of(PageTruth("acbf", PANELS[:1], []), width=100, height=150, direction=Direction.LTR)
    with unit_of_work(str(configured.database_url)) as connection:
        made = add_layout(connection, pages[0], found, source="model")
        activate(connection, pages[0], "layout_id", made)
    assert active(configured, pages[0]) == {**before, "layouts": 2}
    with unit_of_work(str(configured.database_url)) as connection:
        made = add_layout(connection, pages[0], found, source="person")
        activate(connection, pages[0], "layout_id", made, source="person")
    assert active(configured, pages[0])["source"] == "person"


def test_balloons_of_stated_panels_are_ordered_anew_when_the_comic_is_turned(configured: Settings) -> None:
    comic_id, pages = add_comic(configured)
    texts = [TruthText("left", Box(5, 10, 20, 10)), TruthText("right", Box(70, 10, 20, 10))]
    truths = {0: PageTruth("acbf", [Box(0, 0, 100, 150)], texts)}
    describe_again(configured, comic_id, pages, Description([], truths=truths))
    for changes, said_there in (({}, "left\nright"), ({"direction": "rtl"}, "right\nleft"), ({}, "right\nleft")):
        if changes:
            assert person(configured, comic_id, **changes) is True
        planned(configured, comic_id)
        run_batch(STAGES["align"], align)
        with unit_of_work(str(configured.database_url)) as connection:
            found = row(connection, "SELECT literal FROM panel_text")
        assert found is not None
        assert found["literal"] == said_there
    assert job_states(str(configured.database_url), "align") == {"done": 2}


def test_stated_panels_are_read_their_own_way_again_when_a_direction_is_taken_back(configured: Settings) -> None:
    comic_id, pages = add_comic(configured)
    told = Description([], truths={0: TRUTH})
    describe_again(configured, comic_id, pages, told)
    for said_way, way in (("ltr", "ltr"), (None, "rtl")):
        person(configured, comic_id, direction=said_way)
        assert active(configured, pages[0])["direction"] == way
    describe_again(configured, comic_id, pages, told)
    assert active(configured, pages[0])["layouts"] == 1


def finish_detection(configured: Settings) -> None:
    """Call every planned detect job done."""
    execute(str(configured.database_url), "UPDATE job SET state = 'done' WHERE stage = 'detect'")


def planned(configured: Settings, comic_id: int) -> int:
    """Jobs that `plan_turned` adds."""
    with unit_of_work(str(configured.database_url)) as connection:
        return plan_turned(connection, comic_id, configured).get("detect", 0)


def test_pages_are_detected_anew_when_the_comic_is_read_the_other_way_and_only_then(configured: Settings) -> None:
    comic_id, _ = add_comic(configured)
    execute(
        str(configured.database_url),
        "INSERT INTO checkpoint (kind, sha256, key, config, origin, active) "
        "VALUES ('detector', 's', 'k', '{}', 'shipped', true)",
    )
    assert plan_stage(configured, "detect") == 2
    finish_detection(configured)
    idle: list[dict[str, Any]] = [{"title": "T"}, {"language": "en"}, {"language": "fr", "year": 1999}]
    turning: list[dict[str, Any]] = [
        {"direction": "rtl"},
        {"direction": "ltr"},
        {"direction": None},
        {"language": "ja"},
    ]
    for changes in idle:
        assert person(configured, comic_id, **changes) is False
        assert planned(configured, comic_id) == 0
    # To and fro: each turn is made anew although the same inputs have been detected before.
    for changes in turning:
        assert person(configured, comic_id, **changes) is True
        assert planned(configured, comic_id) == 2
        finish_detection(configured)
    # Said by the language already: nothing turns.
    assert person(configured, comic_id, direction="rtl") is False
    assert planned(configured, comic_id) == 0


def test_jobs_that_nobody_has_begun_are_not_done_twice(configured: Settings) -> None:
    comic_id, _ = add_comic(configured)
    execute(
        str(configured.database_url),
        "INSERT INTO checkpoint (kind, sha256, key, config, origin, active) "
        "VALUES ('detector', 's', 'k', '{}', 'shipped', true)",
    )
    plan_stage(configured, "detect")
    assert person(configured, comic_id, direction="rtl") is True
    assert planned(configured, comic_id) == 2
    assert job_states(str(configured.database_url), "detect") == {"queued": 2}


def test_panels_of_the_forms_come_together_page_by_page() -> None:
    places = [PagePlace(number, (f"p{number}.jpg",), 1000, 1500) for number in range(3)]
    frames = '<page><image href="p0.jpg"/><frame points="0,0 500,500"/><frame points="500,0 999,500"/></page>'
    book = f"<ACBF><meta-data><book-info><book-title>B</book-title></book-info></meta-data><body>{frames}</body></ACBF>"
    entries = [{"imgref": f"p{number}.jpg#xywh=10,10,300,300"} for number in (0, 1, 9)]
    found = describe(
        [
            Attachment("guided.json", json.dumps({"guided": entries}).encode()),
            Attachment("deep/ComicInfo.xml", b"<ComicInfo><Title>Deep</Title></ComicInfo>"),
            Attachment("ComicInfo.xml", b"<ComicInfo><Title>Top</Title></ComicInfo>"),
            Attachment("book.acbf", book.encode()),
        ],
        file_name="x.cbz",
        pages=places,
    )
    assert {number: (truth.form, len(truth.panels)) for number, truth in found.truths.items()} == {
        0: ("acbf", 2), 1: ("guided", 1),
    }  # fmt: skip
    records = {record.origin: record for record in found.records}
    assert (records["comicinfo"].fields.title, records["acbf"].fields.title) == ("Top", "B")
    # Guided navigation has no record of its own; what is wrong with it is told with the package documents.
    assert records["epub"].warnings == ["guided.json: panels are told of a page that is not in the comic"]


def test_a_comic_that_says_nothing_has_the_record_of_its_name_alone() -> None:
    found = describe([Attachment("notes.xml", b"<a/>")], file_name="Series 03.cbz", pages=[])
    assert [record.origin for record in found.records] == ["file name"]
    assert (found.labels, found.deleted, found.spreads, found.truths) == ({}, set(), set(), {})
