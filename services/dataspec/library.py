"""Datasets kept: frozen from the database or imported, their files in the storage first and their row last."""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from services.dataspec.cards import card_of, markdown_of
from services.dataspec.datasets import PAGES, Built, build
from services.dataspec.views import dataset_views, require_comics, specs_of, why_none
from shared.domain.dataspec import DataSpec, Split
from shared.domain.training import DatasetRequest, DatasetView
from shared.errors import Retry
from shared.store.blobs import claim_blobs
from shared.store.dataset_images import PIECE, images_alone, overlapping, record_images
from shared.store.db import row, rows, unit_of_work
from shared.store.matches import same_comics
from shared.store.storage import Storage

INSERT = """
    INSERT INTO dataset (name, fingerprint, origin, request, counts, warnings, key)
    VALUES (:name, :fingerprint, :origin, CAST(:request AS jsonb), CAST(:counts AS jsonb), CAST(:warnings AS jsonb),
            :key)
    ON CONFLICT (fingerprint) DO NOTHING RETURNING id"""


def freeze(url: str, storage: Storage, wanted: DatasetRequest) -> tuple[DatasetView, bool]:
    """The dataset of all pages that qualify now, and whether it is new. `Reject` says why when none does."""
    with ExitStack() as drafts:
        draft, target = (drafts.enter_context(storage.scratch_file()) for _ in range(2))
        # The transaction ends before anything is stored: a slow bucket must not keep an old snapshot open.
        with unit_of_work(url) as connection:
            require_comics(connection, wanted.filter)
            same = same_comics(connection)  # first: the pages keep the connection busy
            pages = specs_of(connection, wanted.filter, quality=wanted.quality)
            built = build(pages, draft, target, share=wanted.held_out, seed=wanted.seed, same=same)
            if built is None:
                raise why_none(connection, wanted.filter, quality=wanted.quality)
        request = wanted.model_dump(exclude={"name"})
        return _stored(url, storage, built, target, built.warnings, origin="frozen", name=wanted.name, request=request)


def keep(
    url: str,
    storage: Storage,
    pages: Iterable[DataSpec],
    *,
    name: str,
    request: Mapping[str, Any],
    share: float,
    seed: int,
    given: Mapping[str, set[Split]] | None,
    said: Callable[[], list[str]],
) -> tuple[DatasetView, bool] | None:
    """Keep imported pages as a dataset, or find the one there is; the view and whether it is new. None without pages.

    `said` is asked for further warnings once all pages have been taken.
    """
    with ExitStack() as drafts:
        draft, target = (drafts.enter_context(storage.scratch_file()) for _ in range(2))
        built = build(pages, draft, target, share=share, seed=seed, given=given)
        if built is None:
            return None
        warnings = [*built.warnings, *said()]
        return _stored(url, storage, built, target, warnings, origin="imported", name=name, request=request)


def _stored(
    url: str,
    storage: Storage,
    built: Built,
    target: Path,
    warnings: list[str],
    *,
    origin: Literal["frozen", "imported"],
    name: str,
    request: Mapping[str, Any],
) -> tuple[DatasetView, bool]:
    """Files first, the row last; the dataset there is where the fingerprint is known."""
    known = _find(url, built.fingerprint)
    if known is not None:
        return known, False
    card = card_of(
        built.tally, name=name, fingerprint=built.fingerprint, origin=origin, request=request, warnings=warnings
    )
    storage.put_file(f"{built.key}/{PAGES}", target)
    storage.put(f"{built.key}/card.md", markdown_of(card).encode("utf-8", "replace"))
    storage.put(f"{built.key}/card.json", json.dumps(card, ensure_ascii=False).encode("utf-8", "replace"))
    new = _insert(url, storage, built, target, origin=origin, name=name, request=request, warnings=warnings)
    found = _find(url, built.fingerprint)
    assert found is not None
    return found, new


def _insert(
    url: str,
    storage: Storage,
    built: Built,
    target: Path,
    *,
    origin: str,
    name: str,
    request: Mapping[str, Any],
    warnings: list[str],
) -> bool:
    """The row, and with it what keeps its images when their comics go. `Retry` when one has gone already."""
    with unit_of_work(url) as connection, target.open("rb") as file:
        made = row(
            connection,
            INSERT,
            name=name,
            fingerprint=built.fingerprint,
            origin=origin,
            request=json.dumps(dict(request)),
            counts=built.tally.counts().model_dump_json(),
            warnings=json.dumps(warnings),
            key=built.key,
        )
        if made is None:
            return False
        pieces = overlapping(iter(lambda: file.read(PIECE), b""))
        record_images(connection, made["id"], pieces, frozen=origin == "frozen")
        claim_blobs(connection, storage, [])  # nothing is freed from here on
        try:
            claim_blobs(connection, storage, images_alone(connection, made["id"]))
        except Retry as error:
            raise Retry("Comics were deleted while their pages were gathered; do it again.", after=1.0) from error
    return True


def _find(url: str, fingerprint: str) -> DatasetView | None:
    with unit_of_work(url) as connection:
        found = rows(connection, "SELECT * FROM dataset WHERE fingerprint = :fingerprint", fingerprint=fingerprint)
        return next(iter(dataset_views(connection, found)), None)
