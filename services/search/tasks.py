"""Stage *embed*: a page's panels and the page itself become vectors, one immutable segment per batch."""

import uuid
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import sqlalchemy as sa

from shared.domain.pictures import crop, decode
from shared.domain.schema import Box
from shared.errors import Reject
from shared.nn.device import pick_device
from shared.nn.encoder import Encoder, PageInput, PanelInput, load_encoder
from shared.nn.layout_features import LayoutFeatures
from shared.settings import settings
from shared.store import checkpoints
from shared.store.blobs import get_blob, storage_of
from shared.store.db import Row, rows, unit_of_work
from shared.store.vectors import PAGE, PANEL, write_segment
from shared.work.jobs import Claim
from shared.work.stages import Done, Failed, database_url, stage

INPUT = """
    SELECT p.id, p.image_sha256, p.name, p.width, p.height,
           (SELECT json_agg(json_build_array(n.id, n.x, n.y, n.w, n.h, coalesce(t.literal, ''),
                                             coalesce(t.descriptive, '')) ORDER BY n.position)
            FROM panel n LEFT JOIN panel_text t ON t.panel_id = n.id WHERE n.layout_id = p.layout_id) AS panels
    FROM page p WHERE p.id = ANY(:ids)"""


@cache
def loaded(key: str, device: str) -> Encoder:
    """The encoder of a checkpoint, loaded once in a process."""
    return load_encoder(checkpoints.local_folder(storage_of(settings()), key), device=pick_device(device))


@stage("embed")
def embed(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
    """Encode the batch, write its segment, and register it in the transaction that finishes the jobs."""
    configured = settings()
    storage = storage_of(configured)
    with unit_of_work(database_url()) as connection:
        checkpoint = checkpoints.active(connection, "encoder")
        found = rows(connection, INPUT, ids=[claim.subject_id for claim in claims])
    pages = {page["id"]: page for page in found}
    encoder = loaded(checkpoint["key"], configured.device)
    ids: list[int] = []
    kinds: list[int] = []
    vectors: list[Any] = []
    embedded: list[Claim] = []
    # A comic's pages in order: rows of one comic side by side are found faster.
    for claim in sorted(claims, key=lambda claim: (claim.comic_id, claim.subject_id)):
        page = pages[claim.subject_id]
        try:
            encoded = encoder.encode_pages([page_input(page, get_blob(storage, page["image_sha256"]))])[0]
        except Reject as error:
            yield Failed(claim, error)
            continue
        panel_ids = [panel[0] for panel in page["panels"] or []]
        ids += [page["id"], *panel_ids]
        kinds += [PAGE, *[PANEL] * len(panel_ids)]
        vectors += [encoded.page[None], encoded.panels]
        embedded.append(claim)
    if not embedded:
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
        connection.execute(
            sa.text("INSERT INTO segment (checkpoint_id, key, rows) VALUES (:checkpoint, :key, :rows)"),
            {"checkpoint": checkpoint["id"], "key": name, "rows": len(ids)},
        )

    yield Done(embedded, store)


def page_input(page: Row, image: bytes) -> PageInput:
    """A page's row and bytes as the encoder takes them."""
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
