"""Datasets, runs, checkpoints and promotions: what they are told and what the API answers about them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from shared.domain.schema import Contract

Option = Literal["base", "denoise", "context", "context-denoise"]
OPTIONS: tuple[Option, ...] = ("base", "denoise", "context", "context-denoise")


class RunConfig(Contract):
    """How a run trains. The defaults suit a laptop; `docs/training.md` has those for a retail GPU.

    A run is a pure function of its dataset, its option and this: seeds are part of it.
    """

    seed: int = Field(0, ge=0, lt=2**31)
    epochs: int = Field(8, ge=1, le=1000)
    steps_per_epoch: int | None = Field(None, ge=1, description="None: every page once")
    pages_per_batch: int = Field(8, ge=2, le=256)
    rate: float = Field(1e-3, gt=0, le=1, description="peak learning rate of what is trained from scratch")
    backbone_rate: float = Field(0.1, ge=0, le=1, description="share of `rate` for pretrained parts; 0 freezes them")
    weight_decay: float = Field(0.05, ge=0, le=1)
    temperature: float = Field(0.08, gt=0, le=1)
    start: Literal["active", "scratch"] = Field("active", description="go on from the active encoder, or anew")
    size: int = Field(128, ge=32, le=512, description="side of the pictures the encoder sees, when it starts anew")
    image_backbone: str | None = Field(None, description="transformers vision model, name or folder, starting anew")
    text_backbone: str | None = Field(None, description="transformers text model, name or folder")
    stories: int = Field(0, ge=0, le=10_000, description="made comics with known content added to the training pages")
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    recompute: bool = Field(False, description="gradient checkpointing: less memory, a third slower")


class DetectorRunConfig(Contract):
    """How a run trains a panel detector: on made pages, and on annotated or corrected ones where there are some.

    A run is a pure function of its pages and this.
    """

    seed: int = Field(17, ge=0, lt=2**31)
    steps: int = Field(1200, ge=1, le=1_000_000, description="steps to train")
    steps_per_epoch: int = Field(100, ge=1, description="the detector is measured after each epoch")
    pages_per_batch: int = Field(8, ge=1, le=256)
    rate: float = Field(5e-4, gt=0, le=1, description="peak learning rate of what is trained from scratch")
    backbone_rate: float = Field(0.3, ge=0, le=1, description="share of `rate` for a pretrained trunk; 0 freezes it")
    frozen_blocks: int = Field(0, ge=0, le=15, description="first blocks of efficientnet_lite0 that do not train")
    weight_decay: float = Field(0.01, ge=0, le=1)
    average: float = Field(0.998, ge=0, lt=1, description="what stays of the moving average of the weights in a step")
    made: float = Field(0.6, ge=0, le=1, description="share of made pages in a batch, where there are real ones")
    start: Literal["active", "scratch"] = Field("active", description="go on from the active detector, or anew")
    backbone: str = Field(
        "resnet18_narrow",
        description="of a new detector: resnet18_narrow, efficientnet_lite0, or one of torchvision's by name",
    )
    pretrained: str | None = Field(
        None, description="of a new detector's trunk: a file of weights, or the name of torchvision's, say DEFAULT"
    )
    pixels: int = Field(184_000, ge=10_000, le=2_000_000, description="area at which a new detector sees pages")
    smallest: float = Field(0.5, gt=0, le=2, description="area of the smallest pages shown, as a share of `pixels`")
    largest: float = Field(1.25, gt=0, le=2, description="and of the largest")
    precision: Literal["float32", "bfloat16"] = "bfloat16"


class DetectorVerdict(BaseModel):
    """A trained detector beside the one it was to replace, measured in the same way on corrections kept aside.

    `old` and `new` are `f1` of panels at IoU 0.5 and `pages_right`, the share of pages with every panel and no other,
    of boxes more likely than not, and average precisions `panel_ap`, `character_ap`, … of the classes that are there.
    """

    better: bool
    held_out_pages: int
    beside: int = Field(description="the checkpoint it was measured beside")
    old: dict[str, float]
    new: dict[str, float]
    why: str


class CheckpointView(BaseModel):
    """One stored model. `embedded`: pages that have vectors of it, of `pages` there are (encoders only)."""

    id: int
    kind: Literal["detector", "encoder"]
    sha256: str
    origin: Literal["shipped", "configured", "trained"]
    active: bool
    run_id: int | None = Field(None, description="the run that made it")
    verdict: DetectorVerdict | None = Field(None, description="of detectors that a run made")
    embedded: int | None = None
    pages: int | None = None
    config: dict[str, Any]
    created_at: datetime


class PromotionView(BaseModel):
    """An encoder on its way to serve queries: its vectors are made in the background, then it takes over at once.

    The old vectors serve until then. `failed` pages hold the switch up until they are retried or skipped. A detector
    takes over at once, and pages get its layouts one by one.
    """

    id: int
    kind: Literal["encoder", "detector"] = "encoder"
    checkpoint_id: int
    previous_id: int | None
    state: Literal["embedding", "done", "cancelled"]
    embedded: int
    total: int
    failed: int
    created_at: datetime
    finished_at: datetime | None


class DatasetFilter(BaseModel):
    """Which pages may enter; an empty list means all."""

    model_config = ConfigDict(extra="forbid")

    comics: list[int] = Field([], max_length=100_000, description="ids of comics")
    sources: list[str] = Field([], max_length=1000, description="where the user has them from")
    collections: list[str] = Field([], max_length=1000, description="shelves")
    min_panels: int = Field(1, ge=0)
    max_panels: int = Field(64, ge=1)


class DatasetRequest(BaseModel):
    """What to freeze. `perfect`: pages whose panels' text is verified; `text`: with any text; `any`: with a layout."""

    model_config = ConfigDict(extra="forbid")

    filter: DatasetFilter = DatasetFilter()
    quality: Literal["perfect", "text", "any"] = "perfect"
    seed: int = Field(0, ge=0, lt=2**31)
    held_out: float = Field(0.2, ge=0, lt=1, description="share of the pages, by whole comics, kept for measuring")
    name: str = Field("", max_length=200)


class DatasetCounts(BaseModel):
    """What a dataset holds."""

    comics: int
    pages: int
    panels: int
    panels_with_text: int
    silent_panels: int
    train_pages: int
    held_out_pages: int
    train_comics: int
    held_out_comics: int


class DatasetView(BaseModel):
    """An immutable set of pages; the same pages with the same split have the same fingerprint."""

    id: int
    name: str
    fingerprint: str
    origin: Literal["frozen", "imported"]
    request: dict[str, Any]
    counts: DatasetCounts
    warnings: list[str] = Field(description="what a user should know before training on it")
    deleted_comics: int = Field(0, description="comics of it that were deleted since; their pages are kept")
    created_at: datetime


class RunRequest(BaseModel):
    """Train an encoder on a dataset."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["encoder"] = "encoder"
    dataset_id: int = Field(ge=1)
    option: Option = "context-denoise"
    config: RunConfig = RunConfig()


class DetectorRunRequest(BaseModel):
    """Train a panel detector on the pages whose panels people have corrected, and on made ones."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["detector"] = "detector"
    source: Literal["corrections"] = "corrections"
    include_imports: bool = Field(False, description="take panels that files state for correct as well")
    config: DetectorRunConfig = DetectorRunConfig()


def _kind_of(order: Any) -> str:
    """Orders that say nothing are about encoders: there was nothing else once."""
    return str(order.get("kind", "encoder") if isinstance(order, dict) else getattr(order, "kind", "encoder"))


AnyRunRequest = Annotated[
    Annotated[RunRequest, Tag("encoder")] | Annotated[DetectorRunRequest, Tag("detector")], Discriminator(_kind_of)
]


class RunView(BaseModel):
    """A run. `state` follows from its job: queued, running, stopped, done, failed (with `error`).

    A detector's has neither dataset nor option.
    """

    id: int
    kind: Literal["encoder", "detector"] = "encoder"
    dataset_id: int | None
    option: Option | None
    config: RunConfig | DetectorRunConfig
    state: Literal["queued", "running", "stopped", "done", "failed"]
    error: str | None
    stopping: bool = Field(description="told to stop; it will after its current step")
    step: int
    steps: int | None
    epoch: int
    interruptions: int = Field(description="times it was taken up again after its worker died")
    checkpoint_id: int | None
    latest: dict[str, float] = Field(description="newest values of every metric")
    created_at: datetime


class MetricPoint(BaseModel):
    """Metrics at a step. `kind` "train": losses averaged since the last point; "held_out": recalls after an epoch.

    Names of recalls: `crop_to_panel_r1`, `image_to_text_r10`, `noisy_r1` …, `reading_path`, `page_order`; beside each
    `…_chance`, and where a plain rule answers too, `…_geometric` or `…_neighbours`. `docs/training.md` explains them.
    Of detectors: `made_panel_f1`, `made_face_ap` … on made pages, `real_…` on corrected ones that are kept aside.
    """

    id: int
    step: int
    epoch: float
    kind: Literal["train", "held_out"]
    values: dict[str, float]


class RunEvent(BaseModel):
    """One server-sent event of a run: its state, and the points that are new since the last one."""

    run: RunView
    points: list[MetricPoint]
