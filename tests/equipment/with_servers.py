"""Run a command with DATABASE_URL and REDIS_URL naming a migrated, temporary PostgreSQL and Redis.

python -m tests.equipment.with_servers alembic check
"""

import os
import subprocess
import sys

from shared.store.db import migrate
from tests.equipment.servers import running_servers

if __name__ == "__main__":
    with running_servers() as servers:
        migrate(servers.database_url)
        environment = {**os.environ, "DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
        raise SystemExit(subprocess.run(sys.argv[1:], env=environment, check=False).returncode)
