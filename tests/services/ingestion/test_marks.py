"""Marks stay the same through everything a scanner or an archive does to a page, and tell pages of words apart."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from services.training.generators.pages import make_page
from shared.domain.likeness import SAME, likeness
from shared.domain.marks import FAR, NOTHING, Mark, mark_of
from tests.equipment.made_library import marked, prose_page

Change = Callable[[Image.Image], Image.Image]


def saved(picture: Image.Image, form: str = "JPEG", quality: int = 85) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, quality=quality)
    return out.getvalue()


def mark(data: bytes) -> Mark:
    return marked(data)[1]


def alike(left: Mark, right: Mark) -> float:
    return float(likeness([(left.sketch, right.sketch)])[0])


def apart(left: Mark, right: Mark) -> int:
    return ((left.phash ^ right.phash) & (2**64 - 1)).bit_count()


def same(left: Mark, right: Mark) -> bool:
    return bool(set(left.bands) & set(right.bands)) and apart(left, right) <= FAR and alike(left, right) >= SAME


def scaled(by: float) -> Change:
    return lambda page: page.resize((int(page.width * by), int(page.height * by)), Image.Resampling.LANCZOS)


def cut(page: Image.Image) -> Image.Image:
    w, h = page.size
    return page.crop((int(0.02 * w), int(0.012 * h), int(0.985 * w), int(0.98 * h)))


def bordered(colour: str) -> Change:
    def change(page: Image.Image) -> Image.Image:
        w, h = page.size
        sheet = Image.new("RGB", (int(w * 1.03), int(h * 1.035)), colour)
        sheet.paste(page, (int(w * 0.02), int(h * 0.015)))
        return sheet

    return change


@pytest.fixture(scope="module")
def originals(pages: list[Image.Image]) -> list[Mark]:
    return [mark(saved(page, quality=92)) for page in pages]


@pytest.fixture(scope="module")
def pages() -> list[Image.Image]:
    """Comic pages of several manners and pages of prose."""
    drawn = [make_page(seed, long_side=720).image.convert("RGB") for seed in (300, 302, 303, 305, 306, 307, 308, 309)]
    return [*drawn, *(prose_page(seed) for seed in range(3))]


@pytest.mark.parametrize(
    ("form", "quality", "change"),
    [
        ("JPEG", 40, None),
        ("JPEG", 95, None),
        ("WEBP", 60, None),
        ("PNG", 0, None),
        ("JPEG", 85, scaled(0.5)),
        ("JPEG", 85, scaled(2.0)),
        ("JPEG", 85, lambda page: page.convert("L").convert("RGB")),
        ("JPEG", 85, lambda page: ImageEnhance.Brightness(page).enhance(1.1)),
        ("JPEG", 85, lambda page: ImageEnhance.Contrast(page).enhance(0.85)),
        ("JPEG", 85, cut),
        ("JPEG", 85, bordered("white")),
        ("JPEG", 85, bordered("black")),
    ],
    ids=["q40", "q95", "webp", "png", "half", "double", "grey", "lighter", "paler", "cut", "border", "dark border"],
)
def test_a_copy_has_the_mark_of_its_original(
    pages: list[Image.Image], originals: list[Mark], form: str, quality: int, change: Change | None
) -> None:
    for page, original in zip(pages, originals, strict=True):
        copy = change(page) if change else page
        assert same(original, mark(saved(copy, form, quality)))


def test_pages_of_words_from_one_template_are_near_by_hash_and_told_apart_by_sketch() -> None:
    marks = [mark(saved(prose_page(seed))) for seed in range(24)]
    pairs = [(a, b) for k, a in enumerate(marks) for b in marks[k + 1 :]]
    near = [pair for pair in pairs if apart(*pair) <= FAR]
    assert len(near) > 10, "a hash alone would call these duplicates"
    assert max(alike(*pair) for pair in near) < SAME


def test_different_pages_are_not_alike(originals: list[Mark]) -> None:
    assert not any(same(a, b) for k, a in enumerate(originals) for b in originals[k + 1 :])


def test_a_page_without_content_has_no_mark() -> None:
    paper = Image.new("RGB", (800, 1200), (250, 246, 238))
    numbered = paper.copy()
    ImageDraw.Draw(numbered).text((400, 1160), "12", fill="black")
    noise = np.random.default_rng(1).normal(240, 6, (1200, 800, 3)).clip(0, 255).astype(np.uint8)
    shadow = np.repeat(np.linspace(250, 190, 800, dtype=np.uint8)[None], 1200, axis=0)
    for empty in (paper, Image.new("RGB", (800, 1200)), numbered, Image.fromarray(noise), Image.fromarray(shadow)):
        assert mark(saved(empty.convert("RGB"), quality=60)) == NOTHING
    assert mark(saved(bordered("black")(paper))) == NOTHING, "a scanner's border is no content"


def test_a_mark_fits_the_database_and_is_small(originals: list[Mark]) -> None:
    for made in originals:
        assert -(2**63) <= made.phash < 2**63
        assert len(made.sketch) == 972
        assert len(made.bands) == len(set(made.bands)) == 16
        assert all(0 <= band < 2**31 for band in made.bands)


def test_marks_are_what_they_were() -> None:
    """They are stored: another version of a library must not change them."""
    y, x = np.mgrid[0:150, 0:100]
    drawing = np.where((x // 13 + y // 17) % 3 == 0, 30, 220) + 20 * np.sin(x / 9) * np.cos(y / 23)
    made = mark_of(Image.fromarray(drawing.clip(0, 255).astype(np.uint8)))
    # A sign or two may hang on the last digit of a sum, which processors differ in.
    assert ((made.phash ^ -8552646969047095681) & (2**64 - 1)).bit_count() <= 2
    assert len({361563, 1831420, 2618456, 3260546, 5096667, 5361946, 6796528, 7594060} & set(made.bands)) >= 6


def test_real_pages_find_themselves_and_nothing_else(samples: Path) -> None:
    files = sorted(samples.glob("*/*.jpg"))
    originals = [mark(path.read_bytes()) for path in files]
    copies = []
    for path in files:
        with Image.open(path) as page:
            page.draft("RGB", (page.width // 2, page.height // 2))
            copies.append(mark(saved(cut(page.convert("RGB")), quality=60)))
    with_content = [k for k, made in enumerate(originals) if made != NOTHING]
    assert len(with_content) > 0.9 * len(files)
    for k in with_content:
        found = [files[j].name for j in with_content if same(originals[k], copies[j])]
        assert found == [files[k].name]
