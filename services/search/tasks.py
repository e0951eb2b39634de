"""Stages *embed* and *reembed*: a page's panels and the page become vectors, one immutable segment per batch."""

import uuid
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from shared.domain.pictures import crop, decode
from shared.domain.pipeline import STAGES
from shared.domain.schema import Box
from shared.errors import Reject
from shared.nn.layout_features import LayoutFeatures
from shared.settings import settings
from shared.store import checkpoints
from shared.store.blobs import storage_of
from shared.store.db import Row, row, rows, unit_of_work
from shared.store.page_images import page_image
from shared.store.vectors import CONTEXT, PAGE, PANEL, write_segment
from shared.work import jobs, promotions
from shared.work.inputs import VECTOR_INPUTS
from shared.work.jobs import Claim
from shared.work.stages import Done, Failed, database_url, deleted, stage

if TYPE_CHECKING:
    from shared.nn.encoder import Encoder, PageInput

INPUT = f"""
    SELECT p.id, p.image_sha256, p.name, p.width, p.height,
           (SELECT json_agg(json_build_array(n.id, n.x, n.y, n.w, n.h, coalesce(t.literal, ''),
                                             coalesce(t.descriptive, '')) ORDER BY n.position)
            FROM panel n LEFT JOIN panel_text t ON t.panel_id = n.id WHERE n.layout_id = p.layout_id) AS panels,
           {VECTOR_INPUTS} AS inputs
    FROM page p JOIN checkpoint k ON k.id = :checkpoint WHERE p.id = ANY(:ids)"""

# Only what is still true: a slow worker must not put old vectors over another's newer ones.
RECORD = f"""
    INSERT INTO embedding (page_id, checkpoint_id, segment_id, inputs)
    SELECT p.id, k.id, :segment, :inputs FROM page p JOIN checkpoint k ON k.id = :checkpoint
    WHERE p.id = :page AND {VECTOR_INPUTS} = :inputs
    ON CONFLICT (page_id, checkpoint_id) DO UPDATE SET segment_id = EXCLUDED.segment_id, inputs = EXCLUDED.inputs"""


@lru_cache(maxsize=2)  # the one that serves, and the one that is being promoted
def loaded(key: str, device: str) -> "Encoder":
    """The encoder of a checkpoint, loaded once in a process."""
    # Here, for they bring torch, which the process that hands out work does not need.
    from shared.nn.device import pick_device
    from shared.nn.encoder import load_encoder

    return load_encoder(checkpoints.local_folder(storage_of(settings()), key), device=pick_device(device))


@stage("embed")
def embed(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
    """Vectors of the encoder that serves queries."""
    with unit_of_work(database_url()) as connection:
        checkpoint = checkpoints.active(connection, "encoder")
    yield from embedded(claims, checkpoint)


@stage("reembed")
def reembed(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
    """Vectors of the encoder that is being promoted; it takes over with the batch that brings the last of them."""
    with unit_of_work(database_url()) as connection:
        target = row(
            connection,
            "SELECT k.* FROM promotion m JOIN checkpoint k ON k.id = m.checkpoint_id WHERE m.state = 'embedding'",
        )
        # When it has taken over meanwhile, a page that came late still wants vectors of it.
        checkpoint = target or checkpoints.active(connection, "encoder")
    yield from embedded(claims, checkpoint)


def embedded(claims: Sequence[Claim], checkpoint: Row) -> Iterator[Done | Failed]:
    """Encode the batch, write its segment, and register it in the transaction that finishes the jobs."""
    configured = settings()
    storage = storage_of(configured)
    with unit_of_work(database_url()) as connection:
        found = rows(connection, INPUT, ids=[claim.subject_id for claim in claims], checkpoint=checkpoint["id"])
    pages = {page["id"]: page for page in found}
    encoder = loaded(checkpoint["key"], configured.device)
    ids: list[int] = []
    kinds: list[int] = []
    vectors: list[Any] = []
    done: list[Claim] = []
    # A page may have two jobs, of an older and a newer text: it is encoded once. A comic's pages stay in their order:
    # rows of one comic side by side are found faster.
    claimed: dict[int, list[Claim]] = {}
    for claim in sorted(claims, key=lambda claim: (claim.comic_id or 0, claim.subject_id)):
        claimed.setdefault(claim.subject_id, []).append(claim)
    for page_id, own in claimed.items():
        if page_id not in pages:
            yield from (deleted(claim) for claim in own)
            continue
        page = pages[page_id]
        try:
            encoded = encoder.encode_pages([page_input(page, page_image(configured, page["image_sha256"]))])[0]
        except Reject as error:
            yield from (Failed(claim, error) for claim in own)
            continue
        panel_ids = [panel[0] for panel in page["panels"] or []]
        for kind, of, made in (
            (PAGE, [page_id], encoded.page[None]),
            (PANEL, panel_ids, encoded.panels),
            (CONTEXT, panel_ids, encoded.context),
        ):
            if made is not None:
                ids += of
                kinds += [kind] * len(of)
                vectors.append(made)
        done += own
    if not done:
        return
    name = f"{checkpoint['id']}-{uuid.uuid4().hex}"
    write_segment(
        storage,
        name,
        ids=np.array(ids, np.int64),
        kinds=np.array(kinds, np.uint8),
        vectors=np.concatenate(vectors),
        meta={"checkpoint": checkpoint["sha256"]},
    )

    def store(connection: sa.Connection) -> None:
        segment = row(
            connection,
            "INSERT INTO segment (checkpoint_id, key, rows) VALUES (:checkpoint, :key, :rows) RETURNING id",
            checkpoint=checkpoint["id"],
            key=name,
            rows=len(ids),
        )
        assert segment is not None
        embedded_pages = sorted({claim.subject_id for claim in done})
        given = [
            {"page": page, "checkpoint": checkpoint["id"], "segment": segment["id"], "inputs": pages[page]["inputs"]}
            for page in embedded_pages
        ]
        connection.execute(sa.text(RECORD), given)
        # What changed while it was encoded wants vectors again.
        jobs.plan(connection, STAGES[done[0].stage], configured, subjects=embedded_pages)
        promotions.advance_when_idle(connection, configured)

    yield Done(done, store)


def page_input(page: Row, image: bytes) -> "PageInput":
    """A page's row and bytes as the encoder takes them."""
    from shared.nn.encoder import PageInput, PanelInput

    picture = decode(image, name=page["name"])
    panels = page["panels"] or []
    boxes = [Box(*panel[1:5]) for panel in panels]
    return PageInput(
        picture,
        [
            PanelInput(
                crop=crop(picture, box),
                layout=LayoutFeatures(box, page["width"], page["height"], position=position, count=len(boxes)),
                text="\n".join(part for part in panel[5:] if part) or None,
            )
            for position, (panel, box) in enumerate(zip(panels, boxes, strict=True))
        ],
    )
