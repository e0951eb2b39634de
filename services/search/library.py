"""The service's view of the stored vectors: the active encoder and an index that follows the registered segments.

A cache: everything here is rebuilt from PostgreSQL and the storage. Before every query `refresh` asks which segments
exist (one indexed statement) and loads those it has not seen.
"""

from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from services.search.index import Rows, VectorIndex
from shared.domain.pictures import Picture
from shared.errors import NotFound
from shared.settings import Settings
from shared.store import checkpoints
from shared.store.blobs import storage_of
from shared.store.db import row, rows
from shared.store.vectors import PAGE, PANEL, delete_segment, list_segments, read_segment

if TYPE_CHECKING:
    from shared.nn.encoder import Encoder

MANY = 64  # segments loaded before the index is extended


class Library:
    """Encoder and index of the active checkpoint; one per process, safe to use from many threads."""

    def __init__(self, configured: Settings) -> None:
        self.configured = configured
        self.index = VectorIndex()
        self.checkpoint_id: int | None = None
        self._key = ""
        self._loaded: set[int] = set()
        self._state: tuple[int, int, int | None] | None = None
        self._encoder: Encoder | None = None
        self._loading = Lock()

    def refresh(self, connection: sa.Connection) -> None:
        """Load what was registered since; a new active checkpoint starts a new index."""
        found = row(
            connection,
            "SELECT k.id, k.key, count(s.id) AS segments, max(s.id) AS newest FROM checkpoint k "
            "LEFT JOIN segment s ON s.checkpoint_id = k.id WHERE k.kind = 'encoder' AND k.active GROUP BY k.id",
        )
        if found is None:
            raise NotFound("No encoder is active; run `comics migrate`, which registers the shipped one.")
        # Count and maximum together: batches commit in another order than their ids were given out.
        state = (found["id"], found["segments"], found["newest"])
        if state == self._state:
            return
        with self._loading:
            if found["id"] != self.checkpoint_id:
                self.index, self._encoder, self._loaded = VectorIndex(), None, set()
                self.checkpoint_id, self._key = found["id"], found["key"]
            listed = rows(
                connection, "SELECT id, key FROM segment WHERE checkpoint_id = :id ORDER BY id", id=self.checkpoint_id
            )
            fresh = [segment for segment in listed if segment["id"] not in self._loaded]
            for start in range(0, len(fresh), MANY):
                batch = fresh[start : start + MANY]
                self.index.extend(self._read(connection, [segment["key"] for segment in batch]))
                self._loaded.update(segment["id"] for segment in batch)
            self._state = state

    def encode_picture(self, picture: Picture) -> NDArray[np.float32]:
        """The vector (D,) of a picture nobody has stored, by the encoder that made the index."""
        from shared.nn.encoder import PanelInput

        vector: NDArray[np.float32] = self.encoder().encode([PanelInput(crop=picture)])[0]
        return vector

    def encoder(self) -> "Encoder":
        """The encoder that made the index, loaded at its first use: torch takes seconds, and most queries need none."""
        from shared.nn.device import pick_device
        from shared.nn.encoder import load_encoder

        with self._loading:
            if self._encoder is None:
                folder = checkpoints.local_folder(storage_of(self.configured), self._key)
                self._encoder = load_encoder(folder, device=pick_device(self.configured.device))
            return self._encoder

    def _read(self, connection: sa.Connection, keys: Sequence[str]) -> Rows:
        segments = [read_segment(storage_of(self.configured), key) for key in keys]
        ids = np.concatenate([segment.ids for segment in segments])
        kinds = np.concatenate([segment.kinds for segment in segments])
        vectors = np.concatenate([segment.vectors for segment in segments])
        comic_ids, page_ids = np.full(len(ids), -1, np.int64), np.full(len(ids), -1, np.int64)
        for kind, statement in OWNERS.items():
            chosen = kinds == kind
            found = rows(connection, statement, ids=ids[chosen].tolist())
            owners = {owner["id"]: (owner["page_id"], owner["comic_id"]) for owner in found}
            page_ids[chosen], comic_ids[chosen] = _columns(owners, ids[chosen])
        known = page_ids >= 0  # rows of comics that were deleted meanwhile are left out
        return Rows(ids[known], kinds[known], comic_ids[known], page_ids[known], vectors[known])


def remove_orphans(connection: sa.Connection, configured: Settings) -> int:
    """Delete segments that a killed worker wrote and never registered; how many. Only while no worker runs."""
    storage = storage_of(configured)
    registered = {segment["key"] for segment in rows(connection, "SELECT key FROM segment")}
    orphans = list_segments(storage) - registered
    for name in orphans:
        delete_segment(storage, name)
    return len(orphans)


OWNERS = {
    PANEL: "SELECT n.id, l.page_id, p.comic_id FROM panel n JOIN layout l ON l.id = n.layout_id "
    "JOIN page p ON p.id = l.page_id WHERE n.id = ANY(:ids)",
    PAGE: "SELECT p.id, p.id AS page_id, p.comic_id FROM page p WHERE p.id = ANY(:ids)",
}


def _columns(owners: dict[int, tuple[int, int]], ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    pairs = np.array([owners.get(id_, (-1, -1)) for id_ in ids.tolist()], np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
