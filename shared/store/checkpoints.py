"""Checkpoints: folders of `*.safetensors` and `config.json`, kept in the storage, one active of each kind.

Every worker loads what the database calls active from the storage, so that machines without the file agree with those
that have it. Weights are read here as bytes; only `shared.nn` knows what they mean.
"""

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from shared.errors import NotFound, Reject
from shared.store.db import Row, row
from shared.store.storage import Storage

Kind = Literal["detector", "encoder"]
Origin = Literal["shipped", "configured", "trained"]


@dataclass(frozen=True)
class Kept:
    """A checkpoint folder in the storage: `sha256` of its files, its `key`, and its `config.json`."""

    kind: Kind
    sha256: str
    key: str
    config: dict[str, Any]


def keep(storage: Storage, kind: Kind, folder: Path) -> Kept:
    """Put a checkpoint folder into the storage. Reject when it holds no checkpoint."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except (FileNotFoundError, ValueError) as error:
        raise Reject(f"The {kind} folder {folder.name} has no readable config.json") from error
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if not any(name.endswith(".safetensors") for name in files):
        raise Reject(f"The {kind} folder {folder.name} holds no *.safetensors")
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name}:{len(data)}:".encode() + data)
    sha256 = digest.hexdigest()
    key = f"checkpoints/{kind}-{sha256[:16]}"
    if not storage.put_folder(key, files):
        # Somebody was here before, and in a bucket may have been killed midway; the key names the content.
        for name, data in files.items():
            storage.put_if_absent(f"{key}/{name}", data)
    return Kept(kind, sha256, key, config)


def register(connection: sa.Connection, kept: Kept, *, origin: Origin, run_id: int | None = None) -> int:
    """The row of a kept checkpoint; its id. `run_id` is the run that made it.

    It becomes active only when nothing of its kind is. What a run made stays a run's, whoever names it again.
    """
    found = row(
        connection,
        "INSERT INTO checkpoint (kind, sha256, key, config, origin, run_id) "
        "VALUES (:kind, :sha256, :key, CAST(:config AS jsonb), :origin, :run) "
        "ON CONFLICT (kind, sha256) DO UPDATE SET run_id = coalesce(checkpoint.run_id, EXCLUDED.run_id), "
        "origin = CASE checkpoint.origin WHEN 'trained' THEN 'trained' ELSE EXCLUDED.origin END RETURNING id",
        kind=kept.kind,
        sha256=kept.sha256,
        key=kept.key,
        config=json.dumps(kept.config),
        origin=origin,
        run=run_id,
    )
    assert found is not None
    active = row(connection, "SELECT FROM checkpoint WHERE kind = :kind AND active FOR UPDATE", kind=kept.kind)
    if active is None:
        activate(connection, kept.kind, found["id"])
    return int(found["id"])


def activate(connection: sa.Connection, kind: Kind, checkpoint_id: int) -> None:
    """Make one checkpoint the active one of its kind."""
    # In this order: the unique index on the active one is checked row by row.
    connection.execute(
        sa.text("UPDATE checkpoint SET active = false WHERE kind = :kind AND active AND id <> :id"),
        {"kind": kind, "id": checkpoint_id},
    )
    connection.execute(sa.text("UPDATE checkpoint SET active = true WHERE id = :id"), {"id": checkpoint_id})


def active(connection: sa.Connection, kind: Kind) -> Row:
    """The active checkpoint's row (id, sha256, key, config); NotFound before the first start has registered one."""
    found = row(connection, "SELECT * FROM checkpoint WHERE kind = :kind AND active", kind=kind)
    if found is None:
        raise NotFound(f"No {kind} is active; run `comics migrate`, which registers the shipped one.")
    return found


def local_folder(storage: Storage, key: str) -> Path:
    """A checkpoint as a folder of this machine: the storage's own, or a copy made once in the temporary folder."""
    own = storage.local_path(f"{key}/config.json")
    if own is not None:
        return own.parent
    copy = Path(tempfile.gettempdir()) / key.replace("/", "-")
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(prefix=f"{copy.name}-"))
        for name in storage.list(key):
            file = draft / name.removeprefix(f"{key}/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(storage.get(name))
        try:
            draft.rename(copy)
        except OSError:  # another process of this machine was quicker; its copy is the same
            return copy
    return copy
