"""Batches: a pure function of the step, every page once a pass, pages that follow each other together."""

from collections import Counter
from dataclasses import replace

import numpy as np

from services.training.batches import Batch, Batches, ahead, alike_panels
from services.training.corpus import Corpus
from services.training.noise import fewer_words, noisy_picture, noisy_text


def batches(corpus: Corpus, *, seed: int = 0, pages: int = 4, words: bool = True) -> Batches:
    return Batches(corpus, seed=seed, pages=pages, size=32, words=words, spoiled=True)


def same(one: Batch, other: Batch) -> bool:
    views = [(one.piece, other.piece), (one.whole, other.whole), (one.clean, other.clean), (one.noisy, other.noisy)]
    return one.counts == other.counts and all(
        a is not None
        and b is not None
        and a.texts == b.texts
        and [None if p is None else p.tobytes() for p in a.pictures]
        == [None if p is None else p.tobytes() for p in b.pictures]
        and all(np.array_equal(a.shown[name], b.shown[name]) for name in a.shown)
        for a, b in views
    )


def test_a_batch_is_a_function_of_seed_and_step_and_of_nothing_that_was_asked_before(stories: Corpus) -> None:
    one, other = batches(stories), batches(stories)
    for step in (0, 7, 3, 7):
        other[step]
    assert same(one[5], other[5])
    assert not same(one[5], one[8])
    assert not same(one[5], batches(stories, seed=1)[5])


def test_batches_made_ahead_are_the_same_ones_in_order(stories: Corpus) -> None:
    made = batches(stories)
    for threads in (0, 3):
        found = list(ahead(made, range(2, 9), threads=threads))
        assert len(found) == 7
        assert all(same(batch, made[step]) for step, batch in zip(range(2, 9), found, strict=True))
    first = next(ahead(made, range(10**9), threads=2))  # left early, nothing waits for the rest
    assert same(first, made[0])


def test_every_pass_shows_every_page_once_and_no_two_passes_are_the_same(stories: Corpus) -> None:
    for pages in (3, 4, 5):
        made = batches(stories, pages=pages)
        orders = []
        for number in range(3):
            steps = range(number * made.steps_of_a_pass, (number + 1) * made.steps_of_a_pass)
            orders.append([id(page) for step in steps for page in made.chosen(step)])
            assert Counter(orders[-1]) == Counter(id(page) for page in stories.pages)
        assert orders[0] != orders[1] != orders[2]


def test_couples_are_truly_consecutive_and_strangers_are_not(stories: Corpus) -> None:
    gapped = Corpus(tuple(page for page in stories.pages if page.number != 1))  # 0 and 2 are no neighbours
    for corpus in (stories, gapped):
        made = batches(corpus)
        found = set()
        for step in range(40):
            pages, batch = made.chosen(step), made[step]
            for (a, b), stranger in zip(batch.pairs, batch.strangers, strict=True):
                assert pages[a].comic == pages[b].comic
                assert pages[b].number == pages[a].number + 1
                assert pages[stranger].comic != pages[a].comic or abs(pages[stranger].number - pages[a].number) > 1
                found.add((pages[a].comic, pages[a].number))
        wanted = {
            (page.comic, page.number)
            for page in corpus.pages
            if any(other.comic == page.comic and other.number == page.number + 1 for other in corpus.pages)
        }
        assert found == wanted  # cut anew in every pass, every couple has its turn


def test_what_cannot_be_told_apart_is_marked(stories: Corpus) -> None:
    panels = list(stories.pages[0].panels[:3])
    panels += [replace(panels[0], text="BANG!"), replace(panels[1], text="bang"), replace(panels[2], text=None)]
    panels += [replace(panels[2], crop=panels[2].crop[::-1].copy(), text=None)]
    alike = {(int(a), int(b)) for a, b in np.argwhere(alike_panels(panels)) if a < b}
    assert alike == {(0, 3), (1, 4), (2, 5), (3, 4)}  # two silent panels are not alike


def test_each_panel_always_shows_something_and_a_question_never_shows_a_place(stories: Corpus) -> None:
    made = batches(stories)
    kinds: Counter[tuple[bool, bool]] = Counter()
    for step in range(12):
        batch = made[step]
        assert not batch.piece.shown["layout"].any()
        for view in (batch.piece, batch.whole, batch.clean, batch.noisy):
            assert view is not None
            for row, text in enumerate(view.texts):
                image, said = bool(view.shown["image"][row]), bool(view.shown["text"][row])
                assert image or said
                assert not said or text
                assert not image or view.pictures[row] is not None
                if view is batch.noisy:
                    kinds[image, said] += 1
    assert set(kinds) == {(True, False), (False, True), (True, True)}
    silent = batches(stories, words=False)[0]
    assert not any(silent.whole.texts)
    assert silent.whole.shown["image"].all()


def test_noise_spoils_but_leaves_something() -> None:
    rng = np.random.default_rng(0)
    picture = np.full((40, 40, 3), 128, np.uint8)
    spoiled = noisy_picture(rng, picture)
    assert spoiled.shape == picture.shape
    assert spoiled.dtype == np.uint8
    assert spoiled.std() > 5
    text = "Look out, the bridge is falling!\nRUN"
    made = [noisy_text(rng, text) for _ in range(200)]
    assert len(set(made)) > 150
    assert all(one.strip() for one in [*made, *(noisy_text(rng, "!") for _ in range(50))])
    shorter = [fewer_words(rng, text) for _ in range(50)]
    assert all(set(one.split()) <= set(text.split()) and one.strip() for one in shorter)
    assert len(set(shorter)) > 10
