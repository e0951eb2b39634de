"""The corpus: what a DataSpec becomes."""

import io

import numpy as np
import pytest
from PIL import Image

from services.training.corpus import Corpus, corpus_of_specs
from services.training.generators.stories import make_story
from shared.domain.dataspec import DataSpec, PieceOfText, SpecComic, SpecPanel
from shared.domain.schema import Box
from shared.errors import Reject


def page(number: int, *, sha: str = "a", panels: int = 2, comic: str = "one", width: int = 200) -> DataSpec:
    boxes = [Box(10 + 90 * k, 20, 80, 150) for k in range(panels)]
    texts = [PieceOfText(kind="dialogue", text="Hello", source="vlm", confidence=1)]
    return DataSpec(
        comic=SpecComic(key=comic, title=comic),
        number=number,
        image_sha256=sha,
        media_type="image/png",
        width=width,
        height=width * 3 // 2,
        kind="panels" if panels else "none",
        panels=[
            SpecPanel(box=box, literal=texts if k == 0 else [], descriptive="A man waves." if k < 2 else "")
            for k, box in enumerate(boxes)
        ],
        perfect=True,
    )


def picture_of(sha: str) -> bytes:
    """A page of 400 × 600 whose left half is dark."""
    pixels = np.full((600, 400, 3), 200, np.uint8)
    pixels[:, :190] = 30
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "PNG")
    return memory.getvalue() if sha == "a" else b"no image"


def test_panels_are_cut_by_their_boxes_and_texts_joined_as_the_search_joins_them() -> None:
    pages = [page(3, panels=3, comic="two"), page(1), page(0), page(2, panels=0)]
    corpus = corpus_of_specs(pages, picture_of, size=64)
    assert [(one.comic, one.number) for one in corpus.pages] == [("one", 0), ("one", 1), ("two", 3)]
    first = corpus.pages[0].panels
    assert [panel.text for panel in corpus.pages[2].panels] == ["Hello\nA man waves.", "A man waves.", None]
    assert first[0].crop.shape == (96, 96, 3)
    # The stored picture is twice as large as the DataSpec says: its boxes are scaled.
    assert first[0].crop.max() < 60
    assert first[1].crop.min() > 170
    assert first[1].layout.position == 1
    assert np.allclose(first[1].layout.vector()[:2], [2 * 100 / 200 - 1, 2 * 20 / 300 - 1])


def test_a_page_that_cannot_be_read_is_named() -> None:
    with pytest.raises(Reject, match="page 5 of one"):
        corpus_of_specs([page(4, sha="b")], picture_of, size=64)


def test_the_fingerprint_follows_the_content(stories: Corpus, unseen: Corpus) -> None:
    assert Corpus(stories.pages).fingerprint == stories.fingerprint
    assert (stories + unseen).fingerprint != stories.fingerprint
    assert Corpus(stories.pages[::-1]).fingerprint != stories.fingerprint


def test_stories_keep_their_words_places_and_order(stories: Corpus) -> None:
    story = make_story(0)
    assert len(stories.pages) == 3 * 4
    for made, page in zip(story.pages, stories.pages, strict=False):
        assert [panel.description for panel in made.panels] == [
            panel.text.splitlines()[-1] for panel in page.panels if panel.text
        ]
        assert [panel.layout.position for panel in page.panels] == list(range(len(made.panels)))
