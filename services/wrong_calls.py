"""Calls of the command line that cannot be meant: one line that says what is wrong, and exit status 2."""

import argparse
import re
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from shared.errors import Reject

Model = TypeVar("Model", bound=BaseModel)
SHOWN = 40  # characters of a wrong value that are worth repeating


class WrongCall(Reject):
    """The command was called wrongly; nothing was done."""


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, where argparse prints every option there is."""

    def error(self, message: str) -> NoReturn:
        """Say it and end with status 2."""
        said = re.sub(r"^argument (\S+):", r"`\1`:", message)
        self.exit(2, f"comics: {said}; see `{self.prog} --help`\n")


# What the server tells a program to ask, and the command that asks it.
COMMANDS = (
    (r"GET /comics/facets", "`comics show`"),
    (r"GET /comics/(?:\{id\}|ID)/pages", "`comics show ID`"),
    (r"GET /comics", "`comics show`"),
    (r"GET /jobs", "`comics status`"),
    (r"GET /datasets", "`comics dataset --list`"),
    (r"GET /(?:runs|checkpoints|promotions)", "`comics runs`"),
    (r"GET /duplicates\?kind=(\w+)", r"`comics duplicates --kind \1`"),
    (r"GET /layouts\?page_id=", "`comics show ID`"),
    (r"send `force`", "give `--force`"),
)


def plainly(problem: object) -> str:
    """A problem in the words of the command line."""
    said = str(problem)
    for asked, command in COMMANDS:
        said = re.sub(asked, command, said)
    return said


def flag(name: str) -> str:
    """The option that sets a field."""
    return "--" + name.replace("_", "-")


def checked(model: type[Model], values: Mapping[str, Any], **flags: str) -> Model:
    """A request made of options; `flags` names those that are called otherwise than their field.

    WrongCall names each option with what it must be.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        said = []
        for found in error.errors(include_url=False):
            field = str(found["loc"][0])
            said.append(f"`{flags.get(field, flag(field))}`: {_must(found['msg'], found['input'])}")
        raise WrongCall("; ".join(said)) from error


def _must(message: str, value: object) -> str:
    """What a value must be, of pydantic's words."""
    plain = re.sub(r"^\w+ should ", "must ", message).partition(", unable")[0]
    shown = str(value)
    return f"{plain}, not {shown}" if shown and len(shown) <= SHOWN else plain
