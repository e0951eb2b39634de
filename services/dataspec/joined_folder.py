"""A v0.3 folder on the disk, written page by page beside its place and put there whole.

`comics dataset --import` takes it as it is, and so does the research code. Images are the very files the pages were
found in, as hard links where the disk allows it.
"""

import os
import shutil
from pathlib import Path

from services.dataspec.folders import PageFiles
from shared.domain.dataspec import SPLITS, DataSpec, Split
from shared.domain.splits import Families, held_out_comics
from shared.errors import Reject

SHARE, SEED = 0.2, 0  # of the split, as an import without lists would make it
CONTENTS = frozenset({"dataspecs", "images", *(f"{split}.txt" for split in SPLITS)})


class JoinedFolder:
    """The folder `place` as it grows: `add` every page, then `finish` once.

    Raises `Reject` when something is there that is no such folder, so that nobody's files are replaced.
    """

    def __init__(self, place: Path) -> None:
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise Reject(f"{place} is no folder; name another place")
        strange = sorted({entry.name for entry in place.iterdir()} - CONTENTS) if place.exists() else []
        if strange:
            raise Reject(f"{place} holds other files ({strange[0]}); move them away, or name another place")
        self._place, self._draft = place, place.with_name(f"{place.name}.part")
        _remove(self._draft)
        self._draft.mkdir()
        self._families = Families()
        self._listed: list[tuple[str, str]] = []

    def add(self, page: DataSpec, image: Path) -> None:
        """Write a page, with the file its image was found in."""
        files = PageFiles.of(page)
        for name in (files.spec, files.image):
            (self._draft / name).parent.mkdir(parents=True, exist_ok=True)
        (self._draft / files.spec).write_bytes(files.content)
        _same_file(image.resolve(), self._draft / files.image)
        self._families.add(page.comic.key, page.image_sha256)
        self._listed.append((page.comic.key, files.spec))

    def finish(self) -> None:
        """Write the lists of both sides and replace what an earlier run left."""
        held = held_out_comics(self._families, share=SHARE, seed=SEED)
        lists: dict[Split, list[str]] = {split: [] for split in SPLITS}
        for comic, name in self._listed:
            lists["held_out" if comic in held else "train"].append(f"{name}\n")
        for split, names in lists.items():
            (self._draft / f"{split}.txt").write_text("".join(names), encoding="utf-8")
        _remove(self._place)
        self._draft.rename(self._place)


def _same_file(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(source, target)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
