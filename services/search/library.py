"""The service's view of the stored vectors: for the active encoder an index that follows the registered segments.

A cache: everything here is rebuilt from PostgreSQL and the storage. Before every query `Library.space` asks which
segments exist (one statement) and loads those it has not seen. A `Space` belongs to one checkpoint for good, so that no
query is ever encoded by one encoder and compared with the vectors of another.
"""

import logging
from collections.abc import Sequence
from threading import Lock, Thread
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from services.search.index import Rows, VectorIndex
from shared.domain.pictures import Picture
from shared.errors import NotFound, Reject
from shared.settings import Settings
from shared.store import checkpoints
from shared.store.blobs import storage_of
from shared.store.db import Row, rows, unit_of_work
from shared.store.vectors import CONTEXT, PAGE, PANEL, Segment, delete_segment, list_segments, read_segment

if TYPE_CHECKING:
    from shared.nn.encoder import Encoder

log = logging.getLogger(__name__)
MANY = 64  # segments loaded before the index is extended
# The encoder that serves, and the one that is being promoted. Count and maximum together: batches commit in another
# order than their ids were given out.
STATE = """
    SELECT k.id, k.key, k.active, k.config #>> '{config,text}' IS NOT NULL AS reads,
           CAST(k.config #>> '{config,dimensions}' AS int) AS dimensions, count(s.id) AS segments, max(s.id) AS newest
    FROM checkpoint k LEFT JOIN segment s ON s.checkpoint_id = k.id
    WHERE k.kind = 'encoder' AND (k.active OR k.id = (SELECT checkpoint_id FROM promotion WHERE state = 'embedding'))
    GROUP BY k.id ORDER BY k.active DESC"""


class Space:
    """The vectors of one checkpoint and its encoder."""

    def __init__(self, configured: Settings, found: Row) -> None:
        """`found` is a row of `STATE`."""
        self.configured, self.checkpoint_id, self._key = configured, int(found["id"]), found["key"]
        self.index = VectorIndex(found["dimensions"])
        self.damaged: list[str] = []
        """Segments that could not be read; their pages are missing from the results."""
        self.state: tuple[int, int | None] | None = None
        self._loaded: set[int] = set()
        self._encoder: Encoder | None = None
        self._loading, self._warming = Lock(), Lock()
        if found["reads"]:  # every query by words will want it: let the first one not wait for torch
            Thread(target=self._loaded_encoder, name="warm-encoder", daemon=True).start()

    def follow(self, connection: sa.Connection, found: Row) -> None:
        """Load the segments that are not loaded yet; `found` is a row of `STATE`."""
        with self._loading:
            listed = rows(
                connection, "SELECT id, key FROM segment WHERE checkpoint_id = :id ORDER BY id", id=self.checkpoint_id
            )
            fresh = [segment for segment in listed if segment["id"] not in self._loaded]
            for start in range(0, len(fresh), MANY):
                batch = fresh[start : start + MANY]
                segments = [segment for one in batch if (segment := self._read(one["key"])) is not None]
                if segments:
                    self.index.extend(_owned(connection, segments))
                self._loaded.update(segment["id"] for segment in batch)
            self.state = (found["segments"], found["newest"])

    def encode_picture(self, picture: Picture) -> NDArray[np.float32]:
        """The vector (D,) of a picture nobody has stored, by the encoder that made the index."""
        from shared.nn.encoder import PanelInput

        vector: NDArray[np.float32] = self._loaded_encoder().encode([PanelInput(crop=picture)])[0]
        return vector

    def encode_words(self, words: str) -> NDArray[np.float32]:
        """The vector (D,) of words, likewise; only of an encoder that reads."""
        from shared.nn.encoder import PanelInput

        vector: NDArray[np.float32] = self._loaded_encoder().encode([PanelInput(text=words)])[0]
        return vector

    def _loaded_encoder(self) -> "Encoder":
        # On first use: torch takes seconds to load, and queries by a stored panel need none.
        from shared.nn.device import pick_device
        from shared.nn.encoder import load_encoder

        with self._warming:
            if self._encoder is None:
                folder = checkpoints.local_folder(storage_of(self.configured), self._key)
                self._encoder = load_encoder(folder, device=pick_device(self.configured.device))
            return self._encoder

    def _read(self, key: str) -> Segment | None:
        try:
            return read_segment(storage_of(self.configured), key)
        except (NotFound, Reject) as error:  # one bad file must not take the search away
            log.error("segment %s cannot be read: %s", key, error)
            self.damaged.append(key)
            return None


class Library:
    """The current space; one library per process, safe to use from many threads.

    While an encoder is being promoted its space is loaded in the background, so that the switch costs no query time.
    """

    def __init__(self, configured: Settings) -> None:
        self.configured = configured
        self._space: Space | None = None
        self._upcoming: Space | None = None
        self._switching, self._preparing = Lock(), Lock()

    def reads(self, connection: sa.Connection) -> bool:
        """Whether the active encoder has a text branch, so that words have a vector too."""
        return checkpoints.active(connection, "encoder")["config"]["config"].get("text") is not None

    def space(self, connection: sa.Connection) -> Space:
        """The space of the active checkpoint with everything registered so far. NotFound while no encoder is active."""
        found, *others = self._state(connection)
        space = self._space
        if space is None or space.checkpoint_id != found["id"]:
            with self._switching:
                space = self._space
                if space is None or space.checkpoint_id != found["id"]:
                    ready = self._upcoming
                    if ready is None or ready.checkpoint_id != found["id"]:
                        ready = Space(self.configured, found)
                    space, self._space, self._upcoming = ready, ready, None
        if space.state != (found["segments"], found["newest"]):
            space.follow(connection, found)
        for upcoming in others:
            self._prepare(upcoming)
        return space

    def _state(self, connection: sa.Connection) -> Sequence[Row]:
        found = rows(connection, STATE)
        if not found or not found[0]["active"]:
            raise NotFound("No encoder is active; run `comics migrate`, which registers the shipped one.")
        return found

    def _prepare(self, found: Row) -> None:
        """Load what the space of a promotion has got so far, in a thread of its own, one at a time."""
        with self._switching:
            if self._upcoming is None or self._upcoming.checkpoint_id != found["id"]:
                self._upcoming = Space(self.configured, found)
            space = self._upcoming
        if space.state == (found["segments"], found["newest"]) or not self._preparing.acquire(blocking=False):
            return

        def follow() -> None:
            try:
                with unit_of_work(str(self.configured.database_url)) as connection:
                    space.follow(connection, found)
            except sa.exc.DBAPIError as error:  # the next query tries again
                log.warning("the space of checkpoint %s was not prepared: %s", found["id"], error)
            finally:
                self._preparing.release()

        Thread(target=follow, name="prepare-space", daemon=True).start()


def remove_orphans(connection: sa.Connection, configured: Settings) -> int:
    """Delete segments that a killed worker wrote and never registered; how many. Only while no worker runs."""
    storage = storage_of(configured)
    registered = {segment["key"] for segment in rows(connection, "SELECT key FROM segment")}
    orphans = list_segments(storage) - registered
    for name in orphans:
        delete_segment(storage, name)
    return len(orphans)


def forget_damaged(connection: sa.Connection, space: Space) -> int:
    """Take segments that cannot be read out of the books, so that their pages lack vectors; how many."""
    gone = connection.execute(sa.text("DELETE FROM segment WHERE key = ANY(:keys)"), {"keys": space.damaged}).rowcount
    space.damaged = []
    return gone


PANEL_OWNERS = (
    "SELECT n.id, l.page_id, p.comic_id FROM panel n JOIN layout l ON l.id = n.layout_id "
    "JOIN page p ON p.id = l.page_id WHERE n.id = ANY(:ids)"
)
OWNERS = {
    PANEL: PANEL_OWNERS,
    CONTEXT: PANEL_OWNERS,
    PAGE: "SELECT p.id, p.id AS page_id, p.comic_id FROM page p WHERE p.id = ANY(:ids)",
}


def _owned(connection: sa.Connection, segments: Sequence[Segment]) -> Rows:
    """Rows of segments with the page and comic each belongs to; rows of comics deleted meanwhile are left out."""
    ids = np.concatenate([segment.ids for segment in segments])
    kinds = np.concatenate([segment.kinds for segment in segments])
    vectors = np.concatenate([segment.vectors for segment in segments])
    comic_ids, page_ids = np.full(len(ids), -1, np.int64), np.full(len(ids), -1, np.int64)
    for kind, statement in OWNERS.items():
        chosen = kinds == kind
        found = rows(connection, statement, ids=ids[chosen].tolist())
        owners = {owner["id"]: (owner["page_id"], owner["comic_id"]) for owner in found}
        pairs = np.array([owners.get(id_, (-1, -1)) for id_ in ids[chosen].tolist()], np.int64).reshape(-1, 2)
        page_ids[chosen], comic_ids[chosen] = pairs[:, 0], pairs[:, 1]
    known = page_ids >= 0
    return Rows(ids[known], kinds[known], comic_ids[known], page_ids[known], vectors[known])
