"""Comics on their way in, as client and server speak of them: where a file lies, and what the server knows of it."""

import hashlib
import os
import platform
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from shared.domain.answers import ComicView
from shared.domain.metadata import Line
from shared.domain.schema import Contract

MOST_FILES = 1000  # that one question may ask about
LONGEST_LOCATION = 1000  # bytes; an index of the database holds no longer ones


def location_of(path: Path) -> str:
    """What a client calls a file for good: its machine and its real, absolute path.

    A path too long for an index keeps its beginning and gets a hash; bytes that are no UTF-8 are spelled out.
    """
    location = f"{platform.node() or 'localhost'}:{os.fsencode(path).decode('utf-8', 'backslashreplace')}"
    raw = location.encode()
    if len(raw) <= LONGEST_LOCATION:
        return location
    return f"{raw[: LONGEST_LOCATION - 80].decode('utf-8', 'ignore')}…{hashlib.sha256(raw).hexdigest()}"


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("may not hold the character NUL")
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("may not hold half a character (a lone surrogate)")
    return text


def _short(text: str) -> str:
    if len(text.encode("utf-8", "replace")) > LONGEST_LOCATION:
        raise ValueError(f"may have at most {LONGEST_LOCATION} bytes")
    return text


Storable = Annotated[str, AfterValidator(_storable)]
Location = Annotated[Storable, Field(min_length=1), AfterValidator(_short)]
Size = Annotated[int, Field(ge=0, lt=1 << 63)]
Time = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]  # of a disk without clock, before 1970
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class SourceFile(Contract):
    """A file, or a folder of images, as it lies on a client's disk; unchanged as long as size and time are."""

    location: Location = Field(description="machine:absolute path")
    size: Size = Field(description="bytes on the client's disk; of a folder, of its images together")
    mtime_ns: Time = Field(description="when it last changed, nanoseconds since 1970")
    sha256: Sha256 | None = Field(None, description="of the bytes it would be sent as, by who reads them anyway")


class KnownFile(BaseModel):
    """What the server knows of one file: its comic, or why it was refused; neither: send it."""

    comic_id: int | None = None
    error: str | None = None


class KnownAnswer(BaseModel):
    """One entry for every file that was asked about, in that order."""

    files: list[KnownFile]


class Shelf(Contract):
    """Where a person puts a comic, in words of their own or by the folder it lies in."""

    collection: Line | None = Field(None, description="the shelf it stands on")
    source: Line | None = Field(None, description="where the user has it from")
    folder: Line | None = Field(None, description="folder it lies in: its collection where nothing better is said")


class KnownRequest(Contract):
    """Which of these files are known? `shelf`: where a person puts those that are, in words of their own."""

    files: list[SourceFile] = Field(max_length=MOST_FILES)
    shelf: Shelf = Shelf()


class Sending(Shelf):
    """What goes with a file that is sent; without a location it is not recognised when it is added again."""

    filename: str | None = Field(None, description="the file's name when the body is the bare file")
    location: Location | None = Field(None, description="what the client calls the place: machine:absolute path")
    mtime_ns: Time | None = Field(None, description="when the file last changed, nanoseconds since 1970")
    file_size: Size | None = Field(None, description="its bytes on the client's disk")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.location is not None and (self.mtime_ns is None or self.file_size is None):
            raise ValueError("a location needs mtime_ns and file_size")
        return self

    @property
    def place(self) -> SourceFile | None:
        """Where it lies, when that was told."""
        if self.location is None or self.mtime_ns is None or self.file_size is None:
            return None
        return SourceFile(location=self.location, size=self.file_size, mtime_ns=self.mtime_ns)


class Reference(Shelf):
    """A comic that stays where it is; the server reads it there."""

    path: Storable = Field(min_length=1, description="absolute path on the server's machine")
    name: Storable = Field(min_length=1, description="file name to show")
    location: Location = Field(description="machine:absolute path")
    mtime_ns: Time = Field(description="when it last changed, as the client saw it")
    file_size: Size = Field(description="its bytes as the client saw them")

    @property
    def place(self) -> SourceFile:
        """Where it lies."""
        return SourceFile(location=self.location, size=self.file_size, mtime_ns=self.mtime_ns)


class Arrival(ComicView):
    """A comic that was sent."""

    new: bool = Field(description="it was not there before")
    same_as: str | None = Field(None, description="another place that the same bytes were added from before")
