"""The client's calls about datasets, runs, checkpoints and promotions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from shared.domain.dataspec import DatasetLine, DatasetSlice, Split
from shared.domain.training import (
    CheckpointView,
    DatasetRequest,
    DatasetView,
    DetectorRunRequest,
    MetricPoint,
    PromotionView,
    RunEvent,
    RunRequest,
    RunView,
)
from shared.http.connection import Connection, pieces


class LearningCalls(Connection):
    """From pages to a trained encoder in service."""

    def freeze(self, request: DatasetRequest) -> DatasetView:
        """Make a dataset of the library's pages; the same pages and seed give the one there is."""
        answer = self._send("POST", "/datasets", json=request.model_dump(mode="json"), timeout=self._patient)
        return DatasetView.model_validate(answer.json())

    def datasets(self) -> list[DatasetView]:
        """All datasets, newest first."""
        return [DatasetView.model_validate(found) for found in self._get("/datasets")]

    def dataset(self, dataset_id: int) -> DatasetView:
        """One dataset."""
        return DatasetView.model_validate(self._get(f"/datasets/{dataset_id}"))

    def dataset_card(self, dataset_id: int) -> dict[str, Any]:
        """What a dataset holds, with distributions."""
        card: dict[str, Any] = self._get(f"/datasets/{dataset_id}/card")
        return card

    def dataset_pages(self, dataset_id: int, *, split: Split | None = None) -> Iterator[DatasetLine]:
        """The pages of a dataset as DataSpecs, in its order."""
        after: int | None = None
        while True:
            slice_ = DatasetSlice.model_validate(self._get(f"/datasets/{dataset_id}/pages", split=split, after=after))
            yield from slice_.items
            after = slice_.next
            if after is None:
                return

    def export_dataset(self, dataset_id: int, path: Path, *, form: Literal["jsonl", "v0.3"]) -> None:
        """Write a dataset to a file: DataSpec 1.0 lines, or a zip of v0.3 folders with the images."""
        self._download(f"/datasets/{dataset_id}/export", path, format=form)

    def import_dataset(self, path: Path, *, name: str = "", seed: int = 0, held_out: float = 0.2) -> DatasetView:
        """Make a dataset of a zip of a v0.3 folder; `seed` and `held_out` split it when no lists come with it."""
        answer = self._send(
            "POST",
            "/datasets/import",
            params={"filename": path.name, "name": name, "seed": seed, "held_out": held_out},
            content=pieces(path),
            headers={"Content-Type": "application/zip"},
            timeout=self._patient,
        )
        return DatasetView.model_validate(answer.json())

    def train(self, request: RunRequest | DetectorRunRequest) -> RunView:
        """Queue a run that trains an encoder, or a detector."""
        return RunView.model_validate(self._send("POST", "/runs", json=request.model_dump(mode="json")).json())

    def runs(self) -> list[RunView]:
        """The newest runs, newest first."""
        return [RunView.model_validate(found) for found in self._get("/runs")]

    def run(self, run_id: int) -> RunView:
        """One run."""
        return RunView.model_validate(self._get(f"/runs/{run_id}"))

    def run_points(self, run_id: int, *, after: int = 0) -> list[MetricPoint]:
        """A run's metrics, in the order they were written."""
        return [MetricPoint.model_validate(found) for found in self._get(f"/runs/{run_id}/points", after=after)]

    def follow_run(self, run_id: int) -> Iterator[RunEvent]:
        """The server's events about a run, until it has ended."""
        for event in self._events(f"/runs/{run_id}/events"):
            yield RunEvent.model_validate(event)

    def stop_run(self, run_id: int) -> RunView:
        """Stop a run after its current step."""
        return RunView.model_validate(self._send("POST", f"/runs/{run_id}/stop").json())

    def resume_run(self, run_id: int) -> RunView:
        """Go on with a stopped or failed run."""
        return RunView.model_validate(self._send("POST", f"/runs/{run_id}/resume").json())

    def checkpoints(self) -> list[CheckpointView]:
        """All models, newest first."""
        return [CheckpointView.model_validate(found) for found in self._get("/checkpoints")]

    def promote(self, checkpoint_id: int) -> PromotionView:
        """Let an encoder take over the queries once it has vectors of everything, or a detector at once."""
        return self._promotion(f"/checkpoints/{checkpoint_id}/promote")

    def roll_back(self, kind: Literal["encoder", "detector"] = "encoder") -> PromotionView:
        """Go back to the encoder, or detector, before."""
        return self._promotion("/checkpoints/rollback", kind=kind)

    def cancel_promotion(self, promotion_id: int) -> PromotionView:
        """Give a promotion up; the old encoder goes on serving."""
        return self._promotion(f"/promotions/{promotion_id}/cancel")

    def skip_failed(self, promotion_id: int) -> PromotionView:
        """Let a promotion switch without the pages that failed."""
        return self._promotion(f"/promotions/{promotion_id}/skip")

    def promotions(self) -> list[PromotionView]:
        """All promotions, newest first."""
        return [PromotionView.model_validate(found) for found in self._get("/promotions")]

    def promotion(self, promotion_id: int) -> PromotionView:
        """One promotion."""
        return PromotionView.model_validate(self._get(f"/promotions/{promotion_id}"))

    def embed_missing(self) -> dict[str, int]:
        """Make vectors that are missing; jobs queued by stage."""
        queued: dict[str, int] = self._send("POST", "/embeddings/missing", timeout=self._patient).json()
        return queued

    def _promotion(self, address: str, **params: str) -> PromotionView:
        return PromotionView.model_validate(self._send("POST", address, params=params, timeout=self._patient).json())
