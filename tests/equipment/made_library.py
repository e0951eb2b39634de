"""Made libraries with planted duplicates and traps, and how well duplicates are found in them.

Traps: pages of prose set from one template, blank pages, advertisements that issues share. What is the same is known by
construction: pages of one identity were drawn once and only encoded, scaled or cut anew.
"""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import combinations

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

from services.ingestion.records.duplicates import duplicates
from services.ingestion.tasks import compare
from services.training.generators.lettering import font, sentence
from services.training.generators.pages import make_page
from shared.domain.duplicates import DuplicateKind
from shared.domain.marks import Mark, mark_of
from shared.domain.pipeline import STAGES
from shared.files.images import PageImage, examine
from shared.settings import Settings
from shared.store.db import row, rows, unit_of_work
from shared.work.stages import run_batch
from tests.equipment.rows import execute, plan_stage

SIDE = 600  # pixels of a drawn page's long side
PAGES = 5  # of a comic, the cover among them
SCANNERS = ("Scanned with love\nby Minutemen", "a\nPAPER TIGER\nrelease", "brought to you\nin 2012 by\nthe archive")


@dataclass(frozen=True)
class MadeFile:
    """One page image as some source has it; `identity` names what was drawn."""

    identity: str
    data: bytes


@dataclass
class MadeComic:
    """A comic as a source has it. `work`: what it is; copies from two sources have the same."""

    work: str
    pages: list[MadeFile]
    places: int = 1


@dataclass
class MadeLibrary:
    """Comics, and by their place in the list what is known to be the same."""

    comics: list[MadeComic] = field(default_factory=list)

    def same_comics(self) -> set[tuple[int, int]]:
        """Pairs of places of comics from two sources."""
        return _pairs([comic.work for comic in self.comics])


def made_library(*, comics: int, planted: int, prose: int, seed: int = 0) -> MadeLibrary:
    """A library of so many comics with `planted` duplicates of each kind, and `prose` pages of text."""
    rng = np.random.default_rng(seed)
    books = max(1, prose // 10)
    works = comics - planted - books
    # An advertisement stands in three issues, a blank page in every fourth.
    adverts = [_encoded(rng, _drawn(seed + 900_000 + k)) for k in range(max(1, works // 12))]
    blank = Image.new("RGB", (420, SIDE), (250, 249, 245))
    library = MadeLibrary()
    for work in range(works):
        drawn = [_drawn(seed + work * 10 + page) for page in range(PAGES)]
        pages = [MadeFile(f"{work}/{page}", _encoded(rng, picture)) for page, picture in enumerate(drawn)]
        if work % 4 == 0:
            which = (work // 4) % len(adverts)
            pages.insert(3, MadeFile(f"advert {which}", adverts[which]))
        if work % 4 == 1:
            pages.append(MadeFile("blank", _encoded(rng, blank)))
        library.comics.append(MadeComic(f"work {work}", pages, places=2 if work < planted else 1))
        if planted <= work < 2 * planted:
            library.comics.append(_other_source(rng, library.comics[-1], cover=_drawn(seed + 800_000 + work)))
        if 2 * planted <= work < 3 * planted:
            # The page of another comic, as this one's source has it.
            copied = library.comics[int(rng.integers(work))].pages[2]
            pages.insert(2, MadeFile(copied.identity, _copied(rng, copied.data)))
    for book in range(books):
        pages = [MadeFile(f"prose {book}/{k}", _encoded(rng, prose_page(book * 10 + k))) for k in range(prose // books)]
        library.comics.append(MadeComic(f"prose {book}", pages))
    return library


def _other_source(rng: np.random.Generator, comic: MadeComic, *, cover: Image.Image) -> MadeComic:
    """The same comic from elsewhere: encoded and scaled anew, another cover, and its scanner's page of credits."""
    pages = [MadeFile(page.identity, _copied(rng, page.data)) for page in comic.pages]
    pages[0] = MadeFile(f"{comic.work} other cover", _encoded(rng, cover))
    scanner = int(rng.integers(len(SCANNERS)))
    credit = Image.new("RGB", (420, SIDE), "white")
    ImageDraw.Draw(credit).text((80, 150 + 40 * scanner), SCANNERS[scanner], font=font(34), fill="black")
    return MadeComic(comic.work, [*pages, MadeFile(f"credits {scanner}", _encoded(rng, credit))])


def _drawn(seed: int) -> Image.Image:
    """A page with something on it."""
    for shift in range(10):
        picture = make_page(seed * 10 + shift, long_side=SIDE).image.convert("RGB")
        if np.asarray(picture.convert("L").resize((64, 64))).std() > 12:
            return picture
    raise AssertionError(f"ten empty pages from seed {seed}")


def prose_page(seed: int) -> Image.Image:
    """A page of text; all of them are set in the same way."""
    rng, page = np.random.default_rng(seed), Image.new("L", (420, SIDE), 248)
    draw = ImageDraw.Draw(page)
    draw.text((170, 28), "CHAPTER ONE", font=font(12), fill=20)
    words = " ".join(sentence(rng) for _ in range(120)).split()
    for y in range(60, 560, 15):
        line = [words.pop(0)]
        while words and draw.textlength(" ".join([*line, words[0]]), font=font(11)) < 320:
            line.append(words.pop(0))
        draw.text((50, y), " ".join(line), font=font(11), fill=20)
    return page.convert("RGB")


def _encoded(rng: np.random.Generator, picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=int(rng.integers(80, 95)))
    return out.getvalue()


def _copied(rng: np.random.Generator, data: bytes) -> bytes:
    """A page as another source has it: cut by up to 1.5 %, scaled, lighter or darker, encoded anew."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = picture.size
    left, top, right, bottom = (float(cut) for cut in rng.uniform(0, 0.015, 4))
    picture = picture.crop((int(left * width), int(top * height), int(width * (1 - right)), int(height * (1 - bottom))))
    scale = float(rng.uniform(0.6, 1.8))
    picture = picture.resize((int(width * scale), int(height * scale)), Image.Resampling.BICUBIC)
    picture = ImageEnhance.Brightness(picture).enhance(float(rng.uniform(0.92, 1.08)))
    out = io.BytesIO()
    form = ("JPEG", "JPEG", "WEBP", "PNG")[int(rng.integers(4))]
    picture.save(out, form, quality=int(rng.integers(45, 92)), compress_level=1)
    return out.getvalue()


def add_library(configured: Settings, library: MadeLibrary) -> tuple[list[int], dict[int, str]]:
    """Comics, pages, marks and places as ingest leaves them; comic ids in order, and each page's identity."""
    comics, identities = [], {}
    for place, comic in enumerate(library.comics):
        pages = add_comic(configured, [page.data for page in comic.pages], title=f"{comic.work} ({place})")
        identities.update({page: one.identity for page, one in zip(pages, comic.pages, strict=True)})
        with unit_of_work(str(configured.database_url)) as connection:
            found = row(connection, "SELECT comic_id FROM page WHERE id = :id", id=pages[0])
        assert found is not None
        comics.append(int(found["comic_id"]))
        for copy in range(comic.places):
            execute(
                str(configured.database_url),
                "INSERT INTO source_file (location, size, mtime_ns, comic_id) VALUES (:at, 1, 1, :comic)",
                at=f"desk:/comics/{place}/{copy}.cbz",
                comic=comics[-1],
            )
    return comics, identities


def add_comic(configured: Settings, images: Sequence[bytes], *, title: str = "made") -> list[int]:
    """A comic of these page images with their marks, not yet compared; its page ids."""
    told = []
    for number, data in enumerate(images):
        image, made = marked(data)
        told.append(
            {
                "number": number, "name": f"{number}", "image_sha256": image.sha256, "media_type": image.media_type,
                "width": image.width, "height": image.height, "phash": made.phash, "sketch": made.sketch.hex(),
                "bands": made.bands,
            }
        )  # fmt: skip
    with unit_of_work(str(configured.database_url)) as connection:
        found = rows(
            connection,
            "WITH c AS (INSERT INTO comic (sha256, file_name, title, size, media_type, page_count) VALUES "
            "(:sha256, :title, :title, :size, 'application/zip', :count) RETURNING id), "
            "told AS (SELECT * FROM jsonb_to_recordset(CAST(:pages AS jsonb)) AS t(number int, name text, "
            "image_sha256 text, media_type text, width int, height int, phash bigint, sketch text, bands jsonb)), "
            "p AS (INSERT INTO page (comic_id, number, name, image_sha256, media_type, width, height) "
            "SELECT c.id, number, name, image_sha256, media_type, width, height FROM c, told RETURNING id, number), "
            "m AS (INSERT INTO page_mark (page_id, phash, sketch, bands) SELECT p.id, phash, decode(sketch, 'hex'), "
            "ARRAY(SELECT jsonb_array_elements_text(bands)::int) FROM p JOIN told USING (number)) "
            "SELECT id FROM p ORDER BY number",
            sha256=sha256(b"".join(images) + title.encode()).hexdigest(),
            title=title,
            size=sum(map(len, images)),
            count=len(images),
            pages=json.dumps(told),
        )
    return [int(page["id"]) for page in found]


def marked(data: bytes) -> tuple[PageImage, Mark]:
    """An image file and its mark, as ingest sees it."""
    marks: list[Mark] = []
    image = examine(data, look=lambda small: marks.append(mark_of(small)))
    return image, marks[0]


def compare_all(configured: Settings) -> None:
    """Plan and run the stage until nothing is due."""
    plan_stage(configured, "compare")
    while run_batch(STAGES["compare"], compare):
        pass


def found_pairs(configured: Settings, kind: DuplicateKind) -> set[tuple[int, int]]:
    """The pairs of ids that stand in one group."""
    return {pair for members in _groups(configured, kind) for pair in combinations(sorted(members), 2)}


def _groups(configured: Settings, kind: DuplicateKind) -> Iterator[list[int]]:
    after: int | None = 0
    with unit_of_work(str(configured.database_url)) as connection:
        while after is not None:
            slice_ = duplicates(connection, kind, state=None, after=after, limit=100)
            yield from ([member.id for member in group.members] for group in slice_.items)
            after = slice_.next


@dataclass(frozen=True)
class Found:
    """How well one kind of duplicate is found."""

    precision: float
    recall: float


def measured(configured: Settings, library: MadeLibrary) -> dict[DuplicateKind, Found]:
    """Add the library, compare everything, and see what is told to be duplicate; precision and recall by pairs."""
    comics, identities = add_library(configured, library)
    compare_all(configured)
    place = {comic: k for k, comic in enumerate(comics)}
    same = library.same_comics()
    with unit_of_work(str(configured.database_url)) as connection:
        pages = {page["id"]: page["comic_id"] for page in rows(connection, "SELECT id, comic_id FROM page")}
        files = {file["id"]: file["comic_id"] for file in rows(connection, "SELECT id, comic_id FROM source_file")}
    repeated = {
        pair
        for pair in _pairs(identities, blank="blank")
        if tuple(sorted(place[pages[one]] for one in pair)) not in same and pages[pair[0]] != pages[pair[1]]
    }
    told = found_pairs(configured, "page")
    joined = {pair for pair in told if identities[pair[0]] == identities[pair[1]] != "blank"}
    return {
        "comic": _found({tuple(sorted((place[a], place[b]))) for a, b in found_pairs(configured, "comic")}, same),
        # Both sources of a comic may be in one group because a third has the page too: right, but not asked for.
        "page": Found(len(joined) / max(1, len(told)), len(told & repeated) / max(1, len(repeated))),
        "bytes": _found(found_pairs(configured, "bytes"), _pairs(files)),
    }


def _found(told: set[tuple[int, ...]] | set[tuple[int, int]], true: set[tuple[int, int]]) -> Found:
    right = len(told & true)
    return Found(right / max(1, len(told)), right / max(1, len(true)))


def _pairs(named: "Sequence[str] | dict[int, str] | dict[int, int]", *, blank: object = None) -> set[tuple[int, int]]:
    """Pairs of keys (or places) that have the same name."""
    by_name: dict[object, list[int]] = {}
    for key, name in named.items() if isinstance(named, dict) else enumerate(named):
        if name != blank:
            by_name.setdefault(name, []).append(key)
    return {pair for keys in by_name.values() for pair in combinations(sorted(keys), 2)}
