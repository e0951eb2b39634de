"""Where a comic is put when it is added: by a person's word, else by the folder it lies in, or its Calibre library."""

import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from services.ingestion.metadata.calibre import DATABASE, PACKAGE, CalibreLibrary, calibre_library, calibre_opf
from shared.domain.arrivals import Shelf
from shared.domain.walk import ComicSource
from shared.http.connection import ApiError

if TYPE_CHECKING:
    from shared.domain.metadata import Metadata
    from shared.http.client import Client

NOT_FOUND, NOT_ACCEPTABLE = 404, 422
MOST_WARNINGS = 20


class Shelves:
    """What a person said for all comics of one call, and what Calibre knows of each; for several threads.

    `warnings`: libraries whose database cannot be read, and the first records that the server refused.
    """

    def __init__(self, said: Shelf) -> None:
        self.said = said
        self._libraries: dict[Path, CalibreLibrary] = {}
        self._last: tuple[Path, Path | None] | None = None
        self._refused: list[str] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for library in self._libraries.values():
            library.close()

    @property
    def warnings(self) -> list[str]:
        """What is wrong with the Calibre libraries that were met, and with what they say."""
        return [*(library.warning for library in self._libraries.values() if library.warning), *self._refused]

    def shelf_of(self, source: ComicSource) -> Shelf:
        """Where one comic is put. In a Calibre library the folders are authors: the library itself is the shelf."""
        with self._lock:
            root = self._calibre_root(source.path.parent)
        return self.said.model_copy(update={"folder": source.folder if root is None else root.name})

    def describe(self, client: "Client", source: ComicSource, comic_id: int) -> None:
        """Tell the server what Calibre says about a comic that was added; nothing where there is none of it.

        The comic is in all the same when the server does not take it.
        """
        with self._lock:
            metadata = self._calibre_says(source)
        if metadata is None:
            return
        try:
            client.put_metadata(comic_id, "calibre", metadata)
        except ApiError as error:
            if error.http_status == NOT_ACCEPTABLE and len(self._refused) < MOST_WARNINGS:
                self._refused.append(f"what Calibre says about comic {comic_id} was not taken: {error}")
            elif error.http_status not in (NOT_FOUND, NOT_ACCEPTABLE):  # somebody may have removed the comic meanwhile
                raise

    def _calibre_says(self, source: ComicSource) -> "Metadata | None":
        root = self._calibre_root(source.path.parent)
        if root is not None:
            if root not in self._libraries:
                self._libraries[root] = calibre_library(root)
            said = self._libraries[root].lookup(source.path)
            if said is not None:
                return said
        return calibre_opf(source.path / PACKAGE if source.kind == "folder" else source.path)

    def _calibre_root(self, folder: Path) -> Path | None:
        """The nearest folder at or above this one that holds a Calibre library; files come folder by folder."""
        if self._last is None or self._last[0] != folder:
            above = (one for one in (folder, *folder.parents) if (one / DATABASE).is_file())
            self._last = folder, next(above, None)
        return self._last[1]
