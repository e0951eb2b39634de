"""Commands about learning: wrong calls are told in a line, right ones work against the real interface."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.run_commands import SETTINGS
from services.standalone import prepare
from shared.domain.dataspec import DatasetLine, DataSpec
from shared.domain.training import RunConfig
from shared.http.client import Client
from shared.settings import Settings
from shared.store.db import row, unit_of_work
from tests.equipment.api import running_api
from tests.equipment.datasets import add_dataset
from tests.equipment.hostile_files import picture
from tests.equipment.rows import execute
from tests.equipment.shell import status
from tests.services.search.test_embedding import add_made_comic, embed

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def client(configured: Settings) -> Iterator[Client]:
    """A client of a real API over a fresh database."""
    with running_api(configured) as address, Client(address) as connected:
        yield connected


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("dataset --held-out 1.5", "`--held-out`: must be less than 1, not 1.5"),
        ("dataset --held-out some", "`--held-out`: invalid float value: 'some'"),
        ("dataset --seed -1", "`--seed`: must be greater than or equal to 0, not -1"),
        ("dataset --list --export 1", "`--export`: not allowed with argument --list"),
        ("dataset --import folder --list", "`--list`: not allowed with argument --import"),
        ("dataset --out folder", "`--out` goes with `--export`"),
        ("dataset --form v0.3 --list", "`--form` means nothing with `--list`"),
        ("dataset --import folder --comic 3", "`--comic` means nothing with `--import`"),
        ("dataset --export 1 --seed 3", "`--seed` means nothing with `--export`"),
        ("train --dataset 0", "`--dataset`: must be greater than or equal to 1, not 0"),
        ("train --epochs abc", "`--epochs`: must be a valid integer, not abc"),
        ("train --epochs none", "`--epochs`: must be a valid integer, not none"),
        ("train --rate 7 --size 1", "`--rate`: must be less than or equal to 1, not 7; `--size`: must be"),
        ("train --resume 3 --epochs 9", "`--epochs` means nothing with `--resume`"),
        ("train --option best", "`--option`: invalid choice: 'best'"),
        ("promote 3 --rollback", "`--rollback`: not allowed with argument checkpoint"),
        ("promote --cancel --skip-failed", "`--skip-failed`: not allowed with argument --cancel"),
        ("embed", "--missing"),
        ("search --limit 0 witches", "`--limit`: must be greater than or equal to 1"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(capsys: Capture, call: str, says: str) -> None:
    assert status(*call.split()) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.startswith("comics: ")
    assert said.count("\n") == 1
    assert "pydantic" not in said


def test_the_help_explains_every_setting_of_a_run_and_its_true_default(capsys: Capture) -> None:
    assert set(SETTINGS) == set(RunConfig.model_fields)
    assert status("train", "--help") == 0
    told = " ".join(capsys.readouterr().out.split())
    for name, about in RunConfig.model_fields.items():
        assert f"--{name.replace('_', '-')}" in told
        assert about.annotation is bool or re.search(rf"--{name.replace('_', '-')} .*?\(default", told)
        if about.default is not None and about.annotation is not bool:
            assert f"(default {about.default})" in told
    assert "none" not in told.lower()


def test_datasets_are_listed_exported_and_come_back_by_an_import(
    client: Client, configured: Settings, tmp_path: Path, capsys: Capture
) -> None:
    dataset_id = add_counted_dataset(configured)
    assert status("dataset", "--list") == 0
    assert re.search(rf"^ +{dataset_id} \w{{12}} +6 pages", capsys.readouterr().out)
    lines, folder, again = tmp_path / "a.jsonl", tmp_path / "folder", tmp_path / "b.jsonl"
    assert status("dataset", "--export", dataset_id, "--out", lines) == 0
    assert status("dataset", "--export", dataset_id, "--form", "v0.3", "--out", folder) == 0
    assert {path.name for path in folder.iterdir()} == {"dataspecs", "images", "train.txt", "held_out.txt"}
    assert status("dataset", "--import", folder, "--name", "back again") == 0
    made = client.datasets()[0]
    assert made.id != dataset_id
    assert (made.name, made.origin, made.counts.held_out_pages) == ("back again", "imported", 3)
    assert status("dataset", "--export", made.id, "--out", again) == 0
    assert pages_in(again) == pages_in(lines)
    capsys.readouterr()
    for out, form, says in (
        (lines, "v0.3", "is a file"),
        (folder, "v0.3", "is not empty"),
        (folder, "jsonl", "is a folder"),
        (tmp_path / "no" / "way", "v0.3", "cannot be written"),
        (tmp_path / "no" / "way", "jsonl", "cannot be written"),
    ):
        assert status("dataset", "--export", dataset_id, "--form", form, "--out", out) == 1
        assert says in capsys.readouterr().err
    assert status("dataset", "--import", tmp_path / "nothing") == 1
    assert "There is no folder or file" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.glob("*.tmp")) == []


def pages_in(file: Path) -> list[tuple[str, str, list[object]]]:
    """What of an exported dataset must survive the old format."""
    found = [DatasetLine.model_validate_json(line) for line in file.read_text().splitlines()]
    return [(line.split, line.page.image_sha256, [panel.box for panel in line.page.panels]) for line in found]


def add_counted_dataset(configured: Settings) -> int:
    """A dataset of made stories with all that a listing shows."""
    dataset_id = add_dataset(configured, train=[1], held_out=[2])
    counts = dict.fromkeys(
        ("comics", "panels", "panels_with_text", "silent_panels", "train_pages", "held_out_pages", "train_comics",
         "held_out_comics"), 1,
    )  # fmt: skip
    execute(
        str(configured.database_url),
        "UPDATE dataset SET counts = CAST(:c AS jsonb) || counts WHERE id = :id",
        c=json.dumps(counts),
        id=dataset_id,
    )
    return dataset_id


def test_a_run_is_queued_as_it_was_told_and_listed(client: Client, configured: Settings, capsys: Capture) -> None:
    prepare(configured)
    assert status("train", "--no-wait") == 1
    assert "make one with `comics dataset`" in capsys.readouterr().err
    dataset_id = add_counted_dataset(configured)
    told = "train --no-wait --option base --steps-per-epoch none --epochs 3 --start scratch --recompute"
    assert status(*told.split()) == 0
    run = client.runs()[0]
    assert (run.dataset_id, run.option) == (dataset_id, "base")
    assert run.config == RunConfig(epochs=3, steps_per_epoch=None, start="scratch", recompute=True)
    capsys.readouterr()
    assert status("runs") == 0
    assert re.match(rf" +{run.id} queued +base +dataset {dataset_id} step 0/", capsys.readouterr().out)
    assert status("train", "--dataset", 99) == 1
    assert "There is no dataset 99" in capsys.readouterr().err


@pytest.mark.usefixtures("client")
def test_a_library_without_anything_says_so(configured: Settings, capsys: Capture) -> None:
    prepare(configured)
    assert status("embed", "--missing") == 0
    assert "nothing is missing" in capsys.readouterr().out
    for call, says in (
        (("promote",), "No run has made a checkpoint yet"),
        (("promote", "--rollback"), "The active encoder replaced no other"),
        (("promote", "--cancel"), "No promotion is under way"),
        (("promote", "--skip-failed"), "No promotion is under way"),
    ):
        assert status(*call) == 1
        assert says in capsys.readouterr().err


def test_pages_that_fail_hold_a_promotion_up_until_they_are_skipped_or_it_is_given_up(
    client: Client, configured: Settings, capsys: Capture
) -> None:
    url = str(configured.database_url)
    prepare(configured)
    add_made_comic(configured, count=1)
    embed(configured)
    old = next(known.id for known in client.checkpoints() if known.kind == "encoder")
    with unit_of_work(url) as connection:  # its weights are never read: the page has failed before
        new = row(
            connection,
            "INSERT INTO checkpoint (kind, sha256, key, config, origin) "
            "SELECT kind, md5('another'), key, config, 'trained' FROM checkpoint WHERE id = :id RETURNING id",
            id=old,
        )
    assert new is not None
    assert status("promote", new["id"], "--no-wait") == 0
    assert client.promotions()[0].state == "embedding"
    execute(url, "UPDATE job SET state = 'failed', error = 'spoiled' WHERE stage = 'reembed'")
    capsys.readouterr()
    assert status("promote", new["id"]) == 1, "the one under way is waited for, and cannot end"
    said = capsys.readouterr().err
    assert "1 pages could not be embedded" in said
    for way_out in ("status --retry", "promote --skip-failed", "promote --cancel"):
        assert way_out in said
    assert status("promote", "--cancel") == 0
    assert "cancelled" in capsys.readouterr().out
    assert status("promote", new["id"], "--no-wait") == 0
    execute(url, "UPDATE job SET state = 'failed', error = 'spoiled' WHERE stage = 'reembed'")
    assert status("promote", "--skip-failed") == 0
    assert client.promotions()[0].state == "done"
    assert next(known.id for known in client.checkpoints() if known.active and known.kind == "encoder") == new["id"]
    assert status("promote", "--rollback") == 0
    assert next(known.id for known in client.checkpoints() if known.active and known.kind == "encoder") == old


def test_what_was_paid_for_elsewhere_is_joined_without_a_server(tmp_path: Path, capsys: Capture) -> None:
    coco, vlm, images = tmp_path / "predictions.json", tmp_path / "vlm", tmp_path / "images"
    (images / "Book").mkdir(parents=True)
    (images / "Book" / "p1.png").write_bytes(picture(96, 64, seed=1))
    (vlm / "Book").mkdir(parents=True)
    told = [{"description": "a cat", "speech": [{"text": "Meow"}]}, {"description": "a dog", "speech": []}]
    (vlm / "Book" / "p1.json").write_text(json.dumps({"panels": told}))
    found = [
        {"id": k, "image_id": 1, "category_id": 1, "bbox": box, "score": 0.9, "iscrowd": 0}
        for k, box in enumerate(([2, 2, 44, 60], [50, 2, 44, 60]))
    ]
    page = {"id": 1, "file_name": "Book/p1.png", "width": 96, "height": 64}
    coco.write_text(
        json.dumps({"images": [page], "annotations": found, "categories": [{"id": 1, "name": "panel"}]}, indent=1)
    )
    out = tmp_path / "out"
    assert status("dataspec", coco, vlm, out, "--images", images) == 0
    (line,) = (out / "pages.jsonl").read_text().splitlines()
    assert [panel.descriptive for panel in DataSpec.model_validate_json(line).panels] == ["a cat", "a dog"]
    assert "Book/p1.png" in (out / "report.csv").read_text()
    assert "1 pages in" in capsys.readouterr().out
    assert status("dataspec", coco, tmp_path / "absent", out) == 1
    assert "is no folder" in capsys.readouterr().err
    assert status("dataspec", coco, vlm, coco, "--images", images) == 1
    assert capsys.readouterr().err.startswith("comics: ")
