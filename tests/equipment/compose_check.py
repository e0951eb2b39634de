"""`podman-compose config` over docker-compose.yml, and what it cannot know: that every service of ours is there.

python -m tests.equipment.compose_check
"""

import subprocess
import sys
from pathlib import Path

import yaml

from shared.domain.pipeline import QUEUES

ROOT = Path(__file__).resolve().parents[2]
NEEDED = {"postgres", "redis", "migrate", "beat", "flower", "caddy", *(f"worker-{queue}" for queue in QUEUES)}


def problems() -> list[str]:
    """What is wrong with the compose file; empty when nothing is."""
    program = str(Path(sys.executable).parent / "podman-compose")
    # `config` needs no podman but insists on asking one for its version: any program that prints a version will do.
    command = [program, "--podman-path", sys.executable, "-f", "docker-compose.yml", "config"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if checked.returncode:
        return [checked.stderr.strip()]
    services = yaml.safe_load(checked.stdout)["services"]
    apis = {path.parent.name for path in (ROOT / "services").glob("*/api.py")}
    found = [f"no service {name}" for name in sorted((NEEDED | apis) - set(services))]
    proxied = (ROOT / "Caddyfile").read_text()
    found += [f"Caddy does not know {name}" for name in sorted(apis) if f"{name}:8000" not in proxied]
    for name, service in services.items():
        command_ = service.get("command", [])
        target = next((part for part in command_ if ".api:app" in str(part)), None)
        if name in apis and target != f"services.{name}.api:app":
            found.append(f"{name} runs {target}")
    return found


if __name__ == "__main__":
    for problem in problems():
        sys.stderr.write(f"docker-compose.yml: {problem}\n")
    raise SystemExit(1 if problems() else 0)
