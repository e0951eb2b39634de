"""What is said about a comic besides its pictures: one record from each origin, and what they come to together."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

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

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Lines = Annotated[list[Line], Field(max_length=200)]


class Metadata(Contract):
    """One record; None and an empty list mean "not stated"."""

    title: Line | None = None
    series: Line | None = None
    number: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)] | None = None
    count: int | None = Field(None, ge=0, le=100_000, description="issues of the series in all")
    volume: int | None = Field(None, ge=0, le=100_000)
    year: int | None = Field(None, ge=1, le=9999)
    month: int | None = Field(None, ge=1, le=12)
    day: int | None = Field(None, ge=1, le=31)
    language: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$")] | None = (
        None
    )
    publisher: Line | None = None
    imprint: Line | None = None
    people: dict[Line, Lines] = Field({}, description="role (writer, penciller, translator …) -> names")
    genres: Lines = Field([])
    tags: Lines = Field([])
    characters: Lines = Field([])
    summary: Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000)] | None = None
    rating: Line | None = Field(None, description="age rating")
    web: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)] | None = None
    identifiers: dict[Line, Line] = Field({}, description="scheme (isbn, gtin, calibre …) -> value")
    direction: Literal["ltr", "rtl"] | None = None
    source: Line | None = Field(None, description="where the user has it from: Calibre, Humble Bundle …")
    collection: Line | None = Field(None, description="the shelf it stands on: 2000AD, Dark Horse …")

    def stated(self) -> dict[str, Any]:
        """The fields that say something."""
        return {name: value for name, value in self.model_dump().items() if value not in (None, [], {}, "")}


class MetadataRecord(BaseModel):
    """What one origin says, and what was wrong with it."""

    origin: Origin
    fields: Metadata
    warnings: list[str] = []


class MetadataChanges(Contract):
    """A person's edit. A field that is sent counts; null takes the person's word back, so that the origins speak."""

    title: Line | None = None
    series: Line | None = None
    number: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)] | None = None
    volume: int | None = Field(None, ge=0, le=100_000)
    year: int | None = Field(None, ge=1, le=9999)
    language: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$")] | None = (
        None
    )
    publisher: Line | None = None
    direction: Literal["ltr", "rtl"] | None = None
    source: Line | None = None
    collection: Line | None = None


def direction_of_language(language: str | None) -> Literal["rtl"] | None:
    """Right to left for languages whose comics are read so; None where the language says nothing."""
    return "rtl" if language and language.replace("_", "-").split("-")[0].lower() in RTL_LANGUAGES else None
