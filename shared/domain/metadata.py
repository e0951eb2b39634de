"""What is said about a comic besides its pictures: one record from each origin, and what they come to together."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints

from shared.domain.languages import language_code
from shared.domain.schema import Contract

# From the one that outranks all to the one that is believed last. `calibre` is metadata.db or metadata.opf beside the
# book, `folder` what the place says where the file lies.
Origin = Literal["person", "command line", "comicinfo", "calibre", "acbf", "epub", "folder", "file name"]
ORIGINS: tuple[Origin, ...] = (
    "person", "command line", "comicinfo", "calibre", "acbf", "epub", "folder", "file name",
)  # fmt: skip
# Origins that stand in the comic's own file: ingestion writes them anew each time.
OWN_ORIGINS: tuple[Origin, ...] = ("comicinfo", "acbf", "epub", "file name")
PageLabel = Literal["cover", "back_cover", "inner_cover", "story", "advertisement", "text", "other"]
PAGE_LABELS: tuple[PageLabel, ...] = (
    "cover", "back_cover", "inner_cover", "story", "advertisement", "text", "other",
)  # fmt: skip
# Languages whose comics run right to left unless something says otherwise.
RTL_LANGUAGES = ("ja", "ar", "he", "fa")
MOST_ENTRIES = 200  # names in a list, entries of a field that has them by key
LONGEST_NUMBER = 40

# Control characters (but for the ends of lines), halves of characters, and what turns the direction of what is written
# around them: no database keeps the first two, and no reader should be shown the last.
_UNSPOKEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def spoken(text: str) -> str:
    """A text of a stranger without the characters that say nothing and must not be kept."""
    return _UNSPOKEN.sub("", text)


def _only_spoken(text: str) -> str:
    if _UNSPOKEN.search(text):
        raise ValueError("may not hold control characters")
    return text


Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(_only_spoken)
]
Lines = Annotated[list[Line], Field(max_length=MOST_ENTRIES)]
Note = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), AfterValidator(_only_spoken)
]
Number = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NUMBER), AfterValidator(_only_spoken)
]
Summary = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000), AfterValidator(_only_spoken)]
Address = Annotated[Note, StringConstraints(pattern="^https?://")]
# However it is written (jpn, Japanese, 日本語), a language is kept by its code; one that nobody knows is not stated.
Language = Annotated[
    Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z]{2,3}(-[a-z0-9]+)*$")] | None,
    BeforeValidator(lambda said: language_code(said) if isinstance(said, str) else said),
]
People = Annotated[
    dict[Line, Lines],
    Field(max_length=MOST_ENTRIES, description="role (writer, penciller, translator …) -> names"),
]
Identifiers = Annotated[
    dict[Line, Line], Field(max_length=MOST_ENTRIES, description="scheme (isbn, gtin, calibre …) -> value")
]
Other = Annotated[
    dict[Line, Note], Field(max_length=MOST_ENTRIES, description="what else is stated, by the record's own names")
]


class _Plain(Contract):
    """The fields that hold one value; None means "not stated"."""

    title: Line | None = None
    series: Line | None = None
    number: Number | None = None
    count: int | None = Field(None, ge=0, le=100_000, description="issues of the series in all")
    volume: int | None = Field(None, ge=0, le=100_000)
    year: int | None = Field(None, ge=1, le=9999)
    month: int | None = Field(None, ge=1, le=12)
    day: int | None = Field(None, ge=1, le=31)
    language: Language = None
    publisher: Line | None = None
    imprint: Line | None = None
    summary: Summary | None = None
    rating: Line | None = Field(None, description="age rating")
    web: Address | None = None
    direction: Literal["ltr", "rtl"] | None = None
    source: Line | None = Field(None, description="where the user has it from: Calibre, Humble Bundle …")
    collection: Line | None = Field(None, description="the shelf it stands on: 2000AD, Dark Horse …")


class Metadata(_Plain):
    """One record; None and what is empty mean "not stated"."""

    people: People = Field({})
    genres: Lines = Field([])
    tags: Lines = Field([])
    characters: Lines = Field([])
    identifiers: Identifiers = Field({})
    other: Other = Field({})

    def stated(self) -> dict[str, Any]:
        """The fields that say something."""
        return {name: value for name, value in self.model_dump().items() if value not in (None, [], {}, "")}


class MetadataRecord(BaseModel):
    """What one origin says, and what was wrong with it."""

    origin: Origin
    fields: Metadata
    warnings: list[str] = []


class ComicMetadata(BaseModel):
    """All that is said about a comic: every record, what they come to together, and where its file lies."""

    comic_id: int
    merged: Metadata
    origins: dict[str, Origin] = Field(description="field -> the record it came from")
    records: list[MetadataRecord]
    files: list[str] = Field(description="machine:path of every place the comic was added from")


class MetadataChanges(_Plain):
    """A person's edit. A field that is sent counts, lists and roles as a whole; null, and what is empty, takes the
    person's word back, so that the origins speak."""

    people: People | None = None
    genres: Lines | None = None
    tags: Lines | None = None
    characters: Lines | None = None
    identifiers: Identifiers | None = None
    other: Other | None = None


def direction_of_language(language: str | None) -> Literal["rtl"] | None:
    """Right to left for languages whose comics are read so; None where the language says nothing."""
    code = language_code(language) if language else None
    return "rtl" if code and code.partition("-")[0] in RTL_LANGUAGES else None


def stated_direction(
    direction: str | None, language: str | None, *, usual: Literal["ltr", "rtl", "auto"]
) -> Literal["ltr", "rtl"] | None:
    """Which way a comic is read: as its metadata says, else as the user's default says, else as its language is read.

    None where nothing says it.
    """
    match direction or usual:
        case "ltr":
            return "ltr"
        case "rtl":
            return "rtl"
        case _:
            return direction_of_language(language)
