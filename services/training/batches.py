"""Batches: which pages of a corpus a step sees, and how. A batch is a pure function of corpus, settings and step.

Every pass shows each page once, pages that follow each other together, in an order of its own. Of each panel there are
two views: a piece, as a person would ask with, and the whole, as it would be stored; some objectives add the panel
undisturbed and spoiled. Nothing is drawn from anywhere but (seed, step).
"""

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.training.augmentation import Picture, ViewSettings, view
from services.training.corpus import Corpus, CorpusPage, CorpusPanel
from services.training.noise import fewer_words, noisy_picture, noisy_text
from shared.domain.schema import Box
from shared.domain.text import normalise

PIECE = ViewSettings()
WHOLE = ViewSettings(area=(0.75, 1.0), aspect=(0.85, 1.18), grey=0.05, small=0.15)
ALIKE_LAYOUT = 0.04  # layout features that differ by less are the same place

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class View:
    """N panels as one look at them shows them; `pictures` (N, S, S, 3) uint8, where None is a modality that is missing.

    `shown` says, by modality (N,), what of it the fused vector may be made of.
    """

    pictures: Sequence[Picture | None]
    texts: Sequence[str | None]
    shown: dict[str, Flags]


@dataclass(frozen=True, eq=False)
class Batch:
    """P pages with N panels in all.

    `counts` (P,) panels of each page; `layouts` (N, F); `thumbs` (P, S, S, 3) views of the whole pages. `alike` (N, N):
    different panels that cannot be told apart, by picture or by words; `alike_places` likewise by layout, `alike_pages`
    (P, P) by picture. `pairs` (K, 2): pages of the batch that follow each other, and `strangers` (K,) for each a page
    that does not follow its first.
    """

    counts: list[int]
    layouts: NDArray[np.float32]
    piece: View
    whole: View
    clean: View | None
    noisy: View | None
    thumbs: NDArray[np.uint8]
    alike: Flags
    alike_places: Flags
    alike_pages: Flags
    pairs: NDArray[np.int64]
    strangers: NDArray[np.int64]


class Batches:
    """All batches of a run, by step: `pages` pages each (fewer at the end of a pass) for pictures of `size`.

    `words` says whether texts are shown at all, `spoiled` adds the clean and the noisy view.
    """

    def __init__(self, corpus: Corpus, *, seed: int, pages: int, size: int, words: bool, spoiled: bool) -> None:
        self.corpus, self.seed, self.pages, self.size = corpus, seed, pages, size
        self.words, self.spoiled = words, spoiled
        self.steps_of_a_pass = -(-len(corpus.pages) // pages)
        self._pass = -1, np.zeros(0, np.int64)

    def chosen(self, step: int) -> list[CorpusPage]:
        """The pages of a step, pages that follow each other side by side."""
        number, place = divmod(step, self.steps_of_a_pass)
        kept, order = self._pass  # read at once: threads may be in different passes
        if kept != number:
            order = _order(self.corpus, np.random.default_rng([self.seed, 2, number]))
            self._pass = number, order
        return [self.corpus.pages[k] for k in order[place * self.pages : (place + 1) * self.pages]]

    def __getitem__(self, step: int) -> Batch:
        chosen = self.chosen(step)
        rng = np.random.default_rng([self.seed, 1, step])
        panels = [panel for page in chosen for panel in page.panels]
        if not self.words:
            panels = [replace(panel, text=None) for panel in panels]
        pairs = [(a, b) for a, one in enumerate(chosen) for b, other in enumerate(chosen) if follows(one, other)]
        strangers = [_stranger(rng, chosen, pair) for pair in pairs]
        known = [k for k, stranger in enumerate(strangers) if stranger is not None]
        return Batch(
            counts=[len(page.panels) for page in chosen],
            layouts=np.stack([panel.layout.vector() for panel in panels]),
            piece=_piece(rng, panels, self.size),
            whole=_whole(rng, panels, self.size),
            clean=_clean(panels, self.size) if self.spoiled else None,
            noisy=_noisy(rng, panels, self.size) if self.spoiled else None,
            thumbs=np.stack([_seen(rng, page.thumb, WHOLE, self.size) for page in chosen]),
            alike=alike_panels(panels),
            alike_places=_alike_places(panels),
            alike_pages=_same([page.thumb.tobytes() for page in chosen]),
            pairs=np.array([pairs[k] for k in known], np.int64).reshape(-1, 2),
            strangers=np.array([strangers[k] for k in known], np.int64),
        )


def ahead(batches: Batches, steps: range, *, threads: int) -> Iterator[Batch]:
    """The batches of `steps` in order, made by `threads` while earlier ones are used; with 0 when asked for."""
    if not threads:
        yield from (batches[step] for step in steps)
        return
    pool = ThreadPoolExecutor(threads, "batches")
    try:
        made: deque[Future[Batch]] = deque()
        for step in steps:
            made.append(pool.submit(batches.__getitem__, step))
            if len(made) > threads:
                yield made.popleft().result()
        while made:
            yield made.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _order(corpus: Corpus, rng: np.random.Generator) -> NDArray[np.int64]:
    """All pages in the order of a pass: couples that follow each other, cut anew in every pass, and shuffled."""
    runs: list[list[int]] = []
    for index, page in enumerate(corpus.pages):
        if runs and follows(corpus.pages[runs[-1][-1]], page):
            runs[-1].append(index)
        else:
            runs.append([index])
    couples: list[list[int]] = []
    single: list[int] = []
    for run in runs:
        first = int(rng.integers(2)) if len(run) > 1 else 0
        single += run[:first]
        cut = [run[start : start + 2] for start in range(first, len(run), 2)]
        couples += [couple for couple in cut if len(couple) == 2]
        single += [page for couple in cut if len(couple) == 1 for page in couple]
    rng.shuffle(single)
    # Pages left over go in twos as well, so that no couple is torn apart at the end of a batch.
    couples += [single[start : start + 2] for start in range(0, len(single) - 1, 2)]
    order = [index for place in rng.permutation(len(couples)) for index in couples[place]]
    return np.array(order + (single[-1:] if len(single) % 2 else []), np.int64)


def follows(page: CorpusPage, after: CorpusPage) -> bool:
    """Whether a page comes right after another of the same comic."""
    return page.comic == after.comic and after.number == page.number + 1


def _stranger(rng: np.random.Generator, pages: Sequence[CorpusPage], pair: tuple[int, int]) -> int | None:
    """A page that does not come next to the first of a pair: of another comic when there is one."""
    first = pages[pair[0]]
    others = [k for k, page in enumerate(pages) if page.comic != first.comic]
    far = [k for k, page in enumerate(pages) if page.comic == first.comic and abs(page.number - first.number) > 1]
    candidates = others or far
    return candidates[int(rng.integers(len(candidates)))] if candidates else None


def _piece(rng: np.random.Generator, panels: Sequence[CorpusPanel], size: int) -> View:
    """What somebody asks with: a picture, words, or both; never a place."""
    pictures, texts, said = _views(rng, panels, PIECE, size)
    draw = rng.random(len(panels))
    return View(
        pictures,
        texts,
        {"image": (draw < 0.75) | ~said, "text": (draw > 0.4) & said, "layout": np.zeros(len(panels), np.bool_)},
    )


def _whole(rng: np.random.Generator, panels: Sequence[CorpusPanel], size: int) -> View:
    """What is stored: everything that is known, at times with something missing."""
    pictures, texts, said = _views(rng, panels, WHOLE, size)
    draw = rng.random(len(panels))
    return View(
        pictures,
        texts,
        {"image": (draw > 0.15) | ~said, "text": (draw < 0.75) & said, "layout": rng.random(len(panels)) < 0.6},
    )


def _views(
    rng: np.random.Generator, panels: Sequence[CorpusPanel], settings: ViewSettings, size: int
) -> tuple[list[Picture], list[str | None], Flags]:
    """Views of the pictures, some of the words, and which panels have words."""
    pictures = [_seen(rng, panel.crop, settings, size) for panel in panels]
    texts = [panel.text and fewer_words(rng, panel.text) for panel in panels]
    return pictures, texts, np.array([text is not None for text in texts])


def _clean(panels: Sequence[CorpusPanel], size: int) -> View:
    everyone = np.ones(len(panels), np.bool_)
    pictures = [
        np.asarray(Image.fromarray(panel.crop).resize((size, size), Image.Resampling.BILINEAR)) for panel in panels
    ]
    texts = [panel.text for panel in panels]
    said = np.array([text is not None for text in texts])
    return View(pictures, texts, {"image": everyone, "text": said, "layout": everyone})


def _noisy(rng: np.random.Generator, panels: Sequence[CorpusPanel], size: int) -> View:
    """Spoiled panels: of each a noisy picture, noisy words, or both; half of the places are lost."""
    said = np.array([panel.text is not None for panel in panels])
    draw = rng.random(len(panels))
    image, text = (draw < 0.7) | ~said, (draw > 0.35) & said
    pictures = [
        noisy_picture(rng, _seen(rng, panel.crop, WHOLE, size)) if has else None
        for panel, has in zip(panels, image, strict=True)
    ]
    texts = [
        noisy_text(rng, panel.text) if has and panel.text else None for panel, has in zip(panels, text, strict=True)
    ]
    return View(pictures, texts, {"image": image, "text": text, "layout": rng.random(len(panels)) < 0.5})


def _seen(rng: np.random.Generator, crop: Picture, settings: ViewSettings, size: int) -> Picture:
    image = Image.fromarray(crop)
    return view(rng, image, Box(0, 0, image.width, image.height), size=size, settings=settings)


def alike_panels(panels: Sequence[CorpusPanel]) -> Flags:
    """Which different ones of N panels have the very same picture or the same words, (N, N) bool."""
    return _same([panel.crop.tobytes() for panel in panels]) | _same([_words(panel) for panel in panels])


def _same(values: Sequence[Hashable]) -> Flags:
    """Which different ones of N things are equal, (N, N); None is like nothing."""
    numbers: dict[Hashable, int] = {}
    marks = np.array([-1 if value is None else numbers.setdefault(value, len(numbers)) for value in values])
    same = (marks[:, None] == marks) & (marks >= 0)
    np.fill_diagonal(same, False)
    return np.asarray(same, np.bool_)


def _words(panel: CorpusPanel) -> str | None:
    return panel.text and (normalise(panel.text) or panel.text)


def _alike_places(panels: Sequence[CorpusPanel]) -> Flags:
    layouts = np.stack([panel.layout.vector() for panel in panels])
    same = np.abs(layouts[:, None] - layouts[None]).max(2) < ALIKE_LAYOUT
    np.fill_diagonal(same, False)
    return np.asarray(same, np.bool_)
