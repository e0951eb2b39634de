"""Rules of the house that no other tool checks."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EDGES = {"api", "tasks", "views", "ledger", "library", "queries"}
EDGE_FOLDERS = {"routes", "records"}  # what `api` and `views` become where a service has many
MACHINERY = {"celery", "kombu", "redis", "sqlalchemy", "psycopg", "fastapi", "starlette", "alembic"}
MACHINERY_ROOMS = (
    "shared.settings",
    "shared.work",
    "shared.http",
    "shared.store.db",
    "shared.store.tables",
    "shared.store.library_tables",
)


def imports(path: Path) -> set[str]:
    """Every module a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def sources() -> list[Path]:
    return sorted([*ROOT.glob("shared/**/*.py"), *ROOT.glob("services/**/*.py")])


def test_core_modules_know_no_machinery() -> None:
    core = [
        path
        for path in ROOT.glob("services/*/**/*.py")
        if path.stem not in EDGES and path.parent.name not in EDGE_FOLDERS
    ]
    assert len(core) > 15
    guilty = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in core
        for name in imports(path)
        if name.split(".")[0] in MACHINERY or name.startswith(MACHINERY_ROOMS)
    }
    assert guilty == set()


def test_only_the_unit_of_work_commits() -> None:
    guilty = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path != ROOT / "shared/store/db.py" and ".commit(" in path.read_text()
    ]
    assert guilty == []


def test_only_settings_read_the_environment() -> None:
    allowed = {"shared/settings.py", "services/standalone.py"}  # standalone hands its own environment to its children
    guilty = {
        str(path.relative_to(ROOT))
        for path in sources()
        if "os.environ" in path.read_text() or "os.getenv" in path.read_text()
    }
    assert guilty <= allowed


def test_modules_stay_small() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}
    assert {name: lines for name, lines in long.items() if lines > 330} == {}


@pytest.mark.parametrize(
    "module",
    ["services.cli", "shared.http.client", "services.ingestion.api", "services.extraction.api", "services.dataspec.api",
     "services.ingestion.tasks", "services.extraction.tasks", "services.dataspec.tasks",
     "services.training.api", "services.web.api", "services.run_commands",
     "services.detection.api", "services.detection.tasks", "services.search.tasks", "services.training.tasks",
     "services.training.generators.pages", "services.training.generators.stories"],
)  # fmt: skip
def test_light_roles_load_no_torch(module: str) -> None:
    heavy = "{'torch', 'transformers'}"
    code = f"import sys, {module}; sys.exit(bool({heavy} & {{name.split('.')[0] for name in sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
