"""The command line's own manners; what it does with a server is tested with the main job."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from shutil import copy

import pytest

from services.cli import main, parser
from services.following import bar, follow_work
from services.standalone import prepare
from shared.domain.answers import Progress, StageCounts
from shared.domain.schema import Box
from shared.http.client import Client
from shared.settings import Settings, settings
from tests.bench.detection_truth import read_truth, score_panels
from tests.equipment.api import running_api
from tests.equipment.hostile_files import picture
from tests.equipment.rows import execute, job_states
from tests.services.dataspec.made import add_comic

ROOT = Path(__file__).resolve().parent.parent


def test_help_answers_for_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        "up", "add", "status", "search", "show", "edit", "duplicates", "remove", "gc", "migrate", "worker",
        "detect", "redetect", "panels", "import-panels", "export-panels", "import-detector",
        "dataset", "dataspec", "train", "runs", "promote", "embed",
    ):  # fmt: skip
        with pytest.raises(SystemExit) as ended:
            parser().parse_args([command, "--help"])
        assert ended.value.code == 0
        assert command in capsys.readouterr().out


def test_without_a_server_it_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMICS_SERVER", "http://127.0.0.1:1")
    settings.cache_clear()
    assert main(["search", "witches"]) == 1
    settings.cache_clear()
    assert "comics up" in capsys.readouterr().err


def test_adding_waits_for_the_added_comics_together_and_for_nothing_else(
    configured: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs of others, as of a run that trains for hours, go on; nobody watches the bar for them."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)  # a file would only get the last state of the bar
    url = str(configured.database_url)
    for number in (1, 2):
        (tmp_path / f"book {number}").mkdir()
        (tmp_path / f"book {number}" / "p1.png").write_bytes(picture(64, 64, seed=number))
    execute(url, "INSERT INTO job (stage, subject_id, fingerprint, max_attempts) VALUES ('train', 1, 'a', 9)")

    def finish_one_by_one() -> None:
        while job_states(url, "ingest")["queued"] < 2:
            time.sleep(0.05)
        for _ in range(2):
            time.sleep(0.7)
            execute(
                url,
                "UPDATE job SET state = 'done' WHERE id = "
                "(SELECT min(id) FROM job WHERE stage = 'ingest' AND state = 'queued')",
            )

    finishing = threading.Thread(target=finish_one_by_one, daemon=True)
    finishing.start()
    with running_api(configured):
        assert main(["add", str(tmp_path / "book 1"), str(tmp_path / "book 2")]) == 0
    finishing.join()
    drawn = capsys.readouterr().out
    assert [counts for counts in ("0/2", "1/2", "2/2") if f"] {counts} " in drawn] == ["0/2", "1/2", "2/2"]
    assert "train" not in drawn
    assert job_states(url, "train") == {"queued": 1}


def test_comics_are_shown_searched_and_frozen_by_source_and_collection(
    configured: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(configured)
    for title, source, collection in (("Alpha", "Calibre", "2000AD"), ("Beta", "Calibre", ""), ("Gamma", "me", "")):
        execute(
            str(configured.database_url),
            "UPDATE comic SET source = :source, collection = :collection WHERE id = :id",
            id=add_comic(configured, title, words="carrot"),
            source=source,
            collection=collection,
        )

    def told(*arguments: str, status: int = 0) -> str:
        assert main(list(arguments)) == status
        return "".join(capsys.readouterr())

    with running_api(configured):
        for command in (["show"], ["search", "carrot"]):
            among = told(*command, "--source", "Calibre")
            assert ("Alpha" in among, "Beta" in among, "Gamma" in among) == (True, True, False)
            among = told(*command, "--source", "Calibre", "--source", "me", "--collection", "")
            assert ("Alpha" in among, "Beta" in among, "Gamma" in among) == (False, True, True)
        assert "No comic has the collection '2000ad'" in told("search", "carrot", "--collection", "2000ad", status=1)
        assert "of 1 comics" in told("dataset", "--collection", "2000AD")
        assert "of 2 comics" in told("dataset", "--source", "Calibre")


def test_following_all_work_on_comics_waits_for_no_run_that_trains(
    configured: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for stage, state in (("train", "queued"), ("ingest", "done"), ("read", "failed")):
        execute(
            str(configured.database_url),
            "INSERT INTO job (stage, subject_id, fingerprint, max_attempts, state) VALUES (:stage, 1, 'a', 9, :state)",
            stage=stage,
            state=state,
        )
    with running_api(configured, service="ingestion") as address, Client(address) as client:
        follow_work(client)
    assert "2/2" in (drawn := capsys.readouterr().out)
    assert "failed:1" in drawn


def test_a_reader_that_has_enough_is_no_error() -> None:
    code = (
        "import sys; from services import cli; cli._status = lambda *_: [print('x' * 99) for _ in range(99999)] and 0;"
    )
    code += "sys.exit(cli.main(['status']))"
    command = f'{sys.executable} -c "{code}" | head -n 1; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stderr == ""


def test_the_bar_shows_counts_rate_and_what_is_left() -> None:
    stages = {"ingest": StageCounts(done=1), "read": StageCounts(queued=6, running=2, failed=1)}
    line = bar(Progress(stages=stages, total=10, ended=2, failed=1, finished=False), rate=2.0)
    assert "2/10" in line
    assert "4 s left" in line
    assert "read:8" in line
    assert "failed:1" in line


@pytest.mark.timeout(120)
def test_detect_writes_panels_in_reading_order_without_a_server(samples: Path, tmp_path: Path) -> None:
    out, folder, original = tmp_path / "panels.json", tmp_path / "pages", samples / "pepper-carrot-ep17"
    folder.mkdir()
    for name in ("page8.jpg", "page2.jpg", "page3.jpg"):
        copy(original / name, folder)
    command = [sys.executable, "-m", "services.cli", "detect", str(folder), "--direction", "ltr", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert list(found) == ["page2.jpg", "page3.jpg", "page8.jpg"]
    assert all(len(box) == 4 for boxes in found.values() for box in boxes)
    truth = {name: boxes for name, boxes in read_truth(original / "ground_truth_coco.json").items() if name in found}
    score = score_panels(truth, {name: [Box(*box) for box in boxes] for name, boxes in found.items()})
    assert score.true > 5
    assert score.f1 > 0.8
    assert score.ordered == score.pages
