"""Commands about learning: `comics dataset | train | runs | promote | embed | dataspec`."""

import argparse
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from shared.domain.training import OPTIONS, DatasetFilter, DatasetRequest, DatasetView, RunConfig, RunRequest, RunView
from shared.errors import ComicsError
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.http.client import Client

Run = Callable[[argparse.Namespace, Settings], int]
Command = Callable[[str, Run, str], argparse.ArgumentParser]
ClientOf = Callable[[Settings], "Client"]
POLL = 0.3  # seconds between looks at a promotion


def add_commands(command: Command, client_of: ClientOf) -> None:
    """Put these commands into the parser; `client_of` gives a client for the settings."""

    def asking(work: Callable[["Client", argparse.Namespace], int]) -> Run:
        def run(chosen: argparse.Namespace, configured: Settings) -> int:
            with client_of(configured) as client:
                return work(client, chosen)

        return run

    dataset = command("dataset", asking(_dataset), "freeze pages into a dataset; list, export or import datasets")
    dataset.add_argument("--list", action="store_true", help="the datasets there are")
    dataset.add_argument("--quality", choices=("perfect", "text", "any"), default="perfect", help="which pages enter")
    dataset.add_argument("--comic", type=int, action="append", default=[], help="only this comic (repeatable)")
    dataset.add_argument("--held-out", type=float, default=0.2, help="share of pages, by whole comics, to measure on")
    dataset.add_argument("--seed", type=int, default=0)
    dataset.add_argument("--name", default="")
    dataset.add_argument("--export", type=int, metavar="ID", help="write dataset ID to --out")
    dataset.add_argument(
        "--form", choices=("jsonl", "v0.3"), default="jsonl", help="DataSpec 1.0 lines, or v0.3 folders"
    )
    dataset.add_argument("--out", type=Path, help="file (jsonl) or folder (v0.3) to write")
    dataset.add_argument("--import", dest="source", type=Path, metavar="FOLDER", help="a v0.3 folder or a zip of one")

    train = command("train", asking(_train), "train an encoder on a dataset and follow it")
    train.add_argument("--dataset", type=int, help="a dataset's number; the newest when left out")
    train.add_argument("--option", choices=OPTIONS, default="context-denoise")
    train.add_argument("--resume", type=int, metavar="RUN", help="go on with a stopped or failed run instead")
    train.add_argument("--no-wait", action="store_true", help="do not follow the run")
    for name, about in RunConfig.model_fields.items():
        if name == "recompute":
            train.add_argument("--recompute", action="store_true", help=about.description)
            continue
        kind = about.annotation
        literal = get_args(kind) if kind is not None and all(isinstance(one, str) for one in get_args(kind)) else ()
        default = "none" if about.default is None else about.default
        train.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            choices=literal or None,
            metavar=None if literal else name.rpartition("_")[2].upper(),
            help=f"{about.description or name.replace('_', ' ')} (default {default})",
        )
    command("runs", asking(_runs), "the runs there are, newest first")

    promote = command("promote", asking(_promote), "let an encoder take over the queries")
    promote.add_argument(
        "checkpoint", type=int, nargs="?", help="a checkpoint's number; the newest run's when left out"
    )
    promote.add_argument("--rollback", action="store_true", help="back to the encoder before")
    promote.add_argument("--no-wait", action="store_true", help="do not wait until it serves")
    embed = command("embed", asking(_embed), "make vectors")
    embed.add_argument("--missing", action="store_true", required=True, help="of every page that lacks them")

    joined = command("dataspec", _dataspec, "join existing detections and VLM answers into DataSpecs, without a server")
    joined.add_argument("coco", type=Path, metavar="COCO_JSON", help="predictions.json, or a folder of a file per page")
    joined.add_argument("vlm", type=Path, metavar="VLM_DIR", help="folder of the VLM's JSON files")
    joined.add_argument("out", type=Path, metavar="OUT", help="folder for pages.jsonl and report.csv")
    joined.add_argument("--images", type=Path, help="folder of the page images, where the recorded paths are of old")


def _dataset(client: "Client", chosen: argparse.Namespace) -> int:
    if chosen.list:
        for known in client.datasets():
            counts = known.counts
            print(
                f"{known.id:5} {known.fingerprint[:12]} {counts.pages:6} pages {counts.panels:7} panels "
                f"{counts.comics:5} comics ({counts.held_out_comics} held out)  {known.name}"
            )
        return 0
    if chosen.export is not None:
        return _export(client, chosen)
    if chosen.source is not None:
        made = _import(client, chosen)
    else:
        wanted = DatasetRequest(
            filter=DatasetFilter(comics=chosen.comic),
            quality=chosen.quality,
            seed=chosen.seed,
            held_out=chosen.held_out,
            name=chosen.name,
        )
        made = client.freeze(wanted)
    for warning in made.warnings:
        print(f"note: {warning}", file=sys.stderr)
    counts = made.counts
    print(
        f"dataset {made.id} ({made.fingerprint[:12]}): {counts.pages} pages, {counts.panels} panels, "
        f"{counts.panels_with_text} with text, of {counts.comics} comics; "
        f"{counts.held_out_pages} pages of {counts.held_out_comics} comics held out"
    )
    return 0


def _export(client: "Client", chosen: argparse.Namespace) -> int:
    out = chosen.out or Path(f"dataset-{chosen.export}" + (".jsonl" if chosen.form == "jsonl" else ""))
    if chosen.form == "jsonl":
        client.export_dataset(chosen.export, out, form="jsonl")
    else:
        if out.exists() and any(out.iterdir()):
            raise ComicsError(f"{out} is not empty; name a new folder with --out.")
        with tempfile.TemporaryDirectory(dir=out.absolute().parent) as scratch:
            packed = Path(scratch) / "export.zip"
            client.export_dataset(chosen.export, packed, form="v0.3")
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(out)
    print(f"dataset {chosen.export} is in {out}")
    return 0


def _import(client: "Client", chosen: argparse.Namespace) -> DatasetView:
    source: Path = chosen.source
    if source.is_file():
        return client.import_dataset(source, name=chosen.name or source.stem)
    if not source.is_dir():
        raise ComicsError(f"There is no folder {source}.")
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / "import.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(source.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(source).as_posix())
        return client.import_dataset(packed, name=chosen.name or source.resolve().name)


def _train(client: "Client", chosen: argparse.Namespace) -> int:
    if chosen.resume is not None:
        run = client.resume_run(chosen.resume)
    else:
        dataset_id = chosen.dataset
        if dataset_id is None:
            known = client.datasets()
            if not known:
                raise ComicsError("There is no dataset yet; make one with `comics dataset`.")
            dataset_id = known[0].id
        told = {name: getattr(chosen, name) for name in RunConfig.model_fields if getattr(chosen, name) is not None}
        try:
            config = RunConfig.model_validate(told)
        except ValueError as error:
            raise ComicsError(f"These settings of the run are not usable: {error}") from error
        run = client.train(RunRequest(dataset_id=dataset_id, option=chosen.option, config=config))
    print(f"run {run.id}: {run.option} on dataset {run.dataset_id}")
    if chosen.no_wait:
        return 0
    run = follow_run(client, run.id)
    if run.state != "done":
        print(
            f"comics: run {run.id} {run.state}: {run.error or 'resume it with `comics train --resume`'}",
            file=sys.stderr,
        )
        return 1
    print(f"checkpoint {run.checkpoint_id}; `comics promote {run.checkpoint_id}` lets it answer queries")
    return 0


def follow_run(client: "Client", run_id: int) -> RunView:
    """A progress bar fed by the server's events, with the recalls of every epoch, until the run has ended."""
    begun, first, run = time.monotonic(), None, client.run(run_id)
    for event in client.follow_run(run_id):
        run = event.run
        first = run.step if first is None else first
        for point in event.points:
            if point.kind == "held_out":
                print(f"\r\033[K{recalls(point.epoch, point.values)}", file=sys.stderr)
        if run.steps and sys.stderr.isatty():
            done = run.step - first
            pace = done / max(time.monotonic() - begun, 1e-9)
            left = f"{(run.steps - run.step) / pace:.0f} s left" if done else ""
            bar = "█" * (24 * run.step // run.steps)
            loss = run.latest.get("loss", float("nan"))
            print(f"\r\033[K{bar:24} {run.step}/{run.steps} {pace:.1f} steps/s loss {loss:.3f} {left}",
                  end="", file=sys.stderr, flush=True)  # fmt: skip
    print(file=sys.stderr)
    return run


def recalls(epoch: float, values: dict[str, float]) -> str:
    """One line of what was measured on held-out comics, beside chance."""
    named = [
        (title, values[f"{name}_r10"], values.get(f"{name}_r10_chance", 0.0))
        for title, name in (
            ("crop→panel", "crop_to_panel"), ("picture→text", "image_to_text"), ("text→picture", "text_to_image"),
            ("masked panel", "masked_panel"),
        )
        if f"{name}_r10" in values
    ]  # fmt: skip
    told = "  ".join(f"{title} {value:.2f} ({chance:.2f})" for title, value, chance in named)
    return f"epoch {epoch:g}: recall@10 (chance)  {told}"


def _runs(client: "Client", _: argparse.Namespace) -> int:
    for run in client.runs():
        made = f"checkpoint {run.checkpoint_id}" if run.checkpoint_id else run.error or ""
        steps = f"step {run.step}/{run.steps or '?'}"
        print(f"{run.id:5} {run.state:8} {run.option:16} dataset {run.dataset_id} {steps:14} {made}")
    return 0


def _promote(client: "Client", chosen: argparse.Namespace) -> int:
    if chosen.rollback:
        promotion = client.roll_back()
    else:
        checkpoint_id = chosen.checkpoint
        if checkpoint_id is None:
            made = [run.checkpoint_id for run in client.runs() if run.checkpoint_id is not None]
            if not made:
                raise ComicsError("No run has made a checkpoint yet; train one with `comics train`.")
            checkpoint_id = made[0]
        promotion = client.promote(checkpoint_id)
    while promotion.state == "embedding" and not chosen.no_wait:
        print(f"\r\033[K{promotion.embedded}/{promotion.total} pages", end="", file=sys.stderr, flush=True)
        if promotion.failed and promotion.failed == promotion.total - promotion.embedded:
            print(file=sys.stderr)
            raise ComicsError(f"{promotion.failed} pages failed; `comics status --retry`, or skip them in the browser.")
        time.sleep(POLL)
        promotion = client.promotion(promotion.id)
    print(file=sys.stderr)
    print(f"checkpoint {promotion.checkpoint_id}: {promotion.state}, {promotion.embedded}/{promotion.total} pages")
    return 0 if promotion.state == "done" or chosen.no_wait else 1


def _embed(client: "Client", _: argparse.Namespace) -> int:
    queued = client.embed_missing()
    print(", ".join(f"{count} {stage}" for stage, count in queued.items() if count) or "nothing is missing")
    return 0


def _dataspec(chosen: argparse.Namespace, _: Settings) -> int:
    from services.dataspec.joining import join_dataspecs

    def progress(done: int, total: int) -> None:
        print(f"\r{done}/{total} pages", end="", file=sys.stderr, flush=True)

    joined = join_dataspecs(chosen.coco, chosen.vlm, chosen.out, images=chosen.images, progress=progress)
    print(file=sys.stderr)
    for status, count in sorted(joined.statuses.items()):
        print(f"{count:8} {status}", file=sys.stderr)
    print(f"{joined.pages} pages in {joined.pages_file}; {joined.report_file} tells of every one")
    return 0 if joined.pages else 1
