"""Commands about panels in other people's formats: `import-panels`, `export-panels`, `import-detector`."""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from services.amounts import counted
from services.asking import ClientOf, Command
from services.detect_command import bar
from services.wrong_calls import WrongCall
from shared.errors import ComicsError
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.domain.marks import Mark
    from shared.domain.panel_exchange import PanelImport

MOST_LOOKS = 50_000  # a mapping with so many marks has 75 MB
TITLES = {
    "added": "new layouts",
    "unchanged": "there already",
    "outranked": "kept beside a person's",
    "ambiguous": "may be several pages",
    "orphaned": "no page of the library",
    "refused": "refused",
}


def add_exchange_commands(command: Command, client_of: ClientOf) -> None:
    """Put these commands into the parser; `client_of` gives a client for the settings."""

    def taking(chosen: argparse.Namespace, configured: Settings) -> int:
        with _as_file(chosen.file) as file:
            mapping = _mapping(chosen, file)
            with client_of(configured) as client:
                found = client.import_panels(file, mapping=mapping, dry_run=chosen.dry_run)
        _show(found)
        return 1 if sum(found.counts[name] for name in ("ambiguous", "orphaned", "refused")) else 0

    def giving(chosen: argparse.Namespace, configured: Settings) -> int:
        with client_of(configured) as client:
            try:
                client.export_panels(chosen.out, comics=chosen.comic)
            except OSError as error:
                raise ComicsError(f"{chosen.out} cannot be written: {error.strerror}") from error
        print(f"panels in {chosen.out}")
        return 0

    taken = command(
        "import-panels", taking, "panels that other programs found, into the library: COCO or Kumiko's JSON"
    )
    taken.add_argument("file", type=Path, metavar="FILE", help="the file, or a folder of one JSON file a page")
    taken.add_argument(
        "--images", type=Path, metavar="DIR", help="the images it is about: pages are told by their bytes"
    )
    taken.add_argument(
        "--mapping", type=Path, metavar="FILE", help="CSV or JSON: image_id and page_id, or comic and page, or sha256"
    )
    taken.add_argument("--dry-run", action="store_true", help="only tell what would come of it")
    given = command("export-panels", giving, "the panels in force, as a COCO file")
    given.add_argument("--comic", type=int, action="append", default=[], metavar="ID", help="only of it (repeatable)")
    given.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    detector = command("import-detector", _detector, "make a folder of ours of somebody's weights of a panel detector")
    detector.add_argument("file", type=Path, metavar="FILE.pth", help="a state dict; nothing in it is executed")
    detector.add_argument("--profile", choices=("comix",), default="comix", help="what the weights are for")
    detector.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the detector is put")


def _detector(chosen: argparse.Namespace, _: Settings) -> int:
    from shared.nn.foreign_weights import import_detector  # brings torch

    count = import_detector(chosen.file, chosen.out, profile=chosen.profile)
    print(f"{count:,} weights in {chosen.out}")
    print(
        f"`comics detect DIR --weights {chosen.out}` tries them; COMICS_DETECTOR={chosen.out} makes them the detector"
    )
    return 0


@contextmanager
def _as_file(given: Path) -> Iterator[Path]:
    """The file itself, or a folder's JSON files as one list."""
    if given.is_file():
        yield given
        return
    files = sorted(given.rglob("*.json")) if given.is_dir() else []
    if not files:
        raise WrongCall(f"{given} is no file, and no folder that holds JSON files")
    with tempfile.TemporaryDirectory(prefix="comics-") as place:
        packed = Path(place) / f"{given.name or 'panels'}.json"
        with packed.open("w", encoding="utf-8") as out:
            for number, file in enumerate(files):
                out.write("[" if number == 0 else ",\n")
                out.write(json.dumps(_page(file, given), ensure_ascii=False))
            out.write("]\n")
        yield packed


def _page(file: Path, folder: Path) -> object:
    """What a page's file says; a file that says nothing is a page in error, not a page without panels."""
    name = file.relative_to(folder).with_suffix("").as_posix()
    try:
        content = json.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        return {"canonical_id": name, "error": f"it cannot be read: {error.strerror}"}
    except (ValueError, RecursionError):
        return {"canonical_id": name, "error": "it is no readable JSON"}
    return {"canonical_id": name, **content} if isinstance(content, dict) else {"canonical_id": name}


def _mapping(chosen: argparse.Namespace, file: Path) -> str:
    """The text of the mapping, or one made of the bytes of the images in a folder."""
    if chosen.mapping and chosen.images:
        raise WrongCall("`--mapping` and `--images` both say which pages the images are; give one of them")
    if chosen.mapping:
        try:
            text: str = chosen.mapping.read_text("utf-8-sig")
        except OSError as error:
            raise WrongCall(f"{chosen.mapping} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise WrongCall(f"{chosen.mapping} is no UTF-8 text") from error
        return text
    return "" if chosen.images is None else _by_content(chosen.images, file)


def _by_content(folder: Path, file: Path) -> str:
    """The sha256 and the look of each image of the file that is in the folder, under its path there."""
    from services.detection.exchange.formats import opened
    from services.detection.exchange.mapping import shown
    from shared.domain.page_order import is_page_name
    from shared.domain.paths import PathIndex

    if not folder.is_dir():
        raise WrongCall(f"{folder} is no folder")
    top = folder.resolve()
    names = {path.relative_to(top.parent).as_posix(): path for path in top.rglob("*") if is_page_name(path.name)}
    bare = {name.rpartition(".")[0]: path for name, path in names.items()}
    indexed = {True: (PathIndex(names), names), False: (PathIndex(bare), bare)}
    told: dict[str, dict[str, object]] = {}
    images = list(opened(file, name=file.name).images())
    looked_at = len(images) <= MOST_LOOKS
    if not looked_at:
        print(f"more than {MOST_LOOKS:,} images are told by their bytes alone, not by their looks", file=sys.stderr)
    progress = bar("image")
    for done, image in enumerate(images, start=1):
        if progress is not None:
            progress(done, len(images))
        path = Path(image.path)
        if not (is_page_name(image.path) and path.is_absolute() and path.is_relative_to(top) and path.is_file()):
            index, known = indexed[is_page_name(image.path)]
            match = index.find(image.path, beside=top.name)
            if match.name is None:
                continue
            path = known[match.name]
        content = _bytes(path)
        told[image.key] = {"sha256": sha256(content).hexdigest()}
        mark = _mark(content) if looked_at else None
        if mark is not None and mark.sketch:
            told[image.key]["look"] = shown(mark)
    if not told:
        raise ComicsError(f"no image of {file.name} is in {folder}: name the folder above those that it names")
    return json.dumps(told)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ComicsError(f"{path} cannot be read: {error.strerror}") from error


def _mark(content: bytes) -> "Mark | None":
    """What an image looks like; None for one that cannot be decoded."""
    from shared.domain.marks import mark_of
    from shared.files.containers import Unreadable
    from shared.files.images import examine

    marks: list[Mark] = []
    try:
        examine(content, look=lambda small: marks.append(mark_of(small)))
    except Unreadable:
        return None
    return marks[0] if marks else None


def _show(found: "PanelImport") -> None:
    done = "would come of it; nothing was stored" if found.dry_run else "came of it"
    print(f"{counted(found.images, 'image')} in {found.file}; what {done}:")
    ways = ", ".join(f"{count:,} by {how}" for how, count in found.by.items())
    print(f"{found.matched:8,}  are pages of {counted(found.comics, 'comic')}{f' ({ways})' if ways else ''}")
    for status, count in found.counts.items():
        if count:
            print(f"{count:8,}  {TITLES[status]}")
        for example in found.examples.get(status, ()) if status not in ("added", "unchanged") else ():
            page = f" (page {example.page_id})" if example.page_id is not None else ""
            print(f"          {example.image}{page}: {example.reason}")
    for reason, count in found.left_out.items():
        print(f"{count:8,}  left out: {reason}")
