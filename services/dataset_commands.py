"""Commands about datasets: `comics dataset | dataspec`."""

import argparse
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.asking import ClientOf, Command, asking
from services.wrong_calls import WrongCall, checked, flag
from shared.domain.training import DatasetFilter, DatasetRequest, DatasetView
from shared.errors import ComicsError
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.http.client import Client

FREEZING = ("quality", "comic", "source", "collection", "held_out", "seed", "name")
IMPORTING = ("held_out", "seed", "name")
EXPORTING = ("form", "out")


def add_dataset_commands(command: Command, client_of: ClientOf) -> None:
    """Put these commands into the parser; `client_of` gives a client for the settings."""
    about = "freeze pages into a dataset; list, export or import datasets"
    _add_dataset(command("dataset", asking(client_of, _dataset), about))
    joined = command("dataspec", _dataspec, "join existing detections and VLM answers into DataSpecs, without a server")
    joined.add_argument("coco", type=Path, metavar="COCO_JSON", help="predictions.json, or a folder of a file per page")
    joined.add_argument("vlm", type=Path, metavar="VLM_DIR", help="folder of the VLM's JSON files")
    joined.add_argument("out", type=Path, metavar="OUT", help="folder for pages.jsonl and report.csv")
    joined.add_argument("--images", type=Path, help="folder of the page images, where the recorded paths are of old")


def _add_dataset(dataset: argparse.ArgumentParser) -> None:
    mode = dataset.add_mutually_exclusive_group()
    mode.add_argument("--list", action="store_true", help="the datasets there are")
    mode.add_argument("--export", type=int, metavar="ID", help="write dataset ID to --out")
    mode.add_argument("--import", dest="folder", type=Path, metavar="FOLDER", help="a v0.3 folder or a zip of one")
    freezing = dataset.add_argument_group("freezing, and what of it an import takes too")
    freezing.add_argument("--quality", choices=("perfect", "text", "any"), help="which pages enter (default perfect)")
    freezing.add_argument("--comic", type=int, action="append", metavar="ID", help="only this comic (repeatable)")
    freezing.add_argument("--source", action="append", metavar="NAME", help="only comics from there (repeatable)")
    freezing.add_argument("--collection", action="append", metavar="NAME", help="only comics of it (repeatable)")
    freezing.add_argument(
        "--held-out", type=float, metavar="SHARE", help="of pages, by whole comics, to measure on (default 0.2)"
    )
    freezing.add_argument("--seed", type=int, metavar="N", help="which comics those are (default 0)")
    freezing.add_argument("--name", help="what to call it")
    export = dataset.add_argument_group("exporting")
    export.add_argument("--form", choices=("jsonl", "v0.3"), help="DataSpec 1.0 lines (default), or a v0.3 folder")
    export.add_argument("--out", type=Path, metavar="PATH", help="file (jsonl) or folder (v0.3) to write")


def _dataset(client: "Client", chosen: argparse.Namespace) -> int:
    if chosen.list:
        _given(chosen, "--list", ())
        for known in client.datasets():
            counts = known.counts
            print(
                f"{known.id:5} {known.fingerprint[:12]} {counts.pages:6} pages {counts.panels:7} panels "
                f"{counts.comics:5} comics ({counts.held_out_comics} held out)  {known.name}"
            )
        return 0
    if chosen.export is not None:
        return _export(client, chosen)
    if chosen.folder is not None:
        made = _import(client, chosen.folder, checked(DatasetRequest, _given(chosen, "--import", IMPORTING)))
    else:
        told = _given(chosen, "", FREEZING)
        chosen_comics = {f"{name}s": told.pop(name, []) for name in ("comic", "source", "collection")}
        made = client.freeze(checked(DatasetRequest, {**told, "filter": DatasetFilter(**chosen_comics)}))
    for warning in made.warnings:
        print(f"note: {warning}", file=sys.stderr)
    counts = made.counts
    print(
        f"dataset {made.id} ({made.fingerprint[:12]}): {counts.pages} pages, {counts.panels} panels, "
        f"{counts.panels_with_text} with text, of {counts.comics} comics; "
        f"{counts.held_out_pages} pages of {counts.held_out_comics} comics held out"
    )
    return 0


def _given(chosen: argparse.Namespace, mode: str, meant: tuple[str, ...]) -> dict[str, Any]:
    """The options that were given; WrongCall for one that means nothing in this mode."""
    every = (*FREEZING, *EXPORTING)
    given = {name: getattr(chosen, name) for name in every if getattr(chosen, name) is not None}
    for name in given:
        if name not in meant:
            raise WrongCall(f"`{flag(name)}` " + (f"means nothing with `{mode}`" if mode else "goes with `--export`"))
    return given


def _export(client: "Client", chosen: argparse.Namespace) -> int:
    told = _given(chosen, "--export", EXPORTING)
    form = told.get("form", "jsonl")
    out: Path = told.get("out") or Path(f"dataset-{chosen.export}" + (".jsonl" if form == "jsonl" else ""))
    try:
        if form == "jsonl":
            if out.is_dir():
                raise ComicsError(f"{out} is a folder; name the file to write with --out.")
            client.export_dataset(chosen.export, out, form="jsonl")
        else:
            if out.exists() and not out.is_dir():
                raise ComicsError(f"{out} is a file; `--form v0.3` writes a folder: name a new one with --out.")
            if out.exists() and any(out.iterdir()):
                raise ComicsError(f"{out} is not empty; name a new folder with --out.")
            with tempfile.TemporaryDirectory(dir=out.absolute().parent) as scratch:
                packed = Path(scratch) / "export.zip"
                client.export_dataset(chosen.export, packed, form="v0.3")
                with zipfile.ZipFile(packed) as archive:
                    archive.extractall(out)
    except OSError as error:
        raise ComicsError(f"{out} cannot be written: {error.strerror or error}") from error
    print(f"dataset {chosen.export} is in {out}")
    return 0


def _import(client: "Client", source: Path, wanted: DatasetRequest) -> DatasetView:
    def send(packed: Path, name: str) -> DatasetView:
        return client.import_dataset(packed, name=wanted.name or name, seed=wanted.seed, held_out=wanted.held_out)

    if not source.exists():
        raise ComicsError(f"There is no folder or file {source}.")
    try:
        if source.is_file():
            return send(source, source.stem)
        with tempfile.TemporaryDirectory() as scratch:
            packed = Path(scratch) / "import.zip"
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
                for path in sorted(source.rglob("*")):
                    if path.is_file():
                        archive.write(path, path.relative_to(source).as_posix())
            return send(packed, source.resolve().name)
    except OSError as error:
        raise ComicsError(f"{source} cannot be read: {error.strerror or error}") from error


def _dataspec(chosen: argparse.Namespace, _: Settings) -> int:
    from services.dataspec.joining import join_dataspecs

    def progress(done: int, total: int) -> None:
        print(f"\r{done}/{total} pages", end="", file=sys.stderr, flush=True)

    try:
        joined = join_dataspecs(chosen.coco, chosen.vlm, chosen.out, images=chosen.images, progress=progress)
    except OSError as error:
        raise ComicsError(f"{error.filename or chosen.out}: {error.strerror or error}") from error
    print(file=sys.stderr)
    for status, count in sorted(joined.statuses.items()):
        print(f"{count:8} {status}", file=sys.stderr)
    print(f"{joined.pages} pages in {joined.pages_file}; {joined.report_file} tells of every one")
    if joined.pages:
        print(f"`comics dataset --import {joined.folder}` makes a dataset of them")
    return 0 if joined.pages else 1
