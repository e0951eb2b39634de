"""What is said, told and heard in the panels of a made story, and what a stranger would say of them."""

import numpy as np

from services.training.generators.story_world import Action, Character, Hour, Place
from shared.domain.schema import SpokenText

SILENT, SPOKEN, TOLD = 0.2, 0.4, 0.12  # chances of no text, dialogue only, narration only; else both
ORDER = (("First", "To begin", "At the start"), ("Then", "Next", "After that"), ("At last", "In the end", "Finally"))
FEELING = (("Here we go.", "Let us begin!", "I have just started."), ("Half done!", "Still going.", "More, more!"),
           ("Done at last!", "That is the end.", "All finished!"))  # fmt: skip
PLAIN = ("Ha ha!", "Oh!", "What a day!", "Look at that!", "Come closer.", "Do you see it?", "This is fun.", "Careful!",
         "How lovely.", "Hm.", "Again!", "I knew it.")  # fmt: skip


def pick(rng: np.random.Generator, choices: tuple[str, ...] | list[str]) -> str:
    """One of the choices."""
    return choices[int(rng.integers(len(choices)))]


def act_of(stage: int, stages: int) -> int:
    """0 at an action's beginning, 1 in its middle, 2 at its end."""
    return 0 if stage == 0 else 2 if stage == stages - 1 else 1


def script(
    rng: np.random.Generator,
    actor: Character,
    friends: tuple[Character, ...],
    action: Action,
    place: Place,
    hour: Hour,
    *,
    stage: int,
    stages: int,
    small: bool,
) -> tuple[SpokenText, ...]:
    """The texts of one panel in reading order; none for a silent one. Concepts are named often, never falsely."""
    kind = rng.random()
    if kind < SILENT:
        return ()
    texts: list[SpokenText] = []
    act = act_of(stage, stages)
    does, doing, do = action.wordings[int(rng.integers(len(action.wordings)))]
    where, when = pick(rng, place.phrases), pick(rng, hour.phrases)
    if kind >= SILENT + SPOKEN:
        told = _narration(rng, actor.name, does, doing, where, when, act=act if stages > 1 else None)
        texts.append(SpokenText(kind="narration", speaker=None, text=told))
    if kind < SILENT + SPOKEN or kind >= SILENT + SPOKEN + TOLD:
        for _ in range(1 if small or rng.random() < 0.65 else 2):
            speaker = actor if not friends or rng.random() < 0.5 else friends[int(rng.integers(len(friends)))]
            if texts and texts[-1].speaker == speaker.name:
                break
            others = [who.name for who in (actor, *friends) if who is not speaker]
            said = _speech(rng, speaker, actor, others, action.thing, (doing, do), where, when, act=act)
            texts.append(SpokenText(kind="dialogue", speaker=speaker.name, text=said))
    if action.sounds and rng.random() < 0.35:
        texts.append(SpokenText(kind="sound", speaker=None, text=pick(rng, action.sounds) + "!"))
    return tuple(texts)


def _narration(
    rng: np.random.Generator, who: str, does: str, doing: str, where: str, when: str, *, act: int | None
) -> str:
    order = "" if act is None else pick(rng, ORDER[act])
    told = [
        f"{order}, {who} {does}." if order else f"{who} {does}.",
        f"{when}, {who} {does}.",
        f"{who} is {doing} {where}.",
        f"{order}, {where}: {who}." if order else f"{where}, {who}.",
        f"{order}, {when}, {who} is busy." if order else f"{when}, {who} is busy.",
        f"{when}, {where}.",
        f"{order} somebody is {doing}." if order else f"Somebody is {doing}.",
    ]
    text = pick(rng, told)
    return text[0].upper() + text[1:]


def _speech(
    rng: np.random.Generator,
    speaker: Character,
    actor: Character,
    others: list[str],
    thing: str,
    verb: tuple[str, str],
    where: str,
    when: str,
    *,
    act: int,
) -> str:
    doing, do = verb
    said = [pick(rng, PLAIN), pick(rng, FEELING[act]), f"It is good to be {where}.", f"So this is life {when}."]
    if others:
        said.append(f"{pick(rng, others)}, I like it {where}.")
    if speaker is actor:
        said += [f"I am {doing}!", f"Watch me {do}!", f"My {thing}!", f"I love {doing} {when}."]
        said += [f"{pick(rng, others)}, see my {thing}!"] if others else [f"I will {do}."]
    else:
        said += [f"You are {doing}, {actor.name}!", f"What a {thing}!", f"{actor.name}, is that your {thing}?"]
        said += [f"Why {do}, {actor.name}?", f"{actor.name} is {doing}."]
    return pick(rng, said)


def describe(
    rng: np.random.Generator,
    actor: Character,
    friends: tuple[Character, ...],
    action: Action,
    place: Place,
    hour: Hour,
) -> str:
    """One sentence about who does what where and when; looks at times stand beside names."""
    does, doing, _ = action.wordings[0 if rng.random() < 0.6 else int(rng.integers(len(action.wordings)))]
    where, when = pick(rng, place.phrases), pick(rng, hour.phrases)
    who = f"{actor.name}, {actor.seen}," if rng.random() < 0.4 else actor.name
    beside = " and ".join(friend.name for friend in friends)
    look = "look" if len(friends) > 1 else "looks"
    watch = f" while {beside} {look} on" if beside else ""
    told = [
        f"{who} {does} {where} {when}{watch}.",
        f"{when}, {who} {does} {where}{watch}.",
        f"{where} {who} is {doing} {when}{watch}.",
        f"{who} is {doing} {where} {when}" + (f", with {beside} beside." if beside else "."),
    ]
    text = pick(rng, told)
    return text[0].upper() + text[1:]
