"""Commands about learning: `comics dataset | train | runs | promote | embed | dataspec`."""

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from services.following import follow_run, wait_for_promotion
from services.wrong_calls import WrongCall, checked, flag
from shared.domain.training import OPTIONS, DatasetFilter, DatasetRequest, DatasetView, RunConfig, RunRequest
from shared.errors import ComicsError
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.domain.training import PromotionView, RunView
    from shared.http.client import Client

Run = Callable[[argparse.Namespace, Settings], int]
Command = Callable[[str, Run, str], argparse.ArgumentParser]
ClientOf = Callable[[Settings], "Client"]
FREEZING = ("quality", "comic", "source", "collection", "held_out", "seed", "name")
IMPORTING = ("held_out", "seed", "name")
EXPORTING = ("form", "out")
# What a run can be told: a word for the value, and what it is.
SETTINGS = {
    "seed": ("N", "another seed gives another run, the same seed the same one"),
    "epochs": ("N", "epochs to train; the recalls are measured after each"),
    "steps_per_epoch": ("N", "steps of an epoch (default: as many as show every page once)"),
    "pages_per_batch": ("N", "pages of a step; more need more memory"),
    "rate": ("RATE", "peak learning rate of what is trained from scratch"),
    "backbone_rate": ("SHARE", "share of that rate for pretrained parts; 0 freezes them"),
    "weight_decay": ("DECAY", "pull of the weights towards zero"),
    "temperature": ("T", "of the contrastive losses; lower minds the likest wrong answers more"),
    "start": ("", "go on from the active encoder, or begin a new one"),
    "size": ("PIXELS", "side of the pictures a new encoder sees"),
    "image_backbone": (
        "MODEL",
        "transformers vision model of a new encoder, name or folder (default: a small network)",
    ),
    "text_backbone": ("MODEL", "transformers text model, name or folder (default: a table of hashed words)"),
    "stories": ("N", "made comics with known content added to the pages"),
    "precision": ("", "numbers the network calculates with"),
    "recompute": ("", "gradient checkpointing: less memory, a third slower"),
}


def add_commands(command: Command, client_of: ClientOf) -> None:
    """Put these commands into the parser; `client_of` gives a client for the settings."""

    def asking(work: Callable[["Client", argparse.Namespace], int]) -> Run:
        def run(chosen: argparse.Namespace, configured: Settings) -> int:
            with client_of(configured) as client:
                return work(client, chosen)

        return run

    _add_dataset(command("dataset", asking(_dataset), "freeze pages into a dataset; list, export or import datasets"))
    _add_train(command("train", asking(_train), "train an encoder on a dataset and follow it"))
    runs = command("runs", asking(_runs), "the runs there are, newest first; stop or follow one")
    act = runs.add_mutually_exclusive_group()
    act.add_argument("--stop", type=int, metavar="RUN", help="stop a run after its current step; it can be resumed")
    act.add_argument("--follow", type=int, metavar="RUN", help="watch a run until it has ended")

    promote = command("promote", asking(_promote), "let an encoder take over the queries")
    what = promote.add_mutually_exclusive_group()
    what.add_argument("checkpoint", type=int, nargs="?", help="a checkpoint's number; the newest run's when left out")
    what.add_argument("--rollback", action="store_true", help="back to the encoder before")
    what.add_argument("--cancel", action="store_true", help="give up the promotion that is under way")
    what.add_argument("--skip-failed", action="store_true", help="let it switch without the pages that failed")
    promote.add_argument("--no-wait", action="store_true", help="do not wait until it serves")
    embed = command("embed", asking(_embed), "make vectors")
    embed.add_argument("--missing", action="store_true", required=True, help="of every page that lacks them")

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


def _add_train(train: argparse.ArgumentParser) -> None:
    train.add_argument("--dataset", type=int, metavar="ID", help="a dataset's number; the newest when left out")
    train.add_argument(
        "--option", choices=OPTIONS, help="what it learns, see docs/training.md (default context-denoise)"
    )
    train.add_argument("--resume", type=int, metavar="RUN", help="go on with a stopped or failed run instead")
    train.add_argument("--no-wait", action="store_true", help="do not follow the run")
    settings = train.add_argument_group("how it trains")
    for name, about in RunConfig.model_fields.items():
        metavar, text = SETTINGS[name]
        if about.annotation is bool:
            settings.add_argument(flag(name), action="store_true", default=None, help=text)
            continue
        choices = [one for one in get_args(about.annotation) if isinstance(one, str)] or None
        said = text if about.default is None else f"{text} (default {about.default})"
        settings.add_argument(flag(name), choices=choices, metavar=metavar or None, help=said)


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


def _train(client: "Client", chosen: argparse.Namespace) -> int:
    if chosen.resume is not None:
        for name in ("dataset", "option", *RunConfig.model_fields):
            if getattr(chosen, name) is not None:
                raise WrongCall(f"`{flag(name)}` means nothing with `--resume`: a run goes on as it was begun")
        run = client.resume_run(chosen.resume)
    else:
        run = client.train(_order(client, chosen))
    print(f"run {run.id}: {run.option} on dataset {run.dataset_id}")
    if chosen.no_wait:
        return 0
    return _ended(follow_run(client, run.id))


def _ended(run: "RunView") -> int:
    """Tell how a run ended."""
    if run.state != "done":
        print(
            f"comics: run {run.id} {run.state}: {run.error or f'resume it with `comics train --resume {run.id}`'}",
            file=sys.stderr,
        )
        return 1
    print(f"checkpoint {run.checkpoint_id}; `comics promote {run.checkpoint_id}` lets it answer queries")
    return 0


def _order(client: "Client", chosen: argparse.Namespace) -> RunRequest:
    """The run that was asked for, on the newest dataset unless one is named."""
    told = {name: getattr(chosen, name) for name in RunConfig.model_fields if getattr(chosen, name) is not None}
    for name, value in told.items():  # what has no value unless it is told may be told so
        if value == "none" and RunConfig.model_fields[name].default is None:
            told[name] = None
    told = {"config": checked(RunConfig, told), **({"option": chosen.option} if chosen.option else {})}
    if chosen.dataset is not None:
        return checked(RunRequest, {**told, "dataset_id": chosen.dataset}, dataset_id="--dataset")
    known = client.datasets()
    if not known:
        raise ComicsError("There is no dataset yet; make one with `comics dataset`.")
    return RunRequest.model_validate({**told, "dataset_id": known[0].id})


def _runs(client: "Client", chosen: argparse.Namespace) -> int:
    if chosen.stop is not None:
        run = client.stop_run(chosen.stop)
        print(f"run {run.id}: {run.state}{', stops after its current step' if run.stopping else ''}")
        return 0
    if chosen.follow is not None:
        return _ended(follow_run(client, chosen.follow))
    for run in client.runs():
        made = f"checkpoint {run.checkpoint_id}" if run.checkpoint_id else run.error or ""
        steps = f"step {run.step}/{run.steps or '?'}"
        print(f"{run.id:5} {run.state:8} {run.option:16} dataset {run.dataset_id} {steps:14} {made}")
    return 0


def _promote(client: "Client", chosen: argparse.Namespace) -> int:
    under_way = next((known for known in client.promotions() if known.state == "embedding"), None)
    if chosen.cancel or chosen.skip_failed:
        if under_way is None:
            raise ComicsError("No promotion is under way.")
        promotion = (client.cancel_promotion if chosen.cancel else client.skip_failed)(under_way.id)
    elif chosen.rollback:
        promotion = client.roll_back()
    else:
        promotion = _begun(client, chosen.checkpoint, under_way)
    if not chosen.no_wait:
        promotion = wait_for_promotion(client, promotion, skipping=chosen.skip_failed)
    told = f"checkpoint {promotion.checkpoint_id}: {promotion.state}, {promotion.embedded}/{promotion.total} pages"
    if promotion.state == "done":
        told += f"; it answers queries now, instead of checkpoint {promotion.previous_id}"
    print(told)
    wanted = "cancelled" if chosen.cancel else "done"
    return 0 if promotion.state == wanted or chosen.no_wait else 1


def _begun(client: "Client", checkpoint_id: int | None, under_way: "PromotionView | None") -> "PromotionView":
    """The promotion of a checkpoint, or of the newest run's: begun now, or the one that is under way."""
    if checkpoint_id is None:
        made = [run.checkpoint_id for run in client.runs() if run.checkpoint_id is not None]
        if not made:
            raise ComicsError("No run has made a checkpoint yet; train one with `comics train`.")
        checkpoint_id = made[0]
    if under_way is not None and under_way.checkpoint_id == checkpoint_id:
        return under_way
    return client.promote(checkpoint_id)


def _embed(client: "Client", _: argparse.Namespace) -> int:
    queued = client.embed_missing()
    print(", ".join(f"{count} {stage}" for stage, count in queued.items() if count) or "nothing is missing")
    return 0


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
