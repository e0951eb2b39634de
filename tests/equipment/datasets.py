"""Datasets of made stories, as a freeze would have left them."""

import io
import json
from hashlib import sha256

from services.training.generators.stories import Story, make_story
from shared.domain.dataspec import DatasetLine, DataSpec, PieceOfText, SpecComic, SpecPanel, Split
from shared.settings import Settings
from shared.store.blobs import put_blob, storage_of
from shared.store.db import row, unit_of_work


def add_dataset(configured: Settings, *, train: list[int], held_out: list[int], pages: int = 3) -> int:
    """A stored dataset of the stories of these seeds, its images kept as blobs; its id."""
    lines: list[DatasetLine] = []
    sides: tuple[tuple[Split, list[int]], ...] = (("train", train), ("held_out", held_out))
    for split, seeds in sides:
        for seed in seeds:
            story = make_story(seed, pages=pages, width=240, height=340)
            lines += [DatasetLine(split=split, page=spec) for spec in story_specs(configured, story)]
    content = "".join(line.model_dump_json() + "\n" for line in lines).encode()
    fingerprint = sha256(content).hexdigest()
    key = f"datasets/{fingerprint[:16]}"
    storage_of(configured).put(f"{key}/pages.jsonl", content)
    with unit_of_work(str(configured.database_url)) as connection:
        made = row(
            connection,
            "INSERT INTO dataset (name, fingerprint, origin, request, counts, warnings, key) "
            "VALUES ('stories', :f, 'frozen', '{}', CAST(:counts AS jsonb), '[]', :key) RETURNING id",
            f=fingerprint,
            counts=json.dumps({"pages": len(lines)}),
            key=key,
        )
    assert made is not None
    return int(made["id"])


def story_specs(configured: Settings, story: Story) -> list[DataSpec]:
    """The pages of a story as DataSpecs whose images are kept."""
    specs = []
    for number, page in enumerate(story.pages):
        buffer = io.BytesIO()
        page.image.save(buffer, "PNG")
        digest = sha256(buffer.getvalue()).hexdigest()
        put_blob(storage_of(configured), digest, buffer.getvalue())
        panels = [
            SpecPanel(
                box=panel.box,
                literal=[
                    PieceOfText(kind=text.kind, text=text.text, source="import", confidence=1, speaker=text.speaker)
                    for text in panel.texts
                ],
                descriptive=panel.description,
                characters=list(panel.characters),
                verdict="verified" if panel.texts else "silent",
                confidence=1,
            )
            for panel in page.panels
        ]
        specs.append(
            DataSpec(
                comic=SpecComic(key=f"story {story.seed}", title=story.title),
                number=number,
                image_sha256=digest,
                media_type="image/png",
                width=page.image.width,
                height=page.image.height,
                direction=page.truth.direction,
                kind=page.truth.kind,
                panels=panels,
                perfect=True,
            )
        )
    return specs
