"""The world that every made story plays in: its people, places, actions and hours, and the words for them.

It is the same for all stories, so what is learned on some of them must hold on others. A concept's `words` belong to
it alone: text that holds one of them speaks of that concept, whatever the wording.
"""

from dataclasses import dataclass

from services.training.generators.artwork import Colour, Figure


@dataclass(frozen=True)
class Character:
    """Somebody with fixed looks; `seen` says what a stranger would call them."""

    name: str
    looks: Figure
    seen: str


@dataclass(frozen=True)
class Place:
    """A place: `phrases` say where, as in "in the forest"."""

    name: str
    phrases: tuple[str, ...]
    words: frozenset[str]


@dataclass(frozen=True)
class Action:
    """Something one person does with a thing.

    `wordings` are (she ..., is ...-ing, to ...) of the same action; `near` says whether it can be shown from close by,
    `high`, `behind` and `ahead` how far the picture of it reaches up, back and forward, in heights of the figure.
    """

    name: str
    wordings: tuple[tuple[str, str, str], ...]
    thing: str
    words: frozenset[str]
    sounds: tuple[str, ...] = ()
    near: bool = False
    high: float = 1.0
    behind: float = 0.35
    ahead: float = 0.75


@dataclass(frozen=True)
class Hour:
    """A time of day until `until` of the day; `sky` is its upper and lower colour, `light` a factor per channel."""

    name: str
    phrases: tuple[str, ...]
    words: frozenset[str]
    until: float
    sky: tuple[Colour, Colour]
    light: tuple[float, float, float]


INK: Colour = (20, 16, 24)
PALE, TAN, BROWN = (255, 222, 190), (214, 158, 110), (122, 76, 50)


def _character(
    name: str, seen: str, *, skin: Colour, hair: Colour, coat: Colour, legs: Colour, head: float = 1.15, extra: str = ""
) -> Character:
    looks = Figure(
        skin=skin, hair=hair, coat=coat, legs=legs, ink=INK, beast="beast" in extra, hat="hat" in extra,
        long_hair="long" in extra, head=head, line=1,
    )  # fmt: skip
    return Character(name, looks, seen)


CAST = (
    _character("Mira", "a girl in a red coat", skin=PALE, hair=(26, 22, 30), coat=(214, 32, 38), legs=(60, 50, 70),
               extra="long"),
    _character("Otto", "a man in blue with a yellow hat", skin=PALE, hair=(248, 204, 30), coat=(30, 74, 200),
               legs=(40, 40, 60), extra="hat"),
    _character("Nell", "a girl in green with orange hair", skin=PALE, hair=(238, 112, 20), coat=(24, 140, 60),
               legs=(90, 60, 40), extra="long"),
    _character("Bram", "a bald man in a yellow coat", skin=TAN, hair=TAN, coat=(250, 210, 40), legs=(110, 70, 40),
               head=1.35),
    _character("Ivy", "a woman in purple with white hair", skin=BROWN, hair=(244, 244, 250), coat=(128, 40, 170),
               legs=(60, 30, 80), extra="long"),
    _character("Hugo", "a man in black with a red hat", skin=PALE, hair=(200, 24, 34), coat=(36, 36, 44),
               legs=(36, 36, 44), extra="hat"),
    _character("Rosa", "a woman in pink with a green hat", skin=BROWN, hair=(40, 150, 70), coat=(255, 130, 180),
               legs=(150, 50, 100), extra="hat"),
    _character("Finn", "a boy in white with black hair", skin=TAN, hair=(20, 20, 26), coat=(248, 248, 244),
               legs=(30, 110, 180), head=1.35),
    _character("Rufus", "an orange fox", skin=(255, 236, 214), hair=(230, 110, 20), coat=(236, 112, 24),
               legs=(90, 40, 20), extra="beast"),
    _character("Zog", "a teal monster", skin=(150, 240, 225), hair=(10, 110, 120), coat=(20, 160, 165),
               legs=(10, 80, 90), extra="beast"),
)  # fmt: skip

PLACES = (
    Place("forest", ("in the forest", "among the trees", "deep in the woods"), frozenset({"forest", "trees", "woods"})),
    Place("harbour", ("in the harbour", "by the sea", "near the lighthouse"),
          frozenset({"harbour", "sea", "lighthouse"})),
    Place("desert", ("in the desert", "among the dunes", "on the hot sand"), frozenset({"desert", "dunes", "sand"})),
    Place("rooftops", ("on the rooftops", "high above the city", "over the streets"),
          frozenset({"rooftops", "city", "streets"})),
    Place("castle", ("in the castle", "in the great hall", "inside the palace"),
          frozenset({"castle", "hall", "palace"})),
    Place("snow", ("in the snow", "on the icy mountain", "in the frozen north"),
          frozenset({"snow", "icy", "mountain", "frozen"})),
    Place("cave", ("in the cave", "under the ground", "among the crystals"), frozenset({"cave", "ground", "crystals"})),
    Place("market", ("at the market", "among the stalls", "in the old bazaar"),
          frozenset({"market", "stalls", "bazaar"})),
    Place("meadow", ("in the meadow", "by the windmill", "on the green hills"),
          frozenset({"meadow", "windmill", "hills"})),
)  # fmt: skip

ACTIONS = (
    Action("carries a lantern",
           (("carries a lantern", "carrying a lantern", "carry the lantern"),
            ("holds up a lamp", "holding up a lamp", "hold up the lamp")),
           "lantern", frozenset({"lantern", "lamp"}), near=True),
    Action("rows a boat",
           (("rows a boat", "rowing a boat", "row the boat"), ("pulls the oars", "pulling the oars", "pull the oars")),
           "boat", frozenset({"boat", "oars", "rows", "rowing", "row"}), ("SPLASH", "SWISH"),
           high=1.1, behind=0.75, ahead=0.95),
    Action("reads a book",
           (("reads a book", "reading a book", "read the book"),
            ("studies a novel", "studying a novel", "study the novel")),
           "book", frozenset({"book", "novel", "reads", "reading", "read"}), near=True),
    Action("flies a kite", (("flies a kite", "flying a kite", "fly the kite"),), "kite",
           frozenset({"kite", "flies", "flying", "fly"}), ("WHOOSH",), high=1.35, ahead=0.97),
    Action("sleeps",
           (("sleeps", "sleeping", "sleep"), ("takes a nap", "taking a nap", "take a nap"),
            ("rests in bed", "resting in bed", "rest in bed")),
           "pillow", frozenset({"sleeps", "sleeping", "sleep", "nap", "bed", "pillow"}), ("ZZZ", "SNORE"),
           behind=0.85, ahead=0.8),
    Action("fights with a sword",
           (("fights with a sword", "fighting with a sword", "fight with the sword"),
            ("swings a blade", "swinging a blade", "swing the blade")),
           "sword", frozenset({"sword", "blade", "fights", "fighting", "fight"}), ("CLANG", "SWOOSH"), near=True,
           ahead=1.2),
    Action("eats an apple",
           (("eats an apple", "eating an apple", "eat the apple"),
            ("bites into a red fruit", "biting into a red fruit", "bite into the fruit")),
           "apple", frozenset({"apple", "fruit", "eats", "eating", "eat"}), ("CRUNCH", "MUNCH"), near=True),
    Action("rides a wheel",
           (("rides a wheel", "riding a wheel", "ride the wheel"),
            ("rolls on a unicycle", "rolling on a unicycle", "roll on the unicycle")),
           "wheel", frozenset({"wheel", "unicycle", "rides", "riding", "ride"}), ("WHIRR",), high=1.42, behind=0.6,
           ahead=0.4),
    Action("plays a drum",
           (("plays a drum", "playing a drum", "play the drum"),
            ("beats the drum", "beating the drum", "beat the drum")),
           "drum", frozenset({"drum", "beats", "beating", "beat"}), ("BOOM BOOM", "RAT TAT TAT"), high=1.15),
    Action("digs a hole",
           (("digs a hole", "digging a hole", "dig the hole"),
            ("works with a shovel", "working with a shovel", "work with the shovel")),
           "shovel", frozenset({"hole", "shovel", "digs", "digging", "dig"}), ("SCRAPE", "THUD"), behind=0.75),
    Action("builds a tower",
           (("builds a tower", "building a tower", "build the tower"),
            ("stacks blocks", "stacking blocks", "stack the blocks")),
           "tower", frozenset({"tower", "blocks", "builds", "building", "build"}), ("CLACK",), high=1.05),
    Action("waters a flower",
           (("waters a flower", "watering a flower", "water the flower"),
            ("grows a sunflower", "growing a sunflower", "grow the sunflower")),
           "flower", frozenset({"flower", "sunflower", "waters", "watering", "water"}), ("DRIP DROP",), ahead=0.9),
)  # fmt: skip

HOURS = (
    Hour("dawn", ("at dawn", "at daybreak", "at sunrise"), frozenset({"dawn", "daybreak", "sunrise"}), 0.2,
         ((150, 130, 200), (255, 176, 170)), (0.86, 0.76, 0.84)),
    Hour("morning", ("in the morning", "after breakfast"), frozenset({"morning", "breakfast"}), 0.4,
         ((140, 210, 250), (255, 246, 200)), (1.0, 1.0, 0.93)),
    Hour("noon", ("at noon", "at midday", "at lunchtime"), frozenset({"noon", "midday", "lunchtime"}), 0.6,
         ((40, 140, 245), (150, 215, 255)), (1.12, 1.12, 1.12)),
    Hour("dusk", ("at dusk", "at sunset", "in the evening"), frozenset({"dusk", "sunset", "evening"}), 0.8,
         ((180, 60, 90), (255, 140, 30)), (0.98, 0.68, 0.5)),
    Hour("night", ("at night", "at midnight", "by moonlight"), frozenset({"night", "midnight", "moonlight"}), 1.01,
         ((8, 10, 40), (34, 44, 100)), (0.38, 0.44, 0.7)),
)  # fmt: skip


def hour_at(clock: float) -> Hour:
    """The hour of a moment of the day, 0 (dawn) to 1 (deep night)."""
    return next((hour for hour in HOURS if clock < hour.until), HOURS[-1])
