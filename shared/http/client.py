"""The typed client of the REST interface, for scripts, the command line and tests. Needs httpx and pydantic only.

with Client("http://127.0.0.1:8000") as comics:
    comic = comics.add(Path("ep17.cbz"))
    for progress in comics.follow(comic.id):
        print(progress.ended, progress.total)
    for hit in comics.search(words="map and compass").hits:
        print(hit.score, hit.text)
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import httpx

from shared.domain.answers import (
    ComicPage,
    ComicView,
    EmbeddingStatus,
    Facets,
    JobPage,
    JobView,
    LayoutView,
    PagePage,
    PageView,
    PanelView,
    Progress,
    Provenance,
    SearchAnswer,
    SearchFilters,
    SearchRequest,
    StageCounts,
)
from shared.domain.pipeline import STAGES
from shared.domain.schema import PagePanels
from shared.http.arriving import ArrivalCalls
from shared.http.connection import ApiError, Unreachable
from shared.http.correcting import CorrectingCalls
from shared.http.describing import DescribingCalls
from shared.http.duplicates import DuplicateCalls
from shared.http.exchanging import ExchangeCalls
from shared.http.learning import LearningCalls
from shared.http.removing import RemovingCalls

__all__ = ["ApiError", "Client", "Unreachable"]
POLL = 0.5  # seconds between looks at several comics


class Client(
    ArrivalCalls, CorrectingCalls, DescribingCalls, DuplicateCalls, ExchangeCalls, LearningCalls, RemovingCalls
):
    """Every call there is. Every method raises `ApiError` or `Unreachable`."""

    def comics(
        self,
        *,
        title: str = "",
        sources: Sequence[str] = (),
        collections: Sequence[str] = (),
        series: str | None = None,
        hidden: bool | None = None,
    ) -> Iterator[ComicView]:
        """Every comic, or those with such a title, source, collection and series, in the order they were added."""
        wanted = {"title": title, "source": sources, "collection": collections, "series": series}
        shown = "all" if hidden is None else str(hidden).lower()
        after: int | None = 0
        while after is not None:
            slice_ = ComicPage.model_validate(self._get("/comics", after=after, hidden=shown, **wanted))
            yield from slice_.items
            after = slice_.next

    def facets(self, *, sources: Sequence[str] = (), collections: Sequence[str] = ()) -> Facets:
        """The sources of comics (of these collections) and the collections of comics (from these sources)."""
        return Facets.model_validate(self._get("/comics/facets", source=sources, collection=collections))

    def comic(self, comic_id: int) -> ComicView:
        """One comic."""
        return ComicView.model_validate(self._get(f"/comics/{comic_id}"))

    def pages(self, comic_id: int) -> Iterator[PageView]:
        """Every page of a comic, in order."""
        after: int | None = -1
        while after is not None:
            slice_ = PagePage.model_validate(self._get(f"/comics/{comic_id}/pages", after=after))
            yield from slice_.items
            after = slice_.next

    def layouts(self, page_id: int) -> list[LayoutView]:
        """All layouts of a page, the active one first."""
        return [LayoutView.model_validate(found) for found in self._get("/layouts", page_id=page_id)]

    def panels(self, page_id: int) -> list[PanelView]:
        """Panels of a page's active layout, in reading order; none while it is not detected."""
        return next((layout.panels for layout in self.layouts(page_id) if layout.active), [])

    def panel(self, panel_id: int) -> PanelView:
        """One panel."""
        return PanelView.model_validate(self._get(f"/panels/{panel_id}"))

    def provenance(self, panel_id: int) -> Provenance:
        """Why a panel carries its text."""
        return Provenance.model_validate(self._get(f"/panels/{panel_id}/provenance"))

    def picture(self, address: str, *, width: int | None = None, form: Literal["webp", "jpeg"] | None = None) -> bytes:
        """The bytes behind an image address of an answer, drawn at a width where one is given."""
        asked = httpx.URL(address)
        for name, value in (("width", width), ("format", form)):
            asked = asked if value is None else asked.copy_set_param(name, value)
        return self._send("GET", str(asked)).content

    def detect(self, path: Path, *, direction: str = "auto") -> PagePanels:
        """Panels of one picture, which the server does not keep."""
        with path.open("rb") as file:
            answer = self._send("POST", "/detect", params={"direction": direction}, files={"file": (path.name, file)})
        return PagePanels.model_validate(answer.json())

    def search(
        self,
        *,
        panel_id: int | None = None,
        image: bytes | None = None,
        words: str | None = None,
        filters: SearchFilters | None = None,
        limit: int = 20,
    ) -> SearchAnswer:
        """Find by panel, by picture (its file's bytes), by words, or by words with one of the others."""
        filters = filters or SearchFilters()
        if image is None:
            wanted = SearchRequest(panel_id=panel_id, words=words, filters=filters, limit=limit)
            answer = self._send("POST", "/search", json=wanted.model_dump(exclude_none=True))
        else:
            fields = {"limit": str(limit), "filters": filters.model_dump_json(), **({"words": words} if words else {})}
            answer = self._send("POST", "/search", data=fields, files={"image": ("query", image)})
        return SearchAnswer.model_validate(answer.json())

    def embeddings(self) -> EmbeddingStatus:
        """What the index holds."""
        return EmbeddingStatus.model_validate(self._get("/embeddings"))

    def status(self) -> Progress:
        """How far everything is."""
        return Progress.model_validate(self._get("/status"))

    def progress(self, comic_id: int) -> Progress:
        """How far one comic is."""
        return Progress.model_validate(self._get(f"/comics/{comic_id}/progress"))

    def follow(self, comic_id: int | None = None) -> Iterator[Progress]:
        """The server's events about one comic, or everything, until nothing is left to do."""
        address = "/status/events" if comic_id is None else f"/comics/{comic_id}/events"
        for event in self._events(address):
            yield Progress.model_validate(event)

    def follow_comics(self, comic_ids: Iterable[int]) -> Iterator[Progress]:
        """How far these comics are together, at every change, until nothing of them is left to do."""
        seen: dict[int, Progress] = {}
        open_ = list(dict.fromkeys(comic_ids))
        last: Progress | None = None
        while True:
            begun = time.monotonic()
            seen.update((comic_id, self.progress(comic_id)) for comic_id in open_)
            open_ = [comic_id for comic_id in open_ if not seen[comic_id].finished]
            together = _together(seen.values())
            if together != last:
                yield together
                last = together
            if not open_:
                return
            time.sleep(max(POLL, time.monotonic() - begun))  # many comics: no more than half the time asking

    def jobs(self, *, state: str = "failed", comic_id: int | None = None) -> Iterator[JobView]:
        """Jobs in one state, newest first."""
        before: int | None = None
        while True:
            slice_ = JobPage.model_validate(self._get("/jobs", state=state, comic_id=comic_id, before=before))
            yield from slice_.items
            before = slice_.next
            if before is None:
                return

    def retry(self, job_id: int) -> dict[str, int]:
        """Try a failed job again; how many jobs of which stage were queued."""
        queued: dict[str, int] = self._send("POST", f"/jobs/{job_id}/retry").json()
        return queued


def _together(parts: Iterable[Progress]) -> Progress:
    """The sum of the progress of several comics."""
    parts = list(parts)
    stages = {
        stage: StageCounts(
            **{
                state: sum(getattr(part.stages[stage], state) for part in parts if stage in part.stages)
                for state in StageCounts.model_fields
            }
        )
        for stage in STAGES
        if any(stage in part.stages for part in parts)
    }
    return Progress(
        stages=stages,
        total=sum(part.total for part in parts),
        ended=sum(part.ended for part in parts),
        failed=sum(part.failed for part in parts),
        finished=all(part.finished for part in parts),
    )
