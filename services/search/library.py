"""The service's view of the stored vectors: for the active encoder an index that follows the registered segments.

A cache: everything here is rebuilt from PostgreSQL and the storage. Before every query `Library.space` asks which
segments exist (one statement), loads those it has not seen and forgets the comics that went with others. A `Space`
belongs to one checkpoint for good, so that no query is ever encoded by one encoder and compared with the vectors of
another.
"""

import logging
from collections.abc import Mapping, Sequence
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
from shared.store.vectors import CONTEXT, PAGE, PANEL, Segment, read_segment

if TYPE_CHECKING:
    from shared.nn.encoder import Encoder

log = logging.getLogger(__name__)
MANY = 64  # segments loaded before the index is extended
# The encoder that serves, and the one that is being promoted. Count and sum together: batches commit in another order
# than their ids were given out, and where comics are removed segments go.
STATE = """
    SELECT k.id, k.key, k.active, k.config #>> '{config,text}' IS NOT NULL AS reads,
           CAST(k.config #>> '{config,dimensions}' AS int) AS dimensions, count(s.id) AS segments,
           CAST(coalesce(sum(s.id), 0) AS text) AS mark
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
        self.state: tuple[int, str] | None = None
        self._loaded: set[int] = set()
        self._encoder: Encoder | None = None
        self._loading, self._warming = Lock(), Lock()
        if found["reads"]:  # every query by words will want it: let the first one not wait for torch
            Thread(target=self._loaded_encoder, name="warm-encoder", daemon=True).start()

    def follow(self, connection: sa.Connection, found: Row) -> None:
        """Load the segments that are not loaded yet, forget what is gone; `found` is a row of `STATE`."""
        with self._loading:
            listed = self._listed(connection)
            while fresh := [(id_, key) for id_, key in listed.items() if id_ not in self._loaded]:
                for start in range(0, len(fresh), MANY):
                    batch = fresh[start : start + MANY]
                    segments = {id_: segment for id_, key in batch if (segment := self._read(key)) is not None}
                    if segments:
                        owned = _owned(connection, self.checkpoint_id, segments)
                        # Panels of the layout that a page had before are in no newer segment.
                        self.index.extend(owned, in_place_of=np.unique(owned.page_ids))
                    self._loaded.update(id_ for id_, _ in batch)
                listed = self._listed(connection)  # what was replaced while it was read comes again under another name
            self.damaged = [key for key in self.damaged if key in listed.values()]
            if self._loaded - listed.keys():
                self._loaded &= listed.keys()
                self._forget_removed(connection)
            self.state = (found["segments"], found["mark"])

    def _listed(self, connection: sa.Connection) -> dict[int, str]:
        found = rows(
            connection, "SELECT id, key FROM segment WHERE checkpoint_id = :id ORDER BY id", id=self.checkpoint_id
        )
        return {segment["id"]: segment["key"] for segment in found}

    def _forget_removed(self, connection: sa.Connection) -> None:
        gone = rows(
            connection,
            "SELECT k AS id FROM unnest(CAST(:ids AS bigint[])) k WHERE NOT EXISTS (SELECT FROM comic WHERE id = k)",
            ids=self.index.comic_ids().tolist(),
        )
        self.index.remove_comics(np.array([comic["id"] for comic in gone], np.int64))

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
        if space.state != (found["segments"], found["mark"]):
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
        if space.state == (found["segments"], found["mark"]) or not self._preparing.acquire(blocking=False):
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


def forget_damaged(connection: sa.Connection, space: Space) -> int:
    """Take segments that cannot be read out of the books, so that their pages lack vectors; how many."""
    gone = connection.execute(sa.text("DELETE FROM segment WHERE key = ANY(:keys)"), {"keys": space.damaged}).rowcount
    space.damaged = []
    return gone


# A row counts only in the segment that the embedding of its page names: all others hold what it looked like before.
PANEL_OWNERS = (
    "SELECT n.id, l.page_id, p.comic_id, e.segment_id FROM panel n JOIN layout l ON l.id = n.layout_id "
    "JOIN page p ON p.id = l.page_id JOIN embedding e ON e.page_id = p.id AND e.checkpoint_id = :checkpoint "
    "WHERE n.id = ANY(:ids)"
)
OWNERS = {
    PANEL: PANEL_OWNERS,
    CONTEXT: PANEL_OWNERS,
    PAGE: "SELECT p.id, p.id AS page_id, p.comic_id, e.segment_id FROM page p "
    "JOIN embedding e ON e.page_id = p.id AND e.checkpoint_id = :checkpoint WHERE p.id = ANY(:ids)",
}


def _owned(connection: sa.Connection, checkpoint_id: int, segments: Mapping[int, Segment]) -> Rows:
    """Rows of segments by their ids, with the page and comic each belongs to; rows that do not count are left out."""
    ids = np.concatenate([segment.ids for segment in segments.values()])
    kinds = np.concatenate([segment.kinds for segment in segments.values()])
    vectors = np.concatenate([segment.vectors for segment in segments.values()])
    own = np.repeat(list(segments), [len(segment) for segment in segments.values()])
    comic_ids, page_ids, named = (np.full(len(ids), -1, np.int64) for _ in range(3))
    for kind, statement in OWNERS.items():
        chosen = kinds == kind
        found = rows(connection, statement, ids=ids[chosen].tolist(), checkpoint=checkpoint_id)
        owners = {owner["id"]: (owner["page_id"], owner["comic_id"], owner["segment_id"]) for owner in found}
        told = [owners.get(id_, (-1, -1, -1)) for id_ in ids[chosen].tolist()]
        page_ids[chosen], comic_ids[chosen], named[chosen] = np.array(told, np.int64).reshape(-1, 3).T
    counts = named == own
    return Rows(ids[counts], kinds[counts], comic_ids[counts], page_ids[counts], vectors[counts])
