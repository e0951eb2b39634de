"""Splits are by whole families of comics, and a function of the seed alone."""

import pytest

from services.dataspec.splits import Families, held_out_comics, straddling


def families(**pages: int) -> Families:
    """Comics of so many pages, none shared."""
    found = Families()
    for comic, count in pages.items():
        for number in range(count):
            found.add(comic, f"{comic} {number}")
    return found


MANY = {f"comic{k}": 10 for k in range(50)}


def test_the_same_seed_chooses_the_same_comics_in_whatever_order_they_come() -> None:
    backwards = dict(reversed(MANY.items()))
    for seed in range(5):
        chosen = held_out_comics(families(**MANY), share=0.2, seed=seed)
        assert chosen == held_out_comics(families(**backwards), share=0.2, seed=seed)
        assert len(chosen) == 10
    assert held_out_comics(families(**MANY), share=0.2, seed=1) != held_out_comics(families(**MANY), share=0.2, seed=2)


def test_the_choice_is_the_same_on_every_machine() -> None:
    assert sorted(held_out_comics(families(a=5, b=5, c=5, d=5, e=5), share=0.2, seed=0)) == ["d"]


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("sizes", [{"a": 100, "b": 1}, {"a": 1, "b": 1, "c": 1}, MANY])
def test_both_sides_have_a_comic_whenever_there_are_two(share: float, sizes: dict[str, int]) -> None:
    for seed in range(10):
        assert 0 < len(held_out_comics(families(**sizes), share=share, seed=seed)) < len(sizes)


def test_one_comic_or_no_share_holds_nothing_out() -> None:
    assert held_out_comics(families(a=10), share=0.5, seed=0) == set()
    assert held_out_comics(families(a=10, b=10), share=0, seed=0) == set()


def test_families_are_joined_by_chains_of_shared_images() -> None:
    found = Families()
    for comic, images in {"a": "12", "b": "23", "c": "34", "d": "5"}.items():
        for image in images:
            found.add(comic, image)
    assert found.groups() == [["a", "b", "c"], ["d"]]
    assert straddling(found, {"a": {"train"}, "b": {"train"}, "c": {"held_out"}, "d": {"train"}}) == ["a", "b", "c"]
    assert straddling(found, {"a": {"train"}, "b": {"train"}, "c": {"train"}, "d": {"held_out"}}) == []
