"""Pages of plain framed panels, corrected by a person: what detectors can be taught and measured on in a second."""

import io
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from PIL import Image, ImageDraw

from shared.domain.schema import Box
from shared.settings import Settings
from shared.store.blobs import put_blob, storage_of
from tests.equipment.comics import add_layout
from tests.equipment.rows import add_pages, execute

WIDTH, HEIGHT = 400, 600


def drawn_page(seed: int) -> tuple[bytes, list[Box]]:
    """A PNG of two or three rows of panels full of shapes, and their boxes in reading order."""
    rng = np.random.default_rng(seed)
    page = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(page)
    boxes = []
    rows = int(rng.integers(2, 4))
    for row in range(rows):
        columns = int(rng.integers(1, 3))
        for column in range(columns):
            wide, high = (WIDTH - 20) / columns, (HEIGHT - 20) / rows
            box = Box(10 + column * wide + 6, 10 + row * high + 6, wide - 12, high - 12)
            boxes.append(box)
            colours = [tuple(int(v) for v in rng.integers(60, 230, 3)) for _ in range(9)]
            draw.rectangle((box.x, box.y, box.right, box.bottom), fill=colours[0], outline="black", width=3)
            for colour in colours[1:]:
                x, y = box.x + rng.uniform(0.1, 0.7) * box.w, box.y + rng.uniform(0.1, 0.7) * box.h
                draw.ellipse((x, y, x + 0.2 * box.w, y + 0.2 * box.h), fill=colour, outline="black")
    data = io.BytesIO()
    page.save(data, "PNG")
    return data.getvalue(), boxes


def add_drawn_comic(configured: Settings, seeds: Sequence[int], *, source: str = "person") -> list[int]:
    """A comic of drawn pages whose active layouts are true and come from `source`; the page ids."""
    url, storage = str(configured.database_url), storage_of(configured)
    pages = add_pages(url, len(seeds), title=f"drawn {seeds}")
    for page_id, seed in zip(pages, seeds, strict=True):
        data, boxes = drawn_page(seed)
        digest = sha256(data).hexdigest()
        put_blob(storage, digest, data)
        execute(
            url, "UPDATE page SET image_sha256 = :s, width = :w, height = :h, media_type = 'image/png' WHERE id = :p",
            s=digest, w=WIDTH, h=HEIGHT, p=page_id,
        )  # fmt: skip
        layout = add_layout(configured, page_id, boxes)
        execute(url, "UPDATE layout SET source = :source WHERE id = :id", source=source, id=layout)
    return pages
