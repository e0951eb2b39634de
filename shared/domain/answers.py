"""What the API answers: the contracts that the services and the client share. Addresses are relative to the API."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from shared.domain.corrections import LayoutChanges
from shared.domain.schema import Box, DetectedObject, LayoutKind, NoPanelReason

ComicState = Literal["waiting", "ready", "failed"]
Id = Annotated[int, Field(ge=1, lt=1 << 63)]


class StageCounts(BaseModel):
    """Jobs of one stage by state."""

    queued: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    blocked: int = 0


class Progress(BaseModel):
    """How far the work is; `finished` when nothing is queued or running."""

    stages: dict[str, StageCounts] = Field(examples=[{"detect": {"done": 7, "running": 1}}])
    total: int
    ended: int
    failed: int
    finished: bool


class ComicView(BaseModel):
    """One comic; `error` says why it failed."""

    id: int
    title: str
    file_name: str
    sha256: str
    size: int = Field(description="bytes of the file as it came")
    media_type: str
    direction: str | None
    series: str | None
    number: str | None
    volume: int | None
    year: int | None
    language: str | None
    publisher: str | None
    source: str = Field(description="where the user has it from")
    collection: str = Field(description="the shelf it stands on; empty when none was named")
    origins: dict[str, str] = Field(description="field -> the record it came from")
    hidden: bool = Field(description="put aside as a duplicate: nothing is done for its pages")
    referenced: bool = Field(description="the original stays where it is")
    state: ComicState
    error: str | None
    page_count: int | None
    unreadable: int = Field(description="pages that could not be read; each says why")
    created_at: datetime


class PageView(BaseModel):
    """One page; sizes in pixels as displayed."""

    id: int
    comic_id: int
    number: int
    name: str
    state: Literal["ok", "unreadable"]
    error: str | None
    width: int | None
    height: int | None
    media_type: str | None
    shape: Literal["strip", "spread"] | None = Field(description="null: a plain page")
    label: str | None = Field(description="page type that the comic's own metadata states")
    hidden: Literal["duplicate", "deleted", "person"] | None = Field(description="why no stage works on it")
    image: str | None = Field(description="address of the image's bytes, verbatim")
    layout_id: int | None
    panel_count: int | None
    layout_kind: str | None


class ComicPage(BaseModel):
    """A slice of the comics; ask again with `after=next` until it is null."""

    items: list[ComicView]
    next: int | None


class Facet(BaseModel):
    """A source or a collection; `name` is empty for the comics that stand in no collection."""

    name: str
    comics: int


class Facets(BaseModel):
    """What the comics can be filtered by."""

    sources: list[Facet]
    collections: list[Facet]


class PagePage(BaseModel):
    """A slice of a comic's pages; ask again with `after=next` until it is null."""

    items: list[PageView]
    next: int | None


class JobView(BaseModel):
    """One job that needs a look."""

    id: int
    stage: str
    subject_id: int
    comic_id: int | None
    state: str
    attempt: int
    max_attempts: int
    error: str | None
    finished_at: datetime | None


class JobPage(BaseModel):
    """A slice of the jobs, newest first; ask again with `before=next` until it is null."""

    items: list[JobView]
    next: int | None


class PanelView(BaseModel):
    """One panel of a layout with its text."""

    id: int
    page_id: int
    comic_id: int
    position: int = Field(description="0-based place in reading order")
    box: Box
    score: float
    literal: str = Field(description="what is written in it")
    descriptive: str = Field(description="what a VLM told about it")
    image: str = Field(description="address of the panel's picture")


class LayoutView(BaseModel):
    """One layout of a page: panels in reading order and the other objects seen."""

    id: int
    page_id: int
    active: bool
    source: Literal["model", "import", "person"]
    kind: LayoutKind
    reason: NoPanelReason | None = Field(description="why there is no panel")
    direction: Literal["ltr", "rtl"]
    author: str | None = Field(description="who corrected it, or which file it came from")
    changes: LayoutChanges | None = Field(description="what a person changed of the layout that was active before")
    replaces_id: int | None = Field(description="that layout, while it is kept")
    checkpoint_id: int | None
    job_id: int | None
    created_at: datetime
    panels: list[PanelView]
    objects: list[DetectedObject]


class OutdatedLayouts(BaseModel):
    """How many pages show the panels of an earlier detector than `checkpoint_id`, the one in use."""

    checkpoint_id: int
    pages: int


class JobTrace(BaseModel):
    """The job that made something."""

    id: int
    stage: str
    fingerprint: str
    attempt: int
    finished_at: datetime | None


class Provenance(BaseModel):
    """Why a panel is where it is and carries the text it does: from which model, by which job, at what cost."""

    panel: PanelView
    comic: str
    file_name: str
    page_number: int
    page_name: str
    image_sha256: str
    layout_source: str
    layout_job: JobTrace | None
    detector: str | None = Field(description="sha256 of the detector checkpoint")
    text_job: JobTrace | None
    ocr_model: str | None
    ocr_job: JobTrace | None
    vlm_model: str | None
    vlm_provider: str | None
    vlm_job: JobTrace | None
    vlm_cost: Decimal | None = Field(description="USD of the page's answer; null when unknown or never asked")


class SearchFilters(BaseModel):
    """Which rows may answer; an empty list means all. Of several filters each must hold.

    `sources`, `collections`: exact names; the empty collection is that of comics which stand in none.
    `context`: panels that stand in a like place of a like story, by panel_id, with an encoder trained for it.
    """

    comics: list[Id] = Field([], max_length=1000)
    sources: list[str] = Field([], max_length=100)
    collections: list[str] = Field([], max_length=100)
    pages: list[Id] = Field([], max_length=1000)
    kind: Literal["panel", "page", "context"] = "panel"


class SearchRequest(BaseModel):
    """A query by panel, by words, or by both; a picture comes as a form instead."""

    panel_id: int | None = Field(None, ge=1, examples=[12])
    words: str | None = Field(None, max_length=500, examples=["map and compass"])
    filters: SearchFilters = SearchFilters()
    limit: int = Field(20, ge=1, le=200)


class SearchHit(BaseModel):
    """One result. `score`: cosine for pictures, text rank for words, fused rank for both; higher is nearer.

    A search by words alone lists what has them first, `written`, and then, with an encoder that reads, what is only
    `alike` by meaning, with cosines.
    """

    score: float
    why: Literal["written", "alike", "fused"] = "alike"
    comic_id: int
    comic: str
    page_id: int
    page_number: int
    panel_id: int | None
    box: Box | None
    text: str
    page_image: str
    panel_image: str | None


class SearchAnswer(BaseModel):
    """Results, best first, and how long the server took."""

    hits: list[SearchHit]
    by: Literal["panel", "image", "words", "panel and words", "image and words"]
    milliseconds: float


class EmbeddingStatus(BaseModel):
    """What the index holds."""

    checkpoint_id: int | None
    segments: int
    rows: int
    panels_indexed: int
    pages_indexed: int
    damaged_segments: int = Field(description="segments that cannot be read; the log names them")
