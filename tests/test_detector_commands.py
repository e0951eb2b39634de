"""`comics train detector` and what follows: wrong calls told in a line, right ones against the real interface."""

import re
from collections.abc import Iterator

import pytest

from services import detector_commands
from services.standalone import prepare
from shared.domain.training import DetectorRunConfig, DetectorVerdict, RunConfig
from shared.http.client import Client
from shared.settings import Settings
from tests.equipment.api import running_api
from tests.equipment.drawn_pages import add_drawn_comic
from tests.equipment.rows import execute
from tests.equipment.shell import status

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def client(configured: Settings) -> Iterator[Client]:
    """A client of a real API over a fresh database."""
    with running_api(configured) as address, Client(address) as connected:
        yield connected


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("train detector", "needs `--from-corrections`"),
        ("train detector --from-corrections --epochs 3", "`--epochs` means nothing for a detector"),
        ("train detector --from-corrections --dataset 1", "`--dataset` means nothing for a detector"),
        ("train detector --from-corrections --steps some", "`--steps`: must be a valid integer, not some"),
        ("train --steps 3", "`--steps` means nothing for an encoder"),
        ("train encoder --from-corrections", "`--from-corrections` means nothing for an encoder"),
        ("train --resume 3 --steps 3", "`--steps` means nothing with `--resume`"),
        ("promote 3 --rollback-detector", "`--rollback-detector`: not allowed with argument checkpoint"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(capsys: Capture, call: str, says: str) -> None:
    assert status(*call.split()) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_the_help_explains_every_setting_of_a_detector_and_its_true_default(capsys: Capture) -> None:
    assert all(DetectorRunConfig.model_fields[name].description for name in detector_commands.OWN)
    assert status("train", "--help") == 0
    told = " ".join(capsys.readouterr().out.split())
    for name, about in DetectorRunConfig.model_fields.items():
        assert f"--{name.replace('_', '-')} " in told
        if about.default is not None and about.default != getattr(RunConfig(), name, None):
            assert re.search(rf"(of a detector|\(default) {re.escape(str(about.default))}\b", told), name


def test_a_detector_is_ordered_listed_and_let_in_only_when_it_is_better(
    client: Client, configured: Settings, capsys: Capture
) -> None:
    url = str(configured.database_url)
    prepare(configured)
    assert status("train", "detector", "--from-corrections", "--no-wait") == 1
    assert "There is nothing to train on" in capsys.readouterr().err
    add_drawn_comic(configured, [1, 2])
    told = "train detector --from-corrections --no-wait --steps 7 --rate 0.001 --start scratch"
    assert status(*told.split()) == 0
    assert "detector on corrections" in capsys.readouterr().out
    run = client.runs()[0]
    assert (run.kind, run.config) == ("detector", DetectorRunConfig(steps=7, rate=0.001, start="scratch"))
    assert status("runs") == 0
    assert re.match(rf" +{run.id} queued +detector +corrections step 0/", capsys.readouterr().out)

    old = next(known.id for known in client.checkpoints() if known.active and known.kind == "detector")
    verdict = DetectorVerdict(
        better=False, held_out_pages=1, beside=old, old={"f1": 1.0}, new={"f1": 0.5}, why="F1 1.000 and 0.500."
    )
    execute(
        url,
        "INSERT INTO checkpoint (kind, sha256, key, config, origin, run_id, verdict) "
        "SELECT kind, 'new', key, config, 'trained', :run, CAST(:verdict AS jsonb) FROM checkpoint WHERE id = :old",
        run=run.id,
        verdict=verdict.model_dump_json(),
        old=old,
    )
    assert status("promote") == 1
    assert "is not better than the detector in use. F1 1.000 and 0.500." in capsys.readouterr().err
    execute(url, """UPDATE checkpoint SET verdict = verdict || '{"better": true}' WHERE sha256 = 'new'""")
    assert status("promote") == 0
    said = capsys.readouterr().out
    assert "F1 1.000 and 0.500." in said
    assert f"detects panels now, instead of checkpoint {old}" in said
    assert status("promote", "--rollback-detector") == 0
    assert f"checkpoint {old} detects panels now" in capsys.readouterr().out
