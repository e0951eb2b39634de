"""The typed client of the REST interface, for scripts, the command line and tests. Needs httpx and pydantic only.

with Client("http://127.0.0.1:8000") as comics:
    comic = comics.add(Path("ep17.cbz"))
    for progress in comics.follow(comic.id):
        print(progress.ended, progress.total)
    for hit in comics.search(words="map and compass").hits:
        print(hit.score, hit.text)
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx

from shared.domain.answers import (
    ComicPage,
    ComicView,
    EmbeddingStatus,
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
)
from shared.domain.packing import pack_folder
from shared.domain.schema import PagePanels
from shared.errors import ComicsError

PIECE = 1 << 20


class ApiError(ComicsError):
    """The server refused: `status`, and its problem+json as the text."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.http_status, self.headline = status, title


class Unreachable(ComicsError):
    """No server answers at the address."""


class Client:
    """One connection pool to one server. Every method raises `ApiError` or `Unreachable`."""

    def __init__(self, server: str, *, token: str | None = None, timeout: float = 60.0) -> None:
        self.server = server.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=self.server, headers=headers, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def add(self, path: Path, *, name: str | None = None) -> ComicView:
        """Send a comic: a file as it is, a folder of page images packed on the way. The comic, new or known."""
        chunks = pack_folder(path) if path.is_dir() else _pieces(path)
        file_name = name or (f"{path.resolve().name}.cbz" if path.is_dir() else path.name)
        headers = {"Content-Type": "application/octet-stream"}
        answer = self._send("POST", "/comics", params={"filename": file_name}, content=chunks, headers=headers)
        return ComicView.model_validate(answer.json())

    def comics(self, *, title: str = "") -> Iterator[ComicView]:
        """Every comic, in the order they were added."""
        after: int | None = 0
        while after is not None:
            slice_ = ComicPage.model_validate(self._get("/comics", after=after, title=title))
            yield from slice_.items
            after = slice_.next

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

    def picture(self, address: str) -> bytes:
        """The bytes behind an image address of an answer."""
        return self._send("GET", address).content

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
        try:
            with self._http.stream("GET", address, timeout=httpx.Timeout(10.0, read=None)) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise _refused(answer)
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        yield Progress.model_validate(json.loads(line[6:]))
        except httpx.HTTPError as error:
            raise Unreachable(f"The server at {self.server} went away: {error}") from error

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

    def _get(self, address: str, **parameters: Any) -> Any:
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._send("GET", address, params=given).json()

    def _send(self, method: str, address: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, address, **options)
        except httpx.HTTPError as error:
            raise Unreachable(
                f"No server answers at {self.server} ({type(error).__name__}). Start one with `comics up`."
            ) from error
        if answer.status_code >= 400:
            raise _refused(answer)
        return answer


def _refused(answer: httpx.Response) -> ApiError:
    try:
        body = answer.json()
        return ApiError(answer.status_code, str(body["title"]), str(body["detail"]))
    except (ValueError, KeyError, TypeError):
        return ApiError(answer.status_code, answer.reason_phrase, f"{answer.request.url} answered {answer.status_code}")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
