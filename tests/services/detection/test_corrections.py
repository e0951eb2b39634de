"""What people say about panels: how it becomes a layout, what it changes, and that nothing is lost or paid again."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cli import main
from services.dataspec.tasks import align
from services.detection.api import app
from services.detection.corrections import changes, corrected, same
from services.detection.records.corrections import correct, revert
from services.extraction.tasks import extract
from services.ingestion.api import app as ingestion
from services.processes import wait_until
from services.search import tasks as searching
from services.search.library import Library
from services.search.queries import search
from services.standalone import prepare
from shared.domain.answers import SearchFilters
from shared.domain.corrections import CorrectedObject, PanelCorrection
from shared.domain.pipeline import STAGES
from shared.domain.schema import Box, DetectedObject, Direction, PagePanels
from shared.errors import NotFound, Reject
from shared.settings import Settings
from shared.store.active import activate
from shared.store.db import row, rows, unit_of_work
from shared.store.layouts import add_layout, layout_of
from shared.work import jobs
from shared.work.stages import run_batch
from tests.equipment import comics
from tests.equipment.api import running_api
from tests.equipment.fake_vlm import fake_vlm
from tests.equipment.rows import add_pages, execute, job_states, plan_stage
from tests.services.extraction.test_extract_stage import add_drawn_pages, calls, pay
from tests.services.search.test_embedding import add_made_comic

TOP, BOTTOM = Box(0, 0, 100, 70), Box(0, 75, 100, 75)
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def layout(*boxes: Box, **more: Any) -> PagePanels:
    """What a machine says of a page of 100 × 150 pixels."""
    panels = [DetectedObject(label="panel", box=box, score=0.9) for box in boxes]
    return PagePanels(width=100, height=150, kind="panels", direction=Direction.LTR, panels=panels, **more)


BEFORE = layout(TOP, BOTTOM)


def said(*boxes: Box, before: PagePanels | None = BEFORE, **more: Any) -> PagePanels:
    """The layout that comes of saying so about that page."""
    correction = PanelCorrection(panels=list(boxes), **more)
    return corrected(correction, width=100, height=150, direction=Direction.RTL, before=before)


def told(before: PagePanels | None, now: PagePanels) -> list[tuple[str, int | None, int | None, bool]]:
    return [(one.what, one.before, one.now, one.reordered) for one in changes(before, now).panels]


def test_what_is_drawn_is_certain_and_stands_in_the_order_it_was_given() -> None:
    made = said(BOTTOM, TOP)
    assert [(panel.box, panel.score) for panel in made.panels] == [(BOTTOM, 1.0), (TOP, 1.0)]
    assert made.direction is Direction.LTR
    assert said(TOP, before=None).direction is Direction.RTL, "as the comic is read, where nobody has seen the page"
    assert [panel.box for panel in said(BOTTOM, TOP, reorder=True).panels] == [TOP, BOTTOM]
    left, right = Box(0, 0, 45, 70), Box(50, 0, 50, 70)
    assert [panel.box for panel in said(left, right, reorder=True, direction="rtl").panels] == [right, left]


def test_a_page_is_what_its_panels_make_it_unless_the_person_says_otherwise() -> None:
    whole = Box(0, 0, 100, 150)
    assert (said(whole).kind, said(whole, kind="panels").kind, said(TOP, kind="splash").kind) == (
        "splash", "panels", "splash",
    )  # fmt: skip
    empty = said(reason="text")
    assert (empty.kind, empty.reason) == ("none", "text")
    contradictions: list[dict[str, Any]] = [
        {},
        {"panels": []},
        {"panels": [], "reason": "nothing_seen"},
        {"panels": [], "reason": "blank", "kind": "panels"},
        {"panels": [TOP], "reason": "text"},
        {"panels": [TOP, BOTTOM], "kind": "splash"},
        {"panels": [[10, 10, float("nan"), 20]], "kind": "panels"},
        {"panels": [[10, 10, True, 20]]},
        {"panels": [[10, 10, "30", 20]]},
    ]
    for wrong in contradictions:
        with pytest.raises(ValueError, match=r"reason|kind|splash|panels"):
            PanelCorrection.model_validate(wrong)


def test_every_panel_is_told_of_as_kept_moved_added_removed_or_reordered() -> None:
    assert told(BEFORE, said(TOP, BOTTOM)) == [("kept", 0, 0, False), ("kept", 1, 1, False)]
    assert told(BEFORE, said(Box(0, 0.5, 100, 69.5), Box(0, 75, 60, 75))) == [
        ("kept", 0, 0, False), ("moved", 1, 1, False),
    ]  # fmt: skip
    assert told(BEFORE, said(BOTTOM, TOP)) == [("kept", 1, 0, True), ("kept", 0, 1, False)]
    third = Box(10, 80, 20, 20)
    assert told(BEFORE, said(third, BOTTOM)) == [
        ("added", None, 0, False), ("kept", 1, 1, False), ("removed", 0, None, False),
    ]  # fmt: skip
    assert told(None, said(TOP, before=None)) == [("added", None, 0, False)]
    found = changes(BEFORE, said(reason="blank", direction="rtl"))
    assert (found.kind, found.reason, found.direction) == (("panels", "none"), (None, "blank"), ("ltr", "rtl"))
    moved = changes(BEFORE, said(TOP, Box(0, 75, 60, 75))).panels[1]
    assert (moved.box_before, moved.box_now) == (BOTTOM, Box(0, 75, 60, 75))


def test_objects_go_to_the_new_panels_or_are_said_anew() -> None:
    face = DetectedObject(label="face", box=Box(10, 80, 20, 20), score=0.7, panel=1)
    balloon = DetectedObject(label="text", box=Box(40, 80, 30, 15), score=0.8, panel=1)
    before = layout(TOP, BOTTOM, objects=[face, balloon])
    (kept, spoken) = said(BOTTOM, TOP, before=before).objects
    assert (kept.box, kept.score, kept.panel, spoken.speaker) == (face.box, 0.7, 0, 0)
    assert [seen.panel for seen in said(TOP, before=before).objects] == [None, 0]  # the balloon hangs near it
    anew = said(TOP, BOTTOM, before=before, objects=[{"label": "text", "box": [5, 5, 20, 10]}])
    assert [(seen.label, seen.score, seen.panel) for seen in anew.objects] == [("text", 1.0, 0)]
    sent = said(TOP, BOTTOM, before=before, objects=[{"label": "face", "box": face.box}])
    assert [seen.score for seen in sent.objects] == [0.7], "nobody has looked at what is sent back as it was"
    found = changes(before, anew).objects
    assert found is not None
    assert (found.kept, found.added, found.removed) == (0, 1, 2)


@pytest.mark.parametrize(
    ("boxes", "complaint"),
    [
        ([TOP, Box(0, 80, 100, 73)], r"Panel 2, \[0, 80, 100, 73\], reaches 3 pixels out of the page, .* 100 × 150"),
        ([Box(10, 10, 0, 20)], "Panel 1, .* has no area"),
        ([Box(-1.5, 10, 1.6, 20)], "smaller than a pixel"),
        ([TOP, BOTTOM, Box(0.2, 75, 100, 75)], "Panels 2 and 3 are the same box"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_number(boxes: list[Box], complaint: str) -> None:
    with pytest.raises(Reject, match=complaint):
        said(*boxes)


def test_a_pixel_over_the_edge_is_cut_off() -> None:
    assert [panel.box for panel in said(Box(-1, -2, 100, 50), Box(50, 100, 51.5, 51)).panels] == [
        Box(0, 0, 99, 48), Box(50, 100, 50, 50),
    ]  # fmt: skip


sides = st.floats(0, 60).map(lambda side: round(side, 3))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(sides, sides, sides, sides), min_size=1, max_size=6))
def test_what_was_read_and_is_sent_back_is_the_same(places: list[tuple[float, float, float, float]]) -> None:
    boxes = [Box(20 * k + x / 9, y / 2, 8 + w / 60, 20 + h / 2) for k, (x, y, w, h) in enumerate(places[:4])]
    once = said(*boxes)
    again = said(*(panel.box for panel in once.panels), before=once)
    assert same(once, again)
    assert {what for what, *_ in told(once, again)} == {"kept"}


@pytest.fixture
def api(configured: Settings) -> Iterator[TestClient]:
    assert configured.database_url
    with TestClient(app) as client:
        yield client


def put(api: TestClient, page: int, *boxes: Box, status: int = 200, **more: Any) -> dict[str, Any]:
    answer = api.put(f"/pages/{page}/panels", json={"panels": [list(box) for box in boxes], **more})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def add_page(configured: Settings) -> int:
    """A page of 100 × 150 pixels on which the detector has seen two panels."""
    [page] = add_pages(str(configured.database_url), 1)
    comics.add_layout(configured, page, [TOP, BOTTOM])
    return page


def test_a_correction_stands_beside_the_machines_layout_with_who_when_and_what(
    configured: Settings, api: TestClient
) -> None:
    page = add_page(configured)
    [machines] = api.get("/layouts", params={"page_id": page}).json()
    shown = put(api, page, BOTTOM, TOP, author="  Deevad ", based_on=machines["id"])
    assert (shown["source"], shown["author"], shown["active"], shown["replaces_id"]) == (
        "person", "Deevad", True, machines["id"],
    )  # fmt: skip
    assert [(one["what"], one["reordered"]) for one in shown["changes"]["panels"]] == [("kept", True), ("kept", False)]
    assert [panel["box"] for panel in shown["panels"]] == [list(BOTTOM), list(TOP)]
    assert shown["created_at"] > machines["created_at"]
    kept = api.get("/layouts", params={"page_id": page}).json()
    assert [(one["source"], one["active"]) for one in kept] == [("person", True), ("model", False)]
    assert api.get(f"/pages/{page}/panels").json() == shown
    assert put(api, page, reason="text")["author"] == "somebody"
    assert api.get(f"/pages/{page}/panels").json()["reason"] == "text"


def test_saying_it_again_changes_nothing(configured: Settings, api: TestClient) -> None:
    page = add_page(configured)
    machines = api.get(f"/pages/{page}/panels").json()["id"]
    once = put(api, page, BOTTOM, based_on=machines)
    # As a client does whose first answer was lost: it still thinks of the machine's layout.
    again = put(api, page, BOTTOM, based_on=machines, author="another")
    assert again == once
    assert len(api.get("/layouts", params={"page_id": page}).json()) == 2


def test_what_another_person_said_meanwhile_is_not_lost(configured: Settings, api: TestClient) -> None:
    page = add_page(configured)
    machines = api.get(f"/pages/{page}/panels").json()["id"]
    put(api, page, BOTTOM, based_on=machines, author="Ann")
    refused = put(api, page, TOP, based_on=machines, status=409)
    assert "Ann has corrected page" in refused["detail"]
    assert api.delete(f"/pages/{page}/panels", params={"based_on": machines}).status_code == 409
    put(api, page, TOP, based_on=machines, force=True)
    other = add_page(configured)
    assert "has no layout" in put(api, other, TOP, based_on=machines, status=422)["detail"]


def test_problems_say_what_and_which(configured: Settings, api: TestClient) -> None:
    page = add_page(configured)
    outside = put(api, page, TOP, Box(90, 0, 30, 30), status=422)
    assert "Panel 2, [90, 0, 30, 30], reaches 20 pixels out of the page" in outside["detail"]
    assert "needs a reason" in put(api, page, status=422)["detail"]
    assert "at most 200" in put(api, page, *[TOP] * 201, status=422)["detail"]
    assert "panels.0" in api.put(f"/pages/{page}/panels", json={"panels": [[1, 2, "3", 4]]}).json()["detail"]
    assert put(api, 999, TOP, status=404)["detail"].startswith("There is no page 999")
    assert api.get("/pages/999/panels").status_code == 404
    execute(str(configured.database_url), "UPDATE page SET hidden = 'person' WHERE id = :p", p=page)
    assert "is hidden" in put(api, page, TOP, status=409)["detail"]
    execute(
        str(configured.database_url),
        "UPDATE page SET hidden = NULL, state = 'unreadable', error = 'torn', image_sha256 = NULL WHERE id = :p",
        p=page,
    )
    assert "torn" in put(api, page, TOP, status=422)["detail"]


def test_going_back_to_the_machines_panels_aligns_their_text_again(configured: Settings, api: TestClient) -> None:
    url = str(configured.database_url)
    page = add_page(configured)
    read(url, page)
    plan_stage(configured, "align")
    run_batch(STAGES["align"], align)
    machines = api.get(f"/pages/{page}/panels").json()["id"]
    put(api, page, Box(0, 0, 100, 150))
    run_batch(STAGES["align"], align)
    assert (aligned(url, page), texts(url, page)) == (True, ["Hello"])
    back = api.delete(f"/pages/{page}/panels")
    assert (back.json()["id"], back.json()["source"]) == (machines, "model")
    assert not aligned(url, page), "what was told of the person's panels says nothing of these"
    run_batch(STAGES["align"], align)
    assert (aligned(url, page), texts(url, page)) == (True, ["", "Hello"])
    assert api.delete(f"/pages/{page}/panels").json() == back.json(), "a second time nothing happens"
    assert [one["source"] for one in api.get("/layouts", params={"page_id": page}).json()] == ["model", "person"]


def test_a_page_that_only_people_have_seen_has_nothing_to_go_back_to(configured: Settings, api: TestClient) -> None:
    [page] = add_pages(str(configured.database_url), 1)
    assert api.delete(f"/pages/{page}/panels").status_code == 404
    shown = put(api, page, TOP)
    assert (shown["replaces_id"], shown["direction"]) == (None, "ltr")
    assert "Nobody but people" in api.delete(f"/pages/{page}/panels").json()["detail"]


def test_of_two_people_at_once_one_is_told_of_the_other(configured: Settings, api: TestClient) -> None:
    page = add_page(configured)
    machines = api.get(f"/pages/{page}/panels").json()["id"]
    answers: list[int] = []

    def say(box: Box) -> None:
        body = {"panels": [list(box)], "based_on": machines}
        answers.append(api.put(f"/pages/{page}/panels", json=body).status_code)

    people = [threading.Thread(target=say, args=(box,)) for box in (TOP, BOTTOM)]
    with unit_of_work(str(configured.database_url)) as connection:
        rows(connection, "SELECT FROM page WHERE id = :id FOR NO KEY UPDATE", id=page)
        for person in people:
            person.start()
        assert wait_until(lambda: waiting(configured) == 2, seconds=10)
    for person in people:
        person.join()
    assert sorted(answers) == [200, 409]


def test_a_detector_that_ends_at_the_same_moment_is_replaced_and_named(configured: Settings, api: TestClient) -> None:
    page = add_page(configured)
    shown: list[dict[str, Any]] = []
    person = threading.Thread(target=lambda: shown.append(put(api, page, TOP)))
    with unit_of_work(str(configured.database_url)) as connection:
        late = add_layout(connection, page, BEFORE, source="model")
        activate(connection, page, "layout_id", late)
        person.start()
        assert wait_until(lambda: waiting(configured) == 1, seconds=10)
    person.join()
    assert (shown[0]["source"], shown[0]["replaces_id"]) == ("person", late)


def test_a_persons_panels_keep_their_order_when_the_comic_is_turned(configured: Settings, api: TestClient) -> None:
    page = add_page(configured)
    shown = put(api, page, BOTTOM, TOP)
    comic = shown["panels"][0]["comic_id"]
    assert TestClient(ingestion).patch(f"/comics/{comic}", json={"direction": "rtl"}).status_code == 200
    assert job_states(str(configured.database_url), "detect")["queued"] == 0, "no detector is registered here"
    with unit_of_work(str(configured.database_url)) as connection:
        turned = add_layout(connection, page, BEFORE, source="model")
        activate(connection, page, "layout_id", turned)
        active = row(connection, "SELECT layout_id FROM page WHERE id = :id", id=page)
        assert active is not None
        assert [panel.box for panel in layout_of(connection, active["layout_id"]).panels] == [BOTTOM, TOP]


def test_nobody_goes_back_to_panels_of_an_image_that_the_page_had_before(configured: Settings, api: TestClient) -> None:
    page = add_page(configured)
    machines = api.get(f"/pages/{page}/panels").json()["id"]
    put(api, page, BOTTOM)
    execute(str(configured.database_url), "UPDATE page SET image_sha256 = md5('another') WHERE id = :p", p=page)
    assert api.delete(f"/pages/{page}/panels").status_code == 404
    assert "has another image" in put(api, page, TOP, based_on=machines, status=422)["detail"]
    with unit_of_work(str(configured.database_url)) as connection:
        now = add_layout(connection, page, BEFORE, source="model")
        add_layout(connection, page, BEFORE, source="import", image="of the image before")
    assert api.delete(f"/pages/{page}/panels").json()["id"] == now


def test_a_detector_that_saw_an_image_that_the_page_had_before_changes_nothing(configured: Settings) -> None:
    page = add_page(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        late = add_layout(connection, page, BEFORE, source="model", image="of the image before")
        activate(connection, page, "layout_id", late)
        active = row(connection, "SELECT layout_id FROM page WHERE id = :id", id=page)
    assert active is not None
    assert active["layout_id"] != late


def test_a_page_that_has_no_panels_after_all_is_not_paid_for(configured: Settings, api: TestClient) -> None:
    url, (page, begun) = str(configured.database_url), (add_page(configured), add_page(configured))
    for id_, attempt in ((page, 0), (begun, 1)):
        execute(
            url,
            "INSERT INTO job (stage, subject_id, fingerprint, attempt, max_attempts) "
            "VALUES ('extract', :p, 'f', :a, 3)",
            p=id_,
            a=attempt,
        )
    put(api, page, TOP)
    assert job_states(url, "extract") == {"queued": 2}
    for id_ in (page, begun):
        put(api, id_, reason="text")
    assert job_states(url, "extract") == {"queued": 1}, "what was begun may have been paid for"


def test_words_are_read_in_the_machines_text_boxes_again(configured: Settings) -> None:
    page = add_page(configured)
    url, boxes = str(configured.database_url), configured.model_copy(update={"read": "boxes"})
    with unit_of_work(url) as connection:
        jobs.plan(connection, STAGES["read"], boxes, subjects=[page])
    execute(url, "UPDATE job SET state = 'done'")
    text = CorrectedObject(label="text", box=Box(5, 5, 20, 10))
    with unit_of_work(url) as connection:
        correct(connection, boxes, page, PanelCorrection(panels=[TOP], objects=[text]))
    with unit_of_work(url) as connection:
        assert revert(connection, boxes, page, based_on=None, force=False)["read"] == 1


def test_a_page_that_goes_back_is_seen_by_the_detector_of_today(configured: Settings, api: TestClient) -> None:
    prepare(configured)
    page = add_page(configured)
    put(api, page, BOTTOM)
    api.delete(f"/pages/{page}/panels")
    assert job_states(str(configured.database_url), "detect") == {"queued": 1}


def test_edges_that_a_person_moved_are_read_the_way_the_comic_is_turned(configured: Settings, api: TestClient) -> None:
    left, right = Box(0, 0, 45, 150), Box(50, 0, 50, 150)
    moved, stated = add_page(configured), add_page(configured)
    with unit_of_work(str(configured.database_url)) as connection:
        seen = layout(left, right, objects=[DetectedObject(label="face", box=Box(60, 9, 9, 9), score=0.5, panel=1)])
        for page in (moved, stated):
            activate(connection, page, "layout_id", add_layout(connection, page, seen, source="model"))
    put(api, moved, left, right._replace(x=52, w=48), author="Ann")
    put(api, stated, right, left, direction="rtl")
    before = put(api, stated, right._replace(x=52, w=48), left)
    for page in (moved, stated):
        comic = api.get(f"/pages/{page}/panels").json()["panels"][0]["comic_id"]
        for way in ("rtl", "ltr"):
            answer = TestClient(ingestion).patch(f"/comics/{comic}", json={"direction": way})
            assert answer.status_code == 200
            shown = api.get(f"/pages/{page}/panels").json()
            first = shown["panels"][0]["box"][0]
            if page == stated:
                assert shown == before, "a person has said how this page is read"
            else:
                assert (shown["direction"], first) == (way, 52 if way == "rtl" else 0)
                assert (shown["source"], shown["author"]) == ("person", "Ann")
                assert shown["objects"][0]["panel"] == (0 if way == "rtl" else 1)


def test_what_was_paid_for_follows_the_panels_and_is_never_asked_again(
    configured: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_vlm(tmp_path / "books.jsonl") as vlm:
        paying = pay(monkeypatch, configured, vlm, "10")
        url = str(paying.database_url)
        [page] = add_drawn_pages(paying, 1)
        read(url, page)
        plan_stage(paying, "extract")
        run_batch(STAGES["extract"], extract)
        assert len(calls(paying)) == 1
        first, second, third = (Box(0, 100 * k, 200, 100) for k in range(3))
        with TestClient(app) as api:
            put(api, page, third, first, Box(0, 105, 200, 90))
            assert job_states(url, "extract") == {"done": 1}
            assert job_states(url, "align")["queued"] >= 1
            while run_batch(STAGES["align"], align):
                pass
            with unit_of_work(url) as connection:
                found = rows(
                    connection,
                    "SELECT t.descriptive FROM page p JOIN panel n ON n.layout_id = p.layout_id "
                    "JOIN panel_text t ON t.panel_id = n.id WHERE p.id = :id ORDER BY n.position",
                    id=page,
                )
                image = row(connection, "SELECT image_sha256 FROM page WHERE id = :id", id=page)
            assert image is not None
            told_before = [text["descriptive"] for text in found]
            assert len(set(told_before)) == 3
            assert [told_before[k] for k in (1, 2, 0)] == sorted(told_before), "they were numbered from the top"
            put(api, page, reason="pictures")
            put(api, page, second)
            assert api.delete(f"/pages/{page}/panels").json()["source"] == "model"
        assert plan_stage(paying, "extract") == 0
        assert (len(calls(paying)), len(vlm.settled())) == (1, 1)
        assert job_states(url, "extract") == {"done": 1}


def test_words_that_are_read_in_text_boxes_only_are_read_in_the_new_ones(configured: Settings) -> None:
    page = add_page(configured)
    read(str(configured.database_url), page)
    boxes = configured.model_copy(update={"read": "boxes"})
    text = CorrectedObject(label="text", box=Box(5, 5, 20, 10))
    with unit_of_work(str(configured.database_url)) as connection:
        planned = correct(connection, boxes, page, PanelCorrection(panels=[TOP, BOTTOM], objects=[text]))
    assert planned == {"read": 1, "align": 1}


def test_the_command_shows_sets_and_takes_back(
    configured: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = add_page(configured)

    def run(*arguments: str, status: int = 0) -> str:
        assert main(["panels", str(page), *arguments]) == status
        said = capsys.readouterr()
        return said.err if status else said.out

    with running_api(configured, service="detection"):
        assert "by the detector: 2 panels, ltr" in run()
        shown = json.loads(run("--json"))
        shown["panels"] = [shown["panels"][1], [0, 0, 50, 70], [52, 0, 48, 70]]
        edited, boxes = tmp_path / "edited.json", tmp_path / "boxes.json"
        edited.write_text(json.dumps(shown))
        said = run("--set", str(edited), "--author", "Ann")
        assert "by a person (Ann): 3 panels, ltr" in said
        assert [line.split("  ")[-1] for line in said.splitlines()[1:]] == ["kept, reordered", "moved", "added"]
        boxes.write_text(json.dumps([BOTTOM, TOP]))
        assert "52" not in run("--set", str(boxes), "--reorder")
        assert "Ann" not in run("--json")
        boxes.write_text("[]")
        assert "needs a reason" in run("--set", str(boxes), status=2)
        boxes.write_text('{"panels": [], "reason": "text", "colour": 1}')
        assert "colour" in run("--set", str(boxes), status=2)
        assert "--set" in run("--author", "Ann", status=2)
        assert "by the detector" in run("--revert")


def test_the_search_answers_with_the_new_panels(configured: Settings, api: TestClient) -> None:
    prepare(configured)
    url = str(configured.database_url)
    pages = add_made_comic(configured, count=1)
    read(url, pages[0])
    plan_stage(configured, "align")
    run_batch(STAGES["align"], align)
    embed(configured)
    old = api.get(f"/pages/{pages[0]}/panels").json()
    library = Library(configured)
    with unit_of_work(url) as connection:
        assert len(library.space(connection).index)
    shown = put(api, pages[0], Box(10, 10, 480, 300), Box(10, 330, 480, 350))
    plan_stage(configured, "align")
    run_batch(STAGES["align"], align)
    embed(configured)
    new = [panel["id"] for panel in shown["panels"]]
    with unit_of_work(url) as connection:
        answer = search(connection, library, panel_id=new[0], filters=SearchFilters(), limit=50)
        hits = {hit.panel_id for hit in answer.hits}
        assert new[1] in hits
        assert not hits & {panel["id"] for panel in old["panels"]}
        with pytest.raises(NotFound):
            search(connection, library, panel_id=old["panels"][0]["id"], filters=SearchFilters(), limit=5)


def embed(configured: Settings) -> None:
    plan_stage(configured, "embed")
    while run_batch(STAGES["embed"], searching.embed):
        pass


def waiting(configured: Settings) -> int:
    with unit_of_work(str(configured.database_url)) as connection:
        return len(rows(connection, WAITING))


def read(url: str, page: int) -> None:
    """OCR has read one word in the lower half."""
    line = '{"text": "Hello", "box": [10, 100, 40, 10], "confidence": 0.9}'
    execute(
        url,
        "WITH e AS (INSERT INTO extraction (page_id, engine, model, source, content) VALUES (:p, 'ocr', 'm', 'model', "
        "CAST(:content AS jsonb)) RETURNING id) UPDATE page SET ocr_id = (SELECT id FROM e) WHERE id = :p",
        p=page,
        content=f'{{"engine": "ocr", "model": "m", "lines": [{line}]}}',
    )


def aligned(url: str, page: int) -> bool:
    with unit_of_work(url) as connection:
        found = row(
            connection,
            "SELECT FROM page p JOIN alignment a ON a.page_id = p.id AND a.layout_id = p.layout_id WHERE p.id = :id",
            id=page,
        )
    return found is not None


def texts(url: str, page: int) -> list[str]:
    with unit_of_work(url) as connection:
        found = rows(
            connection,
            "SELECT t.literal FROM page p JOIN panel n ON n.layout_id = p.layout_id "
            "LEFT JOIN panel_text t ON t.panel_id = n.id WHERE p.id = :id ORDER BY n.position",
            id=page,
        )
    return [text["literal"] for text in found]
