"""Which page a VLM file is about: by the ids inside it, its own place in its folder, or its flattened name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.dataspec.detections import page_id
from shared.domain.paths import FEWEST, PathIndex, plain_path


@dataclass(frozen=True, kw_only=True)
class Place:
    """A VLM file and the page (its place in the list) it is about."""

    page: int
    file: str
    evidence: str


class TellingIndex:
    """Pages by the paths that VLM files know them under."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._pages: dict[str, list[int]] = {}
        self._flat: dict[str, set[int]] = {}
        for k, path in enumerate(paths):
            plain = plain_path(page_id(path))
            self._pages.setdefault(plain, []).append(k)
            parts = [part for part in plain.split("/") if part]
            for start in range(len(parts) - FEWEST + 1):
                self._flat.setdefault("_".join(parts[start:]).casefold(), set()).add(k)
        self._index = PathIndex(self._pages)

    def find(self, file: str, ids: Iterable[str]) -> Place | str:
        """The page of a VLM file at `file` in its folder that names `ids`, or why it has none."""
        own = plain_path(file.removesuffix(".json"))
        # A bare name is a whole path only where the file itself lies at the top of its folder.
        said = [("the id in it", path) for path in ids if "/" in plain_path(path) or "/" not in own]
        said.append(("its path", own))
        found: dict[int, str] = {}
        for what, path in said:
            match = self._index.find(page_id(path))
            pages = self._pages[match.name] if match.name is not None else []
            if match.how == "several" or len(pages) > 1:
                return f"{what} ({path}) fits several pages"
            if pages:
                found.setdefault(pages[0], f"{what}, whole" if match.how == "path" else f"the end of {what}")
        flat = self._flat.get(page_id(own).replace("/", "_").casefold(), set())
        if not found and len(flat) > 1:
            return f"its flattened name ({file}) fits several pages"
        if not found and flat:
            return Place(page=next(iter(flat)), file=file, evidence="its flattened path")
        if len(found) > 1:
            return "the id in it and its path name different pages"
        if not found:
            return "no page has its path; bare file names are not enough"
        page, evidence = next(iter(found.items()))
        return Place(page=page, file=file, evidence=evidence)
