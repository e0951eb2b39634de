"""Comics as their stages would have left them: a file, pages with images, true layouts and text."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from shared.domain.schema import Box
from shared.settings import Settings
from shared.store.blobs import get_blob, put_blob, storage_of
from shared.store.db import row, unit_of_work
from tests.equipment.hostile_files import picture
from tests.equipment.rows import add_pages, execute

WIDTH, HEIGHT = 100, 150  # of the pages that `add_pages` makes


@dataclass(frozen=True)
class MadeComic:
    """Ids and hashes of a comic: of its file, and of the images of its pages."""

    id: int
    pages: list[int]
    file: str
    images: list[str]


def add_comic(configured: Settings, seed: int, *, count: int = 3, like: MadeComic | None = None) -> MadeComic:
    """A comic of `count` pages of two panels, kept as blobs; its last page is the last one of `like`."""
    url, storage = str(configured.database_url), storage_of(configured)
    pictures = [picture(WIDTH, HEIGHT, seed=31 * seed + number) for number in range(count)]
    pages = add_pages(url, count, title=f"comic {seed}")
    if like is not None:
        pictures[-1] = get_blob(storage, like.images[-1])
    images = [sha256(data).hexdigest() for data in pictures]
    for digest, data in zip(images, pictures, strict=True):
        put_blob(storage, digest, data)
    for page_id, digest in zip(pages, images, strict=True):
        execute(url, "UPDATE page SET image_sha256 = :s WHERE id = :p", s=digest, p=page_id)
        add_layout(configured, page_id, [Box(0, 0, WIDTH, HEIGHT / 2), Box(0, HEIGHT / 2, WIDTH, HEIGHT / 2)])
    whole = archive(pictures)
    file = sha256(whole).hexdigest()
    put_blob(storage, file, whole)
    with unit_of_work(url) as connection:
        comic = row(
            connection,
            "UPDATE comic SET sha256 = :s WHERE id = (SELECT comic_id FROM page WHERE id = :p) RETURNING id",
            s=file,
            p=pages[0],
        )
    assert comic is not None
    return MadeComic(comic["id"], pages, file, images)


def archive(pictures: Sequence[bytes]) -> bytes:
    """The pages as a CBZ."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for number, data in enumerate(pictures):
            file.writestr(f"{number:03}.jpg", data)
    return buffer.getvalue()


def add_layout(configured: Settings, page_id: int, boxes: list[Box]) -> int:
    """An active layout whose panels are aligned and silent; its id."""
    url = str(configured.database_url)
    with unit_of_work(url) as connection:
        layout = row(
            connection,
            "INSERT INTO layout (page_id, source, kind, direction, objects, image_sha256) "
            "SELECT id, 'model', 'panels', 'ltr', '[]', image_sha256 FROM page WHERE id = :page RETURNING id",
            page=page_id,
        )
    assert layout is not None
    for position, box in enumerate(boxes):
        execute(
            url,
            "INSERT INTO panel (layout_id, position, x, y, w, h, score) VALUES (:l, :n, :x, :y, :w, :h, 1)",
            l=layout["id"], n=position, **box._asdict(),
        )  # fmt: skip
    execute(url, "UPDATE page SET layout_id = :l WHERE id = :p", l=layout["id"], p=page_id)
    execute(
        url,
        "INSERT INTO panel_text (panel_id, literal, descriptive, normalised) "
        "SELECT id, '', '', '' FROM panel WHERE layout_id = :l",
        l=layout["id"],
    )
    return int(layout["id"])
