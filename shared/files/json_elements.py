"""Large JSON files read element by element: one in memory at a time, however many there are."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from shared.errors import Reject

PIECE = 1 << 20
LONGEST = 64 << 20  # characters of one element, or between two


def elements(file: Path, parts: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Elements of the arrays under the top-level keys `parts` of a JSON object, one in memory at a time.

    The elements of a file that is an array itself come under the key "". `Reject` when the file is neither, is
    malformed or cut off.
    """
    try:
        with file.open(encoding="utf-8-sig") as stream:
            yield from _Elements(stream.read).walk(parts)
    except (ValueError, RecursionError) as error:
        raise Reject(f"{file.name} is no whole JSON file: {str(error)[:100]}") from error


class _Elements:
    """A window over the text of a JSON file that moves on as elements are taken."""

    def __init__(self, read: Callable[[int], str]) -> None:
        self._read = read
        self._text, self._at, self._ended = "", 0, False
        self._decoder = json.JSONDecoder()

    def walk(self, parts: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        if self._peek() == "[":
            yield from self._array("")
            return
        self._take("{")
        if self._peek() == "}":
            return
        while True:
            key = self._value()
            self._take(":")
            if key in parts and self._peek() == "[":
                yield from self._array(key)
            else:
                self._value()
            if self._peek() == "}":
                return
            self._take(",")

    def _array(self, key: str) -> Iterator[tuple[str, Any]]:
        self._take("[")
        while self._peek() != "]":
            yield key, self._value()
            if self._peek() != "]":
                self._take(",")
        self._take("]")

    def _peek(self) -> str:
        while True:
            while self._at < len(self._text) and self._text[self._at].isspace():
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                raise ValueError("it ends too early")

    def _take(self, sign: str) -> None:
        if self._peek() != sign:
            raise ValueError(f"{sign} was expected")
        self._at += 1

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except ValueError:
                if not self._more():
                    raise
                continue
            # A number at the window's end may go on behind it.
            if end == len(self._text) and self._more():
                continue
            self._at = end
            return value

    def _more(self) -> bool:
        if self._ended or len(self._text) - self._at > LONGEST:
            return False
        piece = self._read(PIECE)
        self._text, self._at, self._ended = self._text[self._at :] + piece, 0, not piece
        return bool(piece)
