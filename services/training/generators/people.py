"""Who plays in made comics: looks that stay the same from panel to panel."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from services.training.generators.artists import Artist, Eyes, mixed, shifted
from services.training.generators.artwork import Colour

Kind = Literal["human", "animal", "robot", "creature"]
Hair = Literal["bald", "short", "spiky", "long", "bob", "curly", "tail", "bun", "braids", "fringe"]
Garment = Literal["shirt", "jacket", "coat", "dress", "robe", "suit", "armour"]
Hat = Literal["none", "witch", "cap", "hood", "helmet", "top", "band"]
Beast = Literal["cat", "dog", "bird", "dragon"]

SKINS: tuple[Colour, ...] = (
    (255, 224, 196), (244, 200, 160), (224, 172, 130), (186, 130, 92), (130, 86, 58), (92, 60, 44)
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (20, 16, 18), (50, 34, 26), (104, 64, 36), (170, 110, 50), (224, 180, 90), (190, 70, 30), (190, 190, 195),
    (90, 60, 140), (60, 120, 170),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """One member of a cast; lengths are shares of its own measure, `heads` is its height in head heights."""

    kind: Kind
    beast: Beast
    skin: Colour
    hair_colour: Colour
    top: Colour
    legs: Colour
    shoes: Colour
    extra: Colour
    eye: Colour
    heads: float
    build: float
    jaw: float
    chin: float
    eyes: Eyes
    eye_size: float
    nose: int
    hair: Hair
    hair_length: float
    volume: float
    garment: Garment
    pattern: int
    hat: Hat
    glasses: int
    beard: int
    cape: bool
    brow: float
    old: bool
    seed: int


def person(rng: np.random.Generator, artist: Artist) -> Person:
    """Somebody drawn in one artist."""
    kinds: list[Kind] = ["human", "animal", "robot", "creature"]
    kind = kinds[int(rng.choice(4, p=[0.8, 0.12, 0.03, 0.05]))]
    beasts: list[Beast] = ["cat", "dog", "bird", "dragon"]
    hairs: list[Hair] = ["bald", "short", "spiky", "long", "bob", "curly", "tail", "bun", "braids", "fringe"]
    chances = [0.06, 0.2, 0.14, 0.16, 0.09, 0.08, 0.09, 0.04, 0.05, 0.09]
    garments: list[Garment] = ["shirt", "jacket", "coat", "dress", "robe", "suit", "armour"]
    hats: list[Hat] = ["none", "witch", "cap", "hood", "helmet", "top", "band"]
    skin = shifted(rng, SKINS[int(rng.integers(len(SKINS)))], spread=8)
    hair = shifted(rng, HAIRS[int(rng.integers(len(HAIRS)))], spread=14)
    if artist.grey:
        v = int(rng.choice([255, 255, 215, 165], p=[0.85, 0.05, 0.06, 0.04]))
        skin = (v, v, v)
        v = int(rng.choice([255, 200, 130, 8], p=[0.34, 0.14, 0.1, 0.42]))
        hair = (v, v, v)
    elif artist.kind == "sketch":
        skin, hair = mixed(skin, (255, 250, 240), 0.5), mixed(hair, (255, 250, 240), 0.3)
    if kind != "human" and not artist.grey:
        skin = artist.paint(rng, 60, 250)
    age = float(rng.random())
    heads = artist.heads * float(rng.uniform(0.9, 1.1)) * (0.72 if age < 0.2 else 1.0)
    return Person(
        kind=kind,
        beast=beasts[int(rng.choice(4, p=[0.36, 0.24, 0.24, 0.16]))],
        skin=skin,
        hair_colour=hair,
        top=artist.paint(rng),
        legs=artist.paint(rng, 0, 200),
        shoes=artist.paint(rng, 0, 150),
        extra=artist.paint(rng),
        eye=(30, 30, 30) if artist.grey else shifted(rng, (80, 100, 110), spread=45),
        heads=max(2.3, heads),
        build=float(np.clip(rng.normal(1.0, 0.2), 0.65, 1.7)),
        jaw=float(rng.uniform(0.82, 1.2)),
        chin=float(rng.uniform(0.9, 1.12)),
        eyes=artist.eyes if rng.random() < 0.85 else "western",
        eye_size=float(rng.uniform(0.8, 1.25)) * (1.2 if age < 0.2 else 1.0),
        nose=int(rng.integers(5)),
        hair=hairs[int(rng.choice(10, p=chances))],
        hair_length=float(rng.uniform(0.4, 2.2)),
        volume=float(rng.uniform(1.04, 1.3)),
        garment=garments[int(rng.choice(7, p=[0.25, 0.2, 0.14, 0.14, 0.08, 0.12, 0.07]))],
        pattern=int(rng.choice([0, 1, 2, 3, 4], p=[0.6, 0.12, 0.1, 0.06, 0.12])),
        hat=hats[int(rng.choice(7, p=[0.74, 0.05, 0.05, 0.05, 0.04, 0.03, 0.04]))],
        glasses=int(rng.choice([0, 1, 2, 3], p=[0.84, 0.09, 0.04, 0.03])),
        beard=int(rng.choice([0, 1, 2, 3], p=[0.8, 0.08, 0.07, 0.05])) if age > 0.3 else 0,
        cape=bool(rng.random() < 0.1),
        brow=float(rng.uniform(0.6, 1.8)),
        old=age > 0.85,
        seed=int(rng.integers(1 << 30)),
    )


def company(rng: np.random.Generator, artist: Artist, *, count: int = 4) -> list[Person]:
    """Everybody who plays on a page; most have a human among them."""
    made = [person(rng, artist) for _ in range(count)]
    if rng.random() < 0.85:
        made[0] = replace(made[0], kind="human")
    return made
