"""Every service's API starts on its own, as its container runs it, and every container file is sound."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from services.embedded import free_port
from services.processes import wait_until
from services.standalone import SERVICES, prepare
from shared.settings import Settings
from tests.equipment.compose_check import problems

ROOT = Path(__file__).resolve().parent.parent
OWNED = {
    "ingestion": {"/comics", "/comics/facets", "/images/{sha256}", "/images/{page_id}", "/status", "/jobs"},
    "detection": {
        "/layouts",
        "/panels/{panel_id}",
        "/panels/{panel_id}/provenance",
        "/pages/{page_id}/panels",
        "/detect",
    },
    "extraction": {"/extractions", "/costs", "/vlm"},
    "dataspec": {"/alignment/{page_id}", "/datasets", "/datasets/schema", "/datasets/{dataset_id}/export"},
    "training": {"/runs", "/runs/{run_id}/events", "/checkpoints", "/promotions"},
    "search": {"/search", "/embeddings", "/embeddings/missing"},
    "web": set(),  # screens, not an interface for programs
}


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_alone_and_owns_its_paths(service: str) -> None:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"services.{service}.api:app", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning"], cwd=ROOT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:

            def answers() -> bool:
                try:
                    return bool(http.get("/health").json() == {"status": "ok", "service": service})
                except httpx.TransportError:
                    return False

            assert wait_until(answers, seconds=60)
            assert http.get("/health/ready").json()["status"] == "ready"
            assert OWNED[service] <= set(http.get("/openapi.json").json()["paths"])
            assert http.get("/metrics").status_code == 200
            if service == "web":
                assert http.get("/", follow_redirects=True).headers["content-type"].startswith("text/html")
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.mark.usefixtures("configured")
def test_every_call_needs_the_token_once_one_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi.testclient import TestClient

    from services.ingestion.api import app
    from shared.settings import settings

    monkeypatch.setenv("COMICS_API_TOKEN", "secret-token")
    settings.cache_clear()
    client = TestClient(app)
    assert client.get("/comics").status_code == 401
    assert client.get("/comics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/comics", headers={"Authorization": "Bearer secret-token"}).status_code == 200
    assert client.get("/health").status_code == 200
    assert "secret-token" not in client.get("/comics").text


def test_a_picture_is_detected_and_kept_nowhere(configured: Settings, samples: Path) -> None:
    from fastapi.testclient import TestClient

    from services.detection.api import app

    prepare(configured)
    page = samples / "pepper-carrot-ep17" / "page3.jpg"
    with page.open("rb") as file:
        answer = TestClient(app).post("/detect", files={"file": ("page3.jpg", file)})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["panels"]) == 4
    assert TestClient(app).post("/detect", files={"file": ("a.jpg", b"no image")}).status_code == 422


@pytest.mark.usefixtures("configured")
def test_a_stranger_cannot_even_send_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi.testclient import TestClient

    from services.detection.api import app
    from shared.http.app import BODY_LIMIT
    from shared.settings import settings

    client = TestClient(app)
    assert client.post("/detect", content=b"x", headers={"Content-Length": str(BODY_LIMIT + 1)}).status_code == 413
    monkeypatch.setenv("COMICS_API_TOKEN", "secret-token")
    settings.cache_clear()
    assert client.post("/detect", files={"file": ("a.jpg", b"x")}).status_code == 401
    assert client.get("/docs").status_code == 401


def test_a_missing_database_is_a_clear_503(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi.testclient import TestClient

    from services.ingestion.api import app
    from shared.settings import settings

    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    settings.cache_clear()
    answer = TestClient(app, raise_server_exceptions=False).get("/comics")
    settings.cache_clear()
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "127.0.0.1" not in answer.text


def test_preparing_twice_changes_nothing(configured: Settings) -> None:
    prepare(configured)
    assert set(prepare(configured).values()) == {0}


def test_the_proxy_sends_every_call_to_the_service_that_owns_it() -> None:
    from services.standalone import create_standalone

    matchers = re.findall(r"^\s*@(\w+) path (.+)$", (ROOT / "Caddyfile").read_text(), re.MULTILINE)
    # As Caddy matches: a star at the end is anything, one inside is anything but a slash.
    patterns = {name: [_as_caddy(pattern) for pattern in paths.split()] for name, paths in matchers}
    astray = []
    for route in create_standalone().routes:
        owner = getattr(getattr(route, "endpoint", None), "__module__", "").split(".")
        if owner[0] != "services" or owner[1] == "web":
            continue
        path = re.sub(r"{[^}]+}", "7", route.path)  # type: ignore[attr-defined]
        found = [name for name, own in patterns.items() if any(pattern.fullmatch(path) for pattern in own)]
        if (found or ["ingestion"]) != [owner[1]]:
            astray.append(f"{path} goes to {found}")
    assert astray == []


def _as_caddy(pattern: str) -> re.Pattern[str]:
    inside, star = (pattern[:-1], ".*") if pattern.endswith("*") else (pattern, "")
    return re.compile(re.escape(inside).replace(r"\*", "[^/]*") + star)


def test_compose_knows_every_service_worker_and_helper() -> None:
    assert problems() == []
