"""Splits are by whole families of comics, and a function of the seed alone."""

import pytest

from shared.domain.splits import Families, held_out_comics, mark_of, straddling


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


def shelf(comics: dict[str, list[str]]) -> Families:
    """Comics with these page images."""
    found = Families()
    for comic, images in comics.items():
        for image in images:
            found.add(comic, image)
    return found


def test_families_are_joined_by_chains_of_shared_images() -> None:
    found = shelf({"a": ["1", "2"], "b": ["2", "3"], "c": ["3", "4"], "d": ["5"]})
    assert found.groups() == [["a", "b", "c"], ["d"]]
    assert straddling(found, {"a": {"train"}, "b": {"train"}, "c": {"held_out"}, "d": {"train"}}) == ["a", "b", "c"]
    assert straddling(found, {"a": {"train"}, "b": {"train"}, "c": {"train"}, "d": {"held_out"}}) == []


def own(comic: str, pages: int = 24) -> list[str]:
    return [f"{comic} {number}" for number in range(pages)]


@pytest.mark.parametrize(("comics", "adverts"), [(20, 1), (20, 8), (2, 1), (3, 4)])
def test_credits_and_adverts_in_every_file_make_no_family(comics: int, adverts: int) -> None:
    """A scanner's page, or a publisher's."""
    names = [f"comic{k:02}" for k in range(comics)]
    found = shelf({name: [*own(name), *own("advert", adverts)] for name in names})
    assert found.groups() == [[name] for name in names]
    held = held_out_comics(found, share=0.2, seed=0)
    assert 1 <= len(held) <= max(1, comics // 4)
    assert found.on_both_sides(held) == {mark_of(image) for image in own("advert", adverts)}


@pytest.mark.parametrize(
    ("comics", "groups"),
    [
        # a fifth of the smaller one, of images that are in few comics
        ({"a": own("a"), "b": [*own("b", 20), *own("a", 5)]}, [["a", "b"]]),
        ({"a": own("a"), "b": [*own("b", 20), *own("a", 4)]}, [["a"], ["b"]]),
        # a collected edition is large, its issues are in it all the same
        ({"a": own("a"), "all": [*own("a"), *own("b", 200)], "b": own("b", 200)}, [["a", "all", "b"]]),
        # blank pages of one comic count once
        ({"a": [*own("a"), *["blank"] * 20], "b": [*own("b"), *["blank"] * 20]}, [["a"], ["b"]]),
        # the same file many times over, with another title page in each
        ({f"copy{k:02}": [f"title {k}", *own("a")] for k in range(30)}, [[f"copy{k:02}" for k in range(30)]]),
    ],
)
def test_comics_that_share_a_good_part_are_a_family(comics: dict[str, list[str]], groups: list[list[str]]) -> None:
    assert shelf(comics).groups() == groups
    assert shelf(dict(reversed(comics.items()))).groups() == groups


def test_a_comic_with_no_page_of_its_own_is_not_what_is_held_out() -> None:
    sources = {name: own(name) for name in "bcdefgh"}
    found = shelf({"a": [f"{name} 0" for name in sources], **sources})
    assert len(found.groups()) == 8
    for seed in range(20):
        assert held_out_comics(found, share=0.1, seed=seed) != {"a"}


def test_many_comics_with_one_page_in_common_are_split_soon() -> None:
    """All pairs of them would be half a thousand million."""
    names = [f"comic{k:05}" for k in range(30_000)]
    found = shelf({name: [name, f"{name} 2", "advert"] for name in names})
    assert len(found.groups()) == len(names)


def test_comics_known_to_look_the_same_are_a_family_whatever_images_they_have() -> None:
    found = families(a=3, b=3, c=3)
    found.join([("a", "c"), ("c", "without pages")])
    assert found.groups() == [["a", "c"], ["b"]]
