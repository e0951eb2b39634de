"""Fixtures every test may use: real comics and, in `tests/equipment`, real servers."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from shared.settings import Settings
    from tests.equipment.servers import Servers

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that `tests.equipment` imports the same way in every runner


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of whole installations (those in `tests` itself) and of whole workers take longest: they begin first."""
    items.sort(key=lambda item: item.path.parent != ROOT / "tests" and item.path.stem != "test_workers")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much is fuzzed: a bounded run of the same inputs each time, or more and others."""
    parser.addoption("--fuzz", type=int, metavar="N", help="try N other inputs for each opener of files")


def pytest_terminal_summary(terminalreporter: "TerminalReporter") -> None:
    """What the fuzzing came to, summed over its tests and over the processes that ran them."""
    reports = [report for kind in terminalreporter.stats for report in terminalreporter.getreports(kind)]
    ended = [report for report in reports if getattr(report, "when", "") == "teardown"]
    counts = [value for report in ended for name, value in report.user_properties if name == "fuzz"]
    if counts:
        total = {key: sum(count[key] for count in counts) for key in counts[0]}
        terminalreporter.write_line("fuzz " + " ".join(f"{key}={value}" for key, value in total.items()))


def absent(reason: str) -> None:
    """Skip, or fail where REQUIRE_ALL=1 says that nothing may be missing."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"REQUIRE_ALL=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real comics, `$COMIC_SAMPLES` or `../shared/comics` beside the repository."""
    folder = Path(os.environ.get("COMIC_SAMPLES") or ROOT.parent / "shared" / "comics")
    if not (folder / "README.md").is_file():
        absent(f"no sample comics at {folder}; set COMIC_SAMPLES")
    return folder


@pytest.fixture(scope="session")
def servers() -> Iterator["Servers"]:
    """One real PostgreSQL and one real Redis for the whole run."""
    from tests.equipment.servers import running_servers

    with running_servers() as started:
        yield started


@pytest.fixture
def configured(servers: "Servers", tmp_path: Path) -> Iterator["Settings"]:
    """Settings over a fresh database, an emptied Redis and an empty data folder."""
    from tests.equipment.servers import fresh_settings

    with fresh_settings(servers, tmp_path) as made:
        yield made


@pytest.fixture
def home() -> Iterator[Path]:
    """A data folder for an installation of this test's own."""
    from tests.equipment.installation import data_folder

    with data_folder() as folder:
        yield folder
