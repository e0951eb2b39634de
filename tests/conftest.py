"""Fixtures every test may use: real comics and, in `tests/equipment`, real servers."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from shared.settings import Settings
    from tests.equipment.servers import Servers

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that `tests.equipment` imports the same way in every runner


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of whole installations, which lie in `tests` itself, take longest: they begin first."""
    items.sort(key=lambda item: item.path.parent != ROOT / "tests")


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
