"""What removing answers: what went with a comic, and what lies around that nobody needs."""

from pydantic import BaseModel, Field


class RemovedComic(BaseModel):
    """What went with a comic. The user's own file, where the comic was read from one in place, is never touched."""

    id: int
    title: str
    pages: int
    panels: int = Field(description="of the pages' active layouts")
    vectors: int = Field(description="rows taken out of the stored vectors")
    blobs: int = Field(description="files and images freed; those that other comics or datasets use stay")
    bytes: int = Field(description="of the freed blobs")
    left: bool = Field(description="some of the bytes could not be freed now; `comics gc --free` does it later")


class Leftovers(BaseModel):
    """Things of one kind that nobody needs, and their bytes in the storage."""

    count: int = 0
    bytes: int = 0


class Garbage(BaseModel):
    """What nobody needs; `freed` says whether it is gone now. `checkpoints` and `runs` are only ever told."""

    freed: bool
    left: bool = Field(False, description="comics were being stored all the time: free the rest another time")
    blobs: Leftovers = Field(description="files and images that no comic, page or dataset refers to, an hour old")
    segments: Leftovers = Field(description="stored vectors that are in no index, or whose rows are all outdated")
    scratch: Leftovers = Field(description="unfinished files of killed writers, an hour old")
    cache: Leftovers = Field(description="cached pictures of what is gone, and bytes of others over the cache's limit")
    jobs: Leftovers = Field(description="jobs of comics that are gone")
    source_files: Leftovers = Field(description="rejected files that nobody has tried to add again for 90 days")
    checkpoints: Leftovers = Field(description="files of models that are not registered; never freed")
    runs: Leftovers = Field(description="states of runs that have ended, from which they could be resumed; never freed")

    def kinds(self) -> dict[str, Leftovers]:
        """Every kind by its name."""
        return {name: value for name, value in self if isinstance(value, Leftovers)}
